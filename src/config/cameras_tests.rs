use super::*;
use crate::config::Idle;
use crate::pipeline::ChosenProduct;

fn parse(text: &str) -> Result<Vec<Config>, String> {
    Config::parse_all(text, Path::new("line.toml")).map_err(|error| error.to_string())
}

const TWO: &str = "[anomaly]\nskip_similar = 2.0\nbundle = \"caps\"\n[output]\nfolder = \"out\"\n[alarm]\nchip = \"gpiochip0\"\nline = 17\n\
                   idle = \"on\"\n[mqtt]\nhost = \"broker\"\ntopic = \"hall-2\"\n\
                   [[camera]]\nname = \"top\"\n[camera.source.camera]\ndevice = \"/dev/video0\"\n\
                   [[camera]]\nname = \"side\"\n[camera.source.pattern]\nfps = 5.0\n[camera.anomaly]\nbundle = \"lids\"\nthreshold = 0.9\n\
                   [camera.alarm]\nline = 18\n";

const PRODUCTS: &str = "[[product]]\nname = \"cap\"\ncode = 1\nbundle = \"caps\"\n";

#[test]
fn products_hold_for_every_camera_that_does_not_state_its_own() {
    let own = "[[camera.product]]\nname = \"lid\"\ncode = 7\nbundle = \"lids\"\n[[camera.product]]\nname = \"nut\"\ncode = 8\nbundle = \"nuts\"\n";
    let text = format!(
        "{PRODUCTS}[[camera]]\nname = \"a\"\n[camera.source.pattern]\n[[camera]]\nname = \"b\"\n[camera.source.pattern]\n\
         [camera.products]\nstart = \"nut\"\n{own}"
    );
    let mut cameras = parse(&text).unwrap();
    let names =
        |config: &Config| config.product.iter().map(|product| product.name.get_ref().clone()).collect::<Vec<_>>();
    assert_eq!((names(&cameras[0]), names(&cameras[1])), (vec!["cap".to_string()], vec!["lid".into(), "nut".into()]));
    assert_eq!(cameras[1].first_product(), ChosenProduct::Known(1));
    // What was asked for last goes on, by its name; what there is no more is unknown.
    let [a, b] = &mut cameras[..] else { panic!() };
    b.start_with(Some("lid"));
    let mut next = parse(&text).unwrap();
    next[1].continue_with(b);
    assert_eq!(next[1].first_product(), ChosenProduct::Known(0));
    next[1].continue_with(a);
    assert_eq!(next[1].first_product(), ChosenProduct::Known(0), "nobody has asked");
    a.start_with(Some("cap"));
    next[1].continue_with(a);
    assert_eq!(next[1].first_product(), ChosenProduct::Unknown);
}

#[test]
fn one_address_at_the_top_serves_each_camera_at_a_port_of_its_own() {
    let own = "[camera.status_page]\nlisten = \"127.0.0.1:9000\"\n";
    let camera = |name: &str, more: &str| format!("[[camera]]\nname = \"{name}\"\n[camera.source.pattern]\n{more}");
    let cameras = [camera("a", ""), camera("b", own), camera("c", "")].concat();
    let cameras = parse(&format!("[status_page]\n[modbus]\nlisten = \"127.0.0.1:1502\"\n{cameras}")).unwrap();
    let pages =
        [("a", 8080), ("b", 9000), ("c", 8082)].map(|(name, port)| (name.into(), ([127, 0, 0, 1], port).into()));
    assert!(cameras.iter().all(|config| config.camera.as_ref().unwrap().pages == pages), "{:?}", cameras[0].camera);
    let own = |config: &Config| {
        (
            config.status_page.as_ref().unwrap().listen.get_ref().port(),
            config.modbus.as_ref().unwrap().listen.get_ref().port(),
        )
    };
    assert_eq!(cameras.iter().map(own).collect::<Vec<_>>(), [(8080, 1502), (9000, 1503), (8082, 1504)]);
}

