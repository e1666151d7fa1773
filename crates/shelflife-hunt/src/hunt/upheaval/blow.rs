//! The blows: how a server is lost, and how it comes back.

use std::time::Duration;

use super::super::Fault;
use super::super::fleet::Fleet;
use super::super::stage::{Stage, Topology, control_slot, entry_slot};
use crate::stamp::Stamp;

/// Between two keys of a slot that moves.
const STEP: Duration = Duration::from_millis(5);

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
        ],
        Topology::Cluster => &[Fault::Failover, Fault::Stall, Fault::Switch, Fault::Move],
    }
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
    /// A slot moves to another primary.
    Move { slot: u16 },
}

impl Blow {
    pub(super) fn choose(fault: Fault, stage: &mut Stage, chance: &mut fastrand::Rng) -> Self {
        let slot = match chance.bool() {
            true => control_slot(),
            false => entry_slot(chance),
        };
        let (victim, of_it) = match stage {
            Stage::Single(_) => (0, None),
            Stage::Sentinel { primary, .. } => (*primary, None),
            Stage::Cluster { cluster, control } => {
                (cluster.primary_of(slot).unwrap_or(*control), Some(slot))
            }
        };
        match fault {
            Fault::Stall => Self::Stall {
                victim,
                slot: of_it,
            },
            Fault::Switch => Self::Switch {
                victim,
                slot: of_it,
            },
            Fault::Split => Self::Split { victim },
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
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Failover { .. } => "failover",
            Self::Stall { .. } => "stall",
            Self::Switch { .. } => "switch",
            Self::Watcher { .. } => "watcher",
            Self::Split { .. } => "split",
            Self::Move { .. } => "move",
        }
    }

    /// Whether another server takes over.
    pub(super) fn takes_over(&self) -> bool {
        !matches!(self, Self::Watcher { .. } | Self::Move { .. })
    }

    /// Whether every process has to begin anew.
    pub(super) fn resyncs(&self) -> bool {
        self.takes_over()
    }

    /// Until when what was asked for may be confirmed and lost, if anything may (PROTOCOL §9). A switch by `CLUSTER FAILOVER` waits until the
    /// replica has everything; one by a sentinel does not, and the old primary goes on until it is told.
    pub(super) fn loses(&self, fell: Stamp, agreed: Stamp) -> Option<Stamp> {
        match self {
            Self::Failover { .. } | Self::Stall { .. } | Self::Split { .. } => Some(fell),
            Self::Switch { slot: None, .. } => Some(agreed),
            _ => None,
        }
    }

    pub(super) fn strike(&self, fleet: &mut Fleet<'_>, stage: &mut Stage) -> String {
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
                group.switch();
                format!("a sentinel is told to replace server {victim}")
            }
            (Self::Switch { victim, .. }, Stage::Cluster { cluster, .. }) => {
                match cluster.replicas_of(*victim).first() {
                    Some(replica) => {
                        cluster.promote(*replica);
                        format!("node {replica} is told to replace node {victim}")
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
                | Self::Split { victim },
                Stage::Sentinel { group, .. },
            ) => {
                let primary = group.primary();
                primary != *victim && group.claims(primary)
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

    pub(super) fn mend(&self, fleet: &mut Fleet<'_>, stage: &mut Stage) -> String {
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
            (Self::Split { victim }, Stage::Sentinel { group, .. }) => {
                group.rejoin(*victim);
                fleet.part(false);
                format!("server {victim} and the processes beside it let in again")
            }
            _ => "nothing to be mended".to_owned(),
        }
    }
}

fn is_primary(cluster: &shelflife_testkit::Cluster, node: usize) -> bool {
    let role = cluster.node(node).is_awake().then(|| {
        let info = cluster.node(node).cli(&["INFO", "replication"]);
        info.contains("role:master")
    });
    role == Some(true)
}
