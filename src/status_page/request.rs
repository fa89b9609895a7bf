//! Reads and parses one HTTP request, within bounds of bytes and time.

use super::connection::Connection;
use std::io::{self, ErrorKind};

/// The longest head of a request, in bytes. A browser's is below 1 KiB.
pub const LONGEST_HEAD: usize = 8 << 10;
/// The most header fields.
const MOST_HEADERS: usize = 48;

/// The parts of a request that are used.
#[derive(Debug, Default, PartialEq)]
pub struct HttpRequest {
    /// `GET`, `HEAD`, or one that is refused.
    pub method: String,
    /// Without the query. Not percent-decoded, because no path here needs it.
    pub path: String,
    /// After the question mark.
    pub query: String,
    /// The header field `Host`.
    pub host: String,
    /// The header field `Authorization`.
    pub authorization: String,
    /// The header field `Cookie`.
    pub cookie: String,
}

/// Why there is no request.
#[derive(Debug)]
pub enum RequestError {
    /// To be answered with this status and reason.
    Bad(u16, &'static str),
    /// The client is gone, or sent nothing in time.
    Gone,
}

impl HttpRequest {
    /// Reads the head; a body is not read.
    ///
    /// # Errors
    /// [`RequestError`] if it is malformed, too long, or too slow.
    pub fn read(connection: &mut Connection) -> Result<HttpRequest, RequestError> {
        let (mut head, mut have) = (vec![0; LONGEST_HEAD], 0);
        loop {
            let read = match connection.read(&mut head[have..]) {
                Ok(0) => return Err(RequestError::Gone),
                Ok(read) => read,
                Err(error) if is_slow(&error) && have > 0 => return Err(RequestError::Bad(408, "too slow")),
                Err(_) => return Err(RequestError::Gone),
            };
            have += read;
            match parse(&head[..have]) {
                Ok(Some(request)) => return Ok(request),
                Ok(None) if have == LONGEST_HEAD => return Err(RequestError::Bad(431, "the request is too long")),
                Ok(None) => {}
                Err((status, reason)) => return Err(RequestError::Bad(status, reason)),
            }
        }
    }

    /// The value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

fn is_slow(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// `None` while it is incomplete.
fn parse(head: &[u8]) -> Result<Option<HttpRequest>, (u16, &'static str)> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err((431, "too many headers")),
        Err(_) => return Err((400, "this is no HTTP request")),
    }
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).unwrap_or_default().to_string()
    };
    Ok(Some(HttpRequest {
        method: parsed.method.unwrap_or_default().into(),
        path: path.into(),
        query: query.into(),
        host: header("host"),
        authorization: header("authorization"),
        cookie: header("cookie"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_parsed() {
        let head =
            b"GET /a/b.png?token=x&y=z HTTP/1.1\r\nHOST: here:1\r\ncookie: a=b\r\nAuthorization: Bearer t\r\n\r\n";
        let request = parse(head).unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/a/b.png"));
        assert_eq!(
            (request.parameter("token"), request.parameter("y"), request.parameter("b")),
            (Some("x"), Some("z"), None)
        );
        assert_eq!((request.host.as_str(), request.cookie.as_str()), ("here:1", "a=b"));
        assert_eq!(request.authorization, "Bearer t");
        for end in 0..head.len() {
            assert_eq!(parse(&head[..end]).unwrap(), None, "{end}");
        }
    }

    #[test]
    fn malformed_requests_are_refused() {
        assert_eq!(parse(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap_err().0, 400, "TLS");
        assert_eq!(parse(b"GET / HTTP/9\r\n\r\n").unwrap_err().0, 400);
        assert_eq!(parse(b"GET /\x00 HTTP/1.1\r\n\r\n").unwrap_err().0, 400);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1));
        assert_eq!(parse(many.as_bytes()).unwrap_err().0, 431);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"GET / HTTP/1.1\r\n".as_slice(), &bytes].concat());
        }
    }
}
