//! A process that tells about itself by its JSON API: asked at each look; its log is followed in between.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::task::AbortHandle;

use super::api::{Api, Problem, Process};
use super::figures::{Hot, Large, Look, Member};
use super::follow::{self, Followed};
use crate::args::TopArgs;
use crate::failure::Failure;
use crate::page::{self, MOUNTED};
use crate::web::{self, Web};

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions for the largest entries: it is a walk through all that the process has in memory.
const WALKS: Duration = Duration::from_secs(5);
/// How long what somebody asks for may take: an invalidation may have to look through all names.
const LONG_PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Remote {
    web: Web,
    base: String,
    fields: HeaderMap,
    followed: Followed,
    largest: Option<Vec<Large>>,
    walked: Option<Instant>,
    following: Option<AbortHandle>,
}

impl Remote {
    pub(super) fn open(url: &str, args: &TopArgs) -> Result<Self, Failure> {
        web::url("--url", url)?;
        let token = match &args.token_file {
            Some(file) => Some(page::token_of(file)?),
            None => args.token.clone(),
        };
        Ok(Self {
            web: Web::new(PATIENCE),
            base: url.trim_end_matches('/').to_owned(),
            fields: page::fields(token.as_deref())?,
            followed: Followed::default(),
            largest: None,
            walked: None,
            following: None,
        })
    }

    pub(super) fn place(&self) -> &str {
        &self.base
    }

    /// The same API, for what somebody asks.
    pub(super) fn api(&self) -> Api {
        self.asked_for(LONG_PATIENCE)
    }

    fn asked_for(&self, patience: Duration) -> Api {
        Api::Process(Box::new(Process {
            web: self.web.patient(patience),
            base: self.base.clone(),
            fields: self.fields.clone(),
        }))
    }

    pub(super) async fn look(&mut self) -> Result<Look, Failure> {
        let now = self.ask("now").await?;
        // Who has no list of what is hot still has all the rest.
        let hot = self.ask("hot?n=50").await.unwrap_or_default();
        if self.walked.is_none_or(|walked| walked.elapsed() > WALKS) {
            self.walked = Some(Instant::now());
            // Where it is not told, what was told last is shown on.
            let told = self.ask("largest?n=50").await.unwrap_or_default();
            self.largest = Large::all(&told["entries"]).or(self.largest.take());
        }
        self.follow();
        let mut look = Look::new(now["namespace"].as_str().unwrap_or("?").to_owned());
        let pid = now["process"]["pid"].as_u64();
        look.process = pid.map(|pid| format!("process {pid}"));
        look.uptime_ms = now["uptime_ms"].as_u64();
        look.stats = now["stats"].clone();
        look.server = now["store"]["server"].clone();
        if now["store"]["answers"] == false {
            let detail = now["store"]["detail"]
                .as_str()
                .unwrap_or("no reason is told");
            look.trouble = Some(format!("the store does not answer: {detail}"));
        }
        let members = now["members"]["all"].as_array().into_iter().flatten();
        look.members = members.filter_map(Member::of).collect();
        look.hot_keys = Hot::all(&hot["keys"]);
        look.hot_tags = Hot::all(&hot["tags"]);
        look.largest.clone_from(&self.largest);
        (look.logged, look.log_lost) = self.followed.take();
        Ok(look)
    }

    async fn ask(&self, what: &str) -> Result<Value, Failure> {
        let base = &self.base;
        let asked = self.asked_for(PATIENCE).get(what).await;
        asked.map_err(|problem| match problem {
            Problem::None(error) => Failure::new(format!("{base} gave no answer: {error}")).hint(
                "is the page served there? shelflife demo has it on http://127.0.0.1:8081/_shelflife; or look at the store: --redis",
            ),
            Problem::Odd => Failure::new(format!(
                "{base} is not shelflife's: it answers with something else"
            ))
            .hint(MOUNTED),
            Problem::Refused(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), _) => {
                Failure::new(format!("{base} asks for a token: {status}"))
                    .hint("--token, or --token-file with a file that holds it")
            }
            Problem::Refused(status, _) => {
                Failure::new(format!("{base}/api/{what} answered {status}"))
                    .hint(MOUNTED)
            }
        })
    }

    /// Follows the log, if nobody does yet.
    fn follow(&mut self) {
        if self.following.is_none() {
            let (web, base, fields) = (self.web.clone(), self.base.clone(), self.fields.clone());
            let following = follow::follow(web, base, fields, self.followed.clone());
            self.following = Some(tokio::spawn(following).abort_handle());
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(following) = &self.following {
            following.abort();
        }
    }
}
