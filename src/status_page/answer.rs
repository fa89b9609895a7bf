//! The answer to each request: from memory at once, or by a thread.

use super::access::{COOKIE_NAME, PageRole};
use super::command::CommandRequest;
use super::control::{MarkRequest, check_right};
use super::history::EventQuery;
use super::judge::JudgeRequest;
use super::login::login_page;
use super::metrics::metrics;
use super::page::PageState;
use super::request::HttpRequest;
use super::response::{HTML, JSON, TEXT, answer, head_length, refuse};
use super::teach_request::TeachingRequest;
use super::versions::VersionRequest;
use std::net::IpAddr;

/// The page; its script inserts all data as text.
const PAGE: &str = include_str!("page.html");
/// The other pages are of three files: what is seen, what their scripts have in common, and the script.
macro_rules! page {
    ($name:literal) => {
        concat!(
            include_str!(concat!($name, ".html")),
            "<script>\n",
            include_str!("ask.js"),
            include_str!(concat!($name, ".js")),
            "</script>\n</body>\n</html>\n"
        )
    };
}
/// The page on which frames are looked through and marked.
const REVIEW: &str = page!("review");
/// The page on which a threshold is compared and set.
const COMPARE: &str = page!("compare");
/// The page on which the bundle is taught.
const TEACH: &str = page!("teach");
/// What can be asked of this server, for programs: OpenAPI 3.1.
const OPENAPI: &str = include_str!("../../docs/openapi.json");

/// Who answers a request.
pub enum Route {
    /// Nobody has to: this is the whole answer.
    Answer(Vec<u8>),
    /// A thread: it may have to wait for a frame, a disk or the client.
    Serve(Endpoint),
}

/// What a thread answers.
pub enum Endpoint {
    /// `/status.json`: reads the newest records.
    Status { role: PageRole },
    /// `/live.mjpeg`.
    Live,
    /// `/frame.jpg`.
    Frame,
    /// `/events`: reads records, the newest first.
    Events { query: EventQuery },
    /// `/events/NAME`.
    Picture { name: String },
    /// What does not change, and is too long for an answer without a thread.
    Static { kind: &'static str, content: &'static str },
    /// `POST /judge`.
    Judge(JudgeRequest),
    /// `/marks`: counts them.
    MarkCounts { role: PageRole },
    /// `POST /marks`.
    Marks(MarkRequest),
    /// `/bundle`: which versions there are.
    Versions { role: PageRole },
    /// `POST /bundle`.
    Version(VersionRequest),
    /// `/teaching`: what can be taught, and how far the newest job is.
    TeachingState { role: PageRole },
    /// `POST /teaching`.
    Teaching(TeachingRequest),
    /// `/scores`: what a version found of the marked frames.
    Scores { version: String },
    /// `POST /product`, `POST /acknowledge`.
    Command(CommandRequest),
}

/// What a request gets, of whose body `begun` has arrived, from a client at an address. Does not wait and reads no file. Answers that a thread
/// gives to `HEAD` have to be cut after their head.
pub fn route(page: &PageState, request: &HttpRequest, begun: &[u8], peer: Option<IpAddr>) -> Route {
    match route_to(page, request, begun, peer) {
        Route::Answer(mut answer) if request.wants_head() => {
            answer.truncate(head_length(&answer));
            Route::Answer(answer)
        }
        route => route,
    }
}

