//! Runs cases against a cache: many at a time, each with a URL of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::case::{Case, Group};
use crate::client::Sender;
use crate::judge::{self, Fault};
use crate::origin::Origin;
use crate::report::{Outcome, Report};
use crate::trace::Trace;

/// For one exchange, body included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between steps, where the table asks for it: long enough to outlast a lifetime of two seconds.
const REST: Duration = Duration::from_secs(3);

/// How to run the cases.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cache under test. It has to be set up to ask the [`Origin`].
    pub proxy: SocketAddr,
    /// How many cases run at a time; each has one connection at most.
    pub parallel: usize,
    /// Keep a record of the messages.
    pub verbose: bool,
}

impl Options {
    /// 128 cases at a time, nothing kept.
    #[must_use]
    pub fn new(proxy: SocketAddr) -> Self {
        Options {
            proxy,
            parallel: 128,
            verbose: false,
        }
    }
}

/// Runs all cases of `groups`, and judges them.
///
/// Dropping the future stops the cases that run.
pub async fn run(origin: &Origin, groups: &[Group], options: &Options) -> Report {
    let room = Arc::new(Semaphore::new(options.parallel.max(1)));
    let mut running = JoinSet::new();
    let cases = groups.iter().flat_map(|group| &group.cases);
    for (at, case) in cases.enumerate() {
        let (room, scripts) = (Arc::clone(&room), origin.scripts().clone());
        let (proxy, case) = (options.proxy, case.clone());
        let trace = match options.verbose {
            true => Trace::kept(),
            false => Trace::default(),
        };
        running.spawn(async move {
            let _place = room.acquire().await;
            let token = token();
            scripts.begin(&token, case.all_steps().into(), trace.clone());
            let mut sender = Sender {
                proxy,
                token: &token,
                case: case.id(),
                trace: &trace,
                kept: None,
            };
            let result = steps(&mut sender, &case).await;
            let seen = scripts.end(&token);
            let result =
                result.and_then(|answers| judge::origin(case.all_steps(), &answers, &seen));
            let fault = result.err();
            let messages = trace.text();
            (at, Outcome { fault, messages })
        });
    }
    let mut outcomes = Vec::new();
    while let Some(done) = running.join_next().await {
        // A case that panicked is missing from the report, which counts it as broken.
        outcomes.extend(done);
    }
    Report::new(groups, outcomes)
}

type Answers = Vec<Option<crate::client::Answer>>;

async fn steps(sender: &mut Sender<'_>, case: &Case) -> Result<Answers, Fault> {
    let mut answers: Answers = Vec::new();
    for (at, step) in case.all_steps().iter().enumerate() {
        let n = at + 1;
        let earlier = answers.last().and_then(Option::as_ref);
        let sent = timeout(PATIENCE, sender.send(step, n, earlier)).await;
        match sent.map_err(|_| Fault::Late)? {
            Ok(answer) => {
                judge::answer(step, n, sender.token, &answer)?;
                answers.push(Some(answer));
            }
            Err(broken) => {
                judge::no_answer(step, n, &broken)?;
                answers.push(None);
            }
        }
        if step.rests {
            sleep(REST).await;
        }
    }
    Ok(answers)
}

/// A name that no other case has, 36 characters long: it is also the body of most answers.
fn token() -> String {
    let (high, low) = (fastrand::u64(..), fastrand::u64(..));
    format!("{high:016x}-{low:016x}-{:02x}", fastrand::u8(..))
}
