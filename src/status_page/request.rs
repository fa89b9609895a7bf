//! The head of one HTTP request.

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

impl HttpRequest {
    /// The value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

/// Parses the head of a request, without its body; `None` while it is incomplete.
///
/// # Errors
/// The status and the reason to answer with, where it is malformed or too long.
pub fn parse(head: &[u8]) -> Result<Option<HttpRequest>, (u16, &'static str)> {
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