fn route_to(page: &PageState, request: &HttpRequest, begun: &[u8], peer: Option<IpAddr>) -> Route {
    let allowed = methods(page, &request.path);
    match request.method.as_str() {
        "POST" if allowed.contains("POST") => return post(page, request, begun, peer),
        "GET" | "HEAD" if allowed.contains("GET") => {}
        // What is posted there is off, or all of it.
        "POST" if CHANGED.contains(&request.path.as_str()) => {
            return Route::Answer(refuse(404, "commands are taken with status_page.control = true only"));
        }
        _ if allowed.is_empty() => {
            let (what, key) = if request.path == "/judge" {
                ("pictures are judged", "judge")
            } else {
                ("commands are taken", "control")
            };
            return Route::Answer(refuse(404, &format!("{what} with status_page.{key} = true only")));
        }
        _ => {
            let (text, allow) = (format!("only {allowed} is served here\n"), format!("Allow: {allowed}\r\n"));
            return Route::Answer(answer(405, TEXT, &allow, text.as_bytes()));
        }
    }
    let whole = |status, kind, more: &str, content: &[u8]| Route::Answer(answer(status, kind, more, content));
    // A token in the address is moved into a cookie, so that it is not visible. Without a path the cookie is for the folder of the page:
    // behind a proxy several lines have one each.
    if request.path == "/"
        && let Some(token) = request.parameter("token")
        && page.access.is_token(token)
    {
        let secure = if page.tls.is_some() { "; Secure" } else { "" };
        let cookie = format!(
            "Location: ./\r\nSet-Cookie: {COOKIE_NAME}={token}; HttpOnly; SameSite=Strict{secure}; Max-Age=31536000\r\n"
        );
        return whole(303, TEXT, &cookie, b"");
    }
    let Some(role) = page.access.role(request) else {
        return match request.path.as_str() {
            _ if !page.access.has_token() => whole(403, TEXT, "", LOCAL_ONLY),
            "/" | "/review" | "/compare" | "/teach" => whole(401, HTML, CHALLENGE, login_page().as_bytes()),
            _ => whole(401, TEXT, CHALLENGE, TOKEN_NEEDED),
        };
    };
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
        "/status.json" => Route::Serve(Endpoint::Status { role }),
        "/live.mjpeg" if !request.wants_head() => Route::Serve(Endpoint::Live),
        "/live.mjpeg" => whole(200, "multipart/x-mixed-replace; boundary=frame", "", b""),
        "/frame.jpg" => Route::Serve(Endpoint::Frame),
        "/openapi.json" => Route::Serve(Endpoint::Static { kind: JSON, content: OPENAPI }),
        "/review" => Route::Serve(Endpoint::Static { kind: HTML, content: REVIEW }),
        "/compare" => Route::Serve(Endpoint::Static { kind: HTML, content: COMPARE }),
        "/teach" => Route::Serve(Endpoint::Static { kind: HTML, content: TEACH }),
        "/bundle" => Route::Serve(Endpoint::Versions { role }),
        "/teaching" => Route::Serve(Endpoint::TeachingState { role }),
        "/marks" => Route::Serve(Endpoint::MarkCounts { role }),
        "/scores" => match request.parameter("version") {
            Some(version) => Route::Serve(Endpoint::Scores { version: version.into() }),
            None => Route::Answer(refuse(400, "version is missing: /scores?version=ID")),
        },
        "/events" => match EventQuery::of(request) {
            Ok(query) => Route::Serve(Endpoint::Events { query }),
            Err(problem) => Route::Answer(refuse(400, &problem)),
        },
        path => match path.strip_prefix("/events/") {
            Some(name) => Route::Serve(Endpoint::Picture { name: name.into() }),
            None => Route::Answer(refuse(404, "there is no such page")),
        },
    }
}

/// What can be looked at, and with `status_page.control` changed.
const CHANGED: [&str; 3] = ["/marks", "/bundle", "/teaching"];

/// The methods of a path; none where what it is for is off.
fn methods(page: &PageState, path: &str) -> &'static str {
    match path {
        "/judge" if page.judging.is_some() => "POST",
        "/judge" => "",
        path if CHANGED.contains(&path) && page.control.is_some() => "GET, HEAD, POST",
        "/product" | "/acknowledge" if page.control.is_some() => "POST",
        "/product" | "/acknowledge" => "",
        _ => "GET, HEAD",
    }
}

/// What a request that posts something gets.
fn post(page: &PageState, request: &HttpRequest, begun: &[u8], peer: Option<IpAddr>) -> Route {
    let Some(role) = page.access.role(request) else {
        return Route::Answer(match page.access.has_token() {
            true => answer(401, TEXT, CHALLENGE, TOKEN_NEEDED),
            false => answer(403, TEXT, "", LOCAL_ONLY),
        });
    };
    let refused = |(status, problem): (u16, String)| Route::Answer(refuse(status, &problem));
    if let ("/judge", Some(queue)) = (request.path.as_str(), &page.judging) {
        return match JudgeRequest::accept(queue, request, begun) {
            Ok(accepted) => Route::Serve(Endpoint::Judge(accepted)),
            Err(refusal) => {
                queue.count_refused();
                refused(refusal)
            }
        };
    }
    let Some(control) = &page.control else { return Route::Answer(refuse(404, "there is no such page")) };
    let accepted = check_right(request, role).and_then(|()| match request.path.as_str() {
        "/product" => CommandRequest::product(request, begun).map(Endpoint::Command),
        "/acknowledge" => CommandRequest::acknowledge(request, begun).map(Endpoint::Command),
        "/bundle" => VersionRequest::accept(request, role, begun).map(Endpoint::Version),
        "/teaching" => TeachingRequest::accept(request, role, begun).map(Endpoint::Teaching),
        _ => MarkRequest::accept(request, role, begun).map(Endpoint::Marks),
    });
    accepted.map(Route::Serve).unwrap_or_else(|refusal| {
        if refusal.0 == 403 {
            let from = peer.map_or(String::new(), |peer| peer.to_string());
            control.record_refused(request.path.trim_start_matches('/'), &from);
        }
        refused(refusal)
    })
}

/// How to log in.
const CHALLENGE: &str = "WWW-Authenticate: Bearer realm=\"lineside\"\r\n";
const TOKEN_NEEDED: &[u8] = b"a token is needed (status_page.token)\n";
/// No token helps: there is none.
const LOCAL_ONLY: &[u8] =
    b"no token is set, so only this board is answered, as localhost or by an IP address: ask by one of these, or set \
status_page.token_file\n";
