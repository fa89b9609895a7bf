//! From what flows through a tensor to the range that its bytes cover.

pub mod histogram;
pub mod range;

pub use histogram::Histogram;
pub use range::{Method, Quant};
