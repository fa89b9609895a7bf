use super::*;
use crate::board::LineName;
use crate::sink::ActiveLevel;
use crate::source::camera::ControlSetting;
use lineside_picture::PixelFormat;

fn refusal(text: &str) -> String {
    Config::parse(text, Path::new("line.toml")).unwrap_err().to_string()
}

/// Found by fuzzing.
#[test]
fn an_error_about_a_name_with_line_ends_is_one_line() {
    let message = refusal("[source.pattern]\n\"a\\r\\n\\u001b\" = 1\n");
    assert!(message.contains("unknown field") && !message.contains(char::is_control), "{message:?}");
}

#[test]
fn a_short_file_has_sensible_defaults() {
    let config = Config::parse("[source.pattern]\nfps = 5.0\n", Path::new("line.toml")).unwrap();
    assert_eq!(*config.budget.memory.get_ref(), ByteSize::mib(192));
    assert_eq!(config.super_resolution.when, When::Anomaly);
    assert_eq!(config.anomaly.wanted_threshold(), None);
    let text = "[source.pattern]\n[anomaly]\nfalse_alarms = 5\n";
    assert_eq!(Config::parse(text, Path::new("line.toml")).unwrap().anomaly.wanted_threshold(), Some(0.995));
    assert!(matches!(config.source, Source::Pattern(pattern) if *pattern.width.get_ref() == 640));
}

#[test]
fn a_camera_and_lines_are_read() {
    let text = "[source.camera]\ndevice = \"/dev/video0\"\nformat = \"mjpeg\"\n[source.camera.controls]\nexposure = 120\n\
                focus = \"auto\"\n[alarm]\nchip = \"gpiochip0\"\nline = 17\nactive = \"low\"\nidle = \"on\"\n[trigger]\n\
                line = \"PART\"\nedge = \"falling\"\n";
    let config = Config::parse(text, Path::new("line.toml")).unwrap();
    assert_eq!(config.source.fps(), Some(10.0));
    let Source::Camera(camera) = &config.source else { panic!("no camera") };
    let controls: Vec<_> = camera.controls.iter().map(|(key, control)| (key.get_ref().as_str(), control.0)).collect();
    assert_eq!(controls, [("exposure", ControlSetting::Value(120)), ("focus", ControlSetting::Auto)]);
    assert_eq!(camera.format.map(CameraFormat::pixel_format), Some(PixelFormat::Mjpeg));
    let alarm = config.alarm.as_ref().unwrap();
    assert_eq!((alarm.line.get_ref(), alarm.active, alarm.idle), (&LineName::Number(17), ActiveLevel::Low, Idle::On));
    assert_eq!(config.trigger.as_ref().unwrap().edge, TriggerEdge::Falling);
    assert_eq!(config.error_at(&alarm.line, "no such line").to_string(), "line.toml:9: no such line");
}

