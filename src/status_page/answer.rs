//! The answer to each request.

use super::access::COOKIE_NAME;
use super::connection::{ANSWER_TIMEOUT, Connection, FRAME_TIMEOUT};
use super::events::open_picture;
use super::limits::VIEWERS;
use super::login::login_page;
use super::metrics::metrics;
use super::page::{PageState, ViewerSlot};
use super::request::{HttpRequest, RequestError};
use super::status::status;
use crate::times::BEAT;
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// The page; its script inserts all data as text.
const PAGE: &str = include_str!("page.html");
/// How long `/frame.jpg` waits for a frame.
const SINGLE_TIMEOUT: Duration = Duration::from_secs(2);
/// The oldest frame that a new viewer gets at once.
const FIRST_MAX_AGE: Duration = Duration::from_millis(500);

/// The head of each frame of the live view. A browser shows a frame only when it has received the head of the next, which is
/// therefore sent at once after each frame, and so without a length.
const PART: &str = "--frame\r\nContent-Type: image/jpeg\r\n\r\n";

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Reads a request and answers it; returns when the connection is closed.
pub fn serve(page: &PageState, mut connection: Connection) {
    let answered = match HttpRequest::read(&mut connection) {
        Ok(request) => answer(page, &request, &mut connection),
        Err(RequestError::Bad(status, reason)) => {
            connection.set_timeout(ANSWER_TIMEOUT);
            plain(&mut connection, status, reason)
        }
        Err(RequestError::Gone) => return,
    };
    // A client that is gone or reads too slowly is disconnected at once.
    if answered.is_ok() {
        connection.finish();
    }
}

fn answer(page: &PageState, request: &HttpRequest, connection: &mut Connection) -> io::Result<()> {
    connection.set_timeout(ANSWER_TIMEOUT);
    let body = match request.method.as_str() {
        "GET" => true,
        "HEAD" => false,
        _ => return plain(connection, 405, "only GET and HEAD are served here"),
    };
    // A token in the address is moved into a cookie, so that it is not visible.
    if request.path == "/"
        && let Some(token) = request.parameter("token")
        && page.access.is_token(token)
    {
        let cookie = format!(
            "Location: /\r\nSet-Cookie: {COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000\r\n"
        );
        return send(connection, 303, TEXT, &cookie, b"", true);
    }
    if !page.access.allows(request) {
        let how = "WWW-Authenticate: Bearer realm=\"lineside\"\r\n";
        return match request.path.as_str() {
            "/" => send(connection, 401, HTML, how, login_page().as_bytes(), body),
            _ => send(connection, 401, TEXT, how, b"a token is needed (status_page.token)\n", body),
        };
    }
    match request.path.as_str() {
        "/" => send(connection, 200, HTML, "", PAGE.as_bytes(), body),
        "/status.json" => {
            let status = status(page, &page.status.now());
            send(connection, 200, JSON, "", status.to_string().as_bytes(), body)
        }
        "/healthz" => match page.status.now().problem() {
            None => send(connection, 200, TEXT, "", b"ok\n", body),
            Some(problem) => send(connection, 503, TEXT, "", format!("{problem}\n").as_bytes(), body),
        },
        "/metrics" => {
            let text = metrics(page, &page.status.now());
            send(connection, 200, "text/plain; version=0.0.4; charset=utf-8", "", text.as_bytes(), body)
        }
        "/live.mjpeg" => match page.claim_viewer_slot() {
            Some(slot) if body => stream(&slot, connection),
            Some(_) => send(connection, 200, "multipart/x-mixed-replace; boundary=frame", "", b"", false),
            None => full(connection, body),
        },
        "/frame.jpg" => match page.claim_viewer_slot() {
            Some(slot) => single(&slot, connection, body),
            None => full(connection, body),
        },
        path => match path.strip_prefix("/events/") {
            Some(name) => picture(page, name, connection, body),
            None => plain(connection, 404, "there is no such page"),
        },
    }
}

/// Sends frames until the viewer disconnects or falls behind for too long, or the run ends.
fn stream(slot: &ViewerSlot, connection: &mut Connection) -> io::Result<()> {
    let head = head(200, "multipart/x-mixed-replace; boundary=frame", "", None);
    connection.write_all(format!("{head}{PART}").as_bytes())?;
    let page = slot.page();
    let mut seen = page.latest.start_after(FIRST_MAX_AGE);
    while !page.is_stopping() {
        let Some(frame) = page.latest.newer(seen, BEAT) else { continue };
        seen = frame.number;
        connection.set_timeout(FRAME_TIMEOUT);
        connection.write_all(&frame.jpeg)?;
        connection.write_all(format!("\r\n{PART}").as_bytes())?;
    }
    Ok(())
}

fn single(slot: &ViewerSlot, connection: &mut Connection, body: bool) -> io::Result<()> {
    let page = slot.page();
    let (seen, until) = (page.latest.start_after(FIRST_MAX_AGE), Instant::now() + SINGLE_TIMEOUT);
    while !page.is_stopping() && Instant::now() < until {
        if let Some(frame) = page.latest.newer(seen, BEAT) {
            return send(connection, 200, "image/jpeg", "", &frame.jpeg, body);
        }
    }
    plain(connection, 503, "no frame was inspected in the last two seconds")
}

fn full(connection: &mut Connection, body: bool) -> io::Result<()> {
    let text = format!("there are {VIEWERS} viewers already\n");
    send(connection, 503, TEXT, "Retry-After: 10\r\n", text.as_bytes(), body)
}

fn picture(page: &PageState, name: &str, connection: &mut Connection, body: bool) -> io::Result<()> {
    let Some((file, length)) = open_picture(page.events.folder(), name) else {
        return plain(connection, 404, "there is no such image");
    };
    // An image never changes under its name.
    let head = head(200, "image/png", "", Some(length)).replace("no-store", "private, max-age=86400, immutable");
    connection.write_all(head.as_bytes())?;
    let (mut file, mut bytes) = (file.take(if body { length } else { 0 }), [0; 16 << 10]);
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(()),
            read => connection.write_all(&bytes[..read])?,
        }
    }
}

fn plain(connection: &mut Connection, status: u16, text: &str) -> io::Result<()> {
    send(connection, status, TEXT, "", format!("{text}\n").as_bytes(), true)
}

fn send(c: &mut Connection, status: u16, kind: &str, more: &str, content: &[u8], body: bool) -> io::Result<()> {
    c.write_all(head(status, kind, more, Some(content.len() as u64)).as_bytes())?;
    if body { c.write_all(content) } else { Ok(()) }
}

/// The head of an answer. Each connection serves one request. The policy keeps a page from loading or running anything else.
fn head(status: u16, kind: &str, more: &str, length: Option<u64>) -> String {
    let reason = match status {
        200 => "OK",
        303 => "See Other",
        400 => "Bad HttpRequest",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "HttpRequest Timeout",
        431 => "HttpRequest Header Fields Too Large",
        _ => "Service Unavailable",
    };
    let length = length.map_or_else(String::new, |length| format!("Content-Length: {length}\r\n"));
    format!(
        "HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: {kind}\r\n{length}{more}Cache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\r\n"
    )
}
