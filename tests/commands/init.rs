//! `lineside init`: a configuration to begin with.

use crate::common::{arg, lineside, refuse, root, succeed, text};

#[test]
fn what_it_writes_is_a_configuration_and_no_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line.toml");
    let said = succeed(&["init", arg(&path)]);
    assert!(said.contains("next: lineside check "), "{said}");
    let written = std::fs::read_to_string(&path).unwrap();
    lineside::config::Config::load(&path).unwrap();
    refuse(&["init", arg(&path)], 1, &["line.toml: it is there already"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    assert_eq!(succeed(&["init", "-"]), written);
    refuse(&["init", "-", "--camera", "/dev/no-such"], 1, &["/dev/no-such: no such camera"]);
}

/// On a board without a camera the first configuration runs as it is.
#[test]
fn a_board_without_a_camera_begins_with_the_synthetic_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line.toml");
    let said = succeed(&["init", arg(&path)]);
    if !said.contains("a synthetic line instead") {
        eprintln!("this machine has a camera");
        return;
    }
    let mut command = lineside();
    command.current_dir(folder.path()).env("LINESIDE_BUNDLES", root().join("models"));
    let output = command.args(["run", "line.toml", "--frames", "2"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("2 frames: "), "{}", text(&output.stdout));
    // Its bundle knows the line: no scratch is among its first frames.
    assert!(text(&output.stdout).contains("\n0 with defects"), "{}", text(&output.stdout));
}
