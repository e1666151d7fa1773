//! Who may see the page and act on it.
//!
//! ```text
//!   Access ─► check (is it safe to build?) ─► Gate ─► admits (may this request pass?)
//! ```
//!
//! - **host**: without a token, or once names are told, Host has to be an address, `localhost`, or one of the
//!   names. A page of another site that has its own name resolve to this machine (DNS rebinding) sends that name.
//! - **near**: without a token, the request comes from this machine and was forwarded by nobody.
//! - **same site**: Origin, if there is one, is this host, and a browser says that no other site has asked.
//! - **token**: as a bearer's, or as the cookie that the form gives for it.
//! - **intent**: what changes something carries a field that only a program or this page can send.
//!
//! Pure: time is an argument. Must not: know what is behind it.

mod asked;
mod host;
mod token;

use std::net::SocketAddr;
use std::time::SystemTime;

use axum::http::{Method, StatusCode};

pub(crate) use self::asked::Asked;
use self::host::Authority;
pub(crate) use self::token::{COOKIE, Token};

/// The field without which nothing is changed, unless the token is sent with the request itself.
pub(crate) const INTENT: &str = "shelflife-admin";

/// How the page is protected: by a listener that only this machine reaches, by a token, or by both.
#[derive(Clone, Debug)]
pub struct Access {
    listener: Option<SocketAddr>,
    token: Option<Token>,
    hosts: Vec<String>,
}

/// Why the page is not built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Whoever reaches the address could see and invalidate everything.
    #[error(
        "the page would be open to whoever reaches {0}: listen on loopback (127.0.0.1:{port}), or give it a token",
        port = .0.port()
    )]
    Open(SocketAddr),
    /// A token that can be found by trying.
    #[error(
        "a token has at least 16 visible characters of ASCII and no space; this one has {0} characters"
    )]
    Token(usize),
    /// A name that no Host can have.
    #[error("{0:?} is no name of a host: as \"admin.example.com\", without scheme, port or path")]
    Host(String),
}

impl Access {
    /// The page is alone on a listener with this address. On loopback that suffices; elsewhere it needs a token too:
    /// [`with_token`](Self::with_token). So does one that a reverse proxy on this machine leads to: if that adds no field of
    /// its own to what it passes on, its clients can't be told from this machine.
    pub fn listener(address: SocketAddr) -> Self {
        Access {
            listener: Some(address),
            token: None,
            hosts: Vec::new(),
        }
    }

    /// Whoever has the token, wherever the page is mounted.
    pub fn token(token: impl Into<String>) -> Self {
        Access {
            listener: None,
            token: Some(Token::new(token)),
            hosts: Vec::new(),
        }
    }

    /// Asks for a token as well.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Token::new(token));
        self
    }

    /// A name under which the page is reached. Once one is told, others are refused; addresses and `localhost` are
    /// not.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// Whether it is safe.
    pub(crate) fn check(self) -> Result<Gate, AccessError> {
        if let Some(token) = &self.token
            && !token.is_long_enough()
        {
            return Err(AccessError::Token(token.len()));
        }
        if let Some(name) = self.hosts.iter().find(|name| !host::is_name(name)) {
            return Err(AccessError::Host(name.clone()));
        }
        match (self.listener, &self.token) {
            (Some(address), None) if !address.ip().is_loopback() => Err(AccessError::Open(address)),
            _ => Ok(Gate {
                token: self.token,
                hosts: self.hosts,
            }),
        }
    }
}

/// A checked [`Access`]. Without a token it stands on loopback.
#[derive(Debug)]
pub(crate) struct Gate {
    token: Option<Token>,
    hosts: Vec<String>,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// What is the same for everybody: scripts and styles.
    Public,
    /// The page: a document without a word of what the cache holds. A link from anywhere may lead to it.
    Page,
    /// What the cache holds, and what changes it.
    Inside,
}

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Host,
    Far,
    Site,
    Token,
    Intent,
}

impl Gate {
    /// Whether a request may pass.
    pub(crate) fn admits(
        &self,
        want: Want,
        asked: &Asked<'_>,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let host = asked.host().ok_or(Refusal::Host)?;
        if !self.is_known(&host) {
            return Err(Refusal::Host);
        }
        if self.token.is_none() && !asked.is_near() {
            return Err(Refusal::Far);
        }
        if want == Want::Public {
            return Ok(());
        }
        if want == Want::Inside && !self.is_same_site(asked, &host) {
            return Err(Refusal::Site);
        }
        let by_bearer = match &self.token {
            Some(token) => self.who(token, asked, now).ok_or(Refusal::Token)?,
            None => false,
        };
        let changes = !matches!(*asked.method(), Method::GET | Method::HEAD);
        match changes && !by_bearer && !asked.has_intent() {
            true => Err(Refusal::Intent),
            false => Ok(()),
        }
    }

