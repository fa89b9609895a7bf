//! The state that the page's threads share.

use super::access::Access;
use super::control::Control;
use super::encoder::LatestImage;
use super::events::RecentEvents;
use super::history::History;
use super::judge::JudgeQueue;
use super::limits::VIEWERS;
use super::line_controls::LineControls;
use super::live::LiveFeed;
use super::status_cell::StatusCell;
use super::tls::ServerTls;
use crate::sink::part::Parts;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};

/// What does not change during a run.
pub struct RunFacts {
    /// The source, described for people.
    pub source: String,
    /// The camera's name, where the process has several.
    pub camera: Option<String>,
    /// The names of all cameras with a page, and the ports of these.
    pub pages: Vec<(String, u16)>,
    /// Name, version and fingerprint of each bundle.
    pub bundles: Vec<String>,
    /// `budget.memory`, in bytes.
    pub budget_bytes: u64,
    /// The planned memory use, in bytes.
    pub bill_bytes: u64,
    /// When the run began.
    pub started: jiff::Timestamp,
    /// The parts, where they get results.
    pub parts: Option<Arc<Parts>>,
}

/// Shared by all threads of the page.
pub struct PageState {
    pub facts: RunFacts,
    pub access: Access,
    pub live: Arc<LiveFeed>,
    pub status: StatusCell,
    pub latest: LatestImage,
    pub events: RecentEvents,
    pub history: History,
    /// With what connections are encrypted, where they are.
    pub tls: Option<ServerTls>,
    /// What may be changed of the line, where `control` is there.
    pub line: LineControls,
    /// What may be changed from outside, where something may.
    pub control: Option<Control>,
    /// The way to who judges posted pictures, where somebody does.
    pub judging: Option<JudgeQueue>,
    viewers: AtomicUsize,
    stopping: AtomicBool,
}

impl PageState {
    pub fn new(
        facts: RunFacts,
        access: Access,
        live: Arc<LiveFeed>,
        events: RecentEvents,
        (line, tls): (LineControls, Option<ServerTls>),
        judging: Option<JudgeQueue>,
        control: Option<Control>,
    ) -> PageState {
        PageState {
            facts,
            access,
            live,
            status: StatusCell::new(),
            latest: LatestImage::default(),
            events,
            history: History::default(),
            line,
            tls,
            judging,
            control,
            viewers: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        }
    }

    /// Makes the caller a viewer, unless there are [`VIEWERS`] already.
    pub fn claim_viewer_slot(&self) -> Option<ViewerSlot<'_>> {
        let one_more = |viewers: usize| (viewers < VIEWERS).then_some(viewers + 1);
        // Made only on success: dropping a slot counts down.
        self.viewers.fetch_update(AcqRel, Acquire, one_more).is_ok().then(|| ViewerSlot(self))
    }

    /// Viewers of the live view now.
    pub fn viewers(&self) -> usize {
        self.viewers.load(Relaxed)
    }

    /// Asks all threads to end.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
}

/// One of the [`VIEWERS`] places; free again when it is dropped.
pub struct ViewerSlot<'a>(&'a PageState);

impl ViewerSlot<'_> {
    pub fn page(&self) -> &PageState {
        self.0
    }
}

impl Drop for ViewerSlot<'_> {
    fn drop(&mut self) {
        self.0.viewers.fetch_sub(1, AcqRel);
    }
}
