//! Access control: by token; without one, only from this machine. Two tokens are two roles: who may look, and who may teach.

use super::request::HttpRequest;
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Name of the cookie that holds the token.
pub const COOKIE_NAME: &str = "lineside";

/// What a client has to present.
pub struct Access {
    token: Option<String>,
    teach_token: Option<String>,
}

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageRole {
    /// Look.
    View,
    /// Look and change.
    Teach,
}

impl PageRole {
    /// Its name in records.
    pub fn word(self) -> &'static str {
        match self {
            PageRole::View => "view",
            PageRole::Teach => "teach",
        }
    }
}

impl Access {
    /// `None`: no token is needed.
    pub fn new(token: Option<String>) -> Access {
        Access { token, teach_token: None }
    }

    /// With a token of its own for whoever may teach.
    pub fn with_teacher(self, teach_token: Option<String>) -> Access {
        Access { teach_token, ..self }
    }

    /// Whether there is a token that would open the page.
    pub fn has_token(&self) -> bool {
        self.token.is_some() || self.teach_token.is_some()
    }

    /// Whether a request may be answered.
    pub fn allows(&self, request: &HttpRequest) -> bool {
        self.role(request).is_some()
    }

    /// What a client may do; `None`: nothing. Without a token the page is served on loopback only; a web page that obtained this
    /// machine's address by DNS rebinding is recognised by the `Host` header.
    pub fn role(&self, request: &HttpRequest) -> Option<PageRole> {
        if !self.has_token() {
            return is_this_machine(&request.host).then_some(PageRole::Teach);
        }
        // The scheme is known whatever its case is (RFC 9110, 11.1).
        let bearer = request.authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if let Some((_, token)) = bearer {
            return self.role_of(token.trim());
        }
        // Another port of this board may have a cookie of the same name.
        let cookies = request.cookie.split(';').filter_map(|cookie| cookie.trim().split_once('='));
        let roles = cookies.filter(|(name, _)| *name == COOKIE_NAME).filter_map(|(_, token)| self.role_of(token));
        roles.max_by_key(|role| *role == PageRole::Teach)
    }

    /// Whether this is one of the tokens.
    pub fn is_token(&self, candidate: &str) -> bool {
        self.role_of(candidate).is_some()
    }

    fn role_of(&self, candidate: &str) -> Option<PageRole> {
        let is = |token: &Option<String>| token.as_ref().is_some_and(|token| is_same(token, candidate));
        // Both are compared, so that the time says nothing either.
        match (is(&self.teach_token), is(&self.token)) {
            (true, _) => Some(PageRole::Teach),
            (false, true) => Some(PageRole::View),
            (false, false) => None,
        }
    }
}

/// Takes the same time wherever the two differ: all bytes of their hashes are compared.
fn is_same(token: &str, candidate: &str) -> bool {
    let (ours, theirs) = (Sha256::digest(token), Sha256::digest(candidate));
    ours.iter().zip(theirs.iter()).fold(0, |differs, (a, b)| differs | std::hint::black_box(a ^ b)) == 0
}

/// `localhost` or an IP address, with or without a port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization(value: &str) -> HttpRequest {
        HttpRequest { authorization: value.into(), ..HttpRequest::default() }
    }

    fn cookie(value: &str) -> HttpRequest {
        HttpRequest { cookie: value.into(), ..HttpRequest::default() }
    }

    fn host(value: &str) -> HttpRequest {
        HttpRequest { host: value.into(), ..HttpRequest::default() }
    }

    #[test]
    fn a_token_comes_in_a_header_or_a_cookie() {
        let access = Access::new(Some("0123456789abcdef".into()));
        assert!(access.allows(&authorization("Bearer 0123456789abcdef")));
        assert!(access.allows(&authorization("bearer 0123456789abcdef")), "whatever its case is");
        assert!(access.allows(&cookie("a=b; lineside=0123456789abcdef")));
        assert!(access.allows(&cookie("lineside=of-another-port; lineside=0123456789abcdef")));
        for wrong in ["", "0123456789abcdeg", "0123456789abcde", "0123456789abcdef0", "Bearer 0123456789abcdef"] {
            assert!(!access.allows(&authorization(&format!("Bearer {wrong}"))), "{wrong}");
            assert!(!access.allows(&cookie(&format!("lineside={wrong}"))), "{wrong}");
        }
        assert!(!access.allows(&host("localhost")) && !access.allows(&cookie("x=0123456789abcdef")));
    }

    #[test]
    fn two_tokens_are_two_roles() {
        let access = Access::new(Some("0123456789abcdef".into())).with_teacher(Some("fedcba9876543210".into()));
        let role = |token: &str| access.role(&authorization(&format!("Bearer {token}")));
        assert_eq!(role("0123456789abcdef"), Some(PageRole::View));
        assert_eq!(role("fedcba9876543210"), Some(PageRole::Teach));
        assert_eq!((role(""), role("0123456789abcdee"), access.role(&host("localhost"))), (None, None, None));
        assert!(access.is_token("fedcba9876543210"));
        assert_eq!(Access::new(None).role(&host("localhost")), Some(PageRole::Teach));
    }

    #[test]
    fn without_a_token_only_this_machine_is_accepted() {
        let access = Access::new(None);
        for name in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]"] {
            assert!(access.allows(&host(name)), "{name}");
        }
        for name in ["evil.example", "evil.example:8080", "localhost.evil.example", "", ":8080"] {
            assert!(!access.allows(&host(name)), "{name}");
        }
        assert!(!access.is_token(""));
    }
}
