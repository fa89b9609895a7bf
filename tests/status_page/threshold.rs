//! `/bundle` and the page `/compare`: a threshold is previewed on the marked frames, becomes a version of the bundle, and is confirmed or
//! taken back.

use crate::chromium::Browser;
use crate::common::{arg, eventually, records, succeed, text};
use crate::visitor::{Answer, PartReader, Service, TOKEN};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const TEACH: &str = "fedcba9876543210";
const VERSION: &str = concat!("Lineside-Version: ", env!("CARGO_PKG_VERSION"), "\r\n");

fn line(anomaly: &str) -> String {
    format!(
        "[budget]\nmemory = \"512 MiB\"\n[source.folder]\npath = \"models/inspect-demo/frames\"\nrepeat = true\nfps = 20.0\n\
         [anomaly]\n{anomaly}\n"
    )
}

/// A home with the demo's bundle, confirmed.
fn home(folder: &Path) -> PathBuf {
    let store = folder.join("store");
    let target = ["--store", arg(&store), "--as", "parts"];
    succeed(&[&["bundle", "install", "inspect-demo", "--confirm-within", "0s"], &target[..]].concat());
    succeed(&["bundle", "confirm", "parts", "--store", arg(&store)]);
    store.join("parts")
}

fn post(service: &Service, headers: &str, body: &Value) -> Answer {
    service.post("/bundle", &format!("Content-Type: application/json\r\n{headers}"), body.to_string().as_bytes())
}

fn versions(service: &Service) -> Value {
    serde_json::from_slice(&service.get("/bundle").body).unwrap()
}

fn events(service: &Service, query: &str) -> Vec<Value> {
    let answer = service.get(&format!("/events?{query}"));
    let page: Value = serde_json::from_slice(&answer.body).unwrap();
    page["events"].as_array().unwrap().clone()
}

/// A line on a home, of whose frames sixty are marked good and thirty as defects.
fn marked(home: &Path) -> Service {
    let service = Service::start_with(&line(&format!("bundle = {home:?}")), "normal_every = 1\n", "control = true\n");
    for (kind, count, mark) in [("normal", 60, json!("good")), ("event", 30, json!("defect"))] {
        let query = format!("kind={kind}&limit={count}");
        let found = eventually("frames", || Some(events(&service, &query)).filter(|found| found.len() == count));
        let files: Vec<&Value> = found.iter().map(|one| &one["files"]["original"]).collect();
        let mut body = json!({ "files": files, "mark": mark });
        if mark == "defect" {
            body["kind"] = "dent".into();
        }
        let headers = format!("Content-Type: application/json\r\n{VERSION}");
        assert_eq!(service.post("/marks", &headers, body.to_string().as_bytes()).status, 200);
    }
    service
}

/// Waits until the line judges by a threshold.
fn judges_by(service: &Service, threshold: f64) {
    service.wait("the threshold", |status| status["threshold"] == threshold && status["verdicts"].as_u64() > Some(3));
}

/// On the page of a camera the bundle is changed, which others use, too: all take it, and none ends.
#[test]
fn a_threshold_that_is_set_on_the_page_of_one_camera_holds_for_all_that_use_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let source = "[camera.source.folder]\npath = \"models/inspect-demo/frames\"\nrepeat = true\nfps = 20.0\n";
    let cameras = format!(
        "listen = \"127.0.0.1:{{port}}\"\ncontrol = true\n[[camera]]\nname = \"top\"\n{source}[[camera]]\nname = \"side\"\n{source}\
         [camera.status_page]\nlisten = \"127.0.0.1:0\"\n"
    );
    let service = Service::start(&format!("[budget]\nmemory = \"512 MiB\"\n[anomaly]\nbundle = {home:?}\n"), &cameras);
    let of = versions(&service)["active"]["id"].clone();
    let answer = post(&service, VERSION, &json!({ "do": "threshold", "of": of, "threshold": 0.04, "role": "active" }));
    assert_eq!(answer.status, 200, "{}", text(&answer.body));
    judges_by(&service, 0.04);
    for camera in ["top", "side"] {
        service.wait_for(&format!("results/{camera}/events.jsonl"), "\"threshold\":0.04");
        let records = records(&service.folder.path().join("results").join(camera));
        let starts = records.iter().filter(|record| record["record"] == "start").count();
        let ended = records
            .iter()
            .filter(|record| record["record"] == "stop")
            .all(|stop| stop["reason"] == "a new configuration");
        assert!(starts == 2 && ended, "{records:?}");
    }
}

