//! Networks that people bring, as judges of frames: a classifier, an anomaly model that gives a map, an autoencoder, a network whose
//! vectors tell parts apart.
//!
//! ```text
//! frame -- preparation (crop, resize, channels, scale) -- network --+-- classes    --> the likeliest --------------+
//!                                                                   +-- score, map --> value, cells --+            |
//!                                                                   +-- picture    --> residual ------+-- scale --+--> verdict
//!                                                                   +-- vector     --> nearest part --+
//! ```
//!
//! What a network gives is a *value* in a unit of its own. The distribution of values of normal frames, which the bundle holds, makes of
//! it the score and the severity that all verdicts have ([`ValueScale`]).

mod anomaly_map;
mod classifier;
mod frame_input;
pub mod make;
mod matcher;
mod model;
mod network;
mod residual;
mod value_scale;

pub use anomaly_map::MapReader;
pub use classifier::{Classified, Classifier};
pub use frame_input::FrameInput;
pub use matcher::{Matched, Matcher};
pub use model::OwnModel;
pub use network::Network;
pub use residual::Residual;
pub use value_scale::ValueScale;
