//! Float ops: one implementation for every instruction set, with the same bits from each.
//!
//! | file | holds |
//! |---|---|
//! | `isa` | loops, and what compiles them for an instruction set |
//! | `x86_64`, `aarch64` | the instruction sets |
//! | `math` | `exp`, `log`, `tanh`, `erf` |
//! | `unary`, `binary` | functions of one number, and of two that are broadcast |
//! | `strided` | rows read at a stride |
//! | `product` | matrix products |
//! | `conv`, `depthwise` | convolutions |
//! | `pool`, `resize` | pools and bilinear resizing |
//! | `reduce` | sums and other reductions |
//! | `normalize` | normalisation, softmax, batch normalisation |
//! | `step` | any of them as a step of a plan |
//!
//! The rules that make the bits equal are in `docs/numerics.md`: a product sums over k in order with one fused multiply-add a term and
//! vectors run across outputs; reductions are in `f64` in a stated order; a compiler may reorder nothing. What may differ between
//! CPUs is the payload of a NaN.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
use aarch64 as arch;
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
use x86_64 as arch;

pub mod binary;
pub mod conv;
pub mod depthwise;
mod isa;
pub mod math;
pub mod normalize;
pub mod pool;
pub mod product;
pub mod reduce;
pub mod resize;
mod step;
mod strided;
mod unary;

pub use isa::{Isa, Lanes, Loop};
pub use step::{FloatKernel, FloatStep, Operand};

/// Floats of a vector, and of a panel of a matrix product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Widths {
    pub lanes: usize,
    pub panel: usize,
}

/// The widths of an instruction set, by which weights are packed and scratch memory is planned.
pub fn widths(isa: Isa) -> Widths {
    struct Find<'a>(&'a mut Widths);
    impl Loop for Find<'_> {
        fn run<L: Lanes>(self) {
            *self.0 = Widths { lanes: L::COUNT, panel: product::panel::<L>() };
        }
    }
    let mut widths = Widths { lanes: 1, panel: 1 };
    isa.run(Find(&mut widths));
    widths
}
