//! A reload ends no run for a configuration that none can begin with: what can be tried is tried beside it.

use crate::common::{config, copy_folder, ends, eventually, records, root, signal, write_secret};
use crate::plc::Running;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

fn line(folder: &Path, output: &str, more: &str) -> PathBuf {
    let (bundle, output) = (folder.join("bundle"), folder.join(output));
    config(
        folder,
        &format!(
            "[source.pattern]\nwidth = 320\nheight = 240\nfps = 20.0\n[anomaly]\nbundle = {bundle:?}\n[output]\nfolder = {output:?}\n\
             [super_resolution]\nwhen = \"never\"\n{more}"
        ),
    )
}

/// Waits until the log has so many records of a kind.
fn until(running: &Running, kind: &str, count: usize) {
    let has = || running.log().matches(&format!(" record={kind} ")).count() >= count;
    eventually(format_args!("{count} {kind}"), || has().then_some(()));
}

/// Asks for a reload, which is refused for a reason.
fn refuses(running: &Running, number: usize, why: &str) {
    signal(&running.process, "HUP");
    until(running, "reload_refused", number);
    let log = running.log();
    let last = log.lines().rfind(|text| text.contains(" record=reload_refused ")).unwrap();
    assert!(last.contains(why), "{why}: {last}");
}

#[test]
fn what_no_run_could_begin_with_ends_none() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    copy_folder(&root().join("models/inspect-pattern"), &at("bundle"));
    let path = line(folder.path(), "results", "");
    let mut running = Running::start(&path);
    until(&running, "start", 1);
    // The file is as it was, and the bundle is damaged: the one that is loaded goes on.
    let model = at("bundle/model.onnx");
    let whole = std::fs::read(&model).unwrap();
    File::options().append(true).open(&model).unwrap().write_all(b"x").unwrap();
    refuses(&running, 1, "model.onnx");
    std::fs::write(&model, whole).unwrap();
    // A folder of results that is none, and one that another line has.
    std::fs::write(at("file"), "").unwrap();
    line(folder.path(), "file", "");
    refuses(&running, 2, "cannot write results there (output.folder)");
    std::fs::create_dir(at("taken")).unwrap();
    let taken = File::open(at("taken")).unwrap();
    taken.lock().unwrap();
    line(folder.path(), "taken", "");
    refuses(&running, 3, "another line writes its results there");
    // A certificate that is none.
    let (certificate, key) = (at("page.pem"), at("key.pem"));
    std::fs::write(&certificate, "no certificate").unwrap();
    write_secret(&key, "no key");
    let tls = format!(
        "[status_page]\nlisten = \"127.0.0.1:0\"\n[status_page.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n"
    );
    line(folder.path(), "results", &tls);
    refuses(&running, 4, "page.pem");
    assert_eq!(running.log().matches(" record=start ").count(), 1, "{}", running.log());
    // And one that can be used is taken.
    line(folder.path(), "results", "[budget]\nmemory = \"256 MiB\"\n");
    signal(&running.process, "HUP");
    until(&running, "start", 2);
    running.stop();
    let records = records(&at("results"));
    let reasons: Vec<&str> = records.iter().filter_map(|one| one["reason"].as_str()).collect();
    assert_eq!(reasons, ["a new configuration", "stop asked for"]);
}

#[test]
fn a_watched_folder_that_is_away_ends_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let (drop_folder, results) = (folder.path().join("drop"), folder.path().join("results"));
    std::fs::create_dir(&drop_folder).unwrap();
    let text = format!(
        "[source.folder]\npath = {drop_folder:?}\nwatch = true\n[output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n"
    );
    let mut running = Running::start(&config(folder.path(), &text));
    until(&running, "start", 1);
    std::fs::remove_dir(&drop_folder).unwrap();
    refuses(&running, 1, "source.folder.path: ");
    // The share is back, and the line with it.
    std::fs::create_dir(&drop_folder).unwrap();
    let frame = root().join("models/inspect-demo/frames/defect/part-12-missing.jpg");
    std::fs::copy(frame, drop_folder.join("part.jpg")).unwrap();
    eventually("its frame", || {
        std::fs::read_to_string(results.join("events.jsonl")).ok().filter(|text| text.contains("part.jpg"))
    });
    assert_eq!(running.log().matches(" record=start ").count(), 1, "{}", running.log());
    running.stop();
}

/// The pictures of a folder go while its run ends: neither configuration begins, and both are tried until a stop is asked for.
#[test]
fn a_stop_while_no_run_can_begin_is_told_by_the_exit_code() {
    for table in ["source", "camera.source"] {
        let folder = tempfile::tempdir().unwrap();
        let (frames, results) = (folder.path().join("frames"), folder.path().join("results"));
        copy_folder(&root().join("models/inspect-demo/frames"), &frames);
        let camera = if table == "source" { "" } else { "[[camera]]\nname = \"a\"\n" };
        let text = format!(
            "[output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n{camera}\
             [{table}.folder]\npath = {frames:?}\nrepeat = true\nfps = 10.0\n"
        );
        let mut running = Running::start(&config(folder.path(), &text));
        until(&running, "start", 1);
        std::fs::remove_dir_all(&frames).unwrap();
        std::fs::create_dir(&frames).unwrap();
        signal(&running.process, "HUP");
        until(&running, "start_failed", 2);
        signal(&running.process, "TERM");
        let status = ends(&mut running.process);
        assert_eq!(status.code(), Some(1), "{table}: {}", running.log());
        assert!(running.log().contains("no run could begin after the last one"), "{table}: {}", running.log());
    }
}
