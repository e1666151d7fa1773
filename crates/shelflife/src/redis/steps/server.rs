//! What the server says of itself: `INFO`, read field by field. What a server leaves out, or says otherwise
//! than is known, is left out here.

use std::str::FromStr;

use redis::Value;

use super::RedisStore;
use super::run_id;
use super::tally::counted;
use crate::epoch::Epoch;
use crate::redis::link::At;
use crate::server::{Persistence, ServerInfo};
use crate::store::StoreResult;

impl RedisStore {
    /// How the server is, and how far this process is behind its log.
    pub(crate) async fn server(&self, applied: Option<Epoch>) -> StoreResult<ServerInfo> {
        let mut info = self.server_says().await?;
        info.address = Some(self.shown().to_owned());
        let len = redis::cmd("XLEN").arg(&self.names.log).take();
        if let Value::Int(entries) = self.link.call(At::Control, &len).await? {
            info.log = u64::try_from(entries).ok();
        }
        if let Some(applied) = applied {
            let behind = self.logged(applied.tick, u64::MAX).await?;
            info.log_behind = Some(behind.len() as u64);
        }
        Ok(info)
    }
}

impl RedisStore {
    /// What the server says of itself; of a cluster, all of its primaries together.
    pub(super) async fn server_says(&self) -> StoreResult<ServerInfo> {
        let texts = self.infos().await?;
        let life = |text: &str| run_id(text).unwrap_or_default().to_owned();
        let all: Vec<_> = texts.iter().map(|text| (life(text), parse(text))).collect();
        let sums = self.link.is_apart().then(|| {
            let tally = self.tally.lock();
            tally
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .add(&all)
        });
        let mut each = all.into_iter().map(|(_, info)| info);
        let first = each.next().unwrap_or_default();
        let whole = each.fold(first, together);
        Ok(match sums {
            Some(sums) => counted(whole, sums),
            None => whole,
        })
    }
}

/// Of two servers that serve as one: sums, and of what is no sum the worse. What names a server, as its version,
/// is the first's. What only grows is [`Tally`](super::tally::Tally)'s: sums of it would fall at a failover.
fn together(one: ServerInfo, other: ServerInfo) -> ServerInfo {
    let most = |a: Option<u64>, b: Option<u64>| a.max(b);
    ServerInfo {
        nodes: one.nodes + other.nodes,
        role: match one.role.as_deref() {
            None | Some("master") => other.role.or(one.role),
            // It was asked as a primary, and is none.
            Some(_) => one.role,
        },
        uptime: known(one.uptime, other.uptime, u64::min),
        used_memory: sum(one.used_memory, other.used_memory),
        max_memory: sum(one.max_memory, other.max_memory),
        fullness: known(one.fullness, other.fullness, f64::max),
        eviction_policy: match other.eviction_policy.as_deref() {
            // One that makes no room is enough: what goes to it has no other place.
            Some("noeviction") => other.eviction_policy,
            _ => one.eviction_policy.or(other.eviction_policy),
        },
        fragmentation: known(one.fragmentation, other.fragmentation, f64::max),
        evicted_keys: sum(one.evicted_keys, other.evicted_keys),
        expired_keys: sum(one.expired_keys, other.expired_keys),
        keyspace_hits: sum(one.keyspace_hits, other.keyspace_hits),
        keyspace_misses: sum(one.keyspace_misses, other.keyspace_misses),
        clients: sum(one.clients, other.clients),
        max_clients: sum(one.max_clients, other.max_clients),
        rejected_clients: sum(one.rejected_clients, other.rejected_clients),
        commands: sum(one.commands, other.commands),
        commands_per_second: sum(one.commands_per_second, other.commands_per_second),
        replicas: sum(one.replicas, other.replicas),
        replica_lag: most(one.replica_lag, other.replica_lag),
        persistence: kept(one.persistence, other.persistence),
        ..one
    }
}

/// How two servers keep what they have: one that fails, or that is reading, is enough to say so.
fn kept(one: Persistence, other: Persistence) -> Persistence {
    let all = |a: bool, b: bool| a && b;
    let any = |a: bool, b: bool| a || b;
    Persistence {
        append_only: known(one.append_only, other.append_only, any),
        append_ok: known(one.append_ok, other.append_ok, all),
        snapshot_ok: known(one.snapshot_ok, other.snapshot_ok, all),
        snapshot_at: known(one.snapshot_at, other.snapshot_at, u64::min),
        unsaved_changes: sum(one.unsaved_changes, other.unsaved_changes),
        loading: known(one.loading, other.loading, any),
    }
}

