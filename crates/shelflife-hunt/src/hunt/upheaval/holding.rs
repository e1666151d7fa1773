//! Before a blow: replicas are held back, and witnesses are lost with the primary, for sure.
//!
//! ```text
//! everything is spared ─► witnesses are stored ─► replicas held back ─► each witness is changed, once ─► a second or two ─► the blow
//!                         and the replicas have them
//! ```
//!
//! A witness is a key that everybody reads and nobody else names until the upheaval is over. When another has taken over, its old value is there
//! again, as good as any: nothing but the repetition of what the lost primary had confirmed keeps anybody from it, and nothing else mends it.
//!
//! Must not: judge.

use std::time::Duration;

use super::super::court::Court;
use super::super::fleet::Fleet;
use super::super::stage::Stage;
use super::blow::{Blow, Replicas};
use super::heard;
use crate::excuse::{self, Exception, Excuse};
use crate::stamp::{Stamp, nanos, now};
use crate::worker::Failure;
use crate::world::{ALL_KEYS, KEYS, Target, WITNESSES};

/// How many witnesses are lost at a time, each by another process, if there are as many.
const AT_ONCE: usize = 4;
/// For how long replicas are held back.
const LONG_MS: std::ops::Range<u64> = 1_000..1_800;
/// How much longer at most, while not every witness is confirmed.
const LATE: Duration = Duration::from_secs(2);
/// How long everybody may take to spare everything, and to store the witnesses.
const PATIENCE: Duration = Duration::from_secs(6);

/// Replicas that are held back.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) replicas: Replicas,
    /// Before they were.
    pub(super) begun: Stamp,
    /// When all of them were.
    pub(super) since: Stamp,
    /// How many witnesses the primary has confirmed meanwhile.
    pub(super) witnesses: u64,
}

/// When each witness was used last, by the number of the upheaval.
#[derive(Debug)]
pub(super) struct Used([u32; WITNESSES as usize]);

impl Default for Used {
    fn default() -> Self {
        Self([0; WITNESSES as usize])
    }
}

/// A witness, and the place of the process that changes it.
#[derive(Debug)]
struct Witness {
    place: usize,
    key: u8,
    target: Target,
    soft: bool,
}

#[derive(Debug)]
enum Step {
    Sparing,
    Storing,
    Losing(Held, Stamp),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Holding {
    number: u32,
    blow: Blow,
    witnesses: Vec<Witness>,
    long: Duration,
    step: Step,
    since: Stamp,
    /// Those that have not answered.
    places: Vec<usize>,
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Came {
    Waits(Holding),
    /// Somebody was too slow: not now.
    GivenUp,
    Held(Blow, Held),
}

impl Holding {
    /// Chooses the witnesses, among those that the victim has, and asks for everything to be spared. None if there are none.
    pub(super) fn begin(
        number: u32,
        blow: Blow,
        used: &mut Used,
        fleet: &mut Fleet<'_>,
        stage: &Stage,
        chance: &mut fastrand::Rng,
    ) -> Option<Self> {
        let victim = blow.loses_alone()?;
        let mut keys: Vec<u8> = (KEYS..ALL_KEYS)
            .filter(|key| stage.serves(victim, *key))
            .collect();
        keys.sort_by_key(|key| used.0[usize::from(key - KEYS)]);
        let mut places: Vec<usize> = (0..fleet.len()).collect();
        chance.shuffle(&mut places);
        // Of tags the clock's server alone knows.
        let ways = if stage.controls(victim) { 6 } else { 3 };
        let mut first = chance.usize(..ways);
        let mut witness = |(key, place): (u8, usize)| {
            used.0[usize::from(key - KEYS)] = number;
            let target = Target::of_witness(key)[first % ways];
            first += 1;
            Witness {
                place,
                key,
                target,
                soft: target.may_be_soft() && chance.u8(..100) < 20,
            }
        };
        let witnesses = keys.into_iter().zip(places).take(AT_ONCE);
        let witnesses: Vec<Witness> = witnesses.map(&mut witness).collect();
        if witnesses.is_empty() {
            return None;
        }
        fleet.spare(number);
        Some(Self {
            number,
            blow,
            witnesses,
            long: Duration::from_millis(chance.u64(LONG_MS)),
            step: Step::Sparing,
            since: now(),
            places: (0..fleet.len()).collect(),
        })
    }

    /// Does what is due.
    ///
    /// # Errors
    ///
    /// When nothing was confirmed while the replicas were held back: nothing could be found.
    pub(super) fn step(
        mut self,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        court: &Court,
    ) -> Result<Came, Failure> {
        let number = self.number;
        let answer = match self.step {
            Step::Sparing => format!("spared {number}"),
            Step::Storing => format!("stored {number}"),
            Step::Losing(..) => format!("lost {number} "),
        };
        let said = heard(fleet, &mut self.places, &answer);
        match &mut self.step {
            Step::Sparing | Step::Storing if now() - self.since > nanos(PATIENCE) => {
                return Ok(Came::GivenUp);
            }
            Step::Sparing if self.places.is_empty() => {
                self.ask(fleet, |witness| format!("store {number} {}", witness.key));
                self.step = Step::Storing;
            }
            Step::Storing if self.places.is_empty() => {
                let held = self.hold_back(stage, court);
                let until = held.since + nanos(self.long);
                self.step = Step::Losing(held, until);
                self.ask(fleet, |witness| {
                    let target = serde_json::to_string(&witness.target).unwrap_or_default();
                    format!("lose {number} {} {target}", witness.soft)
                });
            }
            Step::Losing(held, until) => {
                let confirmed = said.iter().filter(|(_, said)| said.ends_with("yes"));
                held.witnesses += confirmed.count() as u64;
                let late = !self.places.is_empty() && now() < *until + nanos(LATE);
                if now() >= *until && !late {
                    return self.end();
                }
            }
            _ => {}
        }
        Ok(Came::Waits(self))
    }

    fn ask(&mut self, fleet: &mut Fleet<'_>, question: impl Fn(&Witness) -> String) {
        self.since = now();
        self.places = self.witnesses.iter().map(|witness| witness.place).collect();
        for witness in &self.witnesses {
            let child = &mut fleet.posts()[witness.place].child;
            child.send_line(&question(witness));
        }
    }

    fn hold_back(&mut self, stage: &mut Stage, court: &Court) -> Held {
        let begun = now();
        let replicas = self.blow.hold_back(stage);
        let held = Held {
            replicas,
            begun,
            since: now(),
            witnesses: 0,
        };
        // Nothing is lost so far, nor excused; but from now on it is known what will be.
        let lost = Excuse {
            exception: Exception::Lost,
            since: begun.saturating_sub(self.blow.lag()),
            from: Stamp::MAX,
            over: Stamp::MAX,
            mended: Stamp::MAX,
            keys: excuse::Keys::ALL,
            held: Some(excuse::Held {
                since: held.since,
                quiet: Stamp::MAX,
            }),
        };
        court.excuse(self.number, vec![lost]);
        court.fault(match held.replicas {
            Replicas::Down => "a primary's replicas killed; it has saved".to_owned(),
            _ => "the replicas of a primary held back".to_owned(),
        });
        held
    }

    fn end(self) -> Result<Came, Failure> {
        let Step::Losing(held, _) = self.step else {
            return Ok(Came::GivenUp);
        };
        if held.witnesses == 0 {
            return Err(format!(
                "{}: the replicas were held back, and nothing was confirmed meanwhile: nothing is lost, and nothing could be found",
                self.blow.name()
            )
            .into());
        }
        Ok(Came::Held(self.blow, held))
    }
}
