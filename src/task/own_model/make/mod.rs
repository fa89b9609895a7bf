//! From a network's file to a bundle: what it takes and gives, how frames are prepared for it, and what good parts are to it.
//!
//! | file | finds |
//! |---|---|
//! | `references` | vectors of known parts, and how far apart they are |
//! | `normal` | threshold, calibration and baseline of good parts |
//! | `golden` | what the reference kernels compute |
//! | `labels` | the names of classes |
//! | `outputs` | which output serves the task |
//! | `preparation` | how frames become the input |
//! | `preset` | how frames were prepared where networks come from |
//! | `own_scaling` | what the network does to its input itself |
//! | `picture_input` | the input's axes, size and elements |

mod error;
mod golden;
mod labels;
mod normal;
mod outputs;
mod own_scaling;
mod picture_input;
mod preparation;
mod preset;
mod references;

pub use error::MakeError;
pub use golden::{no_number, reference_outputs};
pub use labels::{made_distinct, noted_labels, parse_labels};
pub use normal::{NormalFit, NormalMaps, NormalValues};
pub use outputs::{AnomalyOutputs, anomaly_outputs, class_output, class_values, listed, picture_output, vector_output};
pub use own_scaling::{InputRange, OwnScaling};
pub use picture_input::PictureInput;
pub use preparation::{ChosenPreparation, StatedPreparation};
pub use preset::{Like, Preset};
pub use references::{HeldOut, References};
