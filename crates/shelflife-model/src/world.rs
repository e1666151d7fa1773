//! A state of the model, and what can happen in it.

use std::sync::Arc;

use shelflife::Epoch;
use shelflife::protocol::{Follower, Memory, TagRecord};
use stateright::{Model, Property};

use crate::call::Call;
use crate::flight::{Flight, Step};
use crate::process::{Cell, Process, Resident, Tail};
use crate::read::{Phase, Reader};
use crate::rules::Rules;
use crate::scenario::{Failover, Loss, Scenario};
use crate::server::{Clock, Control, Entries, Ids, Mark, Members, Server};
use crate::tail::{DELTA, delta};
use crate::what::TAGS;

/// How many processes there are.
pub(crate) const PROCESSES: usize = 2;
/// When the model begins: early enough for the members' list to be complete.
const BEGIN: u8 = 1;

/// What may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) loads: u8,
    pub(crate) ticks: u8,
    pub(crate) beats: [u8; PROCESSES],
    pub(crate) resyncs: u8,
    pub(crate) losses: u8,
    pub(crate) replications: u8,
    pub(crate) failovers: u8,
    pub(crate) reissues: u8,
    pub(crate) lost_fills: u8,
}

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Broken {
    pub(crate) reader: usize,
    /// The call that it had to honour.
    pub(crate) call: usize,
    /// The version of the source that it got.
    pub(crate) version: u8,
}

/// A state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) now: u8,
    /// The version of the source of the key.
    pub(crate) source: u8,
    pub(crate) ids: Ids,
    pub(crate) server: Server,
    pub(crate) replica: Option<Arc<Server>>,
    pub(crate) procs: [Process; PROCESSES],
    pub(crate) readers: Vec<Reader>,
    pub(crate) calls: Vec<Call>,
    pub(crate) left: Left,
    pub(crate) broken: Option<Broken>,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A read goes on.
    Read(usize),
    /// The flight of a process goes on.
    Fly(usize),
    /// A fill is lost: the request, or just its answer.
    LoseFill(usize, bool),
    /// A call goes on.
    Call(usize),
    Reissue(usize),
    /// A process goes on with its log.
    Tail(usize),
    SendBeat(usize),
    ServeBeat(usize),
    UseBeat(usize),
    Tick,
    Lose(Loss),
    Replicate,
    FailOver(Failover),
}

impl World {
    /// The state in which a scenario begins: everything at the epoch (1, 5), the log empty, version 0
    /// wherever there is a value, and whoever follows the log has its window open.
    pub(crate) fn begin(rules: &Rules) -> Self {
        let scenario = &rules.scenario;
        let epoch = Epoch::new(1, 5);
        let record = TagRecord {
            inc: 1,
            hard: 5,
            soft: 0,
        };
        let mut entries = Entries {
            primary: 1,
            record: None,
            unlinked: 0,
        };
        if scenario.stored {
            entries.store(1, 0, epoch);
        }
        let server = Server {
            control: Control {
                primary: 1,
                clock: Some(Clock { epoch, primary: 1 }),
                tags: [Some(record); TAGS],
                log: Vec::new(),
                members: Members {
                    mark: Some(Mark {
                        since: 0,
                        inc: epoch.inc,
                        primary: 1,
                    }),
                    applied: scenario
                        .follows
                        .map(|follows| follows.then_some(epoch.tick)),
                    beats: Some(scenario.follows.map(|follows| follows.then_some(BEGIN))),
                },
                logged: 0,
            },
            entries,
        };
        Self {
            now: BEGIN,
            source: 0,
            ids: Ids {
                inc: 1,
                tick: 5,
                primary: 1,
                token: 1,
            },
            replica: (scenario.left.failovers > 0).then(|| Arc::new(server.clone())),
            server,
            procs: [0, 1].map(|p| process(scenario, p, epoch, record)),
            readers: vec![Reader::IDLE; scenario.readers.len()],
            calls: scenario.calls.iter().map(|c| Call::new(c.kind)).collect(),
            left: scenario.left,
            broken: None,
        }
    }

    /// Whether what a process knows can still matter to anybody.
    fn matters(&self, rules: &Rules, p: usize) -> bool {
        let reads = |(r, reader): (usize, &Reader)| {
            rules.scenario.readers[r].0 == p && reader.phase != Phase::Done
        };
        rules.scenario.everywhere
            || self.procs[p].flight.is_some()
            || self.readers.iter().enumerate().any(reads)
    }

