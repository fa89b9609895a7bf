//! What rounding one tensor does to the outputs of the network: only the part behind the tensor is run, with the tensor rounded and all
//! else in floats. The noise of several roundings adds up, as long as it is small beside the signal.

use crate::network::{Network, open_input};
use crate::placement::Placement;
use crate::quality::{Sqnr, numbers};
use crate::run::Runner;
use crate::{QuantizeError, types};
use lineside_engine::Tensor;
use std::collections::HashSet;
use tract_onnx::pb::tensor_proto::DataType;

/// The floats of some samples: what the network gave, to compare with.
pub struct Reference {
    /// The samples.
    pub samples: Vec<Vec<Tensor>>,
    /// What is compared, for each of them.
    outputs: Vec<Vec<Tensor>>,
    names: Vec<String>,
    /// Multiply-accumulates of one sample.
    pub macs: u64,
}

impl Reference {
    /// Runs `samples` through the network.
    ///
    /// # Errors
    /// [`QuantizeError::Engine`] where the engine cannot run it.
    pub fn new(network: &Network, samples: Vec<Vec<Tensor>>, threads: usize) -> Result<Reference, QuantizeError> {
        let names = compared(network);
        if names.is_empty() {
            return Err(QuantizeError::Model(
                "none of its outputs is known to hold floats: there is nothing to compare".into(),
            ));
        }
        let mut runner = Runner::new(network, &names, threads)?;
        let mut outputs = Vec::with_capacity(samples.len());
        for sample in &samples {
            outputs.push(runner.run(sample)?.to_vec());
        }
        Ok(Reference { samples, outputs, names, macs: runner.macs() })
    }

    /// What another network with the same outputs lost.
    ///
    /// # Errors
    /// [`QuantizeError::Engine`] where the engine cannot run it.
    pub fn loss_of(&self, network: &Network, threads: usize) -> Result<Loss, QuantizeError> {
        // What a Softmax takes may have no name any more.
        let producer = network.edges().producer;
        let places: Vec<usize> = (0..self.names.len()).filter(|&at| producer.contains_key(&self.names[at])).collect();
        let names: Vec<String> = places.iter().map(|&at| self.names[at].clone()).collect();
        let mut runner = Runner::new(network, &names, threads)?;
        let mut qualities = vec![Sqnr::default(); places.len()];
        let mut changed = 0;
        for (sample, wanted) in self.samples.iter().zip(&self.outputs) {
            let found = runner.run(sample)?;
            for ((quality, &at), found) in qualities.iter_mut().zip(&places).zip(found) {
                quality.add(&wanted[at], found)?;
            }
            let [before, after] = [first_place(wanted.first())?, first_place(found.first())?];
            changed += usize::from(before != after || after.is_none());
        }
        Ok(Loss {
            noise: qualities.iter().map(Sqnr::relative_noise).sum(),
            sqnr_db: qualities.first().map_or(f64::INFINITY, Sqnr::db),
            changed_first_places: changed as f64 / self.samples.len().max(1) as f64,
        })
    }

    /// Whether there is anything to be compared.
    pub fn has_outputs(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether the first output has places to be compared.
    pub fn has_places(&self) -> bool {
        self.outputs
            .iter()
            .flat_map(|outputs| outputs.first())
            .all(|output| output.shape().iter().product::<usize>() > 1)
    }
}

/// What a network lost, over all samples.
#[derive(Debug, Clone, Copy, serde::Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// Noise as a part of the signal, summed over the outputs and what a last Softmax or Sigmoid takes.
    pub noise: f64,
    /// Signal to noise of the first output of floats in decibels; below all numbers where it became NaN or infinite.
    pub sqnr_db: f64,
    /// Samples whose greatest place in that output is another one, or where it is NaN everywhere, as a part of all.
    pub changed_first_places: f64,
}

/// `None` where there is no output, or nothing but NaN in it.
fn first_place(output: Option<&Tensor>) -> Result<Option<usize>, QuantizeError> {
    let values = output.map_or(Ok(Vec::new()), numbers)?;
    let numbers = (0..values.len()).filter(|&at| !values[at].is_nan());
    Ok(numbers.max_by(|&a, &b| values[a].total_cmp(&values[b]).then(b.cmp(&a))))
}

/// Tensors of which the number of elements is only known in a run, and the floats in which things are found.
fn found_in_a_run(network: &Network) -> (HashSet<&str>, Vec<&String>) {
    let (mut found, mut sources) = (HashSet::new(), Vec::new());
    for node in network.nodes() {
        let finds = match node.op_type.as_str() {
            "NonMaxSuppression" => node.input.get(..2),
            "NonZero" => node.input.get(..1),
            _ => None,
        };
        sources.extend(finds.into_iter().flatten());
        // A sum over what was found has a size of its own: to leave that out, too, does no harm.
        if finds.is_some() || node.input.iter().any(|input| found.contains(input.as_str())) {
            found.extend(node.output.iter().map(String::as_str));
        }
    }
    (found, sources)
}

