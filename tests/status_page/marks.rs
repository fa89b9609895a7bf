//! `/marks` and the page `/review`: who may mark, what becomes of marks, and the page under a real pointer, a finger and keys.

use crate::chromium::{Browser, FAINT, NAMELESS};
use crate::common::{arg, eventually, run, succeed, text};
use crate::visitor::{Answer, Service, TOKEN, free_port};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

const LINE: &str = "[budget]\nmemory = \"512 MiB\"\n[source.folder]\npath = \"models/inspect-demo/frames\"\nrepeat = true\nfps = 20.0\n";
const TEACH: &str = "fedcba9876543210";
const VERSION: &str = concat!("Lineside-Version: ", env!("CARGO_PKG_VERSION"), "\r\n");

fn post(service: &Service, headers: &str, body: &Value) -> Answer {
    service.post("/marks", &format!("Content-Type: application/json\r\n{headers}"), body.to_string().as_bytes())
}

fn events(service: &Service, query: &str) -> Vec<Value> {
    let answer = service.get(&format!("/events?{query}"));
    let page: Value = serde_json::from_slice(&answer.body).unwrap();
    page["events"].as_array().unwrap().clone()
}

/// The names of the frames' pictures.
fn files(events: &[Value]) -> Vec<String> {
    events.iter().map(|one| one["files"]["original"].as_str().unwrap().to_string()).collect()
}

fn started() -> Service {
    let service = Service::start_with(LINE, "normal_every = 1\n", "control = true\n");
    eventually("frames", || {
        (events(&service, "kind=normal&limit=60").len() == 60 && events(&service, "kind=event&limit=30").len() == 30)
            .then_some(())
    });
    service
}

#[test]
fn marks_are_kept_as_folders_that_teach_and_eval_take() {
    let service = started();
    let good = files(&events(&service, "kind=normal&limit=60"));
    let bad = files(&events(&service, "kind=event&limit=30"));
    let answer = post(&service, VERSION, &json!({ "files": good, "mark": "good" }));
    assert_eq!((answer.status, text(&answer.body).as_str()), (200, "{\"marked\":60,\"missing\":[]}\n"));
    let with_gone = [&bad[..], &["gone.png".to_string()]].concat();
    let answer = post(&service, VERSION, &json!({ "files": with_gone, "mark": "defect", "kind": "dent" }));
    assert_eq!(text(&answer.body), "{\"marked\":30,\"missing\":[\"gone.png\"]}\n");
    let answer = post(&service, VERSION, &json!({ "files": bad[..10], "mark": "defect", "kind": "scratch" }));
    assert_eq!(answer.status, 200);
    let counts: Value = serde_json::from_slice(&service.get("/marks").body).unwrap();
    assert_eq!((&counts["good"], &counts["defect"]), (&60.into(), &json!({ "dent": 20, "scratch": 10 })));
    assert_eq!(counts["may_mark"], true);
    // They are seen, and asked for.
    let marked = events(&service, "mark=defect&kind=event&limit=200");
    assert!(marked.len() == 30 && marked.iter().all(|one| one["mark"] == "defect"), "{}", marked.len());
    assert_eq!(marked.iter().filter(|one| one["mark_kind"] == "scratch").count(), 10);
    assert_eq!(events(&service, "mark=good&limit=200").len(), 60);
    assert!(events(&service, "mark=none&limit=200").iter().all(|one| one["mark"].is_null()));
    let picture = service.get(&format!("/events/{}", good[0]));
    assert!(good[0].starts_with("normal/") && picture.status == 200);
    // The mark keeps it.
    std::fs::remove_file(service.folder.path().join("results").join(&good[0])).unwrap();
    assert_eq!(service.get(&format!("/events/{}", good[0])).body, picture.body);
    // Who did it is recorded.
    service.wait_for("results/events.jsonl", "\"record\":\"marked\"");
    let records = crate::common::records(&service.folder.path().join("results"));
    let record = records.iter().find(|one| one["record"] == "marked" && one["mark"] == "good").unwrap();
    assert_eq!(
        (&record["role"], &record["from"], &record["frames"]),
        (&"teach".into(), &"127.0.0.1".into(), &60.into())
    );
    // The folders are what the commands take.
    let marks = service.folder.path().join("results/marks");
    let (good, defect) = (marks.join("good"), marks.join("defect"));
    let said = succeed(&["eval", "inspect-demo", "--normal", arg(&good), "--defect", arg(&defect), "--json"]);
    let figures: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&figures["n_normal"], &figures["n_defect"]), (&60.into(), &30.into()), "{said}");
    let taught = service.folder.path().join("taught");
    succeed(&["teach", "--normal", arg(&good), "--out", arg(&taught)]);
    let recalibrated = run(&["recalibrate", arg(&taught), "--good", arg(&good)]);
    assert!(recalibrated.status.success(), "{}", text(&recalibrated.stderr));
}

