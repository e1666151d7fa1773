//! The driver: from a request that L1 did not answer at once to its response. The only room that waits.
//!
//! The responses of a URL stand in a chain: under its key the one that came first, with the fields of the request that
//! selected it; below it, under a key that names the request's own variant, the next. A request goes down until
//! something selects it, or nothing is there. Each step is one look-up and at most one load, and each load fills the
//! entry that it was for, so that every variant has the promise of any entry.
//!
//! Must not: hold a rule of HTTP.

use std::sync::Arc;

use http::{Request, Response};
use http_body::Body;
use shelflife_http::{self as rules, Forwarded, Reason as Rule, Reuse};
use tower_service::Service;

use super::body::{BoxError, CacheBody};
use super::content::RequestContent;
use super::facts::{Facts, Plan};
use super::kept::Kept;
use super::key::variant_key;
use super::layer::Config;
use super::load::{Load, Ready, Slot};
use super::why::Why;
use crate::engine::ask::{Replace, Takes};
use crate::engine::load::Chain;
use crate::engine::{Ask, Level};
use crate::key::all_tags;
use crate::reason::Reason;
use crate::status::{Outcome, Status, Tier};
use crate::value::{Kind, Live, downcast};

mod alone;
mod flight;

use flight::Flown;

/// How often what others fetched is waited for.
const TRIES: usize = 4;

/// How far down a chain of variants goes. What is below is asked for by each request for itself.
pub(crate) const DEEPEST: usize = 4;

/// What the steps of one request share.
pub(crate) struct Context {
    pub(crate) config: Arc<Config>,
    pub(crate) plan: Plan,
    /// The request as the client sent it.
    pub(crate) facts: Facts,
}

/// A request under way.
pub(crate) struct Drive<S, Q> {
    context: Arc<Context>,
    slot: Arc<Slot<S, Q>>,
    /// Of the step that it is at.
    key: Arc<str>,
    /// How many steps down that is.
    depth: usize,
}

/// A response, and what the engine said of it.
struct Found {
    kept: Arc<Kept>,
    status: Status,
}

impl Found {
    fn in_answer(live: Live, status: Status) -> Option<Self> {
        let kept = downcast::<Kept>(live)?;
        Some(Self { kept, status })
    }

    /// Whether only a soft invalidation names it.
    fn is_soft(&self) -> bool {
        self.is_stale() && self.status.reason() == Reason::SoftInvalidated
    }

    /// Whether it is stale by the engine's times, so that a load that replaces nothing fresh replaces it.
    fn is_stale(&self) -> bool {
        self.status.outcome() == Outcome::Stale
    }

    /// Whether it was not stored, but fetched while this request was there.
    fn was_fetched(&self) -> bool {
        self.status.outcome() == Outcome::Miss
    }

    fn tier(&self) -> &'static str {
        match self.status.tier() {
            Some(Tier::L2) => "l2",
            _ => "l1",
        }
    }
}

/// Where a step leads.
enum Step<B> {
    Done(Response<CacheBody<B>>),
    /// What is there is for others: on, under this key.
    Down(String),
}

/// What a request wants of a flight.
struct Wanted {
    takes: Takes,
    replace: Replace,
    /// What is to be validated.
    stored: Option<Arc<Kept>>,
    /// Whether that may stand in when the service fails.
    if_error: bool,
    /// Why the request goes forward, if it does.
    forwarded: Forwarded,
}

impl Wanted {
    fn fallback(&self) -> Fallback {
        Fallback(self.stored.clone().filter(|_| self.if_error))
    }
}

/// What looking at an entry of the chain gave.
enum Finding<B> {
    Found(Found),
    Done(Response<CacheBody<B>>),
    /// Somebody's request was refused for its own sake.
    Again,
}

/// What may be served if the service fails.
struct Fallback(Option<Arc<Kept>>);

