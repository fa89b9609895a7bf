//! The bill of a line's memory: what each thing takes, in the order in which it is made.

use crate::config::{CameraFormat, Config, Source};
use crate::field;
use crate::memory::{Bill, heap_use};
use crate::pipeline;
use crate::source::camera;
use crate::source::process::{READER_BYTES, StreamMode};
use crate::status_page::judging_bytes;
use crate::task::super_resolution::When;
use crate::task::{Judge, Tasks};
use crate::threads::OUTPUT_STACK;
use lineside_engine::{MemoryUsage, Plan, Workspace};

/// The stack of one of the engine's threads: std's.
const ENGINE_STACK: u64 = 2 << 20;
/// The stack of the thread that runs one of several cameras: it loads its models again after a failure.
pub(super) const CAMERA_STACK: usize = 2 << 20;
/// Bytes of a decoded pixel.
const FRAME_BYTES: usize = 3;
/// Bytes of a camera's pixel: of YUYV, and what drivers set aside for a JPEG.
const RAW_BYTES: u64 = 2;
/// The same of RGB.
const RAW_RGB_BYTES: u64 = 3;
/// What reading one file may hold beside its pixels: the file's bytes and the decoder's state.
const DECODER_BYTES: u64 = 4 << 20;

/// The program itself.
pub(super) fn add_program(bill: &mut Bill) {
    bill.add("program", std::env::current_exe().and_then(std::fs::metadata).map_or(0, |file| file.len()));
}

/// What the runs of all networks share.
pub(super) fn add_workspace(bill: &mut Bill, workspace: &Workspace) {
    bill.add("arena (shared)", workspace.bytes());
    let others = workspace.threads() as u64 - 1;
    if others > 0 {
        bill.add("engine's threads", others * ENGINE_STACK);
    }
}

/// Who judges by a bundle of this name; see also [`add_workspace`]. `is_shared`: its weights are on the bill already, as those of
/// another camera.
pub(super) fn add_judge(bill: &mut Bill, name: &str, judge: &Judge, is_shared: bool) {
    let sum = |bytes: fn(MemoryUsage) -> u64| judge.plans().map(|plan| bytes(plan.memory())).sum::<u64>();
    if !is_shared {
        bill.add(format!("{name} weights"), sum(|memory| memory.weights_bytes));
    }
    bill.add(format!("{name} statistics"), judge.statistics_bytes() as u64);
    bill.add(format!("{name} inputs, outputs"), sum(|memory| memory.border_bytes));
    if let Some(region) = judge.region() {
        bill.add(format!("{name} region"), region.bytes() as u64);
    }
    if let Some(aligner) = judge.aligner() {
        // Without a region the whole frame is brought into place.
        let (width, height) = aligner.frame_size();
        let frame = if judge.region().is_none() { width * height * FRAME_BYTES } else { 0 };
        bill.add(format!("{name} alignment"), (aligner.bytes() + frame) as u64);
    }
}

/// A version that is judged beside the active one, with the name of its home; see also [`add_workspace`].
pub(super) fn add_shadow(bill: &mut Bill, name: &str, judge: &Judge) {
    let of_plans = judge.plans().map(|plan| plan.memory().weights_bytes + plan.memory().border_bytes);
    let region = judge.region().map_or(0, |region| region.bytes());
    let aligner = judge.aligner().map_or(0, |aligner| {
        let (width, height) = aligner.frame_size();
        aligner.bytes() + width * height * FRAME_BYTES
    });
    let beside = judge.statistics_bytes() + region + aligner;
    bill.add(format!("{name} shadow"), of_plans.sum::<u64>() + beside as u64);
}

/// Who judges pictures of so many pixels that are posted to the status page: all but the weights, which are the line's.
pub(super) fn add_on_request(bill: &mut Bill, tasks: &Tasks, workspace: &Workspace, pixels: u64) {
    let of = |judge: &Judge| {
        let region = judge.region().map_or(0, |region| region.bytes());
        let aligner = judge.aligner().map_or(0, |aligner| {
            let (width, height) = aligner.frame_size();
            aligner.bytes() + width * height * FRAME_BYTES
        });
        let borders: u64 = judge.plans().map(|plan| plan.memory().border_bytes).sum();
        borders + (judge.statistics_bytes() + region + aligner) as u64
    };
    let models: u64 = tasks.iter().map(|task| of(&task.judge)).sum();
    bill.add("judging posted pictures", models + workspace.bytes() + judging_bytes(pixels));
}

