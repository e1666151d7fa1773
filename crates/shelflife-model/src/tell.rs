//! A trace in words.

use std::fmt::Write as _;

use crate::flight::Step;
use crate::process::Tail;
use crate::read::Phase;
use crate::rules::Rules;
use crate::scenario::Level;
use crate::world::{Action, World};

/// A counterexample, a line a step.
pub(crate) fn trace(rules: &Rules, steps: &[(World, Option<Action>)]) -> String {
    let mut out = String::new();
    for (i, (world, action)) in steps.iter().enumerate() {
        let after = steps.get(i + 1).map(|(world, _)| world);
        if let (Some(action), Some(after)) = (action, after) {
            let line = happens(rules, world, *action, after);
            let _ = writeln!(out, "{:3}  {line}", i + 1);
        }
    }
    if let Some(broken) = steps
        .last()
        .and_then(|(world, _)| world.broken.map(|b| (b, world)))
    {
        let (broken, world) = broken;
        let call = &world.calls[broken.call];
        let _ = writeln!(
            out,
            "     read {} was to honour call {} (version {}), and got version {}",
            broken.reader, broken.call, call.version, broken.version
        );
    }
    out
}

fn happens(rules: &Rules, world: &World, action: Action, after: &World) -> String {
    match action {
        Action::Read(r) => reads(rules, world, r, after),
        Action::Fly(p) => format!("process {p}: {}", flies(world, p, after)),
        Action::LoseFill(p, true) => format!("process {p}: its fill arrives, the answer is lost"),
        Action::LoseFill(p, false) => format!("process {p}: its fill is lost on the way"),
        Action::Call(c) => calls(rules, world, c, after),
        Action::Reissue(c) => format!("call {c} is repeated"),
        Action::Tail(p) => format!("process {p}: {}", follows(world, p, after)),
        Action::SendBeat(p) => format!("process {p} sends a beat"),
        Action::ServeBeat(p) => {
            let answer = after.procs[p].beat.and_then(|beat| beat.answer);
            let clock = answer.map(|a| short(Some(a.clock)));
            format!(
                "process {p}: its beat is carried out: clock {}",
                clock.unwrap_or_default()
            )
        }
        Action::UseBeat(p) => format!(
            "process {p} has the answer to its beat: {}",
            if after.procs[p].follower.is_none() {
                "it must resync"
            } else if after.now < after.procs[p].window {
                "its window is open"
            } else {
                "its window stays closed"
            }
        ),
        Action::Tick => "Δ passes: every window has closed".to_owned(),
        Action::Lose(loss) => format!("Redis loses: {loss:?}"),
        Action::Replicate => "the replica catches up".to_owned(),
        Action::FailOver(kind) => format!("the replica becomes primary: {kind:?}"),
    }
}

fn reads(rules: &Rules, world: &World, r: usize, after: &World) -> String {
    let (p, level) = rules.scenario.readers[r];
    let level = match level {
        Level::Bounded => "bounded".to_owned(),
        Level::Strict => "strict".to_owned(),
        Level::Session(call) => format!("session of call {call}"),
    };
    let then = match after.readers[r].phase {
        Phase::Done => "answers",
        Phase::Waiting => "waits for a flight",
        Phase::Floor => "asks the primary for the clock",
        Phase::Near | Phase::Idle | Phase::Offered(_) => "goes on",
    };
    match world.readers[r].phase {
        Phase::Idle => format!("process {p}: read {r} ({level}) begins, {then}"),
        Phase::Floor => {
            let floor = short(after.readers[r].floor.epoch);
            format!("process {p}: read {r} has its floor, {floor}")
        }
        Phase::Near => format!("process {p}: read {r} looks into L1, {then}"),
        Phase::Offered(offer) => format!(
            "process {p}: read {r} is offered version {}, good up to {}: {then}",
            offer.version,
            short(Some(offer.good))
        ),
        Phase::Waiting | Phase::Done => String::new(),
    }
}

fn flies(world: &World, p: usize, after: &World) -> String {
    let Some(flight) = &world.procs[p].flight else {
        return String::new();
    };
    let next = after.procs[p].flight.as_ref();
    let lands = if next.is_none() { ", lands" } else { "" };
    let stored = |world: &World| {
        let record = world.server.entries.record;
        match record.map(|r| (r.value.map(|v| v.version), r.lease)) {
            None => "nothing".to_owned(),
            Some((Some(version), _)) => format!("version {version}"),
            Some((None, _)) => "a lease".to_owned(),
        }
    };
    let what = match flight.step {
        Step::Note => "notes what it has applied".to_owned(),
        Step::Clock => format!("reads the clock, {}", short(next.and_then(|f| f.good))),
        Step::Get => format!("gets the entry: {}", stored(world)),
        Step::Tags => "reads the tags".to_owned(),
        Step::Weigh(_) | Step::WeighLocal => "judges what it has read".to_owned(),
        Step::Insert(resident, _) => format!(
            "puts version {} into L1, good up to {}",
            resident.version,
            short(Some(resident.good))
        ),
        Step::Ask(..) => match after.procs[p].l1.is_some_and(|l1| l1.ready) {
            true => "asks memory: ready".to_owned(),
            false => "asks memory: removed".to_owned(),
        },
        Step::Begin => match after.left.loads < world.left.loads {
            true => "asks for the lease: granted".to_owned(),
            false => "asks for the lease, and looks again".to_owned(),
        },
        Step::Since => format!("notes S, {}", short(next.and_then(|f| f.since))),
        Step::Load => format!("the load begins, and finds version {}", world.source),
        Step::Ensure => "ensures the tags".to_owned(),
        Step::Fill => format!("fills; the entry is {}", stored(after)),
        Step::Release => "gives the lease back".to_owned(),
    };
    format!("{what}{lands}")
}

fn calls(rules: &Rules, world: &World, c: usize, after: &World) -> String {
    let call = &world.calls[c];
    let Some(step) = rules.steps[c].get(usize::from(call.done)) else {
        return String::new();
    };
    let p = rules.scenario.calls[c].process;
    let mut line = format!("process {p}: call {c} ({:?}): {step:?}", call.what);
    let new = &after.calls[c];
    if new.version != call.version {
        let _ = write!(line, ", version {}", new.version);
    }
    if new.epoch != call.epoch {
        let _ = write!(line, ", {}", short(new.epoch));
    }
    if new.ok_at.is_some() && call.ok_at.is_none() {
        line.push_str("; returns OK");
    }
    line
}

fn follows(world: &World, p: usize, after: &World) -> String {
    match world.procs[p].tail {
        Tail::Idle if after.procs[p].tail == Tail::Lost => "finds a gap in the log".to_owned(),
        Tail::Idle => "takes an entry of the log, first step".to_owned(),
        Tail::First(entry) => format!("entry {}, second step", short(Some(entry.epoch))),
        Tail::Second(entry) => format!("entry {}, last step", short(Some(entry.epoch))),
        Tail::Lost => "resync: its position is asked for".to_owned(),
        Tail::Position(answer, _) => format!("resync at {}, first step", short(Some(answer.clock))),
        Tail::Begun(..) => "resync, second step".to_owned(),
        Tail::Dropped(..) => match after.now < after.procs[p].window {
            true => "resync: it follows, its window is open".to_owned(),
            false => "resync: it follows".to_owned(),
        },
    }
}

/// An epoch, short.
fn short(epoch: Option<shelflife::Epoch>) -> String {
    epoch.map_or_else(|| "none".to_owned(), |e| format!("{}:{}", e.inc, e.tick))
}
