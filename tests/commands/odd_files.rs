//! A pipe, a socket, a device or a folder in a file's place is refused by name and never waited for; what is too large is refused
//! before it is read.

use crate::common::{arg, config, copy_folder, ends, lineside, records, root, text};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs the program, which must end with this code and one line that has all of `parts`.
fn refuse(arguments: &[&str], code: i32, parts: &[&str]) {
    let mut process = lineside().args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (status, mut stderr) = (ends(&mut process), Vec::new());
    process.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    let stderr = text(&stderr);
    let lines: Vec<&str> = stderr.lines().filter(|line| line.starts_with("lineside: ")).collect();
    assert_eq!((status.code(), lines.len()), (Some(code), 1), "{arguments:?}: {stderr}");
    for part in parts {
        assert!(lines[0].contains(part), "{arguments:?}: \"{part}\" is not in: {}", lines[0]);
    }
}

fn pipe(path: &Path) -> &Path {
    let _ = std::fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    path
}

/// One of each kind that is no file, and what it is called.
fn odd(folder: &Path, ending: &str) -> Vec<(PathBuf, &'static str)> {
    let at = |name: &str| folder.join(format!("{name}{ending}"));
    drop(UnixListener::bind(at("socket")).unwrap());
    std::fs::create_dir(at("folder")).unwrap();
    symlink("/dev/zero", at("device")).unwrap();
    symlink(pipe(&at("pipe")), at("link")).unwrap();
    vec![
        (at("pipe"), "a pipe (FIFO)"),
        (at("link"), "a pipe (FIFO)"),
        (at("socket"), "a socket"),
        (at("folder"), "a folder"),
        (at("device"), "a device"),
    ]
}

#[test]
fn as_configuration_model_array_or_picture() {
    let folder = tempfile::tempdir().unwrap();
    let x = root().join("models/backbone-lite0/golden/0.input.npy");
    let model = root().join("models/superres-x3/model.onnx");
    let png = folder.path().join("out.png");
    for (path, what) in odd(folder.path(), ".bin") {
        let (odd, name) = (arg(&path), path.file_name().unwrap().to_str().unwrap());
        let refused = [name, what, "only regular files are read"];
        refuse(&["check", odd], 78, &refused);
        refuse(&["infer", odd, "-i", arg(&x), "-o", arg(&png)], 1, &refused);
        refuse(&["infer", arg(&model), "-i", odd, "-o", arg(&png)], 1, &refused);
        if what != "a folder" {
            refuse(&["upscale", odd, arg(&png)], 1, &refused);
        }
    }
}

#[test]
fn in_a_bundle_or_as_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["bundle.toml", "model.onnx", "scorer-0.npy"] {
        let bundle = folder.path().join(name.replace('.', "-"));
        copy_folder(&root().join("models/inspect-demo"), &bundle);
        pipe(&bundle.join(name));
        let frames = root().join("models/inspect-demo/frames/normal");
        let arguments = ["eval", arg(&bundle), "--normal", arg(&frames)];
        refuse(&arguments, 78, &[name, "a pipe (FIFO), only regular files are read"]);
    }
    let secret = folder.path().join("secret");
    pipe(&secret);
    let source = "[source.pattern]\n";
    for section in [
        format!("[status_page]\ntoken_file = {secret:?}\n"),
        format!("[mqtt]\nhost = \"localhost\"\nusername = \"a\"\npassword_file = {secret:?}\n"),
        format!("[mqtt]\nhost = \"localhost\"\n[mqtt.tls]\nca = {secret:?}\n"),
    ] {
        let path = config(folder.path(), &format!("{source}{section}"));
        refuse(&["check", arg(&path)], 78, &["line.toml:", "secret: it is a pipe (FIFO)"]);
    }
}

#[test]
fn a_secret_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    for section in [
        format!("[status_page]\ntoken_file = {secret:?}\n"),
        format!("[mqtt]\nhost = \"localhost\"\nusername = \"a\"\npassword_file = {secret:?}\n"),
    ] {
        let path = config(folder.path(), &format!("[source.pattern]\n{section}"));
        for command in ["check", "run"] {
            // What is said can be done as it stands there.
            std::fs::write(&secret, "0123456789\n").unwrap();
            std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o666)).unwrap();
            let output = lineside().args([command, arg(&path)]).output().unwrap();
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(78), "{said}");
            let mend = said.trim().split_once("its mode 0666 opens it to other users: ").unwrap().1;
            assert!(mend.starts_with("chmod "), "{said}");
            assert!(std::process::Command::new("sh").args(["-c", mend]).status().unwrap().success(), "{mend}");
            assert_eq!(std::fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o640);
        }
    }
}

#[test]
fn among_pictures_they_are_passed_over_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    assert_eq!(odd(&frames, ".png").len(), 5);
    let passed_over = "passed over: 4 with a picture's name that are no file";
    refuse(&["eval", "inspect-demo", "--normal", arg(&frames)], 1, &["no picture in it", passed_over]);
    std::fs::copy(root().join("models/inspect-demo/frames/normal/part-01.jpg"), frames.join("1.jpg")).unwrap();
    let large = std::fs::File::create(frames.join("2.png")).unwrap();
    large.set_len(1 << 40).unwrap();
    let results = folder.path().join("results");
    let path = config(folder.path(), &format!("[source.folder]\npath = {frames:?}\n[output]\nfolder = {results:?}\n"));
    let mut process = lineside().args(["run", arg(&path)]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(ends(&mut process).success());
    let records = records(&results);
    let has =
        |part: &str| records.iter().any(|record| record["cause"].as_str().is_some_and(|text| text.contains(part)));
    assert!(has(passed_over) && has("2.png: it has 1.0 TiB, more than the"), "{records:?}");
    let stop = records.last().unwrap();
    let count = |field: &str| stop[field].as_u64().unwrap();
    assert_eq!((count("captured"), count("inspected"), count("failed")), (2, 1, 1));
    assert!(count("peak_rss_bytes") < 192 << 20, "{stop}");
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.toml");
    std::fs::File::create(&large).unwrap().set_len(1 << 40).unwrap();
    refuse(&["check", arg(&large)], 78, &["large.toml: it has 1.0 TiB, more than the 1.0 MiB"]);
    refuse(&["upscale", arg(&large), arg(&folder.path().join("out.png"))], 1, &["large.toml", "not a PNG"]);
    let png = folder.path().join("large.pgm");
    std::fs::write(&png, "P5 8 8 255 ").unwrap();
    std::fs::OpenOptions::new().write(true).open(&png).unwrap().set_len(1 << 40).unwrap();
    refuse(&["upscale", arg(&png), arg(&folder.path().join("out.png"))], 1, &["large.pgm", "it has more than"]);
    let bundle = folder.path().join("bundle");
    copy_folder(&root().join("models/inspect-demo"), &bundle);
    std::fs::OpenOptions::new().write(true).open(bundle.join("bundle.toml")).unwrap().set_len(1 << 40).unwrap();
    let frames = root().join("models/inspect-demo/frames/normal");
    refuse(&["eval", arg(&bundle), "--normal", arg(&frames)], 78, &["bundle.toml: it has 1.0 TiB"]);
}
