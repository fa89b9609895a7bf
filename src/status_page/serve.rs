//! Answers that may wait for a frame, a disk or the client: each in a thread of its own.

use super::answer::Endpoint;
use super::command::serve_command;
use super::connection::{Connection, FRAME_TIMEOUT};
use super::control::{serve_counts, serve_marks};
use super::events::open_picture;
use super::history::EventQuery;
use super::judge::serve_judge;
use super::limits::VIEWERS;
use super::page::{PageState, ViewerSlot};
use super::response::{JSON, JSON_LINES, TEXT, answer, head, refuse};
use super::status::status;
use super::teach_request::{serve_teaching, serve_teaching_state};
use super::teaching::open_scores;
use super::versions::{home_of, serve_version, serve_versions};
use crate::escape;
use crate::times::BEAT;
use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant};

/// How long `/frame.jpg` waits for a frame.
const SINGLE_TIMEOUT: Duration = Duration::from_secs(2);
/// The oldest frame that a new viewer gets at once.
const FIRST_MAX_AGE: Duration = Duration::from_millis(500);

/// The head of each frame of the live view. A browser shows a frame only when it has received the head of the next, which is
/// therefore sent at once after each frame, and so without a length.
const PART: &str = "--frame\r\nContent-Type: image/jpeg\r\n\r\n";

/// Answers a request; returns when the connection is closed.
pub fn serve(page: &PageState, endpoint: Endpoint, mut connection: Connection) {
    let client = &mut connection;
    let answered = match endpoint {
        Endpoint::Status { role } => {
            let status = status(page, &page.status.now(), role);
            client.write_all(&answer(200, JSON, "", escape::json(&status.to_string()).as_bytes()))
        }
        Endpoint::Live => match page.claim_viewer_slot() {
            Some(slot) => stream(&slot, client),
            None => full(client),
        },
        Endpoint::Frame => match page.claim_viewer_slot() {
            Some(slot) => single(&slot, client),
            None => full(client),
        },
        Endpoint::Events { query } => events(page, &query, client),
        Endpoint::Picture { name } => picture(page, &name, client),
        Endpoint::Static { kind, content } => client
            .write_all(head(200, kind, "", Some(content.len() as u64)).as_bytes())
            .and_then(|()| client.write_all(content.as_bytes())),
        Endpoint::MarkCounts { role } => serve_counts(page.control.as_ref(), role, client),
        Endpoint::Versions { role } => serve_versions(page, role, client),
        Endpoint::Version(request) => serve_version(page, request, client),
        Endpoint::TeachingState { role } => serve_teaching_state(page, role, client),
        Endpoint::Teaching(request) => serve_teaching(page, request, client),
        Endpoint::Scores { version } => scores(page, &version, client),
        Endpoint::Command(request) => serve_command(&page.line.commands, request, client),
        Endpoint::Marks(request) => serve_marks(page.control.as_ref(), request, client),
        Endpoint::Judge(request) => serve_judge(page.judging.as_ref(), request, client, &|| page.is_stopping()),
    };
    // A client that is gone or reads too slowly is disconnected at once.
    if answered.is_ok() {
        connection.finish();
    }
}

/// Sends frames until the viewer disconnects or falls behind for too long, or the run ends.
fn stream(slot: &ViewerSlot, connection: &mut Connection) -> io::Result<()> {
    let head = head(200, "multipart/x-mixed-replace; boundary=frame", "", None);
    connection.write_all(format!("{head}{PART}").as_bytes())?;
    let page = slot.page();
    let mut seen = page.latest.start_after(FIRST_MAX_AGE);
    while !page.is_stopping() {
        // While no frame comes, nothing is written that could fail.
        if connection.is_hung_up() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        let Some(frame) = page.latest.newer(seen, BEAT) else { continue };
        seen = frame.number;
        connection.set_timeout(FRAME_TIMEOUT);
        connection.write_all(&frame.jpeg)?;
        connection.write_all(format!("\r\n{PART}").as_bytes())?;
    }
    Ok(())
}

fn single(slot: &ViewerSlot, connection: &mut Connection) -> io::Result<()> {
    let page = slot.page();
    let (seen, until) = (page.latest.start_after(FIRST_MAX_AGE), Instant::now() + SINGLE_TIMEOUT);
    while !page.is_stopping() && Instant::now() < until {
        if let Some(frame) = page.latest.newer(seen, BEAT) {
            connection.write_all(head(200, "image/jpeg", "", Some(frame.jpeg.len() as u64)).as_bytes())?;
            return connection.write_all(&frame.jpeg);
        }
    }
    connection.write_all(&refuse(503, "no frame was inspected in the last two seconds"))
}

fn full(connection: &mut Connection) -> io::Result<()> {
    let text = format!("there are {VIEWERS} viewers already\n");
    connection.write_all(&answer(503, TEXT, "Retry-After: 10\r\n", text.as_bytes()))
}

fn events(page: &PageState, query: &EventQuery, connection: &mut Connection) -> io::Result<()> {
    let found =
        match page.history.find(page.events.folder(), page.control.as_ref().map(|control| &control.marks), query) {
            Some(found) => answer(200, JSON, "", escape::json(&found).as_bytes()),
            None => refuse(
                410,
                "these records were deleted since to stay within output.records: begin again without `before`",
            ),
        };
    connection.write_all(&found)
}

fn picture(page: &PageState, name: &str, connection: &mut Connection) -> io::Result<()> {
    let of_mark = || {
        let (folder, name) = page.control.as_ref()?.marks.place_of(name)?;
        open_picture(&folder, name)
    };
    let Some((file, length)) = open_picture(page.events.folder(), name).or_else(of_mark) else {
        return connection.write_all(&refuse(404, "there is no such image"));
    };
    // An image never changes under its name.
    let head = head(200, "image/png", "", Some(length)).replace("no-store", "private, max-age=86400, immutable");
    connection.write_all(head.as_bytes())?;
    copy(file.take(length), connection)
}

fn scores(page: &PageState, version: &str, connection: &mut Connection) -> io::Result<()> {
    let opened = home_of(&page.line.bundle).and_then(|home| {
        let blame = |error| (500, format!("{}: the scores cannot be read: {error}", home.folder().display()));
        open_scores(&home, version).map_err(blame)
    });
    let (file, length) = match opened {
        Ok(Some(opened)) => opened,
        Ok(None) => {
            let problem = "this version has judged no marked frames: have it do so by POST /teaching";
            return connection.write_all(&refuse(404, problem));
        }
        Err((status, problem)) => return connection.write_all(&refuse(status, &escape::one_line(&problem))),
    };
    connection.write_all(head(200, JSON_LINES, "", Some(length)).as_bytes())?;
    copy(file.take(length), connection)
}

/// Sends a file piece by piece.
fn copy(mut file: impl Read, connection: &mut Connection) -> io::Result<()> {
    let mut bytes = [0; 16 << 10];
    while connection.wants_more() {
        match file.read(&mut bytes)? {
            0 => break,
            read => connection.write_all(&bytes[..read])?,
        }
    }
    Ok(())
}
