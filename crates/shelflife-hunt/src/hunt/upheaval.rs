//! Upheavals: another server takes over. One at a time, from the blow until everybody is served again.
//!
//! ```text
//! calm ─► held back? ─► notice ─► noticed by all ─► the blow ─► another takes over ─► mended: woken, restarted, let in
//!   ▲     (replicas)    (what each process has followed so far)                            │
//!   └── (watched) ◄── every process is back ◄── all agree ◄──────────────────────────────┘
//! ```
//!
//! Where replicas were held back, nothing else happens for a while when it is over: what was lost with the primary, and repeated, is read.
//!
//! What Redis may lose by it is told to the court before it happens, and narrowed down when more is known. Nobody is killed, frozen or begun
//! meanwhile: who dies before it has repeated what it had confirmed can't repeat it.
//!
//! Must not: judge.

mod blow;
mod holding;
mod struck;
mod times;

use std::time::Duration;

pub(super) use self::times::Times;

use self::blow::{Blow, Replicas};
use self::holding::{Came, Held, Holding, Used};
use self::struck::Struck;
use super::Fault;
use super::court::Court;
use super::fleet::Fleet;
use super::stage::{Reign, Stage, Topology};
use crate::stamp::{Stamp, nanos, now};
use crate::worker::Failure;

/// Between two upheavals.
const CALM_MS: std::ops::Range<u64> = 2_500..5_000;
/// Before an upheaval, nothing else happens for so long: what it loses was confirmed by somebody who lives.
const QUIET: Duration = Duration::from_millis(1_300);
/// Between two looks at who is the primary.
const LOOK: Duration = Duration::from_millis(50);
/// How long everyone may take to notice, and how long to be back.
const NOTICE: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(60);
/// In this part of a hunt nobody invalidates everything. Each process repeats what it has confirmed in the last minute: with everything among
/// it, no part could be missed.
const SPARED: f64 = 2.0 / 3.0;

#[derive(Debug)]
enum State {
    Calm,
    Holding(Fault, Holding),
    Asked {
        next: Next,
        places: Vec<usize>,
        since: Stamp,
    },
    Struck(Struck),
}

/// What is to be dealt.
#[derive(Debug)]
enum Next {
    Fault(Fault),
    Held(Blow, Held),
}

/// See the module.
pub(super) struct Upheavals {
    chance: fastrand::Rng,
    may: Vec<Fault>,
    /// What has not happened yet: first of all, everything happens once.
    first: Vec<Fault>,
    split_brain: bool,
    number: u32,
    state: State,
    next: Stamp,
    look: Stamp,
    times: Times,
    /// Who was in charge when all was last well.
    reign: Option<Reign>,
    /// How often replicas were held back, and how many witnesses were lost.
    held: (u64, u64),
    used: Used,
    /// From then on everything may be invalidated at any time.
    spared_until: Stamp,
}

impl Upheavals {
    pub(super) fn new(
        faults: &[Fault],
        topology: Topology,
        min_replicas: u32,
        seed: u64,
        stage: &Stage,
        fleet: &mut Fleet<'_>,
        lasts: Duration,
    ) -> Self {
        let all = faults.contains(&Fault::All);
        let of_it = blow::of(topology).iter().copied();
        let may: Vec<Fault> = of_it
            .filter(|fault| all || faults.contains(fault))
            .collect();
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut first = may.clone();
        chance.shuffle(&mut first);
        if may.iter().copied().any(blow::may_lose) {
            fleet.spare(0);
        }
        Self {
            chance,
            may,
            first,
            split_brain: min_replicas == 0,
            number: 0,
            state: State::Calm,
            next: now() + nanos(QUIET * 2),
            look: 0,
            times: Times::default(),
            reign: stage.reign(),
            held: (0, 0),
            used: Used::default(),
            spared_until: now() + nanos(lasts.mul_f64(SPARED)),
        }
    }

    /// Whether other things may happen.
    pub(super) fn is_calm(&self) -> bool {
        let near = !self.may.is_empty() && now() + nanos(QUIET) > self.next;
        matches!(self.state, State::Calm) && !near
    }

    /// How long it took each time.
    pub(super) fn times(&self) -> Times {
        self.times.clone()
    }

    /// How often replicas were held back before a blow, and how many witnesses were lost by it.
    pub(super) fn held(&self) -> (u64, u64) {
        self.held
    }

    /// Does what is due. New upheavals begin only if they `may`.
    pub(super) fn step(
        &mut self,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        court: &Court,
        may: bool,
    ) -> Result<(), Failure> {
        match std::mem::replace(&mut self.state, State::Calm) {
            State::Calm => {
                if now() >= self.spared_until {
                    fleet.unspare();
                }
                if self.is_due(fleet, stage)? && may {
                    self.begin(fleet, stage);
                }
            }
            State::Holding(fault, holding) => match holding.step(fleet, stage, court)? {
                Came::Waits(holding) => self.state = State::Holding(fault, holding),
                Came::GivenUp => self.first.push(fault),
                Came::Held(blow, held) => self.ask(Next::Held(blow, held), fleet),
            },
            State::Asked {
                next,
                mut places,
                since,
            } => {
                let answer = format!("noticed {}", self.number);
                heard(fleet, &mut places, &answer);
                if !places.is_empty() && now() - since < nanos(NOTICE) {
                    self.state = State::Asked {
                        next,
                        places,
                        since,
                    };
                } else {
                    let noticed = places.is_empty();
                    self.go_ahead(next, noticed, fleet, stage, court)?;
                }
            }
            State::Struck(struck) => self.go_on(struck, fleet, stage, court)?,
        }
        Ok(())
    }

