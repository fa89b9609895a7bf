//! The quality of a set of pictures: `meter.rs` measures each picture, `findings.rs` judges the set by these figures,
//! `products.rs` whether it shows two products.

mod findings;
mod meter;
mod products;

pub use findings::{Finding, MIN_DISTINCT, Severity, findings};
pub use meter::{PictureQuality, QualityMeter};
