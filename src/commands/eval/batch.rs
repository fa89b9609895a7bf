//! Pictures of a set, several at once: most networks are too small for more than one thread, but pictures are many.

use super::EvalArguments;
use crate::bundle::Bundle;
use crate::commands::in_order::in_order;
use crate::commands::picture_reader::{PictureReader, read_picture};
use crate::commands::progress::ProgressReporter;
use crate::commands::report_error;
use crate::task::anomaly::Verdict;
use crate::task::{Judge, TaskError};
use anyhow::Context;
use lineside_picture::{DecodeOptions, Decoded, Picture};
use std::path::Path;
use std::time::Instant;

/// What it does, as it is reported.
const STEP: &str = "judging";
/// The most threads, unless the command line states their number.
const MAX_THREADS: usize = 4;

/// Who judges pictures: each thread by a judge of its own, so that verdicts do not depend on their number.
pub(super) struct Batch {
    pub(super) reader: PictureReader,
    workers: Vec<Worker>,
    progress: ProgressReporter,
    done: u64,
}

/// What one thread has.
struct Worker {
    judge: Judge,
    options: DecodeOptions,
    picture: Picture,
}

/// A picture that was judged.
pub(super) struct JudgedPicture {
    /// Width and height.
    pub(super) size: (usize, usize),
    pub(super) verdict: Verdict,
    /// What judging it took, without reading it.
    pub(super) ms: f64,
}

impl Batch {
    /// Loads a bundle for at most so many pictures at once.
    pub(super) fn new(bundle: &Bundle, arguments: &EvalArguments, pictures: usize) -> anyhow::Result<Batch> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let threads = arguments.threads.map_or_else(cores, |threads| threads as usize);
        let reader = PictureReader::new(arguments.bits);
        let worker = |_| {
            let judge = Judge::new(bundle, None, 1)?;
            Ok(Worker { judge, options: reader.options(), picture: Picture::default() })
        };
        let workers = (0..threads.min(pictures).max(1)).map(worker).collect::<Result<_, TaskError>>()?;
        Ok(Batch { reader, workers, progress: ProgressReporter::new(STEP, 0), done: 0 })
    }

    /// Reports progress, of so many pictures in all.
    pub(super) fn expect(&mut self, pictures: usize) {
        self.progress = ProgressReporter::new(STEP, pictures as u64);
    }

    /// All were judged: what is to be said of their files.
    pub(super) fn finish(&self) {
        self.progress.finish();
        self.reader.advise();
    }

    /// One of the judges, and the reader.
    pub(super) fn judge(&mut self) -> (&mut Judge, &mut PictureReader) {
        (&mut self.workers[0].judge, &mut self.reader)
    }

    /// Judges pictures and gives each with its verdict to `done`, in their order. One that cannot be used is reported and added to
    /// `broken`.
    ///
    /// # Errors
    /// Where the bundle fails, which is no fault of a picture's.
    pub(super) fn run<T: Send + Sync>(
        &mut self,
        items: Vec<T>,
        file: impl Fn(&T) -> &Path + Sync,
        broken: &mut Vec<String>,
        mut done: impl FnMut(T, JudgedPicture) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Batch { reader, workers, progress, done: count } = self;
        let judge = |worker: &mut Worker, item: T| {
            let mut decoded = None;
            let judged = worker.judge(file(&item), &mut decoded);
            (item, decoded, judged)
        };
        in_order(workers, items, judge, |(item, decoded, judged)| {
            let path = file(&item).to_path_buf();
            *count += 1;
            progress.at(*count);
            if let Some(decoded) = decoded {
                reader.count(&path, &decoded);
            }
            match judged.and_then(|judged| done(item, judged)) {
                Err(error) if matches!(error.downcast_ref(), Some(TaskError::Bundle(_) | TaskError::Engine(_))) => {
                    return Err(error);
                }
                Err(error) => {
                    report_error(&error);
                    broken.push(path.display().to_string());
                }
                Ok(()) => {}
            }
            Ok(())
        })
    }
}

impl Worker {
    /// Reads and judges a picture; `decoded`: what was found in the file, also where it is then refused.
    fn judge(&mut self, file: &Path, decoded: &mut Option<Decoded>) -> anyhow::Result<JudgedPicture> {
        let Worker { judge, options, picture } = self;
        *decoded = Some(read_picture(file, *options, picture)?);
        let size = (picture.width(), picture.height());
        let mut verdict = Verdict::default();
        let start = Instant::now();
        let judged = judge.prepare(picture).and_then(|()| judge.judge(size, &mut verdict));
        judged.with_context(|| file.display().to_string())?;
        Ok(JudgedPicture { size, verdict, ms: start.elapsed().as_secs_f64() * 1e3 })
    }
}
