//! `[status_page]`: the status page, which is off unless the table is there.

use super::{Config, Violation, check_bytes, check_range};
use bytesize::ByteSize;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use toml::Spanned;

/// `[status_page]`: the address of the page, and who may see it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct StatusPageConfig {
    /// Address and port. Beyond loopback a token is required.
    pub listen: Spanned<SocketAddr>,
    /// The token that a visitor needs.
    pub token: Option<Spanned<String>>,
    /// A file whose first line is the token, so that the configuration itself may be readable for others.
    pub token_file: Option<Spanned<PathBuf>>,
    /// Pictures per second in the live view, at most.
    pub max_fps: Spanned<f64>,
    /// Whether pictures that are posted to `/judge` are judged.
    pub judge: bool,
    /// Whether something may be changed from outside, as the marks of frames.
    pub control: Spanned<bool>,
    /// The token that is needed for that.
    pub teach_token: Option<Spanned<String>>,
    /// A file whose first line is that token.
    pub teach_token_file: Option<Spanned<PathBuf>>,
    /// TLS; absent: not encrypted.
    pub tls: Option<PageTlsConfig>,
    /// What the heap of a process may hold that teaches or recalibrates the bundle for the page; without it nothing is taught there.
    pub teach_memory: Option<Spanned<ByteSize>>,
}

/// `[status_page.tls]`: the certificate of the page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct PageTlsConfig {
    /// PEM file of the certificate, with those between it and an authority after it.
    pub certificate: Spanned<PathBuf>,
    /// PEM file of its key.
    pub key: Spanned<PathBuf>,
}

/// A shorter token could be guessed.
const LEAST_TOKEN: usize = 16;
const LONGEST_TOKEN: usize = 128;

impl Default for StatusPageConfig {
    fn default() -> Self {
        StatusPageConfig {
            listen: Spanned::new(0..0, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)),
            token: None,
            token_file: None,
            max_fps: Spanned::new(0..0, 5.0),
            judge: false,
            control: Spanned::new(0..0, false),
            teach_token: None,
            teach_token_file: None,
            tls: None,
            teach_memory: None,
        }
    }
}

impl Config {
    /// The first invalid value of `[status_page]`.
    pub(super) fn page_problem(&self) -> Option<Violation> {
        let page = self.status_page.as_ref()?;
        if let Some(problem) = check_range(&page.max_fps, "status_page.max_fps", 0.1, 30.0) {
            return Some(problem);
        }
        if let (Some(_), Some(file)) = (&page.token, &page.token_file) {
            return Some((file.span().start, "status_page.token is set, too: set only one of them".into()));
        }
        if let Some(token) = &page.token
            && let Some(problem) = token_problem(token.get_ref())
        {
            return Some((token.span().start, format!("status_page.token {problem}")));
        }
        if let (Some(_), Some(file)) = (&page.teach_token, &page.teach_token_file) {
            return Some((file.span().start, "status_page.teach_token is set, too: set only one of them".into()));
        }
        if let Some(token) = &page.teach_token {
            if let Some(problem) = token_problem(token.get_ref()) {
                return Some((token.span().start, format!("status_page.teach_token {problem}")));
            }
            if page.token.as_ref().is_some_and(|other| other.get_ref() == token.get_ref()) {
                let problem =
                    "status_page.teach_token is that of status_page.token: whoever may look could change, too";
                return Some((token.span().start, problem.into()));
            }
        }
        if let Some(memory) = &page.teach_memory {
            let problem = check_bytes(memory, "status_page.teach_memory", ByteSize::mib(16), ByteSize::tib(1));
            if problem.is_some() {
                return problem;
            }
            if !*page.control.get_ref() {
                let problem = "status_page.teach_memory without status_page.control: set control = true, too";
                return Some((memory.span().start, problem.into()));
            }
        }
        let has_token = page.token.is_some() || page.token_file.is_some();
        let teacher =
            page.teach_token.as_ref().map(Spanned::span).or(page.teach_token_file.as_ref().map(Spanned::span));
        match (page.control.get_ref(), has_token, &teacher) {
            (true, true, None) => {
                let problem =
                    "status_page.control needs a token of its own: set status_page.teach_token_file or teach_token";
                return Some((page.control.span().start, problem.into()));
            }
            (_, false, Some(place)) => {
                return Some((place.start, "status_page.teach_token without status_page.token: set both".into()));
            }
            _ => {}
        }
        let open = !page.listen.get_ref().ip().is_loopback() && page.token.is_none() && page.token_file.is_none();
        let problem =
            "status_page.listen lets other machines in: set status_page.token_file or token, or listen on 127.0.0.1";
        open.then(|| (page.listen.span().start, problem.into()))
    }
}