#[test]
fn a_threshold_becomes_a_version_that_is_confirmed_or_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let service = marked(&home);
    assert_eq!(events(&service, "mark=any&limit=200").len(), 90);
    let first = versions(&service);
    let taught = first["active"]["threshold"].as_f64().unwrap();
    assert_eq!(
        (&first["home"], &first["confirmed"], &first["may_change"], &first["problem"]),
        (&"parts".into(), &true.into(), &true.into(), &Value::Null)
    );
    let of = first["active"]["id"].clone();

    // In use, on trial; and back. So low that no number of defects is too many for the trial.
    let answer = post(&service, VERSION, &json!({ "do": "threshold", "of": of, "threshold": 0.04, "role": "active" }));
    assert_eq!(answer.status, 200, "{}", text(&answer.body));
    judges_by(&service, 0.04);
    let tried = versions(&service);
    assert_eq!((&tried["active"]["threshold"], &tried["previous"]["threshold"]), (&0.04.into(), &taught.into()));
    assert!(tried["confirmed"] == false && tried["trial_left_s"].as_u64() > Some(80_000), "{tried}");
    // What was recorded by the version before counts: its scores are the same.
    let same: Vec<&str> = tried["same_scores"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(events(&service, "mark=any&limit=200").iter().all(|one| same.contains(&one["bundle"].as_str().unwrap())));
    let again = post(&service, VERSION, &json!({ "do": "threshold", "of": of, "threshold": 0.6, "role": "shadow" }));
    assert_eq!(
        (again.status, text(&again.body).as_str()),
        (409, "another version is the active one by now: look again\n")
    );
    let answer = post(&service, VERSION, &json!({ "do": "rollback", "of": tried["active"]["id"] }));
    assert_eq!(answer.status, 200, "{}", text(&answer.body));
    judges_by(&service, taught);
    assert_eq!(versions(&service)["active"], first["active"]);

    // Beside it, and confirmed.
    let answer = post(&service, VERSION, &json!({ "do": "threshold", "of": of, "threshold": 0.75, "role": "shadow" }));
    assert_eq!(answer.status, 200, "{}", text(&answer.body));
    service.wait("a shadow", |status| status["shadow"]["judged"].as_u64() > Some(3) && status["threshold"] == taught);
    assert_eq!(versions(&service)["shadow"]["threshold"], 0.75);
    assert_eq!(post(&service, VERSION, &json!({ "do": "confirm", "of": of })).status, 200);
    judges_by(&service, 0.75);
    let last = versions(&service);
    assert_eq!((&last["shadow"], &last["confirmed"]), (&Value::Null, &true.into()));
    assert_eq!(post(&service, VERSION, &json!({ "do": "confirm", "of": last["active"]["id"] })).status, 409);

    service.wait_for("results/events.jsonl", "\"command\":\"confirm\"");
    let records = records(&service.folder.path().join("results"));
    let commands: Vec<&Value> = records.iter().filter(|one| one["record"] == "bundle_command").collect();
    let words: Vec<&str> = commands.iter().map(|one| one["command"].as_str().unwrap()).collect();
    assert_eq!(words, ["threshold", "rollback", "threshold", "confirm"]);
    let set = commands[0];
    assert_eq!(
        (&set["role"], &set["from"], &set["bundle"], &set["as"]),
        (&"teach".into(), &"127.0.0.1".into(), &"parts".into(), &"active".into())
    );
    assert_eq!(
        (&set["threshold"], &set["before"], &set["active"]),
        (&0.04.into(), &taught.into(), &tried["active"]["id"])
    );
    // The versions are whole.
    succeed(&["bundle", "verify", arg(&home)]);
}

