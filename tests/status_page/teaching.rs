//! `/teaching` and the page `/teach`: the bundle is recalibrated or taught anew beside inspection, by a process of its own, and what comes of it
//! is a version in the bundle's home.

use crate::chromium::Browser;
use crate::common::{HANGS, arg, eventually, records, succeed, text};
use crate::visitor::{Answer, Service, TOKEN};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const TEACH: &str = "fedcba9876543210";
const VERSION: &str = concat!("Lineside-Version: ", env!("CARGO_PKG_VERSION"), "\r\n");
/// Enough for both, also on a board of many cores.
const PAGE: &str = "control = true\nteach_memory = \"400 MiB\"\n";

/// Frames of a line without defects, a little different from each other.
fn line(home: &Path) -> String {
    format!(
        "[budget]\nmemory = \"1 GiB\"\n[source.pattern]\nwidth = 320\nheight = 240\nfps = 20.0\ndefect_every = 0\n\
         [anomaly]\nbundle = {home:?}\n"
    )
}

/// A home with a bundle that was taught with the pattern by a small backbone: jobs take little time also behind everything else on a busy
/// machine. Confirmed.
fn home(folder: &Path) -> PathBuf {
    home_by(folder, "tests/data/backbone-tiny")
}

fn home_by(folder: &Path, backbone: &str) -> PathBuf {
    let (config, taught, store) = (folder.join("camera.toml"), folder.join("taught"), folder.join("store"));
    std::fs::write(&config, "[source.pattern]\nwidth = 320\nheight = 240\nfps = 200.0\n").unwrap();
    let camera = ["teach", "--camera", arg(&config), "--every", "0", "--frames", "24", "--out", arg(&taught)];
    succeed(&[&camera[..], &["--detail", "coarse", "--backbone", backbone]].concat());
    succeed(&["bundle", "install", arg(&taught), "--store", arg(&store), "--as", "parts", "--confirm-within", "0s"]);
    succeed(&["bundle", "confirm", "parts", "--store", arg(&store)]);
    store.join("parts")
}

fn post(service: &Service, headers: &str, body: &Value) -> Answer {
    service.post("/teaching", &format!("Content-Type: application/json\r\n{headers}"), body.to_string().as_bytes())
}

fn teaching(service: &Service) -> Value {
    serde_json::from_slice(&service.get("/teaching").body).unwrap()
}

/// The versions; while the line takes another one nobody answers.
fn versions(service: &Service) -> Value {
    let ask = format!("GET /bundle HTTP/1.1\r\nHost: {}\r\n\r\n", service.address);
    eventually("versions", || serde_json::from_slice(&service.try_send(&ask).ok()?.body).ok())
}

fn order(of: &Value, what: &str, frames: &str, role: &str) -> Value {
    json!({ "do": "start", "of": of, "what": what, "frames": frames, "role": role })
}

