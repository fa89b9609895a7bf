//! Names and values from outside that would command a terminal or forge a line: none of them reaches stdout, stderr or a record as
//! it is, and JSON has them by its own rules.

use crate::common::{arg, config, copy_folder, lineside, records, root, text};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;

/// What a name may have in it: a command to clear the screen, one in C1, a forged line, a bell in a window's title, a change of
/// the direction of text.
const HOSTILE: [&str; 5] =
    ["a\u{1b}[2Jb", "c\u{9b}2Jd", "e\nlineside: forged\r", "f\u{1b}]0;title\u{7}", "gpj\u{202e}h"];

fn is_harmful(c: char) -> bool {
    c != '\n' && (c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}'))
}

/// What a command printed, all of it: harmless.
fn harmless(arguments: &[&OsStr]) -> Output {
    let output = lineside().args(arguments).output().unwrap();
    for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let said = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{stream}: {error}"));
        assert!(!said.contains(is_harmful), "{arguments:?}: {stream}: {said:?}");
        assert!(!said.lines().any(|line| line.starts_with("lineside: forged")), "{arguments:?}: {stream}: {said}");
    }
    output
}

fn call(arguments: &[&str]) -> Output {
    harmless(&arguments.iter().map(OsStr::new).collect::<Vec<_>>())
}

/// A text as it stands inside a string of JSON.
fn json_text(text: &str) -> String {
    serde_json::json!(text).to_string().trim_matches('"').into()
}

/// A folder whose pictures have hostile names: two of them of each, the second one damaged.
fn pictures(folder: &Path) -> PathBuf {
    let frames = folder.join("frames");
    std::fs::create_dir(&frames).unwrap();
    for name in HOSTILE {
        std::fs::copy(root().join("models/inspect-demo/frames/normal/part-01.jpg"), frames.join(format!("{name}.jpg")))
            .unwrap();
        std::fs::write(frames.join(format!("{name} damaged.png")), "\u{89}PNG").unwrap();
    }
    frames
}

