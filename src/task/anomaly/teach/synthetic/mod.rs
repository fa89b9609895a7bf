//! Synthetic defects, painted into normal pictures so that scorers can be trained without a single real defect (after CutPaste,
//! Li et al. 2021, and DRAEM, Zavrtanik et al. 2021).
//!
//! ```text
//! random.rs --> noise.rs --> shapes.rs --------- where: a soft mask, 0..1
//!                                \-- prominent.rs, faint.rs --> fill.rs (blur.rs) --> painter.rs: the picture with its defect
//!                                    by defect_kind.rs            what: how the pixels under the mask change
//! labelled defects --> transplant.rs (blur.rs) --> a normal picture with one of them
//! ```
//!
//! All lengths are in pixels of the picture itself. Those that are not a share of its short side grow with it, so that a defect of
//! a large frame does not vanish when the frame is reduced for the network. Numbers are `f32` and `f64` in a fixed order of
//! operations, with functions from `libm` alone: the same seed gives the same bytes on every CPU.

mod blur;
mod defect_kind;
mod faint;
mod fill;
mod noise;
mod painter;
mod prominent;
mod random;
mod shapes;
#[cfg(test)]
mod tests;
mod transplant;
mod visibility;

pub use defect_kind::DefectKind;
pub use painter::DefectPainter;
pub use transplant::Transplanter;
