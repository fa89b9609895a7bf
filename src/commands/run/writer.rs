//! What a run leaves behind: a line for each verdict, records, and pictures of defects.

use super::{hundredths, records};
use crate::picture::{Picture, write_png};
use crate::pipeline::{Report, Reporter};
use crate::record::Record;
use crate::record::fault::{self, Cause};
use crate::sink::{RunLog, annotated, free_stem, spot_beside_bicubic, write_durably};
use std::io::{Stdout, Write};
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

/// Prints each verdict, records defects and writes their pictures.
pub(super) struct Writer {
    events: RunLog,
    /// Records of others, to be written, too.
    kept: Receiver<Record>,
    folder: PathBuf,
    scale: usize,
    out: Stdout,
    /// Results that could not be written.
    pub(super) unwritten: u64,
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
        self.tell_enlarging(report);
        if !verdict.defect && report.spot.is_none() {
            return;
        }
        let enlarged = format!("-x{}.png", self.scale);
        let stem = free_stem(&self.folder, file_stem(report), &[".png", &enlarged]);
        let (mut annotated_file, mut spot_file) = (String::new(), String::new());
        if verdict.defect {
            let picture = annotated(&report.frame, verdict).map_err(anyhow::Error::from);
            annotated_file = self.keep(picture, &format!("{stem}.png"));
        }
        if let Some((small, large)) = &report.spot {
            let picture = spot_beside_bicubic(small, large, self.scale).map_err(anyhow::Error::from);
            spot_file = self.keep(picture, &format!("{stem}{enlarged}"));
        }
        if verdict.defect {
            let event = records::event(report, annotated_file, spot_file);
            self.write(&event);
            event.log();
        }
    }

    fn failed(&mut self, name: &str, cause: Cause, reason: &str) {
        self.print(&format!("{name:<28} FAILED  {reason}"));
        fault::failed(cause, &format!("{name}: {reason}"));
    }

    fn tick(&mut self) {
        self.write_kept();
    }
}

impl Writer {
    /// Writes into a folder; `scale` is that of enlarged spots.
    pub(super) fn new(events: RunLog, kept: Receiver<Record>, folder: PathBuf, scale: usize) -> Writer {
        Writer { events, kept, folder, scale, out: std::io::stdout(), unwritten: 0, reader_gone: false }
    }

    /// Writes a record down.
    pub(super) fn write(&mut self, record: &Record) {
        match self.events.append(record) {
            Ok(()) => fault::well(Cause::Records),
            Err(error) => {
                self.unwritten += 1;
                fault::failed(Cause::Records, &format!("{}: {error}", self.events.path().display()));
            }
        }
    }

    /// Writes down what others have to tell.
    pub(super) fn write_kept(&mut self) {
        while let Ok(record) = self.kept.try_recv() {
            self.write(&record);
        }
    }

    fn tell_enlarging(&mut self, report: &Report) {
        match &report.spot_failure {
            Some(reason) => fault::failed(Cause::Enlarge, &format!("{}: {reason}", report.name)),
            None if report.spot.is_some() => fault::well(Cause::Enlarge),
            None => {}
        }
        match &report.late {
            Some(late) => {
                let ms = hundredths(late.as_secs_f64() * 1e3);
                let text = format!("{}: {ms} ms, longer than it may take (super_resolution.max_ms)", report.name);
                fault::failed(Cause::Late, &text);
            }
            None if report.spot.is_some() => fault::well(Cause::Late),
            None => {}
        }
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
            Ok(()) => {
                fault::well(Cause::Pictures);
                name.to_string()
            }
            Err(error) => {
                self.unwritten += 1;
                fault::failed(Cause::Pictures, &format!("{}: {error}", path.display()));
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