#[test]
fn both_judge_the_same_frame_while_somebody_looks() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    // Time for both to judge each.
    let slow = line(&format!("bundle = {home:?}")).replace("fps = 20.0", "fps = 4.0");
    let service = Service::start(&slow, "control = true\nmax_fps = 30.0\n");
    let state = versions(&service);
    // So little more that no frame lies between.
    let threshold = state["active"]["threshold"].as_f64().unwrap() + 1e-9;
    let set = json!({ "do": "threshold", "of": state["active"]["id"], "threshold": threshold, "role": "shadow" });
    assert_eq!(post(&service, VERSION, &set).status, 200);
    service.wait("a shadow", |status| status["shadow"]["judged"].as_u64() > Some(0));
    let mut parts = PartReader::new(service.stream());
    (0..20).for_each(|_| drop(parts.next()));
    let status = service.wait("defects", |status| {
        status["shadow"]["judged"].as_u64() > Some(30) && status["defects"].as_u64() > Some(5)
    });
    assert_eq!(status["shadow"]["differing"], 0, "the live view took the frame before the shadow saw it");
}

#[test]
fn what_cannot_be_set_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let refused = |service: &Service, headers: &str, body: &Value| {
        let answer = post(service, headers, body);
        let said = text(&answer.body);
        assert_eq!(said.lines().count(), 1, "{said}");
        (answer.status, said)
    };
    let set =
        |of: &Value, threshold: f64| json!({ "do": "threshold", "of": of, "threshold": threshold, "role": "active" });
    // A bundle outside of a store.
    let service = Service::start(&line("bundle = \"inspect-demo\""), "control = true\n");
    let state = versions(&service);
    assert!(state["active"]["threshold"].is_number() && state["home"].is_null(), "{state}");
    let (status, said) = refused(&service, VERSION, &set(&"".into(), 0.5));
    assert!(status == 409 && said.contains("lineside bundle install") && state["problem"] == said.trim_end(), "{said}");
    drop(service);
    // A threshold of the configuration goes before the bundle's.
    let service = Service::start(&line(&format!("bundle = {home:?}\nthreshold = 0.5")), "control = true\n");
    let of = versions(&service)["active"]["id"].clone();
    let (status, said) = refused(&service, VERSION, &set(&of, 0.6));
    assert!(status == 409 && said.contains("goes before the bundle's"), "{said}");
    drop(service);
    let page = format!("control = true\ntoken = \"{TOKEN}\"\nteach_token = \"{TEACH}\"\n");
    let service = Service::start(&line(&format!("bundle = {home:?}")), &page);
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    assert_eq!(post(&service, VERSION, &set(&of, 0.5)).status, 401);
    assert_eq!(refused(&service, &bearer(TOKEN), &set(&of, 0.5)).0, 403);
    service.wait_for("results/events.jsonl", "\"what\":\"bundle\"");
    assert_eq!(refused(&service, &format!("Lineside-Version: 0.0.1\r\n{}", bearer(TEACH)), &set(&of, 0.5)).0, 409);
    for threshold in [-0.1, 1.1] {
        let (status, said) = refused(&service, &bearer(TEACH), &set(&of, threshold));
        assert!(status == 422 && said.starts_with("threshold must lie in 0..1"), "{said}");
    }
    let (status, said) = refused(&service, &bearer(TEACH), &json!({ "do": "rollback", "of": of }));
    assert!(status == 409 && said.contains("no version before"), "{said}");
    assert_eq!(refused(&service, &bearer(TEACH), &json!({ "do": "end_shadow", "of": of })).0, 409);
    assert_eq!(refused(&service, &bearer(TEACH), &json!({ "do": "format", "of": of })).0, 422);
    // The line could not take it: the file has a mistake by now.
    let file = service.folder.path().join("line.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}typo = 1\n")).unwrap();
    let (status, said) = refused(&service, &bearer(TEACH), &set(&of, 0.5));
    assert!(status == 409 && said.contains("the line could not take it now: ") && said.contains("typo"), "{said}");
    std::fs::write(&file, text).unwrap();
    let kept = std::fs::read_dir(home.join("versions")).unwrap().count();
    assert_eq!(kept, 1, "nothing was made");
    drop(service);
    // More is to stay free than this disk has.
    let service =
        Service::start_with(&line(&format!("bundle = {home:?}")), "keep_free = \"1 PiB\"\n", "control = true\n");
    let (status, said) = refused(&service, VERSION, &set(&of, 0.5));
    assert!(status == 507 && said.starts_with("the disk is full"), "{said}");
}

