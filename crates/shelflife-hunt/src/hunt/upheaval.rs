//! Upheavals: another server takes over. One at a time, from the blow until everybody is served again.
//!
//! ```text
//! calm ─► notice ─► noticed by all ─► the blow ─► another takes over ─► mended: woken, restarted, let in
//!   ▲     (what each process has followed so far)                            │
//!   └── every process is back ◄── all agree ◄───────────────────────────────┘
//! ```
//!
//! What Redis may lose by it is told to the court before it happens, and narrowed down when more is known. Nobody is killed, frozen or begun
//! meanwhile: who dies before it has repeated what it had confirmed can't repeat it.
//!
//! Must not: judge.

mod blow;
mod times;

use std::time::Duration;

pub(super) use self::times::Times;

use self::blow::Blow;
use super::Fault;
use super::court::Court;
use super::fleet::Fleet;
use super::stage::{Reign, Stage, Topology};
use crate::excuse::{Exception, Excuse};
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

#[derive(Debug)]
enum State {
    Calm,
    Asked {
        fault: Fault,
        places: Vec<usize>,
        since: Stamp,
    },
    Struck(Struck),
}

/// An upheaval that has begun.
#[derive(Debug)]
struct Struck {
    blow: Blow,
    from: Stamp,
    /// From then on, what is lost confirms nothing any more; the end of time before that.
    fell: Stamp,
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
}

impl Upheavals {
    pub(super) fn new(
        faults: &[Fault],
        topology: Topology,
        min_replicas: u32,
        seed: u64,
        stage: &Stage,
    ) -> Self {
        let all = faults.contains(&Fault::All);
        let of_it = blow::of(topology).iter().copied();
        let may: Vec<Fault> = of_it
            .filter(|fault| all || faults.contains(fault))
            .collect();
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut first = may.clone();
        chance.shuffle(&mut first);
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
                if self.is_due(fleet, stage)? && may {
                    self.ask(fleet);
                }
            }
            State::Asked {
                fault,
                mut places,
                since,
            } => {
                let answer = format!("noticed {}", self.number);
                heard(fleet, &mut places, &answer);
                if !places.is_empty() && now() - since < nanos(NOTICE) {
                    self.state = State::Asked {
                        fault,
                        places,
                        since,
                    };
                } else if !places.is_empty() || !self.deal(fault, fleet, stage, court)? {
                    // Not now; but once it shall be.
                    self.first.push(fault);
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

    fn ask(&mut self, fleet: &mut Fleet<'_>) {
        let any = self.may[self.chance.usize(..self.may.len())];
        let fault = self.first.pop().unwrap_or(any);
        self.number += 1;
        fleet.tell(&format!("notice {}", self.number));
        self.state = State::Asked {
            fault,
            places: (0..fleet.len()).collect(),
            since: now(),
        };
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
        self.strike(blow, fleet, stage, court);
        Ok(true)
    }

    fn strike(&mut self, blow: Blow, fleet: &mut Fleet<'_>, stage: &mut Stage, court: &Court) {
        let from = now();
        let mut struck = Struck {
            places: (0..fleet.len()).collect(),
            phase: match blow.falls() {
                true => Phase::Falling,
                false => Phase::Down(from + nanos(self.pause())),
            },
            blow,
            from,
            fell: Stamp::MAX,
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
        if struck.phase == Phase::Settled && struck.places.is_empty() {
            court.fault(format!("{} is over", struck.blow.name()));
            court.excuse(self.number, self.excuses(&struck));
            self.times
                .add(struck.blow.name(), struck.served - struck.from);
            self.next = now() + nanos(Duration::from_millis(self.chance.u64(CALM_MS)));
        } else {
            self.state = State::Struck(struck);
        }
        Ok(())
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
        let over = struck.phase == Phase::Settled && struck.places.is_empty();
        let mended = match over {
            true => struck.repeated.max(struck.agreed),
            false => Stamp::MAX,
        };
        let mut excuses = Vec::new();
        if struck.blow.loses() {
            excuses.push(Excuse {
                exception: Exception::Lost,
                since: struck.from.saturating_sub(struck.blow.lag()),
                from: struck.from,
                over: struck.fell,
                mended,
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
