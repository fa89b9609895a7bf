//! The status page as a visitor meets it: what it shows, what it refuses, and that no visitor slows inspection.

use crate::common::{HANGS, arg, config, eventually, has, lineside, text};
use crate::visitor::{PartReader, Service, TOKEN, free_port};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

#[test]
fn it_shows_what_the_line_does() {
    let begun = Instant::now();
    let service = Service::start("[source.pattern]\nwidth = 160\nheight = 120\nfps = 20.0\ndefect_every = 2\n", "");
    let page = service.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.body.len() < 60 << 10 && page.header("content-security-policy").starts_with("default-src 'none'"));
    for outside in ["http://", "https://", "//"] {
        let page = text(&page.body).replace("http://www.w3.org/2000/svg", "");
        let script = page.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<String>();
        assert!(!script.contains(outside), "{outside}");
    }

    let status = service.wait("events with pictures", |status| {
        status["events"][2]["picture"].is_string()
            && status["fps"].is_number()
            && status["chart_defects"][2].is_number()
    });
    let frames = &status["frames"];
    let sum = ["inspected", "skipped_similar", "dropped_stale", "failed"].map(|fate| frames[fate].as_u64().unwrap());
    assert_eq!(frames["captured"].as_u64().unwrap(), sum.iter().sum::<u64>());
    assert!(status["healthy"] == true && status["problem"].is_null() && status["source_state"] == "flowing");
    assert!(
        status["severities"].as_array().unwrap().len() > 3
            && status["since_defect_s"].as_f64().unwrap() < begun.elapsed().as_secs_f64()
    );
    assert!(status["latency_ms"]["last"].as_f64().unwrap() > 0.0 && status["threshold"].as_f64().unwrap() > 0.5);
    let memory = &status["memory"];
    assert!(memory["bill_bytes"].as_u64() <= memory["budget_bytes"].as_u64(), "{memory}");
    assert!(memory["peak_bytes"].as_u64() <= memory["bill_bytes"].as_u64(), "{memory}");

    let picture = service.get(&format!("/events/{}", status["events"][0]["picture"].as_str().unwrap()));
    assert_eq!(
        (picture.status, picture.header("content-type"), &picture.body[1..4]),
        (200, "image/png", b"PNG".as_slice())
    );
    let frame = service.get("/frame.jpg");
    assert_eq!(
        (frame.status, frame.header("content-type"), &frame.body[..2]),
        (200, "image/jpeg", b"\xff\xd8".as_slice())
    );
    assert_eq!((service.get("/healthz").status, text(&service.get("/healthz").body).as_str()), (200, "ok\n"));
    // Ten seconds after the start.
    let status = service.wait("times by stage", |status| status["latency_ms"]["stages"][0].is_object());
    let stages = status["latency_ms"]["stages"].as_array().unwrap();
    assert_eq!(
        stages.iter().map(|one| one["stage"].as_str().unwrap()).collect::<Vec<_>>(),
        ["verdict", "wait", "judge", "write"]
    );
    for one in stages {
        let [p50, p95, p99] = ["p50", "p95", "p99"].map(|name| one[name].as_f64().unwrap());
        assert!(0.0 <= p50 && p50 <= p95 && p95 <= p99 && p99 < begun.elapsed().as_secs_f64() * 1e3, "{one}");
    }
    let head = service.send(&format!("HEAD / HTTP/1.1\r\nHost: {}\r\n\r\n", service.address));
    assert_eq!(
        (head.status, head.body.len(), head.header("content-length")),
        (200, 0, page.body.len().to_string().as_str())
    );
}

