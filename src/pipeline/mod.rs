//! Threads and queues: capture → newest-frame slot → inspection → bounded queue → writer.
//!
//! The capture thread fills frames; the inspection thread takes the newest and judges it; the writer thread writes
//! verdicts to the disk. Slow inspection makes frames stale: they are counted, never queued. Where the source has a pace of its own
//! nobody waits for the writer: verdicts that it cannot take are counted, too. A source that can wait, as a folder without a rate,
//! waits for it, and no verdict is lost.

mod capture;
mod commands;
mod counts;
mod inspection;
mod load_shedding;
mod message;
mod newest_frame;
mod product_switch;
mod pulse;
mod report;
mod run;
mod shadow;
mod shutdown;
mod trial;
mod writer;

pub use commands::{ChosenProduct, CommandError, Commands, ProductKey, Selection};
pub use counts::{Counts, Enlarging, Progress, Status, VerdictTimes};
pub use inspection::{Enlargement, Inspection, Smaller};
pub use load_shedding::LoadShedding;
pub use message::QUEUE;
pub use newest_frame::{NewestFrame, Taken};
pub use product_switch::ProductSwitch;
pub use pulse::{Pulse, Watch, WatchedThread};
pub use report::Report;
pub use run::{FAILED, NOT_STARTED, Pipeline, RunEnd, RunObserver, STOPPED, THREADS};
pub use shadow::{Shadow, ShadowCounts, ShadowVerdict};
pub use shutdown::{OrderlyStop, Shutdown};
pub use trial::TrialCounts;
pub use writer::{Reporter, STACK};
