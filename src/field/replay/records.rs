//! Reads the verdicts from a folder's records, in the order in which they were written.

use crate::files;
use crate::sink::record_files;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

/// The longest line, in bytes; no record is longer.
const LONGEST: u64 = 1 << 16;

/// A verdict as it was recorded.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordedVerdict {
    /// `event` or `normal`.
    pub record: String,
    /// When the frame was captured.
    #[serde(default)]
    pub time: String,
    /// The run that it belongs to.
    #[serde(default)]
    pub run: String,
    /// Its name from the source.
    #[serde(default)]
    pub frame: String,
    /// The score.
    pub score: f64,
    /// The threshold.
    pub threshold: f64,
    /// Regions of a defect: x, y, width, height.
    #[serde(default)]
    pub regions: Vec<[usize; 4]>,
    /// Whether the verdict repeats that of the frame before.
    #[serde(default)]
    pub similar: bool,
    /// Why it was a defect, where that was not how it looked.
    pub cause: Option<String>,
    /// Fingerprint of the bundle that made the verdict.
    pub bundle: Option<String>,
    /// SHA-256 of the frame's pixels, in hexadecimal.
    pub pixels_sha256: Option<String>,
    /// [`crate::task::anomaly::Verdict::fingerprint`].
    pub verdict_sha256: Option<String>,
    /// Its images.
    #[serde(default)]
    pub files: RecordedFiles,
}

/// Names of images beside the records.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RecordedFiles {
    /// The frame as it was inspected; empty if it could not be written.
    #[serde(default)]
    pub original: String,
}

/// The machine and the program of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RunInfo {
    /// The machine.
    #[serde(default)]
    pub host: String,
    /// The version of the program.
    #[serde(default)]
    pub version: String,
    /// The CPU.
    #[serde(default)]
    pub cpu: String,
    /// The kernel set.
    #[serde(default)]
    pub kernel: String,
    /// Name, version and fingerprint of each bundle, separated by semicolons.
    #[serde(default)]
    pub bundles: String,
}

impl RunInfo {
    /// Name and version of the bundle with a fingerprint.
    pub fn bundle(&self, fingerprint: &str) -> Option<(&str, &str)> {
        self.bundles.split("; ").find_map(|bundle| {
            let mut words = bundle.split(' ');
            let name_and_version = (words.next()?, words.next()?);
            (words.next()? == fingerprint).then_some(name_and_version)
        })
    }
}

/// Reads recorded verdicts one by one.
pub struct VerdictReader {
    files: IntoIter<PathBuf>,
    file: Option<BufReader<File>>,
    line: Vec<u8>,
    runs: BTreeMap<String, RunInfo>,
    /// Lines, or parts of too long lines, that are not records.
    pub unreadable: u64,
}

#[derive(Deserialize)]
struct RecordHeader<'a> {
    #[serde(borrow)]
    record: std::borrow::Cow<'a, str>,
    #[serde(default)]
    run: String,
}

impl VerdictReader {
    /// Opens the records in `folder`: `events.jsonl` and the files that were closed before.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn open(folder: &Path) -> io::Result<VerdictReader> {
        let files = record_files(folder)?.into_iter();
        Ok(VerdictReader { files, file: None, line: Vec::new(), runs: BTreeMap::new(), unreadable: 0 })
    }

    /// The next verdict; `None` at the end.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn next_verdict(&mut self) -> io::Result<Option<RecordedVerdict>> {
        while self.next_line()? {
            let Ok(kind) = serde_json::from_slice::<RecordHeader>(&self.line) else {
                self.unreadable += 1;
                continue;
            };
            match &*kind.record {
                "start" | "goes_on" => {
                    // A start record may lack fields: the run is then described by fewer.
                    let run = serde_json::from_slice(&self.line).unwrap_or_default();
                    self.runs.insert(kind.run, run);
                }
                "event" | "normal" => match serde_json::from_slice(&self.line) {
                    Ok(judged) => return Ok(Some(judged)),
                    Err(_) => self.unreadable += 1,
                },
                _ => {}
            }
        }
        Ok(None)
    }

    /// The run of an id, if its start was read already.
    pub fn run(&self, run: &str) -> Option<&RunInfo> {
        self.runs.get(run)
    }

    /// All runs in what was read.
    pub fn runs(&self) -> impl Iterator<Item = &RunInfo> {
        self.runs.values()
    }

    fn next_line(&mut self) -> io::Result<bool> {
        loop {
            if self.file.is_none() {
                let Some(path) = self.files.next() else { return Ok(false) };
                self.file = Some(BufReader::new(files::open(&path)?.0));
            }
            let Some(file) = &mut self.file else { return Ok(false) };
            self.line.clear();
            if file.take(LONGEST).read_until(b'\n', &mut self.line)? > 0 {
                return Ok(true);
            }
            self.file = None;
        }
    }
}
