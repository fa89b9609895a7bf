//! A request to the status page.

use super::Target;
use lineside::status_page::{Access, parse_request};

/// This target.
pub const TARGET: Target = Target {
    name: "request",
    run: target,
    max_len: 4096,
    max_memory: 1 << 20,
    iterations: 50_000,
    words: &[
        b"GET / HTTP/1.1\r\n",
        b"HEAD /",
        b"POST ",
        b"\r\n\r\n",
        b"Host: localhost\r\n",
        b"Host: [::1]:80\r\n",
        b"Authorization: Bearer ",
        b"Cookie: lineside=",
        b"?token=",
        b"&",
        b"%00",
        b"/events/",
        b"..",
        b"; ",
        b"\xff",
        b"HTTP/1.0\r\n",
        b": ",
    ],
};

/// Longer than an input, so that no input can hold it.
const TOKEN: [u8; 8192] = [b't'; 8192];

/// Parses the head of a request, whole and as it comes.
pub fn target(data: &[u8]) {
    let whole = parse_request(data);
    if let Err((status, reason)) = &whole {
        assert!((400..=431).contains(status) && !reason.is_empty());
    }
    // A prefix is incomplete, or leads to the same: bytes that come later change no answer.
    for cut in [data.len() / 3, data.len() * 2 / 3, data.len().saturating_sub(1)] {
        match parse_request(&data[..cut]) {
            Ok(None) => {}
            Ok(Some(request)) => assert!(whole.as_ref().is_ok_and(|whole| whole.as_ref() == Some(&request))),
            Err(error) => assert!(whole.as_ref().is_err_and(|whole| *whole == error), "{error:?}, then {whole:?}"),
        }
    }
    let Ok(Some(request)) = whole else { return };
    let token = String::from_utf8_lossy(&TOKEN).into_owned();
    assert!(!Access::new(Some(token.clone())).allows(&request), "let in without the token");
    let _ = Access::new(None).allows(&request);
    assert!(request.parameter("token").is_none_or(|given| given != token));
    let text = [&request.method, &request.path, &request.query, &request.host, &request.authorization, &request.cookie];
    assert!(!text.iter().any(|text| text.contains(['\r', '\n', '\0'])), "a line end in a field: {request:?}");
}
