//! What a request says of who asks.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, COOKIE, FORWARDED, HOST, ORIGIN, VIA};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method};

use super::INTENT;
use super::host::Authority;

/// A request's head, as far as it says who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a>(&'a Parts);

/// What there is of a field that may stand there once.
enum Only<'a> {
    Nothing,
    One(&'a HeaderValue),
    Several,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(head: &'a Parts) -> Self {
        Asked(head)
    }

    pub(crate) fn method(&self) -> &'a Method {
        &self.0.method
    }

    /// The server that was meant: in HTTP/2 the URI says it, else Host.
    pub(crate) fn host(&self) -> Option<Authority<'a>> {
        if let Some(authority) = self.0.uri.authority() {
            return Authority::parse(authority.as_str());
        }
        match self.only(&HOST) {
            Only::One(host) => Authority::parse(host.to_str().ok()?),
            Only::Nothing | Only::Several => None,
        }
    }

    /// Whether it comes from this machine as far as one can see, and through nobody's hands.
    pub(crate) fn is_near(&self) -> bool {
        let peer = self.0.extensions.get::<ConnectInfo<SocketAddr>>();
        let forwarded = [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for")];
        peer.is_none_or(|peer| peer.0.ip().to_canonical().is_loopback())
            && !forwarded
                .iter()
                .any(|name| self.0.headers.contains_key(name))
    }

    /// What the browser says of who has it ask.
    pub(crate) fn site(&self) -> Option<&'a [u8]> {
        let site = self.0.headers.get("sec-fetch-site");
        site.map(HeaderValue::as_bytes)
    }

    /// `None` when there is no Origin, `Some(None)` when it is not that of a site.
    pub(crate) fn origin(&self) -> Option<Option<Authority<'a>>> {
        match self.only(&ORIGIN) {
            Only::Nothing => None,
            Only::One(origin) => Some(origin.to_str().ok().and_then(Authority::of_origin)),
            Only::Several => Some(None),
        }
    }

    /// Whether the page that asks was reached by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        let origin = self.0.headers.get(ORIGIN);
        origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
    }

    /// RFC 6750 §2.1. Credentials of another scheme are for somebody else, such as a proxy before this; of several
    /// fields none is believed: that is an empty token, which nobody has.
    pub(crate) fn bearer(&self) -> Option<&'a [u8]> {
        match self.only(&AUTHORIZATION) {
            Only::Nothing => None,
            Only::One(field) => bearer(field),
            Only::Several => Some(b""),
        }
    }

    /// RFC 6265 §5.4. There may be several of a name, for several paths.
    pub(crate) fn cookies(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.0.headers.get_all(COOKIE).iter();
        let pairs = fields
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(';'));
        pairs.filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
    }

    pub(crate) fn has_intent(&self) -> bool {
        self.0.headers.get(INTENT).is_some_and(|value| value == "1")
    }

    fn only(&self, name: &HeaderName) -> Only<'a> {
        let mut fields = self.0.headers.get_all(name).iter();
        match (fields.next(), fields.next()) {
            (None, _) => Only::Nothing,
            (Some(field), None) => Only::One(field),
            (Some(_), Some(_)) => Only::Several,
        }
    }
}

fn bearer(field: &HeaderValue) -> Option<&[u8]> {
    // RFC 9110 §11.4: a scheme, and behind a space what it needs.
    let mut parts = field.as_bytes().splitn(2, |byte| *byte == b' ');
    let scheme = parts.next()?;
    let token = parts.next().unwrap_or_default();
    scheme
        .eq_ignore_ascii_case(b"Bearer")
        .then(|| token.trim_ascii())
}
