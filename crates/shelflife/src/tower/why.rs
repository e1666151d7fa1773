//! Why a request was answered as it was: the word in `Cache-Status` and in a test.
//!
//! Most are reasons of the rules of HTTP. What is here are the layer's own: what it knows of
//! bodies, of waiting, and of what it was told.

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use shelflife_http::{Forwarded, Reason as Rule};

macro_rules! own {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Why a response was not shared, or a request not answered from what is stored.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Why {
            /// A rule of HTTP, or the policy.
            Rule(Rule),
            $($(#[$doc])* $name,)*
        }

        impl Why {
            /// Its word.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    Self::Rule(rule) => rule.as_str(),
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

own! {
    /// The content is over the size limit.
    TooLarge = "too_large",
    /// The content broke off, or was not as long as it said.
    Broken = "broken",
    /// The content is a stream of events: it does not end.
    Events = "event_stream",
    /// The content came coded, though nobody said to the service that it is taken so.
    Coded = "coded",
    /// The rule for this route doesn't store this status.
    Status = "status",
    /// The handler asked for it not to be stored.
    NoStore = "no_store",
    /// The rule for this route says that nothing is stored.
    Ruled = "no_store_rule",
    /// The rule for this route says that each answer is for the one who asked.
    RuledPrivate = "private_rule",
    /// The rule keys by something that the request doesn't have.
    NoPrincipal = "no_principal",
    /// The content of the request is over the limit, or can't be read here.
    RequestContent = "request_content",
    /// What this URL answered a moment ago could not be shared: no request waits for another's.
    Passed = "passed",
    /// Another request for the same took longer than this one would wait.
    Waited = "waited",
    /// As many requests are with the service as may be, and as many wait.
    Overloaded = "overloaded",
    /// What another request fetched was never good enough for this one.
    Contended = "contended",
    /// More variants upon variants than are followed.
    Deep = "too_many_variants",
    /// The request whose answer others waited for was given up.
    GivenUp = "given_up",
}

impl Why {
    /// Whether another request for the same may fare better.
    pub(crate) fn is_of_request(self) -> bool {
        match self {
            Self::Rule(rule) => rule.is_of_request(),
            Self::GivenUp | Self::Broken => true,
            _ => false,
        }
    }

    /// The field of the request that it is due to, if it is one that others may have too.
    pub(crate) fn field(self) -> Option<HeaderName> {
        match self {
            Self::Rule(Rule::Authorization) => Some(AUTHORIZATION),
            Self::Rule(Rule::Cookie) => Some(COOKIE),
            _ => None,
        }
    }

    /// RFC 9211's word for a request that went forward for this.
    pub(crate) fn forwarded(self) -> Forwarded {
        match self {
            Self::Rule(rule) => rule.forwarded().unwrap_or(Forwarded::UriMiss),
            Self::Ruled
            | Self::RuledPrivate
            | Self::NoPrincipal
            | Self::RequestContent
            | Self::Passed => Forwarded::Bypass,
            Self::Deep => Forwarded::VaryMiss,
            _ => Forwarded::UriMiss,
        }
    }
}

impl From<Rule> for Why {
    fn from(rule: Rule) -> Self {
        Self::Rule(rule)
    }
}
