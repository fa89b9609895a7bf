//! Frames from the picture files of a folder.
//!
//! | file | content |
//! |---|---|
//! | `mod.rs` | the source: a folder's pictures once or for ever, or the new ones of a drop folder |
//! | `picture_list.rs`, `passed_over.rs` | the pictures below a folder; what is not taken for one, counted |
//! | `reader.rs` | the thread that reads files and looks for new ones |
//! | `watch.rs`, `changes.rs` | which files of a drop folder are new and whole; what the kernel reports of changes |
//! | `seldom.rs` | which of many reports of one kind are made |
//! | `ledger.rs`, `seen.rs`, `after.rs` | what was inspected, over restarts; what becomes of a file after its verdict |

mod after;
mod changes;
mod ledger;
mod passed_over;
mod picture_list;
mod reader;
mod seen;
mod seldom;
mod watch;

pub use after::AfterVerdict;
pub use passed_over::PassedOver;
pub use picture_list::{PictureList, list_pictures, picture_files};

use super::frame::{Frame, FrameSource, Next, SourceCondition, SourceState};
use super::pace::Pace;
use crate::telemetry::{Cause, Telemetry};
use crate::times::{BEAT, SILENT_SOURCE};
use ledger::{DropFile, Ledger};
use lineside_picture::{BitsInUse, DecodeOptions, decode_file_with, max_file_bytes};
use picture_list::list_pictures_but;
use reader::{Answer, FileReader};
use seldom::Seldom;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watch::Watcher;

/// How long a round over a folder that is repeated waits for the next, where no picture could be read in it.
const ROUND_WITHOUT_PICTURE: Duration = Duration::from_secs(1);
/// While a file cannot be read to its end, that is reported this often.
const AGAIN: Duration = Duration::from_secs(60);
/// How often a drop folder without a new file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// After so many pictures of 16 bits it is reported that none of them uses the highest.
const PICTURES_FOR_ADVICE: u64 = 50;

/// Which pictures of a folder.
#[derive(Debug, Clone)]
pub enum FolderMode {
    /// Those that are there at the start, in the order of their names.
    Listed {
        /// Again from the first after the last.
        repeat: bool,
        /// Frames per second, as from a camera; `None`: each waits until the one before is inspected.
        fps: Option<f64>,
    },
    /// Those that are there and those that come, each once, as they become whole.
    Watched {
        /// What becomes of a file then.
        after: AfterVerdict,
        /// How long a file's size must stand still.
        settle: Duration,
        /// The file that keeps what was inspected.
        seen: PathBuf,
    },
}

/// Delivers the pictures of a folder. They are read by a thread of its own: a share that stalls is waited for without keeping anybody.
pub struct FolderSource {
    folder: PathBuf,
    files: Files,
    reader: FileReader,
    pace: Pace,
    max_pixels: usize,
    /// The most bytes of a file.
    max_bytes: u64,
    options: DecodeOptions,
    /// What the pictures use of their samples, until that is reported.
    bits_in_use: Option<BitsInUse>,
    /// Files of several pictures.
    several: Seldom,
    work: Option<Work>,
    telemetry: Telemetry,
}

enum Files {
    Listed {
        files: Vec<PathBuf>,
        at: usize,
        repeat: bool,
        /// Pictures that could be read in this round.
        good: u64,
        /// The next round begins then, where there was none.
        pause: Instant,
    },
    Watched {
        ready: VecDeque<DropFile>,
        ledger: Arc<Ledger>,
        next_look: Instant,
        is_away: bool,
    },
}

/// What the reader is at.
struct Work {
    /// What it reads: a file, or the folder.
    path: PathBuf,
    file: Option<DropFile>,
    begun: Instant,
    wall: jiff::Timestamp,
    /// When it is reported, or reported again, that it takes too long.
    report: Instant,
}

impl FolderSource {
    /// The pictures below `folder`, but for what is in the folders `own`, which the line writes to. Pictures of more than `max_pixels`
    /// are refused one by one. What is passed over is reported once.
    ///
    /// # Errors
    /// In one line, where the folder cannot be read or, listed, holds no picture, or no thread can be started.
    pub fn open(
        folder: &Path,
        mode: FolderMode,
        own: Vec<PathBuf>,
        max_pixels: usize,
        telemetry: &Telemetry,
    ) -> Result<FolderSource, String> {
        let mut watcher = None;
        let (files, pace) = match mode {
            FolderMode::Listed { repeat, fps } => {
                let PictureList { files, passed_over } = list_pictures_but(folder, &own)?;
                passed_over.report(folder, telemetry);
                (Files::Listed { files, at: 0, repeat, good: 0, pause: Instant::now() }, Pace::new(fps))
            }
            FolderMode::Watched { after, settle, seen } => {
                std::fs::read_dir(folder).map_err(|error| picture_list::unreadable(folder, &error))?;
                let ledger = Arc::new(Ledger::new(folder.into(), after, seen, telemetry.clone()));
                let known = Arc::clone(&ledger);
                watcher = Some(Watcher::new(folder.into(), own, settle, known, telemetry.clone()));
                let (ready, next_look, is_away) = (VecDeque::new(), Instant::now(), false);
                (Files::Watched { ready, ledger, next_look, is_away }, Pace::new(None))
            }
        };
        Ok(FolderSource {
            folder: folder.to_path_buf(),
            files,
            reader: FileReader::start(watcher).map_err(|error| error.to_string())?,
            pace,
            max_pixels,
            max_bytes: max_file_bytes(max_pixels),
            options: DecodeOptions::default(),
            bits_in_use: Some(BitsInUse::default()),
            several: Seldom::default(),
            work: None,
            telemetry: telemetry.clone(),
        })
    }

