//! What the processes share: one server, a primary with its replicas and sentinels, or a cluster.
//!
//! Must not: decide when something happens to it.

use std::net::SocketAddr;
use std::time::Duration;

use shelflife_testkit::{Access, Cluster, Credentials, Group, HeldBack, RedisServer, slot_of};

use crate::excuse::Keys;
use crate::worker::{Failure, NAMESPACE};
use crate::world::{ALL_KEYS, KEYS, key};

/// Replicas of a primary: two, so that one is left when the other has taken over.
const REPLICAS: usize = 2;
const SENTINELS: usize = 3;
const PRIMARIES: usize = 3;

/// How the servers stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Topology {
    /// One server.
    Single,
    /// A primary with two replicas and three sentinels.
    Sentinel,
    /// Three primaries with a replica each.
    Cluster,
}

impl Topology {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        }
    }
}

/// Who is in charge, from one takeover to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reign {
    /// In the order of their numbers.
    primaries: Vec<usize>,
    /// Of the sentinels' election; a cluster has none that counts takeovers only.
    epoch: u64,
}

impl Reign {
    /// Whether nobody was elected since.
    pub(super) fn is_of_epoch(&self, before: &Self) -> bool {
        self.epoch == before.epoch
    }

    /// Whether it came of this one by one takeover, or none at all.
    pub(super) fn follows(&self, before: &Self, takeovers: usize) -> bool {
        let new = |primary: &&usize| !before.primaries.contains(primary);
        match takeovers {
            0 => self == before,
            _ => self.primaries.iter().filter(new).count() == takeovers,
        }
    }
}

/// See the module.
pub(super) enum Stage {
    Single(RedisServer),
    Sentinel { group: Group, primary: usize },
    Cluster { cluster: Cluster, control: usize },
}

impl Stage {
    pub(super) fn start(topology: Topology, min_replicas: u32, down_after: Duration) -> Self {
        let conf = vec![
            format!("min-replicas-to-write {min_replicas}"),
            "min-replicas-max-lag 2".to_owned(),
        ];
        match topology {
            Topology::Single => Self::Single(RedisServer::start()),
            Topology::Sentinel => {
                // With a user of their own, the servers and sentinels can be cut off from each other.
                let access = Access {
                    user: Some(Credentials::user("app", "app")),
                    peers: Some(Credentials::user("peer", "peer")),
                    conf,
                    down_after: Some(down_after),
                    ..Access::default()
                };
                let group = Group::start_with(REPLICAS, SENTINELS, access);
                for sentinel in 0..group.sentinels() {
                    // For so long one does not act that was frozen; 30 s of itself.
                    let words = ["SENTINEL", "DEBUG", "TILT-PERIOD", "3000"];
                    group.sentinel(sentinel).command(&words);
                }
                let primary = group.primary();
                Self::Sentinel { group, primary }
            }
            Topology::Cluster => {
                let access = Access {
                    conf,
                    down_after: Some(down_after),
                    ..Access::default()
                };
                let cluster = Cluster::start_with(PRIMARIES, access);
                let control = cluster.primary_of(control_slot()).unwrap_or_default();
                Self::Cluster { cluster, control }
            }
        }
    }

    /// What each process reaches by a wire of its own.
    pub(super) fn behind_wires(&self) -> Vec<SocketAddr> {
        match self {
            Self::Single(server) => vec![server.address()],
            // The servers themselves are where the sentinels say.
            Self::Sentinel { group, .. } => {
                let hosts = group.hosts().into_iter();
                hosts.filter_map(|host| host.parse().ok()).collect()
            }
            Self::Cluster { .. } => Vec::new(),
        }
    }

    /// The URL for who has these wires.
    pub(super) fn url(&self, wires: &[SocketAddr]) -> String {
        let hosts: Vec<String> = wires.iter().map(ToString::to_string).collect();
        match self {
            Self::Single(_) => format!("redis://{}", hosts.join(",")),
            Self::Sentinel { group, .. } => group.url_at(&hosts),
            Self::Cluster { cluster, .. } => cluster.url(),
        }
    }

    /// The server that holds the clock and the log, as far as is known.
    pub(super) fn server(&mut self) -> &mut RedisServer {
        match self {
            Self::Single(server) => server,
            Self::Sentinel { group, primary } => group.server_mut(*primary),
            Self::Cluster { cluster, control } => cluster.node_mut(*control),
        }
    }

    /// Whether all is as it should be; what is known of it is renewed then.
    pub(super) fn is_settled(&mut self) -> bool {
        match self {
            Self::Single(_) => true,
            Self::Sentinel { group, primary } => {
                let settled = group.is_settled();
                *primary = group.reign().map_or(*primary, |(primary, _)| primary);
                settled
            }
            Self::Cluster { cluster, control } => {
                let settled = cluster.is_settled();
                *control = cluster.primary_of(control_slot()).unwrap_or(*control);
                settled
            }
        }
    }

