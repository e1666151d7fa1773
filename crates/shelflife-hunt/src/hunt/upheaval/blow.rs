//! The blows: how a server is lost, and how it comes back.
//!
//! Of what a blow loses, as much as replication lags by on a quiet machine is little. So replicas may be held back before it.

use std::path::PathBuf;
use std::time::Duration;

use shelflife_testkit::HeldBack;

use super::super::Fault;
use super::super::faults::disk::save;
use super::super::fleet::Fleet;
use super::super::stage::{Stage, Topology, control_slot, entry_slot};
use crate::excuse::LAG;
use crate::stamp::Stamp;

/// Between two keys of a slot that moves.
const STEP: Duration = Duration::from_millis(5);
/// The sentinel that is named first to all processes.
const FIRST: usize = 0;

/// Whether a blow can be dealt that takes along what no replica has.
pub(super) fn may_lose(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::Failover | Fault::Stall | Fault::Split | Fault::Silence | Fault::Relapse
    )
}

/// What there is in a topology.
pub(super) fn of(topology: Topology) -> &'static [Fault] {
    match topology {
        Topology::Single => &[],
        Topology::Sentinel => &[
            Fault::Failover,
            Fault::Stall,
            Fault::Switch,
            Fault::Watcher,
            Fault::Split,
            Fault::Silence,
        ],
        Topology::Cluster => &[
            Fault::Failover,
            Fault::Stall,
            Fault::Switch,
            Fault::Move,
            Fault::Relapse,
        ],
    }
}

/// What replicas have of what a primary confirms, before it is lost.
#[derive(Debug)]
pub(super) enum Replicas {
    /// All, but for what is on its way.
    Follow,
    /// Nothing: they are held back.
    Lag(HeldBack),
    /// Nothing: they are down, and the primary has saved what it comes back with.
    Down,
}

/// Which of its slots tells who has taken over from a node of a cluster; with sentinels there are none.
type Slot = Option<u16>;

/// One of them, and whom it hits.
#[derive(Debug)]
pub(super) enum Blow {
    /// SIGKILL of a primary, which is started again, empty, when another has taken over.
    Failover { victim: usize, slot: Slot },
    /// SIGSTOP of a primary, which goes on when another has taken over.
    Stall { victim: usize, slot: Slot },
    /// Another takes over while all are well.
    Switch { victim: usize, slot: Slot },
    /// SIGKILL of a sentinel.
    Watcher { sentinel: usize },
    /// The primary and half of the processes on one side, everybody else on the other.
    Split { victim: usize },
    /// SIGSTOP of the primary and of the sentinel that everybody asks first: nobody is told who has taken over.
    Silence { victim: usize },
    /// A slot moves to another primary.
    Move { slot: u16 },
    /// A primary that has no replica just then has saved, and gets SIGKILL. It comes back with what it had saved when all the others think it
    /// dead.
    Relapse {
        victim: usize,
        replicas: Vec<usize>,
        /// What it comes back with, until it has.
        saved: Option<PathBuf>,
    },
}