#[test]
fn only_who_may_teach_marks_and_each_try_without_the_right_is_recorded() {
    let service = Service::start(LINE, &format!("control = true\ntoken = \"{TOKEN}\"\nteach_token = \"{TEACH}\"\n"));
    let body = json!({ "files": ["a.png"], "mark": "good" });
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let cookie = |token: &str| format!("Cookie: lineside={token}\r\n");
    let status = |headers: &str| post(&service, headers, &body).status;
    assert_eq!(status(VERSION), 401);
    assert_eq!(status(&format!("{VERSION}{}", bearer("0123456789abcdeX"))), 401);
    for view in [bearer(TOKEN), cookie(TOKEN)] {
        assert_eq!(status(&format!("{VERSION}{view}")), 403);
    }
    service.wait_for("results/events.jsonl", "\"record\":\"command_refused\"");
    assert_eq!(status(&bearer(TEACH)), 200, "a program with the token");
    assert_eq!(status(&format!("{VERSION}{}", cookie(TEACH))), 200, "the page");
    // Other sites' pages have the cookie at most.
    assert_eq!(status(&cookie(TEACH)), 403);
    for site in ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n", "Origin: null\r\n"] {
        assert_eq!(status(&format!("{VERSION}{}{site}", cookie(TEACH))), 403, "{site}");
    }
    let preflight = format!(
        "OPTIONS /marks HTTP/1.1\r\nHost: {}\r\nOrigin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n",
        service.address
    );
    let answer = service.send(&preflight);
    assert!(answer.status == 405 && answer.header("access-control-allow-origin").is_empty());
    // A page of before an update.
    let old = post(&service, &format!("Lineside-Version: 0.0.1\r\n{}", cookie(TEACH)), &body);
    assert_eq!((old.status, text(&old.body).as_str()), (409, "this line was updated: reload the page\n"));
    assert!(!service.folder.path().join("results/marks/good/a.png").exists());
    drop(service);
    let service = Service::start(LINE, "");
    let off = post(&service, VERSION, &body);
    assert_eq!(
        (off.status, text(&off.body).as_str()),
        (404, "commands are taken with status_page.control = true only\n")
    );
}

#[test]
fn what_is_no_request_to_mark_is_refused_in_one_line() {
    let service = Service::start(LINE, "control = true\n");
    let refused = |body: &Value| {
        let answer = post(&service, VERSION, body);
        let said = text(&answer.body);
        assert_eq!(said.lines().count(), 1, "{said}");
        (answer.status, said)
    };
    for body in [
        json!([]),
        json!({}),
        json!({ "files": "a.png", "mark": "good" }),
        json!({ "files": [1], "mark": "good" }),
        json!({ "files": ["a.png"], "mark": "bad" }),
        json!({ "files": ["a.png"], "mark": "defect" }),
        json!({ "files": ["a.png"], "mark": "good", "kind": "x" }),
        json!({ "files": ["a.png"], "mark": "defect", "kind": "../x" }),
        json!({ "files": ["a.png"], "mark": "good", "more": 1 }),
    ] {
        let (status, said) = refused(&body);
        assert_eq!(status, 422, "{body}: {said}");
    }
    // Ten thousand labels in one request are taken; more are not.
    let names = |count: usize| (0..count).map(|i| format!("20261121T041500{i:05}Z-part.png")).collect::<Vec<_>>();
    let answer = post(&service, VERSION, &json!({ "files": names(10_000), "mark": "good" }));
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&said["marked"], said["missing"].as_array().unwrap().len()), (&0.into(), 10_000));
    let (status, said) = refused(&json!({ "files": names(10_001), "mark": "good" }));
    assert!(status == 413 && said.contains("10001 frames, more than 10000"), "{status} {said}");
    assert_eq!(refused(&json!({ "files": names(60_000), "mark": "good" })).0, 413);
    let nested =
        service.post("/marks", &format!("Content-Type: application/json\r\n{VERSION}"), "[".repeat(500_000).as_bytes());
    assert_eq!(nested.status, 422);
    assert_eq!(service.post("/marks", VERSION, b"{}").status, 415);
    service.goes_on(4.0);
    let memory = service.status()["memory"].clone();
    assert!(memory["peak_bytes"].as_u64() <= memory["bill_bytes"].as_u64(), "{memory}");
}

