//! A float network becomes INT8 on the way, and what that cost is kept.

use crate::commands::comparison_text::{print_costs, print_outputs, print_verdict, warn_of_unread};
use crate::commands::prepared_pictures::{PreparedPictures, pictures_of};
use crate::commands::progress::ProgressReporter;
use crate::escape::one_line;
use crate::task::own_model::Network;
use lineside_quantize::{Comparison, Options, compare, is_held_out, quantize};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// Fewer pictures than this leave ranges open.
const FEW: usize = 30;

/// A quantized network beside the float one.
pub struct QuantizedModel {
    /// The ONNX file.
    pub bytes: Vec<u8>,
    /// Both on pictures that nothing was taken from, where there were enough.
    pub comparison: Comparison,
    /// How many pictures ranges were taken from.
    pub calibrated: usize,
    /// Layers in integers, and in floats.
    pub layers: (usize, usize),
    threads: usize,
}

/// Quantizes a network with the pictures of a folder, prepared as `network` prepares them. `range`: what an input's values can be at all.
///
/// # Errors
/// Where the folder holds no pictures, or the network cannot be quantized.
pub fn quantized(
    bytes: &[u8],
    folder: &Path,
    network: &mut Network,
    (range, most, threads): (Option<(f32, f32)>, u64, usize),
) -> anyhow::Result<QuantizedModel> {
    let files = pictures_of(folder, most)?;
    let count = files.len();
    if count < FEW {
        log::warn!(
            "{count} pictures: ranges from so few miss what others hold; give 100 to 500, of all kinds that the model will see"
        );
    }
    let name = network.plan().inputs().first().map(|input| input.name.clone());
    let mut options = Options::default();
    options.threads = threads;
    options.fix_shapes = true;
    options.input_ranges = name.into_iter().zip(range).collect::<HashMap<_, _>>();
    let progress = ProgressReporter::new("quantizing", 1000);
    let mut samples = PreparedPictures::new(files, network.frame_input());
    let mut stage_before = None;
    let mut stages = 0_u64;
    let made = quantize(bytes, &mut samples, &options, &mut |stage, done, total| {
        if stage_before.replace(stage) != Some(stage) {
            stages += 1;
        }
        // Six stages, of which the share that is done is known within each.
        let within = (1000 * done / total.max(1)) as u64 / 6;
        progress.at(((stages - 1) * 1000 / 6 + within).min(1000));
        Ok(())
    });
    progress.finish();
    let made = made?;
    warn_of_unread(&made.report.unread, count);
    let holds_out = made.report.held_out > 0;
    let mut held_out = samples.only(|index| !holds_out || is_held_out(index, count));
    let comparison = compare([bytes, &made.bytes], &mut held_out, None, threads, &mut |_, _| Ok(()))?;
    let report = made.report;
    for (node, why) in report.left.iter().take(3) {
        log::warn!("\"{}\" stays in floats: {}", one_line(node), one_line(why));
    }
    Ok(QuantizedModel {
        bytes: made.bytes,
        comparison,
        calibrated: report.calibrated,
        layers: (report.layers.len(), report.left.len()),
        threads,
    })
}

impl QuantizedModel {
    /// What it cost, as `lineside compare` says it.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let (integers, floats) = self.layers;
        let (calibrated, compared) = (self.calibrated, self.comparison.samples);
        writeln!(
            out,
            "{integers} layers in integers, {floats} in floats, from {calibrated} pictures; against the floats, on {compared}:"
        )?;
        print_outputs(out, &self.comparison)?;
        print_costs(out, &self.comparison.a, &self.comparison.b, self.threads)?;
        print_verdict(out, &self.comparison)
    }
}