/// Waits until the newest job is as wanted. While the line takes a new version nobody answers.
fn job(service: &Service, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let (begun, ask) = (Instant::now(), format!("GET /teaching HTTP/1.1\r\nHost: {}\r\n\r\n", service.address));
    loop {
        let state = service.try_send(&ask).ok().and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok());
        if let Some(state) = &state
            && wanted(&state["job"])
        {
            return state["job"].clone();
        }
        assert!(begun.elapsed() < 4 * HANGS, "no {what}: {state:?} {}", service.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn done(service: &Service) -> Value {
    let job = job(service, "end", |job| !matches!(job["state"].as_str(), Some("collecting" | "running")));
    assert_eq!(job["state"], "done", "{job} {}", service.log());
    job
}

/// Marks so many kept frames as good.
fn mark(service: &Service, count: usize) {
    mark_both(service, count, 0);
}

/// Marks so many kept frames as good, and so many others as defects.
fn mark_both(service: &Service, good: usize, defects: usize) {
    let count = good + defects;
    let files = eventually("frames", || {
        let answer = service.get(&format!("/events?kind=normal,event&limit={count}"));
        let page: Value = serde_json::from_slice(&answer.body).unwrap();
        let events = page["events"].as_array().unwrap();
        let files: Vec<Value> = events.iter().map(|one| one["files"]["original"].clone()).collect();
        Some(files).filter(|files| files.len() == count)
    });
    let (good, defects) = files.split_at(good);
    let headers = format!("Content-Type: application/json\r\n{VERSION}");
    for body in
        [json!({ "files": good, "mark": "good" }), json!({ "files": defects, "mark": "defect", "kind": "dent" })]
    {
        assert_eq!(service.post("/marks", &headers, body.to_string().as_bytes()).status, 200);
    }
}

/// What a version found of the marked frames: the score of each, by the name of its picture.
fn scores(service: &Service, version: &Value) -> BTreeMap<String, f64> {
    let answer = service.get(&format!("/scores?version={}", version.as_str().unwrap()));
    assert_eq!(answer.status, 200, "{}", text(&answer.body));
    let lines = text(&answer.body);
    let frames = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let name = |frame: &Value| frame["file"].as_str().unwrap().rsplit('/').next().unwrap().to_string();
    frames.map(|frame| (name(&frame), frame["score"].as_f64().unwrap())).collect()
}

fn judge(version: &Value) -> Value {
    json!({ "do": "judge", "version": version })
}

fn ended(service: &Service, outcome: &str) -> Value {
    service.wait_for("results/events.jsonl", &format!("\"outcome\":\"{outcome}\""));
    let records = records(&service.folder.path().join("results"));
    records.into_iter().rfind(|one| one["record"] == "teaching_ended").unwrap()
}

/// No file of a job is left in a home.
fn is_clean(home: &Path) -> bool {
    !home.join(".teaching").exists()
}

#[test]
fn marked_frames_recalibrate_the_bundle_beside_inspection() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let service = Service::start_with(&line(&home), "normal_every = 1\n", PAGE);
    let first = teaching(&service);
    assert_eq!(
        (&first["home"], &first["problem"], &first["may_teach"], &first["job"]),
        (&"parts".into(), &Value::Null, &true.into(), &Value::Null)
    );
    // Too few.
    let answer = post(&service, VERSION, &order(&first["active"], "recalibrate", "marks", "shadow"));
    let said = text(&answer.body);
    assert!(answer.status == 422 && said.starts_with("0 frames are marked good: to recalibrate at least 8"), "{said}");
    mark(&service, 12);
    assert_eq!(teaching(&service)["marked_good"], 12);
    let answer = post(&service, VERSION, &order(&first["active"], "recalibrate", "marks", "shadow"));
    assert_eq!(answer.status, 200, "{}", text(&answer.body));
    let job = done(&service);
    assert_eq!((&job["result"]["frames"], &job["what"]), (&12.into(), &"recalibrate".into()), "{job}");
    service.wait("a shadow", |status| status["shadow"]["judged"].as_u64() > Some(3));
    let state = versions(&service);
    assert_eq!((&state["active"]["id"], &state["shadow"]["id"]), (&first["active"], &job["version"]));
    assert!(is_clean(&home));
    let end = ended(&service, "done");
    assert_eq!((&end["version"], &end["of"]), (&job["version"], &first["active"]));
    let log = records(&service.folder.path().join("results"));
    let begun = log.iter().find(|one| one["record"] == "teaching_begun").unwrap();
    assert_eq!(
        (&begun["role"], &begun["from"], &begun["what"], &begun["with"], &begun["frames"], &begun["as"]),
        (&"teach".into(), &"127.0.0.1".into(), &"recalibrate".into(), &"marks".into(), &12.into(), &"shadow".into())
    );
    succeed(&["bundle", "verify", arg(&home)]);
}

/// What is recorded of a frame is what the same version finds of its picture, to the last bit; another version finds something else.
#[test]
fn versions_judge_the_marked_frames_and_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let service = Service::start_with(&line(&home), "normal_every = 1\n", PAGE);
    let active = teaching(&service)["active"].clone();
    let refused = |wanted: &Value| {
        let answer = post(&service, VERSION, wanted);
        (answer.status, text(&answer.body))
    };
    let none = (422, String::from("no frame is marked good: mark some on the review page\n"));
    assert_eq!(refused(&judge(&active)), none);
    mark_both(&service, 12, 5);
    assert_eq!(refused(&judge(&"0123456789abcdef".into())), (409, "there is no such version: look again\n".into()));
    assert_eq!(refused(&order(&active, "judge", "marks", "shadow")).0, 422);
    let path = format!("/scores?version={}", active.as_str().unwrap());
    for (path, status) in [(path.as_str(), 404), ("/scores?version=../../state", 404), ("/scores", 400)] {
        assert_eq!(service.get(path).status, status, "{path}");
    }
    assert_eq!(post(&service, VERSION, &judge(&active)).status, 200);
    let job = done(&service);
    assert_eq!((&job["what"], &job["role"], &job["version"]), (&"judge".into(), &Value::Null, &active), "{job}");
    let found = scores(&service, &active);
    let page: Value = serde_json::from_slice(&service.get("/events?mark=any&limit=200").body).unwrap();
    let recorded = page["events"].as_array().unwrap().iter().map(|one| {
        let name = one["files"]["original"].as_str().unwrap().rsplit('/').next().unwrap();
        (name.to_string(), one["score"].as_f64().unwrap())
    });
    assert_eq!((found.len(), found), (17, recorded.collect()));
    assert_eq!(versions(&service)["active"]["has_scores"], true);

    // Of another version. A damaged picture is named, and the others count.
    assert_eq!(post(&service, VERSION, &order(&active, "recalibrate", "marks", "shadow")).status, 200);
    let shadow = done(&service)["version"].clone();
    service.wait("a shadow", |status| status["shadow"]["judged"].as_u64() > Some(3));
    let marks = service.folder.path().join("results/marks");
    std::fs::write(marks.join("good/20261121T041500423Z-part-06.png"), "no picture").unwrap();
    assert_eq!(post(&service, VERSION, &judge(&shadow)).status, 200);
    let job = done(&service);
    let warning = job["warnings"].as_array().unwrap().last().unwrap().as_str().unwrap();
    assert!(warning.starts_with("the figures are without 1 pictures"), "{job}");
    let (old, new) = (scores(&service, &active), scores(&service, &shadow));
    assert!(new.keys().eq(old.keys()) && new != old);
    let state = versions(&service);
    assert_eq!((&state["shadow"]["has_scores"], &state["shadow"]["scores_as_active"]), (&true.into(), &false.into()));

    // What a version found that is gone goes with the next.
    let headers = format!("Content-Type: application/json\r\n{VERSION}");
    let end = json!({ "do": "end_shadow", "of": active });
    assert_eq!(service.post("/bundle", &headers, end.to_string().as_bytes()).status, 200);
    service.wait("no shadow", |status| status["shadow"].is_null() && status["verdicts"].as_u64() > Some(3));
    assert_eq!(post(&service, VERSION, &judge(&active)).status, 200);
    done(&service);
    let kept = std::fs::read_dir(home.join(".scores")).unwrap().count();
    assert!(kept == 1 && is_clean(&home), "{kept}");
    let judged = |record: &str| {
        let records = records(&service.folder.path().join("results"));
        records.iter().filter(|one| one["record"] == record && one["what"] == "judge").count()
    };
    eventually("the records", || ((judged("teaching_begun"), judged("teaching_ended")) == (3, 3)).then_some(()));
    succeed(&["bundle", "verify", arg(&home)]);
}

