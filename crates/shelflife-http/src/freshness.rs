//! How long a response is fresh, and how old it was when it came (RFC 9111 §4.2).

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::control::{ResponseControl, lines};
use crate::{Policy, Request, date, directive};

/// What a stored response's freshness lifetime was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FreshBy {
    /// The directive s-maxage (RFC 9111 §5.2.2.10).
    SMaxage,
    /// The directive max-age (RFC 9111 §5.2.2.1).
    MaxAge,
    /// The field Expires (RFC 9111 §5.3).
    Expires,
    /// A directive of a targeted field (RFC 9213).
    Targeted,
    /// A rule of this cache.
    Rule,
    /// A guess by Last-Modified (RFC 9111 §4.2.2).
    Heuristic,
    /// Nothing: it is validated before each use (`no-cache`).
    Nothing,
}

impl FreshBy {
    /// The word, the same everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SMaxage => "s-maxage",
            Self::MaxAge => "max-age",
            Self::Expires => "expires",
            Self::Targeted => "targeted",
            Self::Rule => "rule",
            Self::Heuristic => "heuristic",
            Self::Nothing => "nothing",
        }
    }

    /// The clause that defines it; `policy` for a rule.
    pub const fn section(self) -> &'static str {
        match self {
            Self::SMaxage => "RFC 9111 §5.2.2.10",
            Self::MaxAge => "RFC 9111 §5.2.2.1",
            Self::Expires => "RFC 9111 §5.3",
            Self::Targeted => "RFC 9213 §2.2",
            Self::Rule => "policy",
            Self::Heuristic => "RFC 9111 §4.2.2",
            Self::Nothing => "RFC 9111 §5.2.2.4",
        }
    }
}

/// What is known of a response's time. Milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) received: u64,
    pub(crate) date: u64,
    pub(crate) initial_age: u64,
    pub(crate) last_modified: Option<u64>,
}

impl Times {
    /// Of a response whose request was sent at `sent`, and whose head came at `now`.
    pub(crate) fn read(headers: &HeaderMap, sent: u64, now: u64) -> Self {
        // RFC 9110 §6.6.1: without a Date that is one, the time of receipt stands for it.
        let date = single(headers, &header::DATE)
            .and_then(|text| date::parse(text, now))
            .unwrap_or(now);
        let last_modified =
            single(headers, &header::LAST_MODIFIED).and_then(|text| date::parse(text, now));
        // RFC 9111 §4.2.3: the larger of what the clocks say, and of what the caches before said plus the time
        // on the way. Dates have no fraction: what is within the second of now isn't old.
        let apparent = (now / 1000).saturating_sub(date / 1000) * 1000;
        let corrected = age(headers).saturating_add(now.saturating_sub(sent));
        Self {
            received: now,
            date,
            initial_age: apparent.max(corrected),
            last_modified,
        }
    }
}

/// RFC 9111 §5.1: of several lines or members the first; what isn't a number of seconds is ignored.
fn age(headers: &HeaderMap) -> u64 {
    let first = lines(headers, &header::AGE).next().unwrap_or_default();
    let member = directive::raw_members(first).next().unwrap_or_default();
    directive::delta_seconds(member).unwrap_or(0) * 1000
}

/// The freshness lifetime, and where it is from. `None`: the response says nothing of it, and no rule does.
///
/// `expires` false: a targeted field rules, and `Expires` isn't asked.
pub(crate) fn lifetime(
    request: Request<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    control: &ResponseControl,
    targeted: bool,
    times: Times,
    policy: &Policy,
) -> Option<(u64, FreshBy)> {
    let explicit = explicit(headers, control, targeted, times);
    // RFC 9111 §3: without explicit freshness, only `public` and the statuses that are cacheable by default.
    if explicit.is_none() && !control.public && !policy.heuristic_statuses.contains(&status) {
        return None;
    }
    // A rule's lifetime counts from here: how long others kept the response is not its concern.
    let by_rule = |ttl: Duration| (millis(ttl).saturating_add(times.initial_age), FreshBy::Rule);
    policy
        .override_ttl
        .map(by_rule)
        .or(explicit)
        .or_else(|| policy.ttl.map(by_rule))
        .or_else(|| heuristic(request, headers, targeted, times, policy))
        .or_else(|| control.no_cache.then_some((0, FreshBy::Nothing)))
}

fn explicit(
    headers: &HeaderMap,
    control: &ResponseControl,
    targeted: bool,
    times: Times,
) -> Option<(u64, FreshBy)> {
    let by = |by| if targeted { FreshBy::Targeted } else { by };
    // RFC 9111 §4.2.1: in this order, for a shared cache.
    if let Some(seconds) = control.s_maxage {
        return Some((seconds * 1000, by(FreshBy::SMaxage)));
    }
    if let Some(seconds) = control.max_age {
        return Some((seconds * 1000, by(FreshBy::MaxAge)));
    }
    // RFC 9213 §2.2: with a targeted field, Expires is ignored.
    if targeted || !headers.contains_key(header::EXPIRES) {
        return None;
    }
    // RFC 9111 §5.3: what isn't a date lies in the past. So do two that differ (§4.2.1).
    let expires =
        single(headers, &header::EXPIRES).and_then(|text| date::parse(text, times.received));
    Some((
        expires.map_or(0, |expires| expires.saturating_sub(times.date)),
        FreshBy::Expires,
    ))
}

/// RFC 9111 §4.2.2, for what is most surely a document that is the same for all: see [`Policy::heuristic`].
fn heuristic(
    request: Request<'_>,
    headers: &HeaderMap,
    targeted: bool,
    times: Times,
    policy: &Policy,
) -> Option<(u64, FreshBy)> {
    let heuristic = policy.heuristic?;
    let for_one_user = request.headers.contains_key(header::AUTHORIZATION)
        || request.headers.contains_key(header::COOKIE)
        || headers.contains_key(header::SET_COOKIE);
    let says_otherwise = targeted || headers.contains_key(header::PRAGMA);
    if for_one_user || says_otherwise || request.uri.query().is_some() {
        return None;
    }
    let unchanged = times.date.checked_sub(times.last_modified?)?;
    let lifetime = (unchanged as f64 * heuristic.fraction.clamp(0.0, 1.0)) as u64;
    let lifetime = lifetime.min(millis(heuristic.at_most));
    (lifetime > 0).then_some((lifetime, FreshBy::Heuristic))
}

/// The value of a field that must not have several. `None`: it is absent, or there are several that differ.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a [u8]> {
    let mut lines = lines(headers, name);
    let first = lines.next()?;
    lines.all(|line| line == first).then_some(first)
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