const NEW: &str = "document.getElementById('t-new').textContent";

#[test]
fn a_browser_previews_a_threshold_and_has_it_used_by_pointer_keys_and_finger() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start(folder.path()) else { return };
    let home = home(folder.path());
    let service = marked(&home);
    browser.screen(1200, 900, "light");
    browser.ask("Page.navigate", json!({ "url": format!("http://{}/compare", service.address) }));
    browser.wait("document.getElementById('counts')?.textContent === '90 of 90 marked frames'");
    let shown = |browser: &mut Browser, id: &str| {
        browser.evaluate(&format!("Number(document.getElementById('{id}').textContent)")).as_u64().unwrap()
    };
    assert_eq!((shown(&mut browser, "n-good"), shown(&mut browser, "n-defect")), (60, 30));
    assert_eq!(browser.evaluate("document.getElementById('use').disabled"), true, "nothing was changed");
    // The pointer, at the middle: one in a thousand.
    browser.click("#slider", false);
    browser.wait(&format!("{NEW} === '0.999'"));
    // Keys.
    browser.key("ArrowLeft", false);
    browser.wait(&format!("Number({NEW}) < 0.999 && Number({NEW}) > 0.99"));
    // Far to the left everything is a defect, and the counts are those of the records.
    browser.evaluate("choose(0.04, ''); 0");
    let good = events(&service, "mark=good&kind=normal,event&limit=200");
    let above = good.iter().filter(|one| one["score"].as_f64() >= Some(0.04)).count() as u64;
    assert_eq!(shown(&mut browser, "f-new"), above);
    let taught = versions(&service)["active"]["threshold"].as_f64().unwrap();
    let sides =
        good.iter().filter(|one| one["score"].as_f64() >= Some(0.04) && one["score"].as_f64() < Some(taught)).count();
    assert_eq!(browser.evaluate("document.querySelectorAll('#list li').length").as_u64(), Some(sides.min(60) as u64));
    browser.wait(
        "[...document.querySelectorAll('#list img')].slice(0, 4).every(img => img.complete && img.naturalWidth > 0)",
    );
    browser.keep("compare-1200-light");
    browser.screen(1200, 900, "dark");
    browser.keep("compare-1200-dark");
    browser.click("#use", false);
    browser.wait("document.getElementById('told').textContent === 'it is in use, on trial'");
    judges_by(&service, 0.04);
    browser.wait("document.getElementById('state').textContent.startsWith('It is on trial for another 24 h')");
    browser.wait("document.getElementById('counts').textContent === '90 of 90 marked frames'");
    assert_eq!(shown(&mut browser, "f-now"), above, "what was recorded before counts");
    // A finger, on a phone.
    browser.ask("Emulation.setTouchEmulationEnabled", json!({ "enabled": true }));
    browser.screen(360, 740, "dark");
    browser.tap("#chart");
    browser.wait(&format!("{NEW} === '0.999'"));
    let wide = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(wide <= 360, "{wide} of 360 pixels: the page does not fit");
    browser.keep("compare-360-dark");
    browser.screen(360, 740, "light");
    browser.keep("compare-360-light");
    browser.tap("#rollback");
    browser.wait("document.getElementById('told').textContent === 'the version before is in use again'");
    judges_by(&service, taught);
    // Everything has a name, and enough contrast (WCAG 2.1, 1.4.3: 4.5 to 1).
    for scheme in ["light", "dark"] {
        browser.screen(360, 740, scheme);
        assert_eq!(browser.evaluate(crate::chromium::NAMELESS), json!([]));
        assert_eq!(browser.evaluate(crate::chromium::FAINT), json!([]), "{scheme}");
    }
    let page = service.get("/compare");
    let all: usize = ["/", "/review", "/compare"].iter().map(|path| service.get(path).body.len()).sum();
    assert!(
        page.status == 200
            && all < 150 << 10
            && !text(&page.body).replace("http://www.w3.org/2000/svg", "").contains("://")
    );
}
