//! Reasons: every "no" of HTTP caching, and every qualified "yes", with its word, its clause and a sentence.
//!
//! The word goes into `Cache-Status`, logs and counters; the clause and the sentence are what `explain` says.
//! A reason is a decision, not an error.

use std::fmt;

use crate::Forwarded;

macro_rules! reasons {
    ($($name:ident = $word:literal, $section:literal, $sentence:literal;)*) => {
        /// Why a response was or was not stored, and why it was or was not used.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = concat!($sentence, " (", $section, ")")] $name,)*
        }

        impl Reason {
            /// Every reason, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The reason's word, the same everywhere.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The clause that says so: `RFC 9111 §3.5`; `policy` where no RFC does and the policy was asked.
            pub const fn section(self) -> &'static str {
                match self { $(Self::$name => $section,)* }
            }

            /// One sentence that tells a person what happened.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

reasons! {
    // The request, before anything is looked up.
    MethodNotCacheable = "method_not_cacheable", "RFC 9111 §3",
        "The request's method is not one whose responses this cache keeps.";
    RequestBody = "request_body", "RFC 9110 §9.3.1",
        "The request carries content, which the cache key knows nothing of.";
    Upgrade = "upgrade", "RFC 9110 §7.8",
        "The request wants to change the protocol of its connection.";
    Precondition = "precondition", "RFC 9111 §4.3.2",
        "If-Match and If-Unmodified-Since are for the origin to evaluate.";
    RangeRequest = "range_request", "RFC 9111 §3.3",
        "Only a part was asked for: a fill for others can't be made of it.";
    Host = "host", "RFC 9110 §7.2",
        "The request doesn't say unambiguously which host it is for.";
    Head = "head", "RFC 9110 §9.3.2",
        "The response to HEAD has no content: it can't be stored for GET.";

    // Storing.
    NoStoreRequest = "no_store_request", "RFC 9111 §5.2.1.5",
        "The request's no-store forbids keeping any part of its response.";
    NoStoreResponse = "no_store_response", "RFC 9111 §5.2.2.5",
        "The response's no-store forbids keeping any part of it.";
    Private = "private", "RFC 9111 §5.2.2.7",
        "The response is private: for one user, so not for a shared cache.";
    Authorization = "authorization", "RFC 9111 §3.5",
        "The request has Authorization, and neither the response (public, s-maxage, must-revalidate) nor a rule allows sharing it.";
    Cookie = "cookie", "policy",
        "The request has cookies, and neither the response (public, s-maxage) nor a rule allows sharing the answer.";
    SetCookie = "set_cookie", "RFC 9111 §7.3",
        "The response sets a cookie, and the policy doesn't share such responses.";
    VaryStar = "vary_star", "RFC 9111 §4.1",
        "Vary: * says that no later request is known to select this response.";
    StatusNotUnderstood = "status_not_understood", "RFC 9111 §5.2.2.3",
        "The response has must-understand, and its status code is not one this cache understands.";
    StatusNotFinal = "status_not_final", "RFC 9111 §3",
        "Only final responses are stored.";
    PartialContent = "partial_content", "RFC 9111 §3.3",
        "A partial response is passed on, not stored.";
    NotModifiedUnasked = "not_modified_unasked", "RFC 9111 §4.3.3",
        "A 304 answers the client's own conditional request; it has no content to store.";
    NoExplicitFreshness = "no_explicit_freshness", "RFC 9111 §3",
        "The response says nothing of its freshness, and no rule gives it a lifetime.";
    TooManyTags = "too_many_tags", "policy",
        "The response has more or longer tags than are kept; without them an invalidation would miss it.";
    TooManyFields = "too_many_fields", "policy",
        "The response has more fields than can be kept.";
    NeverFresh = "never_fresh", "RFC 9111 §4.2",
        "The response is stale on arrival and has neither a validator nor a stale window to be kept for.";

    // Reuse.
    Fresh = "fresh", "RFC 9111 §4.2",
        "The stored response's age is below its freshness lifetime.";
    PastFresh = "past_fresh", "RFC 9111 §4.2.4",
        "The stored response's age has passed its freshness lifetime.";
    SoftInvalidated = "soft_invalidated", "RFC 9111 §4.4",
        "A soft invalidation named the stored response: it is stale from now on.";
    VaryMismatch = "vary_mismatch", "RFC 9111 §4.1",
        "The request differs from the stored response's request in a field that Vary names.";
    RequestNoCache = "request_no_cache", "RFC 9111 §5.2.1.4",
        "The request's no-cache asks for validation by the origin.";
    RequestPragma = "request_pragma", "RFC 9111 §5.4",
        "The request's Pragma: no-cache, without Cache-Control, asks for validation by the origin.";
    RequestMaxAge = "request_max_age", "RFC 9111 §5.2.1.1",
        "The stored response is older than the request's max-age allows.";
    RequestMinFresh = "request_min_fresh", "RFC 9111 §5.2.1.3",
        "The stored response won't stay fresh for as long as the request's min-fresh wants.";
    ResponseNoCache = "response_no_cache", "RFC 9111 §5.2.2.4",
        "The response's no-cache wants validation before every reuse.";
    MustRevalidate = "must_revalidate", "RFC 9111 §5.2.2.2",
        "The response is stale, and its must-revalidate, proxy-revalidate or s-maxage forbids reuse without validation.";
    MaxStale = "max_stale", "RFC 9111 §5.2.1.2",
        "The stored response is stale, and the request's max-stale accepts that.";
    StaleWhileRevalidate = "stale_while_revalidate", "RFC 5861 §3",
        "The stored response is stale, within the window in which it is served while being refreshed.";
    StaleIfError = "stale_if_error", "RFC 5861 §4",
        "The stored response is stale, and is served because the origin failed.";
    OnlyIfCached = "only_if_cached", "RFC 9111 §5.2.1.7",
        "The request's only-if-cached forbids asking the origin, and nothing stored will do.";

    // Validation, updates, invalidation.
    Validated = "validated", "RFC 9111 §4.3.4",
        "The origin said that the stored response still holds.";
    OtherRepresentation = "other_representation", "RFC 9111 §4.3.4",
        "The 304 names another representation than the stored one.";
    HeadDiffers = "head_differs", "RFC 9111 §4.3.5",
        "A HEAD response's validator or length differs from the stored response's: that is outdated.";
    UnsafeMethod = "unsafe_method", "RFC 9111 §4.4",
        "A request with an unsafe method succeeded on this URI: what is stored for it is invalid.";
}

impl Reason {
    /// Whether it is something about this one request that kept its response from being stored. Another request for
    /// the same URL may fare better: such a refusal is not to be remembered for the URL.
    pub const fn is_of_request(self) -> bool {
        matches!(
            self,
            Self::NoStoreRequest
                | Self::Authorization
                | Self::Cookie
                | Self::RangeRequest
                | Self::Precondition
                | Self::Head
        )
    }

    /// The word that RFC 9211 §2.2 has for a request that went forward for this reason. `None`: the reason is
    /// not one for going forward (it speaks of storing, or of a hit).
    pub const fn forwarded(self) -> Option<Forwarded> {
        Some(match self {
            Self::MethodNotCacheable | Self::UnsafeMethod | Self::Head => Forwarded::Method,
            Self::RequestBody
            | Self::Upgrade
            | Self::Precondition
            | Self::Host
            | Self::Authorization
            | Self::Cookie => Forwarded::Bypass,
            Self::RangeRequest => Forwarded::Partial,
            Self::VaryMismatch | Self::VaryStar => Forwarded::VaryMiss,
            Self::RequestNoCache
            | Self::RequestPragma
            | Self::RequestMaxAge
            | Self::RequestMinFresh
            | Self::NoStoreRequest => Forwarded::Request,
            Self::PastFresh
            | Self::SoftInvalidated
            | Self::ResponseNoCache
            | Self::MustRevalidate
            | Self::HeadDiffers => Forwarded::Stale,
            _ => return None,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct_and_every_reason_names_its_clause() {
        let words: std::collections::HashSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(
                reason.section().starts_with("RFC ") || reason.section() == "policy",
                "{reason}"
            );
            assert!(reason.sentence().ends_with('.'), "{reason}");
        }
    }
}
