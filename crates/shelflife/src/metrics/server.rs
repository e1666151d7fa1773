//! Metrics of the server behind the store, as it was when it was asked last.

use super::families::{Families, labels};
use crate::server::{Seen, ServerInfo};

pub(super) fn server(all: &mut Families, seen: &Seen) {
    let up = match seen {
        Seen::Never => None,
        Seen::Down => Some(0.0),
        Seen::Up(_) => Some(1.0),
    };
    all.gauge(
        "shelflife_server_up",
        "Whether the server answered when it was asked last: 1 or 0.",
        up,
    );
    if let Seen::Up(info) = seen {
        names(all, info);
        memory(all, info);
        traffic(all, info);
        safety(all, info);
    }
}

fn number(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

fn flag(set: Option<bool>) -> Option<f64> {
    set.map(|set| f64::from(u8::from(set)))
}

fn count(all: &mut Families, name: &'static str, help: &'static str, count: Option<u64>) {
    all.counts(name, help, count.map(|count| (labels([]), count)));
}

fn names(all: &mut Families, info: &ServerInfo) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let labels = labels([
        ("product", info.product),
        ("version", &text(&info.version)),
        ("role", &text(&info.role)),
        ("eviction_policy", &text(&info.eviction_policy)),
    ]);
    all.labelled("shelflife_server_info", "Which server this is; 1.", labels);
    all.gauge(
        "shelflife_server_uptime_seconds",
        "For how long the server has been running.",
        number(info.uptime),
    );
}

fn memory(all: &mut Families, info: &ServerInfo) {
    all.gauge(
        "shelflife_server_memory_used_bytes",
        "Memory that the server uses.",
        number(info.used_memory),
    );
    all.gauge(
        "shelflife_server_memory_limit_bytes",
        "Memory that the server may use; absent where there is no limit.",
        number(info.max_memory),
    );
    all.gauge(
        "shelflife_server_memory_ratio",
        "Memory that the server uses, by what it may use: of a cluster, of its fullest primary.",
        info.memory_ratio(),
    );
    all.gauge(
        "shelflife_server_memory_fragmentation_ratio",
        "What the server's process takes, by what it uses.",
        info.fragmentation,
    );
    count(
        all,
        "shelflife_server_evicted_keys_total",
        "Keys that the server evicted for want of room.",
        info.evicted_keys,
    );
    count(
        all,
        "shelflife_server_expired_keys_total",
        "Keys of the server that expired.",
        info.expired_keys,
    );
}

fn traffic(all: &mut Families, info: &ServerInfo) {
    count(
        all,
        "shelflife_server_keyspace_hits_total",
        "Reads of the server that found a key.",
        info.keyspace_hits,
    );
    count(
        all,
        "shelflife_server_keyspace_misses_total",
        "Reads of the server that found none.",
        info.keyspace_misses,
    );
    count(
        all,
        "shelflife_server_commands_total",
        "Commands that the server carried out.",
        info.commands,
    );
    all.gauge(
        "shelflife_server_clients",
        "Connections of clients to the server.",
        number(info.clients),
    );
    all.gauge(
        "shelflife_server_clients_limit",
        "How many there may be.",
        number(info.max_clients),
    );
    count(
        all,
        "shelflife_server_rejected_clients_total",
        "Connections that the server refused because there were too many.",
        info.rejected_clients,
    );
}

fn safety(all: &mut Families, info: &ServerInfo) {
    all.gauge(
        "shelflife_server_replicas",
        "Replicas connected to the server.",
        number(info.replicas),
    );
    all.gauge(
        "shelflife_server_replica_lag_bytes",
        "By how much the replica is behind that is most so.",
        number(info.replica_lag),
    );
    all.gauge(
        "shelflife_server_append_ok",
        "Whether the server's last append to its file went well: 1 or 0.",
        flag(info.persistence.append_ok),
    );
    all.gauge(
        "shelflife_server_snapshot_ok",
        "Whether the server's last snapshot went well: 1 or 0.",
        flag(info.persistence.snapshot_ok),
    );
    all.gauge(
        "shelflife_log_entries",
        "Entries of the namespace's log.",
        number(info.log),
    );
    all.gauge(
        "shelflife_log_behind",
        "Of those, how many this process has not applied yet; counted up to 512.",
        number(info.log_behind),
    );
}
