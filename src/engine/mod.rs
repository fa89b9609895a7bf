//! INT8 inference: load a model, plan it for one input shape, run it.
//!
//! ```text
//! Model::load  ->  Model::plan(shapes)  ->  Plan  ->  Session::new(plan)  ->  input_mut, run, output
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `model` | an ONNX file, parsed and type-checked |
//! | `plan` | the model for fixed shapes: order of ops, memory, multiply-accumulates, integer coverage |
//! | `session` | runs a plan in its own buffers |
//! | `tensor` | element types, shapes and typed buffers |
//! | `npy` | tensors from and to `.npy` files |
//!
//! For now tract executes, and it computes quantized models in `f32`: `docs/numerics.md` says what that means for
//! equality between CPUs. The integer engine takes its place behind this same interface.

mod model;
pub mod npy;
mod plan;
mod session;
mod tensor;

pub use model::{Model, StatedInput};
pub use plan::{Memory, OpCost, Plan};
pub use session::{OpTime, Session};
pub use tensor::{Element, ElementKind, Tensor, TensorInfo};

/// What went wrong with a model or an array. Messages do not name the file: the caller knows it and puts it before.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file cannot be read at all.
    #[error("cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// The file is no ONNX model, or not a whole one.
    #[error("not a readable ONNX model ({0}); it may be truncated or of another format")]
    Unreadable(String),
    /// The graph cannot be type-checked or holds an op that is not supported.
    #[error("this model cannot be run: {0}")]
    Unsupported(String),
    /// A dimension is left open by the model and was not given.
    #[error("input \"{input}\" has open dimensions ({shape}): give its shape")]
    OpenShape {
        /// The input's name.
        input: String,
        /// Its shape as the model states it.
        shape: String,
    },
    /// The model has another number of inputs or outputs than asked for.
    #[error("the model has {has} {what}, but {asked} asked for")]
    Count {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// How many the model has.
        has: usize,
        /// How many were asked for or given.
        asked: String,
    },
    /// A tensor has another type or shape than the model states.
    #[error("{name}: expected {expected}, found {found}")]
    Mismatch {
        /// The tensor's name.
        name: String,
        /// Type and shape that the model states.
        expected: String,
        /// Type and shape that was given.
        found: String,
    },
    /// An op failed while running.
    #[error("running the model failed: {0}")]
    Run(String),
    /// An array file that is not what it should be.
    #[error("not a usable .npy array: {0}")]
    Array(String),
}
