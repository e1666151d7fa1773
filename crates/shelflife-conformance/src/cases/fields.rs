//! Which fields of an answer are stored with it.

use crate::case::{Case, Group};
use crate::step::{Aspect, Step};

pub(in crate::cases) fn group() -> Group {
    let mut cases = vec![named_by_connection()];
    cases.extend(FIELDS.iter().map(stored));
    Group {
        name: "stored fields",
        about: "Which fields of an answer are stored with it.",
        rule: "RFC 9111 §3.1",
        cases,
    }
}

/// A field, and what caches have to do with it.
pub(in crate::cases) struct Field {
    pub(in crate::cases) name: &'static str,
    /// What it is in the first answer.
    pub(in crate::cases) first: &'static str,
    /// What it is later.
    pub(in crate::cases) later: &'static str,
    pub(in crate::cases) rule: Rule,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::cases) enum Rule {
    /// Stored; a 304 must update it.
    Updated,
    /// Stored; whether a 304 updates it is asked.
    Stored,
    /// Stored; a 304 must not update it (RFC 9111 §3.2: Content-Length).
    Kept,
    /// Belongs to one connection.
    Hop,
}

const fn field(name: &'static str, first: &'static str, later: &'static str, rule: Rule) -> Field {
    Field {
        name,
        first,
        later,
        rule,
    }
}

#[rustfmt::skip]
pub(in crate::cases) const FIELDS: &[Field] = &[
    field("Test-Header", "alpha", "bravo", Rule::Updated),
    field("X-Test-Header", "alpha", "bravo", Rule::Updated),
    field("Content-Foo", "alpha", "bravo", Rule::Updated),
    field("X-Content-Foo", "alpha", "bravo", Rule::Updated),
    field("Cache-Control", "max-age=1", "max-age=3600", Rule::Updated),
    field("Connection", "alpha", "bravo", Rule::Hop),
    field("Content-Encoding", "alpha", "bravo", Rule::Stored),
    field("Content-Length", "36", "10", Rule::Kept),
    field("Content-Location", "/foo", "/bar", Rule::Stored),
    field("Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A==", "N7UdGUp1E+RbVvZSTy1R8g==", Rule::Stored),
    field("Content-Range", "alpha", "bravo", Rule::Stored),
    field("Content-Security-Policy", "default-src 'self'", "default-src 'self' cdn.example.com", Rule::Stored),
    field("Content-Type", "text/plain", "text/plain;charset=utf-8", Rule::Stored),
    field("Clear-Site-Data", "cache", "cookies", Rule::Stored),
    field("ETag", "\"abcdef\"", "\"ghijkl\"", Rule::Stored),
    field("Expires", "Fri, 01 Jan 2038 01:01:01 GMT", "Mon, 11 Jan 2038 11:11:11 GMT", Rule::Stored),
    field("Keep-Alive", "alpha", "bravo", Rule::Hop),
    field("Proxy-Authenticate", "alpha", "bravo", Rule::Hop),
    field("Proxy-Authentication-Info", "alpha", "bravo", Rule::Hop),
    field("Proxy-Authorization", "alpha", "bravo", Rule::Hop),
    field("Proxy-Connection", "alpha", "bravo", Rule::Hop),
    field("Public-Key-Pins", "alpha", "bravo", Rule::Stored),
    field("Set-Cookie", "a=b", "a=c", Rule::Stored),
    field("Set-Cookie2", "a=b", "a=c", Rule::Stored),
    field("TE", "alpha", "bravo", Rule::Hop),
    field("Transfer-Encoding", "alpha", "bravo", Rule::Hop),
    field("Upgrade", "alpha", "bravo", Rule::Hop),
    field("X-Frame-Options", "deny", "sameorigin", Rule::Stored),
    field("X-XSS-Protection", "1", "1; mode=block", Rule::Stored),
];

fn named_by_connection() -> Case {
    let answer = Step::fresh().sends_loosely("Connection", "a, b");
    let answer = answer.sends_loosely("a", "1").sends_loosely("b", "2");
    let again = Step::get().by_store().wants("c", "3");
    let again = again.wants_no("a").wants_no("b");
    Case::required(
        "headers-omit-headers-listed-in-Connection",
        "fields that Connection names are not stored",
    )
    .after(["freshness-max-age"])
    .steps([
        answer.sends_loosely("c", "3"),
        again.given_only(&[Aspect::Served, Aspect::Fields]),
    ])
}

/// For fields of one connection the public case only asks that the answer is stored at all; that the field is not
/// stored with it, cases of our own ask.
fn stored(field: &Field) -> Case {
    let mut answer = Step::get().sends("Date", 0);
    let mut again = Step::get().by_store();
    let does = if field.rule == Rule::Hop {
        answer = answer.sends_loosely(field.name, field.later);
        "may come with an answer that is stored"
    } else {
        answer = answer.sends(field.name, field.later);
        again = again.wants(field.name, field.later);
        "is stored"
    };
    if field.name != "Cache-Control" {
        answer = answer.sends("Cache-Control", "max-age=3600");
    }
    // What the origin calls the length is not what it sends.
    if field.rule == Rule::Kept {
        (answer, again) = (answer.any_body(), again.any_body());
    }
    Case::required(
        format!("headers-store-{}", field.name),
        format!("{} {does}", field.name),
    )
    .after(["freshness-max-age"])
    .steps([answer.given().rest(), again.given_only(&[Aspect::Served])])
}