    /// With `bits` used of each sample of 16, where the files do not state it.
    pub fn with_bits(self, bits: Option<u8>) -> FolderSource {
        FolderSource { options: DecodeOptions { bits }, ..self }
    }

    /// Logs once, after enough pictures or all of them, that none uses the highest bits.
    fn report_bits(&mut self, is_all: bool) {
        if self.bits_in_use.is_some_and(|in_use| is_all || in_use.pictures() >= PICTURES_FOR_ADVICE)
            && let Some(advice) = self.bits_in_use.take().and_then(|in_use| in_use.advice("source.folder.bits = N"))
        {
            log::warn!("{}: {advice}", self.folder.display());
        }
    }

    /// Has the reader begin with the next file, or look for one; returns what there is instead.
    fn begin(&mut self) -> Result<(), Next> {
        let is_all = matches!(&self.files, Files::Listed { files, at, .. } if *at == files.len());
        self.report_bits(is_all);
        let (path, file) = match &mut self.files {
            Files::Listed { files, at, repeat, good, pause } => {
                if *at == files.len() {
                    if !*repeat {
                        return Err(Next::Ended);
                    }
                    *at = 0;
                    // A folder in which nothing can be read would be read without a pause, and each file reported each time.
                    if std::mem::take(good) == 0 {
                        *pause = Instant::now() + ROUND_WITHOUT_PICTURE;
                    }
                }
                let wait = pause.saturating_duration_since(Instant::now());
                if !wait.is_zero() {
                    std::thread::sleep(wait.min(BEAT));
                    return Err(Next::Pending);
                }
                if !self.pace.wait() {
                    return Err(Next::Pending);
                }
                *at += 1;
                (files[*at - 1].clone(), None)
            }
            Files::Watched { ready, next_look, .. } => match ready.pop_front() {
                Some(file) => (file.path.clone(), Some(file)),
                None => {
                    let wait = next_look.saturating_duration_since(Instant::now());
                    std::thread::sleep(wait.min(BEAT));
                    if wait > BEAT {
                        return Err(Next::Pending);
                    }
                    *next_look = Instant::now() + LOOK;
                    (self.folder.clone(), None)
                }
            },
        };
        let (begun, wall) = (Instant::now(), jiff::Timestamp::now());
        let is_look = file.is_none() && matches!(self.files, Files::Watched { .. });
        if is_look {
            self.reader.look();
        } else {
            self.reader.read(path.clone(), self.max_bytes);
        }
        self.work = Some(Work { path, file, begun, wall, report: begun + SILENT_SOURCE });
        Ok(())
    }

    /// Waits for what the reader is at, for a [`BEAT`] at most.
    fn wait(&mut self) -> Option<(Work, Answer)> {
        let work = self.work.as_mut()?;
        let Some(answer) = self.reader.wait(BEAT) else {
            let now = Instant::now();
            if now >= work.report {
                let seconds = (now - work.begun).as_secs_f64();
                let text = format!("reading it takes longer than {seconds:.1} s: is its disk or share there?");
                self.telemetry.fail(Cause::Frame, &format!("{}: {text}", work.path.display()));
                work.report = now + AGAIN;
            }
            return None;
        };
        self.work.take().map(|work| (work, answer))
    }

    fn looked(&mut self, found: Result<Vec<DropFile>, String>) {
        let Files::Watched { ready, is_away, .. } = &mut self.files else { return };
        match found {
            Ok(files) => {
                if std::mem::take(is_away) {
                    self.telemetry.resolve(Cause::Frame);
                }
                ready.extend(files);
            }
            Err(text) => {
                *is_away = true;
                // At each look: pictures that were found before are still inspected, and each of them ends what lasts.
                self.telemetry.fail(Cause::Frame, &text);
            }
        }
    }

