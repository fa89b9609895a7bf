//! Several cameras in one process, each a line of its own.
//!
//! ```text
//! one Config per [[camera]] --> plan.rs: one LinePlan each, models shared, one bill
//!                           --> member.rs, a thread a camera: run after run, started again when one of its threads has failed
//!                           --> run.rs, the main thread: the service manager, reload and stop for all
//! ```
//!
//! Between two cameras there is no queue, no lock that is held while something computes or waits, and no arena: each has its own threads,
//! at the same priority, so the kernel divides the cores among them. What they share is read only (packed weights) or never waited for
//! (console and log).

mod member;
mod next_configurations;
mod plan;
mod reported;
mod run;
#[cfg(test)]
mod tests;

pub use plan::{CamerasPlan, plan_cameras};
pub(super) use run::run;
