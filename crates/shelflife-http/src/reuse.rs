//! How a stored response may be used now (RFC 9111 §4).

use http::header;

use crate::control::RequestControl;
use crate::{Policy, Reason, Request, Stored};

/// How a stored response that selects this request may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// As it is.
    Fresh,
    /// As it is, though stale.
    Stale {
        /// What allows that.
        reason: Reason,
        /// Whether the origin is to be asked behind it.
        refresh: bool,
    },
    /// Not without asking the origin first.
    Validate {
        /// Why.
        reason: Reason,
        /// The request wants it; else the response itself can't be used as it is.
        asked: bool,
        /// It may be served when the origin fails: no answer, or 500, 502, 503, 504.
        if_error: bool,
    },
    /// Not for this request, and not to be updated by it: that goes to the origin as it is, and what is stored is
    /// left alone.
    Bypass {
        /// Why.
        reason: Reason,
        /// It may be served when the origin fails, as with `Validate`.
        if_error: bool,
    },
    /// The request forbids asking the origin, and what is stored won't do: 504.
    Unsatisfiable(Reason),
}

/// How a stored response that selects this request (see [`Stored::selects`]) may be used. `soft`: a soft
/// invalidation named it, so that it is stale from now on. `now`: milliseconds since the Unix epoch.
///
/// Allocates nothing.
pub fn reuse(
    request: Request<'_>,
    stored: &Stored,
    policy: &Policy,
    soft: bool,
    now: u64,
) -> Reuse {
    // The other side of RFC 9111 §3.5: what was answered to a request without credentials, and doesn't say that it
    // is for all, isn't taken for the answer to one with them.
    let has = |name| request.headers.contains_key(name);
    if !stored.shared && !policy.share_authorization && has(header::AUTHORIZATION) {
        return Reuse::Bypass {
            reason: Reason::Authorization,
            if_error: false,
        };
    }
    let cookie = !stored.public && !policy.share_cookies && has(header::COOKIE);
    if cookie && !policy.answer_cookies {
        return Reuse::Bypass {
            reason: Reason::Cookie,
            if_error: false,
        };
    }
    let mut control = RequestControl::read(request.headers);
    let only_if_cached = control.only_if_cached;
    if !policy.honour_client {
        control = RequestControl::default();
    }
    match decide(stored, control, soft, now) {
        // RFC 9111 §5.2.1.7
        Reuse::Validate { .. } if only_if_cached => Reuse::Unsatisfiable(Reason::OnlyIfCached),
        // What the origin says to one with cookies doesn't become what it says to all.
        Reuse::Validate { if_error, .. } if cookie => Reuse::Bypass {
            reason: Reason::Cookie,
            if_error,
        },
        Reuse::Stale { reason, .. } if cookie => Reuse::Stale {
            reason,
            refresh: false,
        },
        reuse => reuse,
    }
}

fn decide(stored: &Stored, control: RequestControl, soft: bool, now: u64) -> Reuse {
    let age = stored.age(now);
    let fresh = !soft && stored.fresh_left(now) > 0;
    let stale_for = if soft {
        stored.stale_for(now).max(1)
    } else {
        stored.stale_for(now)
    };
    let validate = |reason, asked| Reuse::Validate {
        reason,
        asked,
        // RFC 5861 §4: regardless of other freshness information; but no-cache and must-revalidate stand.
        if_error: !stored.no_cache
            && (fresh
                || !stored.must_revalidate && within(stale_for, window_if_error(stored, control))),
    };
    // RFC 9111 §5.2.2.4
    if stored.no_cache {
        return validate(Reason::ResponseNoCache, false);
    }
    // RFC 9111 §5.2.1.4, §5.4
    if control.no_cache {
        return validate(Reason::RequestNoCache, true);
    }
    if control.pragma {
        return validate(Reason::RequestPragma, true);
    }
    if fresh {
        // RFC 9111 §5.2.1.1, §5.2.1.3
        if too_old(age, control.max_age, 0) {
            return validate(Reason::RequestMaxAge, true);
        }
        if control
            .min_fresh
            .is_some_and(|least| stored.fresh_left(now) < signed_millis(least))
        {
            return validate(Reason::RequestMinFresh, true);
        }
        return Reuse::Fresh;
    }
    // RFC 9111 §4.2.4: stale, and not to be served without somebody's word for it.
    if stored.must_revalidate {
        return validate(Reason::MustRevalidate, false);
    }
    if accepts_stale(control, age, stale_for) {
        return Reuse::Stale {
            reason: Reason::MaxStale,
            refresh: false,
        };
    }
    // RFC 5861 §3. RFC 9111 §5.2.1.1: who sends max-age accepts nothing stale, unless max-stale says so.
    let wants_fresh = control.max_age.is_some() || control.min_fresh.is_some();
    if !wants_fresh && within(stale_for, stored.stale_while_revalidate) {
        return Reuse::Stale {
            reason: Reason::StaleWhileRevalidate,
            refresh: true,
        };
    }
    validate(
        if soft {
            Reason::SoftInvalidated
        } else {
            Reason::PastFresh
        },
        false,
    )
}

/// RFC 9111 §5.2.1.2: within the client's limit, and within its max-age as far as that stretches it.
fn accepts_stale(control: RequestControl, age: u64, stale_for: u64) -> bool {
    let Some(limit) = control.max_stale else {
        return false;
    };
    let within = limit.is_none_or(|most| stale_for <= most * 1000);
    within
        && control.min_fresh.is_none()
        && !too_old(age, control.max_age, limit.unwrap_or(u64::MAX))
}

/// Whether a response of this age is older than the request allows. With `max-age=0` every age is.
fn too_old(age: u64, max_age: Option<u64>, and: u64) -> bool {
    let Some(most) = max_age.map(|most| most.saturating_add(and)) else {
        return false;
    };
    most == 0 || age > most.saturating_mul(1000)
}

/// A window of no length allows nothing, not even the moment at which freshness ends.
fn within(stale_for: u64, window: u64) -> bool {
    window > 0 && stale_for <= window
}

/// RFC 5861 §4: the response's word or the request's.
fn window_if_error(stored: &Stored, control: RequestControl) -> u64 {
    stored
        .stale_if_error
        .max(control.stale_if_error.unwrap_or(0) * 1000)
}

fn signed_millis(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX)
}