#[test]
fn the_live_view_changes_and_keeps_to_its_rate() {
    let service = Service::start(LINE, "max_fps = 10\n");
    let begun = Instant::now();
    let mut stream = service.stream();
    let mut parts = PartReader::new(stream.try_clone().unwrap());
    let first = parts.next();
    let others: Vec<Vec<u8>> = (0..20).map(|_| parts.next()).collect();
    // Ten a second at most, whatever the machine's speed: the pictures after the first took two seconds at least.
    assert!(begun.elapsed() >= Duration::from_millis(1900), "20 pictures in {:?}", begun.elapsed());
    assert!(others.iter().all(|jpeg| jpeg.starts_with(b"\xff\xd8") && jpeg.ends_with(b"\xff\xd9")));
    assert!(others.iter().any(|jpeg| *jpeg != first), "the picture changes");
    assert_eq!(service.status()["viewers"], 1);
    stream.flush().unwrap();
    drop((stream, parts));
    service.wait("an empty seat", |status| status["viewers"] == 0);
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let service = Service::start(LINE, "");
    service.wait("times by stage", |status| status["latency_ms"]["stages"][0].is_object());
    let answer = service.get("/metrics");
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let metrics = text(&answer.body);
    check_exposition(&metrics);
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name}: {metrics}")).parse::<f64>().unwrap()
    };
    let judged = value("lineside_stage_seconds_count{stage=\"judge\"}");
    assert!(judged > 3.0 && judged <= value("lineside_frames_total{fate=\"inspected\"}"));
    assert_eq!(value("lineside_stage_seconds_bucket{stage=\"judge\",le=\"+Inf\"}"), judged);
    assert!(value("lineside_stage_seconds_sum{stage=\"judge\"}") > 0.0 && value("lineside_score") <= 1.0);
    // No broker is configured, and nothing is wrong.
    assert_eq!(value("lineside_fault_active{fault=\"camera\"}"), 0.0);
    assert_eq!((value("lineside_review_needed"), metrics.contains("mqtt_waiting")), (0.0, false));
    if !has("promtool", &["--version"]) {
        return;
    }
    let mut command = Command::new("promtool");
    let mut promtool = command.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}

/// The rules of the text format, and those of `promtool check metrics` that can be broken here: each family once, with help
/// and type, counters that end in `_total`, no other name that does, base units, and histograms that add up.
fn check_exposition(metrics: &str) {
    let (mut families, mut family, mut kind) = (Vec::<String>::new(), String::new(), String::new());
    let (mut below, mut infinite) = (0.0, None);
    assert!(metrics.ends_with('\n'));
    for line in metrics.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(!families.iter().any(|other| other == name) && words.ends_with('.'), "{line}");
            families.push(name.into());
            (family, kind) = (name.into(), String::new());
            continue;
        }
        if let Some(of) = line.strip_prefix("# TYPE ") {
            let (name, word) = of.split_once(' ').unwrap();
            assert!(name == family && kind.is_empty() && ["counter", "gauge", "histogram"].contains(&word), "{line}");
            assert_eq!(word == "counter", name.ends_with("_total"), "{line}");
            assert!(
                !["_milliseconds", "_ms", "_kilobytes", "_count", "_sum", "_bucket"]
                    .iter()
                    .any(|end| name.ends_with(end))
            );
            kind = word.into();
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        let (name, labels) = series.split_once('{').map_or((series, None), |(name, rest)| (name, Some(rest)));
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'), "{line}");
        let end = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line} is not of {family}"));
        let ends: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(ends.contains(&end) && value.is_finite() && (kind == "gauge" || value >= 0.0), "{line}");
        if let Some(labels) = labels {
            let mut pairs = Vec::new();
            for pair in labels.strip_suffix("\"}").unwrap().split("\",") {
                let (label, content) = pair.split_once("=\"").unwrap();
                assert!(
                    label.bytes().all(|byte| byte.is_ascii_lowercase()) && !content.contains(['"', '\n']),
                    "{line}"
                );
                pairs.push((label, content));
            }
            if end == "_bucket" {
                let (label, bound) = *pairs.last().unwrap();
                assert!(label == "le" && value >= below, "{line}");
                infinite = (bound == "+Inf").then_some(value);
                below = if infinite.is_some() { 0.0 } else { value };
            }
        }
        if end == "_count" {
            assert_eq!(infinite, Some(value), "{line}");
        }
    }
    assert!(families.len() > 10 && families.iter().all(|name| name.starts_with("lineside_")));
}

