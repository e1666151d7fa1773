//! What a cache may do beyond or short of the RFC, and the two sets of defaults.

use std::time::Duration;

use http::{HeaderName, Method, StatusCode};

/// How long a response is fresh that doesn't say so itself, by its `Last-Modified` (RFC 9111 §4.2.2).
///
/// It is a guess, so it is made only for what is most surely the same for all: no query in the URL, no
/// `Authorization` and no `Cookie` in the request, no `Set-Cookie` and no `Pragma` in the response, a status that is
/// cacheable by default or `public`, and no targeted field, which would have been the place to say so. What was
/// guessed is never served stale by the policy's windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heuristic {
    /// Of the time since `Last-Modified`, this fraction. The RFC's typical setting is 0.1.
    pub fraction: f64,
    /// But never longer than this.
    pub at_most: Duration,
}

impl Default for Heuristic {
    /// A tenth of the time since the last modification, at most a minute.
    fn default() -> Self {
        Self {
            fraction: 0.1,
            at_most: Duration::from_secs(60),
        }
    }
}

/// What is done with `Set-Cookie` in a response that may be stored otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SetCookie {
    /// The response is stored without it: who filled the cache gets the cookie, nobody else does.
    #[default]
    Strip,
    /// The response isn't stored, unless it says that it is for all (`public` or `s-maxage`); then it is stored
    /// without it.
    Refuse,
    /// It is stored and replayed to everybody, as RFC 9111 §3.1 has it for any field. Only where the origin
    /// is known to set cookies that are the same for all.
    Keep,
}

/// What a cache is told about its part, and what it may do beyond or short of the RFC.
///
/// Start from [`Policy::proxy`] (the default) or [`Policy::application`] and change fields.
///
/// # Why the defaults are what they are
///
/// Nothing is stored that says neither how long it is fresh nor that it may be validated, unless a rule names it.
/// There is one exception, for the proxy only: [`heuristic`](Self::heuristic). RFC 9111 §4.2.2 allows it, the public
/// tests of HTTP caches count it as what a good cache does, and without it a proxy fetches every file of an origin
/// that never thought of caches again and again. It is held so tight (see [`Heuristic`]) that what it can do wrong
/// is to show a file for a minute after it changed. `None` turns it off.
///
/// [`stale_if_error`](Self::stale_if_error) is five minutes for the proxy: RFC 9111 §4.2.4 lets a disconnected cache
/// serve what is stale, unless the response forbids it (`must-revalidate`, `s-maxage`, `no-cache`), and who puts a
/// cache before an API expects a restart of the API to pass unnoticed. It covers only what was fresh once: an origin
/// that sends `max-age=0` didn't mean it for anybody else.
///
/// Answers to requests with `Cookie` are stored only if they say that they are for all
/// ([`share_cookies`](Self::share_cookies)): `max-age` alone is said by many who meant one user's browser. And
/// `Set-Cookie` isn't stored ([`SetCookie`]): RFC 9111 §3.1 wants every field stored, and §7.3 warns of this one. One
/// user's session is never another's.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Honour the request's `Cache-Control` and `Pragma` (RFC 9111 §5.2.1, §5.4). `only-if-cached` and
    /// `no-store` are honoured always: neither makes the origin work.
    pub honour_client: bool,
    /// Heuristic freshness (RFC 9111 §4.2.2). `None`: off.
    pub heuristic: Option<Heuristic>,
    /// Lifetime of responses that say nothing of their own freshness: a rule that names the route. `None`: they
    /// aren't stored.
    pub ttl: Option<Duration>,
    /// Lifetime whatever the response says of its freshness. `no-store`, `private` and `no-cache` still hold.
    pub override_ttl: Option<Duration>,
    /// Window of stale-while-revalidate for responses that don't say (RFC 5861 §3).
    pub stale_while_revalidate: Option<Duration>,
    /// Window of stale-if-error for responses that don't say (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
    /// Share answers to requests with `Authorization` without the response saying so: only by a rule.
    pub share_authorization: bool,
    /// Store answers to requests with `Cookie` without the response saying that it is for all (`public`,
    /// `s-maxage`): only by a rule.
    pub share_cookies: bool,
    /// Answer requests with `Cookie` from what was stored for requests without: nobody's own answer is in it. Such
    /// requests then never update what is stored.
    pub answer_cookies: bool,
    /// `Set-Cookie` in responses.
    pub set_cookie: SetCookie,
    /// Fields of RFC 9213, most specific first. The first one that is present and valid is used instead of
    /// `Cache-Control` and `Expires`.
    pub targeted: Vec<HeaderName>,
    /// Statuses that may be stored by `ttl` and `heuristic`, without explicit freshness (RFC 9110 §15.1).
    pub heuristic_statuses: Vec<StatusCode>,
    /// Further methods whose responses are stored and reused; the caller puts the request's content into the
    /// key. GET and HEAD always are.
    pub methods: Vec<Method>,
    /// How long a stale response with a validator is kept so that it can be validated.
    pub keep_for_validation: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self::proxy()
    }
}

impl Policy {
    /// A shared cache before any API: RFC 9111 strictly, client directives honoured.
    pub fn proxy() -> Self {
        Self {
            honour_client: true,
            heuristic: Some(Heuristic::default()),
            ttl: None,
            override_ttl: None,
            stale_while_revalidate: None,
            stale_if_error: Some(Duration::from_secs(5 * 60)),
            share_authorization: false,
            share_cookies: false,
            answer_cookies: true,
            set_cookie: SetCookie::Strip,
            targeted: vec![
                HeaderName::from_static("shelflife-cache-control"),
                HeaderName::from_static("cdn-cache-control"),
            ],
            heuristic_statuses: heuristic_statuses(),
            methods: Vec::new(),
            keep_for_validation: Duration::from_secs(24 * 60 * 60),
        }
    }

    /// A layer inside an application: safe for handlers that never thought of caches, and stricter towards
    /// clients. A client's `no-cache` doesn't reach the handler; answers to requests with cookies, and answers that set
    /// cookies, aren't shared unless the response (`public`, `s-maxage`) or a rule says so; nothing is guessed, and nothing
    /// stale is served that the response or a rule doesn't allow.
    pub fn application() -> Self {
        Self {
            honour_client: false,
            heuristic: None,
            stale_if_error: None,
            answer_cookies: false,
            set_cookie: SetCookie::Refuse,
            ..Self::proxy()
        }
    }
}

/// RFC 9110 §15.1: the statuses that are cacheable by default (206 is never stored here).
fn heuristic_statuses() -> Vec<StatusCode> {
    [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]
        .into_iter()
        .filter_map(|code| StatusCode::from_u16(code).ok())
        .collect()
}
