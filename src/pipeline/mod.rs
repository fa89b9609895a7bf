//! Threads and queues: capture → newest-frame slot → inspection → bounded queue → writer.
//!
//! The capture thread fills frames; the inspection thread takes the newest and judges it; the writer thread puts
//! verdicts on disk. A slow writer makes inspection wait, never lose a verdict; slow inspection makes frames stale,
//! which are counted, never queued.

mod capture;
mod counts;
mod inspection;
mod load_shedding;
mod message;
mod newest_frame;
mod pulse;
mod report;
mod run;
mod shutdown;

pub use counts::{Counts, Enlarging, Progress, Status, Times};
pub use inspection::{Enlargement, Inspection, Smaller};
pub use load_shedding::LoadShedding;
pub use newest_frame::{NewestFrame, Taken};
pub use pulse::{Part, Pulse, Watch};
pub use report::Report;
pub use run::{Ending, Pipeline, QUEUE, Reporter, RunObserver, STACK, THREADS};
pub use shutdown::Shutdown;
