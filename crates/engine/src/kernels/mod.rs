//! The kernels: the computations of a plan's steps, by instruction set. `unsafe` code of the engine is in this module only.
//!
//! | file | holds |
//! |---|---|
//! | `arena` | the memory that steps compute in, and views into it |
//! | `access` | sets of bytes in the arena, and whether they overlap |
//! | `grid` | positions of output pixels; how work is divided between threads |
//! | `epilogue` | from an accumulator to what is stored |
//! | `elementwise` | the walk over rows that element-wise ops share |
//! | `add`, `mul`, `matmul`, `conv`, `depthwise`, `quantize` | the steps that each set implements, and weights before and after packing |
//! | `set` | the trait `Kernels` that each set implements |
//! | `tiles` | convolutions cut into tiles |
//! | `winograd` | 3×3 convolutions with fewer multiplications, for sets without dot products |
//! | `reference` | the set `scalar`: the reference implementation, in plain Rust |
//! | `float/` | float ops, compiled for each instruction set |
//! | `recurrent` | recurrent layers, step by step |
//! | `live` | the part of an axis that is in use, where its length is a bound |
//! | `copy`, `gather`, `suppression`, `portable` | steps with one implementation for every CPU |
//! | `x86_64/`, `aarch64/` | kernels by instruction set |
//!
//! A file imports only from files above it in this table.
//!
//! A kernel set is chosen once, when a model is planned. Each set states whether it
//! stores activations as `u8` or as `i8` (the same bytes with the top bit flipped), because x86-64 multiplies unsigned by
//! signed bytes and aarch64 signed by signed.

// Tiles of accumulators are indexed by pixel and vector, in several arrays at once.
#![allow(clippy::needless_range_loop)]

pub mod access;
pub mod add;
pub mod arena;
pub mod conv;
pub mod copy;
pub mod depthwise;
mod elementwise;
pub mod epilogue;
pub mod float;
pub mod gather;
mod grid;
pub mod live;
pub mod matmul;
pub mod mul;
pub mod portable;
pub mod quantize;
pub mod recurrent;
mod reference;
mod set;
pub mod suppression;
#[cfg(test)]
mod tests;
mod tiles;
pub mod winograd;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
use aarch64 as arch;
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
use x86_64 as arch;

use crate::EngineError;
pub use grid::thread_share;
pub use set::Kernels;

/// The kernel sets that this CPU can run, the best first; the last one is the reference implementation.
pub fn available() -> Vec<&'static dyn Kernels> {
    let mut sets = arch::available();
    sets.push(&reference::ReferenceKernels);
    sets
}

/// The instruction set extensions that the sets use and this CPU has, by name.
pub fn features() -> Vec<&'static str> {
    arch::features()
}

/// The set of that name.
///
/// # Errors
/// [`EngineError::Unsupported`] where this CPU has no such set.
pub fn named(name: &str) -> Result<&'static dyn Kernels, EngineError> {
    let set = available().into_iter().find(|set| set.name() == name);
    set.ok_or_else(|| EngineError::Unsupported(format!("this CPU has no kernels named {name}")))
}
