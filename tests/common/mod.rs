//! Shared by the tests that run the program.
//!
//! No test depends on the machine's speed. What must happen is awaited with [`eventually`] and [`ends`], whose limit only
//! ends a test that hangs; what must not happen is shown by the order of events or by a count.
#![allow(dead_code)] // each test binary uses its part

use lineside::bundle::{Draft, Manifest};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Ends a test that hangs. Far above what any step takes, also on a machine with four times as much work as cores.
pub const HANGS: Duration = Duration::from_secs(180);

/// Polls until `look` returns something; panics with `what` when it hangs.
pub fn eventually<T>(what: impl Display, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < HANGS, "it hangs: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits for the end of a process; kills it and panics when it hangs.
pub fn ends(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > HANGS {
            let _ = child.kill();
            panic!("the process does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a process.
pub fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
}

/// Prints why a test is skipped. With `LINESIDE_REQUIRE_ALL`, which CI sets, it fails instead.
pub fn skip(missing: impl Display) {
    assert!(std::env::var_os("LINESIDE_REQUIRE_ALL").is_none(), "missing: {missing}");
    eprintln!("skipped: {missing}");
}

/// Whether a command succeeds here; if not, the test that needs it is skipped.
pub fn has(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let tried = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let works = tried.is_ok_and(|status| status.success());
    if !works {
        skip(format_args!("`{program} {}` does not work here", arguments.join(" ")));
    }
    works
}

/// The project's folder: tests run there, so that bundles are found under `models/`.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program, without arguments yet.
pub fn lineside() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lineside"));
    command.current_dir(root()).env_remove("LINESIDE_LOG").env_remove("LINESIDE_BUNDLES");
    command
}

/// Runs the program.
pub fn run(arguments: &[&str]) -> Output {
    lineside().args(arguments).output().unwrap()
}

/// Runs the program, which must succeed, and returns its stdout.
pub fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}\n{}", output.status, text(&output.stderr));
    text(&output.stdout)
}

/// Runs the program, which must fail with `code` and one line that contains every one of `parts`.
pub fn refuse(arguments: &[&str], code: i32, parts: &[&str]) {
    let output = run(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("lineside: ")).collect();
    assert_eq!(lines.len(), 1, "{arguments:?}: {said}");
    for part in parts {
        assert!(lines[0].contains(part), "{arguments:?}: \"{part}\" is not in: {}", lines[0]);
    }
    assert!(!said.contains("panicked"), "{said}");
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Writes `config` into `folder` and returns its path.
pub fn config(folder: &Path, config: &str) -> PathBuf {
    let path = folder.join("line.toml");
    std::fs::write(&path, config).unwrap();
    path
}

/// Writes a file that only its owner may read.
pub fn write_secret(path: &Path, secret: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, secret).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The records of an `events.jsonl`.
pub fn records(folder: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Copies a bundle's folder.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of the demo's bundle in `folder` that inspects these shapes of its frames of 320 x 240.
pub fn with_region(folder: &Path, shapes: &[&str]) -> PathBuf {
    let bundle = folder.join("with-region");
    copy_folder(&root().join("models/inspect-demo"), &bundle);
    let path = bundle.join("bundle.toml");
    let manifest = std::fs::read_to_string(&path).unwrap();
    let section = format!("[anomaly.region]\nframe = [320, 240]\nshapes = {shapes:?}\n\n[anomaly.heat]");
    std::fs::write(path, manifest.replace("[anomaly.heat]", &section)).unwrap();
    bundle
}

/// A file or folder from outside the project; the test that needs it is skipped where it is missing.
pub fn outside(path: PathBuf, what: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    skip(format_args!("{what} is not at {}", path.display()));
    None
}

/// The folder of measuring data: `$LINESIDE_DATA`, else `shared/data` beside the project.
pub fn data(inside: &str) -> PathBuf {
    let folder = std::env::var_os("LINESIDE_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    folder.join(inside)
}

/// A mask of 320×240 pixels that is white inside the box.
pub fn write_mask(path: &Path, [left, top, right, bottom]: [u32; 4]) {
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), 320, 240);
    encoder.set_color(png::ColorType::Grayscale);
    let inside = |x, y| (left..right).contains(&x) && (top..bottom).contains(&y);
    let bytes: Vec<u8> = (0..320 * 240).map(|i| if inside(i % 320, i / 320) { 255 } else { 0 }).collect();
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
}

/// A bundle whose network (tests/data/own_models/colour.onnx) tells red, green and blue by the mean of the frame.
pub fn colour_bundle(target: &Path, more: &str) {
    let mut draft = Draft::begin(target).unwrap();
    draft.add("model.onnx", &std::fs::read(root().join("tests/data/own_models/colour.onnx")).unwrap()).unwrap();
    draft.add("labels.txt", b"red\ngreen\nblue\n").unwrap();
    let text = format!(
        "format = 1\nname = \"colour\"\nversion = \"1\"\ntask = \"classify\"\ndescription = \"d\"\nlicence = \"MIT\"\n\
         model = \"model.onnx\"\n[input]\nwidth = 8\nheight = 8\nchannels = \"rgb\"\n[input.preparation]\nmean = [0, 0, 0]\n\
         std = [255, 255, 255]\n[classify]\noutput = \"scores\"\nlabels = \"labels.txt\"\nvalues = \"logits\"\n{more}\n\
         [files]\n\"model.onnx\" = \"00\"\n\"labels.txt\" = \"00\"\n"
    );
    draft.finish(Manifest::parse(&text, Path::new("bundle.toml")).unwrap()).unwrap();
}