#[test]
fn frames_of_the_camera_teach_a_version_that_goes_on_trial_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let service = Service::start(&line(&home), PAGE);
    let first = teaching(&service);
    let mut wanted = order(&first["active"], "teach", "camera", "active");
    (wanted["count"], wanted["every_s"]) = (16.into(), 0.0.into());
    assert_eq!(post(&service, VERSION, &wanted).status, 200);
    let again = post(&service, VERSION, &wanted);
    assert_eq!(
        (again.status, text(&again.body).as_str()),
        (409, "something is taught already: wait for it, or cancel it\n")
    );
    let job = done(&service);
    assert_eq!((&job["taken"], &job["count"]), (&16.into(), &16.into()), "{job}");
    // While the line reloads nobody answers.
    let log = service.folder.path().join("results/events.jsonl");
    let starts = || std::fs::read_to_string(&log).unwrap().matches("\"record\":\"start\"").count();
    eventually("a run with the new version", || (starts() == 2).then_some(()));
    service.wait("frames", |status| status["verdicts"].as_u64() > Some(3));
    let state = versions(&service);
    assert_eq!((&state["active"]["id"], &state["previous"]["id"]), (&job["version"], &first["active"]));
    assert!(state["confirmed"] == false && is_clean(&home));
    // Taught as the one before was.
    let manifest = |id: &Value| {
        let path = home.join("versions").join(id.as_str().unwrap()).join("bundle.toml");
        std::fs::read_to_string(path).unwrap().parse::<toml::Table>().unwrap()
    };
    let (old, new) = (manifest(&first["active"]), manifest(&job["version"]));
    assert_eq!((&new["anomaly"]["views"], &new["licence"]), (&old["anomaly"]["views"], &old["licence"]));
    assert!(new["measured"]["pictures"].as_integer() <= Some(16));
    let back = json!({ "do": "rollback", "of": job["version"] });
    let headers = format!("Content-Type: application/json\r\n{VERSION}");
    assert_eq!(service.post("/bundle", &headers, back.to_string().as_bytes()).status, 200);
    eventually("a run with the version before", || (starts() == 3).then_some(()));
    service.wait("frames", |status| status["verdicts"].as_u64() > Some(3));
    assert_eq!(versions(&service)["active"]["id"], first["active"]);
}

