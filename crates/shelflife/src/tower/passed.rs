//! What could not be shared of late: hit-for-miss.
//!
//! A URL whose answer turned out not to be shareable is remembered for a while, so that the requests that come
//! next do not wait for one another. It is forgotten as soon as an answer comes that may be stored. Where the answer was
//! refused because of a field of its request (its cookies), that is remembered for requests with such a field.
//!
//! Must not: be needed. What is forgotten, or remembered too long, costs a wait or a trip.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName};
use quick_cache::sync::Cache;

use super::why::Why;
use crate::clock::Moment;

/// So many are remembered; beyond, the oldest are forgotten sooner.
const KEYS: usize = 16_384;

pub(crate) struct Passed {
    keys: Cache<Arc<str>, Moment>,
    life: Duration,
}

impl Passed {
    pub(crate) fn remembered_for(life: Duration) -> Self {
        Self {
            keys: Cache::new(KEYS),
            life,
        }
    }

    /// Notes that what came under a key could not be shared.
    pub(crate) fn note(&self, key: &str, why: Why, now: Moment) {
        let key = match why.field() {
            Some(field) => with(key, &field),
            None if why.is_of_request() => return,
            None => key.to_owned(),
        };
        if !self.life.is_zero() {
            self.keys.insert(key.into(), now.plus(self.life));
        }
    }

    /// Whether what comes under a key for a request with these fields can't be shared, as far as is known.
    pub(crate) fn holds(&self, key: &str, headers: &HeaderMap, now: Moment) -> bool {
        if self.keys.is_empty() {
            return false;
        }
        let held = |key: &str| self.keys.get(key).is_some_and(|end| now < end);
        let mut fields = [COOKIE, AUTHORIZATION].into_iter();
        held(key) || fields.any(|field| headers.contains_key(&field) && held(&with(key, &field)))
    }

    /// What came for a request with these fields can be shared after all.
    pub(crate) fn forget(&self, key: &str, headers: &HeaderMap) {
        self.keys.remove(key);
        for field in [COOKIE, AUTHORIZATION] {
            if headers.contains_key(&field) {
                self.keys.remove(with(key, &field).as_str());
            }
        }
    }
}

/// A name that no key has: canonical text holds no control characters.
fn with(key: &str, field: &HeaderName) -> String {
    format!("{key}\n{field}")
}

impl std::fmt::Debug for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passed")
            .field("urls", &self.keys.len())
            .field("life", &self.life)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use shelflife_http::Reason as Rule;

    use super::*;

    #[test]
    fn a_url_is_remembered_for_its_time_or_until_it_is_forgotten() {
        let (passed, none) = (
            Passed::remembered_for(Duration::from_nanos(10)),
            HeaderMap::new(),
        );
        passed.note("k", Why::TooLarge, Moment(5));
        assert!(passed.holds("k", &none, Moment(14)) && !passed.holds("l", &none, Moment(14)));
        assert!(!passed.holds("k", &none, Moment(15)));
        passed.forget("k", &none);
        assert!(!passed.holds("k", &none, Moment(14)));
        passed.note("k", Why::Broken, Moment(5));
        assert!(
            !passed.holds("k", &none, Moment(14)),
            "says nothing of the next"
        );
        let never = Passed::remembered_for(Duration::ZERO);
        never.note("k", Why::TooLarge, Moment(5));
        assert!(!never.holds("k", &none, Moment(5)));
    }

    #[test]
    fn what_is_due_to_a_field_is_remembered_for_requests_that_have_it() {
        let passed = Passed::remembered_for(Duration::from_nanos(10));
        passed.note("k", Why::Rule(Rule::Cookie), Moment(5));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("x"));
        assert!(!passed.holds("k", &headers, Moment(6)));
        headers.insert(COOKIE, HeaderValue::from_static("a=b"));
        assert!(passed.holds("k", &headers, Moment(6)));
        passed.forget("k", &headers);
        assert!(!passed.holds("k", &headers, Moment(6)));
    }
}