/// A sum is known when both of its parts are.
fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one? + other?)
}

/// Of two that may be unknown, what is known.
fn known<T>(one: Option<T>, other: Option<T>, both: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(both(one, other)),
        (one, other) => one.or(other),
    }
}

/// The text of `INFO`.
struct Info<'a>(&'a str);

impl<'a> Info<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
        self.0.lines().find_map(value).map(str::trim)
    }

    fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    fn is(&self, name: &str, word: &str) -> Option<bool> {
        self.text(name).map(|text| text == word)
    }

    /// `slave0:ip=…,port=…,state=online,offset=1234,lag=0`: how far the last of them is behind, in bytes.
    fn replica_lag(&self) -> Option<u64> {
        let end: u64 = self.number("master_repl_offset")?;
        let replica = |line: &str| {
            let (number, fields) = line.strip_prefix("slave")?.split_once(':')?;
            number.parse::<u32>().ok()?;
            let offset = fields
                .split(',')
                .find_map(|field| field.trim().strip_prefix("offset="))?;
            Some(end.saturating_sub(offset.parse().ok()?))
        };
        self.0.lines().filter_map(replica).max()
    }
}

fn parse(text: &str) -> ServerInfo {
    let info = Info(text);
    let valkey = info.text("valkey_version");
    let used_memory = info.number("used_memory");
    let max_memory = info.number("maxmemory").filter(|most| *most > 0);
    let fullness = |used: u64, most: u64| used as f64 / most as f64;
    ServerInfo {
        nodes: 1,
        product: if valkey.is_some() { "valkey" } else { "redis" },
        address: None,
        version: valkey.or(info.text("redis_version")).map(str::to_owned),
        mode: info.owned("redis_mode").or(info.owned("server_mode")),
        role: info.owned("role"),
        uptime: info.number("uptime_in_seconds"),
        used_memory,
        max_memory,
        fullness: used_memory.zip(max_memory).map(|(u, m)| fullness(u, m)),
        eviction_policy: info.owned("maxmemory_policy"),
        fragmentation: info
            .number("mem_fragmentation_ratio")
            .filter(|ratio: &f64| ratio.is_finite()),
        evicted_keys: info.number("evicted_keys"),
        expired_keys: info.number("expired_keys"),
        keyspace_hits: info.number("keyspace_hits"),
        keyspace_misses: info.number("keyspace_misses"),
        clients: info.number("connected_clients"),
        max_clients: info.number("maxclients"),
        rejected_clients: info.number("rejected_connections"),
        commands: info.number("total_commands_processed"),
        commands_per_second: info.number("instantaneous_ops_per_sec"),
        replicas: info.number("connected_slaves"),
        replica_lag: info.replica_lag(),
        persistence: Persistence {
            append_only: info.is("aof_enabled", "1"),
            append_ok: info.is("aof_last_write_status", "ok"),
            snapshot_ok: info.is("rdb_last_bgsave_status", "ok"),
            snapshot_at: info.number("rdb_last_save_time"),
            unsaved_changes: info.number("rdb_changes_since_last_save"),
            loading: info.is("loading", "1"),
        },
        log: None,
        log_behind: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_among_others_whose_names_begin_alike() {
        let text = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n# Memory\r\n\
            used_memory_human:1M\r\nused_memory:1048576\r\nmaxmemory:2097152\r\nmaxmemory_policy:volatile-lfu\r\n\
            mem_fragmentation_ratio:1.25\r\n# Persistence\r\naof_enabled:1\r\naof_last_write_status:err\r\n\
            rdb_last_bgsave_status:ok\r\n# Stats\r\nkeyspace_hits:30\r\nkeyspace_misses:10\r\n";
        let info = parse(text);
        assert_eq!(
            (info.product, info.version.as_deref()),
            ("redis", Some("7.0.15"))
        );
        assert_eq!(info.used_memory, Some(1 << 20));
        assert_eq!(info.memory_ratio(), Some(0.5));
        assert_eq!(info.hit_ratio(), Some(0.75));
        assert_eq!(info.fragmentation, Some(1.25));
        let persistence = info.persistence;
        assert_eq!(
            (
                persistence.append_only,
                persistence.append_ok,
                persistence.snapshot_ok
            ),
            (Some(true), Some(false), Some(true))
        );
        assert_eq!(info.clients, None, "not told");
    }

    #[test]
    fn primaries_of_a_cluster_are_told_together() {
        let one = parse(
            "used_memory:10\nmaxmemory:100\nkeyspace_hits:1\nmem_fragmentation_ratio:1.5\nrole:master",
        );
        let other = parse(
            "used_memory:5\nmaxmemory:0\nkeyspace_hits:2\nmem_fragmentation_ratio:1.2\nconnected_slaves:1",
        );
        let both = together(one, other);
        assert_eq!(
            (both.nodes, both.used_memory, both.keyspace_hits),
            (2, Some(15), Some(3))
        );
        assert_eq!(
            (both.max_memory, both.fragmentation),
            (None, Some(1.5)),
            "one has no limit"
        );
        assert_eq!(both.memory_ratio(), Some(0.1), "of the one that has");
        assert_eq!(
            (both.replicas, both.role.as_deref()),
            (None, Some("master"))
        );
    }

    #[test]
    fn one_primary_that_is_full_is_enough_to_say_so() {
        let full = "used_memory:100\nmaxmemory:100\nmaxmemory_policy:noeviction";
        let empty = "used_memory:1\nmaxmemory:100\nmaxmemory_policy:volatile-lru";
        for all in [[full, empty, empty], [empty, empty, full]] {
            let all = all.into_iter().map(parse).reduce(together).unwrap();
            assert_eq!(all.memory_ratio(), Some(1.0));
            assert_eq!(all.eviction_policy.as_deref(), Some("noeviction"));
            assert_eq!((all.used_memory, all.max_memory), (Some(102), Some(300)));
        }
    }

    #[test]
    fn one_primary_that_cannot_keep_what_it_has_is_enough_to_say_so() {
        let good = "role:master\nuptime_in_seconds:900\naof_enabled:0\naof_last_write_status:ok\n\
            rdb_last_bgsave_status:ok\nrdb_last_save_time:2000\nrdb_changes_since_last_save:1\nloading:0";
        let bad = "role:slave\nuptime_in_seconds:30\naof_enabled:1\naof_last_write_status:err\n\
            rdb_last_bgsave_status:err\nrdb_last_save_time:1000\nrdb_changes_since_last_save:5\nloading:1";
        let worse = Persistence {
            append_only: Some(true),
            append_ok: Some(false),
            snapshot_ok: Some(false),
            snapshot_at: Some(1000),
            unsaved_changes: Some(6),
            loading: Some(true),
        };
        for (one, other) in [(good, bad), (bad, good)] {
            let both = together(parse(one), parse(other));
            assert_eq!(both.persistence, worse, "{one}");
            assert_eq!(
                (both.uptime, both.role.as_deref()),
                (Some(30), Some("slave")),
                "{one}"
            );
        }
        // What only one of them says is known; a sum of it is not.
        for (one, other) in [("", bad), (bad, "")] {
            let both = together(parse(one), parse(other));
            let unsaved_changes = None;
            let expected = Persistence {
                unsaved_changes,
                ..worse
            };
            assert_eq!((both.persistence, both.uptime), (expected, Some(30)));
        }
    }

    #[test]
    fn the_replica_that_is_most_behind_counts() {
        let text = "connected_slaves:2\r\nslave0:ip=a,port=1,state=online,offset=900,lag=0\r\n\
            slave1:ip=b,port=2,state=online,offset=400,lag=1\r\nslave_read_only:1\r\nmaster_repl_offset:1000\r\n";
        let info = parse(text);
        assert_eq!((info.replicas, info.replica_lag), (Some(2), Some(600)));
    }

    #[test]
    fn nonsense_and_no_limit_are_left_out() {
        let info = parse(
            "maxmemory:0\r\nused_memory:lots\r\nmem_fragmentation_ratio:-nan\r\nvalkey_version:8.0.1\r\n",
        );
        assert_eq!(
            (info.max_memory, info.used_memory, info.fragmentation),
            (None, None, None)
        );
        assert_eq!(
            (info.product, info.version.as_deref()),
            ("valkey", Some("8.0.1"))
        );
        assert_eq!(
            parse(""),
            ServerInfo {
                product: "redis",
                nodes: 1,
                ..ServerInfo::default()
            }
        );
    }
}
