//! From a configuration to a pipeline that is ready to run, and the bill for it. `run` and `check` share it.

use super::board::{self, Purpose};
use super::broker::broker;
use super::enlarging::{self, Enlarging};
use super::heat;
use super::status_page::{self, Planned};
use crate::bundle::{self, Bundle};
use crate::config::{Config, Source, When};
use crate::field;
use crate::memory::{Bill, heap_use, reset_peak};
use crate::pipeline::{self, Pipeline, Relief, Smaller};
use crate::sink::{VerdictObserver, check_writable, mqtt};
use crate::source::camera;
use crate::source::{FolderSource, FrameSource, PatternSource};
use crate::task::anomaly::{Baseline, Inspector, Verdict};
use crate::task::super_resolution::Enlarger;
use anyhow::Context;
use lineside_engine::Plan;
use lineside_picture::{Layout, Picture};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a configuration comes to.
pub struct Ready {
    pub pipeline: Pipeline,
    pub bill: Bill,
    pub source: String,
    pub lines: Vec<String>,
    pub heat: String,
    pub page: Option<Planned>,
    pub bundles: Vec<String>,
    pub enlarging: Option<Enlarging>,
    pub output: PathBuf,
    /// The kernel set that runs the models.
    pub kernel: &'static str,
    /// What drift is measured against, where the bundle tells.
    pub baseline: Option<Baseline>,
    /// Who else is told, where somebody is.
    pub broker: Option<mqtt::BrokerSettings>,
}

/// Bytes of a decoded pixel.
const FRAME_BYTES: usize = 3;
/// Bytes of a camera's pixel, at most: YUYV, and what drivers set aside for a JPEG.
const RAW_BYTES: u64 = 2;
/// What reading one file may hold beside its pixels: the file's bytes and the decoder's state.
const DECODER_BYTES: u64 = 4 << 20;

/// Reads the configuration; without one, the demo's.
pub fn configuration(path: Option<&Path>) -> anyhow::Result<Config> {
    match path {
        Some(path) => Ok(Config::load(path)?),
        None => Ok(Config::demo(bundle::find("inspect-demo")?.folder().join("frames"))),
    }
}

/// Opens the source, loads the bundles, runs each model once, and adds up the bill. Refuses what is over budget and
/// what would run in floats unasked.
pub fn prepare(config: &Config, purpose: Purpose) -> anyhow::Result<Ready> {
    reset_peak();
    let source = board::triggered(config, open_source(config, purpose)?)?;
    let signals = board::signals(config)?;
    let pixels = source.max_pixels() as u64;
    let mut bill = Bill::default();
    bill.add("program", std::env::current_exe().and_then(std::fs::metadata).map_or(0, |file| file.len()));

    let anomaly = bundle::find(&config.anomaly.bundle)?;
    // In the size of the frames, so that what depends on it is made now and not while the line runs.
    let size = source.frame_size().unwrap_or((64, 48));
    let mut inspector = load_inspector(config, &anomaly, size, &mut bill)?;
    let baseline = Baseline::of(&anomaly)?;
    let kernel = inspector.plans().next().map_or("", Plan::kernel);
    let mut bundles = vec![identity(&anomaly)];
    let (mut enlarging, mut enlarged) = (None, 0);
    let enlarger = match config.super_resolution.when {
        When::Never => None,
        when => {
            let superres = bundle::find(&config.super_resolution.bundle)?;
            bundles.push(identity(&superres));
            let mut enlarger = Enlarger::new(superres)?;
            let fitted = enlarging::fit(config, source.as_ref(), &mut inspector, &mut enlarger)?;
            enlarging = Some(fitted);
            let (width, height) = match (when, source.frame_size()) {
                (When::Always, Some(size)) => size,
                // As if square: what counts is the number of pixels.
                (When::Always, None) => (pixels.isqrt() as usize, pixels.isqrt() as usize),
                _ => (fitted.side(), fitted.side()),
            };
            let coverage = enlarger.plan_for(width, height)?.integer_coverage();
            allow_float(config, enlarger.bundle(), coverage)?;
            let memory = enlarger.plan_for(width, height)?.memory();
            bill.add(format!("{} weights", config.super_resolution.bundle), memory.weights_bytes);
            bill.add(format!("{} arena", config.super_resolution.bundle), memory.arena_bytes);
            let area = if when == When::Always { pixels } else { (width * height) as u64 };
            let scale = enlarger.scale() as u64;
            // Small and large pixels in each report, and twice the planes of luma and chroma inside the enlarger.
            enlarged = area * FRAME_BYTES as u64 * (1 + scale * scale);
            bill.add("enlarger's planes", 2 * enlarged);
            Some(enlarger)
        }
    };
    let smaller = match &config.heat.smaller {
        Some(smaller) => {
            let bundle = bundle::find(&smaller.bundle)?;
            bundles.push(identity(&bundle));
            Some(Smaller {
                size: smaller.size(),
                inspector: load_inspector(config, &bundle, smaller.size(), &mut bill)?,
            })
        }
        None => None,
    };
    let frame = pixels * FRAME_BYTES as u64;
    if purpose == Purpose::Check {
        prove_output(config, 2 * frame + 3 * enlarged)?;
    }
    let reports = pipeline::QUEUE as u64 + 1;
    bill.add("frames (3 in turn, 1 in the decoder)", 4 * frame + DECODER_BYTES);
    if let Source::Camera(_) = &config.source {
        bill.add("camera's buffers", u64::from(camera::BUFFERS) * pixels * RAW_BYTES);
    }
    bill.add("verdicts for the writer", reports * (frame + enlarged));
    bill.add("pictures being written", 2 * frame + 3 * enlarged);
    bill.add("times, sketches, drift", field::BYTES as u64);
    let broker = broker(config, purpose, &mut bill)?;
    bill.add("stacks", ((pipeline::THREADS + 1) * pipeline::STACK) as u64);
    let page = status_page::plan(config, source.as_ref(), &mut bill)?;
    // Loading is the time of the highest heap; what it gave back may stay with the allocator.
    let heap = heap_use();
    bill.add("left over from loading, measured", (heap.peak - heap.in_use) as u64);
    bill.check(config.budget.memory.as_u64())?;

    Ok(Ready {
        source: source.describe(),
        lines: signals.told,
        heat: heat::told(config),
        pipeline: Pipeline {
            source,
            inspector,
            enlarger,
            when: config.super_resolution.when,
            spot: enlarging.map_or(0, |enlarging| enlarging.side()),
            enlarging_limit: enlarging.and_then(|enlarging| enlarging.limit()),
            skip_similar: *config.anomaly.skip_similar.get_ref(),
            normal_every: *config.output.normal_every.get_ref(),
            frames: None,
            signals: signals.lines,
            viewer: page.as_ref().map(|page| page.viewer() as Arc<dyn VerdictObserver>),
            relief: Arc::new(Relief::new(*config.heat.every.get_ref() as u32)),
            smaller,
        },
        page,
        bill,
        bundles,
        enlarging,
        output: config.output.folder.get_ref().clone(),
        kernel,
        baseline,
        broker,
    })
}

