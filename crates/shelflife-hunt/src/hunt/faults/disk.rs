//! A restart from disk: what Redis comes back with is older than Δ.
//!
//! ```text
//! everyone is asked to be quiet ─► all are: SAVE ─► more than Δ: reads and beats go on ─► SIGKILL
//!      └─ one is not, in time: given up            started again ─► everyone may be loud again ◄─┘
//! ```
//!
//! What was confirmed after `SAVE` would be lost with it, and lost rightly (PROTOCOL §9): so nobody
//! invalidates meanwhile. What is lost is what processes have told about themselves since, and what was
//! loaded. At the restart one process is kept from noticing for a while.

use std::path::PathBuf;
use std::time::Duration;

use shelflife_testkit::{RedisServer, Reply};

use super::{Court, End, Fault, Fleet, Storm};
use crate::stamp::{Stamp, nanos, now};

/// How long everyone may take to be quiet.
const PATIENCE: Duration = Duration::from_secs(6);

/// How far it has come.
#[derive(Debug, Default)]
pub(super) enum Disk {
    #[default]
    Idle,
    /// Everyone has been asked; those at these places have not answered.
    Asked {
        places: Vec<usize>,
        question: String,
        since: Stamp,
    },
    /// It is saved, here.
    Saved(PathBuf),
}

impl Disk {
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self, Self::Idle)
    }
}

impl Storm {
    /// Asks everyone to be quiet, if everyone can hear it.
    pub(super) fn hush(&mut self, fleet: &mut Fleet<'_>) {
        if !fleet.is_complete() {
            return;
        }
        let since = now();
        let question = format!("quiet {since}");
        fleet.tell(&question);
        self.disk = Disk::Asked {
            places: (0..fleet.len()).collect(),
            question,
            since,
        };
    }

    /// Has Redis save what it holds, once everyone is quiet.
    pub(super) fn save_when_quiet(
        &mut self,
        fleet: &mut Fleet<'_>,
        server: &RedisServer,
        court: &Court,
    ) {
        let Disk::Asked {
            places,
            question,
            since,
        } = &mut self.disk
        else {
            return;
        };
        places.retain(|place| {
            let child = &mut fleet.posts()[*place].child;
            child.printed_line(question).is_none()
        });
        if places.is_empty() {
            let Some(file) = save(server) else {
                return self.give_up_saving(fleet);
            };
            self.disk = Disk::Saved(file);
            let over = fleet.window() + Duration::from_millis(self.chance.u64(10..400));
            self.ends
                .push(std::cmp::Reverse((now() + nanos(over), End::Disk)));
            court.fault(format!("Redis has saved; nobody writes for {over:?}"));
        } else if now() - *since > nanos(PATIENCE) {
            self.give_up_saving(fleet);
        }
    }

    /// Lets everyone go on, if it has not been saved yet.
    pub(super) fn give_up_saving(&mut self, fleet: &mut Fleet<'_>) {
        if matches!(self.disk, Disk::Asked { .. }) {
            self.disk = Disk::Idle;
            fleet.tell("loud");
        }
    }

    /// Redis dies, and comes back with what it has saved.
    pub(super) fn come_back(&mut self, fleet: &mut Fleet<'_>, server: &mut RedisServer) -> String {
        let place = self.chance.usize(..fleet.len());
        fleet.refuse(place, true);
        let post = &mut fleet.posts()[place];
        post.cut();
        let process = post.process;
        let ms = self.ends(End::Refuse(place), 1_000);
        server.kill();
        server.restart();
        if let Disk::Saved(file) = std::mem::take(&mut self.disk) {
            // Or it would come back the next time, too.
            let _ = std::fs::remove_file(file);
        }
        self.count(Fault::Disk);
        fleet.tell("loud");
        format!("Redis killed, and back with what it had saved; p{process} refused for {ms} ms")
    }
}

/// Has Redis save what it holds; gives the file.
pub(in crate::hunt) fn save(server: &RedisServer) -> Option<PathBuf> {
    let mut connection = server.connect().ok()?;
    let saved = connection.command(&[b"SAVE"]).ok()?;
    let setting = |reply: Reply| match reply {
        Reply::Array(pair) => pair.get(1).map(ToString::to_string),
        _ => None,
    };
    let dir = setting(connection.command(&[b"CONFIG", b"GET", b"dir"]).ok()?)?;
    let name = connection
        .command(&[b"CONFIG", b"GET", b"dbfilename"])
        .ok()?;
    let file = PathBuf::from(dir).join(setting(name)?);
    (saved == Reply::Simple("OK".to_owned())).then_some(file)
}
