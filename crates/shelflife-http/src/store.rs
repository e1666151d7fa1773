//! May a response be stored (RFC 9111 §3), and what of it (§3.1)?

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::control::{RequestControl, ResponseControl};
use crate::freshness::{FreshBy, Times, lifetime};
use crate::key::host_of;
use crate::{Policy, Reason, Request, SetCookie, Stored, date, hop, tags, targeted, vary};

/// May the response be stored (RFC 9111 §3)? `sent`: when its request was sent; `now`: when its head arrived; in
/// milliseconds since the Unix epoch. That its content is complete is the caller's concern (§3.3).
///
/// The stored head is a copy of the response's without the fields that aren't stored (§3.1).
///
/// # Errors
///
/// Why it may not be stored. It is passed on.
pub fn store(
    request: Request<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    policy: &Policy,
    sent: u64,
    now: u64,
) -> Result<Stored, Reason> {
    may_store_method(request, policy)?;
    may_store_status(request, status)?;
    judge(
        request,
        status,
        headers,
        policy,
        Times::read(headers, sent, now),
    )
}

/// As [`store`], when method and status are known to be right: for what is stored already and was updated.
pub(crate) fn judge(
    request: Request<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    policy: &Policy,
    times: Times,
) -> Result<Stored, Reason> {
    // RFC 9111 §5.2.1.5
    if RequestControl::read(request.headers).no_store {
        return Err(Reason::NoStoreRequest);
    }
    let (control, by_target) = targeted::control(headers, &policy.targeted);
    may_store_directives(status, &control)?;
    may_share(request, headers, &control, policy)?;
    let selecting = vary::fields(headers).ok_or(Reason::VaryStar)?;
    let (lifetime, fresh_by) =
        lifetime(request, status, headers, &control, by_target, times, policy)
            .ok_or(Reason::NoExplicitFreshness)?;
    let mut stored = Stored {
        status,
        headers: stored_fields(headers, &control, policy, times)?,
        selected_by: selecting
            .into_iter()
            .map(|name| {
                let value = vary::normal(request.headers, &name);
                (name, value)
            })
            .collect(),
        received: times.received,
        initial_age: times.initial_age,
        lifetime,
        fresh_by,
        date: times.date,
        last_modified: times.last_modified,
        must_revalidate: control.forbids_stale(),
        no_cache: control.no_cache,
        stale_while_revalidate: 0,
        stale_if_error: 0,
        shared: control.allows_sharing(),
        public: control.public || control.s_maxage.is_some(),
        no_transform: control.no_transform,
        tags: tags::tags(headers)?,
        groups: tags::groups(headers, &host_of(request)?)?,
    };
    let (while_revalidate, if_error) = windows(&stored, &control, policy);
    stored.allow_stale(while_revalidate, if_error);
    // RFC 9111 §4.2: never fresh, never to be served stale, and no way to ask: of no use to anybody.
    let fresh = !stored.no_cache && stored.fresh_left(stored.received) > 0;
    if !fresh && stored.keep(policy).is_zero() {
        return Err(Reason::NeverFresh);
    }
    Ok(stored)
}

pub(crate) fn may_store_method(request: Request<'_>, policy: &Policy) -> Result<(), Reason> {
    if request.method == Method::HEAD {
        return Err(Reason::Head);
    }
    if request.method != Method::GET && !policy.methods.contains(request.method) {
        return Err(Reason::MethodNotCacheable);
    }
    Ok(())
}

pub(crate) fn may_store_status(request: Request<'_>, status: StatusCode) -> Result<(), Reason> {
    match status.as_u16() {
        // RFC 9111 §3: final responses only.
        100..200 => Err(Reason::StatusNotFinal),
        // RFC 9111 §3.3: allowed for caches that combine parts; this one keeps whole responses.
        206 => Err(Reason::PartialContent),
        // RFC 9111 §4.3.3: it updates, it isn't stored.
        304 => Err(Reason::NotModifiedUnasked),
        // RFC 9110 §13.1, §15.5.13: it answers this request's condition, not the URI.
        412 => Err(Reason::Precondition),
        // RFC 9110 §15.5.17: the same of its range.
        416 => Err(Reason::RangeRequest),
        // An error may be due to the range that was asked for.
        _ if !status.is_success() && request.headers.contains_key(header::RANGE) => {
            Err(Reason::RangeRequest)
        }
        _ => Ok(()),
    }
}

fn may_store_directives(status: StatusCode, control: &ResponseControl) -> Result<(), Reason> {
    may_store_at_all(status, control)?;
    may_store_for_others(control)
}

