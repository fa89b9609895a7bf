//! Logs of any form, with the reports about them.

use super::Target;
use lineside_fieldlog::{LogSource, TimeRange, inspect};
use std::cell::RefCell;
use std::fs::File;
use tempfile::NamedTempFile;

/// This target.
pub const TARGET: Target = Target {
    name: "log",
    run: target,
    max_len: 4096,
    max_memory: 32 << 20,
    iterations: 2000,
    words: &[
        b"{\"time\":\"2026-11-21T04:00:00Z\",\"record\":\"",
        b"start",
        b"status",
        b"event",
        b"fault",
        b"stop",
        b"heat",
        b"review",
        b"reload",
        b"\"state\":\"begin\"",
        b"\"state\":\"end\"",
        b"\"run\":\"",
        b"\"seconds\":",
        b"\"uptime_s\":",
        b"Nov 21 04:00:00 board lineside[1]: ",
        b"__REALTIME_TIMESTAMP=",
        b"MESSAGE=",
        b"_PID=1\n",
        b"<6>1 ",
        b"thread 'main' panicked at ",
        b"message repeated 9 times: [",
        b"last message repeated 9 times",
        "D\u{e9}c. 28 20:27:11 pi4 lineside[1]: ".as_bytes(),
        b"record=status run=a uptime_s=",
        b"Fri 2026-11-20 20:27:11 CET [s=1;t=64f;x=1]\n    MESSAGE=",
        b"2026-11-20T20:27:11Z stderr P ",
        b"<134>1 - - - - - [a b=\"",
        b"Time,Line\n",
        b"{\n",
        b"[{\"line\":\"",
        b"\"values\":[[\"1795206431000000000\",\"",
        b"[123B blob data]",
        b"\x1b[2J",
        b"<script>",
        b"1e999",
        b"-9999-12-31",
        b"18446744073709551615",
        b"\x1F\x8B\x08",
        b"\x28\xB5\x2F\xFD",
        b"\xFF\xFE",
        b"\xEF\xBB\xBF",
        b"\0\0\0\0",
        b"kernel: ",
        b"systemd[1]: ",
    ],
};

thread_local! {
    static FILE: RefCell<NamedTempFile> = RefCell::new(tempfile::Builder::new().suffix(".log").tempfile().expect("a temporary file"));
}

/// Reads a log and writes all three reports.
pub fn target(data: &[u8]) {
    FILE.with_borrow(|file| {
        std::fs::write(file.path(), data).expect("room for a temporary file");
        // The newest possible time of a log without years is when it was written: the same in every run.
        let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_795_233_600);
        File::options()
            .write(true)
            .open(file.path())
            .and_then(|file| file.set_modified(written))
            .expect("its own file");
        let name = file.path().to_string_lossy().into_owned();
        let report = inspect(vec![LogSource::File(file.path().into())], TimeRange::default(), &mut |_, _| ());
        let text = report.to_text();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "control characters in {text:?}");
        let json = serde_json::to_string(&report.to_json()).expect("a report in JSON");
        assert!(json.len() < 64 << 20);
        let mut page = Vec::new();
        report.write_html(&mut page).expect("a page");
        let page = String::from_utf8(page).expect("a page in UTF-8");
        assert!(!page.contains("<script") && !page.contains("<iframe"), "markup of a log in the page");
        assert!(!page.chars().any(|c| c.is_control() && c != '\n'), "control characters in the page");
        assert!(!text.is_empty() && !name.is_empty());
    });
}
