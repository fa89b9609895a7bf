//! From what flows through a tensor to the range that its bytes cover.

pub mod histogram;
pub mod range;
pub mod wide;

pub use histogram::Histogram;
pub use range::{Method, Quant};
pub use wide::WideQuant;
