//! What a client posts: who may, how long it may be, and reading it.

use super::connection::{BODY_TIMEOUT, Connection, HEAD_TIMEOUT};
use super::request::{BodyLength, HttpRequest};
use super::response::{JSON, refuse};
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind};

/// A body that is to be read.
pub struct PostedBody {
    /// Its length in bytes.
    length: usize,
    /// What of it came with the head.
    begun: Vec<u8>,
    expects_continue: bool,
}

impl PostedBody {
    /// The body of a request, of at most `most` bytes.
    ///
    /// # Errors
    /// The status and the reason to answer with: 400 without one, 411 where its length is not stated, 413 where it is too long, 403 where
    /// another site's page sent it.
    pub fn accept(request: &HttpRequest, begun: &[u8], most: u64) -> Result<PostedBody, (u16, String)> {
        PostedBody::refuse_other_sites(request)?;
        let length = match request.body {
            BodyLength::Bytes(0) => return Err((400, "the body is empty".into())),
            BodyLength::Bytes(length) => length,
            BodyLength::Unstated | BodyLength::Chunked => {
                return Err((411, "state Content-Length: bodies of unknown length are not read".into()));
            }
        };
        let length = usize::try_from(length).ok().filter(|_| length <= most);
        let length = length.ok_or_else(|| (413, format!("the body is longer than {most} bytes")))?;
        Ok(PostedBody { length, begun: begun.to_vec(), expects_continue: request.expects_continue })
    }

    /// Refuses what another site's page sends, with or without a body.
    ///
    /// # Errors
    /// 403 and the reason to answer with.
    pub fn refuse_other_sites(request: &HttpRequest) -> Result<(), (u16, String)> {
        let problem = "a page of another site asks: only this line's own pages and programs may";
        if is_of_another_site(request) { Err((403, problem.into())) } else { Ok(()) }
    }

    /// The same of a body of JSON.
    ///
    /// # Errors
    /// As [`PostedBody::accept`], and 415 where it is of another kind.
    pub fn accept_json(request: &HttpRequest, begun: &[u8], most: u64) -> Result<PostedBody, (u16, String)> {
        let kind = request.content_type.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(JSON) {
            return Err((415, "the body must be JSON: Content-Type application/json".into()));
        }
        PostedBody::accept(request, begun, most)
    }

    /// Reads it; `None` where it did not come in time (408) or has no room (503), which was answered.
    ///
    /// # Errors
    /// Of the socket.
    pub fn read(self, connection: &mut Connection) -> io::Result<Option<Vec<u8>>> {
        if self.expects_continue {
            connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        connection.set_timeout(BODY_TIMEOUT);
        let refusal = match connection.read_body(&self.begun, self.length) {
            Ok(body) => return Ok(Some(body)),
            Err(error) => match error.kind() {
                ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                    refuse(408, &format!("the body did not come within {} s", BODY_TIMEOUT.as_secs()))
                }
                ErrorKind::OutOfMemory => refuse(503, "there is no memory for the body now"),
                _ => return Err(error),
            },
        };
        connection.set_timeout(HEAD_TIMEOUT);
        connection.write_all(&refusal).map(|()| None)
    }
}

/// What a body of JSON asks for.
///
/// # Errors
/// 422 and the reason to answer with.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, (u16, String)> {
    serde_json::from_slice(body).map_err(|error| (422, format!("the body is not as expected: {error}")))
}

/// Whether a browser sends the request for a page of another site. Programs state neither header, and have to know the token; a browser
/// that does has the page's cookie with its own requests only, but without a token there is none to have.
fn is_of_another_site(request: &HttpRequest) -> bool {
    match request.fetch_site.as_str() {
        "same-origin" | "none" => false,
        "" => {
            // An origin is SCHEME://HOST[:PORT], or "null".
            let host = request.origin.split_once("://").map(|(_, host)| host);
            !request.origin.is_empty() && !host.is_some_and(|host| host.eq_ignore_ascii_case(&request.host))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: BodyLength) -> HttpRequest {
        HttpRequest { host: "board:8080".into(), body, ..HttpRequest::default() }
    }

    #[test]
    fn a_body_has_a_length_within_its_bound() {
        let status = |body| PostedBody::accept(&request(body), b"", 100).err().map(|(status, _)| status);
        assert_eq!(status(BodyLength::Bytes(100)), None);
        assert_eq!(status(BodyLength::Bytes(101)), Some(413));
        assert_eq!(status(BodyLength::Bytes(u64::MAX)), Some(413));
        assert_eq!(status(BodyLength::Bytes(0)), Some(400));
        assert_eq!([status(BodyLength::Unstated), status(BodyLength::Chunked)], [Some(411); 2]);
    }

    #[test]
    fn another_sites_page_may_post_nothing() {
        let with = |origin: &str, fetch_site: &str| {
            let (origin, fetch_site) = (origin.to_string(), fetch_site.to_string());
            is_of_another_site(&HttpRequest { origin, fetch_site, ..request(BodyLength::Bytes(1)) })
        };
        assert!(!with("", "") && !with("http://board:8080", "") && !with("https://BOARD:8080", ""));
        assert!(!with("https://proxy", "same-origin") && !with("", "none"), "a proxy may give another Host");
        for (origin, site) in [
            ("http://evil.example", ""),
            ("http://board:8080.evil.example", ""),
            ("null", ""),
            ("http://board:81", ""),
            ("http://board:8080", "cross-site"),
            ("", "same-site"),
        ] {
            assert!(with(origin, site), "{origin} {site}");
        }
    }
}
