//! The writer thread's work: a printed line for each verdict, records, and pictures of defects.

use super::console::{Console, Tone};
use super::product_memory::ProductMemory;
use super::{hundredths, verdict_records};
use crate::escape::one_line;
use crate::pipeline::{Report, Reporter, ShadowVerdict, Shutdown};
use crate::sink::mqtt::BrokerClient;
use crate::sink::{ImageStore, Priority, RunLog, annotated, is_full, spot_beside_bicubic};
use crate::telemetry::{Cause, Record, Telemetry};
use lineside_picture::Picture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Receiver;

/// Prints each verdict, records defects and writes their pictures.
pub(super) struct Writer {
    events: RunLog,
    /// Records of other threads, to be written, too.
    kept: Receiver<Record>,
    broker: Option<Arc<BrokerClient>>,
    images: ImageStore,
    scale: usize,
    printing: Printing,
    /// Where the product that was chosen last is to be kept.
    memory: Option<ProductMemory>,
    /// Results that could not be written.
    pub(super) unwritten: u64,
    /// Records and pictures that were tried to be written.
    steps: Arc<AtomicU64>,
    telemetry: Telemetry,
}

/// Where a writer prints.
pub(super) struct Printing {
    pub(super) console: Arc<Console>,
    /// Where the source can wait, its frames do until their verdicts are printed; ends that.
    pub(super) patient: Option<Shutdown>,
}

impl Reporter for Writer {
    fn verdict(&mut self, report: &Report) -> bool {
        let unwritten = self.unwritten;
        let verdict = &report.verdict;
        let word = if verdict.defect { "DEFECT" } else { "normal" };
        let place = match verdict.regions.first() {
            _ if verdict.is_unknown_product => "of an unknown product".into(),
            _ if verdict.is_unfound() => "the part was not found".into(),
            Some(region) => {
                format!("at {},{} {}x{}", region.area.x, region.area.y, region.area.width, region.area.height)
            }
            None => String::new(),
        };
        let class = verdict.recognition.as_ref().map_or(String::new(), |class| format!("{}  ", class.word()));
        let part = report.part.map_or(String::new(), |part| format!("part {} {}  ", part.id, part.result.word()));
        let latency = report.latency.as_secs_f64() * 1e3;
        self.print(
            &format!(
                "{:<28} {word}  severity {:5.2}  score {:.4}  {latency:6.1} ms  {part}{class}{place}",
                report.name, verdict.severity, verdict.score
            ),
            if verdict.defect { Tone::Defect } else { Tone::Normal },
        );
        self.report_enlarging(report);
        let mut original = None;
        if verdict.defect || report.spot.is_some() {
            original = self.keep_pictures(report);
        }
        if report.priority == Some(Priority::Normal) {
            let stem = self.images.normal_file_stem(report.wall, &report.name);
            let file = self.write_picture(Ok(&report.frame), format!("{stem}.png"));
            let record = verdict_records::kept_normal(&self.telemetry, report, file);
            if !self.write(&record) {
                self.telemetry.log_unlimited(record);
            }
        }
        if let Some(shadow) = &report.shadow {
            self.keep_shadow(report, shadow, original);
        }
        self.unwritten == unwritten
    }

    fn failed(&mut self, name: &str, cause: Cause, reason: &str) {
        self.print(&format!("{name:<28} FAILED  {reason}"), Tone::Failed);
        self.telemetry.fail(cause, &format!("{name}: {reason}"));
    }

    fn tick(&mut self) {
        self.write_kept();
        if let Some(memory) = &mut self.memory {
            memory.persist(&self.telemetry);
        }
    }

    fn steps(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.steps)
    }
}

impl Writer {
    /// Writes into a folder; `scale` is that of enlarged spots.
    pub(super) fn new(
        events: RunLog,
        kept: Receiver<Record>,
        broker: Option<Arc<BrokerClient>>,
        images: ImageStore,
        scale: usize,
        printing: Printing,
        telemetry: Telemetry,
    ) -> Writer {
        let (memory, unwritten, steps) = (None, 0, Arc::default());
        Writer { events, kept, broker, images, scale, printing, memory, unwritten, steps, telemetry }
    }

    /// Keeps the product that is chosen, too.
    pub(super) fn remembering(self, memory: Option<ProductMemory>) -> Writer {
        Writer { memory, ..self }
    }

