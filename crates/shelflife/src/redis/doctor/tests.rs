//! Each rule with what it must say something about, and with what it must not.

mod lines;
mod rights;

use std::collections::BTreeSet;

use super::facts::{Heard, Space};
use super::*;
use crate::store::Member;

/// A server that is as it should be, with two processes.
fn well() -> Facts {
    let text = |pairs: &[(&str, &str)]| {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    };
    let mut survey = Survey {
        complete: true,
        entries: 10,
        tags: 20,
        ..Survey::default()
    };
    survey.spaces.insert("shop".to_owned(), Space::default());
    Facts {
        place: Place::default(),
        namespace: "shop".to_owned(),
        patience: std::time::Duration::from_millis(500),
        info: text(&[
            ("redis_version", "7.4.2"),
            ("config_file", "/etc/redis/redis.conf"),
            ("role", "master"),
            ("total_system_memory", "17179869184"),
            ("process_id", "77"),
            ("maxmemory", "268435456"),
            ("maxmemory_policy", "volatile-lru"),
            ("used_memory", "104857600"),
            ("used_memory_rss", "110000000"),
            ("aof_enabled", "0"),
            ("rdb_last_bgsave_status", "ok"),
            ("connected_slaves", "0"),
            ("connected_clients", "9"),
            ("maxclients", "2000"),
            ("rejected_connections", "0"),
            ("db0", "keys=40,expires=37,avg_ttl=1"),
        ]),
        config: Ok(text(&[
            ("appenddirname", "appendonlydir"),
            ("appendfilename", "appendonly.aof"),
            (
                "client-output-buffer-limit",
                "normal 67108864 16777216 30 slave 0 0 0 pubsub 0 0 0",
            ),
            ("cluster-allow-reads-when-down", "no"),
            ("dbfilename", "dump.rdb"),
            ("dir", "/var/lib/redis"),
            ("maxmemory-clients", "25%"),
            ("rdb-del-sync-files", "yes"),
            ("disable-thp", "yes"),
            ("lazyfree-lazy-eviction", "yes"),
            ("lazyfree-lazy-expire", "yes"),
            ("min-replicas-to-write", "0"),
            ("min-replicas-max-lag", "10"),
            ("notify-keyspace-events", ""),
            ("protected-mode", "yes"),
            ("bind", "* -::*"),
            ("save", ""),
            ("stop-writes-on-bgsave-error", "yes"),
            ("tcp-keepalive", "60"),
            ("timeout", "0"),
            ("tls-port", "0"),
        ])),
        open: Ok(false),
        rights: Ok(Rights {
            needed: vec!["get"],
            ..Rights::default()
        }),
        pings: vec![100; 300],
        ahead_ms: Some(3),
        slow: Ok(Vec::new()),
        log: Ok(16_400),
        members: Ok(vec![member("1-a@1000", 19_900), member("2-b@1000", 19_950)]),
        now: 20_000,
        survey: Ok(survey),
        heard: None,
        replicas_say: Vec::new(),
        others: Vec::new(),
        unasked: Vec::new(),
    }
}

/// What there is to be told, but for what no server with the right policy counts.
fn told(facts: &Facts) -> Vec<Diagnosis> {
    let counted = |it: &Diagnosis| it.check != "hot_keys" || it.severity != Severity::Unchecked;
    facts.diagnose().into_iter().filter(counted).collect()
}

/// The lines that mend a finding.
fn lines(facts: &Facts, check: &str) -> String {
    let found = facts.diagnose();
    let it = found.iter().find(|it| it.check == check);
    it.unwrap_or_else(|| panic!("{check} among {found:?}"))
        .mend
        .join("\n")
}

fn member(name: &str, beat: u64) -> Member {
    Member {
        name: name.to_owned(),
        window: std::time::Duration::from_secs(1),
        applied: Some(1),
        beat,
    }
}

fn info(facts: &mut Facts, name: &str, value: &str) {
    facts.info.insert(name.to_owned(), value.to_owned());
}

fn config(facts: &mut Facts, name: &str, value: &str) {
    if let Ok(config) = &mut facts.config {
        config.insert(name.to_owned(), value.to_owned());
    }
}

fn survey(facts: &mut Facts) -> &mut Survey {
    facts.survey.as_mut().unwrap()
}

fn far(facts: &mut Facts) {
    facts.place.address = redis::ConnectionAddr::Tcp("redis.internal".to_owned(), 6379);
}

/// One replica, which counts.
fn replica(facts: &mut Facts) {
    info(facts, "connected_slaves", "1");
    info(
        facts,
        "slave0",
        "ip=10.0.0.2,port=6380,state=online,offset=1,lag=0",
    );
    info(facts, "min_slaves_good_slaves", "1");
    config(facts, "min-replicas-to-write", "1");
}