    /// Fills the frame from a file that was read.
    fn decode(&mut self, frame: &mut Frame, work: Work, read: std::io::Result<()>, bytes: Vec<u8>) -> Next {
        (frame.captured, frame.wall) = (work.begun, work.wall);
        frame.name.clear();
        let inside = work.path.strip_prefix(&self.folder).unwrap_or(&work.path);
        frame.name.push_str(&inside.to_string_lossy());
        let (limit, options) = (self.max_pixels, self.options);
        let decoded = read.map_err(|error| error.to_string()).and_then(|()| {
            decode_file_with(&bytes, limit, options, &mut frame.picture).map_err(|error| error.to_string())
        });
        if let (Ok(_), Files::Listed { good, .. }) = (&decoded, &mut self.files) {
            *good += 1;
        }
        if let (Ok(decoded), Some(in_use)) = (&decoded, &mut self.bits_in_use) {
            in_use.add(decoded.depth);
        }
        if matches!(&decoded, Ok(decoded) if decoded.has_more_pictures)
            && let Some(count) = self.several.add()
        {
            log::warn!(
                "{}: of its several pictures only the first is inspected; {count} such files so far",
                frame.name
            );
        }
        self.reader.give_back(bytes);
        let receipt = match (&self.files, work.file) {
            (Files::Watched { ledger, .. }, Some(file)) => Some(ledger.receipt(file)),
            _ => None,
        };
        frame.receipt = receipt;
        match decoded {
            Ok(_) => Next::Frame,
            Err(reason) => Next::Failed { name: work.path.display().to_string(), reason },
        }
    }
}