/// The outputs of floats, of any precision, and what a Softmax or Sigmoid makes them of: where these are saturated, a few samples would
/// decide alone. Instead of things that are found in a run, of which there may be others after rounding, what they are found in.
fn compared(network: &Network) -> Vec<String> {
    let (types, edges) = (types::of(network), network.edges());
    let all = network.graph().output.iter().map(|output| output.name.clone());
    let of_floats =
        |name: &String| matches!(types.kind(name), Some(DataType::Float | DataType::Float16 | DataType::Double));
    let (found, sources) = found_in_a_run(network);
    let mut names: Vec<String> = all.filter(of_floats).filter(|name| !found.contains(name.as_str())).collect();
    if network.graph().output.iter().any(|output| found.contains(output.name.as_str())) {
        for name in sources.into_iter().filter(|name| of_floats(name) && edges.producer.contains_key(*name)) {
            if !names.contains(name) && !found.contains(name.as_str()) {
                names.push(name.clone());
            }
        }
    }
    if names.is_empty() {
        // Indices of the greatest, and the like: what they are found in.
        let makers = network.graph().output.iter().filter_map(|output| edges.producer.get(&output.name));
        let taken = makers.filter_map(|&at| network.nodes()[at].input.first());
        names.extend(
            taken
                .filter(|name| !found.contains(name.as_str()) && of_floats(name) && edges.producer.contains_key(*name))
                .cloned(),
        );
    }
    for mut name in names.clone() {
        while let Some(node) = edges.producer.get(&name).map(|&at| &network.nodes()[at]) {
            let Some(input) = node.input.first().filter(|input| edges.producer.contains_key(*input)) else { break };
            match node.op_type.as_str() {
                "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity" | "Transpose" => name.clone_from(input),
                "Softmax" | "Sigmoid" => {
                    names.push(input.clone());
                    break;
                }
                _ => break,
            }
        }
    }
    names
}

/// The network behind one tensor.
pub struct Behind<'a> {
    runner: Runner,
    reference: &'a Reference,
}

impl<'a> Behind<'a> {
    /// What takes `tensor`: all nodes where integers make it, and where floats do, or it is an input, those that run in integers.
    ///
    /// # Errors
    /// [`QuantizeError::Engine`] where the engine cannot read that part.
    pub fn new(
        network: &Network,
        placement: &Placement,
        tensor: &str,
        rank: usize,
        reference: &'a Reference,
        threads: usize,
    ) -> Result<Behind<'a>, QuantizeError> {
        let mut cut = network.clone();
        let edges = network.edges();
        let maker = edges.producer.get(tensor).copied();
        let from_integers = maker.is_some_and(|at| placement.makes_bytes(at));
        let given = cut.fresh(&format!("{tensor}_rounded"));
        for (at, node) in cut.graph_mut().node.iter_mut().enumerate() {
            if from_integers || placement.integer.contains(&at) {
                node.input.iter_mut().filter(|name| *name == tensor).for_each(|name| name.clone_from(&given));
            }
        }
        cut.graph_mut().input.push(open_input(&given, rank));
        let mut names = reference.names.clone();
        if from_integers {
            names.iter_mut().filter(|name| *name == tensor).for_each(|name| name.clone_from(&given));
        }
        Ok(Behind { runner: Runner::new(&cut, &names, threads)?, reference })
    }

    /// The noise at the outputs where the tensor is `rounded`, for each of some samples of the reference by its place: as a part of the
    /// signal, summed over the outputs.
    ///
    /// # Errors
    /// [`QuantizeError::Engine`] where the engine cannot run it.
    pub fn noise(&mut self, rounded: impl Iterator<Item = (usize, Tensor)>) -> Result<f64, QuantizeError> {
        let mut qualities = vec![Sqnr::default(); self.reference.names.len()];
        for (place, rounded) in rounded {
            let mut sample = self.reference.samples[place].clone();
            sample.push(rounded);
            let found = self.runner.run(&sample)?;
            for ((quality, a), b) in qualities.iter_mut().zip(&self.reference.outputs[place]).zip(found) {
                quality.add(a, b)?;
            }
        }
        Ok(qualities.iter().map(Sqnr::relative_noise).sum())
    }

    /// Multiply-accumulates of one sample.
    pub fn macs(&self) -> u64 {
        self.runner.macs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Quant;
    use crate::placement::place;
    use crate::simplify::simplify;

    #[test]
    fn noise_is_none_for_the_floats_themselves_and_grows_with_the_step() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small.onnx");
        let mut network = Network::parse(&std::fs::read(file).unwrap()).unwrap();
        let values = (0..3072).map(|at| (at * 7919 % 255) as f32 / 128.0 - 1.0).collect::<Vec<f32>>();
        let sample = vec![Tensor::new(vec![1, 3, 32, 32], values).unwrap()];
        simplify(&mut network, Some(&sample), 1).unwrap();
        let placement = place(&network, &types::of(&network), &HashSet::new());
        let reference = Reference::new(&network, vec![sample.clone()], 1).unwrap();
        assert!(reference.macs > 0);
        for name in ["image", "sum", "gated"] {
            let mut runner = Runner::new(&network, &[name.to_string()], 1).unwrap();
            let floats = runner.run(&sample).unwrap()[0].clone();
            let mut behind = Behind::new(&network, &placement, name, 4, &reference, 1).unwrap();
            let values = floats.values::<f32>().unwrap();
            let reach = values.iter().fold(0f32, |most, value| most.max(value.abs()));
            let mut noise = |levels: f32| {
                let quant = Quant { scale: 2.0 * reach / levels, zero_point: 128 };
                let rounded = values.iter().map(|&value| if levels > 0.0 { quant.rounded(value) } else { value });
                let rounded = Tensor::new(floats.shape().to_vec(), rounded.collect::<Vec<f32>>()).unwrap();
                behind.noise([(0, rounded)].into_iter()).unwrap()
            };
            let [none, fine, coarse] = [noise(0.0), noise(255.0), noise(31.0)];
            assert!(none < 1e-10 && none < fine && 3.0 * fine < coarse, "{name}: {none} {fine} {coarse}");
        }
    }
}
