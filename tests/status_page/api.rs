//! The interface for programs: pages of records, and what docs/openapi.json promises.

use crate::common::{eventually, has, root, text};
use crate::visitor::{Service, TOKEN};
use serde_json::Value;
use std::process::Command;

const LINE: &str = "[budget]\nmemory = \"512 MiB\"\n[source.folder]\npath = \"models/inspect-demo/frames\"\nrepeat = true\nfps = 20.0\n";

fn page(service: &Service, query: &str) -> Value {
    let answer = service.get(&format!("/events{query}"));
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{}", text(&answer.body));
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn records_come_page_by_page_and_match_what_was_written() {
    let service = Service::start(LINE, "");
    service.wait("defects", |status| status["defects"].as_u64() > Some(9));
    let newest = page(&service, "?limit=5&kind=event");
    let events = newest["events"].as_array().unwrap();
    assert!(events.len() == 5 && events.iter().all(|one| one["defect"] == true && one["at"].is_string()), "{newest}");
    let times: Vec<&str> = events.iter().map(|one| one["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    let next = page(&service, &format!("?limit=3&kind=event&before={}", newest["next"].as_str().unwrap()));
    assert!(next["events"][0]["time"].as_str() <= times.last().copied() && next["events"][0]["id"] != events[4]["id"]);
    // To the byte as in the file.
    let written = std::fs::read_to_string(service.folder.path().join("results/events.jsonl")).unwrap();
    for event in events {
        let line = written.lines().find(|line| line.contains(event["id"].as_str().unwrap())).unwrap();
        let mut expected: Value = serde_json::from_str(line).unwrap();
        (expected["defect"], expected["at"]) = (true.into(), event["at"].clone());
        assert_eq!(*event, expected);
        let picture = service.get(&format!("/events/{}", event["files"]["original"].as_str().unwrap()));
        assert_eq!((picture.status, picture.header("content-type")), (200, "image/png"));
    }
    let refused = service.get("/events?limit=1000");
    assert_eq!((refused.status, text(&refused.body).as_str()), (400, "limit must lie in 1..200\n"));
    assert_eq!(service.get("/events?before=1-1").status, 410);
    let file = service.get("/openapi.json");
    assert_eq!(file.body, std::fs::read(root().join("docs/openapi.json")).unwrap());
}

#[test]
fn schemathesis_finds_nothing_that_the_file_does_not_promise() {
    if !has("schemathesis", &["--version"]) {
        return;
    }
    let service = Service::start(
        LINE,
        &format!("judge = true\ncontrol = true\ntoken = \"{TOKEN}\"\nteach_token = \"fedcba9876543210\"\n"),
    );
    let right = format!("GET /events?limit=9&kind=event HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    eventually("an event", || {
        let answer = service.send(&right);
        (text(&answer.body).contains("\"record\":\"event\"")).then_some(())
    });
    // On a busy machine some answers are 503 (no frame was inspected for two seconds, somebody else changes something), as promised.
    std::fs::write(
        service.folder.path().join("schemathesis.toml"),
        "[checks.not_a_server_error]\nexpected-statuses = [\"2xx\", \"3xx\", \"4xx\", \"503\"]\n",
    )
    .unwrap();
    let mut command = Command::new("schemathesis");
    command.current_dir(service.folder.path()).args(["run", "--max-examples=15", "--seed=7", "--checks=all"]);
    // A picture that the file allows may be too small or of a format that is not read, and a place in the records may be gone.
    command.arg("--exclude-checks=positive_data_acceptance");
    command.args(["--suppress-health-check=all", "--continue-on-failure"]);
    command.args(["--header", "Authorization: Bearer fedcba9876543210"]);
    command.arg(format!("--url=http://{}", service.address)).arg(root().join("docs/openapi.json"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    assert!(!service.log().contains("panicked"), "{}", service.log());
    service.wait_for("results/events.jsonl", "\"record\":\"event\"");
}

#[test]
fn the_python_client_asks_a_line() {
    if !has("python3", &["-c", "import sys; sys.exit(sys.version_info < (3, 9))"]) {
        return;
    }
    let service = Service::start(
        LINE,
        &format!("judge = true\ncontrol = true\ntoken = \"{TOKEN}\"\nteach_token = \"fedcba9876543210\"\n"),
    );
    let record =
        format!("GET /events?limit=50&kind=event HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    eventually("a page of events", || {
        let answer: Value = serde_json::from_slice(&service.send(&record).body).unwrap();
        (answer["events"].as_array().unwrap().len() > 12).then_some(())
    });
    let mut command = Command::new("python3");
    command.args(["-B", "-W", "error", "-m", "unittest", "discover", "-s", "tests", "-t", "."]);
    command.current_dir(root().join("clients/python"));
    command.env("LINESIDE_URL", format!("http://{}", service.address)).env("LINESIDE_TOKEN", TOKEN);
    command.env("LINESIDE_TEACH_TOKEN", "fedcba9876543210");
    command.env("LINESIDE_FRAMES", root().join("models/inspect-demo/frames"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("Ran 9 tests"), "{}", text(&output.stderr));
}

#[test]
fn the_python_clients_types_are_sound() {
    if !has("mypy", &["--version"]) {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let mut command = Command::new("mypy");
    command
        .args(["--strict", "--python-version=3.10", "lineside_client", "tests"])
        .arg("--cache-dir")
        .arg(cache.path());
    let output = command.current_dir(root().join("clients/python")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
}
