//! From the blow until everybody is served again: whom it has hit, how far it is, and what the court is told meanwhile.
//!
//! Must not: judge, or choose what happens next.

use std::time::Duration;

use super::super::court::Court;
use super::super::fleet::Fleet;
use super::super::stage::{Reign, Stage};
use super::blow::{Blow, Replicas};
use super::holding::Held;
use super::{CALM_MS, LOOK, PATIENCE, State, Upheavals, heard, unasked};
use crate::excuse::{self, Exception, Excuse};
use crate::stamp::{Stamp, nanos, now};
use crate::worker::Failure;

/// Until a command to take over is given again that nobody has followed.
const AGAIN: Duration = Duration::from_secs(6);
/// When what was lost for sure has been repeated, and Δ is over, it is read for so long.
const WATCHED: Duration = Duration::from_secs(1);

/// An upheaval that has begun.
#[derive(Debug)]
pub(super) struct Struck {
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

impl Upheavals {
    pub(super) fn strike(
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

    pub(super) fn go_on(
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
