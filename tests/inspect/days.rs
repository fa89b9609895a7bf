//! Days that went wrong, each in its way, and one that did not.

use super::*;

#[test]
fn a_bad_day_is_told_with_its_reasons_and_lines() {
    let day = bad_day();
    let log = day.short();
    let report = of(&log);
    assert_eq!(endings(&report), ["watchdog", "clean"]);
    says(&report, "watchdog", &["once", "(09:32:14)"]);
    assert!(shown(&log, &report, "watchdog").contains("Watchdog timeout"));
    says(&report, "camera_away", &["3 times", "2 min in total", "longest 40 s", "no such camera"]);
    assert!(shown(&log, &report, "camera_away").contains("state=begin"));
    says(&report, "latency_rose", &["p99 latency rose from", "throttle bit 2 (throttled) set", "°C", "inspection at"]);
    assert!(shown(&log, &report, "latency_rose").contains("throttled=0x40004"));
    says(&report, "heat", &["throttled (bit 2)", "2 h", "85 °C"]);
    assert_eq!(kinds(&report)[0], "watchdog", "the gravest comes first");
    assert_eq!(report["findings"].as_array().unwrap().len(), 4, "{:?}", kinds(&report));

    let frames = &report["frames"];
    assert_eq!(frames["captured"], day.captured());
    assert_eq!(frames["inspected"], day.captured());
    let of = |name: &str| frames[name].as_u64().unwrap();
    assert_eq!(of("captured"), of("inspected") + of("skipped_similar") + of("dropped_stale") + of("failed"));
    let board = &report["boards"][0];
    assert_eq!(board["away_s"], 120.0);
    assert_eq!((&board["down_s"], &board["not_judged_s"]), (&1.0.into(), &14.0.into()), "it hung before it was killed");
    let watched = board["watched_s"].as_f64().unwrap();
    assert!((watched - 20.0 * 3600.0 - 30.0 * 60.0).abs() < 60.0, "{watched}");
    let latency = &report["latency"];
    for (name, low, high) in [("p50", 20.0, 25.0), ("p95", 30.0, 80.0), ("p99", 60.0, 80.0)] {
        let ms = latency[name].as_f64().unwrap();
        assert!((low..high).contains(&ms), "{name} {ms}");
    }
}

#[test]
fn why_a_run_ended_is_told_by_whoever_knows() {
    let mut story = Story::new("line3");
    story.start("none").go(10 * MINUTE).killed("oom-kill").start("cut").go(10 * MINUTE).killed("signal").start("cut");
    story.go(10 * MINUTE);
    story.words("thread 'inspection' panicked at src/engine/step.rs:12:5:");
    story.words("index out of bounds: the len is 4 but the index is 9");
    story.systemd("lineside.service: Main process exited, code=exited, status=101/n/a");
    story.wait(SECOND).start("cut").go(10 * MINUTE);
    // The plug is pulled.
    story.boot = 2;
    story.wait(MINUTE).start("power").go(10 * MINUTE).stop("stop asked for");
    story.systemd("lineside.service: Deactivated successfully.");
    // Somebody edits the configuration, wrongly.
    story.wait(HOUR);
    for _ in 0..3 {
        story.words("lineside: /etc/lineside/lineside.toml:12: threshold must lie in 0..1, found 7");
        story.systemd("lineside.service: Main process exited, code=exited, status=78/CONFIG");
        story.systemd("lineside.service: Failed with result 'exit-code'.");
        story.wait(MINUTE);
    }
    for log in [story.short(), story.export(), story.journal_json()] {
        let report = of(&log);
        let expected =
            ["out of memory", "killed", "panic", "power", "clean", "configuration", "configuration", "configuration"];
        assert_eq!(endings(&report), expected);
        says(&report, "panic", &["src/engine/step.rs:12:5", "index out of bounds"]);
        says(&report, "configuration", &["3 times", "lineside.toml:12: threshold must lie in 0..1"]);
        says(&report, "power", &["once"]);
        says(&report, "not_running", &["down since", "invalid configuration"]);
    }
    assert!(shown(&story.short(), &of(story.short()), "out_of_memory").contains("OOM killer"));
}