pub(crate) fn may_store_at_all(
    status: StatusCode,
    control: &ResponseControl,
) -> Result<(), Reason> {
    if control.must_understand {
        // RFC 9111 §5.2.2.3: a cache that understands the status ignores the no-store that is there for others.
        if !is_understood(status) {
            return Err(Reason::StatusNotUnderstood);
        }
    } else if control.no_store {
        // RFC 9111 §5.2.2.5
        return Err(Reason::NoStoreResponse);
    }
    Ok(())
}

pub(crate) fn may_store_for_others(control: &ResponseControl) -> Result<(), Reason> {
    // RFC 9111 §5.2.2.7
    if control.private {
        return Err(Reason::Private);
    }
    Ok(())
}

fn may_share(
    request: Request<'_>,
    headers: &HeaderMap,
    control: &ResponseControl,
    policy: &Policy,
) -> Result<(), Reason> {
    may_share_authorized(request, control, policy)?;
    may_share_cookies(request, control, policy)?;
    may_share_cookie_setting(headers, control, policy)
}

/// RFC 9111 §3.5.
pub(crate) fn may_share_authorized(
    request: Request<'_>,
    control: &ResponseControl,
    policy: &Policy,
) -> Result<(), Reason> {
    let authorized = request.headers.contains_key(header::AUTHORIZATION);
    if authorized && !policy.share_authorization && !control.allows_sharing() {
        return Err(Reason::Authorization);
    }
    Ok(())
}

/// The policy's: no RFC speaks of it.
pub(crate) fn may_share_cookies(
    request: Request<'_>,
    control: &ResponseControl,
    policy: &Policy,
) -> Result<(), Reason> {
    let has_cookies = request.headers.contains_key(header::COOKIE);
    if has_cookies && !policy.share_cookies && !is_for_all(control) {
        return Err(Reason::Cookie);
    }
    Ok(())
}

/// RFC 9111 §7.3: the RFC leaves it to the origin; a policy may be more careful.
pub(crate) fn may_share_cookie_setting(
    headers: &HeaderMap,
    control: &ResponseControl,
    policy: &Policy,
) -> Result<(), Reason> {
    let refused = policy.set_cookie == SetCookie::Refuse && !is_for_all(control);
    if refused && headers.contains_key(header::SET_COOKIE) {
        return Err(Reason::SetCookie);
    }
    Ok(())
}

fn is_for_all(control: &ResponseControl) -> bool {
    control.public || control.s_maxage.is_some()
}

/// RFC 9110 §15 and the registered ones beside it whose caching needs nothing special.
fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=205 | 300..=303 | 305 | 307 | 308 | 400..=411 | 413..=415 | 417 | 421 | 422 | 426 | 428 | 429 | 431 | 451 | 500..=505 | 511
    )
}

/// RFC 5861, and the policy's windows for responses that don't say. `must-revalidate` and `no-cache` allow none;
/// a response that was never fresh was not meant to be reused, so the policy's don't apply to it.
fn windows(
    stored: &Stored,
    control: &ResponseControl,
    policy: &Policy,
) -> (Option<Duration>, Option<Duration>) {
    if stored.must_revalidate || stored.no_cache {
        return (None, None);
    }
    let was_fresh = stored.lifetime > stored.initial_age && stored.fresh_by != FreshBy::Heuristic;
    let window = |said: Option<u64>, default: Option<Duration>| {
        said.map(Duration::from_secs)
            .or_else(|| default.filter(|_| was_fresh))
    };
    (
        window(
            control.stale_while_revalidate,
            policy.stale_while_revalidate,
        ),
        window(control.stale_if_error, policy.stale_if_error),
    )
}

/// RFC 9111 §3.1: all fields, but for those of one hop, of a proxy, and those that the response withholds.
fn stored_fields(
    headers: &HeaderMap,
    control: &ResponseControl,
    policy: &Policy,
    times: Times,
) -> Result<HeaderMap, Reason> {
    let mut kept = headers.clone();
    hop::remove_hop_by_hop(&mut kept);
    for name in hop::PROXY_FIELDS {
        kept.remove(*name);
    }
    for name in &control.withheld {
        kept.remove(name);
    }
    if policy.set_cookie != SetCookie::Keep {
        kept.remove(header::SET_COOKIE);
    }
    // RFC 9111 §4: it is worked out anew for each answer.
    kept.remove(header::AGE);
    // RFC 9211 §2: what caches did with the request that brought the response, not with those to come.
    kept.remove("cache-status");
    // RFC 9110 §6.6.1: there has to be one, and it has to be a date.
    let has_date = kept
        .get(header::DATE)
        .is_some_and(|text| date::parse(text.as_bytes(), times.received).is_some());
    if !has_date {
        let text =
            HeaderValue::try_from(date::format(times.date)).map_err(|_| Reason::TooManyFields)?;
        kept.try_insert(header::DATE, text)
            .map_err(|_| Reason::TooManyFields)?;
    }
    Ok(kept)
}
