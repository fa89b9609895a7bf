//! The Debian package, made by `cross/package` from the program that these tests drive: what is in it, what it says, and
//! what installing, upgrading, removing and purging it do to a system of its own.

use crate::common::{arg, has, lineside, root, succeed, text};
use lineside::bundle::Bundle;
use lineside::config::Config;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The package for this machine; made once.
fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let said = must(Command::new(root().join("cross/package")).current_dir(root()));
        PathBuf::from(said.lines().last().unwrap())
    })
}

/// Runs a command that must succeed, and gives its stdout.
fn must(command: &mut Command) -> String {
    let output: Output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn dpkg_deb(arguments: &[&str], more: &[&Path]) -> String {
    must(Command::new("dpkg-deb").args(arguments).args(more))
}

/// Mode and owner of each file in the package, by path.
fn listed() -> Vec<(String, String, String)> {
    let list = dpkg_deb(&["-c"], &[package()]);
    let entry = |line: &str| {
        let mut fields = line.split_whitespace();
        let (mode, owner) = (fields.next()?.to_string(), fields.next()?.to_string());
        Some((fields.nth(3)?.trim_start_matches('.').to_string(), mode, owner))
    };
    list.lines().map(|line| entry(line).unwrap()).collect()
}

/// The configuration as shipped.
fn shipped() -> String {
    std::fs::read_to_string(root().join("debian/lineside.toml")).unwrap()
}

#[test]
fn the_shipped_configuration_is_one() {
    let config = Config::parse(&shipped(), Path::new("lineside.toml")).unwrap();
    assert!(config.output.folder.get_ref().starts_with("/var/lib/lineside"), "where the unit lets it write");
    assert!(config.alarm.is_none() && config.heartbeat.is_none() && config.trigger.is_none() && config.part.is_none());
    // A reason stands above each key.
    let lines: Vec<String> = shipped().lines().map(String::from).collect();
    for (before, line) in lines.iter().zip(&lines[1..]) {
        let key = line.trim_start_matches('#').split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let goes_on = before.contains(" = ") || before.trim_start_matches('#').starts_with('[');
        assert!(!key || before.starts_with("# ") || goes_on, "no reason: {line}");
    }
}

#[test]
fn what_the_shipped_configuration_calls_a_default_is_one() {
    // Examples of keys that have no default.
    let mut examples =
        vec!["format", "threshold", "false_alarms", "max_ms", "exposure", "white_balance", "port", "client_id"];
    examples.extend([
        "topic",
        "username",
        "password_file",
        "certificate",
        "key",
        "token_file",
        "region",
        "ignore",
        "allow",
        "unit",
    ]);
    let said = shipped();
    let uncommented = said.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest,
        _ => line,
    });
    let is_example = |line: &&str| examples.iter().any(|key| line.starts_with(&format!("{key} =")));
    let all: Vec<&str> = uncommented.clone().filter(|line| !line.starts_with("threshold")).collect();
    Config::parse(&all.join("\n"), Path::new("all.toml")).expect("every key is one");

    // Without them a configuration is the same one.
    let needed = ["device", "folder", "line", "host", "deadline_ms", "delay_ms", "["];
    let every: Vec<&str> = uncommented.filter(|line| !is_example(line)).collect();
    let least: Vec<&str> =
        every.iter().copied().filter(|line| needed.iter().any(|key| line.starts_with(key))).collect();
    assert!(every.len() > least.len() + 15);
    // Where in the file a value stands is no part of it.
    let meaning = |lines: &[&str]| {
        let config = Config::parse(&lines.join("\n"), Path::new("x.toml")).unwrap();
        let told = format!("{config:?}");
        let (told, _) = told.split_once(", origin: ").unwrap();
        let parts = told.split("span: ").enumerate();
        let parts = parts.map(|(i, part)| if i == 0 { part } else { part.split_once(", ").unwrap().1 });
        parts.collect::<String>()
    };
    assert_eq!(meaning(&every), meaning(&least));
}

