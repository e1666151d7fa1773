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
mod times;

use std::time::Duration;

pub(super) use self::times::Times;

use self::blow::{Blow, Replicas};
use self::holding::{Came, Held, Holding, Used};
use super::Fault;
use super::court::Court;
use super::fleet::Fleet;
use super::stage::{Reign, Stage, Topology};
use crate::excuse::{self, Exception, Excuse};
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
/// Until a command to take over is given again that nobody has followed.
const AGAIN: Duration = Duration::from_secs(6);
/// When what was lost for sure has been repeated, and Δ is over, it is read for so long.
const WATCHED: Duration = Duration::from_secs(1);
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

/// An upheaval that has begun.
#[derive(Debug)]
struct Struck {
    blow: Blow,
    from: Stamp,
    /// From then on, what is lost confirms nothing any more; the end of time before that.
    fell: Stamp,
    /// If the replicas were held back: since when, and until when nothing else happens.
    held: Option<(Stamp, excuse::Held)>,
    /// Of which keys something may be lost.
    keys: excuse::Keys,
    /// When it was last asked for, if it is a command.
    asked: Stamp,
    phase: Phase,
    /// Who has taken over, as soon as somebody has.
    reign: Option<Reign>,
    /// Those that have not said that they are back.
    places: Vec<usize>,
    /// When the last of the others was served, and when it had repeated what it had confirmed.
    served: Stamp,
    repeated: Stamp,
    /// When the old primary came back, and when it had learned what it is.
    woken: Stamp,
    agreed: Stamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Until another has taken over.
    Falling,
    /// Until it is mended, at this moment.
    Down(Stamp),
    /// Until all agree.
    Mending,
    /// Until everybody is back.
    Settled,
    /// Until what was lost has been read, at this moment.
    Watched(Stamp),
}

impl Struck {
    /// Whether every process has followed anew, and has repeated what it had confirmed.
    fn is_made_up_for(&self) -> bool {
        matches!(self.phase, Phase::Settled | Phase::Watched(_)) && self.places.is_empty()
    }
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

    fn strike(
        &mut self,
        blow: Blow,
        held: Option<Held>,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        court: &Court,
    ) {
        let from = now();
        let times = held.as_ref().map(|held| {
            let (since, quiet) = (held.since, Stamp::MAX);
            (held.begun, excuse::Held { since, quiet })
        });
        let keys = match blow.loses_alone() {
            Some(victim) => stage.at_stake(victim),
            None => excuse::Keys::ALL,
        };
        let mut struck = Struck {
            places: (0..fleet.len()).collect(),
            phase: match blow.falls() {
                true => Phase::Falling,
                false => Phase::Down(from + nanos(self.pause())),
            },
            blow,
            from,
            fell: Stamp::MAX,
            held: times,
            keys,
            asked: from,
            reign: None,
            served: from,
            repeated: from,
            woken: Stamp::MAX,
            agreed: Stamp::MAX,
        };
        // Before it happens: nothing is judged in between.
        court.excuse(self.number, self.excuses(&struck));
        court.fault(struck.blow.strike(fleet, stage));
        if let Some(Replicas::Lag(replicas)) = held.map(|held| held.replicas) {
            stage.let_go_without(replicas);
        }
        if struck.blow.falls_at_once() {
            struck.fell = now();
            court.excuse(self.number, self.excuses(&struck));
        }
        if let Blow::Split { .. } = struck.blow {
            // The others are asked when they are let in again.
            struck.places.retain(|place| !Fleet::is_minority(*place));
        }
        self.ask_back(&struck, fleet);
        self.state = State::Struck(struck);
    }

    fn ask_back(&self, struck: &Struck, fleet: &mut Fleet<'_>) {
        let until = if struck.blow.resyncs() {
            "resync"
        } else {
            "serve"
        };
        let question = format!("back {} {until}", self.number);
        for place in &struck.places {
            fleet.posts()[*place].child.send_line(&question);
        }
    }

    fn go_on(
        &mut self,
        mut struck: Struck,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        court: &Court,
    ) -> Result<(), Failure> {
        let time = now();
        self.hear_back(&mut struck, fleet)?;
        if time - struck.from > nanos(PATIENCE) {
            let what = struck.blow.name();
            let (phase, places) = (struck.phase, &struck.places);
            return Err(
                format!("{what}: for {PATIENCE:?} {phase:?}, and not back: {places:?}").into(),
            );
        }
        if time >= self.look {
            self.look = time + nanos(LOOK);
            self.look_at(&mut struck, fleet, stage, court)?;
        }
        match struck.phase {
            _ if !struck.is_made_up_for() => self.state = State::Struck(struck),
            Phase::Settled if struck.held.is_some() => {
                court.fault("all has been repeated".to_owned());
                court.excuse(self.number, self.excuses(&struck));
                let long = fleet.window() + WATCHED;
                struck.phase = Phase::Watched(now() + nanos(long));
                self.state = State::Struck(struck);
            }
            Phase::Watched(until) if now() < until => self.state = State::Struck(struck),
            _ => self.end(struck, court),
        }
        Ok(())
    }

