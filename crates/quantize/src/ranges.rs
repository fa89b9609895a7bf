//! The range of each tensor's bytes, by what it does to the outputs of the layers that take the tensor.

use crate::QuantizeError;
use crate::calibrate::range::{candidates, squared_error};
use crate::calibrate::{Histogram, Method, Quant};
use crate::layer::{Kind, Layer, patches};
use crate::linear::{Columns, products};
use crate::network::Network;
use crate::options::{Options, Stage};
use crate::placement::Placement;
use crate::run::Runner;
use crate::samples::spread;
use crate::study::Study;
use std::collections::{BTreeMap, HashMap};

/// What was found about the tensors.
pub struct Ranges {
    /// The bytes of each tensor.
    pub quants: HashMap<String, Quant>,
    /// Tensors that hold nothing but zeros in all samples.
    pub zero: Vec<String>,
    /// Tensors whose range was drawn in to less than half.
    pub outliers: Vec<Outlier>,
}

/// A tensor whose greatest values are cut off, because they are few and far from the rest.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct Outlier {
    /// The tensor.
    pub tensor: String,
    /// The least and the greatest value.
    pub reaches: (f32, f32),
    /// What its bytes cover.
    pub covered: (f32, f32),
}

/// Samples from which rows are taken.
const ROW_SAMPLES: usize = 32;
/// Rows of a layer over which ranges are compared.
const ROWS: usize = 192;
/// Numbers in all rows that are held together.
const HELD: usize = 16 << 20;

/// Counts what flows through the tensors in all samples of the study.
///
/// # Errors
/// [`QuantizeError::Model`] and [`QuantizeError::Data`] where something is not finite.
pub fn histograms(study: &mut Study<'_, '_>) -> Result<BTreeMap<String, Histogram>, QuantizeError> {
    let Study { network, placement, .. } = *study;
    let shown: Vec<String> =
        placement.tensors.iter().filter(|name| !placement.same_scale.contains_key(*name)).cloned().collect();
    let mut runner = Runner::new(network, &shown, study.options.threads)?;
    let mut histograms: Vec<Histogram> = vec![Histogram::default(); shown.len()];
    let indices = study.indices.clone();
    for (done, &index) in indices.iter().enumerate() {
        study.report(Stage::Ranges, done, indices.len())?;
        let Some(sample) = study.samples.get(index)? else { continue };
        for ((histogram, tensor), name) in histograms.iter_mut().zip(runner.run(&sample)?).zip(&shown) {
            histogram.add(tensor.values::<f32>().unwrap_or_default());
            if histogram.not_finite > 0 {
                return Err(not_finite(network, name, &study.samples.name(index)));
            }
        }
    }
    // What turned out to be unreadable is out from here on.
    study.indices = study.samples.readable(&indices)?;
    Ok(shown.into_iter().zip(histograms).collect())
}

fn not_finite(network: &Network, name: &str, sample: &str) -> QuantizeError {
    let maker = network.nodes().iter().find(|node| node.output.iter().any(|output| output == name));
    match maker {
        Some(node) => QuantizeError::Model(format!(
            "node \"{}\" ({}) gives NaN or infinity on {sample}: no range holds that; look at its weights and at the sample",
            crate::network::name_of(node),
            node.op_type
        )),
        None => QuantizeError::Data(format!("input \"{name}\": {sample} holds NaN or infinity")),
    }
}

/// Chooses the ranges.
///
/// # Errors
/// [`QuantizeError::Engine`] where the network cannot be run.
pub fn choose(study: &mut Study<'_, '_>, histograms: &BTreeMap<String, Histogram>) -> Result<Ranges, QuantizeError> {
    let Study { network, placement, options, .. } = *study;
    let mut found = Ranges { quants: HashMap::new(), zero: Vec::new(), outliers: Vec::new() };
    let limits = limits(network, placement);
    let mut open: BTreeMap<&str, Vec<(f32, f32)>> = BTreeMap::new();
    for (name, histogram) in histograms {
        let mut ranges = match options.input_ranges.get(name) {
            Some(stated) => vec![*stated],
            None => candidates(histogram, options.method),
        };
        if let Some(&(low, high)) = limits.get(name.as_str()) {
            ranges.iter_mut().for_each(|range| *range = (range.0.max(low).min(high), range.1.min(high).max(low)));
            ranges.dedup();
        }
        if ranges.iter().all(|range| *range == (0.0, 0.0)) {
            found.zero.push(name.clone());
        }
        open.insert(name, ranges);
    }
    let mut errors = errors_in_histograms(histograms, &open, options);
    if options.method == Method::Auto {
        add_errors_of_layers(study, &open, &mut errors)?;
    }
    for (name, ranges) in open {
        let errors = &errors[name];
        let best = (0..ranges.len()).min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap_or(0);
        let range = ranges.get(best).copied().unwrap_or((0.0, 0.0));
        if let Some(bounds) = histograms[name].bounds
            && bounds.1 - bounds.0 > 2.0 * (range.1.max(0.0) - range.0.min(0.0))
            && !limits.contains_key(name)
        {
            found.outliers.push(Outlier { tensor: name.to_string(), reaches: bounds, covered: range });
        }
        found.quants.insert(name.to_string(), options.quant(range));
    }
    // Moved elements keep their scale, however often they are moved.
    for name in &placement.tensors {
        if let Some(from) = placement.same_scale.get(name)
            && let Some(&quant) = found.quants.get(from)
        {
            found.quants.insert(name.clone(), quant);
        }
    }
    Ok(found)
}

