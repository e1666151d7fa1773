//! The audit: is what the tiers answer what they promise, in production, now?
//!
//! ```text
//! scan ──► key ──► strict read, then what L1 and the local path say ──► compare ──► finding
//!   ▲       ▲                                                             │
//!   │       └── again: kept keys in turn, named ones when Δ has passed ◄──┘ the log explains
//!   └── round after round, one key or one page a turn
//! ```
//!
//! It is a process like any other: a member that follows the log, with an L1 of its own, which holds
//! facts instead of values. What it finds about its own tiers holds for all who run the same code on the
//! same store. It reads, and writes nothing but its own beats.
//!
//! Must not: repair anything, or hurry: each turn waits for its time.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::cache::Cache;
use crate::engine::audit::Says;
use crate::epoch::Epoch;
use crate::error::{Error, ErrorKind};
use crate::key::head_of_shortened;
use crate::redis::RedisStore;
use crate::status::Tier;
use crate::store::Store;
use crate::watch::{Watch, Watched};

mod compare;
mod finding;
mod health;
mod history;
mod kept;
mod plan;

pub use finding::{AuditSummary, Class, Disagreement, Fault, Finding};
pub use plan::AuditPlan;

use compare::{Compared, compare};
use health::Names;
use history::History;
use kept::Kept;

/// What measuring may add to Δ: times are told in whole ms, by a server that is asked over a wire.
const SLACK: Duration = Duration::from_millis(20);
/// How long to wait for the log to be seen up to where the store was.
const CATCH_UP: Duration = Duration::from_secs(1);
/// How many reports are remembered, so that each is made once.
const REPORTED: usize = 100_000;
/// How many names one page of a scan looks at.
const PAGE: usize = 100;

/// A disagreement that the log may yet explain.
#[derive(Debug)]
struct Suspicion {
    due: Instant,
    key: Arc<str>,
    says: Says,
    report: Disagreement,
}

/// An audit under way: ask [`step`](Audit::step) again and again.
#[derive(Debug)]
pub struct Audit {
    cache: Cache,
    plan: AuditPlan,
    watch: Watch,
    history: History,
    kept: Kept,
    names: Names,
    turns: Interval,
    /// How old an invalidation may be that is not honoured.
    bound: Duration,
    suspicions: VecDeque<Suspicion>,
    reported: HashSet<(String, String, &'static str, Class)>,
    faults: HashSet<Fault>,
    summary: AuditSummary,
    /// With `once`: how many kept keys are left to be looked at again, and when it ends at the latest.
    last_round: Option<(usize, Instant)>,
    /// How many turns there were.
    turn: u64,
}

impl Cache {
    /// Begins an audit of this namespace. The cache should be the audit's own, built as the application
    /// builds its cache, on the same settings: it must follow the log, and its L1 will hold no values.
    ///
    /// ```no_run
    /// # async fn audit(cache: shelflife::Cache) -> Result<(), shelflife::Error> {
    /// use shelflife::{AuditPlan, Finding};
    ///
    /// let mut audit = cache.audit(AuditPlan::new().rate(100).once()).await?;
    /// 'all: loop {
    ///     for finding in audit.step().await? {
    ///         match finding {
    ///             Finding::Disagreement(it) => println!("{}: {}", it.key, it.cause),
    ///             Finding::Done => break 'all,
    ///             _ => {}
    ///         }
    ///     }
    /// }
    /// assert_eq!(audit.summary().violations, 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When the store can't be reached, or is the embedded one, which nobody else can have changed.
    pub async fn audit(&self, plan: AuditPlan) -> Result<Audit, Error> {
        let Store::Redis(store) = &self.engine.store else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the embedded store has one tier: there is nothing to compare",
            ));
        };
        // First the watch, then the clock: behind it, nothing is missed.
        let watch = self.watch(Duration::ZERO).await?;
        let clock = store.clock().await?;
        let mut turns = tokio::time::interval(Duration::from_secs(1) / plan.rate);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Audit {
            cache: self.clone(),
            watch,
            history: History::from(clock),
            kept: Kept::of(plan.keep),
            names: Names::default(),
            turns,
            bound: self.engine.settings.window + SLACK,
            suspicions: VecDeque::new(),
            reported: HashSet::new(),
            faults: HashSet::new(),
            summary: AuditSummary::default(),
            last_round: None,
            turn: 0,
            plan,
        })
    }
}

