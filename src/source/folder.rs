//! Frames from a folder of picture files.

use super::frame::{Frame, FrameSource, Next, SourceCondition, SourceState};
use super::pace::Pace;
use super::picture_list::{PictureList, list_pictures};
use super::reader::{FileReader, ReadFile};
use crate::telemetry::{Cause, Telemetry};
use crate::times::{BEAT, SILENT_SOURCE};
use lineside_picture::{decode_file, max_file_bytes};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// While a file cannot be read to its end, that is reported this often.
const AGAIN: Duration = Duration::from_secs(60);

/// Delivers the pictures of a folder, once or for ever. They are read by a thread of its own: a share that stalls is waited for
/// without keeping anybody.
pub struct FolderSource {
    folder: PathBuf,
    reader: FileReader,
    pictures: usize,
    at: usize,
    repeat: bool,
    pace: Pace,
    max_pixels: usize,
    /// The most bytes of a file.
    max_bytes: u64,
    /// The file that is being read.
    reading: Option<Reading>,
    telemetry: Telemetry,
}

struct Reading {
    path: PathBuf,
    begun: Instant,
    wall: jiff::Timestamp,
    /// When it is reported, or reported again, that it takes too long.
    report: Instant,
}

impl FolderSource {
    /// Lists the pictures below `folder`. With `fps` they come at that rate, as from a camera; without it, each waits until the
    /// one before is inspected. Pictures of more than `max_pixels` are refused one by one. What is no file is passed over, which
    /// `telemetry` reports.
    ///
    /// # Errors
    /// In one line, where the folder cannot be read or holds no picture, or no thread can be started.
    pub fn open(
        folder: &Path,
        repeat: bool,
        fps: Option<f64>,
        max_pixels: usize,
        telemetry: &Telemetry,
    ) -> Result<FolderSource, String> {
        let PictureList { files, passed_over } = list_pictures(folder)?;
        if let Some(passed_over) = passed_over {
            telemetry.report_count("frame", &passed_over.to_string(), passed_over.count);
        }
        let pictures = files.len();
        Ok(FolderSource {
            folder: folder.to_path_buf(),
            reader: FileReader::start(files).map_err(|error| error.to_string())?,
            pictures,
            at: 0,
            repeat,
            pace: Pace::new(fps),
            max_pixels,
            max_bytes: max_file_bytes(max_pixels),
            reading: None,
            telemetry: telemetry.clone(),
        })
    }

    /// Waits for the file that is being read, for a [`BEAT`] at most.
    fn read_on(&mut self) -> Option<(Reading, ReadFile)> {
        let reading = self.reading.as_mut()?;
        let Some(read) = self.reader.wait(BEAT) else {
            let now = Instant::now();
            if now >= reading.report {
                let seconds = (now - reading.begun).as_secs_f64();
                let text = format!("reading it takes longer than {seconds:.1} s: is its disk or share there?");
                self.telemetry.fail(Cause::Frame, &format!("{}: {text}", reading.path.display()));
                reading.report = now + AGAIN;
            }
            return None;
        };
        self.reading.take().map(|reading| (reading, read))
    }
}

impl FrameSource for FolderSource {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if self.reading.is_none() {
            if self.at == self.pictures {
                if !self.repeat {
                    return Next::Ended;
                }
                self.at = 0;
            }
            if !self.pace.wait() {
                return Next::Pending;
            }
            let (begun, wall) = (Instant::now(), jiff::Timestamp::now());
            let path = self.reader.request(self.at, self.max_bytes).to_path_buf();
            self.reading = Some(Reading { path, begun, wall, report: begun + SILENT_SOURCE });
            self.at += 1;
        }
        let Some((reading, read)) = self.read_on() else { return Next::Pending };
        (frame.captured, frame.wall) = (reading.begun, reading.wall);
        frame.name.clear();
        frame.name.push_str(&reading.path.file_name().unwrap_or_default().to_string_lossy());
        let decoded = read.result.map_err(|error| error.to_string()).and_then(|()| {
            decode_file(&read.bytes, self.max_pixels, &mut frame.picture).map_err(|error| error.to_string())
        });
        self.reader.give_back(read.bytes);
        match decoded {
            Ok(()) => Next::Frame,
            Err(reason) => Next::Failed { name: reading.path.display().to_string(), reason },
        }
    }

    fn limit_file_bytes(&mut self, bytes: u64) {
        self.max_bytes = self.max_bytes.min(bytes);
    }

    fn condition(&self) -> SourceCondition {
        let stalled = self.reading.as_ref().is_some_and(|reading| reading.begun.elapsed() >= SILENT_SOURCE);
        let state = if stalled { SourceState::Away } else { SourceState::Flowing };
        SourceCondition { state, ..SourceCondition::default() }
    }

    fn is_live(&self) -> bool {
        self.pace.is_live()
    }

    fn max_pixels(&self) -> usize {
        self.max_pixels
    }

    fn describe(&self) -> String {
        format!("folder {} ({} pictures)", self.folder.display(), self.pictures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_larger_than_the_budget_leaves_is_refused_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let picture = lineside_picture::Picture::new(lineside_picture::Layout::Grey, 8, 8);
        lineside_picture::write_png(std::fs::File::create(folder.path().join("1.png")).unwrap(), &picture).unwrap();
        std::fs::File::create(folder.path().join("2.png")).unwrap().set_len(1 << 40).unwrap();
        let mut source = FolderSource::open(folder.path(), false, None, 64, &Telemetry::default()).unwrap();
        source.limit_file_bytes(10_000);
        let mut frame = Frame::default();
        let mut next = || loop {
            match source.next(&mut frame) {
                Next::Pending => {}
                other => return other,
            }
        };
        assert_eq!(next(), Next::Frame);
        let Next::Failed { reason, .. } = next() else { panic!("2.png has a terabyte") };
        assert!(reason.starts_with("it has 1.0 TiB, more than the 9.8 KiB"), "{reason}");
        assert_eq!(next(), Next::Ended);
    }
}
