//! What may be changed from outside, and `/marks`: what people say of frames. Only whoever has the right to teach may change something; each change, and each try without the
//! right, is a record with who and what.

use super::access::PageRole;
use super::connection::{ANSWER_TIMEOUT, Connection};
use super::posted::{PostedBody, parse_json};
use super::request::HttpRequest;
use super::response::{JSON, TEXT, answer, refuse};
use super::teaching::Teaching;
use crate::escape;
use crate::sink::{FrameMark, MarkError, Marks};
use crate::storage;
use crate::telemetry::{Record, Telemetry};
use log::Level;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The version of this program, which pages and this server share.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The most frames that one request marks.
pub const MOST_FILES: usize = 10_000;
/// The longest body, in bytes.
const BODY_LIMIT: u64 = 1 << 20;
/// Upper bound of the memory of control, in bytes: one body, and what is parsed of it; the marks of a request that changes and of one that
/// counts them.
pub const CONTROL_BYTES: u64 = 4 * BODY_LIMIT + 2 * crate::sink::MARKS_BYTES;
/// Tries without a right are recorded once in this time, with their number.
const QUIET: Duration = Duration::from_secs(10);

/// What may be changed from outside.
pub struct Control {
    /// The marks of the line's folder.
    pub marks: Marks,
    /// Teaching, where that is done here.
    pub teaching: Option<Teaching>,
    /// Held while a request is read and done: one at a time.
    changing: Mutex<()>,
    refused: Mutex<Refused>,
    telemetry: Telemetry,
}

/// Tries without a right since the last record.
#[derive(Default)]
struct Refused {
    count: u64,
    recorded: Option<Instant>,
}

/// A request to mark frames whose body is to be read.
pub struct MarkRequest {
    body: PostedBody,
    role: PageRole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkBody {
    files: Vec<String>,
    mark: String,
    kind: Option<String>,
}

/// Whether a client may change something.
///
/// # Errors
/// The status and the reason to answer with: 403 without the right, 409 where its page is of another version.
pub fn check_right(request: &HttpRequest, role: PageRole) -> Result<(), (u16, String)> {
    if role == PageRole::View {
        return Err((403, "this token may look and not change: use that of status_page.teach_token".into()));
    }
    // Before anything is read: an old page must not learn of its age by a strange refusal.
    if !request.version.is_empty() && request.version != VERSION {
        return Err((409, "this line was updated: reload the page".into()));
    }
    // A page of another site cannot set this header, nor one for a token.
    if request.version.is_empty() && request.authorization.is_empty() {
        let problem = format!("without a token in Authorization the header Lineside-Version: {VERSION} is needed");
        return Err((403, problem));
    }
    Ok(())
}

impl MarkRequest {
    /// The request of a client who has the right to, whose body has begun.
    ///
    /// # Errors
    /// The status and the reason to answer with.
    pub fn accept(request: &HttpRequest, role: PageRole, begun: &[u8]) -> Result<MarkRequest, (u16, String)> {
        Ok(MarkRequest { body: PostedBody::accept_json(request, begun, BODY_LIMIT)?, role })
    }
}

impl Control {
    /// Control of a line that reports to `telemetry`.
    pub fn new(marks: Marks, teaching: Option<Teaching>, telemetry: Telemetry) -> Control {
        Control { marks, teaching, changing: Mutex::default(), refused: Mutex::default(), telemetry }
    }

