//! Frames from a program: what it sends, how it ends, and that it never outlives the line.

use crate::common::{arg, config, ends, eventually, has, lineside, records, refuse, signal, succeed, text};
use lineside::source::process::{StreamFormat, StreamMode};
use lineside_picture::{Picture, PixelFormat, Range, RawFrame, decode_into};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A frame of 32x32 pixels in RGB.
const FRAME: &str = "head -c 3072 /dev/urandom";

/// A program that is a shell script. `frame` writes a frame, `note` its process into the file `started`.
fn script(folder: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("camera");
    let started = folder.join("started");
    let text =
        format!("#!/bin/sh\nframe() {{ {FRAME}; }}\nnote() {{ echo $1 >> {}; }}\nnote $$\n{text}\n", started.display());
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// Processes that the script has noted.
fn noted(folder: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(folder.join("started")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// The configuration of a line on a program's frames.
fn on(folder: &Path, command: &[&str], more: &str) -> PathBuf {
    let results = folder.join("results");
    let text = format!(
        "[source.process]\ncommand = {command:?}\n{more}\n[output]\nfolder = {results:?}\nkeep_free = \"0 B\"\n\
         [super_resolution]\nwhen = \"never\"\n[anomaly]\nthreshold = 1.0\n"
    );
    config(folder, &text)
}

/// The same, of frames that a script writes.
fn on_script(folder: &Path, text: &str) -> PathBuf {
    let camera = script(folder, text);
    on(folder, &[arg(&camera)], "format = \"rgb24\"\nwidth = 32\nheight = 32")
}

fn start(path: &Path) -> Child {
    let mut command = lineside();
    command.args(["--log-format", "json", "run", arg(path)]).stdout(Stdio::null());
    let log = std::fs::File::create(path.with_extension("log")).unwrap();
    command.stderr(log).spawn().unwrap()
}

/// Lines of the log that contain `what`.
fn logged(path: &Path, what: &str) -> Vec<Value> {
    let log = std::fs::read_to_string(path.with_extension("log")).unwrap_or_default();
    // The last line may be half written.
    log.lines().filter(|line| line.contains(what)).filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn await_logged(path: &Path, what: &str, times: usize) -> Vec<Value> {
    eventually(what, || Some(logged(path, what)).filter(|lines| lines.len() >= times))
}

/// Stops a line in order, and returns its last record.
fn stop(mut line: Child, folder: &Path) -> Value {
    signal(&line, "TERM");
    assert!(ends(&mut line).success());
    let stop = records(&folder.join("results")).pop().unwrap();
    let count = |key: &str| stop[key].as_u64().unwrap();
    assert_eq!(stop["record"], "stop");
    let fates = ["inspected", "skipped_similar", "dropped_stale", "failed"].map(count);
    assert_eq!(count("captured"), fates.iter().sum::<u64>(), "{stop}");
    stop
}

/// Whether a process is there, be it as a zombie.
fn exists(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

/// Waits until the processes are gone, also as zombies.
fn await_gone(processes: &[u32]) {
    for process in processes {
        eventually(format!("the end of {process}"), || (!exists(*process)).then_some(()));
    }
}

#[test]
fn a_program_that_is_killed_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = on_script(folder.path(), "while frame; do sleep 0.02; done");
    let line = start(&path);
    await_logged(&path, "\"camera_streams\"", 1);
    let first = noted(folder.path())[0];
    assert!(Command::new("kill").args(["-s", "KILL", &first.to_string()]).status().unwrap().success());
    await_logged(&path, "\"camera_streams\"", 2);
    await_gone(&[first]);
    let fault = logged(&path, "\"fault\"");
    assert!(fault[0]["cause"].as_str().unwrap().starts_with("camera: it was ended by signal 9 (SIGKILL)"), "{fault:?}");
    assert_eq!((&fault[0]["state"], &fault[1]["state"]), (&"begin".into(), &"end".into()));
    let stop = stop(line, folder.path());
    assert!(stop["inspected"].as_u64().unwrap() > 0, "{stop}");
    await_gone(&noted(folder.path()));
}

/// Starts what does not end when it is asked to, what has left the group, and what is left behind.
const FAMILY: &str = "trap '' TERM\nsleep 1000 & note $!\nsetsid sleep 1000 & note $!\n(sleep 1000 & note $!)\n\
                      while frame; do sleep 0.02; done";

#[test]
fn a_stop_ends_the_program_and_all_that_it_started() {
    if !has("setsid", &["true"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = on_script(folder.path(), FAMILY);
    let line = start(&path);
    await_logged(&path, "\"camera_streams\"", 1);
    let family = noted(folder.path());
    assert_eq!(family.len(), 4);
    assert!(family.iter().all(|process| exists(*process)));
    stop(line, folder.path());
    // None is left when the line has ended, nor does anybody else have to reap one.
    assert!(!family.iter().any(|process| exists(*process)));
}

#[test]
fn nothing_outlives_a_line_that_is_killed() {
    if !has("setsid", &["true"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = on_script(folder.path(), FAMILY);
    let mut line = start(&path);
    await_logged(&path, "\"camera_streams\"", 1);
    let keeper = children(line.id());
    assert_eq!(keeper.len(), 1);
    let family = noted(folder.path());
    signal(&line, "KILL");
    assert!(!ends(&mut line).success());
    await_gone(&family);
}

#[test]
fn the_program_ends_with_its_keeper() {
    let folder = tempfile::tempdir().unwrap();
    let path = on_script(folder.path(), "while frame; do sleep 0.02; done");
    let line = start(&path);
    await_logged(&path, "\"camera_streams\"", 1);
    let keeper = children(line.id())[0];
    let first = noted(folder.path())[0];
    assert_ne!(keeper, first);
    assert!(Command::new("kill").args(["-s", "KILL", &keeper.to_string()]).status().unwrap().success());
    await_gone(&[keeper]);
    await_logged(&path, "\"camera_streams\"", 2);
    // Its parent is gone: whoever has adopted it reaps it.
    eventually("the end of the program", || {
        let state = std::fs::read_to_string(format!("/proc/{first}/stat")).unwrap_or_default();
        (state.is_empty() || state.contains(") Z ")).then_some(())
    });
    stop(line, folder.path());
}

/// Processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent_of = |process: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    processes.filter(|process| parent_of(process) == Some(parent)).collect()
}

#[test]
fn a_program_that_falls_silent_is_a_fault_and_is_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = on_script(folder.path(), "for i in 1 2 3; do frame; done; exec sleep 1000");
    let line = start(&path);
    let fault = await_logged(&path, "it sent nothing for", 1);
    assert!(fault[0]["cause"].as_str().unwrap().starts_with("camera: it sent nothing for"), "{fault:?}");
    eventually("a second start", || (noted(folder.path()).len() >= 2).then_some(()));
    stop(line, folder.path());
    await_gone(&noted(folder.path()));
}

#[test]
fn a_picture_that_does_not_change_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let camera = script(folder.path(), "while head -c 3072 /dev/zero; do sleep 0.05; done");
    let format = "format = \"rgb24\"\nwidth = 32\nheight = 32\nfrozen_s = 0.3";
    let path = on(folder.path(), &[arg(&camera)], format);
    let line = start(&path);
    await_logged(&path, "the picture has not changed for", 1);
    stop(line, folder.path());
}

#[test]
fn a_program_that_is_faster_than_the_line_is_not_held_up() {
    let folder = tempfile::tempdir().unwrap();
    // Once asked to, it writes as fast as it can, and ends when all was read.
    let go = folder.path().join("go");
    let text =
        format!("until [ -e {0} ]; do frame; sleep 0.02; done; rm {0}; head -c 30720000 /dev/urandom", go.display());
    let path = on_script(folder.path(), &text);
    let line = start(&path);
    await_logged(&path, "\"camera_streams\"", 1);
    std::fs::write(&go, "").unwrap();
    await_logged(&path, "it ended with status 0", 1);
    let stop = stop(line, folder.path());
    assert!(stop["captured"].as_u64().unwrap() >= 10_000 && stop["dropped_stale"].as_u64().unwrap() > 100, "{stop}");
}

#[test]
fn neither_a_flood_on_stderr_nor_one_without_an_end_of_line_holds_it_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = on_script(folder.path(), "yes flood >&2 & yes | tr -d '\\n' >&2 &\nwhile frame; do sleep 0.02; done");
    let mut line = lineside();
    line.args(["--log-format", "json", "run", arg(&path), "--frames", "30"]);
    let output = line.output().unwrap();
    let log = text(&output.stderr);
    assert!(output.status.success(), "{log}");
    let lines = log.lines().filter(|line| line.contains("\"source_output\"")).count();
    assert!((1..500).contains(&lines), "{lines}");
    await_gone(&noted(folder.path()));
}

#[test]
fn each_way_to_fail_is_one_line_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let rgb = "format = \"rgb24\"\nwidth = 32\nheight = 32";
    let check = |command: &[&str], format: &str, code: i32, parts: &[&str]| {
        let path = on(folder.path(), command, format);
        refuse(&["check", arg(&path)], code, parts);
        path
    };
    let missing =
        check(&["no-such-camera"], rgb, 78, &["line.toml:2: no-such-camera: no program", "in PATH: install it"]);
    refuse(&["run", arg(&missing)], 78, &["line.toml:2: no-such-camera: no program no-such-camera in PATH"]);
    check(&["/etc/passwd"], rgb, 78, &["/etc/passwd is no program that this user may start"]);
    let said = "echo one >&2; printf 'no \\033[31msensor\\n' >&2; exit 3";
    let parts =
        ["line.toml:2: sh: it ended with status 3, its last line: no \u{fffd}[31msensor; `lineside check` prints"];
    check(&["sh", "-c", said], rgb, 1, &parts);
    check(&["sh", "-c", "kill -SEGV $$"], rgb, 1, &["sh: it was ended by signal 11 (SIGSEGV)"]);
    check(&["head", "-c", "1000", "/dev/zero"], rgb, 1, &["in the middle of a frame, after 1000 of 3072 bytes"]);
    let header = ["echo", "YUV4MPEG2 W64 H48 F10:1 C420jpeg"];
    let y4m = "format = \"y4m\"\nwidth = 32\nheight = 32";
    check(&header, y4m, 78, &["line.toml:4: echo: it sends 64x48, not 32x32; set width and height to what it sends"]);
    check(&["echo", "hello"], y4m, 78, &["echo: what it sends does not begin with YUV4MPEG2"]);
    let mjpeg = "format = \"mjpeg\"\nwidth = 32\nheight = 32";
    check(&["cat", "/dev/zero"], mjpeg, 1, &["only damaged frames for", "no JPEG begins in what it sends: set format"]);
    // A script whose interpreter is missing: the kernel finds that out.
    let camera = script(folder.path(), "");
    std::fs::write(&camera, "#!/no/such/shell\n").unwrap();
    check(&[arg(&camera)], rgb, 1, &["it ended with status 126, its last line: cannot start", "No such file"]);
}

#[test]
fn a_program_inherits_nothing_but_its_pipes() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    let text = format!(
        "ls -l /proc/$$/fd > {0}.new; echo \"$NOTIFY_SOCKET\" >> {0}.new; mv {0}.new {0}\nwhile frame; do sleep 0.02; done",
        open.display()
    );
    let path = on_script(folder.path(), &text);
    let program = env!("CARGO_BIN_EXE_lineside");
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" run \"$1\" --frames 3 9</etc/passwd 8>&1", program, arg(&path)]);
    let folder = tempfile::tempdir().unwrap();
    shell.current_dir(crate::common::root()).env("NOTIFY_SOCKET", folder.path().join("none"));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", crate::common::text(&output.stderr));
    let open = std::fs::read_to_string(open).unwrap();
    assert!(open.contains(" 0 -> /dev/null") && open.ends_with("\n\n"), "{open}");
    assert!(!open.contains(" 9 -> ") && !open.contains(" 8 -> ") && !open.contains("/etc/passwd"), "{open}");
}