    /// Brings what has begun to its end.
    pub(super) fn finish(
        &mut self,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        court: &Court,
    ) -> Result<(), Failure> {
        while !matches!(self.state, State::Calm) {
            self.step(fleet, stage, court, false)?;
            std::thread::sleep(LOOK);
        }
        // Before a violation is believed, or the hunt: the end of what may just be going on.
        let began = now();
        while !self.is_well(stage)? {
            if now() - began > nanos(PATIENCE) {
                return Err(format!("all is not well after {PATIENCE:?}").into());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn is_due(&mut self, fleet: &mut Fleet<'_>, stage: &mut Stage) -> Result<bool, Failure> {
        let time = now();
        if time < self.look {
            return Ok(false);
        }
        self.look = time + nanos(LOOK * 4);
        // Also when nothing is due: whoever takes over unasked is to be noticed.
        let well = self.is_well(stage)?;
        Ok(well && time >= self.next && !self.may.is_empty() && fleet.is_complete())
    }

    /// Whether all is well.
    ///
    /// # Errors
    ///
    /// If another has taken over that nobody has struck: what was lost by it, the court does not know of.
    fn is_well(&mut self, stage: &mut Stage) -> Result<bool, Failure> {
        if !stage.is_settled() {
            return Ok(false);
        }
        let Some(reign) = stage.reign() else {
            return Ok(false);
        };
        match self.reign.replace(reign.clone()) {
            Some(before) if !reign.follows(&before, 0) => Err(unasked(&before, &reign)),
            _ => Ok(true),
        }
    }

    /// Chooses what happens next, and whether replicas are held back before.
    fn begin(&mut self, fleet: &mut Fleet<'_>, stage: &Stage) {
        let any = self.may[self.chance.usize(..self.may.len())];
        let fault = self.first.pop().unwrap_or(any);
        self.number += 1;
        // Once at least; and a primary that comes back with what it has saved has no replica just then.
        let certain = self.held.0 == 0 || fault == Fault::Relapse;
        if !blow::may_lose(fault) || !(certain || self.chance.bool()) {
            return self.ask(Next::Fault(fault), fleet);
        }
        let chance = &mut self.chance;
        let blow = Blow::choose(fault, stage, chance);
        let (number, used) = (self.number, &mut self.used);
        let begin = |blow| Holding::begin(number, blow, used, fleet, stage, chance);
        match blow.and_then(begin) {
            Some(holding) => self.state = State::Holding(fault, holding),
            // Not now; but once it shall be.
            None => self.first.push(fault),
        }
    }

    fn ask(&mut self, next: Next, fleet: &mut Fleet<'_>) {
        fleet.tell(&format!("notice {}", self.number));
        self.state = State::Asked {
            next,
            places: (0..fleet.len()).collect(),
            since: now(),
        };
    }

    /// All have noticed, or have not in time.
    fn go_ahead(
        &mut self,
        next: Next,
        noticed: bool,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        court: &Court,
    ) -> Result<(), Failure> {
        match next {
            Next::Fault(fault) => {
                if !noticed || !self.deal(fault, fleet, stage, court)? {
                    // Not now; but once it shall be.
                    self.first.push(fault);
                }
            }
            Next::Held(..) if !noticed => {
                return Err(format!("not all answer within {NOTICE:?}").into());
            }
            Next::Held(blow, held) => self.deal_held(blow, held, fleet, stage, court)?,
        }
        Ok(())
    }

    /// Strikes whose replicas are held back.
    ///
    /// # Errors
    ///
    /// When they have got what they should lack.
    fn deal_held(
        &mut self,
        blow: Blow,
        held: Held,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        court: &Court,
    ) -> Result<(), Failure> {
        if let Replicas::Lag(replicas) = &held.replicas
            && !stage.lag(replicas)
        {
            let what = blow.name();
            return Err(format!("{what}: the replicas were not held back").into());
        }
        if let (Some(before), Some(reign)) = (&self.reign, stage.reign())
            && !reign.follows(before, 0)
        {
            return Err(unasked(before, &reign));
        }
        self.held.0 += 1;
        self.held.1 += held.witnesses;
        self.strike(blow, Some(held), fleet, stage, court);
        Ok(())
    }

    /// Chooses whom it hits, and strikes; not if all is not well any more.
    fn deal(
        &mut self,
        fault: Fault,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        court: &Court,
    ) -> Result<bool, Failure> {
        if !self.is_well(stage)? {
            return Ok(false);
        }
        let Some(blow) = Blow::choose(fault, stage, &mut self.chance) else {
            return Ok(false);
        };
        self.strike(blow, None, fleet, stage, court);
        Ok(true)
    }
}

fn unasked(before: &Reign, after: &Reign) -> Failure {
    format!(
        "another has taken over that nobody had struck ({before:?}, then {after:?}): the machine is too busy to hunt on, \
         or a server has died; what was found since is worth nothing"
    )
    .into()
}

/// Takes away the places whose process has said this; gives what each said.
fn heard(fleet: &mut Fleet<'_>, places: &mut Vec<usize>, answer: &str) -> Vec<(usize, String)> {
    let mut said = Vec::new();
    places.retain(|place| {
        let line = fleet.posts()[*place].child.printed_line(answer);
        let silent = line.is_none();
        said.extend(line.map(|line| (*place, line)));
        silent
    });
    said
}
