//! What is answered to each path.

use super::access::COOKIE_NAME;
use super::connection::{ANSWER, Connection, PICTURE};
use super::events::open_picture;
use super::metrics::metrics;
use super::request::{HttpRequest, RequestError};
use super::status::status;
use super::{Page, ViewerSlot};
use crate::times::BEAT;
use std::io::{self, Read};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// The page, without anything from outside.
const PAGE: &str = include_str!("page.html");
/// For a browser that does not know the token.
const ENTER: &str = include_str!("enter.html");
/// How long a single picture is waited for, and how old it may be.
const SINGLE: Duration = Duration::from_secs(2);
/// How old a picture may be that a new viewer gets at once.
const FIRST: Duration = Duration::from_millis(500);

/// What stands before each picture of the live view. A browser shows one only when it has seen the head of the next, so that is
/// sent behind each picture at once, and cannot tell a length.
const PART: &str = "--frame\r\nContent-Type: image/jpeg\r\n\r\n";

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Reads a request and answers it; ends with the connection.
pub fn serve(page: &Page, mut connection: Connection) {
    let answered = match HttpRequest::read(&mut connection) {
        Ok(request) => answer(page, &request, &mut connection),
        Err(RequestError::Bad(status, reason)) => {
            connection.allow(ANSWER);
            plain(&mut connection, status, reason)
        }
        Err(RequestError::Gone) => return,
    };
    // Whoever went away or read too slowly has the connection cut.
    if answered.is_ok() {
        connection.finish();
    }
}

fn answer(page: &Page, request: &HttpRequest, connection: &mut Connection) -> io::Result<()> {
    connection.allow(ANSWER);
    let body = match request.method.as_str() {
        "GET" => true,
        "HEAD" => false,
        _ => return plain(connection, 405, "only GET and HEAD are served here"),
    };
    // The token in the address becomes a cookie, and goes out of sight.
    if request.path == "/"
        && let Some(token) = request.parameter("token")
        && page.access.knows(token)
    {
        let cookie = format!(
            "Location: /\r\nSet-Cookie: {COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000\r\n"
        );
        return send(connection, 303, TEXT, &cookie, b"", true);
    }
    if !page.access.allows(request) {
        let how = "WWW-Authenticate: Bearer realm=\"lineside\"\r\n";
        return match request.path.as_str() {
            "/" => send(connection, 401, HTML, how, ENTER.as_bytes(), body),
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
        "/live.mjpeg" => match page.claim_slot() {
            Some(slot) if body => stream(&slot, connection),
            Some(_) => send(connection, 200, "multipart/x-mixed-replace; boundary=frame", "", b"", false),
            None => full(connection, body),
        },
        "/frame.jpg" => match page.claim_slot() {
            Some(slot) => single(&slot, connection, body),
            None => full(connection, body),
        },
        path => match path.strip_prefix("/events/") {
            Some(name) => picture(page, name, connection, body),
            None => plain(connection, 404, "there is no such page"),
        },
    }
}

/// Pictures as they come, until the viewer goes, falls behind for too long, or the run ends.
fn stream(slot: &ViewerSlot, connection: &mut Connection) -> io::Result<()> {
    let head = head(200, "multipart/x-mixed-replace; boundary=frame", "", None);
    connection.write_all(format!("{head}{PART}").as_bytes())?;
    let page = slot.page();
    let mut seen = page.latest.too_old(FIRST);
    while !page.stopping.load(Relaxed) {
        let Some(encoded) = page.latest.newer(seen, BEAT) else { continue };
        seen = encoded.number;
        connection.allow(PICTURE);
        connection.write_all(&encoded.jpeg)?;
        connection.write_all(format!("\r\n{PART}").as_bytes())?;
    }
    Ok(())
}

fn single(slot: &ViewerSlot, connection: &mut Connection, body: bool) -> io::Result<()> {
    let page = slot.page();
    let (seen, until) = (page.latest.too_old(FIRST), Instant::now() + SINGLE);
    while !page.stopping.load(Relaxed) && Instant::now() < until {
        if let Some(encoded) = page.latest.newer(seen, BEAT) {
            return send(connection, 200, "image/jpeg", "", &encoded.jpeg, body);
        }
    }
    plain(connection, 503, "no frame was judged in the last two seconds")
}

fn full(connection: &mut Connection, body: bool) -> io::Result<()> {
    let text = format!("{} viewers look already\n", super::VIEWERS);
    send(connection, 503, TEXT, "Retry-After: 10\r\n", text.as_bytes(), body)
}

fn picture(page: &Page, name: &str, connection: &mut Connection, body: bool) -> io::Result<()> {
    let Some((file, length)) = open_picture(page.events.folder(), name) else {
        return plain(connection, 404, "there is no such picture");
    };
    // A picture never changes under its name.
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

/// The head of an answer. Each connection has one, and a page may load and run nothing but what is in it.
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