    /// Who is in charge, as the servers and sentinels say; none while they don't, or disagree.
    pub(super) fn reign(&self) -> Option<Reign> {
        match self {
            Self::Single(_) => Some(Reign::default()),
            Self::Sentinel { group, .. } => group.reign().map(|(primary, epoch)| Reign {
                primaries: vec![primary],
                epoch,
            }),
            Self::Cluster { cluster, .. } => cluster.primaries().map(|primaries| Reign {
                primaries,
                epoch: 0,
            }),
        }
    }

    /// Whether a server has the entry of a key, as far as is known.
    pub(super) fn serves(&self, server: usize, key: u8) -> bool {
        match self {
            Self::Single(_) | Self::Sentinel { .. } => true,
            Self::Cluster { cluster, .. } => cluster.serves(server, slot_of_entry(key)),
        }
    }

    /// Whether a server has the clock, the log and the tags, as far as is known.
    pub(super) fn controls(&self, server: usize) -> bool {
        match self {
            Self::Single(_) | Self::Sentinel { .. } => true,
            Self::Cluster { cluster, .. } => cluster.serves(server, control_slot()),
        }
    }

    /// Of which keys something is lost with a server: of all, if it has the clock, the log and the tags.
    pub(super) fn at_stake(&self, server: usize) -> Keys {
        match self.controls(server) {
            true => Keys::ALL,
            false => (0..ALL_KEYS)
                .filter(|&key| self.serves(server, key))
                .collect(),
        }
    }

    /// Has the replicas of a primary lag behind it; nobody's, where there are none.
    pub(super) fn hold_back(&self, primary: usize) -> Option<HeldBack> {
        match self {
            Self::Single(_) => None,
            Self::Sentinel { group, .. } => Some(group.hold_back(primary)),
            Self::Cluster { cluster, .. } => Some(cluster.hold_back(primary)),
        }
    }

    /// Whether each of them lacks something.
    pub(super) fn lag(&self, held: &HeldBack) -> bool {
        match self {
            Self::Single(_) => false,
            Self::Sentinel { group, .. } => group.lag(held),
            Self::Cluster { cluster, .. } => cluster.lag(held),
        }
    }

    /// Lets them go on without what they lack.
    pub(super) fn let_go_without(&self, held: HeldBack) {
        match self {
            Self::Single(_) => {}
            Self::Sentinel { group, .. } => group.let_go_without(held),
            Self::Cluster { cluster, .. } => cluster.let_go_without(held),
        }
    }

    /// What those have logged who decide who takes over.
    pub(super) fn said(&self) -> String {
        match self {
            Self::Single(_) => String::new(),
            Self::Sentinel { group, .. } => group.to_string(),
            Self::Cluster { cluster, .. } => cluster.to_string(),
        }
    }

    /// Connections that all servers together have from clients.
    ///
    /// # Errors
    ///
    /// When one does not tell.
    pub(super) fn connections(&self) -> Result<u64, Failure> {
        let servers: Vec<&RedisServer> = match self {
            Self::Single(server) => vec![server],
            Self::Sentinel { group, .. } => (0..group.servers()).map(|n| group.server(n)).collect(),
            Self::Cluster { cluster, .. } => {
                (0..cluster.nodes()).map(|n| cluster.node(n)).collect()
            }
        };
        servers.into_iter().map(connections).sum()
    }
}

fn connections(server: &RedisServer) -> Result<u64, Failure> {
    let info = server
        .connect()?
        .command(&[b"INFO", b"clients"])?
        .to_string();
    let count = info
        .lines()
        .find_map(|line| line.strip_prefix("connected_clients:"));
    let count = count.ok_or("a server tells no connected_clients")?;
    Ok(count.trim().parse()?)
}

/// The slot of the clock and the log.
pub(super) fn control_slot() -> u16 {
    slot_of(format!("sl1:{{{NAMESPACE}}}:clock").as_bytes())
}

/// The slot of some entry.
pub(super) fn entry_slot(chance: &mut fastrand::Rng) -> u16 {
    slot_of_entry(chance.u8(..KEYS))
}

fn slot_of_entry(of: u8) -> u16 {
    slot_of(format!("sl1:{NAMESPACE}:e:{}", key(of)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reign(primaries: &[usize], epoch: u64) -> Reign {
        Reign {
            primaries: primaries.to_vec(),
            epoch,
        }
    }

    #[test]
    fn one_takeover_follows_and_one_that_nobody_struck_does_not() {
        let (one, cluster) = (reign(&[0], 1), reign(&[0, 1, 2], 0));
        assert!(
            one.follows(&one, 0) && !reign(&[0], 3).follows(&one, 0),
            "there and back"
        );
        assert!(reign(&[2], 2).follows(&one, 1) && !one.follows(&one, 1));
        assert!(!reign(&[2], 3).is_of_epoch(&reign(&[2], 2)));
        assert!(reign(&[0, 1, 5], 0).follows(&cluster, 1));
        assert!(!reign(&[0, 4, 5], 0).follows(&cluster, 1), "two at once");
        assert!(!reign(&[0, 1, 5], 0).follows(&cluster, 0));
    }
}