/// A token must fit into a header, a cookie and a URL without escaping.
pub(super) fn token_problem(token: &str) -> Option<String> {
    let fits = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let right = fits && (LEAST_TOKEN..=LONGEST_TOKEN).contains(&token.len());
    let problem = format!(
        "must have {LEAST_TOKEN} to {LONGEST_TOKEN} letters, digits and -._~ only: openssl rand -hex 16 makes one"
    );
    (!right).then_some(problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parse(more: &str) -> Result<Config, String> {
        let text = format!("[source.pattern]\n[status_page]\n{more}");
        Config::parse(&text, Path::new("line.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn without_the_table_there_is_no_page() {
        let config = Config::parse("[source.pattern]\n", Path::new("line.toml")).unwrap();
        assert!(config.status_page.is_none() && config.page_token().unwrap().is_none());
        let page = parse("").unwrap().status_page.unwrap();
        assert!(!page.judge && parse("judge = true\n").unwrap().status_page.unwrap().judge);
        assert_eq!((page.listen.get_ref().to_string().as_str(), *page.max_fps.get_ref()), ("127.0.0.1:8080", 5.0));
    }

    #[test]
    fn others_are_let_in_with_a_token_only() {
        let token = "token = \"0123456789abcdef\"\n";
        for listen in ["0.0.0.0:80", "192.168.1.5:8080", "[::]:8080"] {
            let listen = format!("listen = \"{listen}\"\n");
            let refusal = parse(&listen).unwrap_err();
            assert!(refusal.starts_with("line.toml:3: status_page.listen lets other machines in"), "{refusal}");
            assert_eq!(parse(&format!("{listen}{token}")).unwrap().page_token().unwrap().unwrap(), "0123456789abcdef");
        }
        assert!(parse("listen = \"[::1]:8080\"\n").is_ok() && parse("listen = \"127.0.0.2:1\"\n").is_ok());
    }

    #[test]
    fn mistakes_are_named_with_file_and_line() {
        let cases = [
            ("listen = \"localhost\"\n", "line.toml:3: listen: invalid socket address syntax"),
            ("max_fps = 0\n", "line.toml:3: status_page.max_fps must lie in 0.1..30, found 0"),
            ("\ntoken = \"short\"\n", "line.toml:4: status_page.token must have 16 to 128"),
            ("token = \"0123456789abcde;\"\n", "line.toml:3: status_page.token must have 16 to 128"),
            ("token = \"0123456789abcdef\"\ntoken_file = \"x\"\n", "line.toml:4: status_page.token is set, too"),
            (
                "token = \"0123456789abcdef\"\ncontrol = true\n",
                "line.toml:4: status_page.control needs a token of its own",
            ),
            ("control = true\nteach_token = \"0123456789abcdef\"\n", "line.toml:4: status_page.teach_token without"),
            (
                "token = \"0123456789abcdef\"\nteach_token = \"0123456789abcdef\"\n",
                "line.toml:4: status_page.teach_token is that",
            ),
            ("teach_token = \"short\"\n", "line.toml:3: status_page.teach_token must have 16"),
            (
                "teach_token = \"0123456789abcdef\"\nteach_token_file = \"x\"\n",
                "line.toml:4: status_page.teach_token is set",
            ),
            ("[status_page.tls]\ncertificate = \"c.pem\"\n", "missing field `key`"),
            ("teach_memory = \"64 MiB\"\n", "line.toml:3: status_page.teach_memory without status_page.control"),
            (
                "control = true\nteach_memory = \"1 MiB\"\n",
                "line.toml:4: status_page.teach_memory must lie in 16.0 MiB",
            ),
            ("judge = 1\n", "line.toml:3: "),
            ("port = 3\n", "line.toml:3: unknown field `port`"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