    /// Begins a change, of which there is one at a time; `None`: another one has begun.
    pub fn begin_change(&self) -> Option<MutexGuard<'_, ()>> {
        match self.changing.try_lock() {
            Ok(alone) => Some(alone),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The same, waited for.
    pub fn wait_to_change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where faults are reported.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// The answer where another change has begun.
    pub fn busy() -> Vec<u8> {
        answer(503, TEXT, "Retry-After: 1\r\n", b"somebody else changes something now\n")
    }

    /// A record of a change.
    pub fn record(&self, kind: &'static str) -> Record {
        self.telemetry.info(kind)
    }

    /// Writes the record of a change.
    pub fn persist(&self, record: Record) {
        self.telemetry.log_and_persist(record);
    }

    /// Whether so many bytes can be written into a folder, and `output.keep_free` stays free.
    ///
    /// # Errors
    /// What to do where they cannot.
    pub fn require_room(&self, folder: &Path, bytes: u64) -> Result<(), String> {
        let free = storage::free_bytes(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let fits = free >= bytes.saturating_add(self.marks.keep_free());
        fits.then_some(()).ok_or_else(|| {
            format!("the disk is full: nothing was changed; free {bytes} bytes more than output.keep_free")
        })
    }

    /// Records that somebody tried without a right.
    pub fn record_refused(&self, what: &str, from: &str) {
        // Whoever holds the lock records at this moment.
        let Ok(mut refused) = self.refused.try_lock() else { return };
        refused.count += 1;
        if refused.recorded.is_none_or(|at| at.elapsed() >= QUIET) {
            let record = self.telemetry.record(Level::Warn, "command_refused").with("what", what).with("from", from);
            self.telemetry.log_and_persist(record.with("count", refused.count));
            *refused = Refused { count: 0, recorded: Some(Instant::now()) };
        }
    }
}

/// Answers how many frames have each mark, and what the client may do.
pub fn serve_counts(control: Option<&Control>, role: PageRole, connection: &mut Connection) -> io::Result<()> {
    let counts = control.map(|control| control.marks.counts()).transpose().map(Option::unwrap_or_default);
    let counts = match counts {
        Ok(counts) => counts,
        Err(error) => return connection.write_all(&refuse(500, &format!("the marks cannot be read: {error}"))),
    };
    let good = counts.get(&FrameMark::Good).copied().unwrap_or(0);
    let kinds = counts.into_iter().filter_map(|(mark, count)| match mark {
        FrameMark::Good => None,
        FrameMark::Defect(kind) => Some((kind, Value::from(count))),
    });
    let kinds: Map<String, Value> = kinds.collect();
    let may_mark = control.is_some() && role == PageRole::Teach;
    let folder = control.map(|control| control.marks.folder().display().to_string());
    let text = json!({ "version": VERSION, "may_mark": may_mark, "good": good, "defect": kinds, "folder": folder });
    connection.write_all(&answer(200, JSON, "", escape::json(&text.to_string()).as_bytes()))
}

/// Reads a request to mark frames, does so and answers.
pub fn serve_marks(control: Option<&Control>, request: MarkRequest, connection: &mut Connection) -> io::Result<()> {
    let Some(control) = control else { return connection.write_all(&refuse(404, "control is off")) };
    let Some(_alone) = control.begin_change() else { return connection.write_all(&Control::busy()) };
    let MarkRequest { body, role } = request;
    let from = connection.peer();
    let Some(body) = body.read(connection)? else { return Ok(()) };
    let outcome = mark(control, &body, role, &from);
    connection.set_timeout(ANSWER_TIMEOUT);
    connection.write_all(&match outcome {
        Ok(text) => answer(200, JSON, "", escape::json(&text).as_bytes()),
        Err((status, problem)) => refuse(status, &escape::one_line(&problem)),
    })
}

fn mark(control: &Control, body: &[u8], role: PageRole, from: &str) -> Result<String, (u16, String)> {
    let body: MarkBody = parse_json(body)?;
    let mark = match (body.mark.as_str(), &body.kind) {
        ("good", None) => Some(FrameMark::Good),
        ("none", None) => None,
        ("defect", Some(kind)) => Some(FrameMark::defect(kind).map_err(|error| (422, error.to_string()))?),
        _ => return Err((422, "mark must be \"good\", \"none\", or \"defect\" with a kind".into())),
    };
    if body.files.len() > MOST_FILES {
        return Err((413, format!("{} frames, more than {MOST_FILES}: send several requests", body.files.len())));
    }
    let marked = control.marks.mark(&body.files, mark.as_ref()).map_err(|error| {
        let status = match error {
            MarkError::Full => 507,
            MarkError::TooMany(_) => 409,
            MarkError::Kind | MarkError::NotAFrame(_) => 422,
            MarkError::Disk(_) => 500,
        };
        (status, error.to_string())
    })?;
    let kind = body.kind.as_deref();
    let record = control.telemetry.info("marked").with("role", role.word()).with("from", from);
    let record = record.with("mark", body.mark.as_str()).with_known("kind", kind).with("frames", marked.marked);
    control.telemetry.log_and_persist(record.with_known("first", body.files.first().map(String::as_str)));
    Ok(json!({ "marked": marked.marked, "missing": marked.missing }).to_string() + "\n")
}
