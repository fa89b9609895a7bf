//! The bytes of an answer.

pub const HTML: &str = "text/html; charset=utf-8";
pub const TEXT: &str = "text/plain; charset=utf-8";
pub const JSON: &str = "application/json";
/// A value of JSON on each line.
pub const JSON_LINES: &str = "application/jsonl";

/// A whole answer that is one line of text.
pub fn refuse(status: u16, text: &str) -> Vec<u8> {
    let more = if status == 503 { "Retry-After: 5\r\n" } else { "" };
    answer(status, TEXT, more, format!("{text}\n").as_bytes())
}

/// A whole answer.
pub fn answer(status: u16, kind: &str, more: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = head(status, kind, more, Some(content.len() as u64)).into_bytes();
    bytes.extend_from_slice(content);
    bytes
}

/// How long the head at the beginning of an answer is: all that `HEAD` gets.
pub fn head_length(answer: &[u8]) -> usize {
    answer.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END).map_or(answer.len(), |at| at + HEAD_END.len())
}

const HEAD_END: &[u8] = b"\r\n\r\n";

/// The head of an answer. Each connection serves one request. The policy keeps a page from loading or running anything else.
pub fn head(status: u16, kind: &str, more: &str, length: Option<u64>) -> String {
    let reason = match status {
        200 => "OK",
        303 => "See Other",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        507 => "Insufficient Storage",
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
