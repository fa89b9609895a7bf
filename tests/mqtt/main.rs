//! All records reach a broker, a real mosquitto: one that is restarted, is killed, wants TLS and a password, or hangs, while the
//! line goes on.
#![cfg(feature = "mqtt")]

mod broker;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod line;

use broker::{Broker, Listener, free_port, has_mosquitto, until};
use common::{arg, config, lineside, refuse, root, signal, text, write_secret};
use line::{Line, all_came, all_came_but, goes_on, ids, kill_idle, line, written};
use lineside::config::Config;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A folder, a broker that lets everybody in, and somebody who listens; nothing where there is no mosquitto.
fn ground() -> Option<(tempfile::TempDir, Broker, Listener)> {
    let folder = has_mosquitto().then(|| tempfile::tempdir().unwrap())?;
    let broker = Broker::open(folder.path());
    let listener = broker.listen("hall/#");
    Some((folder, broker, listener))
}

#[test]
fn a_broker_hears_what_is_written_down_in_order_and_home_assistant_is_told_what_there_is() {
    let Some((folder, broker, listener)) = ground() else { return };
    let path = line(folder.path(), "fps = 20.0", broker.port, "");
    let mut line = Line::start(&path);
    line.says("record=mqtt_connected");
    until("online", || broker.retained("hall/line/online").as_deref() == Some("online"));

    // What Home Assistant finds, whenever it looks.
    let topic = "homeassistant/device/line-7/config";
    until("a device", || broker.retained(topic).is_some());
    let found: Value = serde_json::from_str(&broker.retained(topic).unwrap()).unwrap();
    assert_eq!(found["device"]["identifiers"], serde_json::json!(["line-7"]));
    assert_eq!(found["origin"]["name"], "lineside");
    assert_eq!(found["availability_topic"], "hall/line/online");
    assert_eq!(
        (found["payload_available"].as_str(), found["payload_not_available"].as_str()),
        (Some("online"), Some("offline"))
    );
    let components = found["components"].as_object().unwrap();
    let names: Vec<&str> = components.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["defect", "defects", "fault", "fps", "latency", "memory", "score", "severity", "state", "temperature"]
    );
    let unique: BTreeSet<&str> = components.values().map(|one| one["unique_id"].as_str().unwrap()).collect();
    assert_eq!(unique.len(), components.len());
    // It is told again when it is born, and not when it dies.
    let devices = broker.listen("homeassistant/device/#");
    until("the one that is retained", || devices.heard().len() == 1);
    for word in ["offline", "online"] {
        let sent = broker.client("mosquitto_pub").args(["-t", "homeassistant/status", "-m", word]).status().unwrap();
        assert!(sent.success());
        std::thread::sleep(Duration::from_millis(500));
    }
    until("told again", || devices.heard().len() == 2);

    // A reading comes every ten seconds, and what the device measures is in it.
    until("a status", || broker.retained("hall/line/status").is_some());
    until("a hundred events", || ids(&listener.records()).len() > 100);
    let status: Value = serde_json::from_str(&broker.retained("hall/line/status").unwrap()).unwrap();
    assert_eq!(status["record"], "status");
    for component in components.values().filter(|one| one.get("state_topic").is_none()) {
        let template = component["value_template"].as_str().unwrap();
        let field = template.split("value_json.").nth(1).unwrap().split(' ').next().unwrap();
        let known = ["faults", "temperature_c"].contains(&field) || !status[field].is_null();
        assert!(known, "no {field} in {status}");
    }

    line.stop();
    until("offline", || broker.retained("hall/line/online").as_deref() == Some("offline"));
    let written = all_came(&path, &listener);
    assert_eq!(listener.records(), written, "and nothing came twice");
    assert!(ids(&written).len() > 100);
    assert_eq!(ids(&written).iter().collect::<BTreeSet<_>>().len(), ids(&written).len());
    let topics: BTreeSet<String> = listener.heard().into_iter().map(|(topic, _)| topic).collect();
    let expected = ["event", "online", "start", "status", "stop"].map(|kind| format!("hall/line/{kind}"));
    assert_eq!(topics, expected.into());
    assert!(!line.log().contains("record=fault"), "{}", line.log());
}

