//! The status page: what the camera sees and how the line does, for a phone, a browser, Prometheus. Off unless configured.
//!
//! ```text
//! inspection thread --(score; a frame where one is wanted)--> live --> jpeg_encoder --> up to 4 viewers
//! main thread --(counts, heat, signs of life)--> status_cell--------------------> /status.json, /metrics, /healthz
//! ```
//!
//! Inspection gives and never waits: nothing that a visitor does or leaves undone holds a lock that it needs, and what
//! visitors may take of memory, threads and time is fixed.

mod access;
mod answer;
mod connection;
mod events;
mod focus;
mod jpeg_encoder;
mod live;
mod metrics;
mod request;
mod server;
mod stages;
mod status;
mod status_cell;

pub use live::LiveFeed;
pub use server::{StatusServer, check_bindable, describe_bind_error};

use access::Access;
use events::RecentEvents;
use jpeg_encoder::LatestImage;
use status_cell::StatusCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::AcqRel, Ordering::Acquire};

/// How many may look at the live view.
pub const VIEWERS: usize = 4;
/// Connections that are served at a time, viewers among them: each has a thread.
pub const CONNECTIONS: usize = 12;
/// The stack of the page's threads.
const STACK: usize = 256 << 10;
/// What the kernel may hold of an answer that is not taken.
const SEND_BUFFER: usize = 128 << 10;

/// What does not change during a run.
pub struct RunFacts {
    /// The source, in words.
    pub source: String,
    /// Name, version and fingerprint of each bundle.
    pub bundles: Vec<String>,
    /// `budget.memory`.
    pub budget_bytes: u64,
    /// The sum of the bill.
    pub bill_bytes: u64,
    /// When the run began.
    pub started: jiff::Timestamp,
}

/// What the page's threads share.
struct Page {
    facts: RunFacts,
    access: Access,
    live: Arc<LiveFeed>,
    status: StatusCell,
    latest: LatestImage,
    events: RecentEvents,
    viewers: AtomicUsize,
    stopping: AtomicBool,
}

/// The place of one viewer; free again when it is dropped.
struct ViewerSlot<'a>(&'a Page);

impl Page {
    /// A slot, where one is free.
    fn claim_slot(&self) -> Option<ViewerSlot<'_>> {
        let free = |taken: usize| (taken < VIEWERS).then_some(taken + 1);
        // A slot that is made only to be dropped would free another's.
        self.viewers.fetch_update(AcqRel, Acquire, free).is_ok().then(|| ViewerSlot(self))
    }
}

impl ViewerSlot<'_> {
    fn page(&self) -> &Page {
        self.0
    }
}

impl Drop for ViewerSlot<'_> {
    fn drop(&mut self) {
        self.0.viewers.fetch_sub(1, AcqRel);
    }
}

/// What the page takes of memory, in bytes, for frames of so many pixels: its part of the heap, a stack for each thread, and
/// what the kernel may hold for each connection.
pub fn max_bytes(pixels: u64) -> u64 {
    // The kernel counts a socket's buffer twice, and so much again for what it receives.
    let connection = STACK + 4 * SEND_BUFFER;
    heap_bytes(pixels) + (CONNECTIONS * connection + STACK) as u64
}

/// The heap's part of [`max_bytes`]: two frames and one that is drawn over, its heat; the newest picture, the next one and the one
/// that each viewer still reads; and what each connection reads and answers.
pub fn heap_bytes(pixels: u64) -> u64 {
    let frames = (3 * 3 + 2) * pixels;
    let jpegs = (VIEWERS as u64 + 2) * jpeg_encoder::max_bytes(pixels as usize) as u64;
    // The end of a file of records, and as much again for what is made of it.
    let answer = request::LONGEST_HEAD as u64 + 2 * events::END;
    frames + jpegs + CONNECTIONS as u64 * answer
}