impl Blow {
    /// Whom it hits; nobody, while it can't be told who serves what.
    pub(super) fn choose(fault: Fault, stage: &Stage, chance: &mut fastrand::Rng) -> Option<Self> {
        let slot = match chance.bool() {
            true => control_slot(),
            false => entry_slot(chance),
        };
        let (victim, of_it) = match stage {
            Stage::Single(_) => (0, None),
            Stage::Sentinel { primary, .. } => (*primary, None),
            Stage::Cluster { cluster, .. } => (cluster.primary_of(slot)?, Some(slot)),
        };
        Some(match fault {
            Fault::Stall => Self::Stall {
                victim,
                slot: of_it,
            },
            Fault::Switch => Self::Switch {
                victim,
                slot: of_it,
            },
            Fault::Split => Self::Split { victim },
            Fault::Silence => Self::Silence { victim },
            Fault::Relapse => Self::Relapse {
                victim,
                replicas: match stage {
                    Stage::Cluster { cluster, .. } => cluster.replicas_of(victim),
                    _ => Vec::new(),
                },
                saved: None,
            },
            Fault::Move => Self::Move { slot },
            Fault::Watcher => Self::Watcher {
                sentinel: match stage {
                    Stage::Sentinel { group, .. } => chance.usize(..group.sentinels()),
                    _ => 0,
                },
            },
            _ => Self::Failover {
                victim,
                slot: of_it,
            },
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Failover { .. } => "failover",
            Self::Stall { .. } => "stall",
            Self::Switch { .. } => "switch",
            Self::Watcher { .. } => "watcher",
            Self::Split { .. } => "split",
            Self::Silence { .. } => "silence",
            Self::Move { .. } => "move",
            Self::Relapse { .. } => "relapse",
        }
    }

    /// The primary that is lost, if what it confirms before can be kept from its replicas: not where it has to know of its successor.
    pub(super) fn loses_alone(&self) -> Option<usize> {
        match self {
            Self::Failover { victim, .. }
            | Self::Stall { victim, .. }
            | Self::Split { victim }
            | Self::Silence { victim }
            | Self::Relapse { victim, .. } => Some(*victim),
            Self::Switch { .. } | Self::Watcher { .. } | Self::Move { .. } => None,
        }
    }

    /// From now on, nobody but the primary gets what it confirms.
    pub(super) fn hold_back(&mut self, stage: &mut Stage) -> Replicas {
        match (self, stage) {
            (
                Self::Relapse {
                    victim,
                    replicas,
                    saved,
                },
                Stage::Cluster { cluster, .. },
            ) => {
                for replica in replicas {
                    cluster.kill(*replica);
                }
                *saved = save(cluster.node(*victim));
                Replicas::Down
            }
            (blow, stage) => {
                let held = blow
                    .loses_alone()
                    .and_then(|victim| stage.hold_back(victim));
                held.map_or(Replicas::Follow, Replicas::Lag)
            }
        }
    }

    /// Whether another server takes over.
    pub(super) fn takes_over(&self) -> bool {
        !matches!(
            self,
            Self::Watcher { .. } | Self::Move { .. } | Self::Relapse { .. }
        )
    }

    /// Whether something has to happen by itself before it can be mended.
    pub(super) fn falls(&self) -> bool {
        self.takes_over() || matches!(self, Self::Relapse { .. })
    }

    /// Whether every process has to begin anew.
    pub(super) fn resyncs(&self) -> bool {
        self.falls()
    }

    /// Whether it may be asked for and refused.
    pub(super) fn is_command(&self) -> bool {
        matches!(self, Self::Switch { .. })
    }

    /// Until when what was asked for may be confirmed and lost, if anything may (PROTOCOL §9). A switch by `CLUSTER FAILOVER` waits until the
    /// replica has everything; one by a sentinel does not, and the old primary goes on until it is told.
    pub(super) fn loses(&self) -> bool {
        match self {
            Self::Failover { .. }
            | Self::Stall { .. }
            | Self::Split { .. }
            | Self::Silence { .. }
            | Self::Relapse { .. } => true,
            Self::Switch { slot, .. } => slot.is_none(),
            Self::Watcher { .. } | Self::Move { .. } => false,
        }
    }

    /// How long before the blow a primary may have confirmed what was lost by it: by as much as its replicas lag behind, if it has any.
    pub(super) fn lag(&self) -> Stamp {
        match self {
            Self::Relapse { .. } => 0,
            _ => LAG,
        }
    }

    /// Whether the old primary confirms nothing any more as soon as it is struck.
    pub(super) fn falls_at_once(&self) -> bool {
        !self.is_command()
    }

    pub(super) fn strike(&mut self, fleet: &mut Fleet<'_>, stage: &mut Stage) -> String {
        match (self, stage) {
            (Self::Failover { victim, .. }, Stage::Sentinel { group, .. }) => {
                group.kill(*victim);
                format!("the primary, server {victim}, killed")
            }
            (Self::Failover { victim, slot }, Stage::Cluster { cluster, .. }) => {
                cluster.kill(*victim);
                format!("node {victim}, which serves slot {slot:?}, killed")
            }
            (Self::Stall { victim, .. }, Stage::Sentinel { group, .. }) => {
                group.stop(*victim);
                format!("the primary, server {victim}, frozen")
            }
            (Self::Stall { victim, slot }, Stage::Cluster { cluster, .. }) => {
                cluster.stop(*victim);
                format!("node {victim}, which serves slot {slot:?}, frozen")
            }
            (Self::Switch { victim, .. }, Stage::Sentinel { group, .. }) => {
                let does = group.try_switch();
                format!(
                    "a sentinel is told to replace server {victim}, {}",
                    heard(does)
                )
            }
            (Self::Switch { victim, .. }, Stage::Cluster { cluster, .. }) => {
                match cluster.replicas_of(*victim).first() {
                    Some(replica) => {
                        let does = cluster.try_promote(*replica);
                        format!(
                            "node {replica} is told to replace node {victim}, {}",
                            heard(does)
                        )
                    }
                    None => "a node without a replica stays".to_owned(),
                }
            }
            (Self::Watcher { sentinel }, Stage::Sentinel { group, .. }) => {
                group.sentinel_mut(*sentinel).kill();
                format!("sentinel {sentinel} killed")
            }
            (Self::Split { victim }, Stage::Sentinel { group, .. }) => {
                fleet.part(true);
                group.cut_off(*victim);
                format!("server {victim} and every other process cut off from the rest")
            }
            (Self::Silence { victim }, Stage::Sentinel { group, .. }) => {
                group.sentinel_mut(FIRST).stop();
                group.stop(*victim);
                format!("the primary, server {victim}, frozen, and sentinel {FIRST} before it")
            }
            (Self::Relapse { victim, .. }, Stage::Cluster { cluster, .. }) => {
                cluster.kill(*victim);
                format!("node {victim} killed, which has saved, its replica before")
            }
            (Self::Move { slot }, Stage::Cluster { cluster, .. }) => {
                let from = cluster.primary_of(*slot);
                let to = (0..cluster.nodes())
                    .find(|node| Some(*node) != from && is_primary(cluster, *node));
                let Some(to) = to else {
                    return "nowhere to move a slot to".to_owned();
                };
                let moving = cluster.migrate(*slot, to);
                moving.open();
                while moving.move_keys(1) > 0 {
                    // So that it lasts: everything is asked for meanwhile.
                    std::thread::sleep(STEP);
                }
                moving.close();
                format!("slot {slot} moved from node {from:?} to node {to}")
            }
            _ => String::new(),
        }
    }

    /// Whether another has taken over.
    pub(super) fn has_fallen(&self, stage: &mut Stage) -> bool {
        match (self, stage) {
            (
                Self::Failover { victim, .. }
                | Self::Stall { victim, .. }
                | Self::Switch { victim, .. }
                | Self::Split { victim }
                | Self::Silence { victim },
                Stage::Sentinel { group, .. },
            ) => {
                // One that was told to give way goes on until it has heard of it.
                let gone = !self.is_command() || !group.claims(*victim);
                let primary = group.reign().map(|(primary, _)| primary);
                primary.is_some_and(|primary| primary != *victim && group.claims(primary)) && gone
            }
            (Self::Relapse { victim, .. }, Stage::Cluster { cluster, .. }) => {
                cluster.has_failed(*victim)
            }
            (
                Self::Failover {
                    victim,
                    slot: Some(slot),
                }
                | Self::Stall {
                    victim,
                    slot: Some(slot),
                }
                | Self::Switch {
                    victim,
                    slot: Some(slot),
                },
                Stage::Cluster { cluster, .. },
            ) => cluster
                .primary_of(*slot)
                .is_some_and(|node| node != *victim),
            _ => true,
        }
    }

    pub(super) fn mend(&mut self, fleet: &mut Fleet<'_>, stage: &mut Stage) -> String {
        match (self, stage) {
            (Self::Failover { victim, .. }, Stage::Sentinel { group, .. }) => {
                group.restart(*victim);
                format!("server {victim} started again, empty")
            }
            (Self::Failover { victim, .. }, Stage::Cluster { cluster, .. }) => {
                cluster.restart(*victim);
                format!("node {victim} started again, empty")
            }
            (Self::Stall { victim, .. }, Stage::Sentinel { group, .. }) => {
                group.wake(*victim);
                format!("server {victim} goes on")
            }
            (Self::Stall { victim, .. }, Stage::Cluster { cluster, .. }) => {
                cluster.wake(*victim);
                format!("node {victim} goes on")
            }
            (Self::Watcher { sentinel }, Stage::Sentinel { group, .. }) => {
                group.sentinel_mut(*sentinel).restart();
                format!("sentinel {sentinel} started again")
            }
            (Self::Silence { victim }, Stage::Sentinel { group, .. }) => {
                group.wake(*victim);
                group.sentinel_mut(FIRST).wake();
                format!("server {victim} goes on, and sentinel {FIRST}")
            }
            (
                Self::Relapse {
                    victim,
                    replicas,
                    saved,
                },
                Stage::Cluster { cluster, .. },
            ) => {
                cluster.restart(*victim);
                if let Some(file) = saved.take() {
                    // Or it would come back the next time, too.
                    let _ = std::fs::remove_file(file);
                }
                for replica in replicas {
                    cluster.restart(*replica);
                }
                format!("node {victim} started again, with what it had saved; its replica, too")
            }
            (Self::Split { victim }, Stage::Sentinel { group, .. }) => {
                group.rejoin(*victim);
                fleet.part(false);
                format!("server {victim} and the processes beside it let in again")
            }
            _ => "nothing to be mended".to_owned(),
        }
    }
}

fn heard(does: bool) -> &'static str {
    match does {
        true => "and does",
        false => "and refuses",
    }
}

fn is_primary(cluster: &shelflife_testkit::Cluster, node: usize) -> bool {
    let role = cluster.node(node).is_awake().then(|| {
        let info = cluster.node(node).cli(&["INFO", "replication"]);
        info.contains("role:master")
    });
    role == Some(true)
}