impl FrameSource for FolderSource {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if self.work.is_none()
            && let Err(instead) = self.begin()
        {
            return instead;
        }
        match self.wait() {
            Some((work, Answer::Read { result, bytes })) => self.decode(frame, work, result, bytes),
            Some((_, Answer::Looked(found))) => {
                self.looked(found);
                Next::Pending
            }
            None => Next::Pending,
        }
    }

    fn limit_file_bytes(&mut self, bytes: u64) {
        self.max_bytes = self.max_bytes.min(bytes);
    }

    fn condition(&self) -> SourceCondition {
        let stalled = self.work.as_ref().is_some_and(|work| work.begun.elapsed() >= SILENT_SOURCE);
        let away = stalled || matches!(self.files, Files::Watched { is_away: true, .. });
        let state = if away { SourceState::Away } else { SourceState::Flowing };
        SourceCondition { state, ..SourceCondition::default() }
    }

    fn is_live(&self) -> bool {
        self.pace.is_live()
    }

    fn max_pixels(&self) -> usize {
        self.max_pixels
    }

    fn describe(&self) -> String {
        let folder = self.folder.display();
        match &self.files {
            Files::Listed { files, .. } => format!("folder {folder} ({} pictures)", files.len()),
            Files::Watched { .. } => format!("folder {folder}, watched for new pictures"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::receipt::Settled;
    use super::*;

    fn listed() -> FolderMode {
        FolderMode::Listed { repeat: false, fps: None }
    }

    fn next(source: &mut FolderSource, frame: &mut Frame) -> Next {
        loop {
            match source.next(frame) {
                Next::Pending => {}
                other => return other,
            }
        }
    }

    fn write_picture(path: &Path) {
        let picture = lineside_picture::Picture::new(lineside_picture::Layout::Grey, 8, 8);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        lineside_picture::write_png(std::fs::File::create(path).unwrap(), &picture).unwrap();
    }

    #[test]
    fn what_is_larger_than_the_budget_leaves_is_refused_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        write_picture(&folder.path().join("1.png"));
        std::fs::File::create(folder.path().join("2.png")).unwrap().set_len(1 << 40).unwrap();
        let mut source = FolderSource::open(folder.path(), listed(), Vec::new(), 64, &Telemetry::default()).unwrap();
        source.limit_file_bytes(10_000);
        let mut frame = Frame::default();
        assert!(matches!(next(&mut source, &mut frame), Next::Frame));
        let Next::Failed { reason, .. } = next(&mut source, &mut frame) else { panic!("2.png has a terabyte") };
        assert!(reason.starts_with("it has 1.0 TiB, more than the 9.8 KiB"), "{reason}");
        assert!(matches!(next(&mut source, &mut frame), Next::Ended));
    }

    #[test]
    fn a_folder_without_a_readable_picture_is_not_repeated_without_a_pause() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.png"), "no picture").unwrap();
        let mode = FolderMode::Listed { repeat: true, fps: None };
        let mut source = FolderSource::open(folder.path(), mode, Vec::new(), 64, &Telemetry::default()).unwrap();
        let mut frame = Frame::default();
        assert!(matches!(next(&mut source, &mut frame), Next::Failed { .. }));
        let begun = Instant::now();
        assert!(matches!(next(&mut source, &mut frame), Next::Failed { .. }));
        assert!(begun.elapsed() >= ROUND_WITHOUT_PICTURE);
    }

    #[test]
    fn a_frame_is_called_by_its_path_below_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/000.png", "b/000.png"] {
            write_picture(&folder.path().join(name));
        }
        let mut source = FolderSource::open(folder.path(), listed(), Vec::new(), 64, &Telemetry::default()).unwrap();
        let mut frame = Frame::default();
        let names = [0; 2].map(|_| {
            assert!(matches!(next(&mut source, &mut frame), Next::Frame));
            frame.name.clone()
        });
        assert_eq!(names, ["a/000.png", "b/000.png"]);
    }

    #[test]
    fn a_drop_folder_delivers_what_comes_and_waits_for_the_verdict() {
        let (folder, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mode = FolderMode::Watched {
            after: AfterVerdict::Delete,
            settle: Duration::ZERO,
            seen: output.path().join("inspected"),
        };
        let mut source = FolderSource::open(folder.path(), mode, Vec::new(), 64, &Telemetry::default()).unwrap();
        let mut frame = Frame::default();
        let (good, bad) = (folder.path().join("day/good.png"), folder.path().join("bad.png"));
        write_picture(&good);
        assert!(matches!(next(&mut source, &mut frame), Next::Frame));
        assert_eq!(frame.name, "day/good.png");
        assert!(good.exists());
        frame.receipt.take().unwrap().settle(Settled::Recorded);
        assert!(!good.exists());
        std::fs::write(&bad, "no picture").unwrap();
        assert!(matches!(next(&mut source, &mut frame), Next::Failed { .. }));
        frame.receipt.take().unwrap().settle(Settled::Failed);
        assert!(bad.exists());
    }

    #[test]
    fn a_folder_that_is_away_is_a_fault_until_it_is_back_whatever_is_inspected_meanwhile() {
        let (folder, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (after, seen) = (AfterVerdict::Keep, output.path().join("inspected"));
        let mode = FolderMode::Watched { after, settle: Duration::ZERO, seen };
        let telemetry = Telemetry::default();
        let mut source = FolderSource::open(folder.path(), mode, Vec::new(), 64, &telemetry).unwrap();
        let gone = || Err("the folder is gone".to_string());
        for run in 1..4 {
            // No fault is active, as after a picture that was found before and has been inspected since.
            let _kept = telemetry.begin_run(run << 32);
            source.looked(gone());
            assert_eq!(telemetry.active_faults().as_deref(), Some("frame"), "look {run}");
        }
        assert_eq!(source.condition().state, SourceState::Away);
        source.looked(Ok(Vec::new()));
        assert_eq!(source.condition().state, SourceState::Flowing);
    }

    #[test]
    fn a_file_whose_verdict_is_not_kept_waits_and_a_new_one_of_its_name_does_not() {
        let (folder, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (after, seen) = (AfterVerdict::Keep, output.path().join("inspected"));
        let mode = FolderMode::Watched { after, settle: Duration::ZERO, seen };
        let mut source = FolderSource::open(folder.path(), mode, Vec::new(), 1 << 10, &Telemetry::default()).unwrap();
        let mut frame = Frame::default();
        let picture = |name: &str, side: usize| {
            let picture = lineside_picture::Picture::new(lineside_picture::Layout::Grey, side, side);
            let mut bytes = Vec::new();
            lineside_picture::write_png(&mut bytes, &picture).unwrap();
            // In one step, as a camera's server does it.
            std::fs::write(output.path().join(name), bytes).unwrap();
            std::fs::rename(output.path().join(name), folder.path().join(name)).unwrap();
        };
        // The same name for every shot.
        picture("shot.png", 8);
        assert!(matches!(next(&mut source, &mut frame), Next::Frame));
        // The disk took no verdict.
        drop(frame.receipt.take().unwrap());
        picture("other.png", 9);
        assert!(matches!(next(&mut source, &mut frame), Next::Frame));
        assert_eq!(frame.name, "other.png", "the first one waits for the next start");
        frame.receipt.take().unwrap().settle(Settled::Recorded);
        picture("shot.png", 10);
        assert!(matches!(next(&mut source, &mut frame), Next::Frame));
        assert_eq!((frame.name.as_str(), frame.picture.width()), ("shot.png", 10));
        // One that is written while its verdict is under way is not lost with that verdict either.
        picture("shot.png", 12);
        picture("third.png", 11);
        drop(frame.receipt.take().unwrap());
        let mut names = [0; 2].map(|_| {
            assert!(matches!(next(&mut source, &mut frame), Next::Frame));
            frame.receipt.take().unwrap().settle(Settled::Recorded);
            format!("{} {}", frame.name, frame.picture.width())
        });
        names.sort();
        assert_eq!(names, ["shot.png 12", "third.png 11"]);
    }
}
