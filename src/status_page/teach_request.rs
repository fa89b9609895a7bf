//! `GET /teaching` and `POST /teaching`.

use super::access::PageRole;
use super::connection::{ANSWER_TIMEOUT, Connection};
use super::control::{Control, VERSION};
use super::line_controls::NewRole;
use super::page::PageState;
use super::posted::{PostedBody, parse_json};
use super::request::HttpRequest;
use super::response::{JSON, answer, refuse};
use super::teaching::{FramesFrom, MOST_FRAMES, PIXEL, Teaching, TeachingFolder, TeachingKind, TeachingOrder};
use super::versions::{home_of, outside};
use crate::bundle::VersionFacts;
use crate::escape;
use crate::sink::FrameMark;
use crate::task::anomaly::teach::CACHE_BYTES;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;

/// The longest body, in bytes.
const BODY_LIMIT: u64 = 1024;
/// The most bytes of what a version finds of the marked frames.
const SCORES_BYTES: u64 = 16 << 20;
/// Why nothing can be taught, where that is so.
const OFF: &str = "set status_page.teach_memory, what a job may take: bundles are taught here only with that";
const NOT_TAUGHT: &str =
    "only a bundle that lineside teach made can be taught again here: one of another network learns from no frame";

/// A request to begin or cancel a job, whose body is to be read.
pub struct TeachingRequest {
    body: PostedBody,
    role: PageRole,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum TeachingCommand {
    Start {
        of: String,
        what: TeachingKind,
        frames: FramesFrom,
        role: NewRole,
        count: Option<u64>,
        every_s: Option<f64>,
    },
    /// A version judges the marked frames.
    Judge {
        version: String,
    },
    Cancel,
}

impl TeachingRequest {
    /// The request of a client who has the right to, whose body has begun.
    ///
    /// # Errors
    /// The status and the reason to answer with.
    pub fn accept(request: &HttpRequest, role: PageRole, begun: &[u8]) -> Result<TeachingRequest, (u16, String)> {
        Ok(TeachingRequest { body: PostedBody::accept_json(request, begun, BODY_LIMIT)?, role })
    }
}

/// Answers what can be taught, and how far the newest job is.
pub fn serve_teaching_state(page: &PageState, role: PageRole, connection: &mut Connection) -> io::Result<()> {
    connection.write_all(&match state(page, role) {
        Ok(state) => answer(200, JSON, "", escape::json(&state.to_string()).as_bytes()),
        Err((status, problem)) => refuse(status, &escape::one_line(&problem)),
    })
}

fn state(page: &PageState, role: PageRole) -> Result<Value, (u16, String)> {
    let teaching = page.control.as_ref().and_then(|control| control.teaching.as_ref());
    let home = home_of(&page.line.bundle).ok();
    let problem = obstacle(page);
    let marked = page.control.as_ref().map(good_frames).transpose()?;
    Ok(json!({
        "program": VERSION,
        "started": page.facts.started,
        "may_teach": teaching.is_some() && role == PageRole::Teach,
        "problem": problem.map(|(_, problem)| problem),
        "judge_problem": judge_obstacle(page).map(|(_, problem)| problem),
        "home": home.as_ref().map(|home| home.name()),
        "active": home.as_ref().map(|home| home.state().active.as_str()),
        "marked_good": marked,
        "least": { "teach": TeachingKind::Teach.least(), "recalibrate": TeachingKind::Recalibrate.least() },
        "most": MOST_FRAMES,
        "memory_bytes": teaching.map(|teaching| teaching.memory),
        "job": teaching.and_then(|teaching| teaching.newest.report()),
    }))
}

fn good_frames(control: &Control) -> Result<usize, (u16, String)> {
    let counts = control.marks.counts().map_err(|error| (500, format!("the marks cannot be read: {error}")))?;
    Ok(counts.get(&FrameMark::Good).copied().unwrap_or(0))
}

/// Why nothing can be taught here, where that is so: the status and the reason to answer with.
fn obstacle(page: &PageState) -> Option<(u16, String)> {
    let line = &page.line.bundle;
    if page.control.as_ref().is_none_or(|control| control.teaching.is_none()) {
        return Some((404, OFF.into()));
    }
    let place = match &line.place {
        Ok(place) => place,
        Err(problem) => return Some((409, problem.clone())),
    };
    let home = match home_of(line) {
        Ok(home) => home,
        // What the bundle is comes first: to install one that cannot be taught would help nobody.
        Err((409, _)) if VersionFacts::read(place).is_ok_and(|facts| facts.threshold.is_none()) => {
            return Some((409, NOT_TAUGHT.into()));
        }
        Err((409, _)) => return Some((409, outside(place))),
        Err(error) => return Some(error),
    };
    match home.facts(&home.state().active) {
        Err(error) => Some((500, error.to_string())),
        Ok(facts) if facts.threshold.is_none() => Some((409, NOT_TAUGHT.into())),
        Ok(_) => line.unsigned.map(|problem| (409, problem.into())),
    }
}

/// Why no version can judge the marked frames here, where that is so: the status and the reason to answer with.
fn judge_obstacle(page: &PageState) -> Option<(u16, String)> {
    if page.control.as_ref().is_none_or(|control| control.teaching.is_none()) {
        return Some((404, OFF.into()));
    }
    home_of(&page.line.bundle).err()
}

/// Reads a request to begin or cancel a job, does so, and answers as [`serve_teaching_state`].
pub fn serve_teaching(page: &PageState, request: TeachingRequest, connection: &mut Connection) -> io::Result<()> {
    let Some(control) = &page.control else { return connection.write_all(&refuse(404, "control is off")) };
    let Some(_alone) = control.begin_change() else { return connection.write_all(&Control::busy()) };
    let TeachingRequest { body, role } = request;
    let Some(body) = body.read(connection)? else { return Ok(()) };
    let outcome = command(page, control, &body, role, &connection.peer());
    connection.set_timeout(ANSWER_TIMEOUT);
    match outcome {
        Ok(()) => serve_teaching_state(page, role, connection),
        Err((status, problem)) => connection.write_all(&refuse(status, &escape::one_line(&problem))),
    }
}

fn command(page: &PageState, control: &Control, body: &[u8], role: PageRole, from: &str) -> Result<(), (u16, String)> {
    let command: TeachingCommand = parse_json(body)?;
    let Some(teaching) = &control.teaching else { return Err((404, OFF.into())) };
    match command {
        TeachingCommand::Cancel => {
            let is_cancelled = teaching.cancel(from);
            is_cancelled.then_some(()).ok_or_else(|| (409, "nothing is taught now".into()))
        }
        TeachingCommand::Start { of, what, frames, role: as_role, count, every_s } => {
            let (count, every) = (count.unwrap_or(100), every_s.unwrap_or(1.0));
            let order = TeachingOrder { what, frames, count, every, role: Some(as_role), of };
            begin(page, control, teaching, order, (role, from))
        }
        TeachingCommand::Judge { version } => {
            let (what, frames) = (TeachingKind::Judge, FramesFrom::Marks);
            let order = TeachingOrder { what, frames, count: 0, every: 0.0, role: None, of: version };
            begin(page, control, teaching, order, (role, from))
        }
    }
}

fn begin(
    page: &PageState,
    control: &Control,
    teaching: &Teaching,
    order: TeachingOrder,
    (role, from): (PageRole, &str),
) -> Result<(), (u16, String)> {
    if let Some(fault) = order.fault() {
        return Err((422, fault));
    }
    let obstacle = if order.role.is_some() { obstacle(page) } else { judge_obstacle(page) };
    if let Some(obstacle) = obstacle {
        return Err(obstacle);
    }
    if order.role.is_some() {
        (page.line.check)()
            .map_err(|problem| (409, format!("the line could not take a new version now: {problem}")))?;
    }
    let home = home_of(&page.line.bundle)?;
    if order.role.is_none() && !home.state().versions().any(|version| *version == order.of) {
        return Err((409, "there is no such version: look again".into()));
    }
    if order.role.is_some() && home.state().active != order.of {
        return Err((409, "another version is the active one by now: look again".into()));
    }
    let frames = match order.frames {
        FramesFrom::Camera => order.count as usize,
        FramesFrom::Marks => good_frames(control)?,
    };
    let (what, least) = (order.what.word(), order.what.least());
    if frames < least && order.role.is_none() {
        return Err((422, "no frame is marked good: mark some on the review page".into()));
    }
    if frames < least {
        let problem = format!("{frames} frames are marked good: to {what} at least {least} are needed, 30 are better");
        return Err((422, problem));
    }
    control
        .require_room(home.folder(), bytes_of(&order, home.version_bytes(&order.of), page))
        .map_err(|problem| (507, problem))?;
    let busy = || (409, "something is taught already: wait for it, or cancel it".to_string());
    let scratch = TeachingFolder::claim(home.folder()).map_err(|error| {
        let status = if crate::sink::is_full(&error) { 507 } else { 500 };
        (status, format!("{}: {error}", home.folder().display()))
    })?;
    let scratch = scratch.ok_or_else(busy)?;
    let record = control.record("teaching_begun").with("role", role.word()).with("from", from).with("what", what);
    let record = record.with("with", order.frames.word()).with("frames", frames);
    let record = record.with_known("as", order.role.map(NewRole::word));
    let record = record.with("bundle", home.name()).with("of", order.of.as_str());
    if !teaching.begin(order, scratch) {
        return Err(busy());
    }
    control.persist(record);
    Ok(())
}

/// The most bytes that a job takes of the disk: the frames, what is computed of them, and the new bundle twice; or the scores.
fn bytes_of(order: &TeachingOrder, version: u64, page: &PageState) -> u64 {
    let frames = match order.frames {
        FramesFrom::Camera => order.count * PIXEL * page.line.pixels,
        FramesFrom::Marks => 0,
    };
    match order.what {
        TeachingKind::Teach => frames + CACHE_BYTES as u64 + 2 * version,
        TeachingKind::Recalibrate => frames + 2 * version,
        TeachingKind::Judge => SCORES_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_understood_or_refused() {
        let parse = |text: &str| parse_json::<TeachingCommand>(text.as_bytes()).is_ok();
        let start = r#"{"do":"start","of":"ab","what":"recalibrate","frames":"marks","role":"shadow""#;
        assert!(parse(&format!("{start}}}")) && parse(r#"{"do":"cancel"}"#));
        assert!(parse(r#"{"do":"judge","version":"ab"}"#) && !parse(r#"{"do":"judge"}"#));
        assert!(parse(
            r#"{"do":"start","of":"ab","what":"teach","frames":"camera","role":"active","count":50,"every_s":0.5}"#
        ));
        for text in [
            "{}".to_string(),
            format!("{start},\"more\":1}}"),
            format!("{start},\"count\":-1}}"),
            start.replace("marks", "disk") + "}",
            start.replace("recalibrate", "forget") + "}",
            r#"{"do":"start","of":"ab"}"#.into(),
        ] {
            assert!(!parse(&text), "{text}");
        }
    }

    #[test]
    fn numbers_of_the_camera_are_checked() {
        let order = |frames, count, every| {
            let (what, role) = (TeachingKind::Teach, NewRole::Shadow);
            TeachingOrder { what, frames, count, every, role: Some(role), of: String::new() }.fault()
        };
        assert_eq!(order(FramesFrom::Camera, 10, 0.0), None);
        assert_eq!(order(FramesFrom::Marks, 0, -1.0), None);
        assert!(order(FramesFrom::Camera, 9, 1.0).unwrap().contains("count must lie in 10..500, found 9"));
        assert!(order(FramesFrom::Camera, 501, 1.0).is_some() && order(FramesFrom::Camera, 50, f64::NAN).is_some());
        assert!(order(FramesFrom::Camera, 50, 61.0).unwrap().contains("every_s must lie in 0..60, found 61"));
    }
}