#[test]
fn each_mistake_is_named_with_file_and_line() {
    let pattern = "[source.pattern]\n";
    let camera = "[source.camera]\ndevice = \"0\"\n";
    let cases = [
        ("[source.pattern]\nwidht = 3\n", "line.toml:2: unknown field `widht`"),
        ("[source.pattern]\nwidth = \"3\"\n", "line.toml:2: width: invalid type: string \"3\""),
        (
            "[source.pattern]\n[source.folder]\npath = \"a\"\n",
            "line.toml:2: [source.folder]: a line has one source, and [source.pattern] is there, too",
        ),
        (
            &format!("{pattern}[status_page]\nlisten = \"localhost\"\n"),
            "line.toml:3: listen: invalid socket address syntax: an address of this board and a port are wanted, as in",
        ),
        (
            &format!("{pattern}[budget]\nmemory = \"lots\"\n"),
            "line.toml:3: memory: invalid value: string \"lots\"; a size is wanted, as in \"192 MiB\"",
        ),
        ("[source.pattern]\nwidth = 0\n", "line.toml:2: source.pattern.width must lie in 32..8192, found 0"),
        ("[source.pattern]\n\nfps = -1\n", "line.toml:3: source.pattern.fps must lie in 0.01..1000, found -1"),
        ("[source.pattern]\nfps = nan\n", "source.pattern.fps must lie in 0.01..1000, found NaN"),
        ("[source.folder]\n", "missing field `path`"),
        ("[source.telescope]\n", "line.toml:1: unknown variant `telescope`"),
        ("[source.camera]\n", "line.toml:1: missing field `device`"),
        (
            "[source.camera]\ndevice = \"rtsp://10.0.0.5/1\"\n",
            "line.toml:2: source.camera.device is a camera of this board, not an address (rtsp://): use [source.rtsp]",
        ),
        ("[source.process]\nformat = \"y4m\"\n", "line.toml:1: missing field `command`"),
        ("[source.process]\ncommand = [\"a\"]\n", "line.toml:1: missing field `format`"),
        (
            "[source.process]\ncommand = \"a b\"\nformat = \"y4m\"\n",
            "line.toml:2: command: invalid type: string \"a b\"",
        ),
        ("[source.process]\nformat = \"y4m\"\ncommand = []\n", "line.toml:3: source.process.command names no program"),
        ("[source.process]\nformat = \"h264\"\ncommand = [\"a\"]\n", "line.toml:2: format: unknown variant `h264`"),
        (
            "[source.process]\nformat = \"y4m\"\ncommand = [\"a\"]\nfps = 0\n",
            "line.toml:4: source.process.fps must lie in 0.01..1000, found 0",
        ),
        ("[source]\ncamera = 3\n", "line.toml:2: camera: invalid type: integer `3`, expected a table"),
        (&format!("{camera}fps = 0\n"), "line.toml:3: source.camera.fps must lie in 0.01..1000, found 0"),
        (&format!("{camera}frozen_s = -1\n"), "line.toml:3: source.camera.frozen_s must lie in 0..86400, found -1"),
        (&format!("{camera}format = \"h264\"\n"), "line.toml:3: format: unknown variant `h264`"),
        (
            &format!("{camera}[source.camera.controls]\nshutter = 5\n"),
            "line.toml:4: source.camera.controls has no \"shutter\"; there is exposure",
        ),
        (
            &format!("{camera}[source.camera.controls]\nexposure = \"long\"\n"),
            "line.toml:4: exposure: invalid value: string \"long\", expected a whole number or \"auto\"",
        ),
        (
            &format!("{camera}[source.camera.controls]\nzoom = \"auto\"\n"),
            "line.toml:4: source.camera.controls.zoom takes a number",
        ),
        (&format!("{pattern}[alarm]\n"), "line.toml:2: missing field `line`"),
        (
            &format!("{pattern}[alarm]\nline = 3\n"),
            "line.toml:3: alarm.line: number 3 of which chip? set alarm.chip, too",
        ),
        (&format!("{pattern}[alarm]\nline = -3\n"), "line.toml:3: line: invalid value: integer `-3`"),
        (
            &format!("{pattern}[alarm]\nline = \"A\"\nhold_ms = 0\n"),
            "line.toml:4: alarm.hold_ms must lie in 1..3600000, found 0",
        ),
        (&format!("{pattern}[alarm]\nline = \"A\"\nactive = \"up\"\n"), "line.toml:4: active: unknown variant `up`"),
        (
            &format!("{pattern}[alarm]\nline = \"A\"\n[trigger]\nline = \"A\"\n"),
            "line.toml:5: trigger.line: line \"A\" is alarm.line, too: each needs its own",
        ),
        ("", "missing field `source`"),
        ("[source", "line.toml:1: "),
        (&format!("{pattern}[anomaly]\nthreads = 9\n"), "line.toml:3: anomaly.threads must lie in 1..4, found 9"),
        (&format!("{pattern}[engine]\nthreads = 0\n"), "line.toml:3: engine.threads must lie in 1..4, found 0"),
        (&format!("{pattern}[anomaly]\nthreshold = 7\n"), "line.toml:3: anomaly.threshold must lie in 0..1, found 7"),
        (
            &format!("{pattern}[anomaly]\nfalse_alarms = 1000\n"),
            "line.toml:3: anomaly.false_alarms must lie in 0.01..500, found 1000",
        ),
        (
            &format!("{pattern}[anomaly]\nthreshold = 0.5\nfalse_alarms = 5\n"),
            "line.toml:4: anomaly.threshold is set, too",
        ),
        (&format!("{pattern}[budget]\nmemory = \"many\"\n"), "line.toml:3: "),
        (
            &format!("{pattern}[budget]\nmemory = 192\n"),
            "line.toml:3: budget.memory must lie in 1.0 MiB..1.0 TiB, found 192 B; 192 is 192 bytes: did you mean \"192 MiB\"?",
        ),
        (&format!("{pattern}[output]\nkeep_free = 64\n"), "64 is 64 bytes: did you mean \"64 MiB\"?"),
        (&format!("{pattern}[super_resolution]\nwhen = \"often\"\n"), "line.toml:3: when: unknown variant `often`"),
        (
            &format!("{pattern}[super_resolution]\nmax_ms = 0\n"),
            "line.toml:3: super_resolution.max_ms must lie in 0.1..60000, found 0",
        ),
        (
            &format!("{pattern}[output]\nrecords = \"1 KiB\"\n"),
            "line.toml:3: output.records must lie in 64.0 KiB..1.0 TiB, found 1.0 KiB",
        ),
        (&format!("{pattern}[super_resolution]\nspot = 0\n"), "super_resolution.spot must lie in 16..512, found 0"),
        (&format!("{pattern}[super_resolution]\nwhen = false\n"), "line.toml:3: when: a string or a table is wanted"),
        ("source = \"pattern\"\n", "line.toml:1: source: a table is wanted, as in [source.pattern]"),
        (
            &format!("{pattern}[task]\nname = \"a\"\n"),
            "line.toml:2: [task]: there may be several of them: write [[task]]",
        ),
        (&format!("{pattern}[product]\nname = \"a\"\n"), "line.toml:2: [product]: there may be several"),
        (
            &format!("{pattern}[budget]\nmemory = -5\n"),
            "line.toml:3: memory: invalid value: integer `-5`: it is below 0",
        ),
        (
            "[source.process]\ncommand = \"cat x\"\n",
            "line.toml:2: command: invalid type: string \"cat x\", expected a list",
        ),
        ("[source.folder]\npath = \"\"\n", "line.toml:2: source.folder.path is empty: name the folder of pictures"),
        (
            "[source.folder]\npath = \"~/pictures\"\n",
            "line.toml:2: path = \"~/pictures\": ~ and $NAME mean nothing here",
        ),
        (&format!("{pattern}[output]\nfolder = \"$HOME/out\"\n"), "line.toml:3: folder = \"$HOME/out\": ~ and $NAME"),
        (
            &format!("{pattern}[[product]]\nname = \"unknown\"\ncode = 1\nbundle = \"a\"\n"),
            "line.toml:3: product.name \"unknown\" is what records say",
        ),
        (
            &format!("{pattern}[status_page]\nlisten = \"127.0.0.1:1502\"\n[modbus]\n"),
            "line.toml:3: modbus.listen = 127.0.0.1:1502 is that of status_page.listen, too: each needs its own port",
        ),
    ];
    for (text, expected) in cases {
        let error = refusal(text);
        assert!(error.contains(expected), "{text:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn networks_leave_two_cores_to_capture_and_output() {
    let engine = EngineConfig::default();
    assert_eq!([1, 2, 3, 4, 8, 64].map(|cores| engine.threads_on(cores)), [1, 1, 1, 2, 4, 4]);
    let engine = EngineConfig { threads: Some(Spanned::new(0..0, 3)), ..engine };
    assert_eq!(engine.threads_on(1), 3);
}

#[test]
fn a_file_that_is_no_text_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line.toml");
    std::fs::write(&path, b"[source.pattern]\n# Geh\xe4use\n").unwrap();
    let error = Config::load(&path).unwrap_err().to_string();
    assert!(error.ends_with("line.toml: line 2 is no text in UTF-8: save the file as UTF-8"), "{error}");
}

#[test]
fn one_token_for_both_rights_is_refused_wherever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (inline, file) = ("\"0123456789abcdef\"", format!("{file:?}"));
    for page in [
        format!("token_file = {file}\nteach_token = {inline}\n"),
        format!("token = {inline}\nteach_token_file = {file}\n"),
        format!("token_file = {file}\nteach_token_file = {file}\n"),
    ] {
        let text = format!("[source.pattern]\n[status_page]\ncontrol = true\n{page}");
        let config = Config::parse(&text, Path::new("line.toml")).unwrap();
        let error = config.check_secrets().unwrap_err().to_string();
        assert!(error.contains("whoever may look could change, too"), "{error}");
    }
}