    fn go_on_reading(&mut self, rules: &Rules, r: usize) -> bool {
        match self.readers[r].phase {
            Phase::Idle => self.start_read(rules, r),
            Phase::Floor => self.read_floor(rules, r),
            Phase::Near => self.look_near(rules, r),
            Phase::Offered(offer) => self.take(rules, r, offer),
            Phase::Waiting | Phase::Done => false,
        }
    }

    fn happen(&mut self, rules: &Rules, action: Action) -> bool {
        match action {
            Action::Read(r) => self.go_on_reading(rules, r),
            Action::Fly(p) => self.fly(rules, p),
            Action::LoseFill(p, arrives) => {
                self.left.lost_fills -= 1;
                self.lose_fill(rules, p, arrives)
            }
            Action::Call(c) => self.advance(rules, c),
            Action::Reissue(c) => self.reissue(rules, c),
            Action::Tail(p) => self.tail(rules, p),
            Action::SendBeat(p) => self.send_beat(p),
            Action::ServeBeat(p) => self.serve_beat(rules, p),
            Action::UseBeat(p) => self.use_beat(rules, p),
            Action::Tick => self.tick(),
            Action::Lose(loss) => self.lose(loss),
            Action::Replicate => self.replicate(),
            Action::FailOver(kind) => self.fail_over(rules, kind),
        }
    }
}

fn process(scenario: &Scenario, p: usize, epoch: Epoch, record: TagRecord) -> Process {
    let mut memory = Memory::with_room_for(64);
    let follows = scenario.follows[p];
    if follows {
        memory.open(epoch);
    }
    let resident = Resident {
        token: 1,
        version: 0,
        since: epoch,
        good: epoch,
        ready: true,
        softened: false,
        cells: [Cell::default(); TAGS],
    };
    let table = scenario.table.then_some(record);
    Process {
        memory: Arc::new(memory),
        follower: follows.then(|| Arc::new(Follower::at(epoch, "1".to_owned(), delta()))),
        primary: 1,
        applied: follows.then_some(epoch),
        tail: if follows { Tail::Idle } else { Tail::Lost },
        window: if follows { BEGIN + DELTA } else { 0 },
        beat: None,
        l1: scenario.resident[p].then_some(resident),
        flight: None::<Flight>,
        table: [table; TAGS],
        told: [Cell::default(); TAGS],
        known: 0,
    }
}

impl Model for Rules {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::begin(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let over = world.readers.iter().all(|r| r.phase == Phase::Done);
        if over || world.broken.is_some() {
            return;
        }
        let reads = |(r, reader): (usize, &Reader)| match reader.phase {
            Phase::Waiting | Phase::Done => None,
            Phase::Idle | Phase::Floor | Phase::Near | Phase::Offered(_) => Some(Action::Read(r)),
        };
        actions.extend(world.readers.iter().enumerate().filter_map(reads));
        for (p, process) in world.procs.iter().enumerate() {
            if let Some(flight) = &process.flight {
                actions.push(Action::Fly(p));
                if flight.step == Step::Fill && world.left.lost_fills > 0 {
                    actions.extend([Action::LoseFill(p, false), Action::LoseFill(p, true)]);
                }
            }
            if world.matters(self, p) {
                actions.push(Action::Tail(p));
                match process.beat {
                    None => actions.push(Action::SendBeat(p)),
                    Some(beat) if beat.answer.is_none() => actions.push(Action::ServeBeat(p)),
                    Some(_) => actions.push(Action::UseBeat(p)),
                }
            }
        }
        for c in 0..world.calls.len() {
            actions.push(Action::Call(c));
            if world.calls[c].excused {
                actions.push(Action::Reissue(c));
            }
        }
        if world.left.ticks > 0 {
            actions.push(Action::Tick);
        }
        if world.left.losses > 0 {
            let lose = self.scenario.losses.iter().copied();
            actions.extend(lose.map(Action::Lose));
        }
        if world.left.replications > 0 {
            actions.push(Action::Replicate);
        }
        if world.left.failovers > 0 {
            let kinds = self.scenario.failovers.iter().copied();
            actions.extend(kinds.map(Action::FailOver));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.happen(self, action).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("kept", |_, world: &World| {
            world.broken.is_none()
        })]
    }
}
