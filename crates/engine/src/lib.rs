#![doc = include_str!("../README.md")]
//!
//! # How the modules lie
//!
//! In the order of their imports: nobody imports from a module below its own row.
//!
//! | module | content |
//! |---|---|
//! | `model` | an ONNX file, and the plan for one input shape (feature `tract`) |
//! | `outline` | what a file says of itself beside what it computes (feature `tract`) |
//! | `functions` | the names of a model's own functions (feature `tract`) |
//! | `import/` | from ONNX to the integer graph (feature `tract`) |
//! | `tract` | all that runs through tract: single nodes, constants of the file (feature `tract`) |
//! | `external` | weights in files beside a model (feature `tract`) |
//! | `stream` | a file for the parser, a piece at a time (feature `tract`) |
//! | `peak` | what a kernel set reaches when nothing limits it |
//! | `session` | runs a plan in a workspace |
//! | `workspace` | the arena and the threads of runs, shared by sessions of which one runs at a time |
//! | `pool` | threads that share every step of a run |
//! | `plan/` | the graph for fixed shapes: buffers in the arena, packed weights, steps, costs |
//! | `step` | one step of a plan |
//! | `numbers` | loops over elements of any kind |
//! | `kernels/` | the computations, by instruction set; `reference` is the reference implementation |
//! | `graph/` | ops with scales and zero points, the one form in which a model is known inside |
//! | `unary` | functions of one number |
//! | `npy` | `.npy` files |
//! | `guard` | panics of other people's code become errors |
//! | `tensor` | element types, shapes and typed buffers |

// Without the reader of models, graphs are made in tests only.
#![cfg_attr(not(feature = "tract"), allow(dead_code, unused_imports))]
// Nothing that comes from outside may end the process; tests may.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(feature = "tract")]
mod external;
#[cfg(feature = "tract")]
mod functions;
mod graph;
mod guard;
#[cfg(feature = "tract")]
mod import;
mod kernels;
#[cfg(feature = "tract")]
mod model;
pub mod npy;
mod numbers;
#[cfg(feature = "tract")]
mod outline;
mod peak;
mod plan;
mod pool;
mod session;
mod step;
#[cfg(feature = "tract")]
mod stream;
mod tensor;
#[cfg(feature = "tract")]
mod tract;
mod unary;
mod workspace;

pub use guard::is_guarded;
/// Half precision, an [`Element`] at the border of models.
pub use half::f16;
#[cfg(feature = "tract")]
pub use import::check_operator;
#[cfg(feature = "tract")]
pub use model::{Model, StatedInput};
#[cfg(feature = "tract")]
pub use outline::{Outline, OutlineNode};
pub use peak::measured_peak;
pub use plan::{MemoryUsage, OpCost, OpDomain, Plan};
pub use session::{OpTime, Session};
pub use tensor::{Element, ElementKind, Tensor, TensorInfo};
pub use workspace::Workspace;

/// The names of the kernel sets that this CPU has, the best first; the last one is the reference implementation.
pub fn kernel_names() -> Vec<&'static str> {
    kernels::available().iter().map(|set| set.name()).collect()
}

/// The instruction set extensions that kernel sets use and this CPU has, by name.
pub fn cpu_features() -> Vec<&'static str> {
    kernels::features()
}

/// What went wrong with a model or an array. Messages do not name the file: the caller knows it and puts it before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// Weights that lie in a file beside the model, and cannot be had.
    #[error("the data of tensor \"{tensor}\" lies in another file, \"{file}\": {problem}")]
    Beside {
        /// The tensor's name.
        tensor: String,
        /// The file, as the model names it.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
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