#[test]
fn every_file_lies_where_it_belongs() {
    let listed = listed();
    for (path, mode, owner) in &listed {
        let folder = path.ends_with('/');
        let expected = if folder {
            "drwxr-xr-x"
        } else if path == "/usr/bin/lineside" {
            "-rwxr-xr-x"
        } else {
            "-rw-r--r--"
        };
        assert_eq!((mode.as_str(), owner.as_str()), (expected, "0/0"), "{path}");
    }
    let files: BTreeSet<&str> = listed.iter().map(|(path, ..)| path.as_str()).collect();
    let mut expected: BTreeSet<String> = [
        "/usr/bin/lineside",
        "/etc/lineside/lineside.toml",
        "/usr/lib/systemd/system/lineside.service",
        "/usr/lib/sysusers.d/lineside.conf",
        "/usr/lib/tmpfiles.d/lineside.conf",
        "/usr/lib/udev/rules.d/60-lineside.rules",
        "/usr/share/lineside/systemd/libcamera.conf",
        "/usr/share/lineside/systemd/rtsp.conf",
        "/usr/share/lineside/systemd/gstreamer.conf",
        "/usr/share/bash-completion/completions/lineside",
        "/usr/share/zsh/vendor-completions/_lineside",
        "/usr/share/fish/vendor_completions.d/lineside.fish",
        "/usr/share/doc/lineside/copyright",
        "/usr/share/doc/lineside/changelog.Debian.gz",
        "/usr/share/doc/lineside/operations.md",
        "/usr/share/doc/lineside/sbom.cdx.json",
        "/usr/share/doc/lineside/security.md",
        "/usr/share/man/man1/lineside.1.gz",
    ]
    .map(String::from)
    .into();
    // A page for each command that the program has.
    let commands = |group: &[&str]| -> Vec<String> {
        let help = succeed(&[group, &["--help"]].concat());
        let (_, commands) = help.split_once("Commands:\n").unwrap();
        let lines = commands.lines().take_while(|line| !line.is_empty());
        let names = lines.filter_map(|line| line.split_whitespace().next()).filter(|command| *command != "help");
        names.map(|name| [group, &[name]].concat().join("-")).collect()
    };
    let (all, verbs) = (commands(&[]), commands(&["bundle"]));
    assert!(all.len() >= 9 && verbs.len() >= 7, "{all:?} {verbs:?}");
    let page = |command: &String| format!("/usr/share/man/man1/lineside-{command}.1.gz");
    expected.extend(all.iter().chain(&verbs).map(page));
    // All bundles that there are, whole.
    for folder in std::fs::read_dir(root().join("models")).unwrap() {
        let folder = folder.unwrap().path();
        if folder.join("bundle.toml").exists() {
            let bundle = Bundle::open(&folder).unwrap();
            let name = folder.file_name().unwrap().to_str().unwrap();
            let files = bundle.manifest().files.keys().map(String::as_str).chain(["bundle.toml"]);
            expected.extend(files.map(|file| format!("/usr/share/lineside/bundles/{name}/{file}")));
        }
    }
    let missing: Vec<&String> = expected.iter().filter(|path| !files.contains(path.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_package_says_what_it_is_and_needs() {
    let control = dpkg_deb(&["-f"], &[package()]);
    for line in ["Package: lineside", "Section: ", "Depends: libc6 (>= "] {
        assert!(control.contains(line), "{line}: {control}");
    }
    assert!(control.contains(concat!("Version: ", env!("CARGO_PKG_VERSION"), "-1")), "{control}");
    let folder = tempfile::tempdir().unwrap();
    dpkg_deb(&["-e"], &[package(), &folder.path().join("control")]);
    let read = |name: &str| std::fs::read_to_string(folder.path().join("control").join(name)).unwrap();
    assert_eq!(read("conffiles"), "/etc/lineside/lineside.toml\n");
    for script in ["postinst", "prerm", "postrm"] {
        must(Command::new("sh").arg("-n").arg(folder.path().join("control").join(script)));
        assert!(!read(script).contains("#DEBHELPER#") && read(script).contains("set -e"), "{script}");
    }
}

#[test]
fn every_package_that_is_linked_in_is_named_with_its_licence() {
    let folder = tempfile::tempdir().unwrap();
    dpkg_deb(&["-x"], &[package(), folder.path()]);
    let copyright = std::fs::read_to_string(folder.path().join("usr/share/doc/lineside/copyright")).unwrap();
    let tree = ["tree", "--locked", "-e", "normal,no-proc-macro", "--prefix", "none", "-f", "{p}"];
    let tree = must(Command::new(env!("CARGO")).args(tree).current_dir(root()));
    let linked: BTreeSet<&str> = tree.lines().skip(1).map(|line| line.split(" (").next().unwrap()).collect();
    assert!(linked.len() > 100, "{tree}");
    // Lineside's own libraries are under the licence of the whole package.
    assert!(copyright.contains("Files: *\n"), "{copyright}");
    for package in linked.into_iter().filter(|package| !package.starts_with("lineside-")) {
        let name = format!("crates/{}/*", package.replacen(" v", "-", 1));
        assert!(copyright.contains(&name), "{name}");
    }
    // Weights of others.
    for bundle in ["backbone-lite0", "inspect-demo", "inspect-pattern"] {
        assert!(copyright.contains(&format!("models/{bundle}/model.onnx")));
        assert!(folder.path().join(format!("usr/share/lineside/bundles/{bundle}/NOTICE")).exists());
    }
    for paragraph in copyright.split("\n\n").filter(|paragraph| paragraph.starts_with("Files: ")) {
        assert!(paragraph.contains("\nCopyright: ") && paragraph.contains("\nLicense: "), "{paragraph}");
    }
}

/// Crates of this machine's program, as `name version`, by kinds of edges.
fn crates(edges: &str) -> BTreeSet<String> {
    let tree = ["tree", "--locked", "-e", edges, "--prefix", "none", "-f", "{p}"];
    let tree = must(Command::new(env!("CARGO")).args(tree).current_dir(root()));
    tree.lines().skip(1).map(|line| line.split(" (").next().unwrap().replacen(" v", " ", 1)).collect()
}

#[test]
fn the_bill_of_materials_lists_what_is_linked_in() {
    let folder = tempfile::tempdir().unwrap();
    dpkg_deb(&["-x"], &[package(), folder.path()]);
    let text = std::fs::read_to_string(folder.path().join("usr/share/doc/lineside/sbom.cdx.json")).unwrap();
    let bill: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(
        !text.contains(arg(root())) && !text.contains("/.cargo/"),
        "it names no folder of the machine that built it"
    );
    // What the schema of 1.5 requires, and its patterns.
    assert_eq!(
        (&bill["bomFormat"], &bill["specVersion"], &bill["version"]),
        (&"CycloneDX".into(), &"1.5".into(), &1.into())
    );
    let serial = bill["serialNumber"].as_str().unwrap().strip_prefix("urn:uuid:").unwrap();
    let groups: Vec<usize> = serial.split('-').map(str::len).collect();
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    assert!(groups == [8, 4, 4, 4, 12] && is_hex(&serial.replace('-', "")), "{serial}");
    assert!(bill["metadata"]["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let program = &bill["metadata"]["component"];
    assert_eq!((&program["type"], &program["name"]), (&"application".into(), &"lineside".into()));
    assert_eq!(program["version"], env!("CARGO_PKG_VERSION"));

    let (mut references, mut linked, mut built) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    references.insert(program["bom-ref"].as_str().unwrap());
    for component in bill["components"].as_array().unwrap() {
        let field = |name: &str| component[name].as_str().unwrap_or_else(|| panic!("no {name}: {component}"));
        assert!(references.insert(field("bom-ref")), "twice: {component}");
        assert_eq!(field("type"), "library");
        let name = format!("{} {}", field("name"), field("version"));
        let (kind, path) = field("purl").strip_prefix("pkg:").unwrap().split_once('/').unwrap();
        assert_eq!(path.replace("%2B", "+"), name.replace(' ', "@"));
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        let hash = &component["hashes"][0];
        if kind == "cargo" {
            let content = hash["content"].as_str().unwrap();
            assert!(hash["alg"] == "SHA-256" && content.len() == 64 && is_hex(content), "{component}");
        } else {
            assert!(
                hash.is_null() && (name.starts_with("lineside-") || name.starts_with("v4l2-sys-mit ")),
                "{component}"
            );
        }
        match field("scope") {
            "required" => assert!(linked.insert(name)),
            "excluded" => assert!(built.insert(name)),
            other => panic!("{other}: {component}"),
        }
    }
    // As Cargo itself counts. Features that only tests switch on are switched on in the packed program, too.
    let missing: Vec<String> =
        crates("normal,no-proc-macro").into_iter().filter(|name| !linked.contains(name)).collect();
    assert!(missing.is_empty() && linked.len() > 100, "{missing:?}");
    let missing: Vec<String> =
        crates("normal").into_iter().filter(|name| !linked.contains(name) && !built.contains(name)).collect();
    assert!(missing.is_empty() && !built.is_empty(), "{missing:?}");
    let all = crates("normal,build,dev");
    let invented: Vec<&String> = linked.union(&built).filter(|name| !all.contains(*name)).collect();
    assert!(invented.is_empty(), "{invented:?}");
    for dependency in bill["dependencies"].as_array().unwrap() {
        let needed = dependency["dependsOn"].as_array().unwrap();
        for reference in needed.iter().chain([&dependency["ref"]]) {
            assert!(references.contains(reference.as_str().unwrap()), "{reference} is no component");
        }
    }
}

#[test]
fn the_packed_program_is_small_and_runs_the_demo_from_the_packed_bundles() {
    let folder = tempfile::tempdir().unwrap();
    dpkg_deb(&["-x"], &[package(), folder.path()]);
    let program = folder.path().join("usr/bin/lineside");
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert!(size(&program) < MOST_PROGRAM && size(package()) < MOST_PACKAGE, "{} {}", size(&program), size(package()));
    let run = |arguments: &[&str]| {
        let bundles = folder.path().join("usr/share/lineside/bundles");
        must(Command::new(&program).args(arguments).current_dir(folder.path()).env("LINESIDE_BUNDLES", bundles))
    };
    assert!(run(&["run", "--frames", "5"]).contains("5 frames: 5 inspected"));
    assert_eq!(run(&["--version"]), text(&lineside().arg("--version").output().unwrap().stdout));
}

/// A little more than the package has; what exceeds it wants a reason.
const MOST_PROGRAM: u64 = 36 << 20;
const MOST_PACKAGE: u64 = 14 << 20;

#[test]
fn lintian_finds_nothing() {
    if !has("lintian", &["--version"]) {
        return;
    }
    let output = Command::new("lintian").args(["--allow-root", "--fail-on", "error,warning"]).arg(package()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// A system of its own: dpkg's data and whatever packages bring, below a folder.
struct System {
    folder: tempfile::TempDir,
}

impl System {
    fn new() -> System {
        let folder = tempfile::tempdir().unwrap();
        for path in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "etc"] {
            std::fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        for file in ["status", "available"] {
            std::fs::write(folder.path().join("var/lib/dpkg").join(file), "").unwrap();
        }
        System { folder }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    /// Runs dpkg there as root of a namespace, in which /run is empty: whatever runs on this machine is not spoken to.
    fn dpkg(&self, arguments: &[&str], package: Option<&Path>) {
        let script = "mount -t tmpfs none /run && exec dpkg --root=\"$0\" --force-not-root --force-script-chrootless \
                      --force-depends --force-confdef --force-confold \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(self.folder.path());
        must(command.args(arguments).args(package));
    }
}

/// The package again, one revision later, with another default configuration.
fn next(folder: &Path) -> PathBuf {
    let (tree, package_again) = (folder.join("tree"), folder.join("next.deb"));
    dpkg_deb(&["-R"], &[package(), &tree]);
    let control = std::fs::read_to_string(tree.join("DEBIAN/control")).unwrap();
    let version = concat!("Version: ", env!("CARGO_PKG_VERSION"), "-");
    std::fs::write(tree.join("DEBIAN/control"), control.replace(&format!("{version}1"), &format!("{version}2")))
        .unwrap();
    std::fs::write(tree.join("etc/lineside/lineside.toml"), shipped().replace("/dev/video0", "/dev/video7")).unwrap();
    dpkg_deb(&["--root-owner-group", "-Znone", "-b"], &[&tree, &package_again]);
    package_again
}

#[test]
fn upgrade_and_remove_keep_what_is_the_users_and_purge_takes_it() {
    if !has("unshare", &["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/run"]) {
        return;
    }
    let (system, folder) = (System::new(), tempfile::tempdir().unwrap());
    system.dpkg(&["-i"], Some(package()));
    assert_eq!(system.read("etc/lineside/lineside.toml"), shipped());
    let users = system.read("etc/passwd");
    assert!(users.contains("lineside:") && users.contains(":/var/lib/lineside:/usr/sbin/nologin"), "{users}");
    for group in ["video", "gpio"] {
        let groups = system.read("etc/group");
        assert!(groups.lines().any(|line| line.starts_with(group) && line.ends_with("lineside")), "{groups}");
    }
    let enabled = "etc/systemd/system/multi-user.target.wants/lineside.service";
    assert!(!system.path(enabled).exists(), "nothing is enabled that nobody asked for");

    // What a user does.
    let own = shipped().replace("/dev/video0", "/dev/v4l/by-id/usb-own");
    std::fs::write(system.path("etc/lineside/lineside.toml"), &own).unwrap();
    let data = ["var/lib/lineside/records/events.jsonl", "var/lib/lineside/bundles/own/bundle.toml"];
    for file in data {
        std::fs::create_dir_all(system.path(file).parent().unwrap()).unwrap();
        std::fs::write(system.path(file), "own").unwrap();
    }
    let root = format!("--root={}", system.folder.path().display());
    must(Command::new("systemctl").args([&root, "enable", "lineside"]));
    let link = |path: &Path| path.symlink_metadata().is_ok();
    assert!(link(&system.path(enabled)));

    let unchanged = || {
        assert_eq!(system.read("etc/lineside/lineside.toml"), own);
        assert!(data.iter().all(|file| system.read(file) == "own"));
    };
    system.dpkg(&["-i"], Some(&next(folder.path())));
    unchanged();
    assert!(link(&system.path(enabled)) && system.read("var/lib/dpkg/status").contains("-2\n"));
    assert!(
        system.read("etc/lineside/lineside.toml.dpkg-dist").contains("/dev/video7"),
        "the new default lies beside it"
    );

    system.dpkg(&["-r", "lineside"], None);
    unchanged();
    assert!(!system.path("usr/bin/lineside").exists() && !system.path("usr/share/lineside").exists());

    system.dpkg(&["-i"], Some(package()));
    unchanged();

    system.dpkg(&["-P", "lineside"], None);
    for path in ["etc/lineside", "var/lib/lineside", "usr/share/doc/lineside"] {
        assert!(!system.path(path).exists(), "{path}");
    }
    assert!(!link(&system.path(enabled)));
}