#[test]
fn a_panic_that_was_caught_is_no_crash() {
    let panic = |story: &mut Story| {
        story.words("thread 'capture' (812) panicked at zune-jpeg/src/mcu.rs:12:5:");
        story.words("index out of bounds: the len is 4 but the index is 9");
    };
    let mut story = Story::new("line3");
    story.start("none").go(10 * MINUTE);
    panic(&mut story);
    // It goes on, and loses power an hour later.
    story.go(HOUR);
    story.boot = 2;
    story.wait(MINUTE).start("power").go(10 * MINUTE);
    panic(&mut story);
    story.stop("stop asked for");
    for log in [story.text(), story.json(), story.short(), story.export(), story.journal_json()] {
        let report = of(&log);
        assert_eq!(endings(&report), ["power", "clean"], "{:#}", report["findings"]);
        assert!(!kinds(&report).contains(&"panic"), "{:#}", report["findings"]);
        says(&report, "panic_caught", &["twice", "mcu.rs:12:5", "index out of bounds"]);
        assert_eq!(finding(&report, "panic_caught")["weight"], "note");
    }
}

#[test]
fn what_came_after_the_last_status_of_a_run_that_was_killed_is_not_forgotten() {
    let (mut story, folder) = (Story::new("line3"), tempfile::tempdir().unwrap());
    story.start("none").go(MINUTE).wait(5 * SECOND);
    for _ in 0..3 {
        story.event(0.999, 30.0);
        story.wait(SECOND);
    }
    story.wait(10 * SECOND).start("cut").go(MINUTE);
    let path = write(folder.path(), "a.log", story.text());
    let report = report(&[arg(&path)]);
    assert_eq!(endings(&report), ["cut", "open"]);
    assert_eq!((&report["frames"]["captured"], &report["defects"]), (&1200.into(), &3.into()));
    assert_eq!(report["boards"][0]["watched_s"], 127.0, "two minutes, and seven seconds to the last event");
    assert_eq!(report["boards"][0]["down_s"], 11.0);
    let said = common::succeed(&["inspect", arg(&path)]);
    assert!(said.contains("not counted: 7 s between the last status"), "{said}");
    assert!(said.contains("no stop record: still running"), "{said}");
}

#[test]
fn what_the_kernel_says_is_told() {
    let mut story = Story::new("line3");
    story.start("none").go(HOUR);
    story.kernel("hwmon hwmon1: Undervoltage detected!");
    story.kernel("usb 1-1.2: USB disconnect, device number 5");
    story.outage(40 * SECOND).go(HOUR);
    story.kernel("mmc0: Timeout waiting for hardware interrupt.");
    story.kernel("Out of memory: Killed process 9 (chromium) total-vm:1kB");
    story.go(MINUTE);
    story.kernel("Memory cgroup out of memory: Killed process 812 (lineside) total-vm:1kB");
    story.systemd("lineside.service: Main process exited, code=killed, status=9/KILL");
    story.wait(SECOND).start("cut").go(HOUR).stop("stop asked for");
    for log in [story.short(), story.export(), story.journal_json()] {
        let report = of(&log);
        assert_eq!(endings(&report), ["out of memory", "clean"]);
        says(&report, "under_voltage", &["The kernel reported under-voltage", "once"]);
        says(&report, "camera_away", &["The kernel reported a USB disconnect once"]);
        says(&report, "disk_errors", &["once"]);
        says(&report, "other_out_of_memory", &["(chromium) once"]);
    }
    assert!(shown(&story.short(), &of(story.short()), "out_of_memory").contains("cgroup out of memory"));
}

#[test]
fn memory_that_grows_and_a_budget_that_is_near_are_found() {
    let mut story = Story::new("line3");
    story.start("clean");
    for _ in 0..300 {
        story.rss += 120_000;
        story.go(MINUTE);
    }
    let report = of(story.json());
    says(&report, "memory_grows", &["MiB", "an hour", "the budget is reached"]);
    says(&report, "memory_near_budget", &["128.0 MiB"]);
}