#[test]
fn a_fifth_viewer_waits_outside_and_four_fit_the_bill() {
    let service = Service::start("[source.pattern]\nwidth = 640\nheight = 480\nfps = 15.0\n", "max_fps = 30\n");
    service.wait("a verdict", |status| status["score"].is_number());
    let stuck: Vec<TcpStream> = (0..4).map(|_| service.stream()).collect();
    for path in ["/live.mjpeg", "/frame.jpg"] {
        let refused = service.get(path);
        assert_eq!((refused.status, refused.header("retry-after")), (503, "10"));
    }
    service.goes_on(20.0);
    let status = service.status();
    assert_eq!((&status["viewers"], &status["viewers_limit"]), (&4.into(), &4.into()), "they sat there all the time");
    let memory = &status["memory"];
    assert!(memory["peak_bytes"].as_u64() <= memory["bill_bytes"].as_u64(), "{memory}");
    drop(stuck);
    service.wait("empty seats", |status| status["viewers"] == 0);
    assert_eq!(service.get("/frame.jpg").status, 200);
}

#[test]
fn a_stuck_viewer_loses_its_seat() {
    let service = Service::start("[source.pattern]\nwidth = 640\nheight = 480\nfps = 10.0\n", "max_fps = 10\n");
    let begun = Instant::now();
    let _stuck = service.stream();
    service.wait("a viewer", |status| status["viewers"] == 1);
    service.wait("an empty seat", |status| status["viewers"] == 0);
    assert!(begun.elapsed() > Duration::from_secs(5), "it had time to read: {:?}", begun.elapsed());
}

#[test]
fn hostile_requests_are_refused_and_nothing_else_happens() {
    let service = Service::start(LINE, "");
    let host = format!("Host: {}\r\n", service.address);
    let status = |request: &str| service.send(request).status;
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "x".repeat(9000))), 431, "a huge header");
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(500))), 431, "many headers");
    assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(9000))), 431, "a huge path");
    assert_eq!(status("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"), 400, "TLS");
    assert_eq!(status(&format!("POST / HTTP/1.1\r\n{host}Content-Length: 9999999\r\n\r\nx")), 405);
    // No token would help: none is set.
    assert_eq!(status("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 403, "DNS rebinding");
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 403);
    // The secret lies where each of these would lead.
    std::fs::write(service.folder.path().join("secret.png"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret.png", service.folder.path().join("results/link.png")).unwrap();
    let secret = service.folder.path().join("secret.png").display().to_string();
    let ways = [
        "../secret.png",
        "..%2fsecret.png",
        "%2e%2e/secret.png",
        "..\\secret.png",
        "link.png",
        "events.jsonl",
        "",
        ".",
        &secret,
    ];
    for way in ways {
        let answer = service.send(&format!("GET /events/{way} HTTP/1.1\r\n{host}\r\n"));
        assert!(answer.status == 404 && !text(&answer.body).contains("secret"), "{way}: {}", answer.status);
    }
    assert_eq!(status(&format!("GET /etc/passwd HTTP/1.1\r\n{host}\r\n")), 404);

    // Anything at all, as it is and behind the beginning of a request.
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    for round in 0..60_usize {
        let mut bytes = vec![0; 1 + random.next_u64() as usize % 9000];
        random.fill_bytes(&mut bytes);
        let mut socket = TcpStream::connect(&service.address).unwrap();
        socket.set_read_timeout(Some(HANGS)).unwrap();
        let begin: &[u8] = if round.is_multiple_of(2) { b"" } else { b"GET / HTTP/1.1\r\nHost: " };
        let _ = socket.write_all(&[begin, &bytes, b"\r\n\r\n"].concat());
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        // Cut without a word, or refused.
        let refused =
            [&b"HTTP/1.1 400"[..], b"HTTP/1.1 401", b"HTTP/1.1 431"].iter().any(|head| answer.starts_with(head));
        assert!(answer.is_empty() || refused, "{}", text(&answer));
    }
    assert!(service.get("/healthz").status == 200 && !service.log().contains("panicked"), "{}", service.log());

    // Requests without an end, a byte at a time, on all threads that there are.
    let mut slow: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&service.address).unwrap()).collect();
    // They are disconnected although each of them still sends, which makes room for others.
    eventually("an end of slow requests", || {
        slow.retain_mut(|socket| socket.write_all(b"G").is_ok());
        std::thread::sleep(Duration::from_millis(100));
        (slow.len() < 40).then_some(())
    });
    let (stop, served) = std::sync::mpsc::channel::<()>();
    let feeder = std::thread::spawn(move || {
        while served.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
            slow.retain_mut(|socket| socket.write_all(b"G").is_ok());
        }
    });
    service.wait("room for others", |_| true);
    drop(stop);
    feeder.join().unwrap();
    service.goes_on(4.0);
}