#[test]
fn a_job_that_is_cancelled_killed_or_left_behind_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let state = || std::fs::read_to_string(home.join("state.toml")).unwrap();
    let before = state();
    // What a power cut left is removed at the start.
    std::fs::create_dir_all(home.join(".teaching/frames")).unwrap();
    std::fs::write(home.join(".teaching/frames/good-0001.png"), "x").unwrap();
    let mut service = Service::start(&line(&home), PAGE);
    eventually("a clean home", || is_clean(&home).then_some(()));
    let of = teaching(&service)["active"].clone();
    let mut wanted = order(&of, "teach", "camera", "shadow");
    (wanted["count"], wanted["every_s"]) = (500.into(), 60.0.into());
    // Cancelled while frames are taken.
    assert_eq!(post(&service, VERSION, &json!({ "do": "cancel" })).status, 409);
    assert_eq!(post(&service, VERSION, &wanted).status, 200);
    job(&service, "frame", |job| job["taken"] == 1);
    assert_eq!(post(&service, VERSION, &json!({ "do": "cancel" })).status, 200);
    job(&service, "end", |job| job["state"] == "cancelled");
    assert_eq!(ended(&service, "cancelled")["from"], "127.0.0.1");
    assert!(is_clean(&home));
    // Its process is killed while it works.
    (wanted["count"], wanted["every_s"]) = (40.into(), 0.0.into());
    assert_eq!(post(&service, VERSION, &wanted).status, 200);
    let child = eventually("a process", || {
        let state = teaching(&service);
        assert!(matches!(state["job"]["state"].as_str(), Some("collecting" | "running")), "{state}");
        children(&service).first().copied()
    });
    kill(child, "-KILL");
    let failed = job(&service, "end", |job| job["state"] == "failed");
    assert!(failed["problem"].as_str().unwrap().starts_with("it was killed"), "{failed}");
    assert!(is_clean(&home));
    service.goes_on(5.0);
    // The line is killed: its process ends by itself.
    assert_eq!(post(&service, VERSION, &wanted).status, 200);
    let child = eventually("a process", || children(&service).first().copied());
    service.kill();
    eventually("the end of its process", || is_gone(child).then_some(()));
    assert!(!is_clean(&home), "a power cut leaves what was there");
    drop(service);
    let service = Service::start(&line(&home), PAGE);
    eventually("a clean home", || is_clean(&home).then_some(()));
    assert!(teaching(&service)["job"].is_null());
    // A reload ends it.
    (wanted["count"], wanted["every_s"]) = (500.into(), 60.0.into());
    assert_eq!(post(&service, VERSION, &wanted).status, 200);
    service.reload();
    job(&service, "end", |job| job["state"] == "stopped");
    ended(&service, "stopped");
    eventually("a clean home", || is_clean(&home).then_some(()));
    assert_eq!(state(), before);
    let kept = std::fs::read_dir(home.join("versions")).unwrap().count();
    assert_eq!(kept, 1, "nothing was made");
}

fn children(service: &Service) -> Vec<u32> {
    let id = service.id();
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let of_each = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    of_each.flat_map(|ids| ids.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<u32>>()).collect()
}

/// Whether a process has ended: nobody may have reaped it yet.
fn is_gone(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

fn kill(id: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &id.to_string()]).status().unwrap().success());
}

