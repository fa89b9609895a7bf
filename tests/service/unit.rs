//! The unit and the program belong together: what the unit promises is held against the program.

use crate::common::{has, root};
use lineside::config::BudgetConfig;
use lineside::{pipeline, status_page, times};
use std::path::Path;
use std::process::Command;

/// The value of a directive of the unit.
fn value(name: &str) -> String {
    let unit = std::fs::read_to_string(root().join("systemd/lineside.service")).unwrap();
    let values: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect();
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0].to_string()
}

#[test]
fn the_watchdog_waits_as_long_as_the_program_reckons_with() {
    assert_eq!(value("WatchdogSec"), format!("{}s", times::WATCHDOG.as_secs()));
    let stop: u64 = value("TimeoutStopSec").trim_end_matches('s').parse().unwrap();
    assert!(stop > 2 * times::STOP.as_secs(), "{stop}");
    assert_eq!(value("RestartPreventExitStatus"), "78");
}

#[test]
fn the_memory_limit_is_the_default_budget() {
    assert_eq!(value("MemoryMax"), format!("{}M", BudgetConfig::default().memory.get_ref().as_u64() >> 20));
}

#[test]
fn records_reach_the_journal() {
    // stderr goes where stdout goes unless it is said otherwise, and stdout goes nowhere.
    assert_eq!((value("StandardOutput"), value("StandardError")), ("null".into(), "journal".into()));
}

#[test]
fn every_directive_of_the_service_has_a_reason_beside_it() {
    for file in ["lineside.service", "sources/libcamera.conf", "sources/rtsp.conf", "sources/gstreamer.conf"] {
        let unit = std::fs::read_to_string(root().join("systemd").join(file)).unwrap();
        let mut reason = false;
        for line in unit.lines() {
            // A comment speaks for the lines below it, up to the next empty one.
            reason = line.starts_with('#') || reason && !line.is_empty() && !line.starts_with('[');
            let plain = ["Description", "Documentation", "Type", "WantedBy"].iter().any(|name| line.starts_with(name));
            assert!(reason || plain || line.is_empty() || line.starts_with('['), "{file}: no reason: {line}");
        }
    }
}

#[test]
fn systemd_finds_little_to_fault() {
    if has("systemd-analyze", &["--version"]) {
        let (exposure, text) = exposure(&root().join("systemd/lineside.service"));
        assert!(exposure <= 1.5, "{text}");
    }
}

/// What `systemd-analyze security` makes of a unit, and its text.
fn exposure(unit: &Path) -> (f64, String) {
    let mut command = Command::new("systemd-analyze");
    let output = command.args(["security", "--offline=true", "--no-pager"]).arg(unit).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let exposure = text
        .rsplit_once("Overall exposure level")
        .and_then(|(_, line)| line.split_whitespace().find_map(|word| word.parse::<f64>().ok()));
    (exposure.unwrap_or(f64::INFINITY), text)
}

#[test]
fn the_drop_ins_for_programs_as_sources_are_understood_and_open_little() {
    if !has("systemd-analyze", &["--version"]) {
        return;
    }
    for name in ["libcamera", "rtsp", "gstreamer"] {
        let folder = tempfile::tempdir().unwrap();
        let unit = std::fs::read_to_string(root().join("systemd/lineside.service")).unwrap();
        // The program of the unit is not installed here.
        let path = folder.path().join("lineside.service");
        std::fs::write(&path, unit.replace("/usr/bin/lineside ", "/bin/true ")).unwrap();
        let overrides = folder.path().join("lineside.service.d");
        std::fs::create_dir(&overrides).unwrap();
        let drop_in = root().join("systemd/sources").join(name).with_extension("conf");
        // What is only a proposal is understood, too.
        let text = std::fs::read_to_string(drop_in).unwrap();
        let text = text.replace("\n#LoadCredential", "\nLoadCredential").replace("\n#DeviceAllow", "\nDeviceAllow");
        std::fs::write(overrides.join("source.conf"), &text).unwrap();
        let verify = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&verify.stderr).into_owned();
        assert!(verify.status.success() && !said.contains("lineside.service"), "{name}: {said}");
        let (exposure, text) = exposure(&path);
        assert!(exposure < 2.0, "{name}: {text}");
    }
}

#[test]
fn threads_have_room() {
    // The main thread, the pipeline's, the page's with the judge's, that of teaching and its visitors', the broker's; the two of a process that
    // teaches; and the engine's own on a board of many cores: three more
    // for each of three views, of two bundles, and for the enlarger.
    let threads = 1 + pipeline::THREADS + 3 + status_page::CONNECTIONS + 1 + 2;
    assert!(value("TasksMax").parse::<usize>().unwrap() >= threads + 21, "{threads}");
}

/// The drop-in that docs/operations.md gives in a section.
fn drop_in(section: &str) -> String {
    let docs = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, section) = docs.split_once(section).unwrap();
    let (_, text) = section.split_once("    [Service]\n").unwrap();
    let lines = text.lines().take_while(|line| line.starts_with("    ")).map(|line| format!("{}\n", line.trim_start()));
    format!("[Service]\n{}", lines.collect::<String>())
}

#[test]
fn the_drop_in_for_the_status_page_opens_the_network_and_nothing_else() {
    opens_the_network_and_nothing_else(&drop_in("## A page to look at"));
}

#[test]
fn the_drop_in_for_a_broker_opens_the_network_and_nothing_else() {
    let drop_in = drop_in("## A fleet");
    assert!(drop_in.contains("LoadCredential=mqtt:"), "{drop_in}");
    opens_the_network_and_nothing_else(&drop_in);
}

fn opens_the_network_and_nothing_else(drop_in: &str) {
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(root().join("systemd/lineside.service")).unwrap();
    // The program of the unit is not installed here.
    let unit = unit.replace("/usr/bin/lineside ", "/bin/true ");
    let path = folder.path().join("lineside.service");
    std::fs::write(&path, unit).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&path).output().unwrap();
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), format!("{out}{error}"))
    };
    let security = ["security", "--offline=true", "--no-pager"];
    if !has("systemd-analyze", &["--version"]) {
        return;
    }
    let (_, before) = analyze(&security);
    let overrides = folder.path().join("lineside.service.d");
    std::fs::create_dir(&overrides).unwrap();
    std::fs::write(overrides.join("override.conf"), drop_in).unwrap();
    let (verified, said) = analyze(&["verify", "--man=no"]);
    assert!(verified && !said.contains("lineside.service"), "{said}");
    let (_, after) = analyze(&security);
    let changed: Vec<&str> = after
        .lines()
        .filter(|line| !before.contains(line) && !line.contains("Overall"))
        .filter_map(|line| line.split_whitespace().find(|word| word.contains(['=', '_']) || word.len() > 6))
        .collect();
    let expected = ["PrivateNetwork=", "IPAddressDeny=", "RestrictAddressFamilies=~AF_(INET|INET6)"];
    assert!(!changed.is_empty() && changed.iter().all(|name| expected.contains(name)), "{changed:?}: {after}");
}