#[test]
fn check_prints_the_command_and_teach_records_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = on_script(folder.path(), "while frame; do sleep 0.02; done");
    let checked = succeed(&["check", arg(&path)]);
    let camera = folder.path().join("camera");
    assert!(checked.contains("source   camera camera (RGB3 32x32 at 10.0 fps)\n"), "{checked}");
    assert!(checked.contains(&format!("command  {}\n", camera.display())), "{checked}");
    assert!(checked.contains("source's buffers") && checked.contains("12.0 KiB"), "{checked}");
    let json: Value = serde_json::from_str(&succeed(&["check", "--json", arg(&path)])).unwrap();
    assert_eq!(json["command"], arg(&camera));
}

/// Frames of ffmpeg's test picture, in each form.
#[test]
fn ffmpeg_delivers_each_format() {
    if !has("ffmpeg", &["-version"]) {
        return;
    }
    let source = ["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=20"];
    let raw = |format: &'static str| vec!["-pix_fmt", format, "-f", "rawvideo", "-"];
    let forms = [
        ("yuv420", raw("yuv420p")),
        ("nv12", raw("nv12")),
        ("yuyv", raw("yuyv422")),
        ("rgb24", raw("rgb24")),
        ("grey", raw("gray")),
        ("mjpeg", vec!["-c:v", "mjpeg", "-f", "mjpeg", "-"]),
        // As cameras send it over HTTP.
        ("mjpeg", vec!["-c:v", "mjpeg", "-f", "mpjpeg", "-"]),
        ("y4m", vec!["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"]),
    ];
    for (format, output) in forms {
        let folder = tempfile::tempdir().unwrap();
        let command: Vec<&str> = source.iter().chain(&output).copied().collect();
        let path = on(folder.path(), &command, &format!("format = \"{format}\"\nwidth = 320\nheight = 240"));
        succeed(&["run", arg(&path), "--frames", "5"]);
        let stop = records(&folder.path().join("results")).pop().unwrap();
        assert!(stop["inspected"].as_u64().unwrap() > 0 && stop["failed"] == 0, "{format}: {stop}");
    }
}

