//! How the last run in a folder ended, by its records.

use super::events::record_files;
use crate::storage;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// How the last run that left records in `folder` ended, in one word: `clean` with a stop record, `cut` without one in the
/// present boot of the machine (`boot`), `power` without one in an earlier boot, `none` if there was no run.
pub fn previous_run(folder: &Path, boot: Option<&str>) -> &'static str {
    for path in record_files(folder).unwrap_or_default().into_iter().rev() {
        if let Some(word) = in_file(&path, boot) {
            return word;
        }
    }
    "none"
}

fn in_file(path: &Path, boot: Option<&str>) -> Option<&'static str> {
    let file = storage::open_to_read(path).ok()?;
    // No more than the file's length: a device has no end.
    let length = file.metadata().ok()?.len();
    let mut reader = BufReader::new(file.take(length));
    let (mut line, mut last) = (Vec::new(), None);
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).ok()? == 0 {
            return last;
        }
        let Ok(record) = serde_json::from_slice::<RunMarker>(&line) else { continue };
        match record.record.as_ref() {
            "start" | "goes_on" => {
                let same = boot.is_none() || record.boot.is_none() || record.boot.as_deref() == boot;
                last = Some(if same { "cut" } else { "power" });
            }
            "stop" => last = Some("clean"),
            _ => {}
        }
    }
}

/// The fields of a record that mark the start and end of a run.
#[derive(serde::Deserialize)]
struct RunMarker<'a> {
    #[serde(borrow)]
    record: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    boot: Option<std::borrow::Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word_for(files: &[(&str, &str)]) -> &'static str {
        let folder = tempfile::tempdir().unwrap();
        for (name, lines) in files {
            std::fs::write(folder.path().join(name), lines).unwrap();
        }
        previous_run(folder.path(), Some("b1"))
    }

    #[test]
    fn the_records_show_how_the_last_run_ended() {
        let (now, old) = ("events.jsonl", "events-20261121T040000123Z.jsonl");
        let start = |boot: &str| format!("{{\"record\":\"start\",\"boot\":\"{boot}\"}}\n{{\"record\":\"event\"}}\n");
        let stop = "{\"record\":\"stop\"}\n";
        assert_eq!(word_for(&[]), "none");
        assert_eq!(word_for(&[(now, "")]), "none");
        assert_eq!(word_for(&[(now, &start("b1"))]), "cut");
        assert_eq!(word_for(&[(now, &start("b0"))]), "power");
        assert_eq!(word_for(&[(now, &(start("b0") + stop))]), "clean");
        assert_eq!(word_for(&[(now, &(start("b0") + stop + &start("b1") + "{\"rec"))]), "cut");
        // The current file has no start record yet.
        assert_eq!(word_for(&[(old, &(start("b1") + stop)), (now, "{\"record\":\"event\"}\n")]), "clean");
        assert_eq!(word_for(&[(old, stop), (now, "{\"record\":\"goes_on\",\"boot\":\"b0\"}\n")]), "power");
        assert_eq!(word_for(&[("events-notes.jsonl", &start("b1"))]), "none");
    }
}
