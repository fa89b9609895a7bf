//! The page.

use super::*;

#[test]
fn the_page_holds_all_that_it_needs_and_nothing_from_a_log_runs_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut story = Story::new("line<script>alert(1)</script>");
    story.start("clean").go(2 * HOUR);
    for event in 0..30 {
        story.event(0.99 + 0.0001 * f64::from((29 - event) / 2), 30.0);
        let picture = write(folder.path(), &format!("{}-part-{}.png", story.time, story.captured()), "");
        let mut encoder = png::Encoder::new(std::fs::File::create(picture).unwrap(), 64, 48);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().unwrap().write_image_data(&[100; 64 * 48 * 3]).unwrap();
        story.go(MINUTE);
    }
    story.outage(30 * SECOND).go(HOUR);
    let events = write(folder.path(), "events.jsonl", story.json());
    let page = folder.path().join("page.html");
    common::succeed(&["inspect", arg(&events), "--html", arg(&page)]);
    let html = std::fs::read_to_string(page).unwrap();
    assert_eq!(html.matches("<img ").count(), 24, "as many pictures as fit");
    assert!(!html.contains("<script") && html.contains("line&lt;script&gt;"));
    for outside in ["http:", "https:", "//cdn", "<link", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.matches("src=\"").count() == html.matches("src=\"data:image/png;base64,").count());
    assert!(html.matches("<svg").count() >= 7, "{}", html.matches("<svg").count());
    assert!(html.contains("prefers-color-scheme: dark") && html.contains("width=device-width"));
    assert!(html.contains("The camera was unavailable once") && html.len() < 1 << 20, "{}", html.len());
}

/// Where scores are all 1, severities tell a scratch from a missing part; logs of older programs stay as they were.
#[test]
fn the_worst_frames_are_those_of_the_highest_severity_where_there_are_any() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let mut story = Story::new("line3");
    story.start("clean").go(2 * HOUR);
    for severity in [None, Some(1.3), Some(9.25), Some(2.5)] {
        story.severity = severity;
        story.event(1.0, 30.0);
        story.go(HOUR);
        let events = write(folder.path(), "events.jsonl", story.json());
        let text = common::succeed(&["inspect", arg(&events), "--html", arg(&page)]);
        let html = std::fs::read_to_string(&page).unwrap();
        let [title, other] = ["highest severities", "highest scores"];
        let (is, is_not) = if severity.is_some() { (title, other) } else { (other, title) };
        assert!(text.contains(is) && !text.contains(is_not), "{text}");
        assert!(html.to_lowercase().contains(is) && !html.to_lowercase().contains(is_not));
        assert_eq!(
            html.contains("alarm, 1"),
            severity.is_some(),
            "a distribution of severities only where there are any"
        );
    }
    let events = write(folder.path(), "events.jsonl", story.json());
    let report: serde_json::Value =
        serde_json::from_str(&common::succeed(&["inspect", arg(&events), "--json"])).unwrap();
    let worst = report["boards"][0]["worst"].as_array().unwrap();
    let severities: Vec<&serde_json::Value> = worst.iter().map(|frame| &frame["severity"]).collect();
    assert_eq!(severities, [&9.25.into(), &2.5.into(), &1.3.into(), &serde_json::Value::Null]);
    let text = common::succeed(&["inspect", arg(&events)]);
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("score 1.0000")).collect();
    assert!(rows[0].contains("severity  9.25") && rows[2].contains("severity  1.30"), "{rows:?}");
    assert!(!rows[3].contains("severity"), "{rows:?}");
}

fn fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn what_is_beside_a_log_is_not_waited_for_and_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (beside, outside) = (folder.path().join("records"), folder.path().join("private"));
    std::fs::create_dir_all(&beside).unwrap();
    std::fs::create_dir_all(&outside).unwrap();
    let picture = |path: PathBuf| {
        let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), 64, 48);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().unwrap().write_image_data(&[100; 64 * 48 * 3]).unwrap();
    };
    picture(outside.join("secret.png"));
    picture(beside.join("own.png"));
    std::os::unix::fs::symlink(outside.join("secret.png"), beside.join("link.png")).unwrap();
    std::os::unix::fs::symlink(&outside, beside.join("folder")).unwrap();
    fifo(&beside.join("pipe.png"));
    let event = |annotated: &str| {
        format!(
            "{{\"time\":\"2026-11-21T04:00:00.001Z\",\"record\":\"event\",\"run\":\"0a1b2c3d\",\"frame\":{annotated:?},\
             \"score\":0.999,\"threshold\":0.99,\"files\":{{\"annotated\":{annotated:?}}}}}\n"
        )
    };
    let names = ["own.png", "link.png", "folder/secret.png", "../private/secret.png", "pipe.png"];
    let events = write(&beside, "events.jsonl", names.map(event).concat());
    let page = folder.path().join("page.html");
    common::succeed(&["inspect", arg(&events), "--html", arg(&page)]);
    assert_eq!(std::fs::read_to_string(page).unwrap().matches("<img ").count(), 1);

    // A pipe without a writer in a log's place, named or found: refused, the rest is read.
    let pipe = beside.join("old.log");
    fifo(&pipe);
    for paths in [vec![arg(&events), arg(&pipe)], vec![arg(&beside)]] {
        let output = lineside().arg("inspect").args(&paths).output().unwrap();
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("old.log: it cannot be read: it is a pipe (FIFO)"), "{said}");
        assert!(said.contains("5 records of Lineside"), "{said}");
    }
}

#[test]
fn hostile_words_in_a_log_stay_words() {
    const HOSTILE: &str = "<img src=x onerror=alert(1)>\\\"'&amp;\\u001b[2J";
    let mut day = bad_day();
    day.event(0.999, 31.0);
    let limits = [("statistic", "ks"), ("value", "0.41"), ("limit", "0.12"), ("cause", "new parts?")];
    day.record("review", &[&[("review", "needed")][..], &limits].concat());
    day.words("thread 'inspection' panicked at src/engine/step.rs:12:5:");
    day.words("index out of bounds");
    let mut log = day.json().replace("index out", &format!("{}index out", HOSTILE.replace("\\u001b", "\u{1b}")));
    // Every text that a record may hold, also those that are told only in tables.
    for word in [
        "line3",
        "0.1.0",
        "camera /dev",
        "/etc/lineside",
        "inspect-demo",
        "Cortex-A72",
        "neon",
        "no such camera",
        "part-",
        "ks",
        "new parts?",
        ".png",
        "stop asked for",
        "\"camera\"",
    ] {
        let with = if word.starts_with('"') { format!("\"camera{HOSTILE}\"") } else { format!("{word}{HOSTILE}") };
        assert!(log.contains(word), "{word}");
        log = log.replace(word, &with);
    }
    let folder = tempfile::tempdir().unwrap();
    let log = write(folder.path(), "a<b>&.log", log);
    let page = folder.path().join("page.html");
    let said = common::succeed(&["inspect", arg(&log), "--html", arg(&page)]);
    assert!(said.contains("<img src=x") && !said.contains('\u{1b}'), "{said}");
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.matches("&lt;img src=x").count() > 20, "{}", html.matches("&lt;img src=x").count());
    assert!(!html.contains("<img") && !html.contains("<b>&.log") && !html.contains('\u{1b}'));
}