#[test]
fn a_disk_that_is_full_and_a_storm_of_alarms_are_found() {
    let mut story = Story::new("line3");
    story.start("clean").go(3 * HOUR);
    (story.defects, story.brightness) = (700, 40.0);
    story.go(20 * MINUTE);
    (story.defects, story.brightness) = (2, 118.0);
    story.fault("disk", "begin", "/var/lib/lineside: No space left on device (os error 28)", None);
    story.go(5 * MINUTE);
    story.fault("disk", "end", "/var/lib/lineside: No space left on device (os error 28)", Some(300.0));
    story.go(3 * HOUR).stop("stop asked for");
    let report = of(story.text());
    says(&report, "disk_full", &["5 min", "No space left"]);
    says(&report, "alarm_storm", &["from 03:00", "to 03:20", "68.9 %", "brightness was 40 instead of 118"]);
    assert_eq!(finding(&report, "disk_full")["weight"], "grave");
}

#[test]
fn no_alarm_while_scores_climb_is_found() {
    let mut story = Story::new("line3");
    story.start("clean");
    for step in 0..48 {
        story.score = 0.2 + 0.012 * f64::from(step);
        story.go(10 * MINUTE);
    }
    says(&of(story.text()), "scores_climb", &["No alarm in 8 h", "rising"]);
    // With a review of the service's own it is told once.
    story.record(
        "review",
        &[
            ("review", "needed"),
            ("statistic", "ks"),
            ("value", "0.41"),
            ("limit", "0.12"),
            ("frames", "4000"),
            ("cause", "new parts?"),
        ],
    );
    story.go(10 * MINUTE);
    let report = of(story.text());
    says(&report, "drift", &["From 08:00:00", "ks 0.410, limit 0.120", "new parts?", "at the end of the log"]);
    assert!(!kinds(&report).contains(&"scores_climb"));
}

#[test]
fn a_slow_cpu_a_frozen_camera_and_a_weak_supply_are_found() {
    let mut story = Story::new("line3");
    (story.fps, story.judge, story.dropped) = (30, 45.0, 280);
    story.start("clean").go(2 * HOUR);
    story.throttled = 0x50001;
    story.go(10 * MINUTE);
    story.throttled = 0x50000;
    let cause = "camera /dev/video0: the picture has not changed for 60 s";
    story.fault("camera", "begin", cause, None);
    story.source = "frozen";
    story.go(5 * MINUTE);
    story.source = "flowing";
    story.fault("camera", "end", cause, Some(300.0));
    story.go(HOUR).stop("stop asked for");
    let report = of(story.text());
    says(&report, "frames_dropped", &["28.0 %", "a frame arrives every 33 ms"]);
    says(&report, "under_voltage", &["10 min", "bit 0"]);
    says(&report, "camera_frozen", &["5 min", "not inspected"]);
    assert_eq!(report["boards"][0]["frozen_s"], 300.0);
}

#[test]
fn what_the_disk_did_not_take_in_time_is_found_over_all_runs() {
    let mut story = Story::new("line3");
    for unrecorded in ["629", "71"] {
        // Of a run the last record counts: its numbers are those of the whole run.
        story.start("clean").go(HOUR);
        let counts = story.count_fields();
        let counts: Vec<(&str, &str)> = counts.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        story.time += 10 * SECOND;
        story.record("status", &[&[("uptime_s", "3610")], &counts[..], &[("unrecorded", "17")]].concat());
        story.time += SECOND;
        let last = [("reason", "stop asked for"), ("uptime_s", "3611")];
        story.record("stop", &[&last, &counts[..], &[("unrecorded", unrecorded)]].concat());
        story.time += MINUTE;
    }
    says(&of(story.text()), "unrecorded", &["700 verdicts were not recorded", "alarms were set"]);
    let mut clean = Story::new("line3");
    clean.start("clean").go(HOUR).stop("stop asked for");
    assert!(!of(clean.text())["findings"].to_string().contains("unrecorded"));
}

