//! What all steps work on: the simplified network, what runs in integers of it, and the samples.

use crate::QuantizeError;
use crate::layer::{Layer, patches};
use crate::network::Network;
use crate::options::{Options, Progress, Stage};
use crate::placement::Placement;
use crate::run::Runner;
use crate::samples::SampleSet;
use std::time::Instant;

/// A network that is being quantized, and what it is measured with.
pub struct Study<'a, 'b> {
    /// The simplified network, in floats.
    pub network: &'a Network,
    /// What runs in integers of it.
    pub placement: &'a Placement,
    /// The samples.
    pub samples: &'a mut SampleSet<'b>,
    /// The samples that something may be taken from.
    pub indices: Vec<usize>,
    /// What is wanted.
    pub options: &'a Options,
    /// When the work began.
    pub begun: Instant,
    /// Told how far the work is.
    pub progress: &'a mut Progress<'b>,
}

impl Study<'_, '_> {
    /// Tells how far a stage is.
    ///
    /// # Errors
    /// What the caller answers, to stop the work.
    pub fn report(&mut self, stage: Stage, done: usize, total: usize) -> Result<(), QuantizeError> {
        (self.progress)(stage, done, total)
    }

    /// Whether this part of the time that the work may take is over.
    pub fn is_over(&self, part: f64) -> bool {
        self.options.time_limit.is_some_and(|limit| self.begun.elapsed() >= limit.mul_f64(part))
    }

    /// Rows of what each layer takes, from the samples of `indices`; `count` says how many of a layer in all.
    ///
    /// # Errors
    /// [`QuantizeError::Engine`] where the network cannot be run.
    pub fn rows(
        &mut self,
        layers: &[&Layer],
        indices: &[usize],
        count: impl Fn(&Layer) -> usize,
    ) -> Result<Vec<Vec<f32>>, QuantizeError> {
        let names: Vec<String> = layers.iter().map(|layer| layer.input.clone()).collect();
        let mut runner = Runner::new(self.network, &names, self.options.threads)?;
        let mut rows = vec![Vec::new(); layers.len()];
        let mut places = patches::Places::new();
        for &index in indices {
            let Some(sample) = self.samples.get(index)? else { continue };
            for ((layer, tensor), rows) in layers.iter().zip(runner.run(&sample)?).zip(&mut rows) {
                let values = tensor.values::<f32>().unwrap_or_default();
                patches::add(layer, values, tensor.shape(), count(layer).div_ceil(indices.len()), &mut places, rows);
            }
        }
        Ok(rows)
    }
}