impl Audit {
    /// One turn, when its time has come: a look at a key, or at a page of names. Gives what it found,
    /// which is mostly nothing.
    ///
    /// # Errors
    ///
    /// When the store did not answer. The audit may go on.
    pub async fn step(&mut self) -> Result<Vec<Finding>, Error> {
        self.turns.tick().await;
        self.hear();
        let mut found = Vec::new();
        self.resolve(&mut found).await;
        let cache = self.cache.clone();
        let Store::Redis(store) = &cache.engine.store else {
            return Ok(found);
        };
        self.turn += 1;
        // Where much is invalidated, what is due must not be all that is looked at.
        let again = match self.turn.is_multiple_of(4) {
            true => None,
            false => self.kept.due(Instant::now()),
        };
        match again.or_else(|| self.next_again()) {
            Some(key) => self.look_at(store, &key, &mut found).await?,
            None => self.go_on(store, &mut found).await?,
        }
        Ok(found)
    }

    /// What has been done so far.
    pub fn summary(&self) -> AuditSummary {
        AuditSummary {
            kept: self.kept.len() as u64,
            ..self.summary.clone()
        }
    }

    /// Every other turn is a kept key's, as long as there are new ones; in the last round every one.
    fn next_again(&mut self) -> Option<Arc<str>> {
        if let Some((left, end)) = &mut self.last_round {
            *left = left.checked_sub(1)?;
            *end = Instant::now() + self.bound * 2;
            return self.kept.next();
        }
        self.names.next_is_again().then(|| self.kept.next())?
    }

    /// The next new key, or the next page of names.
    async fn go_on(&mut self, store: &RedisStore, found: &mut Vec<Finding>) -> Result<(), Error> {
        if let Some((0, end)) = self.last_round {
            // What is suspect, or due, still gets its time.
            let settled = self.suspicions.is_empty() && !self.kept.any_due();
            if settled || Instant::now() >= end {
                found.push(Finding::Done);
            }
            return Ok(());
        }
        if let Some(name) = self.names.pop() {
            return match head_of_shortened(&name) {
                None => self.look_at(store, &name.into(), found).await,
                // The whole key of a long one is in no name: whether it is in order can be told.
                Some(_) => self.look_at_record(store, &name, found).await,
            };
        }
        let page = self.names.turn(store, PAGE, &self.plan.keys).await?;
        self.tell(page.faults, found);
        if page.round_ended {
            self.summary.rounds += 1;
            found.push(Finding::Round(self.summary.rounds));
            if self.plan.once {
                let end = Instant::now() + self.bound * 2;
                self.last_round = Some((self.kept.len(), end));
            }
        }
        Ok(())
    }

    /// Looks at a key: what the store holds, what the tiers say, whether that is the same.
    async fn look_at(
        &mut self,
        store: &RedisStore,
        key: &Arc<str>,
        found: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        let probe = self.cache.engine.probe(store, key).await?;
        self.summary.looks += 1;
        self.summary.window_closed += u64::from(!probe.window_open);
        self.summary.other_incarnation += u64::from(health::is_of_another(&probe.examined));
        self.tell(health::of_entry(key, &probe), found);
        self.kept.keep(key, &probe);
        for says in [&probe.l1, &probe.l2].into_iter().flatten() {
            match says.tier {
                Tier::L1 => self.summary.l1 += 1,
                Tier::L2 => self.summary.l2 += 1,
            }
            let bound_ms = u64::try_from(self.bound.as_millis()).unwrap_or(u64::MAX);
            let mut compared = compare(key, says, &probe, &self.history, bound_ms);
            if !matches!(compared, Compared::Agrees) {
                // The log explains, as soon as it has been seen up to there.
                self.catch_up(probe.examined.clock).await;
                compared = compare(key, says, &probe, &self.history, bound_ms);
            }
            match compared {
                Compared::Agrees => {}
                Compared::Untold => self.summary.untold += 1,
                Compared::Disagrees(it) => {
                    if it.class == Class::Within {
                        // Will it still say so when it must not?
                        self.kept.look_again(key, Instant::now() + self.bound);
                    }
                    self.report(it, found);
                }
                Compared::Unexplained(report) => self.suspect(key, says, report),
            }
        }
        Ok(())
    }

