//! Sections about batches of parts: what is kept of good frames for `recalibrate`, and what later batches are allowed to differ by.

use serde::{Deserialize, Serialize};

/// Good frames in the form in which `recalibrate` needs them.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NormalSection {
    /// The view of their pooled features, counted from 0.
    pub view: usize,
    /// The file with mean and 1 / standard deviation of each pooled feature, `[2, values]`.
    pub scale: String,
    /// The file with the standardized features of some frames, bytes of a sixteenth each, `[frames with features, values]`.
    pub features: String,
    /// The file with the number of the batch, 0 for the first, 1 where the frame has features, and the value of each scorer when it
    /// was held out, `[frames, 2 + scorers]`.
    pub values: String,
    /// By scorer: the file with its statistics when it was trained without the frames that have features; empty where none is kept.
    pub held_out: Vec<String>,
}

/// Directions in which batches of good parts differ: they are taken out of the pooled features before these are scored.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NuisanceSection {
    /// The view of the pooled features, counted from 0.
    pub view: usize,
    /// The file with mean and 1 / standard deviation of each pooled feature, and orthonormal directions, `[2 + directions, values]`.
    pub directions: String,
}

impl NormalSection {
    /// The files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &String> {
        let held_out = self.held_out.iter().filter(|name| !name.is_empty());
        [&self.scale, &self.features, &self.values].into_iter().chain(held_out)
    }
}
