//! Rules: what an application says of a route's responses, so that its handlers need not.
//!
//! ```
//! use shelflife::tower::{Rule, VaryBy};
//!
//! let rules = [
//!     Rule::path("/users/{id}").ttl("5m").stale("1h").tags(["user:{id}", "users"]),
//!     Rule::path("/search").ttl("30s").only_query(["q", "page"]),
//!     Rule::path("/me").ttl("1m").vary_by(VaryBy::header("authorization")),
//!     Rule::path("/admin/{*rest}").no_store(),
//! ];
//! # for rule in &rules { rule.check().unwrap(); }
//! ```
//!
//! The first rule that is for a request's method and path counts, alone. A rule never makes a response be
//! kept that says `no-store` or `private`, and never lets answers be shared between users unless it says so
//! ([`Rule::public`]) or tells them apart ([`Rule::vary_by`]).
//!
//! Must not: hold an RFC rule. `path` matches, `template` names tags, `vary` makes texts of requests, `compiled`
//! is what the driver asks; each is pure.

mod compiled;
mod cookie;
mod path;
mod span;
mod template;
mod vary;

use std::time::Duration;

use shelflife_http::{Policy, QueryRule};

use crate::error::{Error, ErrorKind};
use crate::policy::LONGEST;

pub(crate) use compiled::{Limits, Matched, Rules};
pub use span::IntoDuration;
pub use vary::VaryBy;

/// What is done with the responses of a route.
///
/// Every setting takes a plain value, so that a configuration file or another language says the same. What can't be used is told
/// when the layer is built, or by [`check`](Self::check): by the rule's path, with the text and what would be valid.
///
/// A response's own freshness (`Cache-Control: max-age=…`) counts before the rule's [`ttl`](Self::ttl): who
/// answers knows best.
#[derive(Clone, Debug)]
#[must_use = "a rule does nothing until it is given to a layer"]
pub struct Rule {
    /// `None`: every path.
    path: Option<String>,
    methods: Vec<String>,
    statuses: Option<Vec<u16>>,
    ttl: Option<Duration>,
    override_ttl: Option<Duration>,
    stale: Option<Duration>,
    tags: Vec<String>,
    vary_by: Vec<VaryBy>,
    ignored_cookies: Vec<String>,
    query: QueryRule,
    keep: Keep,
    honour_client: Option<bool>,
    by_body: Option<u64>,
    limits: Limits,
    /// The first setting that couldn't be used.
    fault: Option<Error>,
}

/// Who a route's responses are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// As the response says, and the requests' credentials allow.
    AsSaid,
    Public,
    Private,
    Nothing,
}

impl Rule {
    /// A rule for paths of this pattern, as axum writes them: `/users/{id}` takes one segment, `/files/{*rest}` the rest
    /// of the path; `{{` and `}}` stand for braces.
    ///
    /// Segments are compared byte for byte, as they stand in the URL. A path with dot segments (`/static/../me`, and
    /// `..%2F` too) is no rule's: what an origin makes of it is not known.
    pub fn path(pattern: impl Into<String>) -> Self {
        let any = Self::any();
        Self {
            path: Some(pattern.into()),
            ..any
        }
    }

    /// A rule for every path; as the last one, the default of all the others.
    pub fn any() -> Self {
        Self {
            path: None,
            methods: Vec::new(),
            statuses: None,
            ttl: None,
            override_ttl: None,
            stale: None,
            tags: Vec::new(),
            vary_by: Vec::new(),
            ignored_cookies: Vec::new(),
            query: QueryRule::default(),
            keep: Keep::AsSaid,
            honour_client: None,
            by_body: None,
            limits: Limits::default(),
            fault: None,
        }
    }

