//! What a run leaves behind: a line for each verdict, records, and pictures of defects.

use super::hundredths;
use crate::picture::{Picture, write_png};
use crate::pipeline::{Report, Reporter};
use crate::sink::{Event, EventLog, Files, annotated, free_stem, spot_beside_bicubic, write_durably};
use std::io::{Stdout, Write};
use std::path::PathBuf;

/// Prints each verdict, records defects and writes their pictures.
pub(super) struct Writer {
    /// Records.
    pub(super) events: EventLog,
    folder: PathBuf,
    scale: usize,
    out: Stdout,
    /// Results that could not be written.
    pub(super) unwritten: u64,
    late_told: bool,
    /// Whether nobody watches any more.
    pub(super) reader_gone: bool,
}

impl Reporter for Writer {
    fn verdict(&mut self, report: &Report) {
        let verdict = &report.verdict;
        let word = if verdict.defect { "DEFECT" } else { "normal" };
        let place = match verdict.regions.first() {
            Some(region) => {
                format!("at {},{} {}x{}", region.area.x, region.area.y, region.area.width, region.area.height)
            }
            None => String::new(),
        };
        let latency = report.latency.as_secs_f64() * 1e3;
        self.print(&format!("{:<28} {word}  score {:.4}  {latency:6.1} ms  {place}", report.name, verdict.score));
        if let Some(reason) = &report.spot_failure {
            log::error!(frame = report.name.as_str(), error = reason.as_str(); "enlarging_failed");
        }
        if let (Some(late), false) = (report.late, self.late_told) {
            // Once a run: how many more there were, the status says.
            self.late_told = true;
            log::warn!(frame = report.name.as_str(), ms = hundredths(late.as_secs_f64() * 1e3); "enlarging_late");
        }
        if !verdict.defect && report.spot.is_none() {
            return;
        }
        let enlarged = format!("-x{}.png", self.scale);
        let stem = free_stem(&self.folder, file_stem(report), &[".png", &enlarged]);
        let mut files = Files::default();
        if verdict.defect {
            let picture = annotated(&report.frame, verdict).map_err(anyhow::Error::from);
            files.annotated = self.keep(picture, &format!("{stem}.png"));
        }
        if let Some((small, large)) = &report.spot {
            let picture = spot_beside_bicubic(small, large, self.scale).map_err(anyhow::Error::from);
            files.spot = self.keep(picture, &format!("{stem}{enlarged}"));
        }
        if !verdict.defect {
            return;
        }
        let regions: Vec<[usize; 4]> =
            verdict.regions.iter().map(|r| [r.area.x, r.area.y, r.area.width, r.area.height]).collect();
        let event = Event {
            time: report.wall,
            frame: &report.name,
            score: verdict.score,
            threshold: verdict.threshold,
            regions: &regions,
            latency_ms: latency,
            files: &files,
        };
        log::info!(frame = report.name.as_str(), score = verdict.score, threshold = verdict.threshold, picture = files.annotated.as_str(); "defect");
        if let Err(error) = self.events.append("event", &event) {
            self.unwritten += 1;
            log::error!(file = self.events.path().display().to_string().as_str(), error = error.to_string().as_str(); "record_not_written");
        }
    }

    fn failed(&mut self, name: &str, reason: &str) {
        self.print(&format!("{name:<28} FAILED  {reason}"));
        log::warn!(frame = name, reason = reason; "frame_failed");
        let record = serde_json::json!({ "time": jiff::Timestamp::now(), "frame": name, "reason": reason });
        if let Err(error) = self.events.append("frame_failed", &record) {
            self.unwritten += 1;
            log::error!(file = self.events.path().display().to_string().as_str(), error = error.to_string().as_str(); "record_not_written");
        }
    }
}

impl Writer {
    /// Writes into a folder; `scale` is that of enlarged spots.
    pub(super) fn new(events: EventLog, folder: PathBuf, scale: usize) -> Writer {
        Writer { events, folder, scale, out: std::io::stdout(), unwritten: 0, late_told: false, reader_gone: false }
    }

    /// A line for whoever watches. Where nobody does any more, inspection goes on.
    fn print(&mut self, line: &str) {
        if !self.reader_gone && writeln!(self.out, "{}", line.trim_end()).is_err() {
            self.reader_gone = true;
        }
    }

    /// Writes a picture; gives its name, or nothing where it could not be written.
    fn keep(&mut self, picture: anyhow::Result<Picture>, name: &str) -> String {
        let path = self.folder.join(name);
        let written = picture.and_then(|picture| {
            Ok(write_durably(&path, |out| write_png(out, &picture).map_err(std::io::Error::other))?)
        });
        match written {
            Ok(()) => name.to_string(),
            Err(error) => {
                self.unwritten += 1;
                log::error!(file = path.display().to_string().as_str(), error = error.to_string().as_str(); "picture_not_written");
                String::new()
            }
        }
    }
}

/// Time and frame name, in characters that every file system takes: `20261121T041500123Z-part-03`.
fn file_stem(report: &Report) -> String {
    let time = report.wall.strftime("%Y%m%dT%H%M%S%3fZ").to_string();
    let name = report.name.rsplit_once('.').map_or(report.name.as_str(), |(stem, _)| stem);
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    format!("{time}-{name}")
}