impl<S, Q, B> Drive<S, Q>
where
    S: Service<Request<Q>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    Q: Body + Send + 'static,
    Q::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(crate) fn new(config: Arc<Config>, plan: Plan, service: S, request: Request<Q>) -> Self {
        let (parts, body) = request.into_parts();
        let facts = Facts::of(&parts);
        let key = plan.named.key.as_str().into();
        let request = Request::from_parts(parts, body);
        Self {
            context: Arc::new(Context {
                config,
                plan,
                facts,
            }),
            slot: Arc::new(Slot::new(service, request)),
            key,
            depth: 0,
        }
    }

    pub(crate) async fn run(mut self) -> Result<Response<CacheBody<B>>, S::Error> {
        if let Some(most) = self.context.plan.body_key
            && let Err(why) = self.digest_content(most).await
        {
            return self.alone(why, Fallback(None)).await;
        }
        while self.depth < DEEPEST {
            match self.step().await? {
                Step::Done(response) => return Ok(response),
                Step::Down(key) => {
                    self.key = key.into();
                    self.depth += 1;
                }
            }
        }
        self.alone(Why::Deep, Fallback(None)).await
    }

    /// Puts the content of the request into its key.
    async fn digest_content(&mut self, most: u64) -> Result<(), Why> {
        let Some(make) = self.context.config.rebuilders.get::<Q>() else {
            return Err(Why::RequestContent);
        };
        let Some(Ready { service, request }) = self.slot.take() else {
            return Err(Why::RequestContent);
        };
        let (parts, body) = request.into_parts();
        let content = RequestContent::read(body, most).await;
        let digest = content.digest(&parts);
        let request = Request::from_parts(parts, make(content));
        self.slot.put(Ready { service, request });
        let digest = digest.ok_or(Why::RequestContent)?;
        let mut named = self.context.plan.named.clone();
        named.push('b', &digest);
        self.key = named.key.into();
        Ok(())
    }

    /// One entry of the chain: what is stored there, what that is to this request, and what is to be done.
    async fn step(&mut self) -> Result<Step<B>, S::Error> {
        let mut wanted = Wanted {
            takes: Takes::Stored,
            replace: Replace::Nothing,
            stored: None,
            if_error: false,
            forwarded: match self.depth {
                0 => Forwarded::UriMiss,
                _ => Forwarded::VaryMiss,
            },
        };
        for _ in 0..TRIES {
            let found = match self.find(&wanted).await? {
                Finding::Found(found) => found,
                Finding::Done(response) => return Ok(Step::Done(response)),
                Finding::Again => continue,
            };
            let Some(whole) = found.kept.whole() else {
                break;
            };
            let Context {
                config,
                plan,
                facts,
            } = &*self.context;
            let request = facts.request();
            if !whole.head.selects(request) {
                return Ok(Step::Down(variant_key(&self.key, &whole.head, request)));
            }
            let now = config.now();
            match rules::reuse(request, &whole.head, &plan.policy, found.is_soft(), now) {
                Reuse::Fresh => return Ok(self.from(&found, whole, wanted.forwarded, None)),
                Reuse::Stale { reason, refresh } => {
                    if refresh && !found.was_fetched() {
                        self.refresh_behind(&found);
                    }
                    let why = Some(reason);
                    return Ok(self.from(&found, whole, wanted.forwarded, why));
                }
                // It was fetched since this request came: it holds for this request, however short.
                Reuse::Validate { .. }
                    if found.was_fetched() && wanted.replace == Replace::Anything =>
                {
                    return Ok(self.from(&found, whole, wanted.forwarded, None));
                }
                Reuse::Validate {
                    reason,
                    asked,
                    if_error,
                } => {
                    if let Some(why) = self.refuses_to_validate() {
                        let fallback = Fallback(if_error.then_some(found.kept));
                        return Ok(Step::Done(self.alone(why, fallback).await?));
                    }
                    let forwarded = match wanted.stored {
                        None if !found.was_fetched() => {
                            reason.forwarded().unwrap_or(Forwarded::Stale)
                        }
                        _ => wanted.forwarded,
                    };
                    wanted = Wanted {
                        takes: Takes::Landings,
                        replace: match found.is_stale() && !asked {
                            true => Replace::Nothing,
                            false => Replace::Anything,
                        },
                        stored: Some(found.kept),
                        if_error,
                        forwarded,
                    };
                }
                Reuse::Bypass { reason, if_error } => {
                    let fallback = Fallback(if_error.then_some(found.kept));
                    return Ok(Step::Done(self.alone(reason.into(), fallback).await?));
                }
                Reuse::Unsatisfiable(reason) => return Ok(Step::Done(self.unsatisfiable(reason))),
            }
        }
        let response = self.alone(Why::Contended, wanted.fallback()).await?;
        Ok(Step::Done(response))
    }

    /// What is stored, or fetched; or the response, if it is this request's own.
    async fn find(&self, wanted: &Wanted) -> Result<Finding<B>, S::Error> {
        let Context { plan, facts, .. } = &*self.context;
        let only_stored = rules::only_if_cached(facts.request(), &plan.policy);
        let refused = self.refuses_to_fetch();
        if wanted.takes == Takes::Stored && (only_stored || refused.is_some()) {
            // What L1 has was the answer before this. To ask the store each time would make what can't be shared the
            // dearest of all; what another process has stored meanwhile is found when the next answer may be stored.
            if refused == Some(Why::Passed) && !only_stored {
                let response = self.alone(Why::Passed, Fallback(None)).await?;
                return Ok(Finding::Done(response));
            }
            if let Some(found) = self.look_up().await {
                return Ok(Finding::Found(found));
            }
            return Ok(Finding::Done(match refused {
                Some(why) if !only_stored => self.alone(why, Fallback(None)).await?,
                _ => self.unsatisfiable(Rule::OnlyIfCached),
            }));
        }
        let why = match self.fly(wanted).await {
            Flown::Handed(handed) => {
                return self.handed(handed, wanted).map(Finding::Done);
            }
            Flown::Landed(found) => match &*found.kept {
                Kept::Whole(_) => return Ok(Finding::Found(found)),
                // The next one's request may fare better.
                Kept::Passed(why) if why.is_of_request() && !self.shares(*why) => {
                    return Ok(Finding::Again);
                }
                Kept::Passed(why) => *why,
            },
            Flown::Failed => {
                // Others' load failed, and what is stored may stand in here too.
                if let Some(whole) = wanted.fallback().0.as_deref().and_then(Kept::whole) {
                    let response = self.stored(whole, Rule::StaleIfError.as_str());
                    return Ok(Finding::Done(response));
                }
                Why::Contended
            }
            Flown::Overloaded => {
                return Ok(Finding::Done(self.overloaded(&wanted.fallback())));
            }
            Flown::Alone => Why::Contended,
            Flown::Slow => Why::Waited,
        };
        let response = self.alone(why, wanted.fallback()).await?;
        Ok(Finding::Done(response))
    }

    /// Why this request fetches nothing for others, and waits for nobody.
    fn refuses_to_fetch(&self) -> Option<Why> {
        let Context {
            config,
            plan,
            facts,
        } = &*self.context;
        if let Err(reason) = rules::may_collapse(facts.request(), &plan.policy) {
            return Some(reason.into());
        }
        let now = config.cache.engine.clock.now();
        let passed = config.passed.holds(&self.key, &facts.headers, now);
        passed.then_some(Why::Passed)
    }

    /// Why this request does not have what is stored validated.
    fn refuses_to_validate(&self) -> Option<Why> {
        let Context { plan, facts, .. } = &*self.context;
        match rules::may_collapse(facts.request(), &plan.policy) {
            // A head or a part can be had of what is stored, once it is known to hold.
            Ok(()) | Err(Rule::Head | Rule::RangeRequest) => None,
            Err(reason) => Some(reason.into()),
        }
    }

    /// Whether this request has what another's was refused for.
    fn shares(&self, why: Why) -> bool {
        let headers = &self.context.facts.headers;
        why.field().is_some_and(|field| headers.contains_key(field))
    }

    /// What the engine has under this key, fresh or stale.
    async fn look_up(&self) -> Option<Found> {
        let ask = self.ask(Takes::Stored, Replace::Nothing);
        let (answer, status) = self.context.config.cache.engine.lookup(&ask).await;
        Found::in_answer(answer?.live, status)
    }

    fn ask(&self, takes: Takes, replace: Replace) -> Ask {
        Ask {
            key: self.key.clone(),
            tags: all_tags(&self.key, &self.context.plan.tags).into(),
            policy: self.context.config.keep.clone(),
            level: Level::Bounded,
            kind: Kind::of::<Kept>(),
            replace,
            takes,
            inside: Chain::current(),
        }
    }

    /// Asks the service for what is stored, behind the answer that was given from it.
    fn refresh_behind(&self, found: &Found) {
        let load = Load {
            context: self.context.clone(),
            slot: self.slot.clone(),
            key: self.key.clone(),
            stored: Some(found.kept.clone()),
            if_error: true,
            hand: None,
        };
        let ask = self.ask(Takes::Landings, Replace::Nothing);
        let engine = &self.context.config.cache.engine;
        engine.refresh(&ask, Replace::Nothing, load.into_loader());
    }
}