    fn end(&mut self, mut struck: Struck, court: &Court) {
        if let Some((_, held)) = &mut struck.held {
            held.quiet = now();
        }
        court.fault(format!("{} is over", struck.blow.name()));
        court.excuse(self.number, self.excuses(&struck));
        self.times
            .add(struck.blow.name(), struck.served - struck.from);
        self.next = now() + nanos(Duration::from_millis(self.chance.u64(CALM_MS)));
    }

    /// `back N SERVED REPEATED`
    fn hear_back(&self, struck: &mut Struck, fleet: &mut Fleet<'_>) -> Result<(), Failure> {
        let answer = format!("back {} ", self.number);
        for (place, said) in heard(fleet, &mut struck.places, &answer) {
            match said.split(' ').collect::<Vec<_>>()[..] {
                [_, _, served, repeated] => {
                    // Who was cut off was not served late for want of a primary.
                    let cut_off =
                        matches!(struck.blow, Blow::Split { .. }) && Fleet::is_minority(place);
                    if !cut_off {
                        struck.served = struck.served.max(served.parse()?);
                    }
                    struck.repeated = struck.repeated.max(repeated.parse()?);
                }
                _ => return Err(format!("not what was asked for: {said:?}").into()),
            }
        }
        Ok(())
    }

    fn look_at(
        &mut self,
        struck: &mut Struck,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        court: &Court,
    ) -> Result<(), Failure> {
        match struck.phase {
            Phase::Falling if struck.blow.has_fallen(stage) => {
                court.fault(match struck.blow.takes_over() {
                    true => "another has taken over".to_owned(),
                    false => "all think it dead".to_owned(),
                });
                struck.reign = stage.reign();
                if !struck.blow.falls_at_once() {
                    struck.fell = now();
                    court.excuse(self.number, self.excuses(struck));
                }
                struck.phase = Phase::Down(now() + nanos(self.pause()));
            }
            Phase::Falling if struck.blow.is_command() && now() - struck.asked > nanos(AGAIN) => {
                struck.asked = now();
                court.fault(struck.blow.strike(fleet, stage));
            }
            Phase::Down(until) if now() >= until => {
                struck.woken = now();
                court.excuse(self.number, self.excuses(struck));
                if let Blow::Split { .. } = struck.blow {
                    self.let_in(struck, fleet)?;
                }
                court.fault(struck.blow.mend(fleet, stage));
                struck.phase = Phase::Mending;
            }
            Phase::Mending if stage.is_settled() && self.took_over_once(struck, stage)? => {
                struck.agreed = now();
                struck.phase = Phase::Settled;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether who is in charge is known; then nobody else has taken over meanwhile, or it is an error.
    fn took_over_once(&mut self, struck: &Struck, stage: &Stage) -> Result<bool, Failure> {
        let Some(reign) = stage.reign() else {
            return Ok(false);
        };
        let takeovers = usize::from(struck.blow.takes_over());
        if let Some(before) = self.reign.replace(reign.clone())
            && !reign.follows(&before, takeovers)
        {
            return Err(unasked(&before, &reign));
        }
        match &struck.reign {
            Some(first) if !reign.is_of_epoch(first) => Err(unasked(first, &reign)),
            _ => Ok(true),
        }
    }

    /// Those that were on the other side notice what they have followed so far, and are asked to be back from now on.
    fn let_in(&mut self, struck: &mut Struck, fleet: &mut Fleet<'_>) -> Result<(), Failure> {
        let minority = (0..fleet.len()).filter(|place| Fleet::is_minority(*place));
        let minority: Vec<usize> = minority.collect();
        for place in &minority {
            let (question, answer) = (format!("notice {}", self.number), "noticed ");
            fleet.ask(*place, &question, answer);
            let child = &mut fleet.posts()[*place].child;
            child.send_line(&format!("back {} resync", self.number));
        }
        struck.places.extend(minority);
        Ok(())
    }

    fn pause(&mut self) -> Duration {
        Duration::from_millis(self.chance.u64(100..3_000))
    }

    /// What may be lost, as far as is known by now (see [`Excuse`]).
    fn excuses(&self, struck: &Struck) -> Vec<Excuse> {
        let mended = match struck.is_made_up_for() {
            true => struck.repeated.max(struck.agreed),
            false => Stamp::MAX,
        };
        let mut excuses = Vec::new();
        let begun = struck.held.map_or(struck.from, |(begun, _)| begun);
        if struck.blow.loses() {
            excuses.push(Excuse {
                exception: Exception::Lost,
                since: begun.saturating_sub(struck.blow.lag()),
                from: struck.from,
                over: struck.fell,
                mended,
                keys: struck.keys,
                held: struck.held.map(|(_, held)| held),
            });
        }
        let two_from = match struck.blow {
            Blow::Split { .. } => struck.from,
            Blow::Stall { .. } | Blow::Silence { .. } => struck.woken,
            _ => Stamp::MAX,
        };
        if self.split_brain && two_from != Stamp::MAX {
            excuses.push(Excuse {
                exception: Exception::SplitBrain,
                since: two_from,
                from: two_from,
                over: struck.agreed,
                mended,
                keys: struck.keys,
                held: None,
            });
        }
        excuses
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
