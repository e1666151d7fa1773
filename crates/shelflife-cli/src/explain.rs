//! `shelflife explain`: why a response was or was not stored and served, rule by rule.
//!
//! ```text
//!   request ──► may a cache have a part in it?
//!      └─ sent ──► response ──► storing, question by question ──► sent again ──► what was served, and why
//! ```
//!
//! The rules are `shelflife-http`'s, and so are the words; what caches on the way did they tell themselves
//! (`Cache-Status`, RFC 9211).
//!
//! Must not: hold a rule.

mod fetch;
mod show;
mod told;

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::Method;
use serde::Serialize;
use shelflife_http::{Policy, Reason, Request, Reuse, explain_store, may_look_up, reuse, url_key};

use crate::args::{ExplainArgs, PolicyName};
use crate::failure::Failure;
use crate::web;
use fetch::{Fetcher, Reply};

/// Everything that was found out.
#[derive(Debug, Serialize)]
struct Explanation {
    method: String,
    url: String,
    key: String,
    /// Why no cache has a part in such a request.
    bypass: Option<Why>,
    response: Reply,
    steps: Vec<Told>,
    stored: bool,
    /// What the rules say of the same request right after it, if the response was stored.
    reuse: Option<Told>,
    /// The same request, sent again.
    again: Option<Reply>,
}

/// A reason with its clause, in words.
#[derive(Debug, Serialize)]
struct Why {
    reason: &'static str,
    section: &'static str,
    sentence: &'static str,
}

/// A question with its answer.
#[derive(Debug, Serialize)]
struct Told {
    section: &'static str,
    question: &'static str,
    answer: String,
    refused: Option<&'static str>,
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Self {
        Self {
            reason: reason.as_str(),
            section: reason.section(),
            sentence: reason.sentence(),
        }
    }
}

pub(crate) async fn run(args: ExplainArgs) -> Result<(), Failure> {
    let found = explain(&args).await?;
    show::print(&found, args.json)?;
    if found.stored {
        return Ok(());
    }
    Err(Failure::negative("the response may not be stored"))
}

async fn explain(args: &ExplainArgs) -> Result<Explanation, Failure> {
    let uri = web::url("URL", &args.url)?;
    let policy = match args.policy {
        PolicyName::Proxy => Policy::proxy(),
        PolicyName::Application => Policy::application(),
    };
    let (method, headers) = (Method::from(args.method), web::fields(&args.header)?);
    let request = Request {
        method: &method,
        uri: &uri,
        headers: &headers,
    };
    let fetcher = Fetcher::new();
    let sent = now();
    let response = fetcher.send(request).await?;
    let arrived = now();
    let head = response.head();
    let (steps, verdict) = explain_store(request, head.0, head.1, &policy, sent, arrived);
    let (mut again, mut told) = (None, None);
    if !args.once {
        again = Some(fetcher.send(request).await?);
    }
    if let Ok(stored) = &verdict {
        told = Some(used(reuse(request, stored, &policy, false, now())));
    }
    let bypass = may_look_up(request, &policy).err();
    Ok(Explanation {
        method: method.to_string(),
        url: args.url.clone(),
        key: url_key(request, &Default::default()),
        stored: verdict.is_ok() && bypass.is_none(),
        bypass: bypass.map(Why::from),
        response,
        steps: steps
            .into_iter()
            .map(|step| Told {
                section: step.section,
                question: step.question,
                refused: step.refused.map(Reason::as_str),
                answer: step.found,
            })
            .collect(),
        reuse: told,
        again,
    })
}

/// What is done with the next request, in words.
fn used(reuse: Reuse) -> Told {
    let (reason, answer) = match reuse {
        Reuse::Fresh => (Reason::Fresh, "It is answered from what is stored."),
        Reuse::Stale { reason, .. } => {
            (reason, "It is answered from what is stored, though stale.")
        }
        Reuse::Validate { reason, .. } => (reason, "The origin is asked first."),
        Reuse::Bypass { reason, .. } => (reason, "It goes to the origin, past what is stored."),
        Reuse::Unsatisfiable(reason) => (reason, "It is answered with 504."),
        // Kinds that are added later.
        #[allow(unreachable_patterns, reason = "the rules' crate may add one")]
        _ => (Reason::PastFresh, "The origin is asked."),
    };
    Told {
        section: reason.section(),
        question: "What is done with the same request right after it?",
        answer: format!("{answer} {}", reason.sentence()),
        refused: None,
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