    /// Whether the form may be answered: it is this page's own.
    pub(crate) fn admits_login(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let host = asked.host().ok_or(Refusal::Host)?;
        match self.is_known(&host) {
            false => Err(Refusal::Host),
            true if self.is_same_site(asked, &host) => Ok(()),
            true => Err(Refusal::Site),
        }
    }

    /// The token, if one is asked for.
    pub(crate) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// `Some(true)` for who sent the token itself, `Some(false)` for who sent its cookie.
    fn who(&self, token: &Token, asked: &Asked<'_>, now: SystemTime) -> Option<bool> {
        if let Some(given) = asked.bearer() {
            return token.is(given).then_some(true);
        }
        asked
            .cookies(COOKIE)
            .any(|cookie| token.opened(cookie, now))
            .then_some(false)
    }

    fn is_known(&self, host: &Authority<'_>) -> bool {
        // With a token and no names any will do: a site that has its name resolve to us has neither token nor cookie.
        let any = self.token.is_some() && self.hosts.is_empty();
        any || host.is_address() && (self.token.is_some() || host.is_loopback())
            || host.is_localhost()
            || self.is_told(host)
    }

    fn is_told(&self, host: &Authority<'_>) -> bool {
        self.hosts
            .iter()
            .any(|name| name.eq_ignore_ascii_case(host.name))
    }

    /// Whether no other site has asked for this. A program says nothing of either.
    fn is_same_site(&self, asked: &Asked<'_>, host: &Authority<'_>) -> bool {
        // A person who follows a link, or types the address, is "none"; a link from elsewhere is not.
        let by_site = matches!(asked.site(), None | Some(b"same-origin" | b"none"));
        let by_origin = match asked.origin() {
            None => true,
            Some(origin) => origin.is_some_and(|origin| origin.is(host) || self.is_told(&origin)),
        };
        by_site && by_origin
    }
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            // RFC 9110 §15.5.20: this server is not the one that the name stands for.
            Refusal::Host => StatusCode::MISDIRECTED_REQUEST,
            Refusal::Token => StatusCode::UNAUTHORIZED,
            Refusal::Far | Refusal::Site | Refusal::Intent => StatusCode::FORBIDDEN,
        }
    }

    pub(crate) fn detail(self) -> &'static str {
        match self {
            Refusal::Host => {
                "the page is not known by this Host: ask by address or localhost, or tell it the name (Access::host)"
            }
            Refusal::Far => {
                "without a token the page answers this machine alone, and nothing that was forwarded: give it a token"
            }
            Refusal::Site => "another site asked for this: open the page itself",
            Refusal::Token => {
                "this needs the token: Authorization: Bearer …, or the form of the page"
            }
            Refusal::Intent => {
                "what changes something needs the field Shelflife-Admin: 1, or Authorization: Bearer …"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn without_a_token_it_is_built_on_loopback_alone() {
        for ours in ["127.0.0.1:8081", "127.9.9.9:1", "[::1]:8081"] {
            assert!(Access::listener(address(ours)).check().is_ok(), "{ours}");
        }
        for open in ["0.0.0.0:8081", "[::]:8081", "10.0.0.1:8081", "192.0.2.1:80"] {
            let refused = Access::listener(address(open)).check().unwrap_err();
            assert_eq!(refused, AccessError::Open(address(open)));
            let said = refused.to_string();
            assert!(
                said.contains(open) && said.contains("127.0.0.1:") && said.contains("token"),
                "{said}"
            );
            let access = Access::listener(address(open)).with_token("0123456789abcdef");
            assert!(access.check().is_ok());
        }
    }

    #[test]
    fn a_token_that_can_be_found_by_trying_is_refused() {
        for (token, length) in [
            ("", 0),
            ("0123456789abcde", 15),
            ("0123456789 abcdef", 17),
            ("0123456789abcdeé", 16),
        ] {
            assert_eq!(
                Access::token(token).check().unwrap_err(),
                AccessError::Token(length),
                "{token:?}"
            );
        }
        assert!(Access::token("0123456789abcdef").check().is_ok());
        let shown = format!("{:?}", Access::token("0123456789abcdef"));
        assert!(!shown.contains("0123"), "{shown}");
    }

    #[test]
    fn a_host_is_a_name() {
        for name in ["", "http://a", "a:80", "a/b", "a b", "a@b", "*"] {
            let access = Access::token("0123456789abcdef").host(name);
            assert_eq!(
                access.check().unwrap_err(),
                AccessError::Host(name.to_owned())
            );
        }
        assert!(
            Access::token("0123456789abcdef")
                .host("admin.example.com")
                .check()
                .is_ok()
        );
    }
}
