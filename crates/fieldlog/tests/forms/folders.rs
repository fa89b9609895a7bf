//! Which files of a folder are read, and what of the others is named.

use super::day::container_day;
use super::{others, read};
use lineside_fieldlog::{TimeRange, find_logs, inspect};
use std::path::Path;

fn report(folder: &Path) -> lineside_fieldlog::Report {
    inspect(find_logs(&[folder.to_path_buf()]), TimeRange::default(), &mut |_, _| ())
}

#[test]
fn logs_with_other_names_are_read_and_what_is_no_log_stays_silent() {
    let log = others::plain(&container_day());
    let expected = read(&log)["frames"].clone();
    for name in ["lineside.log.1.old", "lineside.log.bak", "b.log.old", "lineside.0", "x.out", "lineside", "LOG~"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), &log).unwrap();
        let windows: Vec<u8> = String::from_utf8_lossy(&log).encode_utf16().flat_map(u16::to_le_bytes).collect();
        std::fs::write(folder.path().join("wide.old"), [&b"\xff\xfe"[..], &windows].concat()).unwrap();
        for (other, content) in [
            ("a.png", &b"\x89PNG\r\n"[..]),
            ("lineside.toml", b"# record=start run=0a1b2c3d\n"),
            ("README", b"some words\n"),
            ("notes", b"record = 5\n"),
            ("data", &[7; 100_000]),
            ("weights", &[0; 100_000]),
            ("nothing", b""),
        ] {
            std::fs::write(folder.path().join(other), content).unwrap();
        }
        let report = report(folder.path());
        assert!(!report.has_unread_lines() && report.unreadable().is_none(), "{name}");
        let report = report.to_json();
        assert_eq!(report["frames"], expected, "{name}: {:#}", report["read"]);
        assert_eq!(report["read"].as_array().unwrap().len(), 2, "{name}: {:#}", report["read"]);
        assert_eq!(report["runs"].as_array().unwrap().len(), 1, "{name}: {:#}", report["runs"]);
    }
}

#[test]
fn packed_files_beside_logs_are_named() {
    for name in ["x.log.xz", "x.log.bz2", "logs.zip", "logs.7z", "x.log.1.lz4", "logs.tgz", "system.journal"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("lineside.log"), others::plain(&container_day())).unwrap();
        let content: &[u8] = if name == "system.journal" { b"LPKSHHRH.." } else { b"\xfd7zXZ\0...." };
        std::fs::write(folder.path().join(name), content).unwrap();
        let report = report(folder.path());
        let unreadable = report.unreadable().unwrap_or_default();
        assert!(unreadable.contains("1 file is passed over") && unreadable.contains(name), "{name}: {unreadable}");
        assert!(!report.nothing_readable(), "{name}");
        assert_eq!(report.to_json()["frames"]["captured"], 600, "{name}");
    }
}