/// Whether the pictures of one defect could be written now.
fn prove_output(config: &Config, bytes: u64) -> anyhow::Result<()> {
    let output = &config.output.folder;
    let Err(error) = check_writable(output.get_ref(), bytes as usize) else { return Ok(()) };
    let problem = format!("{}: cannot write results there (output.folder): {error}", output.get_ref().display());
    // Not for ever: a disk may be emptied, and a folder given to another user.
    let is_default = output.span().is_empty();
    Err(anyhow::Error::msg(if is_default { problem } else { config.blame(output, problem).to_string() }))
}

/// Loads a bundle that judges frames of a size, judges one, and adds what it takes to the bill.
fn load_inspector(
    config: &Config,
    bundle: &Bundle,
    size: (usize, usize),
    bill: &mut Bill,
) -> anyhow::Result<Inspector> {
    let mut inspector = Inspector::new(bundle, config.anomaly.wanted_threshold())?;
    let coverage = inspector.plans().map(Plan::integer_coverage).fold(1.0, f64::min);
    allow_float(config, bundle, coverage)?;
    let sum = |bytes: fn(lineside_engine::Memory) -> u64| inspector.plans().map(|plan| bytes(plan.memory())).sum();
    let name = &bundle.manifest().name;
    bill.add(format!("{name} weights"), sum(|memory| memory.weights_bytes));
    bill.add(format!("{name} statistics"), inspector.statistics_bytes() as u64);
    bill.add(format!("{name} arena"), sum(|memory| memory.arena_bytes));
    inspector.prepare(&Picture::new(Layout::Rgb, size.0, size.1))?;
    inspector.judge(size, &mut Verdict::default())?;
    Ok(inspector)
}

/// Opens the source that a configuration names.
pub fn open_source(config: &Config, purpose: Purpose) -> anyhow::Result<Box<dyn FrameSource>> {
    Ok(match &config.source {
        Source::Camera(section) => board::open_camera(config, section, purpose)?,
        Source::Folder(folder) => {
            let fps = folder.fps.as_ref().map(|fps| *fps.get_ref());
            let max_pixels = (folder.max_megapixels.get_ref() * 1e6) as usize;
            Box::new(FolderSource::open(&folder.path, folder.repeat, fps, max_pixels).map_err(anyhow::Error::msg)?)
        }
        Source::Pattern(line) => {
            let fps = line.fps.as_ref().map(|fps| *fps.get_ref());
            let (width, height) = (*line.width.get_ref(), *line.height.get_ref());
            Box::new(PatternSource::new(width, height, line.seed, line.defect_every, fps, line.frames))
        }
    })
}

fn allow_float(config: &Config, bundle: &Bundle, coverage: f64) -> anyhow::Result<()> {
    if coverage >= 1.0 || config.engine.allow_float {
        return Ok(());
    }
    let percent = coverage * 100.0;
    let problem = format!(
        "{percent:.0} % of its multiply-accumulates run in integers, the rest in floats, whose results may differ \
         from CPU to CPU; set engine.allow_float = true to run it all the same"
    );
    Err(bundle.blame(&bundle.manifest().model, problem)).context("float model refused")
}

fn identity(bundle: &Bundle) -> String {
    let manifest = bundle.manifest();
    format!("{} {} {}", manifest.name, manifest.version, bundle.fingerprint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_partly_runs_in_floats_is_refused_unless_allowed() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/inspect-demo");
        let bundle = Bundle::open(&folder).unwrap();
        let mut config = Config::demo("out".into());
        assert!(allow_float(&config, &bundle, 1.0).is_ok());
        let problem = format!("{:#}", allow_float(&config, &bundle, 0.994).unwrap_err());
        assert!(problem.contains("99 % of its multiply-accumulates"), "{problem}");
        assert!(problem.contains("set engine.allow_float = true"), "{problem}");
        config.engine.allow_float = true;
        assert!(allow_float(&config, &bundle, 0.994).is_ok());
    }
}
