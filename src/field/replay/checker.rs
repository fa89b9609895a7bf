//! Inspects a recorded frame again and compares the verdict with the record.

use super::{Outcome, OutcomeKind, RecordedVerdict, RunInfo};
use crate::bundle::{self, Bundle, Home, sha256};
use crate::files;
use crate::task::anomaly::{UNKNOWN_PRODUCT, Verdict};
use crate::task::{Judge, TaskError};
use lineside_engine::{Plan, kernel_names};
use lineside_picture::{Picture, decode_file, max_file_bytes};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// The most pixels of a frame (the upper bound of `source.folder.max_megapixels`).
const MAX_PIXELS: usize = 100_000_000;
/// How many judges are cached: a folder of several runs has a few bundles and thresholds.
const CACHED: usize = 4;

/// Inspects recorded frames again, each with the bundle of its record.
pub struct VerdictChecker {
    folder: PathBuf,
    bundles: Vec<Bundle>,
    judges: Vec<CachedJudge>,
    /// The last verdict that was computed: records of similar frames refer to it.
    last: Option<LastVerdict>,
    frame: Picture,
    verdict: Verdict,
}

/// A judge and what it was made of.
struct CachedJudge {
    bundle: String,
    threshold: u64,
    kernel: Option<&'static str>,
    judge: Judge,
}

struct LastVerdict {
    run: String,
    verdict: Option<String>,
    kind: OutcomeKind,
}

impl VerdictChecker {
    /// For frames in `folder`; `bundles` are preferred to those installed on this machine.
    pub fn new(folder: &Path, bundles: Vec<Bundle>) -> VerdictChecker {
        VerdictChecker {
            folder: folder.into(),
            bundles,
            judges: Vec::new(),
            last: None,
            frame: Picture::default(),
            verdict: Verdict::default(),
        }
    }

    /// Inspects a recorded frame again and compares the verdicts; `run` describes what made the record.
    ///
    /// # Errors
    /// [`TaskError`] if the bundle is on this machine and cannot be used.
    pub fn check(&mut self, judged: &RecordedVerdict, run: &RunInfo) -> Result<Outcome, TaskError> {
        if judged.similar {
            return Ok(self.compare_with_last(judged));
        }
        let outcome = match self.rerun(judged, run) {
            Err(error @ (TaskError::Picture(_) | TaskError::TooSmall { .. } | TaskError::OtherSize(_))) => {
                Outcome::new(
                    OutcomeKind::Corrupt,
                    format!("{}: {error}", self.folder.join(&judged.files.original).display()),
                )
            }
            other => other?,
        };
        self.last =
            Some(LastVerdict { run: judged.run.clone(), verdict: judged.verdict_sha256.clone(), kind: outcome.kind });
        Ok(outcome)
    }

    /// A frame that was similar to the one before has its verdict, and so its outcome.
    fn compare_with_last(&self, judged: &RecordedVerdict) -> Outcome {
        match self.last.as_ref().filter(|last| last.run == judged.run) {
            Some(last) if last.verdict == judged.verdict_sha256 && judged.verdict_sha256.is_some() => match last.kind {
                OutcomeKind::Equal => Outcome::EQUAL,
                kind => Outcome::new(kind, "it repeats the verdict of the frame before: see there"),
            },
            _ => Outcome::new(OutcomeKind::Unknown, "it repeats the verdict of a frame that is not in the records"),
        }
    }

    fn rerun(&mut self, judged: &RecordedVerdict, run: &RunInfo) -> Result<Outcome, TaskError> {
        if judged.cause.as_deref() == Some(UNKNOWN_PRODUCT) {
            return Ok(Outcome::new(OutcomeKind::Unknown, "its product was unknown: nobody judged it"));
        }
        let (Some(by), Some(pixels), Some(recorded)) = (&judged.bundle, &judged.pixels_sha256, &judged.verdict_sha256)
        else {
            let why = format!("its record names no bundle and no frame: lineside {} kept none", run.version);
            return Ok(Outcome::new(OutcomeKind::Unknown, why));
        };
        if let Some(outcome) = self.read(&judged.files.original, pixels) {
            return Ok(outcome);
        }
        let Some(bundle) = self.find(by, run) else { return Ok(self.other_bundle(by, run)) };
        let here = self.verdict_by(bundle, judged.threshold, None)?;
        if here == *recorded {
            return Ok(self.compare_with_record(judged));
        }
        let (was, is) = (judged.score, self.verdict.score);
        let scores = if was.to_bits() == is.to_bits() {
            format!("score {was} as here, but other regions or heat")
        } else {
            format!("score {was} there, {is} here")
        };
        let this = env!("CARGO_PKG_VERSION");
        if run.version != this {
            let why = format!("{scores}: that was lineside {}, this is {this}", run.version);
            return Ok(Outcome::new(OutcomeKind::OtherVersion, why));
        }
        let kernel = self.judges.last().and_then(|ready| ready.judge.plans().next()).map_or("", Plan::kernel);
        let reference = kernel_names().last().copied();
        let third = self.verdict_by(bundle, judged.threshold, reference)?;
        let who = if third == here {
            let (host, cpu, kernel) = (&run.host, &run.cpu, &run.kernel);
            format!("{host} ({cpu}, kernel {kernel}) computed wrongly, or its record was changed")
        } else if third == *recorded {
            format!("this machine computes wrongly with its kernel {kernel}")
        } else {
            format!("this machine's kernels {kernel} and {} do not agree either", reference.unwrap_or_default())
        };
        Ok(Outcome::new(OutcomeKind::Wrong, format!("{scores}: {who}")))
    }