fn slow(facts: &mut Facts, took_ms: u64, ago_s: u64) {
    facts.slow = Ok(vec![Slow {
        ago_s,
        took_us: took_ms * 1000,
        command: "KEYS".to_owned(),
    }]);
}

#[test]
fn of_a_server_that_is_well_there_is_nothing_to_say() {
    assert_eq!(told(&well()), []);
    let uncounted = well().diagnose();
    assert_eq!((uncounted.len(), uncounted[0].check), (1, "hot_keys"));
    let mut asked = well();
    asked.heard = Some(Heard::default());
    assert_eq!(asked.diagnose(), []);
    asked.heard = Some(Heard {
        namespace: Some(asked.namespace.clone()),
        ..Heard::default()
    });
    assert_eq!(asked.diagnose(), []);
}

#[test]
fn each_thing_is_told_when_it_is_the_case_and_only_then() {
    use Severity::{Error, Info, Unchecked, Warning};
    type Change = fn(&mut Facts);
    let cases: &[(&str, Severity, Change)] = &[
        ("version", Error, |f| info(f, "redis_version", "6.2.14")),
        ("version", Info, |f| info(f, "redis_version", "7.0.15")),
        ("version", Error, |f| info(f, "valkey_version", "7.1.0")),
        ("maxmemory", Warning, |f| info(f, "maxmemory", "0")),
        ("eviction_policy", Warning, |f| {
            info(f, "maxmemory_policy", "noeviction")
        }),
        ("eviction_policy", Warning, |f| {
            info(f, "maxmemory_policy", "allkeys-lru")
        }),
        ("eviction_policy", Info, |f| {
            info(f, "maxmemory_policy", "volatile-ttl")
        }),
        ("eviction_policy", Info, |f| {
            info(f, "maxmemory_policy", "volatile-random")
        }),
        ("memory_full", Info, |f| {
            info(f, "used_memory", "260000000");
            info(f, "used_memory_rss", "270000000");
        }),
        ("fragmentation", Warning, |f| {
            info(f, "used_memory_rss", "200000000")
        }),
        ("swapped", Error, |f| info(f, "used_memory_rss", "50000000")),
        ("huge_pages", Info, |f| config(f, "disable-thp", "no")),
        ("lazy_free", Info, |f| {
            config(f, "lazyfree-lazy-expire", "no")
        }),
        ("client_buffers", Warning, |f| {
            config(f, "client-output-buffer-limit", "normal 0 0 0");
            config(f, "maxmemory-clients", "0");
        }),
        ("client_buffers", Info, |f| {
            config(f, "client-output-buffer-limit", "normal 268435456 0 0");
            config(f, "maxmemory-clients", "0");
        }),
        ("sync_files", Warning, |f| {
            config(f, "rdb-del-sync-files", "no");
            replica(f);
        }),
        ("snapshots", Warning, |f| config(f, "save", "3600 1")),
        ("append_only", Warning, |f| info(f, "aof_enabled", "1")),
        ("replicas_differ", Warning, |f| {
            replica(f);
            let mut other = Replica::default();
            other.info.insert("maxmemory".to_owned(), "0".to_owned());
            f.replicas_say.push(("10.0.0.2:6380".to_owned(), Ok(other)));
        }),
        ("replicas", Unchecked, |f| {
            f.replicas_say
                .push(("10.0.0.2:6380".to_owned(), Err("no way there".to_owned())));
        }),
        ("split_brain", Info, |f| info(f, "connected_slaves", "1")),
        ("split_brain", Warning, |f| info(f, "connected_slaves", "2")),
        ("reads_when_down", Warning, |f| {
            f.place.of_a_cluster = true;
            config(f, "cluster-allow-reads-when-down", "yes");
        }),
        ("replicas_differ", Warning, |f| {
            replica(f);
            f.place.of_a_cluster = true;
            let mut other = Replica::default();
            let parameter = "cluster-allow-reads-when-down".to_owned();
            other.config.insert(parameter, "yes".to_owned());
            f.replicas_say.push(("10.0.0.2:6380".to_owned(), Ok(other)));
        }),
        ("too_few_replicas", Error, |f| {
            config(f, "min-replicas-to-write", "1");
            info(f, "min_slaves_good_slaves", "0");
        }),
        ("replica_lag", Warning, |f| {
            info(f, "connected_slaves", "1");
            info(f, "min_slaves_good_slaves", "1");
            config(f, "min-replicas-to-write", "1");
            config(f, "min-replicas-max-lag", "600");
        }),
        ("replica_lag", Warning, |f| {
            // It counts no good ones then.
            info(f, "connected_slaves", "1");
            config(f, "min-replicas-to-write", "1");
            config(f, "min-replicas-max-lag", "0");
        }),
        ("rights_missing", Error, |f| {
            f.rights.as_mut().unwrap().missing.push("xadd");
        }),
        ("rights_excess", Info, |f| {
            f.rights.as_mut().unwrap().dangerous.push("flushall");
        }),
        ("open_server", Info, |f| f.open = Ok(true)),
        ("open_server", Error, |f| {
            f.open = Ok(true);
            config(f, "protected-mode", "no");
        }),
        ("open_server", Error, |f| {
            // A server that does not tell counts as one that is.
            f.open = Ok(true);
            f.config.as_mut().unwrap().remove("protected-mode");
        }),
        ("missing_tags", Info, |f| {
            survey(f).tagged = 10;
            survey(f).untagged.add("a");
        }),
        ("missing_tags", Warning, |f| {
            survey(f).tagged = 1;
            survey(f).untagged.add("a");
        }),
        ("dead_entries", Info, |f| survey(f).dead_entries.add("a")),
        ("dead_entries", Warning, |f| {
            survey(f).dead_entries.count = 6;
        }),
        ("encryption", Warning, far),
        ("latency", Warning, |f| f.pings = vec![6_000; 300]),
        ("latency", Error, |f| f.pings = vec![300_000; 300]),
        ("slow_commands", Warning, |f| slow(f, 200, 60)),
        ("slow_commands", Info, |f| slow(f, 20, 60)),
        ("idle_timeout", Warning, |f| config(f, "timeout", "30")),
        ("keepalive", Warning, |f| config(f, "tcp-keepalive", "0")),
        ("clients", Error, |f| info(f, "connected_clients", "1990")),
        ("clients", Warning, |f| info(f, "rejected_connections", "3")),
        ("keyspace_events", Info, |f| {
            config(f, "notify-keyspace-events", "KEA")
        }),
        ("clock_skew", Info, |f| f.ahead_ms = Some(-60_000)),
        ("endless_entries", Warning, |f| {
            survey(f).endless_entries.add("a")
        }),
        ("endless_leases", Warning, |f| {
            survey(f).endless_leases.add("a")
        }),
        ("bad_entries", Warning, |f| survey(f).bad_entries.add("a")),
        ("huge_entries", Warning, |f| survey(f).huge.add("a")),
        ("endless_tags", Warning, |f| survey(f).endless_tags.add("a")),
        ("bad_tags", Warning, |f| survey(f).bad_tags.add("a")),
        ("many_tags", Warning, |f| survey(f).tags = 20_000),
        ("unknown_names", Warning, |f| survey(f).unknown.add("a")),
        ("hot_keys", Info, |f| {
            survey(f).hot.push(Hot {
                count: 255,
                key: "a".to_owned(),
            })
        }),
        ("hot_keys", Info, |f| {
            f.heard = Some(Heard {
                hottest: vec![("a".to_owned(), 0.6), ("b".to_owned(), 0.1)],
                ..Heard::default()
            })
        }),
        ("huge_entries", Warning, |f| {
            f.heard = Some(Heard {
                largest: vec![("a".to_owned(), 2 << 20), ("b".to_owned(), 2000)],
                ..Heard::default()
            })
        }),
        ("other_namespace", Warning, |f| {
            f.heard = Some(Heard {
                namespace: Some("other".to_owned()),
                hottest: vec![("a".to_owned(), 0.6)],
                largest: vec![("a".to_owned(), 2 << 20)],
            })
        }),
        ("other_nodes", Unchecked, |f| {
            f.unasked
                .push(("h:1".to_owned(), "no connection".to_owned()));
        }),
        ("empty_namespace", Info, |f| {
            survey(f).spaces.clear();
        }),
        ("abandoned_namespaces", Info, |f| {
            let mut left = Space::default();
            left.control.push("sl1:{old}:clock".to_owned());
            survey(f).spaces.insert("old".to_owned(), left);
        }),
        ("long_log", Warning, |f| f.log = Ok(40_000)),
        ("silent_members", Info, |f| {
            f.members.as_mut().unwrap()[0].beat = 0
        }),
        ("settings", Unchecked, |f| {
            f.config = Err("NOPERM".to_owned())
        }),
        ("rights", Unchecked, |f| f.rights = Err("NOPERM".to_owned())),
        ("open_server", Unchecked, |f| f.open = Err("TLS".to_owned())),
        ("slow_commands", Unchecked, |f| {
            f.slow = Err("NOPERM".to_owned())
        }),
        ("log", Unchecked, |f| f.log = Err("NOPERM".to_owned())),
        ("members", Unchecked, |f| {
            f.members = Err("NOPERM".to_owned())
        }),
        ("stored", Unchecked, |f| f.survey = Err("NOPERM".to_owned())),
        ("stored", Unchecked, |f| survey(f).complete = false),
    ];
    for (at, (check, severity, change)) in cases.iter().enumerate() {
        let mut facts = well();
        change(&mut facts);
        let found = told(&facts);
        let told: Vec<_> = found.iter().map(|it| (it.check, it.severity)).collect();
        assert_eq!(told, [(*check, *severity)], "case {at}");
        let it = &found[0];
        assert!(!it.consequence.is_empty(), "{it:?}");
        assert!(!it.mend.is_empty(), "every finding says what to do: {it:?}");
    }
    let told = cases.iter().map(|(check, ..)| *check);
    // Never alone: it has a test of its own.
    let told: BTreeSet<_> = told.chain(["writes_refused"]).collect();
    let all: BTreeSet<_> = Diagnosis::CHECKS.iter().copied().collect();
    assert_eq!(
        told, all,
        "each check has its case, and its place in the list"
    );
}

