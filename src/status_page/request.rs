//! The head of one HTTP request, and what it says of a body.

/// The longest head of a request, in bytes. A browser's is below 1 KiB.
pub const LONGEST_HEAD: usize = 8 << 10;
/// The most header fields.
const MOST_HEADERS: usize = 48;

/// The parts of a request that are used.
#[derive(Debug, Default, PartialEq)]
pub struct HttpRequest {
    /// `GET`, `HEAD`, `POST`, or one that is refused.
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
    /// The header field `Origin`: the web page that asks, where a browser says so.
    pub origin: String,
    /// The header field `Sec-Fetch-Site`: what a browser knows of the web page that asks.
    pub fetch_site: String,
    /// The header field `Accept`.
    pub accept: String,
    /// The header field `Content-Type`.
    pub content_type: String,
    /// The header field `Lineside-Version`: of which version the page is that asks.
    pub version: String,
    /// What it says of its body.
    pub body: BodyLength,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Bytes of the head; those after it belong to the body.
    pub head_bytes: usize,
}

/// What a head says of the length of the body.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// Nothing: there is none, as far as is known.
    #[default]
    Unstated,
    /// So many bytes.
    Bytes(u64),
    /// In chunks, of which nobody knows how many come.
    Chunked,
}

impl HttpRequest {
    /// Whether the head of the answer is asked for, alone.
    pub fn wants_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The value of a query parameter, percent-decoded; `None` too where that is no text.
    pub fn decoded(&self, name: &str) -> Option<String> {
        percent_decoded(self.parameter(name)?)
    }
}

/// `%41` becomes `A`, and a plus sign a space, as forms send them.
fn percent_decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                16 * digit(high)? + digit(low)?
            }
            (b'%', _) => return None,
            (byte, _) => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Parses the head of a request, without its body; `None` while it is incomplete.
///
/// # Errors
/// The status and the reason to answer with, where it is malformed or too long.
pub fn parse(head: &[u8]) -> Result<Option<HttpRequest>, (u16, &'static str)> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let head_bytes = match parsed.parse(head) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err((431, "too many headers")),
        Err(_) => return Err((400, "this is no HTTP request")),
    };
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let values = |name: &'static str| {
        parsed.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    // Of two, a proxy before this server may go by the other one (RFC 9112, 3.2).
    for name in ["Host", "Authorization", "Origin", "Sec-Fetch-Site", "Lineside-Version"] {
        if values(name).nth(1).is_some() {
            return Err((400, "a field of the head that counts once is there twice"));
        }
    }
    let header =
        |name| values(name).next().and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default().to_string();
    Ok(Some(HttpRequest {
        method: parsed.method.unwrap_or_default().into(),
        path: path.into(),
        query: query.into(),
        host: header("host"),
        authorization: header("authorization"),
        cookie: header("cookie"),
        origin: header("origin"),
        fetch_site: header("sec-fetch-site"),
        accept: header("accept"),
        content_type: header("content-type"),
        version: header("lineside-version"),
        body: body_length(parsed.headers)?,
        expects_continue: header("expect").eq_ignore_ascii_case("100-continue"),
        head_bytes,
    }))
}

/// What the headers say of the body. A request whose end two readers could see at two places is refused: one of them may be a proxy.
fn body_length(headers: &[httparse::Header]) -> Result<BodyLength, (u16, &'static str)> {
    let values = |name: &'static str| {
        headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    let (mut lengths, mut codings) = (values("content-length"), values("transfer-encoding"));
    match (lengths.next(), lengths.next(), codings.next()) {
        (None, _, None) => Ok(BodyLength::Unstated),
        (None, _, Some(_)) => Ok(BodyLength::Chunked),
        (Some(value), None, None) => {
            let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let length = digits.and_then(|digits| digits.parse().ok());
            length.map(BodyLength::Bytes).ok_or((400, "Content-Length is no number"))
        }
        _ => Err((400, "the length of the body is stated twice")),
    }
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
        assert_eq!((request.authorization.as_str(), request.head_bytes), ("Bearer t", head.len()));
        for end in 0..head.len() {
            assert_eq!(parse(&head[..end]).unwrap(), None, "{end}");
        }
    }

    #[test]
    fn malformed_requests_are_refused() {
        assert_eq!(parse(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap_err().0, 400, "TLS");
        assert_eq!(parse(b"GET / HTTP/9\r\n\r\n").unwrap_err().0, 400);
        for twice in ["Host: a\r\nhost: b", "Authorization: Bearer a\r\nAuthorization: Bearer b"] {
            assert_eq!(parse(format!("GET / HTTP/1.1\r\n{twice}\r\n\r\n").as_bytes()).unwrap_err().0, 400, "{twice}");
        }
        assert_eq!(parse(b"GET /\x00 HTTP/1.1\r\n\r\n").unwrap_err().0, 400);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1));
        assert_eq!(parse(many.as_bytes()).unwrap_err().0, 431);
    }

    #[test]
    fn the_length_of_a_body_is_stated_once_or_refused() {
        let parsed = |headers: &str| {
            let head = format!("POST /judge HTTP/1.1\r\n{headers}\r\nbody");
            parse(head.as_bytes()).map(|request| request.map(|request| request.body))
        };
        assert_eq!(parsed(""), Ok(Some(BodyLength::Unstated)));
        assert_eq!(parsed("content-length: 17\r\n"), Ok(Some(BodyLength::Bytes(17))));
        assert_eq!(parsed("Transfer-Encoding: chunked\r\n"), Ok(Some(BodyLength::Chunked)));
        let twice =
            ["Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 3\r\ncontent-length: 3\r\n"];
        for headers in twice {
            assert_eq!(parsed(headers), Err((400, "the length of the body is stated twice")), "{headers}");
        }
        for length in ["-1", "+1", "1 2", "1,1", "0x10", "", "99999999999999999999999"] {
            assert_eq!(parsed(&format!("Content-Length: {length}\r\n")).unwrap_err().0, 400, "{length}");
        }
    }

    #[test]
    fn a_parameter_is_decoded() {
        let request = HttpRequest { query: "a=x%20y+z%C3%A9&b=%zz&c=%4&d=%ff&e=".into(), ..HttpRequest::default() };
        assert_eq!(request.decoded("a").unwrap(), "x y zé");
        assert_eq!(request.decoded("e").unwrap(), "");
        for broken in ["b", "c", "d", "none"] {
            assert_eq!(request.decoded(broken), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"GET / HTTP/1.1\r\n".as_slice(), &bytes].concat());
        }
    }
}
