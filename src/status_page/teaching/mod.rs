//! `/teaching`: the line's bundle is taught anew, or recalibrated, beside inspection; and versions of it judge the marked frames, so that they
//! can be compared.
//!
//! ```text
//! POST /teaching --> teach_request.rs: who may, what is missing --> order.rs, queue.rs
//!                    teach_job.rs, a thread: marks, or collect.rs: frames of the live camera --> folder.rs, in the bundle's home
//!                      --> lineside teach | recalibrate, a process of its own (background) --> a version in the home, then a reload
//!                      --> lineside eval, likewise: what that version finds of the marked frames --> scores.rs
//! GET /teaching  <-- report.rs: how far it is, or what came of it, also after the reload
//! GET /scores    <-- scores.rs
//! ```
//!
//! One job at a time. It ends with the run: at a stop, at a reload, and when somebody cancels it; then the bundle is as it was.

mod collect;
mod folder;
mod order;
mod queue;
mod report;
mod scores;

pub use collect::collect;
pub use folder::TeachingFolder;
pub use order::{FramesFrom, MOST_FRAMES, TeachingKind, TeachingOrder};
pub use queue::Teaching;
pub use report::{TeachingMemory, TeachingState};
pub use scores::{has_scores, keep_scores, open_scores};

/// Bytes of a frame's pixel.
pub const PIXEL: u64 = 3;
