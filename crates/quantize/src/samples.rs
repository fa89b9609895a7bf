//! The samples of one call: those that cannot be read are left out and remembered.

use crate::{QuantizeError, Samples};
use lineside_engine::Tensor;
use std::collections::BTreeMap;

/// A sample that is left out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct UnreadSample {
    /// Its number.
    pub index: usize,
    /// Why it could not be read.
    pub reason: String,
}

/// Which samples calibration leaves out, so that the result is measured on what nothing was taken from: every tenth, from ten on.
pub fn is_held_out(index: usize, count: usize) -> bool {
    count >= 10 && index % 10 == 9
}

/// Samples, and which of them could not be read so far.
pub struct SampleSet<'a> {
    samples: &'a mut dyn Samples,
    unread: BTreeMap<usize, String>,
}

impl<'a> SampleSet<'a> {
    /// All of `samples`.
    ///
    /// # Errors
    /// [`QuantizeError::Data`] where there are none; `purpose` says what they are for.
    pub fn new(samples: &'a mut dyn Samples, purpose: &str) -> Result<SampleSet<'a>, QuantizeError> {
        if samples.is_empty() {
            return Err(QuantizeError::Data(format!("no samples to {purpose}")));
        }
        Ok(SampleSet { samples, unread: BTreeMap::new() })
    }

    /// How many there are, readable or not.
    pub fn count(&self) -> usize {
        self.samples.len()
    }

    /// What a sample is called in messages.
    pub fn name(&self, index: usize) -> String {
        self.samples.name(index)
    }

    /// One sample; `None` where it cannot be read.
    ///
    /// # Errors
    /// What [`Samples::get`] gives besides [`QuantizeError::Data`].
    pub fn get(&mut self, index: usize) -> Result<Option<Vec<Tensor>>, QuantizeError> {
        if self.unread.contains_key(&index) {
            return Ok(None);
        }
        match self.samples.get(index) {
            Ok(sample) => Ok(Some(sample)),
            Err(QuantizeError::Data(reason)) => {
                self.unread.insert(index, reason);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The first of `indices` that can be read.
    ///
    /// # Errors
    /// [`QuantizeError::Data`] where none can.
    pub fn first(&mut self, indices: &[usize]) -> Result<Vec<Tensor>, QuantizeError> {
        for &index in indices {
            if let Some(sample) = self.get(index)? {
                return Ok(sample);
            }
        }
        Err(self.none_left(indices.len()))
    }

    /// Those of `indices` that could be read so far.
    ///
    /// # Errors
    /// [`QuantizeError::Data`] where there is none.
    pub fn readable(&self, indices: &[usize]) -> Result<Vec<usize>, QuantizeError> {
        let readable: Vec<usize> = indices.iter().copied().filter(|index| !self.unread.contains_key(index)).collect();
        if readable.is_empty() { Err(self.none_left(indices.len())) } else { Ok(readable) }
    }

    /// Those that could not be read.
    pub fn unread(&self) -> Vec<UnreadSample> {
        let of = |(&index, reason): (&usize, &String)| UnreadSample { index, reason: reason.clone() };
        self.unread.iter().map(of).collect()
    }

    fn none_left(&self, of: usize) -> QuantizeError {
        let first = self.unread.values().next().map_or("", String::as_str);
        QuantizeError::Data(format!("none of the {of} samples can be read; the first: {first}"))
    }
}

/// At most `count` of the indices, evenly spread.
pub fn spread(indices: &[usize], count: usize) -> Vec<usize> {
    if indices.len() <= count {
        return indices.to_vec();
    }
    (0..count).map(|at| indices[at * indices.len() / count]).collect()
}