/// An enlarger of areas of a size in pixels, out of frames of `pixels`; the bytes of one enlargement and what it was made of. With the
/// plan, whether its weights are on the bill already.
pub(super) fn add_enlarger(
    bill: &mut Bill,
    config: &Config,
    (plan, is_shared): (&Plan, bool),
    size: (usize, usize),
    pixels: u64,
    scale: u64,
) -> u64 {
    let section = &config.super_resolution;
    let memory = plan.memory();
    if !is_shared {
        bill.add(format!("{} weights", section.bundle.get_ref()), memory.weights_bytes);
    }
    bill.add(format!("{} inputs, outputs", section.bundle.get_ref()), memory.border_bytes);
    let area = if section.when == When::Always { pixels } else { (size.0 * size.1) as u64 };
    // Small and large pixels in each report, and twice the planes of luma and chroma inside the enlarger.
    let enlarged = area * FRAME_BYTES as u64 * (1 + scale * scale);
    bill.add("enlarger's planes", 2 * enlarged);
    enlarged
}

/// Bytes of the pictures of one defect: the frame, its annotated copy, the spot and its enlargement.
pub(super) fn evidence_bytes(pixels: u64, enlarged: u64) -> u64 {
    2 * pixels * FRAME_BYTES as u64 + 3 * enlarged
}

/// The most bytes of a picture file, where the budget leaves so many: beside its pixels and the decoder's state.
pub(super) fn file_bytes(left: u64) -> u64 {
    DECODER_BYTES + left
}

/// Frames and what is made of them, on their way from the source to the disk.
pub(super) fn add_frames(bill: &mut Bill, config: &Config, pixels: u64, enlarged: u64) {
    let frame = pixels * FRAME_BYTES as u64;
    let reports = pipeline::QUEUE as u64 + 1;
    bill.add("frames (3 in turn, 1 in the decoder)", 4 * frame + DECODER_BYTES);
    if !config.view.view().is_plain() {
        bill.add("a frame before it is turned or cropped", frame);
    }
    if let Source::Camera(camera) = &config.source {
        let bytes = match camera.format {
            // It may be one that delivers nothing but RGB.
            None | Some(CameraFormat::Rgb24 | CameraFormat::Bgr24) => RAW_RGB_BYTES,
            Some(_) => RAW_BYTES,
        };
        bill.add("camera's buffers", u64::from(camera::BUFFERS) * pixels * bytes);
    }
    bill.add("verdicts for the writer", reports * (frame + enlarged));
    bill.add("pictures being written", evidence_bytes(pixels, enlarged));
    bill.add("times, sketches, drift", field::BYTES as u64);
}

/// What this process holds for a program that delivers frames; the program itself is beside the budget.
pub(super) fn add_program_source(bill: &mut Bill, mode: StreamMode) {
    bill.add("source's buffers", u64::from(camera::BUFFERS) * mode.frame_bytes() as u64);
    bill.add("source's reader", READER_BYTES as u64);
}

/// The stacks of the pipeline's threads, of the broker's, and of those that print and write the log; of one of several cameras
/// (`is_one_of_several`) the last are on the process's bill, and its supervisor has a thread of its own.
pub(super) fn add_stacks(bill: &mut Bill, is_one_of_several: bool) {
    let beside = if is_one_of_several { CAMERA_STACK } else { 2 * OUTPUT_STACK };
    bill.add("stacks", ((pipeline::THREADS + 1) * pipeline::STACK + beside) as u64);
}

/// The stacks of the threads that print and write the log for several cameras.
pub(super) fn add_output_stacks(bill: &mut Bill) {
    bill.add("stacks", 2 * OUTPUT_STACK as u64);
}

/// What loading took at its highest and may stay with the allocator; measured since [`crate::memory::reset_peak`].
pub(super) fn add_loading(bill: &mut Bill) {
    let heap = heap_use();
    bill.add("left over from loading, measured", (heap.peak - heap.in_use) as u64);
}
