//! `events.jsonl`: one JSON object a line, appended; a line is on the disk before the next frame's is written.

use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The open record file.
pub struct EventLog {
    file: File,
    path: PathBuf,
}

/// The first record of a run.
#[derive(Debug, Serialize)]
pub struct StartRecord<'a> {
    /// The wall time.
    pub time: jiff::Timestamp,
    /// The program's version.
    pub version: &'static str,
    /// The source, in words.
    pub source: &'a str,
    /// Name, version and fingerprint of each bundle.
    pub bundles: &'a [String],
}

/// A frame that is not normal.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// The wall time of capture.
    pub time: jiff::Timestamp,
    /// What the source calls the frame.
    pub frame: &'a str,
    /// How far from normal, 0..1.
    pub score: f64,
    /// The score from which on a frame counts as defect.
    pub threshold: f64,
    /// Where: `[x, y, width, height]` in frame coordinates, hottest first.
    pub regions: &'a [[usize; 4]],
    /// From capture to verdict, in milliseconds.
    pub latency_ms: f64,
    /// The pictures written for it, beside this file.
    pub files: &'a Files,
}

/// Names of the pictures of one event, empty where none was written.
#[derive(Debug, Default, Serialize)]
pub struct Files {
    /// The frame with heatmap, box and score.
    pub annotated: String,
    /// The spot enlarged, beside its bicubic enlargement.
    pub spot: String,
}

/// The last record of a run that ended in order.
#[derive(Debug, Serialize)]
pub struct StopRecord<'a> {
    /// The wall time.
    pub time: jiff::Timestamp,
    /// Why it stopped.
    pub reason: &'a str,
    /// Frames by fate.
    pub frames: crate::pipeline::Counts,
}

impl EventLog {
    /// Opens `events.jsonl` in `folder` for appending; both are made where missing. Where a crash left the last line
    /// cut, a new line is begun, so that the cut one stands alone.
    ///
    /// # Errors
    /// Where the folder or the file cannot be made or written.
    pub fn open(folder: &Path) -> io::Result<EventLog> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("events.jsonl");
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        if file.seek(SeekFrom::End(0))? > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                log::warn!(file = path.display().to_string().as_str(); "events_line_was_cut");
                file.write_all(b"\n")?;
            }
        }
        Ok(EventLog { file, path })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one record of the given kind and waits until it is on the disk.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn append(&mut self, kind: &str, record: &impl Serialize) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a, R> {
            record: &'a str,
            #[serde(flatten)]
            fields: &'a R,
        }
        let mut line = serde_json::to_vec(&Line { record: kind, fields: record })?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_line_is_closed_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, "{\"record\":\"event\",\"sco").unwrap();
        let start = StartRecord { time: jiff::Timestamp::UNIX_EPOCH, version: "1", source: "s", bundles: &[] };
        EventLog::open(folder.path()).unwrap().append("start", &start).unwrap();
        EventLog::open(folder.path()).unwrap().append("start", &start).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(serde_json::from_str::<serde_json::Value>(lines[0]).is_err());
        assert_eq!(serde_json::from_str::<serde_json::Value>(lines[1]).unwrap()["record"], "start");
        assert_eq!(lines[1], lines[2]);
    }
}
