//! The presets on top of a program: what they start, with programs of the tests' own where the real ones are not there.

use crate::common::{arg, config, ends, eventually, has, lineside, records, signal, text, write_secret};
use crate::rtsp_camera::RtspCamera;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// `Basic` of `op` and `p@ss w`.
const AUTHORIZATION: &str = "Basic b3A6cEBzcyB3";

fn line(folder: &Path, source: &str) -> PathBuf {
    let results = folder.join("results");
    let text = format!(
        "{source}\n[output]\nfolder = {results:?}\nkeep_free = \"0 B\"\n[super_resolution]\nwhen = \"never\"\n[anomaly]\n\
         threshold = 1.0\n"
    );
    config(folder, &text)
}

/// Puts a shell script into a folder of programs.
fn program(folder: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// Lineside, which finds only the programs in a folder, and a shell's.
fn with_programs(folder: &Path) -> Command {
    for name in ["sh", "head", "sleep", "cat", "dd"] {
        let found =
            ["/bin", "/usr/bin"].iter().map(|bin| Path::new(bin).join(name)).find(|path| path.exists()).unwrap();
        let _ = std::os::unix::fs::symlink(found, folder.join(name));
    }
    let mut command = lineside();
    command.env("PATH", folder);
    command
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn libcamera_takes_the_best_program_that_is_there() {
    let (folder, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = "[source.libcamera]\nwidth = 64\nheight = 48\nexposure_us = 5000\nflip = \"both\"";
    let path = line(folder.path(), source);
    let check = || output(with_programs(programs.path()).args(["check", arg(&path)]));
    let (code, _, error) = check();
    assert_eq!(code, Some(78), "{error}");
    assert!(
        error.contains("no program rpicam-vid or libcamera-vid or gst-launch-1.0 in PATH: install rpicam-apps"),
        "{error}"
    );
    program(programs.path(), "gst-launch-1.0", "exit 1");
    let (code, _, error) = check();
    assert_eq!(code, Some(78), "{error}");
    assert!(error.contains("exposure_us needs rpicam-vid or libcamera-vid"), "{error}");
    // As these behave: raw frames on standard output, talk on standard error.
    let frames = "echo 'Camera started' >&2\nwhile head -c 4608 /dev/urandom; do sleep 0.02; done";
    for name in ["libcamera-vid", "rpicam-vid"] {
        program(programs.path(), name, frames);
        let (code, out, error) = check();
        assert_eq!(code, Some(0), "{error}");
        assert!(
            out.contains(&format!("source   camera libcamera camera 0 ({name}) (YU12 64x48 at 10.0 fps)\n")),
            "{out}"
        );
        let command = format!(
            "command  {name} --camera 0 --width 64 --height 48 --framerate 10 --timeout 0 --nopreview --verbose=0 --flush \
             --codec yuv420 --shutter 5000 --awb auto --hflip --vflip --output -\n"
        );
        assert!(out.contains(&command), "{out}");
    }
    let (code, _, error) = output(with_programs(programs.path()).args(["run", arg(&path), "--frames", "5"]));
    assert_eq!(code, Some(0), "{error}");
    assert!(error.contains("record=source_output") && error.contains("line=\"Camera started\""), "{error}");
}

#[test]
fn devices_lists_the_cameras_of_libcamera() {
    let programs = tempfile::tempdir().unwrap();
    let devices = |more: &[&str]| output(with_programs(programs.path()).arg("devices").args(more));
    assert!(!devices(&[]).1.contains("libcamera"));
    program(programs.path(), "cam", "echo INFO >&2; echo 'Available cameras:'; echo \"1: 'imx219' (/base/i2c)\"");
    assert!(devices(&[]).1.contains("\nlibcamera camera 0: 'imx219' (/base/i2c)\n"));
    // A first configuration takes it, unless there is one on USB.
    let written = output(with_programs(programs.path()).args(["init", "-"])).1;
    assert!(written.contains("\n[source.libcamera]\ncamera = 0\n") || written.contains("by-id/usb-"), "{written}");
    let list = "[ \"$1\" = --list-cameras ] || exit 1\necho 'Available cameras'\necho '0 : imx708 [4608x2592] (/base/rp1)'\n\
                echo '    Modes: 1536x864'";
    program(programs.path(), "rpicam-hello", list);
    let json: Value = serde_json::from_str(&devices(&["--json"]).1).unwrap();
    assert_eq!(json["libcamera"], serde_json::json!([{ "camera": 0, "about": "imx708 [4608x2592] (/base/rp1)" }]));
}

#[test]
fn rtsp_takes_ffmpeg_or_gstreamer_and_shows_no_password() {
    let (folder, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = folder.path().join("camera");
    write_secret(&secret, "op:s3cret word\n");
    let source =
        format!("[source.rtsp]\nurl = \"rtsp://cam/1\"\nwidth = 64\nheight = 48\ncredentials_file = {secret:?}");
    let path = line(folder.path(), &source);
    let check = || output(with_programs(programs.path()).args(["check", arg(&path)]));
    let (code, _, error) = check();
    assert_eq!(code, Some(78), "{error}");
    assert!(error.contains("line.toml:2: no program ffmpeg or gst-launch-1.0 in PATH: install ffmpeg"), "{error}");
    let (input, arguments) = (folder.path().join("input"), folder.path().join("arguments"));
    // It repeats what it was given, as ffmpeg does with an address that it cannot open.
    let talk = format!("cat > {0}; echo \"$*\" > {1}; cat {0} {1} >&2", input.display(), arguments.display());
    program(
        programs.path(),
        "gst-launch-1.0",
        &format!("{talk}\nwhile head -c 6144 /dev/urandom; do sleep 0.02; done"),
    );
    let (code, out, error) = check();
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("source   camera rtsp://cam/1 (gst-launch-1.0) (YUYV 64x48"), "{out}");
    assert!(out.contains("command  gst-launch-1.0 -q rtspsrc 'location=\"rtsp://cam/1\"' protocols=tcp"), "{out}");
    assert!(!out.contains("s3cret") && !error.contains("s3cret"), "{out}{error}");
    program(programs.path(), "ffmpeg", &format!("{talk}\nwhile head -c 4608 /dev/urandom; do sleep 0.02; done"));
    let (code, out, error) = check();
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("source   camera rtsp://cam/1 (ffmpeg) (YU12 64x48"), "{out}");
    assert!(
        error.contains("rtsp://op:***@cam/1") && !error.contains("s3cret") && !out.contains("s3cret"),
        "{out}{error}"
    );
    let given = std::fs::read_to_string(input).unwrap();
    assert!(given.contains("file 'rtsp://op:s3cret%20word@cam/1'\n"), "{given}");
    assert!(!std::fs::read_to_string(arguments).unwrap().contains("s3cret"));
    // A file that others can read is refused.
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (code, _, error) = check();
    assert_eq!(code, Some(78), "{error}");
    assert!(error.contains("line.toml:5: ") && error.contains("opens it to other users"), "{error}");
}

fn start(path: &Path) -> Child {
    let log = std::fs::File::create(path.with_extension("log")).unwrap();
    let mut command = lineside();
    command.args(["--log-format", "json", "run", arg(path)]).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn await_logged(path: &Path, what: &str, times: usize) {
    eventually(what, || {
        let log = std::fs::read_to_string(path.with_extension("log")).unwrap();
        (log.matches(what).count() >= times).then_some(())
    });
}

/// The camera goes away and comes back.
fn survives_an_outage(source: &str, camera: RtspCamera, authorization: Option<&'static str>) {
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), source);
    let mut line = start(&path);
    await_logged(&path, "\"camera_streams\"", 1);
    let address = camera.address;
    drop(camera);
    await_logged(&path, "\"state\":\"begin\"", 1);
    let camera = RtspCamera::start(address.port(), authorization);
    await_logged(&path, "\"camera_streams\"", 2);
    signal(&line, "TERM");
    assert!(ends(&mut line).success());
    let stop = records(&folder.path().join("results")).pop().unwrap();
    assert!(stop["inspected"].as_u64().unwrap() > 0 && stop["restarts"].as_u64().unwrap() >= 1, "{stop}");
    let log = std::fs::read_to_string(path.with_extension("log")).unwrap();
    assert!(!log.contains("p@ss") && !log.contains("p%40ss"), "{log}");
    drop(camera);
}

#[test]
fn an_rtsp_camera_comes_back_to_ffmpeg() {
    if !has("ffmpeg", &["-version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("camera");
    write_secret(&secret, "op:p@ss w\n");
    let camera = RtspCamera::start(0, Some(AUTHORIZATION));
    let address = camera.address;
    let requests = std::sync::Arc::clone(&camera.requests);
    let source = format!(
        "[source.rtsp]\nurl = \"rtsp://{address}/cam?ch=1\"\nwidth = 160\nheight = 120\ncredentials_file = {secret:?}"
    );
    survives_an_outage(&source, camera, Some(AUTHORIZATION));
    let requests = requests.lock().unwrap();
    let play = format!("PLAY rtsp://{address}/cam?ch=1");
    assert!(
        requests.iter().any(|request| request.starts_with(&play) && request.ends_with(AUTHORIZATION)),
        "{requests:?}"
    );
}

#[test]
fn an_rtsp_camera_comes_back_to_gstreamer() {
    if !has("gst-inspect-1.0", &["rtspsrc"]) || !has("gst-inspect-1.0", &["jpegdec"]) {
        return;
    }
    let camera = RtspCamera::start(0, None);
    let address = camera.address;
    // Where ffmpeg is there, too, [source.rtsp] takes that.
    let source = format!(
        "[source.gstreamer]\npipeline = \"rtspsrc location=rtsp://{address}/cam protocols=tcp latency=0 ! decodebin\"\n\
         width = 160\nheight = 120"
    );
    survives_an_outage(&source, camera, None);
}

#[test]
fn a_wrong_password_is_one_line_that_does_not_have_it() {
    if !has("ffmpeg", &["-version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let camera = RtspCamera::start(0, Some(AUTHORIZATION));
    let source =
        format!("[source.rtsp]\nurl = \"rtsp://op:p%40ssen@{}/cam\"\nwidth = 160\nheight = 120", camera.address);
    let path = line(folder.path(), &source);
    let (code, _, error) = output(lineside().args(["check", arg(&path)]));
    assert_eq!(code, Some(1), "{error}");
    let last = error.lines().last().unwrap();
    assert!(last.contains("(ffmpeg): it ended with status 1") && last.contains("401 Unauthorized"), "{error}");
    assert!(!error.contains("p@ssen") && !error.contains("p%40ssen"), "{error}");
}

#[test]
fn gstreamer_delivers_its_test_picture() {
    if !has("gst-inspect-1.0", &["videotestsrc"]) {
        return;
    }
    for (pipeline, size) in [
        ("videotestsrc pattern=ball is-live=true ! video/x-raw,width=320,height=240,framerate=20/1", [320, 240]),
        // An odd size, and scaled.
        ("videotestsrc pattern=ball is-live=true ! 'video/x-raw, format=RGB, width=100, height=80' !", [101, 79]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let [width, height] = size;
        let source = format!("[source.gstreamer]\npipeline = \"{pipeline}\"\nwidth = {width}\nheight = {height}");
        let path = line(folder.path(), &source);
        let (code, out, error) = output(lineside().args(["run", arg(&path), "--frames", "5"]));
        assert_eq!(code, Some(0), "{out}{error}");
        let stop = records(&folder.path().join("results")).pop().unwrap();
        assert!(stop["inspected"].as_u64().unwrap() > 0 && stop["failed"] == 0, "{pipeline}: {stop}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), "[source.gstreamer]\npipeline = \"nosuchelement ! queue\"");
    let (code, _, error) = output(lineside().args(["check", arg(&path)]));
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("no element \"nosuchelement\""), "{error}");
}