    /// For requests of these methods only: `GET` (`HEAD` is answered with it), and `POST` or `QUERY` together with
    /// [`by_body`](Self::by_body). Default `GET`.
    pub fn methods<M: AsRef<str>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.methods = methods.into_iter().map(|m| m.as_ref().to_owned()).collect();
        self
    }

    /// Keeps responses of these statuses only, whatever they say, and gives them the [`ttl`](Self::ttl).
    ///
    /// Default: `ttl` is for 200, 203, 204, 300, 301 and 308; others are kept if they say themselves how long. To keep
    /// that something isn't there: `.statuses([200, 404])`, and tags to invalidate it by when it is created.
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.statuses = Some(statuses.into_iter().collect());
        self
    }

    /// How long responses are fresh that don't say it themselves. Default: they aren't kept.
    pub fn ttl(mut self, ttl: impl IntoDuration) -> Self {
        self.ttl = self.positive("ttl", ttl);
        self
    }

    /// How long responses are fresh *whatever they say*; only `no-store`, `private` and `no-cache` still hold. For
    /// origins whose `Cache-Control` is wrong and can't be mended.
    pub fn override_ttl(mut self, ttl: impl IntoDuration) -> Self {
        self.override_ttl = self.positive("override_ttl", ttl);
        self
    }

    /// How long after that they may be served once more, while they are refreshed behind or when that fails, unless they
    /// say themselves (`stale-while-revalidate`, `stale-if-error`, `must-revalidate`). Default: not at all.
    pub fn stale(mut self, stale: impl IntoDuration) -> Self {
        self.stale = self.time("stale", stale);
        self
    }

    /// Names to invalidate the responses by; `{id}` is what the path's placeholder took, percent-decoded, and escaped as a
    /// [`KeyTemplate`](crate::KeyTemplate) does with a part. Adds to those that responses name themselves.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// What else than method and URL tells answers apart; several add up.
    ///
    /// By a principal or by `authorization`, answers to requests with credentials may be kept: each has its own.
    pub fn vary_by(mut self, by: VaryBy) -> Self {
        self.vary_by.push(by);
        self
    }

    /// Cookies that answers don't depend on, by name; `_ga*` stands for all that begin so. Requests that have no others are
    /// treated as if they had none.
    ///
    /// A cookie that tells who asks must not be among them: its users would get each other's answers.
    pub fn ignore_cookies<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.ignored_cookies
            .extend(names.into_iter().map(Into::into));
        self
    }

    /// Takes parameters in another order for the same query: `?b=2&a=1` is `?a=1&b=2`. Those of one name keep theirs.
    /// Default: the query is taken exactly as it is.
    pub fn sort_query(mut self) -> Self {
        self.query.sort = true;
        self
    }

    /// Parameters that answers don't depend on, by name; `utm_*` stands for all that begin so.
    ///
    /// A parameter that answers *do* depend on must not be among them: one client's answer would be everybody's.
    pub fn drop_query<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.query.drop.extend(names.into_iter().map(Into::into));
        self
    }

    /// The only parameters that answers depend on, by name; all others are left out of the key, and order counts only
    /// among those of one name.
    pub fn only_query<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        names
            .into_iter()
            .fold(self.drop_query(["*"]), |rule, name| {
                rule.vary_by(VaryBy::query(name))
            })
    }

    /// The answers are the same for everybody, whoever asks: requests with `Authorization` and cookies share them, and
    /// `Set-Cookie` is left out of what is kept.
    ///
    /// On a route whose answers depend on who asks this shows one user's answer to another.
    pub fn public(mut self) -> Self {
        self.keep = Keep::Public;
        self
    }

    /// Each answer is for the one who asked: never looked up, never kept, as if every response said `private`.
    pub fn private(mut self) -> Self {
        self.keep = Keep::Private;
        self
    }

    /// Nothing on this route is looked up or kept, as if every response said `no-store`.
    pub fn no_store(mut self) -> Self {
        self.keep = Keep::Nothing;
        self
    }

    /// Whether clients' `Cache-Control: no-cache`, `max-age` and the like are honoured: then any client can
    /// make the handler work. Default: as the layer says.
    pub fn honour_client(mut self, honour: bool) -> Self {
        self.honour_client = Some(honour);
        self
    }

    /// Responses of more bytes are passed on and not kept. Default: as the layer says.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.limits.max_body = Some(bytes);
        self
    }

    /// How long a request waits for the one that fetches the same, before it goes to the handler itself. Default: as the
    /// layer says.
    pub fn collapse_wait(mut self, wait: impl IntoDuration) -> Self {
        self.limits.collapse_wait = self.time("collapse_wait", wait);
        self
    }

    /// Keeps responses to `POST` or `QUERY` (see [`methods`](Self::methods)) by the digest of the request's content, which
    /// is read up to so many bytes; a request with more goes to the handler. Only for routes where such a request
    /// changes nothing.
    pub fn by_body(mut self, bytes: u64) -> Self {
        self.by_body = Some(bytes);
        self
    }

    /// Whether the rule can be used; a layer asks the same when it is built.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::Config`]: the rule's path, what can't be used, and what would be
    /// valid.
    pub fn check(&self) -> Result<(), Error> {
        Rules::new(vec![self.clone()], &Policy::application()).map(|_| ())
    }

    fn positive(&mut self, setting: &str, time: impl IntoDuration) -> Option<Duration> {
        let time = self.time(setting, time)?;
        if time.is_zero() {
            self.fail(format!(
                "{setting}: \"0s\"; expected more than nothing; no_store() keeps a route out of the cache"
            ));
        }
        Some(time)
    }

    fn time(&mut self, setting: &str, time: impl IntoDuration) -> Option<Duration> {
        match time.into_duration() {
            Ok(time) => Some(time.min(LONGEST)),
            Err(error) => {
                self.fail(format!("{setting}: {error}"));
                None
            }
        }
    }

    fn fail(&mut self, message: String) {
        self.fault
            .get_or_insert_with(|| Error::new(ErrorKind::Config, message));
    }
}
