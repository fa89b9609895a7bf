//! How the last run in a folder ended, by its records.

use super::events::record_files;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// One word for how the last run that left records in `folder` ended: `clean` with a stop record, `cut` without one in the
/// same boot of the machine (`boot`), `power` without one in another, `none` where there was no run.
pub fn previous_run(folder: &Path, boot: Option<&str>) -> &'static str {
    for path in record_files(folder).unwrap_or_default().into_iter().rev() {
        if let Some(word) = in_file(&path, boot) {
            return word;
        }
    }
    "none"
}

fn in_file(path: &Path, boot: Option<&str>) -> Option<&'static str> {
    let file = File::open(path).ok()?;
    // Not more than is there now: a device is as long as one reads it.
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

    fn told(files: &[(&str, &str)]) -> &'static str {
        let folder = tempfile::tempdir().unwrap();
        for (name, lines) in files {
            std::fs::write(folder.path().join(name), lines).unwrap();
        }
        previous_run(folder.path(), Some("b1"))
    }

    #[test]
    fn the_end_of_the_last_run_is_known_by_what_it_left() {
        let (now, old) = ("events.jsonl", "events-20261121T040000123Z.jsonl");
        let start = |boot: &str| format!("{{\"record\":\"start\",\"boot\":\"{boot}\"}}\n{{\"record\":\"event\"}}\n");
        let stop = "{\"record\":\"stop\"}\n";
        assert_eq!(told(&[]), "none");
        assert_eq!(told(&[(now, "")]), "none");
        assert_eq!(told(&[(now, &start("b1"))]), "cut");
        assert_eq!(told(&[(now, &start("b0"))]), "power");
        assert_eq!(told(&[(now, &(start("b0") + stop))]), "clean");
        assert_eq!(told(&[(now, &(start("b0") + stop + &start("b1") + "{\"rec"))]), "cut");
        // The current file tells nothing yet.
        assert_eq!(told(&[(old, &(start("b1") + stop)), (now, "{\"record\":\"event\"}\n")]), "clean");
        assert_eq!(told(&[(old, stop), (now, "{\"record\":\"goes_on\",\"boot\":\"b0\"}\n")]), "power");
        assert_eq!(told(&[("events-notes.jsonl", &start("b1"))]), "none");
    }
}