#[test]
fn a_camera_inherits_what_it_does_not_state() {
    let cameras = parse(TWO).unwrap();
    let [top, side] = &cameras[..] else { panic!("{}", cameras.len()) };
    let name = |config: &Config| config.camera.clone().map(|camera| (camera.name, camera.of));
    assert_eq!((name(top), name(side)), (Some(("top".into(), 2)), Some(("side".into(), 2))));
    assert_eq!((top.anomaly.bundle.get_ref().as_str(), side.anomaly.bundle.get_ref().as_str()), ("caps", "lids"));
    assert_eq!((*top.anomaly.skip_similar.get_ref(), *side.anomaly.skip_similar.get_ref()), (2.0, 2.0));
    assert_eq!((top.anomaly.wanted_threshold(), side.anomaly.wanted_threshold()), (None, Some(0.9)));
    assert!(matches!((&top.source, &side.source), (Source::Camera(_), Source::Pattern(_))));
    let alarm = side.alarm.as_ref().unwrap();
    assert_eq!((alarm.chip.as_deref(), alarm.idle), (Some("gpiochip0"), Idle::On), "its line alone differs");
    let folders = [top, side].map(|config| config.output.folder.get_ref().clone());
    assert_eq!(folders, [PathBuf::from("out/top"), PathBuf::from("out/side")]);
    let topics = [top, side].map(|config| config.mqtt.as_ref().unwrap().topic_on("pi"));
    assert_eq!(topics, ["hall-2/top", "hall-2/side"]);
    assert_eq!(side.mqtt.as_ref().unwrap().client_id_on("pi"), "lineside-pi-side");
    assert!(side.engine_threads() <= Config::demo("x".into()).engine_threads());
    assert!(side.crowding() >= 1.0);
}

#[test]
fn a_file_without_cameras_is_one_line_and_one_with_them_is_no_single_line() {
    let one = parse("[source.pattern]\n[mqtt]\nhost = \"broker\"\n").unwrap();
    assert!(one.len() == 1 && one[0].camera.is_none());
    assert_eq!(one[0].mqtt.as_ref().unwrap().topic_on("pi"), "lineside/pi");
    assert_eq!(one[0].output.folder.get_ref(), Path::new("lineside-out"));
    let refused = Config::parse(TWO, Path::new("line.toml")).unwrap_err().to_string();
    assert!(
        refused.starts_with("line.toml:13: [[camera]]: the file has several cameras, and one is wanted here"),
        "{refused}"
    );
    // One alone is a camera with a name all the same.
    let alone = parse("[[camera]]\nname = \"a\"\nsource = { pattern = {} }\n").unwrap();
    assert_eq!(alone[0].output.folder.get_ref(), Path::new("lineside-out/a"));
}