    async fn look_at_record(
        &mut self,
        store: &RedisStore,
        name: &str,
        found: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        let examined = store.examine(name, &[]).await?;
        self.summary.looks += 1;
        self.summary.other_incarnation += u64::from(health::is_of_another(&examined));
        self.tell(health::of_record(name, &examined), found);
        Ok(())
    }

    /// Waits for the log to explain it: a scan removes first, and is logged when it is through.
    fn suspect(&mut self, key: &Arc<str>, says: &Says, report: Disagreement) {
        let known = self.suspicions.iter();
        if known.rev().any(|s| s.report.fill == report.fill) {
            return;
        }
        self.suspicions.push_back(Suspicion {
            due: Instant::now() + self.bound,
            key: key.clone(),
            says: says.clone(),
            report,
        });
    }

    /// Reports what the log has not explained by now.
    async fn resolve(&mut self, found: &mut Vec<Finding>) {
        while let Some(oldest) = self.suspicions.front() {
            if oldest.due > Instant::now() {
                return;
            }
            if let Ok(clock) = self.cache.engine.store.clock().await {
                self.catch_up(clock).await;
            }
            let Some(it) = self.suspicions.pop_front() else {
                return;
            };
            if !self.history.covers(it.says.good) {
                self.summary.untold += 1;
            } else if !self.explained(&it) {
                self.report(it.report, found);
            }
        }
    }

    /// Whether the log says by now why the entry is gone. If the tier should have known for longer than
    /// Δ, the next look at the key tells, which is due.
    fn explained(&mut self, it: &Suspicion) -> bool {
        let (key, good) = (&it.key, it.says.good);
        let mut entries = self.history.naming(key, &it.says.tags, good);
        let explained = entries.next().is_some();
        if explained {
            self.kept.look_again(key, Instant::now());
        }
        explained
    }

    /// Hears what the log has said meanwhile, without waiting.
    fn hear(&mut self) {
        while let Some(seen) = self.watch.try_next() {
            self.note(seen);
        }
    }

    /// Waits until the log has been seen up to a clock.
    async fn catch_up(&mut self, clock: Epoch) {
        let end = Instant::now() + CATCH_UP;
        while !self.history.reaches(clock) {
            match tokio::time::timeout_at(end, self.watch.next()).await {
                Ok(Some(seen)) => self.note(seen),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn note(&mut self, seen: Watched) {
        match seen {
            Watched::Entry(entry) => {
                self.summary.logged += 1;
                // What it names is worth a look as soon as it must have been honoured.
                self.kept
                    .named_by(&entry, Instant::now() + self.bound + SLACK);
                self.history.add(*entry);
            }
            // What came between is lost; the tail begins anew too, and drops L1.
            Watched::Gap => self.history.gap(),
            Watched::Lost(_) | Watched::Back => {}
        }
    }

    fn report(&mut self, it: Disagreement, found: &mut Vec<Finding>) {
        let name = (it.key.clone(), it.fill.clone(), it.tier, it.class);
        if self.reported.len() == REPORTED || !self.reported.insert(name) {
            return;
        }
        match it.class {
            Class::Within => self.summary.within += 1,
            Class::Violation => self.summary.violations += 1,
            Class::Foreign => self.summary.foreign += 1,
        }
        found.push(Finding::Disagreement(Box::new(it)));
    }

    fn tell(&mut self, faults: Vec<Fault>, found: &mut Vec<Finding>) {
        for fault in faults {
            if self.faults.len() < REPORTED && self.faults.insert(fault.clone()) {
                self.summary.faults += 1;
                found.push(Finding::Fault(fault));
            }
        }
    }
}