#[test]
fn what_is_just_below_a_threshold_is_not_told() {
    let changes: &[fn(&mut Facts)] = &[
        |f| slow(f, 9, 60),
        |f| slow(f, 500, 48 * 3600),
        |f| f.pings = [vec![100; 297], vec![200_000; 3]].concat(),
        |f| f.ahead_ms = Some(1_500),
        |f| f.log = Ok(32_000),
        |f| f.members.as_mut().unwrap()[0].beat = 11_000,
        |f| survey(f).tags = 9_000,
        |f| {
            survey(f).tags = 50_000;
            survey(f).entries = 5_000;
        },
        |f| {
            survey(f).hot.push(Hot {
                count: 100,
                key: "a".to_owned(),
            })
        },
        // Small servers: the ratios of memory say nothing.
        |f| {
            info(f, "used_memory", "1000000");
            info(f, "used_memory_rss", "9000000");
        },
        |f| {
            far(f);
            f.place.address = redis::ConnectionAddr::TcpTls {
                host: "redis.internal".to_owned(),
                port: 6379,
                insecure: false,
                tls_params: None,
            };
        },
        |f| {
            info(f, "connected_slaves", "1");
            info(f, "min_slaves_good_slaves", "1");
            config(f, "min-replicas-to-write", "1");
        },
        // Without a cluster nobody is down in that way: neither a primary nor its replica.
        |f| config(f, "cluster-allow-reads-when-down", "yes"),
        |f| {
            let mut other = Replica::default();
            let parameter = "cluster-allow-reads-when-down".to_owned();
            other.config.insert(parameter, "yes".to_owned());
            f.replicas_say.push(("10.0.0.2:6380".to_owned(), Ok(other)));
        },
        // A server that does not tell how many good ones it has.
        |f| config(f, "min-replicas-to-write", "1"),
        // Who may not ask what this policy does not count anyway.
        |f| survey(f).hot_denied = Some("NOPERM".to_owned()),
        // Another namespace that is in use: by processes that have stored nothing yet.
        |f| {
            let control = vec![
                "sl1:{b}:clock".to_owned(),
                "sl1:{b}:members:beats".to_owned(),
            ];
            survey(f)
                .spaces
                .insert("b".to_owned(), Space { stored: 0, control });
        },
        // A version that is not known, and one that is newer.
        |f| info(f, "redis_version", "unstable"),
        |f| info(f, "redis_version", "9.1.0"),
        |f| {
            info(f, "redis_version", "7.0.0");
            info(f, "valkey_version", "8.1.0");
        },
        |f| {
            let same = Replica {
                info: f.info.clone(),
                config: f.config.clone().unwrap(),
            };
            f.replicas_say.push(("10.0.0.2:6380".to_owned(), Ok(same)));
        },
        // No client may hold much, but all of them together may.
        |f| config(f, "maxmemory-clients", "0"),
        |f| {
            f.info.remove("maxmemory");
            config(f, "maxmemory-clients", "0");
        },
        // Nobody reads such a file at the start.
        |f| config(f, "rdb-del-sync-files", "no"),
        // Names of somebody else, which begin as ours do.
        |f| {
            survey(f).spaces.insert("b".to_owned(), Space::default());
        },
        // Or by what is stored.
        |f| {
            let used = Space {
                stored: 1,
                control: vec!["sl1:{b}:clock".to_owned()],
            };
            survey(f).spaces.insert("b".to_owned(), used);
        },
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut facts = well();
        change(&mut facts);
        assert_eq!(told(&facts), [], "case {at}");
    }
}

#[test]
fn a_failed_snapshot_that_stops_writes_is_told_beside_the_snapshots() {
    let mut facts = well();
    config(&mut facts, "save", "60 1");
    info(&mut facts, "rdb_last_bgsave_status", "err");
    let told: Vec<_> = told(&facts).iter().map(|it| it.check).collect();
    assert_eq!(told, ["snapshots", "writes_refused"]);
}