#[test]
fn names_of_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let frames = pictures(folder.path());
    for format in ["text", "json"] {
        let results = folder.path().join(format);
        let path = config(
            folder.path(),
            &format!(
                "[source.folder]\npath = {frames:?}\n[output]\nfolder = {results:?}\nnormal_every = 1\n\
                 [super_resolution]\nwhen = \"never\"\n"
            ),
        );
        let output = call(&["run", arg(&path), "--log-format", format]);
        let (out, log) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success() && out.contains("a\\u{1b}[2Jb.jpg") && out.contains("FAILED"), "{out}{log}");
        if format == "json" {
            let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert!(lines.len() > 3);
        }
        // Records have the real names.
        let raw = std::fs::read_to_string(results.join("events.jsonl")).unwrap();
        assert!(!raw.contains(is_harmful), "{raw:?}");
        let records = records(&results);
        for name in HOSTILE {
            let is_named = |record: &serde_json::Value| record.to_string().contains(&json_text(name));
            assert!(records.iter().any(is_named), "{name:?}: {raw}");
        }
        // And the log reader understands both forms.
        let log_file = folder.path().join("lineside.log");
        std::fs::write(&log_file, &log).unwrap();
        call(&["inspect", arg(&log_file), arg(&results)]);
        call(&["inspect", "--json", arg(&log_file)]);
        call(&["replay", arg(&results)]);
    }
    let frames = arg(&frames);
    call(&["eval", "inspect-demo", "--normal", frames, "--defect", frames]);
    let good = folder.path().join("good");
    std::fs::create_dir(&good).unwrap();
    for name in HOSTILE {
        std::fs::rename(Path::new(frames).join(format!("{name}.jpg")), good.join(format!("{name}.jpg"))).unwrap();
    }
    let good = arg(&good);
    // The same pictures called defects: they are missed, and named.
    let bad = folder.path().join("bad");
    copy_folder(Path::new(good), &bad);
    let said = call(&["eval", "inspect-demo", "--normal", good, "--defect", arg(&bad)]);
    assert!(
        said.status.success() && text(&said.stdout).contains("e\\nlineside: forged\\r.jpg"),
        "{}",
        text(&said.stdout)
    );
    let said = call(&["eval", "inspect-demo", "--normal", good, "--defect", arg(&bad), "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let named = json["misses"].to_string() + &json["false_alarms"].to_string();
    assert!(HOSTILE.iter().all(|name| named.contains(&json_text(name))), "{json}");
    let small = folder.path().join("large");
    let said = call(&["upscale", good, arg(&small)]);
    assert!(said.status.success() && small.join(format!("{}.png", HOSTILE[0])).exists(), "{}", text(&said.stderr));
    assert_eq!(call(&["upscale", frames, arg(&small)]).status.code(), Some(1));
}

#[test]
fn paths_arguments_and_values() {
    let folder = tempfile::tempdir().unwrap();
    for name in HOSTILE {
        let missing = folder.path().join(name);
        let missing = arg(&missing);
        for arguments in [
            &["run", missing][..],
            &["check", missing],
            &["teach", "--good", missing, "--out", missing],
            &["eval", missing, "--normal", missing],
            &["infer", missing, "-i", missing, "-o", missing],
            &["bench", missing],
            &["parity", missing],
            &["inspect", missing],
            &["replay", missing],
            &["upscale", missing, missing],
            &[name],
            &["run", name, name],
            &["bench", missing, "--threads", name],
            &["run", "--log-format", name],
        ] {
            assert!(!call(arguments).status.success(), "{arguments:?}");
        }
        let quoted = toml::Value::from(name).to_string();
        for section in [
            format!("[source.folder]\npath = {quoted}\n"),
            format!("[source.pattern]\n[anomaly]\nbundle = {quoted}\n"),
            format!("[source.camera]\ndevice = {quoted}\n"),
            format!("[source.pattern]\n[mqtt]\nhost = {quoted}\n"),
            format!("[source.pattern]\n[mqtt]\nhost = \"b\"\ntopic = {quoted}\n"),
            format!("[source.pattern]\n[status_page]\ntoken = {quoted}\n"),
            format!("[source.pattern]\n{quoted} = 1\n"),
            format!("[source.pattern]\n[output]\nfolder = {:?}\n", format!("/proc/{name}")),
        ] {
            let path = config(folder.path(), &section);
            assert!(!call(&["check", arg(&path)]).status.success(), "{section}");
        }
    }
    // Not UTF-8 either.
    use std::os::unix::ffi::OsStrExt;
    let odd = OsStr::from_bytes(b"/\xff\x1b[2J\x9b");
    assert_eq!(harmless(&[OsStr::new("run"), odd]).status.code(), Some(78));
}

#[test]
fn names_of_models_and_bundles() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    copy_folder(&root().join("models/inspect-demo"), &bundle);
    let manifest = std::fs::read_to_string(bundle.join("bundle.toml")).unwrap();
    let name = manifest.lines().find(|line| line.starts_with("name = ")).unwrap();
    std::fs::write(bundle.join("bundle.toml"), manifest.replace(name, "name = \"x\\u001b[2J\\nlineside: forged\""))
        .unwrap();
    call(&["parity", arg(&bundle)]);
    let path = config(folder.path(), &format!("[source.pattern]\n[anomaly]\nbundle = {bundle:?}\n"));
    call(&["check", arg(&path)]);
    call(&["check", "--json", arg(&path)]);

    // Names of the nodes of a model, of the same length: the file stays whole.
    let model = std::fs::read(root().join("crates/engine/tests/networks/espcn/model.onnx")).unwrap();
    let mut hostile = model.clone();
    for at in 0..model.len() - 5 {
        if &model[at..at + 5] == b"Conv_" {
            hostile[at + 2..at + 4].copy_from_slice(b"\x1b\n");
        }
    }
    assert_ne!(hostile, model);
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, hostile).unwrap();
    let said = call(&["bench", arg(&path), "--runs", "1", "--ops"]);
    assert!(said.status.success() && text(&said.stdout).contains("\\u{1b}"), "{}", text(&said.stderr));
}