#[test]
fn what_cannot_be_taught_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    // With more of a backbone than the least memory has room for.
    let home = home_by(folder.path(), "backbone-lite0");
    let refused = |service: &Service, headers: &str, body: &Value| {
        let answer = post(service, headers, body);
        let said = text(&answer.body);
        assert_eq!(said.lines().count(), 1, "{said}");
        (answer.status, said)
    };
    // Not allowed.
    let service = Service::start(&line(&home), "control = true\n");
    let of = versions(&service)["active"]["id"].clone();
    let wanted = order(&of, "recalibrate", "marks", "shadow");
    let (status, said) = refused(&service, VERSION, &wanted);
    assert!(
        status == 404 && said.contains("status_page.teach_memory") && teaching(&service)["problem"] == said.trim_end()
    );
    drop(service);
    // By the right.
    let page = format!("{PAGE}token = \"{TOKEN}\"\nteach_token = \"{TEACH}\"\n");
    let service = Service::start(&line(&home), &page);
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    assert_eq!(post(&service, VERSION, &wanted).status, 401);
    assert_eq!(refused(&service, &bearer(TOKEN), &wanted).0, 403);
    service.wait_for("results/events.jsonl", "\"what\":\"teaching\"");
    assert_eq!(refused(&service, &format!("Lineside-Version: 0.0.1\r\n{}", bearer(TEACH)), &wanted).0, 409);
    let mut camera = order(&of, "teach", "camera", "shadow");
    camera["count"] = 9.into();
    let (status, said) = refused(&service, &bearer(TEACH), &camera);
    assert!(status == 422 && said.starts_with("count must lie in 10..500"), "{said}");
    camera["count"] = 10.into();
    camera["of"] = "0123456789abcdef".into();
    assert_eq!(refused(&service, &bearer(TEACH), &camera).0, 409);
    assert_eq!(refused(&service, &bearer(TEACH), &json!({ "do": "forget" })).0, 422);
    drop(service);
    // More is to stay free than this disk has.
    let service = Service::start_with(&line(&home), "keep_free = \"1 PiB\"\n", PAGE);
    camera["of"] = of.clone();
    let (status, said) = refused(&service, VERSION, &camera);
    assert!(status == 507 && said.starts_with("the disk is full") && is_clean(&home), "{said}");
    drop(service);
    // Too little memory: the process ends, and says why; the line goes on.
    let service = Service::start(&line(&home), "control = true\nteach_memory = \"16 MiB\"\n");
    camera["every_s"] = 0.0.into();
    assert_eq!(post(&service, VERSION, &camera).status, 200);
    let failed = job(&service, "end", |job| job["state"] == "failed");
    let problem = failed["problem"].as_str().unwrap();
    assert!(problem.contains("status_page.teach_memory (16.0 MiB): set more"), "{problem}");
    service.goes_on(5.0);
    assert!(ended(&service, "failed")["problem"].as_str() == Some(problem) && is_clean(&home));
    drop(service);
    // A bundle outside of a store.
    let service = Service::start(&line(Path::new("inspect-demo")), PAGE);
    let (status, said) = refused(&service, VERSION, &camera);
    assert!(status == 409 && said.contains("lineside bundle install"), "{said}");
}

#[test]
fn a_browser_has_two_versions_judge_the_marked_frames() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start(folder.path()) else { return };
    let home = home(folder.path());
    let service = Service::start_with(&line(&home), "normal_every = 1\n", PAGE);
    mark_both(&service, 14, 6);
    let active = teaching(&service)["active"].clone();
    let mut wanted = order(&active, "teach", "camera", "shadow");
    (wanted["count"], wanted["every_s"]) = (16.into(), 0.0.into());
    assert_eq!(post(&service, VERSION, &wanted).status, 200);
    let shadow = done(&service)["version"].clone();
    service.wait("a shadow", |status| status["shadow"]["judged"].as_u64() > Some(3));
    browser.screen(1200, 900, "light");
    browser.ask("Page.navigate", json!({ "url": format!("http://{}/compare", service.address) }));
    browser.wait("document.getElementById('counts')?.textContent === '20 of 20 marked frames'");
    browser.wait("!document.getElementById('judge').disabled && document.getElementById('h-other').hidden");
    browser.click("#judge", false);
    browser.wait(
        "document.getElementById('h-other').textContent === 'beside' && !document.getElementById('h-other').hidden",
    );
    browser.wait("document.getElementById('judging').hidden");
    // The counts are those of what both found.
    let threshold = |role: &str| versions(&service)[role]["threshold"].as_f64().unwrap();
    let (now, beside) = (threshold("active"), threshold("shadow"));
    let page: Value = serde_json::from_slice(&service.get("/events?mark=any&limit=200").body).unwrap();
    let events = page["events"].as_array().unwrap();
    let found = scores(&service, &shadow);
    let score = |one: &Value| found[one["files"]["original"].as_str().unwrap().rsplit('/').next().unwrap()];
    let of = |mark: &str| events.iter().filter(|one| one["mark"] == mark).collect::<Vec<&Value>>();
    let alarms = of("good").into_iter().filter(|one| score(one) >= beside).count();
    let misses = of("defect").into_iter().filter(|one| score(one) < beside).count();
    let shown = |browser: &mut Browser, id: &str| {
        browser.evaluate(&format!("document.getElementById('{id}').textContent")).as_str().unwrap().to_string()
    };
    assert_eq!(
        (shown(&mut browser, "f-other"), shown(&mut browser, "m-other")),
        (alarms.to_string(), misses.to_string())
    );
    let sides = |one: &&Value| (one["score"].as_f64() >= Some(now)) != (score(one) >= beside);
    let changed = events.iter().filter(sides).count() as u64;
    assert_eq!(browser.evaluate("document.querySelectorAll('#list li').length").as_u64(), Some(changed));
    assert!(shown(&mut browser, "changes").starts_with("with the version beside · "));
    browser.keep("compare-versions-1200-light");
    browser.screen(1200, 900, "dark");
    browser.keep("compare-versions-1200-dark");
    for scheme in ["light", "dark"] {
        browser.screen(360, 740, scheme);
        let wide = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
        assert!(wide <= 360, "{wide} of 360 pixels: the page does not fit");
        assert_eq!(browser.evaluate(crate::chromium::NAMELESS), json!([]));
        assert_eq!(browser.evaluate(crate::chromium::FAINT), json!([]), "{scheme}");
        browser.keep(&format!("compare-versions-360-{scheme}"));
    }
}