#[test]
fn a_broker_that_is_killed_and_comes_back_misses_nothing() {
    let Some((folder, mut broker, listener)) = ground() else { return };
    let path = line(folder.path(), "fps = 20.0", broker.port, "");
    let mut line = Line::start(&path);
    until("events", || ids(&listener.records()).len() > 20);
    for _ in 0..2 {
        let faults = || line.log().matches("fault=mqtt state=begin").count();
        let before = faults();
        kill_idle(&mut broker, &line, folder.path(), &listener);
        let away = ids(&listener.records()).len();
        until("a fault", || faults() > before);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(ids(&listener.records()).len(), away);
        broker.begin();
        until("what waited", || ids(&listener.records()).len() > away + 60);
    }
    line.stop();
    let written = all_came(&path, &listener);
    // One episode for each time that it was away, with its begin and its end.
    let faults: Vec<&Value> = written.iter().filter(|record| record["fault"] == "mqtt").collect();
    let states: Vec<&str> = faults.iter().map(|fault| fault["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["begin", "end", "begin", "end"], "{faults:?}");
    assert!(faults[1]["seconds"].as_f64().unwrap() > 2.0);
    let causes: Vec<&str> = faults.iter().map(|fault| fault["cause"].as_str().unwrap()).collect();
    assert!(causes[0].contains("closed the connection"), "{faults:?}");
    assert!(causes.iter().all(|cause| !cause.contains("another one")), "{faults:?}");
}

/// Killed at any moment after its start, once its records are in the file.
#[test]
fn the_start_of_a_run_that_is_killed_at_once_comes_with_the_next() {
    let Some((folder, broker, listener)) = ground() else { return };
    let path = line(folder.path(), "fps = 20.0", broker.port, "");
    let file = folder.path().join("results/events.jsonl");
    for round in 0..8 {
        let mut line = Line::start(&path);
        let starts = || std::fs::read_to_string(&file).unwrap_or_default().matches("\"record\":\"start\"").count();
        until("a start in the file", || starts() > round);
        line.kill();
    }
    let mut line = Line::start(&path);
    line.says("record=mqtt_connected");
    until("every start", || {
        let starts: Vec<Value> =
            written(folder.path()).into_iter().filter(|record| record["record"] == "start").collect();
        let heard = listener.records();
        starts.len() >= 9 && starts.iter().all(|start| heard.contains(start))
    });
    line.stop();
}

#[test]
fn what_waited_when_the_process_was_killed_goes_in_the_next_run() {
    let Some((folder, mut broker, listener)) = ground() else { return };
    let path = line(folder.path(), "fps = 20.0", broker.port, "");
    let mut line = Line::start(&path);
    until("events", || ids(&listener.records()).len() > 10);
    kill_idle(&mut broker, &line, folder.path(), &listener);
    std::thread::sleep(Duration::from_secs(2));
    line.kill();
    let mut line = Line::start(&path);
    std::thread::sleep(Duration::from_secs(2));
    broker.begin();
    until("connected again", || line.log().matches("record=mqtt_connected").count() == 2);
    line.stop();
    let written = all_came(&path, &listener);
    let starts: Vec<&Value> = written.iter().filter(|record| record["record"] == "start").collect();
    assert!(starts.len() >= 2 && starts[1]["previous"] == "cut", "{starts:?}");
    let ids = ids(&written);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "no id twice in two runs");
}

#[test]
fn a_line_that_dies_is_offline() {
    if !has_mosquitto() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::open(folder.path());
    let mut line = Line::start(&line(folder.path(), "fps = 5.0", broker.port, "discovery = \"\""));
    until("online", || broker.retained("hall/line/online").as_deref() == Some("online"));
    line.kill();
    until("offline", || broker.retained("hall/line/online").as_deref() == Some("offline"));
    assert_eq!(broker.retained("homeassistant/device/line-7/config"), None, "nobody asked for it");
}

#[test]
fn two_lines_of_one_name_are_told_so() {
    let Some((folder, broker, _)) = ground() else { return };
    let other = tempfile::tempdir().unwrap();
    let lines = [folder.path(), other.path()].map(|at| Line::start(&line(at, "fps = 5.0", broker.port, "")));
    for line in &lines {
        line.says("closed the connection soon, 3 times in a row: is another one called");
    }
}

/// An authority, a certificate of it for localhost, one for a client, and another authority.
fn certificates(folder: &Path) {
    let script = "set -e; cd \"$0\"; \
        for ca in ca other; do openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.pem \
            -addext basicConstraints=critical,CA:TRUE; done; \
        for name in localhost line; do \
            openssl req -newkey rsa:2048 -nodes -subj /CN=$name -keyout $name.key -out $name.csr; \
            printf 'subjectAltName=DNS:%s\\nextendedKeyUsage=serverAuth,clientAuth\\n' $name > $name.ext; \
            openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem; done";
    let output = Command::new("sh").args(["-c", script, arg(folder)]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn tls_and_a_password_let_the_right_ones_in_and_tell_the_wrong_ones_once() {
    if !has_mosquitto() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name);
    let passwords =
        Command::new("mosquitto_passwd").args(["-b", "-c", arg(&file("users")), "line", "a secret"]).status();
    assert!(passwords.unwrap().success());
    let with_tls = |more: &str| {
        let (ca, certificate, key) = (file("ca.pem"), file("localhost.pem"), file("localhost.key"));
        let files = format!("cafile {}\ncertfile {}\nkeyfile {}\n", ca.display(), certificate.display(), key.display());
        Broker::start(folder.path(), &format!("{files}{more}"))
    };
    let mut broker = with_tls(&format!("allow_anonymous false\npassword_file {}", file("users").display()));
    write_secret(&file("right"), "a secret\n");
    write_secret(&file("wrong"), "no secret\n");
    let tls = |ca: &str| format!("[mqtt.tls]\nca = {:?}", file(ca));
    let login = |password: &str| format!("username = \"line\"\npassword_file = {:?}", file(password));
    let source = "fps = 5.0";

    let right = format!("{}\n{}", login("right"), tls("ca.pem"));
    let path = line(folder.path(), source, broker.port, &right);
    assert!(common::succeed(&["check", arg(&path)]).contains(&format!("broker   localhost:{}\n", broker.port)));
    let mut running = Line::start(&path);
    running.says("record=mqtt_connected");
    running.stop();
    assert!(!running.log().contains("a secret"));

    let refused = |broker: &Broker, more: &str, why: &str| {
        let path = line(folder.path(), source, broker.port, more);
        refuse(&["check", arg(&path)], 1, &["line.toml:12: broker localhost:", why]);
        let _ = std::fs::remove_file(path.with_extension("log"));
        let mut running = Line::start(&path);
        running.says(why);
        // Tried again and again, told once.
        std::thread::sleep(Duration::from_secs(4));
        let log = running.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("fault=mqtt")).collect();
        assert_eq!(lines.len(), 1, "{log}");
        assert!(!log.contains("secret") && !log.contains("mqtt_connected"), "{log}");
        running.stop();
    };
    refused(&broker, &format!("{}\n{}", login("wrong"), tls("ca.pem")), "refused: ");
    refused(&broker, &tls("ca.pem"), "refused: not authorized");
    refused(&broker, &format!("{}\n{}", login("right"), tls("other.pem")), "TLS: its certificate is not accepted");
    refused(&broker, &login("right"), "closed the connection without an answer: does it want TLS there");
    // A broker that does not speak TLS.
    broker.kill();
    let broker = Broker::open(folder.path());
    refused(&broker, &right, "does it speak TLS there");
    drop(broker);

    // A broker that wants a certificate.
    let broker = with_tls("require_certificate true\nuse_identity_as_username true");
    refused(&broker, &tls("ca.pem"), "TLS: ");
    let own = format!("{}\ncertificate = {:?}\nkey = {:?}", tls("ca.pem"), file("line.pem"), file("line.key"));
    let mut running = Line::start(&line(folder.path(), source, broker.port, &own));
    running.says("record=mqtt_connected");
    running.stop();
}

#[test]
fn a_broker_that_hangs_slows_neither_inspection_nor_a_stop() {
    if !has_mosquitto() {
        return;
    }
    // One that takes the connection and says nothing, and one that says yes and nothing more.
    for greeting in [&b""[..], &[0x20, 2, 0, 0]] {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut taken = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.write_all(greeting);
                taken.push(stream);
            }
        });
        let path = line(folder.path(), "fps = 20.0", port, "keep_alive_s = 5");
        let mut line = Line::start(&path);
        line.says("did not answer within 5 s; ");
        // In these five seconds frames were inspected, far more than one for each wait.
        let records = common::records(&folder.path().join("results"));
        let before_fault = records.iter().take_while(|record| record["fault"] != "mqtt");
        let events = before_fault.filter(|record| record["record"] == "event").count();
        assert!(events > 10, "{events} frames while the broker was waited for");
        goes_on(folder.path(), 100);
        // Nor does the queue hold up another run, or its stop: an answer would be waited for until long after this test has
        // failed.
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("keep_alive_s = 5", "keep_alive_s = 3600")).unwrap();
        signal(&line.process, "HUP");
        until("another run", || line.log().matches("record=start").count() == 2);
        goes_on(folder.path(), 10);
        line.stop();
    }
    // A real one, stopped in the middle and woken again.
    let Some((folder, broker, listener)) = ground() else { return };
    let mut line = Line::start(&line(folder.path(), "fps = 20.0", broker.port, "keep_alive_s = 3600"));
    line.says("record=mqtt_connected");
    broker.signal("STOP");
    goes_on(folder.path(), 100);
    broker.signal("CONT");
    std::thread::sleep(Duration::from_secs(1));
    broker.signal("STOP");
    line.stop();
    broker.signal("CONT");
    // What it did not take is there for the next run.
    all_came(&folder.path().join("line.toml"), &listener);
}

