//! How a cluster is formed, and when it is whole.

use super::{ALL, Cluster, Line, PATIENCE};
use crate::access::Access;
use crate::cluster::slot::SLOTS;
use crate::group::follows;
use crate::process::poll;
use crate::resp::Reply;
use crate::server::{Kind, Options, RedisServer};

/// Nodes that do not know each other yet.
pub(super) fn start(primaries: usize, access: &Access) -> Vec<RedisServer> {
    let start = |_| {
        let mut conf = access.server_conf();
        conf.push(format!("cluster-node-timeout {}", access.down_after_ms()));
        RedisServer::start_as(Options::part(Kind::Node, access, conf))
    };
    (0..primaries * 2).map(start).collect()
}

/// Gives out the slots, has everybody meet the first node, and tells each replica whom to follow.
pub(super) fn introduce(cluster: &Cluster, primaries: usize) {
    let share = usize::from(SLOTS).div_ceil(primaries);
    for primary in 0..primaries {
        let node = cluster.node(primary);
        let (from, to) = (
            primary * share,
            ((primary + 1) * share).min(SLOTS.into()) - 1,
        );
        node.cli(&[
            "CLUSTER",
            "ADDSLOTSRANGE",
            &from.to_string(),
            &to.to_string(),
        ]);
        // Two nodes of one epoch would have to find out who is the newer one.
        node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(primary + 1).to_string()]);
    }
    let (port, bus) = (cluster.node(0).port(), cluster.node(0).bus());
    for node in &cluster.nodes[1..] {
        node.cli(&[
            "CLUSTER",
            "MEET",
            "127.0.0.1",
            &port.to_string(),
            &bus.to_string(),
        ]);
    }
    for replica in primaries..cluster.nodes.len() {
        let id = cluster.id(replica - primaries);
        let words: [&[u8]; 3] = [b"CLUSTER", b"REPLICATE", id.as_bytes()];
        // It is refused until word of that node has got round.
        let told = poll(PATIENCE, || {
            let reply = cluster.node(replica).command(&words);
            (reply == Reply::Simple("OK".to_owned())).then_some(())
        });
        assert!(told.is_some(), "node {replica} never heard of its primary");
    }
}

pub(super) fn is_settled(cluster: &Cluster) -> bool {
    let awake = cluster.awake().map(|node| cluster.id_if_told(node));
    let Some(awake) = awake.collect::<Option<Vec<String>>>() else {
        return false;
    };
    let whole = |node: usize| {
        let info = cluster.ask(node, &["CLUSTER", "INFO"]).unwrap_or_default();
        let told = cluster.ask(node, &["CLUSTER", "NODES"]).unwrap_or_default();
        let lines = Line::all(&told);
        let state_ok = info.lines().any(|line| line == "cluster_state:ok");
        state_ok && agrees(&lines, &awake) && (follows(cluster.node(node)) || serves(&lines))
    };
    cluster.awake().all(whole)
}

/// Whether a node sees everybody who is awake, and all slots served by them.
fn agrees(lines: &[Line], awake: &[String]) -> bool {
    let well: Vec<&Line> = lines
        .iter()
        .filter(|line| awake.contains(&line.id))
        .filter(|line| line.connected && (line.has("master") || line.has("slave")))
        .filter(|line| !line.has("fail") && !line.has("fail?") && !line.has("handshake"))
        .collect();
    let served: u32 = well.iter().map(|line| line.served()).sum();
    well.len() == awake.len() && served == ALL
}

/// Whether it is a primary itself.
fn serves(lines: &[Line]) -> bool {
    let own = lines.iter().find(|line| line.has("myself"));
    own.is_some_and(|own| own.has("master"))
}