#[test]
fn others_need_the_token() {
    let service = Service::start(LINE, &format!("listen = \"0.0.0.0:{{port}}\"\ntoken = \"{TOKEN}\"\n"));
    let get = |path: &str, header: &str| service.send(&format!("GET {path} HTTP/1.1\r\nHost: board:1\r\n{header}\r\n"));
    for path in
        ["/", "/status.json", "/healthz", "/metrics", "/live.mjpeg", "/frame.jpg", "/events/a.png", "/?token=wrong"]
    {
        let wrong = format!("Authorization: Bearer {}x\r\n", &TOKEN[..TOKEN.len() - 1]);
        for header in ["", wrong.as_str(), "Cookie: lineside=\r\n", "Authorization: Bearer \r\n"] {
            assert_eq!(get(path, header).status, 401, "{path} {header}");
        }
    }
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(get("/status.json", &right).status, 200);
    let entered = get(&format!("/?token={TOKEN}"), "");
    assert_eq!((entered.status, entered.header("location")), (303, "./"));
    let cookie = entered.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(get("/", &cookie).status, 200);
    assert!(!service.log().contains(TOKEN), "the log does not tell it");
}

#[test]
fn nothing_listens_unless_configured_and_then_on_loopback() {
    let without = Service::begin(LINE, crate::visitor::OFF);
    without.wait_for("log", "record=status");
    assert_eq!(without.sockets(), 0);
    drop(without);
    let with = Service::start(LINE, "");
    assert!(with.sockets() > 0);
    with.wait_for("log", "record=status_page run=");
    let log = with.log();
    assert!(log.contains(&format!("address={}", with.address)), "{log}");
    drop(with);
    // What the address is where none is given.
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), &format!("{LINE}[status_page]\n"));
    let said = crate::common::succeed(&["check", arg(&path)]);
    assert!(said.contains("page     http://127.0.0.1:8080/"), "{said}");
}

#[test]
fn an_address_that_cannot_be_had_is_a_fault_until_it_can() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut service = Service::begin(LINE, &format!("listen = \"{}\"\n", taken.local_addr().unwrap()));
    service.wait_for("log", "fault=page state=begin");
    service.address = taken.local_addr().unwrap().to_string();
    drop(taken);
    service.wait_for("log", "fault=page state=end");
    service.wait("a verdict", |status| status["score"].is_number());
    service.wait_for("results/events.jsonl", "\"state\":\"end\"");
    let kept = crate::common::records(&service.folder.path().join("results"));
    let states: Vec<&str> =
        kept.iter().filter(|one| one["fault"] == "page").filter_map(|one| one["state"].as_str()).collect();
    assert_eq!(states, ["begin", "end"]);
}

#[test]
fn inspection_does_not_depend_on_the_page() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let line = format!("{LINE}frames = 10\n[output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n");
    let path = config(folder.path(), &format!("{line}[status_page]\nlisten = \"{address}\"\n"));
    let output = lineside().args(["run", arg(&path)]).output().unwrap();
    let log = text(&output.stderr);
    assert!(output.status.success() && log.contains("record=fault"), "{log}");
    assert!(log.contains("fault=page state=begin"), "{log}");
    assert!(log.contains("another program listens there"), "{log}");
    // Who asks beforehand is told.
    let checked = crate::common::succeed(&["check", arg(&path)]);
    assert!(
        checked.contains(&format!("http://{address}/, where the service itself or another program listens now\n")),
        "{checked}"
    );
    drop(taken);
    let checked = crate::common::succeed(&["check", arg(&path)]);
    assert!(
        checked.contains(&format!("page     http://{address}/\n")) && checked.contains("  status page  "),
        "{checked}"
    );
    let path = config(folder.path(), &format!("{line}[status_page]\nlisten = \"0.0.0.0:{}\"\n", free_port()));
    crate::common::refuse(&["run", arg(&path)], 78, &["line.toml:", "status_page.listen lets other machines in"]);
}

const LINE: &str = "[source.pattern]\nwidth = 320\nheight = 240\nfps = 20.0\n";
