//! A walk through the running API: each step asks over HTTP, says what it expects, and is timed.
//!
//! ```text
//!   read twice ── write ── invalidate, softly and hard ── stampede ── somebody unknown
//! ```
//!
//! Must not: trust the cache's own word about work saved. Loads are counted by the database.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};
use shelflife::Invalidation;
use tokio::task::JoinSet;

use super::client::{Answer, ApiClient};
use super::users::Users;
use crate::failure::Failure;
use crate::output;

/// How many callers ask at once for what nobody has stored.
const STAMPEDE: usize = 64;

/// How long a refresh in the background may take before the tour calls it broken.
const REFRESH_LIMIT: Duration = Duration::from_secs(10);

const PAUSE_BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// Walks through the API and prints what each step took; fails if a step did not behave.
pub(crate) async fn walk(api: &ApiClient, users: &Users) -> Result<(), Failure> {
    let mut tour = Tour::begin(api, users).await?;
    output::line(format!("A walk round user {}, over HTTP:\n", tour.id))?;
    let walked = tour.steps().await;
    let put_back = tour.put_back().await;
    tour.print()?;
    walked.and(put_back)?;
    tour.verdict()
}

struct Tour<'a> {
    api: &'a ApiClient,
    users: &'a Users,
    /// Whom the tour is about: the biggest spender, since any user may have been deleted.
    id: u64,
    path: String,
    /// The details before the tour, to be put back.
    before: Value,
    steps: Vec<Step>,
}

struct Step {
    what: &'static str,
    answer: String,
    took: Duration,
    behaved: bool,
}

impl<'a> Tour<'a> {
    async fn begin(api: &'a ApiClient, users: &'a Users) -> Result<Self, Failure> {
        let list = api.get("/users").await?;
        let first = &list.body["users"][0];
        let Some(id) = first["id"].as_u64() else {
            return Err(Failure::new(format!(
                "the tour needs a user, and GET /users gave {}",
                list.body
            )));
        };
        let before = json!({ "name": first["name"], "city": first["city"] });
        Ok(Tour {
            api,
            users,
            id,
            path: format!("/users/{id}"),
            before,
            steps: Vec::new(),
        })
    }

    async fn steps(&mut self) -> Result<(), Failure> {
        self.read_twice().await?;
        self.write().await?;
        self.invalidate_softly().await?;
        self.invalidate().await?;
        self.stampede().await?;
        self.ask_for_nobody().await
    }

    async fn read_twice(&mut self) -> Result<(), Failure> {
        // Somebody may have asked before, here or in a process that shares the store.
        self.drop_entries(self.about_user().tag("users")).await?;
        let miss = self.api.get(&self.path).await?;
        self.record("first read: the database works", &miss, miss.is_miss());
        let hit = self.api.get(&self.path).await?;
        self.record(
            "the same again: from memory",
            &hit,
            hit.is_hit() && hit.body == miss.body,
        );
        let list = self.api.get("/users").await?;
        self.record("the list of users", &list, list.is_miss());
        Ok(())
    }

    async fn write(&mut self) -> Result<(), Failure> {
        let details = json!({ "name": "Ada Lovelace", "city": "London" });
        let put = self.api.put(&self.path, &details).await?;
        self.record(
            "write: a new name",
            &put,
            put.status == StatusCode::OK && put.receipt.is_some(),
        );
        let read = self.api.get(&self.path).await?;
        let is_new = read.body["name"] == details["name"] && read.body["city"] == details["city"];
        self.record(
            "read after the write: the new name",
            &read,
            read.is_miss() && is_new,
        );
        let list = self.api.get("/users").await?;
        let is_new = list.body["users"][0]["name"] == details["name"];
        self.record(
            "the list after the write: loaded anew",
            &list,
            list.is_miss() && is_new,
        );
        Ok(())
    }