#[test]
fn a_broker_that_acknowledges_nothing_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // It greets, and answers to each ping.
            let _ = stream.write_all(&[0x20, 2, 0, 0]);
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    if bytes[..read].ends_with(&[0xC0, 0]) {
                        let _ = stream.write_all(&[0xD0, 0]);
                    }
                }
            });
        }
    });
    let mut line = Line::start(&line(folder.path(), "fps = 5.0", port, "keep_alive_s = 5"));
    line.says("acknowledged nothing for 20 s; ");
    assert!(!line.log().contains("mqtt_connected"), "{}", line.log());
    line.stop();
}

#[test]
fn what_does_not_fit_is_dropped_the_oldest_first_and_counted() {
    let Some((folder, mut broker, listener)) = ground() else { return };
    broker.kill();
    let path = line(folder.path(), "frames = 600", broker.port, "spill = \"64 KiB\"");
    let output = lineside().args(["run", arg(&path)]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let first = written(folder.path());
    assert!(ids(&first).len() == 600, "{}", first.len());
    let spilled: u64 = std::fs::read_dir(folder.path().join("results/mqtt"))
        .unwrap()
        .map(|e| e.unwrap().metadata().unwrap().len())
        .sum();
    assert!(spilled <= (64 << 10) + 64, "{spilled}");

    broker.begin();
    let path = line(folder.path(), "fps = 5.0", broker.port, "spill = \"64 KiB\"");
    let mut line = Line::start(&path);
    line.says("were dropped, the oldest first");
    line.stop();
    // More may be dropped while the queue is sent: each time it is reported. What had already been sent, but was not
    // acknowledged, counts as dropped although it reached the broker.
    let reported = |written: &[Value]| -> Vec<usize> {
        let is_report = |record: &&Value| record["cause"].as_str().is_some_and(|cause| cause.contains("were dropped"));
        let reports: Vec<&Value> = written.iter().filter(is_report).collect();
        assert!(reports.iter().all(|report| report["fault"] == "mqtt" && report["state"] == "end"), "{reports:?}");
        reports.iter().map(|report| report["count"].as_u64().unwrap() as usize).collect()
    };
    let arrived = |written: Vec<Value>| {
        let heard = listener.records();
        let counts = reported(&written);
        let (all, sent) = (counts.iter().sum::<usize>(), 16 * counts.len());
        let (arrived, missing): (Vec<Value>, Vec<Value>) =
            written.into_iter().partition(|record| heard.contains(record));
        let as_reported = (all.saturating_sub(sent)..=all).contains(&missing.len());
        // Where the counts do not agree, all are expected, and the comparison fails.
        if as_reported { arrived } else { [arrived, missing].concat() }
    };
    let arrived = all_came_but(&path, &listener, arrived);
    let written = written(folder.path());
    let first = reported(&written)[0];
    assert!((100..600).contains(&first), "{first}");
    assert!(arrived.len() > 60 && !arrived.contains(&written[1]), "the oldest were dropped, not the newest");
}

#[test]
fn mistakes_are_one_line_each_and_a_broker_that_is_away_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    write_secret(&file("empty"), "\n");
    std::fs::write(file("text.pem"), "no certificate\n").unwrap();
    std::fs::write(file("cut.pem"), "-----BEGIN CERTIFICATE-----\nMIIB\n").unwrap();
    let cases = [
        ("topic = \"a/#\"", "line.toml:15: mqtt.topic must not have a wildcard"),
        ("pasword_file = \"x\"", "line.toml:15: unknown field `pasword_file`"),
        (&format!("username = \"u\"\npassword_file = {:?}", file("none")), "none: No such file or directory"),
        (&format!("username = \"u\"\npassword_file = {:?}", file("empty")), "empty: holds no password"),
        (&format!("[mqtt.tls]\nca = {:?}", file("none.pem")), "line.toml:16: "),
        (&format!("[mqtt.tls]\nca = {:?}", file("text.pem")), "holds no certificate of an authority"),
        (&format!("[mqtt.tls]\nca = {:?}", file("cut.pem")), "cut.pem: "),
    ];
    for (more, expected) in cases {
        // The first of these has a topic already.
        let text = std::fs::read_to_string(line(folder.path(), "frames = 1", 1, "")).unwrap();
        let text = text.replace("topic = \"hall/line\"\n", "") + more;
        let path = config(folder.path(), &text.replace("\n\n", "\n"));
        for command in ["check", "run"] {
            let output = lineside().args([command, arg(&path)]).output().unwrap();
            let said = common::text(&output.stderr);
            let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("lineside: ")).collect();
            assert_eq!((output.status.code(), lines.len()), (Some(78), 1), "{more}: {said}");
            assert!(lines[0].contains(expected) && lines[0].contains("line.toml:1"), "{more}: {said}");
        }
    }

    // A file where the queue has its folder: told with what to do, and the line goes on.
    let results = file("results");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("mqtt"), "theirs").unwrap();
    let path = line(folder.path(), "fps = 20.0", free_port(), "");
    let mut running = Line::start(&path);
    running.says("results/mqtt is no folder, where lineside keeps one of its own: move it away");
    goes_on(folder.path(), 10);
    running.stop();
    assert_eq!(std::fs::read(results.join("mqtt")).unwrap(), b"theirs");
    std::fs::remove_file(results.join("mqtt")).unwrap();
    std::fs::remove_file(path.with_extension("log")).unwrap();

    // Nobody listens, nobody is called that, and somebody else listens.
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = http.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in http.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let away = [
        ("localhost", free_port(), "nobody listens there (connection refused); "),
        ("no-such-broker.invalid", 1883, "the name is not known: "),
        ("localhost", port, "no MQTT broker?"),
    ];
    for (host, port, expected) in away {
        let path = line(folder.path(), "fps = 20.0\nframes = 40", port, "");
        let text = std::fs::read_to_string(&path).unwrap().replace("\"localhost\"", &format!("{host:?}"));
        std::fs::write(&path, text).unwrap();
        refuse(&["check", arg(&path)], 1, &["line.toml:13: broker ", expected.trim_end_matches("; ")]);
        let output = lineside().args(["run", arg(&path)]).output().unwrap();
        let said = common::text(&output.stderr);
        assert!(output.status.success(), "{said}");
        let faults: Vec<&str> = said.lines().filter(|line| line.contains("record=fault")).collect();
        assert!(faults.len() == 1 && faults[0].contains(expected) && faults[0].contains(" records wait"), "{said}");
        // A busy machine drops frames as stale, and fails none.
        let stdout = common::text(&output.stdout);
        assert!(stdout.contains("40 frames: ") && stdout.contains(" 0 failed"), "{stdout}");
    }
}

