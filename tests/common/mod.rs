//! What the tests that drive the binary share.
#![allow(dead_code)] // each test file uses its part

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The project's folder: tests run there, so that bundles are found under `models/`.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary, to be given arguments.
pub fn lineside() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lineside"));
    command.current_dir(root()).env_remove("LINESIDE_LOG").env_remove("LINESIDE_BUNDLES");
    command
}

/// Runs the binary.
pub fn run(arguments: &[&str]) -> Output {
    lineside().args(arguments).output().unwrap()
}

/// Runs the binary, which must succeed, and gives its stdout.
pub fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}\n{}", output.status, text(&output.stderr));
    text(&output.stdout)
}

/// Runs the binary, which must fail with `code` and one line that contains every one of `parts`.
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

/// Writes `config` into `folder` and gives its path.
pub fn config(folder: &Path, config: &str) -> PathBuf {
    let path = folder.join("line.toml");
    std::fs::write(&path, config).unwrap();
    path
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

/// What a test needs from outside the project, or `None` with a printed reason. CI sets `LINESIDE_REQUIRE_ALL`, and
/// then nothing may be missing.
pub fn outside(path: PathBuf, what: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    let missing = format!("{what} is not at {}", path.display());
    assert!(std::env::var_os("LINESIDE_REQUIRE_ALL").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
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