/// A frame of odd width and height has the bytes that ffmpeg gives it, and shows what ffmpeg shows: with one byte more or less each
/// frame would begin elsewhere, and every picture would be noise.
#[test]
fn frames_of_odd_size_are_as_ffmpeg_writes_them() {
    if !has("ffmpeg", &["-version"]) {
        return;
    }
    const SIZE: (usize, usize) = (161, 121);
    let frame = |format: &str| {
        let source = ["-v", "error", "-f", "lavfi", "-i", "smptebars=size=161x121", "-frames:v", "1"];
        let output = Command::new("ffmpeg").args(source).args(["-pix_fmt", format, "-f", "rawvideo", "-"]).output();
        output.unwrap().stdout
    };
    let expected = frame("rgb24");
    for (name, format) in [
        ("yuv420p", PixelFormat::Yuv420),
        ("nv12", PixelFormat::Nv12),
        ("nv21", PixelFormat::Nv21),
        ("yuyv422", PixelFormat::Yuyv),
        ("uyvy422", PixelFormat::Uyvy),
        ("rgb24", PixelFormat::Rgb24),
    ] {
        let (width, height) = SIZE;
        let mode = StreamMode {
            format: StreamFormat::Frames(format),
            range: Range::Limited,
            width: width as u32,
            height: height as u32,
            fps: 10.0,
        };
        let bytes = frame(name);
        assert_eq!(bytes.len(), mode.frame_bytes(), "{name}");
        let raw = RawFrame { format, range: mode.range, width, height, stride: None, bytes: &bytes, apart: &[] };
        let mut picture = Picture::default();
        decode_into(&raw, &mut picture).unwrap();
        let differences = picture.data().iter().zip(&expected).map(|(a, b)| u64::from(a.abs_diff(*b)));
        let mean = differences.sum::<u64>() as f64 / expected.len() as f64;
        // At the edges of the bars chroma is shared; a frame that begins elsewhere differs by tens.
        assert!(mean < 8.0, "{name}: {mean}");
    }
}