#[test]
fn the_example_of_the_documentation_is_a_configuration() {
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with("A fleet")).unwrap();
    let lines = section.lines().skip_while(|line| *line != "    [mqtt]");
    let example: Vec<&str> =
        lines.take_while(|line| line.is_empty() || line.starts_with("    ")).map(str::trim).collect();
    let text = format!("[source.pattern]\n{}", example.join("\n"));
    let config = Config::parse(&text, Path::new("operations.md")).unwrap();
    assert!(config.mqtt.is_some_and(|mqtt| mqtt.tls.is_some()));
}

/// Whoever may publish on a topic that a line reads must not keep it from its broker; a retained message would for ever.
#[test]
fn a_message_that_is_too_large_is_passed_over_and_told_once() {
    let Some((folder, broker, listener)) = ground() else { return };
    let large = folder.path().join("large");
    std::fs::write(&large, vec![b'x'; 300_000]).unwrap();
    let publish = |more: &[&str]| {
        let mut command = broker.client("mosquitto_pub");
        assert!(command.args(["-t", "hall/line/set"]).args(more).status().unwrap().success());
    };
    publish(&["-r", "-f", arg(&large)]);
    let path = line(folder.path(), "fps = 20.0", broker.port, "commands = true");
    let mut line = Line::start(&path);
    line.says("is not read");
    publish(&["-f", arg(&large)]);
    // What comes after it is read, in the same session.
    publish(&["-m", "no command"]);
    let commands = || written(folder.path()).into_iter().filter(|record| record["record"] == "command").count();
    until("the message after it", || commands() >= 1);
    until("events", || ids(&listener.records()).len() > 20);
    line.stop();
    let log = line.log();
    assert_eq!(log.matches("is not read, as no further one of more than 65536 is").count(), 1, "{log}");
    assert_eq!(log.matches("record=mqtt_connected").count(), 1, "{log}");
    assert!(!log.contains("state=begin"), "{log}");
    all_came(&path, &listener);
}

/// A run whose records cannot be begun leaves the queue to the next one.
#[test]
fn a_run_that_does_not_begin_leaves_its_queue_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let camera = |name: &str| {
        format!("[[camera]]\nname = \"{name}\"\n[camera.source.pattern]\nwidth = 160\nheight = 120\nfps = 5.0\n")
    };
    let text = format!(
        "[output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n\
         [mqtt]\nhost = \"localhost\"\nport = {}\nclient_id = \"line-7\"\ntopic = \"hall/line\"\n{}{}",
        free_port(),
        camera("good"),
        camera("odd")
    );
    let in_the_way = results.join("odd/events.jsonl");
    std::fs::create_dir_all(&in_the_way).unwrap();
    let mut line = Line::start(&config(folder.path(), &text));
    line.says("record=camera_failed");
    line.says("events.jsonl is a folder");
    std::fs::remove_dir(&in_the_way).unwrap();
    until("its run begins", || in_the_way.is_file());
    line.stop();
    assert!(!line.log().contains("cannot keep records for the broker"), "{}", line.log());
}
