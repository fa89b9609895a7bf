//! INT8 inference: load a model, plan it for one input shape, run it.
//!
//! ```text
//! Model::load  ->  Model::plan(shapes)  ->  Plan  ->  Session::new(plan)  ->  input_mut, run, output
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `model` | an ONNX file, parsed by tract |
//! | `stream` | a file for the parser, a piece at a time |
//! | `import/` | from ONNX to the integer graph |
//! | `graph` | the integer ops, each with scales and zero points |
//! | `plan/` | the graph for fixed shapes: places in the arena, packed weights, steps, costs |
//! | `step` | one step of a plan |
//! | `session` | runs a plan in its own arena |
//! | `pool` | threads that share every step of a run |
//! | `kernels/` | the computations, by instruction set; `scalar` is the oracle |
//! | `unary`, `float` | functions of one number, float ops, what runs through tract |
//! | `peak` | what a kernel set reaches when nothing holds it up |
//! | `tensor`, `npy` | element types, shapes and typed buffers; `.npy` files |
//!
//! Integer results are the same bytes on every CPU; `docs/numerics.md` states the rules.

// Nothing that comes from outside may end the process; tests may.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod float;
mod graph;
mod import;
mod kernels;
mod model;
pub mod npy;
mod peak;
mod plan;
mod pool;
mod session;
mod step;
mod stream;
mod tensor;
mod unary;

pub use model::{Model, StatedInput, cpu_features, kernel_names};
pub use peak::measured_peak;
pub use plan::{MemoryUsage, OpCost, Plan};
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
