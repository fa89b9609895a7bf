//! The range of each tensor's bytes, by what it does to the outputs of the layers that take the tensor.

use crate::QuantizeError;
use crate::calibrate::range::{candidates, drawn, squared_error};
use crate::calibrate::{Histogram, Method, Quant};
use crate::curve::Curve;
use crate::layer::{Kind, Layer, patches};
use crate::linear::{Columns, products};
use crate::network::Network;
use crate::options::Stage;
use crate::placement::Placement;
use crate::run::Runner;
use crate::samples::spread;
use crate::study::Study;
use std::collections::{BTreeMap, HashMap};

/// What was found about the tensors.
pub struct Ranges {
    /// The bytes of each tensor.
    pub quants: HashMap<String, Quant>,
    /// Tensors that hold one value alone in all samples.
    pub constant: Vec<String>,
    /// Tensors whose range was drawn in to less than half.
    pub outliers: Vec<Outlier>,
}

/// The ranges among which one is chosen for each tensor.
#[derive(Clone)]
pub struct Candidates(BTreeMap<String, (Vec<(f32, f32)>, usize)>);

impl Candidates {
    /// Those of a tensor.
    pub fn ranges(&self, name: &str) -> &[(f32, f32)] {
        self.0.get(name).map_or(&[], |(ranges, _)| ranges)
    }

    /// The place of the one that is chosen.
    pub fn chosen(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, |(_, chosen)| *chosen)
    }

    /// Chooses the one of the least error.
    pub fn choose(&mut self, name: &str, errors: &[f64]) {
        if let Some((ranges, chosen)) = self.0.get_mut(name) {
            let least = (0..ranges.len().min(errors.len())).min_by(|&a, &b| errors[a].total_cmp(&errors[b]));
            *chosen = least.unwrap_or(*chosen);
        }
    }

    /// What was chosen, and what it means.
    pub fn finish(self, study: &Study<'_, '_>, histograms: &BTreeMap<String, Histogram>) -> Ranges {
        let Study { network, placement, options, .. } = *study;
        let limits = limits(network, placement);
        let mut found = Ranges { quants: HashMap::new(), constant: Vec::new(), outliers: Vec::new() };
        for (name, (ranges, chosen)) in self.0 {
            if histograms.get(&name).and_then(|histogram| histogram.bounds).is_none_or(|(low, high)| low == high) {
                found.constant.push(name.clone());
            }
            let range = ranges.get(chosen).copied().unwrap_or((0.0, 0.0));
            if let Some(bounds) = histograms.get(&name).and_then(|histogram| histogram.bounds)
                && bounds.1 - bounds.0 > 2.0 * (range.1.max(0.0) - range.0.min(0.0))
                && !limits.contains_key(name.as_str())
            {
                found.outliers.push(Outlier { tensor: name.clone(), reaches: bounds, covered: range });
            }
            found.quants.insert(name, options.quant(range));
        }
        // Moved elements keep their scale, however often they are moved.
        for name in &placement.tensors {
            if let Some(&quant) = found.quants.get(placement.scaled(name)) {
                found.quants.insert(name.clone(), quant);
            }
        }
        found
    }
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

/// Finds the candidates, and chooses by the error at the outputs of the layers that take a tensor, behind the functions that take it, or
/// of the tensor itself.
///
/// # Errors
/// [`QuantizeError::Engine`] where the network cannot be run.
pub fn choose(
    study: &mut Study<'_, '_>,
    histograms: &BTreeMap<String, Histogram>,
) -> Result<Candidates, QuantizeError> {
    let Study { network, placement, options, .. } = *study;
    let limits = limits(network, placement);
    let mut open: BTreeMap<&str, Vec<(f32, f32)>> = BTreeMap::new();
    let mut errors: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, histogram) in histograms {
        let mut ranges = match options.input_ranges.get(name) {
            Some(stated) => vec![*stated],
            None => candidates(histogram, options.method),
        };
        if let Some(&(low, high)) = limits.get(name.as_str()) {
            ranges.iter_mut().for_each(|range| *range = (range.0.max(low).min(high), range.1.min(high).max(low)));
        }
        ranges.dedup();
        let mut curve = if ranges.len() > 1 { Curve::of(network, placement, name)? } else { None };
        if let (Some(curve), Some(bounds)) = (&mut curve, histogram.bounds) {
            let drawn = drawn(bounds);
            let quants: Vec<Quant> = drawn.iter().map(|&range| options.quant(range)).collect();
            let errors = curve.errors(histogram, &quants)?;
            ranges.extend((0..drawn.len()).min_by(|&a, &b| errors[a].total_cmp(&errors[b])).map(|at| drawn[at]));
        }
        let quants: Vec<Quant> = ranges.iter().map(|&range| options.quant(range)).collect();
        let found = match &mut curve {
            Some(curve) => curve.errors(histogram, &quants)?,
            None => {
                let counts: Vec<(f64, f64)> = histogram.counts().collect();
                quants.iter().map(|&quant| squared_error(&counts, quant)).collect()
            }
        };
        errors.insert(name, found);
        open.insert(name, ranges);
    }
    if options.method == Method::Auto {
        add_errors_of_layers(study, &open, &mut errors)?;
    }
    let mut chosen = Candidates(open.into_iter().map(|(name, ranges)| (name.to_string(), (ranges, 0))).collect());
    errors.iter().for_each(|(name, errors)| chosen.choose(name, errors));
    Ok(chosen)
}

/// What a clip that the bytes take the place of leaves of a tensor.
pub fn limits<'a>(network: &'a Network, placement: &Placement) -> HashMap<&'a str, (f32, f32)> {
    placement.clips.iter().map(|(&at, &range)| (network.nodes()[at].output[0].as_str(), range)).collect()
}

/// Replaces the errors of tensors that layers take by those at the layers' outputs.
fn add_errors_of_layers(
    study: &mut Study<'_, '_>,
    open: &BTreeMap<&str, Vec<(f32, f32)>>,
    errors: &mut BTreeMap<&str, Vec<f64>>,
) -> Result<(), QuantizeError> {
    let Study { network, placement, options, .. } = *study;
    let few = spread(&study.indices, ROW_SAMPLES);
    let layers: Vec<&Layer> = placement
        .layers
        .values()
        .filter(|layer| {
            patches::width(layer) > 0 && open.get(placement.scaled(&layer.input)).is_some_and(|ranges| ranges.len() > 1)
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
            let name = placement.scaled(&layer.input);
            let Some(ranges) = open.get(name) else { continue };
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
            let sum = of_layers.entry(name.to_string()).or_insert_with(|| vec![0.0; ranges.len()]);
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
