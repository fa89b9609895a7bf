//! The commands that look at the board, on machines that have no camera and no line; where there are some, other names are
//! asked for. Real ones are not needed for this.

use crate::common::{arg, config, ends, eventually, has, lineside, records, refuse, run, signal, succeed, text};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

const NO_CAMERA: &str =
    "[source.camera]\ndevice = \"/dev/v4l/by-id/no-such-camera\"\n[super_resolution]\nwhen = \"never\"\n";

#[test]
fn devices_are_listed_even_where_there_are_none() {
    let said = succeed(&["devices"]);
    assert!(said.contains("camera") && said.contains("GPIO chip"), "{said}");
    let json: serde_json::Value = serde_json::from_str(&succeed(&["devices", "--json"])).unwrap();
    assert!(json["cameras"].is_array() && json["gpio_chips"].is_array(), "{json}");
}

#[test]
fn check_refuses_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let check = |toml: &str, code: i32, part: &str| {
        refuse(&["check", arg(&config(folder.path(), toml))], code, &[part]);
    };
    check(NO_CAMERA, 1, "line.toml:2: /dev/v4l/by-id/no-such-camera: no such camera: plug it in");
    check("[source.camera]\ndevice = \"/dev/null\"\n", 78, "line.toml:2: /dev/null: it is not a camera");
    check(
        "[source.pattern]\n[alarm]\nchip = \"gpiochip99\"\nline = 1\n",
        78,
        "line.toml:4: no GPIO chip gpiochip99; there is",
    );
    for table in ["alarm", "heartbeat", "trigger"] {
        let toml = format!("[source.pattern]\n[{table}]\nchip = \"gpiochip99\"\nline = \"no such line\"\n");
        check(&toml, 78, "line.toml:4: no GPIO chip gpiochip99");
    }
    let out = folder.path().join("taught");
    refuse(&["teach", "--camera", "/dev/no-such-camera", "--out", arg(&out)], 1, &["no such camera"]);
    let files = config(folder.path(), "[source.folder]\npath = \"parts\"\n");
    refuse(&["teach", "--camera", arg(&files), "--out", arg(&out)], 1, &["has no camera to record from"]);
    assert_eq!(run(&["teach", "--camera", "0", "--normal", "x", "--out", arg(&out)]).status.code(), Some(2));
    assert_eq!(run(&["teach", "--out", arg(&out)]).status.code(), Some(2));
    assert_eq!(run(&["teach", "--normal", "x", "--every", "2", "--out", arg(&out)]).status.code(), Some(2));
}

/// A run without its camera waits for it, says so once, and stops when it is told to.
#[test]
fn run_waits_for_a_camera_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("out");
    let path = config(folder.path(), &format!("{NO_CAMERA}[output]\nfolder = {results:?}\n"));
    let mut run = lineside();
    run.args(["run", arg(&path)]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = run.spawn().unwrap();
    eventually("a start", || results.join("events.jsonl").exists().then_some(()));
    // Long enough for several tries.
    std::thread::sleep(Duration::from_millis(1200));
    signal(&child, "TERM");
    ends(&mut child);
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("record=fault").count(), 1, "{said}");
    assert!(said.contains("fault=camera state=begin"), "{said}");
    let fault = records(&results).into_iter().find(|record| record["record"] == "fault").expect("it is kept, too");
    assert_eq!((&fault["fault"], &fault["state"]), (&"camera".into(), &"begin".into()));
    assert!(said.contains("no-such-camera: no such camera: plug it in"), "{said}");
}

/// A camera that belongs to a group which this user is not in: the group is named.
#[test]
fn who_may_not_use_the_camera_is_told_which_group_may() {
    let folder = tempfile::tempdir().unwrap();
    let (camera, program) = (folder.path().join("camera"), folder.path().join("lineside"));
    // The number of a camera that no machine has; who may open it is decided before that is found out.
    if !has("mknod", &["-m", "660", arg(&camera), "c", "81", "250"]) {
        return;
    }
    std::os::unix::fs::chown(&camera, Some(0), Some(44)).unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::copy(lineside().get_program(), &program).unwrap();
    let path = config(folder.path(), &format!("[source.camera]\ndevice = {camera:?}\n"));
    for command in ["check", "run"] {
        let mut other = Command::new("setpriv");
        other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program);
        let output = other.args([command, arg(&path)]).current_dir("/").output().unwrap();
        let said = text(&output.stderr);
        let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("lineside: ")).collect();
        assert_eq!((output.status.code(), lines.len()), (Some(1), 1), "{said}");
        let group = std::fs::read_to_string("/etc/group").unwrap();
        let group = group.lines().find(|line| line.split(':').nth(2) == Some("44")).unwrap_or("44");
        let group = group.split(':').next().unwrap();
        let expected = format!(
            "line.toml:2: {}: no permission: its group is {group}; `usermod -aG {group} USER`",
            camera.display()
        );
        assert!(lines[0].contains(&expected), "{expected:?} is not in {}", lines[0]);
    }
}