#[test]
fn a_shadow_that_judged_nothing_is_said_with_what_to_do() {
    let found = |shadow: [&str; 4]| {
        let mut story = Story::new("line3");
        story.start("clean").go(HOUR);
        let [judged, differs, skipped, failed] = shadow;
        let counts = story.count_fields();
        let counts: Vec<(&str, &str)> = counts.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let shadow = [
            ("uptime_s", "3601"),
            ("shadow_judged", judged),
            ("shadow_differs", differs),
            ("shadow_skipped", skipped),
            ("shadow_failed", failed),
        ];
        story.time += SECOND;
        story.record("status", &[&shadow[..], &counts[..]].concat());
        of(story.text())
    };
    for (shadow, parts, advice) in [
        (["0", "0", "944", "0"], ["judged no frame", "no time for 944"], "Judge the marked frames"),
        (["0", "0", "3", "7"], ["judged no frame", "failed on 7"], "bundle shadow NAME --end"),
    ] {
        let report = found(shadow);
        says(&report, "shadow", &parts);
        let told = &finding(&report, "shadow")["advice"];
        assert!(told.as_str().is_some_and(|told| told.contains(advice)), "{told}");
    }
    says(&found(["50", "1", "944", "0"]), "shadow", &["judged 50 frames", "(2.0 %)", "no time for 944"]);
}

#[test]
fn clocks_that_jump_and_lines_that_are_missing_are_found() {
    let mut story = Story::new("line3");
    story.start("clean").go(HOUR);
    story.skew = 5 * HOUR;
    story.go(HOUR);
    let log = story.text();
    let report = of(&log);
    says(&report, "clock", &["once", "5 h", "forwards"]);
    assert!(!kinds(&report).contains(&"log_gap"), "{:?}", kinds(&report));
    assert_eq!(report["boards"][0]["watched_s"], 7200.0);

    let lines: Vec<&str> = log.lines().collect();
    let missing = [&lines[..100], &lines[280..360]].concat().join("\n");
    let report = of(missing);
    says(&report, "log_gap", &["30 min", "while the program was running"]);

    // Backwards: read in the order of the file.
    let mut story = Story::new("line3");
    story.start("clean").go(HOUR);
    story.skew = -2 * HOUR;
    story.go(HOUR).stop("stop asked for");
    let report = of(story.text());
    says(&report, "clock", &["backwards"]);
    assert_eq!(report["frames"]["captured"], story.captured());
    assert!(report["read"][0]["notes"].to_string().contains("backwards"), "{}", report["read"]);
}

#[test]
fn frames_that_do_not_add_up_are_found() {
    let mut story = Story::new("line3");
    story.start("clean").go(HOUR);
    let log = story.text().replace("captured=3000 inspected=3000", "captured=3000 inspected=2990");
    let report = of(&log);
    says(&report, "sums", &["1 record", "do not add up"]);
    assert!(shown(&log, &report, "sums").contains("captured=3000"));
}

#[test]
fn a_board_that_falls_silent_is_found() {
    let (mut one, mut two) = (Story::new("line1"), Story::new("line2"));
    one.start("clean").go(HOUR);
    two.start("clean").go(3 * HOUR);
    let report = of(one.text() + &two.text());
    says(&report, "silent", &["2026-11-21 01:00:00", "2 h"]);
    assert_eq!(finding(&report, "silent")["board"], "line1");
}

#[test]
fn a_good_day_has_no_findings_and_says_so() {
    let mut story = Story::new("line3");
    story.start("clean").go(24 * HOUR);
    story.event(0.993, 31.0);
    story.stop("stop asked for");
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.log", story.text());
    assert_eq!(report(&[arg(&path)])["findings"], serde_json::json!([]));
    let said = common::succeed(&["inspect", arg(&path)]);
    assert!(
        said.contains("Findings: none") && said.contains("they add") && said.contains("without interruption"),
        "{said}"
    );
}