    /// Reads a frame; returns the outcome if it is missing or damaged.
    fn read(&mut self, name: &str, pixels: &str) -> Option<Outcome> {
        if name.is_empty() {
            return Some(Outcome::new(OutcomeKind::Gone, "its frame could not be written at the time"));
        }
        let beside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !beside {
            return Some(Outcome::new(OutcomeKind::Corrupt, format!("its record names a frame elsewhere: {name:?}")));
        }
        let path = self.folder.join(name);
        let bytes = match files::read(&path, max_file_bytes(MAX_PIXELS)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Some(Outcome::new(OutcomeKind::Gone, format!("{name} is not there (any more)")));
            }
            Err(error) => return Some(Outcome::new(OutcomeKind::Corrupt, format!("{}: {error}", path.display()))),
        };
        if let Err(error) = decode_file(&bytes, MAX_PIXELS, &mut self.frame) {
            return Some(Outcome::new(OutcomeKind::Corrupt, format!("{}: {error}", path.display())));
        }
        let found = sha256(self.frame.data());
        (found != pixels).then(|| {
            let why = format!("{}: its pixels are not those that were judged", path.display());
            Outcome::new(OutcomeKind::Corrupt, why)
        })
    }

    /// The index of the bundle with a fingerprint, if it is on this machine.
    fn find(&mut self, fingerprint: &str, run: &RunInfo) -> Option<usize> {
        let known = |bundles: &[Bundle]| bundles.iter().position(|bundle| bundle.fingerprint() == fingerprint);
        if let Some(at) = known(&self.bundles) {
            return Some(at);
        }
        let (name, _) = run.bundle(fingerprint)?;
        // A bundle that cannot be read counts as missing; `other_bundle` reports it by name.
        for folder in bundle::search_path() {
            let place = folder.join(name);
            // Of an installed bundle an earlier version may have judged.
            let earlier = || Home::open(&place).ok()??.with_fingerprint(fingerprint);
            for bundle in Bundle::open(&place).ok().into_iter().chain(earlier()) {
                let is_it = bundle.fingerprint() == fingerprint;
                self.bundles.push(bundle);
                if is_it {
                    return known(&self.bundles);
                }
            }
        }
        None
    }

    fn other_bundle(&self, fingerprint: &str, run: &RunInfo) -> Outcome {
        let short = |fingerprint: &str| fingerprint.get(..12).unwrap_or(fingerprint).to_string();
        let (name, version) = run.bundle(fingerprint).unwrap_or(("a bundle that its run did not name", ""));
        let there = format!("{name} {version} ({}…)", short(fingerprint));
        let same = self.bundles.iter().find(|bundle| bundle.manifest().name == name);
        let here = match same {
            Some(bundle) => format!("here is {} ({}…)", bundle.manifest().version, short(bundle.fingerprint())),
            None => "there is none of that name here".into(),
        };
        let why = format!("judged by {there}, {here}: copy the board's and name it with --bundle");
        Outcome::new(OutcomeKind::OtherBundle, why)
    }

    /// The fingerprint of the verdict on the last frame that was read.
    fn verdict_by(&mut self, bundle: usize, threshold: f64, kernel: Option<&'static str>) -> Result<String, TaskError> {
        let bundle = &self.bundles[bundle];
        let wanted = (bundle.fingerprint(), threshold.to_bits(), kernel);
        let at = self.judges.iter().position(|ready| (ready.bundle.as_str(), ready.threshold, ready.kernel) == wanted);
        let ready = match at {
            Some(at) => self.judges.remove(at),
            None => {
                if self.judges.len() == CACHED {
                    self.judges.remove(0);
                }
                let judge = match kernel {
                    Some(kernel) => Judge::on_kernel(bundle, Some(threshold), kernel)?,
                    None => Judge::new(bundle, Some(threshold), 1)?,
                };
                CachedJudge { bundle: bundle.fingerprint().into(), threshold: threshold.to_bits(), kernel, judge }
            }
        };
        // Least recently used first.
        self.judges.push(ready);
        let Some(CachedJudge { judge, .. }) = self.judges.last_mut() else { return Ok(String::new()) };
        judge.prepare(&self.frame)?;
        judge.judge((self.frame.width(), self.frame.height()), &mut self.verdict)?;
        Ok(self.verdict.fingerprint())
    }

    /// The verdict is bit-identical; compares the score and the regions that the record holds in plain figures, too.
    fn compare_with_record(&self, judged: &RecordedVerdict) -> Outcome {
        let area = &self.verdict.regions;
        let regions = area.iter().map(|region| [region.area.x, region.area.y, region.area.width, region.area.height]);
        let score = judged.score.to_bits() == self.verdict.score.to_bits();
        if score && regions.eq(judged.regions.iter().copied()) {
            return Outcome::EQUAL;
        }
        let why = "its verdict is bit-identical, but the score or the regions in its record differ: it was changed";
        Outcome::new(OutcomeKind::Corrupt, why)
    }
}
