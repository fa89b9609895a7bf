//! What people see at a terminal, and programs do not.

use crate::common::{arg, has, lineside, root, text};
use std::process::Command;

/// What `lineside run` with these arguments prints on a terminal, which `script` makes.
fn on_a_terminal(arguments: &str, colours: bool) -> Option<String> {
    if !has("script", &["--version"]) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let typed = folder.path().join("typed");
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{} run {arguments}", env!("CARGO_BIN_EXE_lineside")), arg(&typed)]);
    command.current_dir(folder.path()).env("LINESIDE_BUNDLES", root().join("models")).env_remove("LINESIDE_LOG");
    command.env("TERM", "xterm").env("NO_COLOR", if colours { "" } else { "1" });
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
    Some(text(&output.stdout))
}

#[test]
fn people_get_short_lines_in_colours() {
    let Some(seen) = on_a_terminal("", true) else { return };
    assert!(seen.contains("\u{1b}[1;31mdefect/part-05-scratch.jpg"), "{seen}");
    assert!(seen.contains("\u{1b}[32mnormal/part-01.jpg") && seen.contains("32 frames: 32 inspected"), "{seen}");
    assert!(!seen.contains("record="), "{seen}");
    let Some(plain) = on_a_terminal("", false) else { return };
    assert!(!plain.contains('\u{1b}') && plain.contains("DEFECT"), "{plain}");
    let Some(verbose) = on_a_terminal("--verbose", true) else { return };
    assert!(verbose.contains("record=start ") && verbose.contains("record=stop "), "{verbose}");
}

#[test]
fn what_is_piped_has_no_colours_and_all_records() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = lineside();
    command.current_dir(folder.path()).env("LINESIDE_BUNDLES", root().join("models"));
    let output = command.arg("run").output().unwrap();
    assert!(!text(&output.stdout).contains('\u{1b}') && !text(&output.stderr).contains('\u{1b}'));
    assert!(text(&output.stderr).contains(" record=start ") && text(&output.stderr).contains(" level=info "));
}