#[test]
fn a_full_disk_marks_nothing_and_keeps_what_it_has() {
    // More is to stay free than this disk has.
    let service = Service::start_with(LINE, "keep_free = \"1 PiB\"\n", "control = true\n");
    let answer = post(&service, VERSION, &json!({ "files": ["a.png"], "mark": "good" }));
    let said = text(&answer.body);
    assert!(answer.status == 507 && said.starts_with("the disk is full: no mark of this request counts"), "{said}");
    service.goes_on(4.0);
}

/// A proxy that has the line below a path, as docs/http.md says.
fn proxy(to: String, base: &'static str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let to = to.clone();
            std::thread::spawn(move || forward(client, &to, base));
        }
    });
    address
}

fn forward(mut client: TcpStream, to: &str, base: &str) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut line = TcpStream::connect(to).ok()?;
    if !head.split(' ').nth(1)?.starts_with(base) {
        client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
        return None;
    }
    line.write_all(head.replacen(base, "/", 1).as_bytes()).ok()?;
    let (mut from_client, mut to_line) = (client.try_clone().ok()?, line.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_line));
    std::io::copy(&mut line, &mut client).ok()?;
    client.shutdown(std::net::Shutdown::Both).ok()
}

fn pictures_of(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

const SHOWN: &str = "document.querySelectorAll('#grid li').length";
const CHOSEN: &str = "document.querySelectorAll('#grid li[aria-selected=true]').length";

/// Holds the first request for events back until `held` is called, and lets requests fail while the board is `away`.
const LATE: &str = "window.held = []; window.late = 0; window.away = false;
    const through = window.fetch;
    window.fetch = async (path, options) => {
        if (away) throw new TypeError('away');
        if (String(path).startsWith('events?') && !held.length) {
            const answer = await through(path, options);
            await new Promise(go => held.push(go));
            setTimeout(() => late++, 0);
            return answer }
        return through(path, options) };
    window.filter = kind => { const e = document.getElementById('f-kind'); e.value = kind; e.dispatchEvent(new Event('change', { bubbles: true })) };
    filter('event'); 0";

#[test]
fn a_browser_reviews_and_marks_with_pointer_keys_and_finger_behind_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start(folder.path()) else { return };
    let service = started();
    let marks = service.folder.path().join("results/marks");
    let address = proxy(service.address.clone(), "/line-7/");
    browser.screen(1200, 900, "light");
    browser.ask("Page.navigate", json!({ "url": format!("http://{address}/line-7/") }));
    browser.wait("document.getElementById('live')?.naturalWidth > 0");
    browser.click("a[href=review]", false);
    browser.wait(&format!("location.pathname === '/line-7/review' && {SHOWN} >= 90"));
    browser.wait(
        "[...document.querySelectorAll('#grid img')].slice(0, 12).every(img => img.complete && img.naturalWidth > 0)",
    );
    browser.wait("!document.getElementById('counts').textContent.includes('only to look')");
    // Of one kind, and by score.
    browser.evaluate("document.getElementById('f-kind').value = 'normal'; document.getElementById('f-kind').dispatchEvent(new Event('change', {bubbles: true})); 0");
    browser.wait(&format!("{SHOWN} >= 50 && !document.querySelector('#grid .word.defect')"));
    // One by one, and up to another.
    browser.click("#grid li:nth-child(1)", false);
    browser.click("#grid li:nth-child(3)", false);
    assert_eq!(browser.evaluate(CHOSEN), 2);
    browser.click("#grid li:nth-child(6)", true);
    assert_eq!(browser.evaluate(CHOSEN), 5);
    browser.keep("review-1200-light");
    browser.click("#good", false);
    browser.wait("document.getElementById('told').textContent === '5 frames marked good'");
    assert_eq!((pictures_of(&marks.join("good")), browser.evaluate(CHOSEN)), (5, 0.into()));
    // By keys alone.
    for (key, shift) in [("ArrowRight", false), (" ", false), ("ArrowRight", true), ("ArrowRight", true), ("d", false)]
    {
        browser.key(key, shift);
    }
    browser.wait("document.getElementById('told').textContent === '3 frames marked defect'");
    assert_eq!(pictures_of(&marks.join("defect/defect")), 3);
    browser.key("u", false);
    browser.wait("document.getElementById('told').textContent === '1 frame not marked any more'");
    assert_eq!(pictures_of(&marks.join("defect/defect")), 2);
    browser.key("Enter", false);
    browser.wait("document.getElementById('large').open && document.querySelector('#large img').naturalWidth > 0");
    browser.key("Escape", false);
    browser.wait("!document.getElementById('large').open");
    // A finger, on a phone, in the dark.
    browser.screen(360, 740, "dark");
    browser.ask("Emulation.setTouchEmulationEnabled", json!({ "enabled": true }));
    browser.evaluate("document.getElementById('f-kind').value = 'event'; document.getElementById('f-kind').dispatchEvent(new Event('change', {bubbles: true})); 0");
    browser.wait("document.querySelector('#grid .word')?.textContent === 'defect'");
    browser.tap("#grid li:nth-child(2)");
    browser.wait(&format!("{CHOSEN} === 1"));
    browser.evaluate("document.getElementById('kind').value = 'scratch'; 0");
    browser.tap("#defect");
    browser.wait("document.getElementById('told').textContent === '1 frame marked scratch'");
    assert_eq!(pictures_of(&marks.join("defect/scratch")), 1);
    let wide = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(wide <= 360, "{wide} of 360 pixels: the page does not fit");
    browser.wait(
        "[...document.querySelectorAll('#grid img')].slice(0, 6).every(img => img.complete && img.naturalWidth > 0)",
    );
    browser.keep("review-360-dark");
    // What an earlier filter's request brings late is not shown among the frames of the one that was chosen since.
    browser.evaluate(LATE);
    browser.wait("held.length === 1");
    browser.evaluate("filter('event'); 0");
    browser.wait(&format!("{SHOWN} > 0 && !loading"));
    browser.evaluate("filter('normal'); held.forEach(one => one()); 0");
    browser.wait(&format!("{SHOWN} > 0 && !loading && late === 1"));
    assert_eq!(browser.evaluate("document.querySelectorAll('#grid .word.defect').length"), 0);
    // A mark that does not reach the board can be given again.
    browser.evaluate("filter('event'); 0");
    browser.wait(&format!(
        "{SHOWN} > 2 && !loading && document.querySelectorAll('#grid .word:not(.defect)').length === 0"
    ));
    browser.tap("#grid li:nth-child(4)");
    browser.evaluate("away = true; 0");
    browser.tap("#defect");
    browser.wait("document.getElementById('told').textContent === 'the board does not answer'");
    browser.evaluate("away = false; 0");
    browser.wait("!document.getElementById('defect').disabled");
    browser.tap("#defect");
    browser.wait("document.getElementById('told').textContent === '1 frame marked scratch'");
    // A page of before an update says so, and marks nothing.
    browser.evaluate("version = '0.0.1'; 0");
    browser.tap("#grid li:nth-child(3)");
    browser.tap("#defect");
    browser.wait("document.getElementById('told').textContent === 'this line was updated: reload the page'");
    assert_eq!(pictures_of(&marks.join("defect/scratch")), 2);
}

#[test]
fn the_review_page_has_a_name_for_everything_and_enough_contrast() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start(folder.path()) else { return };
    let service = started();
    let page = service.get("/review");
    assert!(
        page.status == 200 && page.body.len() < 150 << 10 && !text(&page.body).contains("://"),
        "{}",
        page.body.len()
    );
    for scheme in ["light", "dark"] {
        browser.screen(1200, 900, scheme);
        browser.ask("Page.navigate", json!({ "url": format!("http://{}/review", service.address) }));
        browser.wait(&format!("document.readyState === 'complete' && {SHOWN} >= 90"));
        assert_eq!(browser.evaluate(NAMELESS), json!([]));
        assert_eq!(browser.evaluate(FAINT), json!([]), "{scheme}");
    }
}