    async fn invalidate_softly(&mut self) -> Result<(), Failure> {
        self.drop_entries(self.about_user().soft()).await?;
        let stale = self.api.get(&self.path).await?;
        self.record(
            "invalidated softly: the old value at once",
            &stale,
            stale.is_stale(),
        );
        let began = Instant::now();
        let fresh = loop {
            let answer = self.api.get(&self.path).await?;
            if !answer.is_stale() || began.elapsed() > REFRESH_LIMIT {
                break answer;
            }
            tokio::time::sleep(PAUSE_BETWEEN_LOOKS).await;
        };
        self.record(
            "a moment later: refreshed behind the scenes",
            &fresh,
            fresh.is_hit(),
        );
        Ok(())
    }

    async fn invalidate(&mut self) -> Result<(), Failure> {
        self.drop_entries(self.about_user()).await?;
        let read = self.api.get(&self.path).await?;
        self.record("invalidated by tag: loaded anew", &read, read.is_miss());
        Ok(())
    }

    async fn stampede(&mut self) -> Result<(), Failure> {
        self.drop_entries(Invalidation::new().pattern("user:*"))
            .await?;
        let queries_before = self.users.database.queries();
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..STAMPEDE {
            let (api, path) = (self.api.clone(), self.path.clone());
            callers.spawn(async move { api.get(&path).await });
        }
        let mut answered = 0;
        while let Some(answer) = callers.join_next().await {
            let answer = answer.map_err(|error| {
                Failure::new(format!("a caller of the stampede failed: {error}"))
            })??;
            answered += usize::from(answer.status == StatusCode::OK);
        }
        let took = began.elapsed();
        let queries = self.users.database.queries() - queries_before;
        self.steps.push(Step {
            what: "a stampede: all at once, nothing stored",
            answer: format!("{answered} answers, {queries} question to the database"),
            took,
            // None at all when a process that shares the store was quicker.
            behaved: answered == STAMPEDE && queries <= 1,
        });
        Ok(())
    }

    async fn ask_for_nobody(&mut self) -> Result<(), Failure> {
        let nobody = self.api.get(&format!("/users/{}", u32::MAX)).await?;
        self.record(
            "somebody unknown",
            &nobody,
            nobody.status == StatusCode::NOT_FOUND,
        );
        Ok(())
    }

    async fn put_back(&self) -> Result<(), Failure> {
        let answer = self.api.put(&self.path, &self.before).await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            status => Err(Failure::new(format!(
                "could not put user {} back: {status} {}",
                self.id, answer.body
            ))),
        }
    }

    fn about_user(&self) -> Invalidation {
        Invalidation::new().tag(format!("user:{}", self.id))
    }

    async fn drop_entries(&self, what: Invalidation) -> Result<(), Failure> {
        let receipt = self.users.cache.invalidate(what).await;
        receipt
            .map(drop)
            .map_err(|error| Failure::new(format!("cannot invalidate: {error}")))
    }

    fn record(&mut self, what: &'static str, answer: &Answer, behaved: bool) {
        let text = format!("{} {}", answer.status.as_u16(), answer.cache_status);
        self.steps.push(Step {
            what,
            answer: text,
            took: answer.took,
            behaved,
        });
    }

    fn print(&self) -> Result<(), Failure> {
        let row = |step: &Step| {
            let mark = if step.behaved { "ok" } else { "WRONG" };
            vec![
                mark.to_owned(),
                step.what.to_owned(),
                milliseconds(step.took),
                step.answer.clone(),
            ]
        };
        let head = ["", "step", "time", "answer and Cache-Status"]
            .map(str::to_owned)
            .to_vec();
        let rows: Vec<_> = std::iter::once(head)
            .chain(self.steps.iter().map(row))
            .collect();
        output::table(&rows, &[2])
    }

    fn verdict(&self) -> Result<(), Failure> {
        let wrong = self.steps.iter().filter(|step| !step.behaved).count();
        if wrong > 0 {
            return Err(Failure::negative(format!(
                "{wrong} of {} steps did not behave",
                self.steps.len()
            )));
        }
        if let [miss, hit, ..] = self.steps.as_slice() {
            let ratio = miss.took.as_secs_f64() / hit.took.as_secs_f64();
            let (miss, hit) = (milliseconds(miss.took), milliseconds(hit.took));
            output::line(format!(
                "\nA read through the database took {miss}, a hit {hit}: {ratio:.0} times as fast, HTTP included."
            ))?;
        }
        Ok(())
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}
