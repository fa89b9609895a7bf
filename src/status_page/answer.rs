//! The answer to each request: from memory at once, or by a thread.

use super::access::COOKIE_NAME;
use super::login::login_page;
use super::metrics::metrics;
use super::page::PageState;
use super::request::HttpRequest;

/// The page; its script inserts all data as text.
const PAGE: &str = include_str!("page.html");

pub const HTML: &str = "text/html; charset=utf-8";
pub const TEXT: &str = "text/plain; charset=utf-8";
pub const JSON: &str = "application/json";

/// Who answers a request.
pub enum Route {
    /// Nobody has to: this is the whole answer.
    Answer(Vec<u8>),
    /// A thread: it may have to wait for a frame, a disk or the client.
    Serve(Endpoint),
}

/// What a thread answers; `body`: not to `HEAD`.
pub enum Endpoint {
    /// `/status.json`: reads the newest records.
    Status { body: bool },
    /// `/live.mjpeg`.
    Live,
    /// `/frame.jpg`.
    Frame { body: bool },
    /// `/events/NAME`.
    Picture { name: String, body: bool },
}

/// What a request gets. Does not wait and reads no file.
pub fn route(page: &PageState, request: &HttpRequest) -> Route {
    let body = match request.method.as_str() {
        "GET" => true,
        "HEAD" => false,
        _ => return Route::Answer(refuse(405, "only GET and HEAD are served here")),
    };
    let whole = |status, kind, more: &str, content: &[u8]| Route::Answer(answer(status, kind, more, content, body));
    // A token in the address is moved into a cookie, so that it is not visible.
    if request.path == "/"
        && let Some(token) = request.parameter("token")
        && page.access.is_token(token)
    {
        let cookie = format!(
            "Location: /\r\nSet-Cookie: {COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000\r\n"
        );
        return whole(303, TEXT, &cookie, b"");
    }
    if !page.access.allows(request) {
        let how = "WWW-Authenticate: Bearer realm=\"lineside\"\r\n";
        return match request.path.as_str() {
            "/" => whole(401, HTML, how, login_page().as_bytes()),
            _ => whole(401, TEXT, how, b"a token is needed (status_page.token)\n"),
        };
    }
    match request.path.as_str() {
        "/" => whole(200, HTML, "", PAGE.as_bytes()),
        "/healthz" => match page.status.now().problem() {
            None => whole(200, TEXT, "", b"ok\n"),
            Some(problem) => whole(503, TEXT, "", format!("{problem}\n").as_bytes()),
        },
        "/metrics" => {
            let text = metrics(page, &page.status.now());
            whole(200, "text/plain; version=0.0.4; charset=utf-8", "", text.as_bytes())
        }
        "/status.json" => Route::Serve(Endpoint::Status { body }),
        "/live.mjpeg" if body => Route::Serve(Endpoint::Live),
        "/live.mjpeg" => whole(200, "multipart/x-mixed-replace; boundary=frame", "", b""),
        "/frame.jpg" => Route::Serve(Endpoint::Frame { body }),
        path => match path.strip_prefix("/events/") {
            Some(name) => Route::Serve(Endpoint::Picture { name: name.into(), body }),
            None => Route::Answer(refuse(404, "there is no such page")),
        },
    }
}

/// A whole answer that is one line of text.
pub fn refuse(status: u16, text: &str) -> Vec<u8> {
    let more = if status == 503 { "Retry-After: 5\r\n" } else { "" };
    answer(status, TEXT, more, format!("{text}\n").as_bytes(), true)
}

/// A whole answer.
pub fn answer(status: u16, kind: &str, more: &str, content: &[u8], body: bool) -> Vec<u8> {
    let mut bytes = head(status, kind, more, Some(content.len() as u64)).into_bytes();
    if body {
        bytes.extend_from_slice(content);
    }
    bytes
}

/// The head of an answer. Each connection serves one request. The policy keeps a page from loading or running anything else.
pub fn head(status: u16, kind: &str, more: &str, length: Option<u64>) -> String {
    let reason = match status {
        200 => "OK",
        303 => "See Other",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
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