#[test]
fn each_mistake_is_named_with_its_line_and_the_camera() {
    let with = |a: &str, b: &str| format!("[[camera]]\nname = \"a\"\n{a}\n[[camera]]\nname = \"b\"\n{b}\n");
    let pattern = "[camera.source.pattern]";
    let device = |device: &str| format!("[camera.source.camera]\ndevice = {device:?}");
    let line = "[camera.source.pattern]\n[camera.alarm]\nchip = \"gpiochip0\"\nline = 17";
    let drop = "[camera.source.folder]\npath = \"in\"\nwatch = true\nafter = \"delete\"";
    for (text, expected) in [
        (
            with(pattern, pattern).replace("\"b\"", "\"a\""),
            "line.toml:5: camera.name \"a\": the camera on line 2 has this name",
        ),
        (with(pattern, pattern).replace("\"b\"", "\"b c\""), "line.toml:5: camera.name \"b c\": letters"),
        (with(pattern, pattern).replace("\"b\"", "\"../b\""), "line.toml:5: camera.name \"../b\""),
        (with(pattern, pattern).replace("\"b\"", "\"normal\""), "is a folder among the results"),
        (with(pattern, pattern).replace("\"b\"", "7"), "line.toml:5: camera.name is no text"),
        (with(pattern, pattern).replace("name = \"b\"", ""), "line.toml:4: [[camera]]: name is missing"),
        (with(pattern, ""), "line.toml:4: camera b: it has no source"),
        (
            with(&device("0"), &device("/dev/video0")),
            "line.toml:8: camera b: source.camera.device = /dev/video0 is that of camera a",
        ),
        (with(line, line), "line.toml:12: camera b: alarm.line: line 17 of gpiochip0 is alarm.line of camera a, too"),
        (
            with(drop, drop),
            "line.toml:12: camera b: source.folder.path = in, whose files are taken away, is that of camera a",
        ),
        (
            with(
                "[camera.source.pattern]\n[camera.output]\nfolder = \"x\"",
                "[camera.source.pattern]\n[camera.output]\nfolder = \"./x\"",
            ),
            "line.toml:10: camera b: output.folder = ./x is that of camera a, too",
        ),
        (
            format!("[status_page]\nlisten = \"127.0.0.1:65535\"\n{}", with(pattern, pattern)),
            "line.toml:2: camera b: status_page.listen = 127.0.0.1:65535: camera 2 has no port after it",
        ),
        (
            with(
                "[camera.source.pattern]\n[camera.status_page]\nlisten = \"127.0.0.1:8081\"",
                "[camera.source.pattern]\n[camera.status_page]\nmax_fps = 2.0",
            ),
            "camera b: status_page.listen = 127.0.0.1:8081 is that of camera a, too: where a camera does not state it",
        ),
        (
            with(
                "[camera.source.pattern]\n[camera.modbus]\nlisten = \"0.0.0.0:1503\"\nallow = [\"10.0.0.1\"]",
                "[camera.source.pattern]\n[camera.modbus]",
            ),
            "camera b: modbus.listen = 127.0.0.1:1503 is that of camera a",
        ),
        (
            format!("[source.pattern]\n{}", with(pattern, pattern)),
            "line.toml:1: [source]: each [[camera]] has a source of its own",
        ),
        (
            with(pattern, "[camera.source.pattern]\n[camera.budget]\nmemory = \"1 GiB\""),
            "line.toml:7: camera b: budget: it holds for the whole process",
        ),
        (
            with(pattern, "[camera.source.pattern]\n[[camera.product]]\nname = \"x\"\ncode = 0\nbundle = \"x\""),
            "line.toml:9: camera b: product.code 0",
        ),
        (
            format!("[products]\nlines = [\"A\", \"B\"]\n{PRODUCTS}{}", with(pattern, pattern)),
            "line.toml:2: camera b: products.lines: line \"A\" is products.lines of camera a, too",
        ),
        (
            format!("{PRODUCTS}{}", with(pattern, "[camera.source.pattern]\n[camera.anomaly]\nbundle = \"x\"")),
            "camera b: anomaly.bundle: line 2 has a [[product]]",
        ),
        (with(pattern, "[camera.source.pattern]\nfps = -1"), "line.toml:7: camera b: source.pattern.fps"),
        (with(pattern, "[camera.source.pattern]\n[camera.colour]\nx = 1"), "camera b: unknown field `colour`"),
        (
            with(pattern, "[camera.source.pattern]\n[camera.source.folder]\npath = \"x\""),
            "camera b: [source.folder]: a line has one source",
        ),
        (
            "[camera]\nname = \"a\"\n[camera.source.pattern]\n".into(),
            "line.toml:1: camera: write [[camera]], once for each camera",
        ),
        ("camera = []\n".into(), "line.toml:1: camera: write [[camera]]"),
        ("camera = [1]\n".into(), "line.toml:1: camera: write [[camera]]"),
        (
            (0..9).map(|i| format!("[[camera]]\nname = \"c{i}\"\nsource = {{ pattern = {{}} }}\n")).collect(),
            "line.toml:25: a file has at most 8 cameras",
        ),
    ] {
        let message = parse(&text).map(|cameras| cameras.len()).unwrap_err();
        assert!(message.contains(expected), "{text}: {message}");
    }
    // Port 0 is any free one, and different sources of one kind are fine.
    let page = "[camera.source.pattern]\n[camera.status_page]\nlisten = \"127.0.0.1:0\"";
    assert_eq!(parse(&with(page, page)).unwrap().len(), 2);
    assert!(parse(&with(&device("0"), &device("1"))).is_ok());
}
