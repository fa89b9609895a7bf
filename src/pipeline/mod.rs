//! Threads and queues: capture → newest-frame slot → inspection → bounded queue → writer.
//!
//! The capture thread fills frames; the inspection thread takes the newest and judges it; the writer thread writes
//! verdicts to the disk. A slow writer makes inspection wait, but loses no verdict; slow inspection makes frames stale:
//! they are counted, never queued.

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

pub use counts::{Counts, Enlarging, Progress, Status, VerdictTimes};
pub use inspection::{Enlargement, Inspection, Smaller};
pub use load_shedding::LoadShedding;
pub use newest_frame::{NewestFrame, Taken};
pub use pulse::{Pulse, Watch, WatchedThread};
pub use report::Report;
pub use run::{FAILED, NOT_STARTED, Pipeline, QUEUE, Reporter, RunEnd, RunObserver, STACK, THREADS};
pub use shutdown::{OrderlyStop, Shutdown};