/// What a clip that the bytes take the place of leaves of a tensor.
fn limits<'a>(network: &'a Network, placement: &Placement) -> HashMap<&'a str, (f32, f32)> {
    placement.clips.iter().map(|(&at, &range)| (network.nodes()[at].output[0].as_str(), range)).collect()
}

/// The squared error of each range, relative to the tensor's own square.
fn errors_in_histograms<'a>(
    histograms: &BTreeMap<String, Histogram>,
    open: &BTreeMap<&'a str, Vec<(f32, f32)>>,
    options: &Options,
) -> BTreeMap<&'a str, Vec<f64>> {
    let mut errors = BTreeMap::new();
    for (&name, ranges) in open {
        let counts: Vec<(f64, f64)> = histograms[name].counts().collect();
        let power: f64 = counts.iter().map(|(value, count)| value * value * count).sum::<f64>().max(f64::MIN_POSITIVE);
        let error = |range: &(f32, f32)| squared_error(&counts, options.quant(*range)) / power;
        errors.insert(name, ranges.iter().map(error).collect::<Vec<f64>>());
    }
    errors
}

/// Replaces the errors of tensors that layers take by those at the layers' outputs.
fn add_errors_of_layers(
    study: &mut Study<'_, '_>,
    open: &BTreeMap<&str, Vec<(f32, f32)>>,
    errors: &mut BTreeMap<&str, Vec<f64>>,
) -> Result<(), QuantizeError> {
    let Study { network, placement, options, .. } = *study;
    let scaled = |name: &str| -> String {
        let mut name = name;
        while let Some(from) = placement.same_scale.get(name) {
            name = from;
        }
        name.to_string()
    };
    let few = spread(&study.indices, ROW_SAMPLES);
    let layers: Vec<&Layer> = placement
        .layers
        .values()
        .filter(|layer| {
            patches::width(layer) > 0 && open.get(scaled(&layer.input).as_str()).is_some_and(|ranges| ranges.len() > 1)
        })
        .collect();
    let mut of_layers: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut rest = layers.as_slice();
    while !rest.is_empty() {
        study.report(Stage::Errors, layers.len() - rest.len(), layers.len())?;
        let mut held = 0;
        let fitting = rest.iter().take_while(|layer| {
            held += patches::width(layer) * ROWS;
            held <= HELD
        });
        let (part, after) = rest.split_at(fitting.count().max(1));
        rest = after;
        let rows = study.rows(part, &few, |_| ROWS)?;
        for (layer, rows) in part.iter().zip(rows) {
            let name = scaled(&layer.input);
            let Some(ranges) = open.get(name.as_str()) else { continue };
            let weights = layer.weights(network)?;
            let power: f64 = square(&outputs(layer, &rows, &weights)).max(f64::MIN_POSITIVE);
            let lost: Vec<f64> = ranges
                .iter()
                .map(|range| {
                    let quant = options.quant(*range);
                    let difference: Vec<f32> = rows.iter().map(|&value| quant.rounded(value) - value).collect();
                    square(&outputs(layer, &difference, &weights)) / power
                })
                .collect();
            let sum = of_layers.entry(name).or_insert_with(|| vec![0.0; ranges.len()]);
            sum.iter_mut().zip(lost).for_each(|(sum, lost)| *sum += lost);
        }
    }
    for (name, lost) in of_layers {
        if let Some(errors) = errors.get_mut(name.as_str()) {
            *errors = lost;
        }
    }
    Ok(())
}

fn square(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value) * f64::from(value)).sum()
}

/// A layer's outputs without bias for rows of what it takes, output after output within a row of groups.
pub fn outputs(layer: &Layer, rows: &[f32], weights: &[f32]) -> Vec<f32> {
    let width = patches::width(layer);
    if width == 0 || layer.kind == Kind::Product {
        return Vec::new();
    }
    let height = rows.len() / width;
    let per_group = layer.outputs / layer.groups;
    let mut all = vec![0f32; height * layer.outputs];
    let mut turned = vec![0f32; layer.depth * height];
    for group in 0..layer.groups {
        for row in 0..height {
            for k in 0..layer.depth {
                turned[k * height + row] = rows[row * width + group * layer.depth + k];
            }
        }
        let own = &weights[group * per_group * layer.depth..][..per_group * layer.depth];
        let columns: Vec<f32> =
            (0..layer.depth).flat_map(|k| (0..per_group).map(move |o| own[o * layer.depth + k])).collect();
        let made = products(
            Columns { values: &turned, width: height, from: 0, count: height },
            Columns { values: &columns, width: per_group, from: 0, count: per_group },
        );
        for row in 0..height {
            all[row * layer.outputs + group * per_group..][..per_group]
                .copy_from_slice(&made[row * per_group..][..per_group]);
        }
    }
    all
}