#[test]
fn a_browser_recalibrates_by_pointer_and_finger() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start(folder.path()) else { return };
    let home = home(folder.path());
    let service = Service::start_with(&line(&home), "normal_every = 1\n", PAGE);
    browser.screen(1200, 900, "light");
    browser.ask("Page.navigate", json!({ "url": format!("http://{}/teach", service.address) }));
    browser.wait("document.getElementById('problem')?.textContent.startsWith('0 frames are marked good: at least 8')");
    assert_eq!(browser.evaluate("document.getElementById('start').disabled"), true);
    browser.keep("teach-1200-light");
    mark(&service, 12);
    browser.wait("document.getElementById('marked').textContent === 'Those marked as good (12)'");
    assert_eq!(browser.evaluate("document.getElementById('start').disabled"), false);
    browser.click("#start", false);
    browser.wait("document.getElementById('state').textContent === 'Done: it is judged beside the one in use'");
    browser.wait("document.getElementById('rows').textContent.startsWith('oldnewfalse alarms among 12 frames')");
    browser.keep("teach-done-1200-light");
    browser.screen(1200, 900, "dark");
    browser.keep("teach-done-1200-dark");
    service.wait("a shadow", |status| status["shadow"]["judged"].as_u64() > Some(3));
    // A finger, on a phone: frames of the camera, cancelled.
    browser.ask("Emulation.setTouchEmulationEnabled", json!({ "enabled": true }));
    browser.screen(360, 740, "dark");
    browser
        .wait("document.getElementById('start').textContent === 'Start' && !document.getElementById('start').disabled");
    browser.tap("input[value=teach]");
    browser.tap("input[value=camera]");
    browser.wait("!document.getElementById('camera').hidden");
    browser.evaluate("document.getElementById('every').value = 60; choose(); 0");
    browser.tap("#start");
    browser.wait("document.getElementById('state').textContent === '1 of 60 frames taken'");
    let wide = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(wide <= 360, "{wide} of 360 pixels: the page does not fit");
    browser.keep("teach-360-dark");
    browser.screen(360, 740, "light");
    browser.keep("teach-360-light");
    browser.tap("#cancel");
    browser.wait("document.getElementById('state').textContent === 'Cancelled: nothing was changed'");
    browser.wait("document.getElementById('told').textContent === 'Cancelled: nothing was changed'");
    for scheme in ["light", "dark"] {
        browser.screen(360, 740, scheme);
        assert_eq!(browser.evaluate(crate::chromium::NAMELESS), json!([]));
        assert_eq!(browser.evaluate(crate::chromium::FAINT), json!([]), "{scheme}");
    }
    let page = service.get("/teach");
    let all: usize = ["/", "/review", "/compare", "/teach"].iter().map(|path| service.get(path).body.len()).sum();
    assert!(page.status == 200 && all < 150 << 10 && !text(&page.body).contains("://"));
}
