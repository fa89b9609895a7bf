//! `POST /judge`: the line's verdict on a picture that somebody sends, and nothing for whoever sends something else.

use crate::common::{HANGS, arg, config, eventually, records, refuse, root, succeed, text};
use crate::visitor::{Service, TOKEN};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

/// Frames of the demo, again and again.
const LINE: &str = "[budget]\nmemory = \"512 MiB\"\n[source.folder]\npath = \"models/inspect-demo/frames\"\nrepeat = true\nfps = 20.0\n";
const FRAMES: &str = "[source.folder]\npath = \"models/inspect-demo/frames\"\nrepeat = true\nfps = 20.0\n";
const JUDGE: &str = "judge = true\n";

/// The demo's frames, good and bad.
fn frames() -> Vec<PathBuf> {
    let folder = root().join("models/inspect-demo/frames");
    let mut files: Vec<PathBuf> = Vec::new();
    for part in ["defect", "normal"] {
        files.extend(std::fs::read_dir(folder.join(part)).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.sort();
    files
}

fn png(width: u32, height: u32, grey: impl Fn(usize) -> u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> = (0..(width * height) as usize).map(grey).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

#[test]
fn a_posted_picture_gets_the_verdict_of_the_line_to_the_last_bit() {
    // What the line itself says of each frame.
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let line = format!(
        "[source.folder]\npath = \"models/inspect-demo/frames\"\n[output]\nfolder = {results:?}\nnormal_every = 1\n\
         [super_resolution]\nwhen = \"never\"\n[anomaly]\nskip_similar = 0\n"
    );
    succeed(&["run", arg(&config(folder.path(), &line))]);
    let said: Vec<Value> = records(&results).into_iter().filter(|one| one["frame"].is_string()).collect();
    let service = Service::start(LINE, JUDGE);
    let (mut compared, mut defects) = (0, 0);
    for file in frames() {
        let name = file.strip_prefix(root().join("models/inspect-demo/frames")).unwrap().to_str().unwrap();
        let Some(expected) = said.iter().find(|one| one["frame"] == name) else { continue };
        let answer = service.post(&format!("/judge?name={name}"), "", &std::fs::read(&file).unwrap());
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{}", text(&answer.body));
        let verdict: Value = serde_json::from_slice(&answer.body).unwrap();
        for key in ["frame", "score", "severity", "threshold", "bundle", "pixels_sha256", "verdict_sha256", "cause"] {
            assert_eq!(verdict[key], expected[key], "{name}: {key}");
        }
        let is_defect = expected["record"] == "event";
        assert_eq!(verdict["defect"], is_defect);
        if is_defect {
            assert_eq!(verdict["regions"], expected["regions"]);
            defects += 1;
        }
        assert!(
            verdict["record"] == "judged" && verdict["id"].is_null() && verdict["judge_ms"].is_number(),
            "{verdict}"
        );
        compared += 1;
    }
    assert!(compared > 5 && defects > 0 && defects < compared, "{compared} {defects}");
    // It raised nothing, and is in no record.
    let recorded = std::fs::read_to_string(service.folder.path().join("results/events.jsonl")).unwrap();
    assert!(!recorded.contains("judged"), "{recorded}");
    let metrics = text(&service.get("/metrics").body);
    assert!(
        metrics.contains(&format!("lineside_judge_requests_total{{outcome=\"judged\"}} {compared}\n")),
        "{metrics}"
    );
}

#[test]
fn the_annotated_picture_comes_where_it_is_asked_for() {
    let service = Service::start(LINE, JUDGE);
    let file = std::fs::read(&frames()[0]).unwrap();
    let plain: Value = serde_json::from_slice(&service.post("/judge", "", &file).body).unwrap();
    for (kind, begin) in [("image/jpeg", b"\xff\xd8\xff".as_slice()), ("image/png", b"\x89PNG")] {
        let answer = service.post("/judge?name=Teil%20%C3%BC", &format!("Accept: {kind}\r\n"), &file);
        assert_eq!((answer.status, answer.header("content-type")), (200, kind));
        assert!(answer.body.starts_with(begin));
        let mut picture = lineside_picture::Picture::default();
        lineside_picture::decode_file(&answer.body, 1 << 20, &mut picture).unwrap();
        assert_eq!((picture.width(), picture.height()), (320, 240));
        let verdict: Value = serde_json::from_str(answer.header("lineside-verdict")).unwrap();
        assert_eq!((&verdict["verdict_sha256"], &verdict["frame"]), (&plain["verdict_sha256"], &"Teil ü".into()));
    }
}

#[test]
fn what_is_no_picture_of_this_line_is_refused_in_one_line() {
    let service = Service::start(LINE, JUDGE);
    let host = format!("Host: {}\r\n", service.address);
    let file = std::fs::read(&frames()[0]).unwrap();
    let said = |answer: crate::visitor::Answer| {
        let body = text(&answer.body);
        assert!(body.ends_with('\n') && body.lines().count() == 1, "{body}");
        (answer.status, body)
    };
    let most = 4 << 20;
    let begun = |headers: &str| said(service.send(&format!("POST /judge HTTP/1.1\r\n{host}{headers}\r\n")));
    assert_eq!(begun(&format!("Content-Length: {}\r\n", u64::MAX)).0, 413);
    assert_eq!(begun("Content-Length: 99999999999999999999999\r\n").0, 400);
    assert_eq!(begun(""), (411, "state Content-Length: bodies of unknown length are not read\n".into()));
    assert_eq!(begun("Transfer-Encoding: chunked\r\n").0, 411);
    assert_eq!(begun("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n").0, 400);
    assert_eq!(begun("Content-Length: 0\r\n"), (400, "the body is empty\n".into()));
    assert_eq!(begun("Content-Length: 5\r\nContent-Type: multipart/form-data; boundary=x\r\n").0, 415);
    assert_eq!(begun("Content-Length: 5\r\nOrigin: http://evil.example\r\n").0, 403);
    assert_eq!(begun("Content-Length: 5\r\nSec-Fetch-Site: cross-site\r\n").0, 403);
    // The whole of a body that is too long: the answer is not lost in what nobody reads.
    let too_long = said(service.post("/judge", "", &vec![0; 24 << 20]));
    assert_eq!(too_long.0, 413, "{}", too_long.1);

    let post = |body: &[u8]| said(service.post("/judge", "", body));
    let (status, problem) = post(b"GIF89a, which is not read");
    assert!(status == 415 && problem.contains("it is a GIF"), "{status} {problem}");
    assert_eq!(post(b"x").0, 415);
    let (status, problem) = post(&file[..file.len() / 2]);
    assert!(status == 422 && problem.starts_with("broken "), "{status} {problem}");
    let (status, problem) = post(&png(8, 8, |_| 7));
    assert_eq!((status, problem.as_str()), (422, "8x8 is too small: at least 32 pixels per side are needed\n"));
    // A small file of a huge picture.
    let bomb = png(20_000, 20_000, |_| 7);
    assert!(bomb.len() < most, "{}", bomb.len());
    let (status, problem) = post(&bomb);
    assert!(status == 413 && problem.contains("20000x20000"), "{status} {problem}");

    for (method, status) in [("GET", 405), ("PUT", 405), ("HEAD", 405)] {
        let answer = service.send(&format!("{method} /judge HTTP/1.1\r\n{host}\r\n"));
        assert_eq!((answer.status, answer.header("allow")), (status, "POST"), "{method}");
    }
    assert_eq!(service.post("/status.json", "", &file).status, 405);
    // Nothing of this took a place for ever, or more memory than is on the bill.
    assert_eq!(service.post("/judge", "", &file).status, 200);
    let memory = service.status()["memory"].clone();
    assert!(memory["peak_bytes"].as_u64() <= memory["bill_bytes"].as_u64(), "{memory}");
    assert!(!service.log().contains("panicked"), "{}", service.log());
    service.goes_on(4.0);
}

#[test]
fn a_picture_of_another_size_than_taught_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = crate::common::with_region(folder.path(), &["40,40,200,150"]);
    let service = Service::start(&format!("[anomaly]\nbundle = {bundle:?}\n{LINE}"), JUDGE);
    let answer = service.post("/judge", "", &png(160, 120, |at| at as u8));
    let said = text(&answer.body);
    assert!(answer.status == 422 && said.contains("160x120") && said.lines().count() == 1, "{} {said}", answer.status);
    assert_eq!(service.post("/judge", "", &std::fs::read(&frames()[0]).unwrap()).status, 200);
}

#[test]
fn slow_bodies_end_and_hold_two_places_only() {
    let service = Service::start(LINE, JUDGE);
    let file = std::fs::read(&frames()[0]).unwrap();
    let begin = |headers: &str| {
        let mut socket = TcpStream::connect(&service.address).unwrap();
        socket.set_read_timeout(Some(HANGS)).unwrap();
        let length = file.len();
        let head =
            format!("POST /judge HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n{headers}\r\n", service.address);
        socket.write_all(head.as_bytes()).unwrap();
        socket
    };
    // Who waits for leave to send gets it.
    let mut polite = begin("Expect: 100-continue\r\n");
    let mut leave = [0; 25];
    polite.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    polite.write_all(&file).unwrap();
    let mut answer = String::new();
    polite.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    // Who has an answer has left its place: two that ask again and again find one each.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..20).for_each(|_| assert_eq!(service.post("/judge", "", &file).status, 200)));
        }
    });

    let mut slow: Vec<TcpStream> = (0..2).map(|_| begin("Expect: 100-continue\r\n")).collect();
    for socket in &mut slow {
        socket.read_exact(&mut leave).unwrap();
        assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    let busy = service.post("/judge", "", &file);
    assert_eq!((busy.status, busy.header("retry-after")), (503, "1"), "{}", text(&busy.body));
    // The page is there for others all the while.
    service.goes_on(4.0);
    for mut socket in slow {
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    // One that goes away in the middle leaves its place at once.
    let mut cut = begin("");
    cut.write_all(&file[..100]).unwrap();
    drop(cut);
    eventually("a place", || (service.post("/judge", "", &file).status == 200).then_some(()));
}

#[test]
fn judging_is_off_unless_configured_and_needs_the_token() {
    let service = Service::start(LINE, "");
    let answer = service.post("/judge", "", b"x");
    assert!(answer.status == 404 && text(&answer.body).contains("status_page.judge = true"), "{}", answer.status);
    assert!(!text(&service.get("/metrics").body).contains("lineside_judge"));
    drop(service);
    let service = Service::start(LINE, &format!("{JUDGE}token = \"{TOKEN}\"\n"));
    let file = std::fs::read(&frames()[0]).unwrap();
    for wrong in ["", "Authorization: Bearer 0123456789abcdeX\r\n", "Cookie: lineside=x\r\n"] {
        assert_eq!(service.post("/judge", wrong, &file).status, 401, "{wrong}");
    }
    for right in [format!("Authorization: Bearer {TOKEN}\r\n"), format!("Cookie: lineside={TOKEN}\r\n")] {
        assert_eq!(service.post("/judge", &right, &file).status, 200);
    }
}

#[test]
fn its_memory_is_on_the_bill_and_refused_over_budget() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let line = |budget: u64, page: &str| {
        let text = format!(
            "[budget]\nmemory = \"{budget} B\"\n{FRAMES}[output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n\
             [status_page]\nlisten = \"127.0.0.1:0\"\n{page}"
        );
        config(folder.path(), &text)
    };
    let check = |budget, page: &str| succeed(&["check", "--json", arg(&line(budget, page))]);
    let bill = |text: &str| -> u64 {
        let value: Value = serde_json::from_str(text).unwrap();
        value["bill_bytes"].as_u64().unwrap_or_else(|| panic!("{text}"))
    };
    let without = bill(&check(500_000_000, ""));
    let with = bill(&check(500_000_000, JUDGE));
    assert!(with > without + (2 << 20), "{without} {with}");
    let between = without + (with - without) / 2;
    check(between, "");
    refuse(&["run", arg(&line(between, JUDGE))], 78, &["line.toml:2", "judging posted pictures"]);
}