    /// Puts a record into the broker's queue, and writes it; returns whether it is in the file.
    pub(super) fn write(&mut self, record: &Record) -> bool {
        if let Some(broker) = &self.broker
            && broker.enqueue(record).is_err_and(|error| is_full(&error))
            && self.images.evict_some()
        {
            // Where it still is in memory alone, that was reported.
            let _ = broker.persist();
        }
        let appended = self.events.append(record).or_else(|error| {
            // A picture less is a smaller loss.
            if is_full(&error) && self.images.evict_some() { self.events.append(record) } else { Err(error) }
        });
        self.steps.fetch_add(1, Relaxed);
        match &appended {
            Ok(()) => self.telemetry.resolve(Cause::Records),
            Err(error) => {
                self.unwritten += 1;
                self.telemetry.fail(Cause::Records, &format!("{}: {error}", self.events.path().display()));
            }
        }
        appended.is_ok()
    }

    /// Writes the records of other threads.
    pub(super) fn write_kept(&mut self) {
        while let Ok(record) = self.kept.try_recv() {
            self.write(&record);
        }
    }

    /// Records what the shadow says otherwise of a frame, with the frame, unless its event has that already.
    fn keep_shadow(&mut self, report: &Report, shadow: &ShadowVerdict, original: Option<String>) {
        const ENDING: &str = "-shadow.png";
        let original = original.unwrap_or_else(|| {
            let stem = self.images.file_stem(report.wall, Priority::Normal, &report.name, &[ENDING]);
            self.write_picture(Ok(&report.frame), format!("{stem}{ENDING}"))
        });
        let record = verdict_records::shadow(&self.telemetry, report, shadow, original);
        if self.write(&record) {
            self.telemetry.log(record);
        } else {
            self.telemetry.log_unlimited(record);
        }
    }

    /// Writes the frame, its annotated copy and the spot of a defect, with its event; of a normal frame what was enlarged. Returns the
    /// name of the frame's picture, where it was written.
    fn keep_pictures(&mut self, report: &Report) -> Option<String> {
        let verdict = &report.verdict;
        let (original, enlarged) = ("-original.png", format!("-x{}.png", self.scale));
        let priority = report.priority.filter(|_| verdict.defect).unwrap_or(Priority::Normal);
        let stem = self.images.file_stem(report.wall, priority, &report.name, &[".png", original, &enlarged]);
        let spot = report.spot.as_ref().map(|(small, large)| {
            let picture = spot_beside_bicubic(small, large, self.scale).map_err(anyhow::Error::from);
            self.write_picture(picture.as_ref(), format!("{stem}{enlarged}"))
        });
        let mut kept = None;
        if verdict.defect {
            let original = self.write_picture(Ok(&report.frame), format!("{stem}{original}"));
            let annotated = annotated(&report.frame, verdict).map_err(anyhow::Error::from);
            if let (Some(broker), Ok(picture)) = (&self.broker, &annotated) {
                broker.offer_picture(picture);
            }
            let annotated = self.write_picture(annotated.as_ref(), format!("{stem}.png"));
            kept = Some(original.clone());
            let files = vec![("annotated", annotated), ("spot", spot.unwrap_or_default()), ("original", original)];
            let event = verdict_records::event(&self.telemetry, report, files);
            if self.write(&event) {
                self.telemetry.log(event);
            } else {
                // What is in no file is in the log, however many there are.
                self.telemetry.log_unlimited(event);
            }
        }
        kept
    }

    fn report_enlarging(&mut self, report: &Report) {
        match &report.spot_failure {
            Some(reason) => self.telemetry.fail(Cause::Enlarge, &format!("{}: {reason}", report.name)),
            None if report.spot.is_some() => self.telemetry.resolve(Cause::Enlarge),
            None => {}
        }
        match &report.late {
            Some(late) => {
                let ms = hundredths(late.as_secs_f64() * 1e3);
                let text = format!("{}: {ms} ms, longer than it may take (super_resolution.max_ms)", report.name);
                self.telemetry.fail(Cause::Late, &text);
            }
            None if report.spot.is_some() => self.telemetry.resolve(Cause::Late),
            None => {}
        }
    }

    fn print(&self, line: &str, tone: Tone) {
        let Printing { console, patient } = &self.printing;
        let line = format!("{}{}", console.prefix(), one_line(line.trim_end()));
        match patient {
            Some(shutdown) => console.print_patiently(line, tone, shutdown),
            None => console.print(line, tone),
        }
    }

    /// Writes a picture; returns its name, or nothing where it could not be written.
    fn write_picture(&mut self, picture: Result<&Picture, &anyhow::Error>, name: String) -> String {
        let written = match picture {
            Ok(picture) => self.images.write(&name, picture).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        self.steps.fetch_add(1, Relaxed);
        match written {
            Ok(()) => {
                self.telemetry.resolve(Cause::Pictures);
                name
            }
            Err(error) => {
                self.unwritten += 1;
                self.telemetry.fail(Cause::Pictures, &format!("{}: {error}", self.images.path(&name).display()));
                String::new()
            }
        }
    }
}
