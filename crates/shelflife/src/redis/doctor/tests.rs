//! Each rule with what it must say something about, and with what it must not.

use std::collections::BTreeSet;

use super::facts::Space;
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
            ("redis_version", "7.0.15"),
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
        others: Vec::new(),
        unasked: Vec::new(),
    }
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

fn slow(facts: &mut Facts, took_ms: u64, ago_s: u64) {
    facts.slow = Ok(vec![Slow {
        ago_s,
        took_us: took_ms * 1000,
        command: "KEYS".to_owned(),
    }]);
}

#[test]
fn of_a_server_that_is_well_there_is_nothing_to_say() {
    assert_eq!(well().diagnose(), []);
}

#[test]
fn each_thing_is_told_when_it_is_the_case_and_only_then() {
    use Severity::{Error, Info, Unchecked, Warning};
    type Change = fn(&mut Facts);
    let cases: &[(&str, Severity, Change)] = &[
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
        ("snapshots", Warning, |f| config(f, "save", "3600 1")),
        ("append_only", Warning, |f| info(f, "aof_enabled", "1")),
        ("split_brain", Warning, |f| info(f, "connected_slaves", "1")),
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
        let found = facts.diagnose();
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
        assert_eq!(facts.diagnose(), [], "case {at}");
    }
}

#[test]
fn a_failed_snapshot_that_stops_writes_is_told_beside_the_snapshots() {
    let mut facts = well();
    config(&mut facts, "save", "60 1");
    info(&mut facts, "rdb_last_bgsave_status", "err");
    let told: Vec<_> = facts.diagnose().iter().map(|it| it.check).collect();
    assert_eq!(told, ["snapshots", "writes_refused"]);
}

#[test]
fn rights_are_read_command_by_command_and_kind_by_kind() {
    let names = crate::redis::names::Names::of("shop");
    let checks = Checks::of(&names, &Place::default());
    let commands = checks.commands();
    let all: String = commands.iter().map(|_| 'y').collect();
    let none: String = commands.iter().map(|_| 'n').collect();
    let said = |may: &dyn Fn(&[&str]) -> bool| -> String {
        commands
            .iter()
            .map(|c| if may(c) { 'y' } else { 'n' })
            .collect()
    };
    let everything = checks.read(&all).unwrap();
    assert!(everything.missing.is_empty() && everything.unreachable.is_empty());
    assert!(everything.reaches_others && everything.dangerous.contains(&"flushall"));
    let nothing = checks.read(&none).unwrap();
    assert_eq!(nothing.missing, nothing.needed);
    assert_eq!(nothing.unreachable, nothing.patterns);
    let no_set = checks.read(&said(&|c| c[0] != "SET")).unwrap();
    assert_eq!((no_set.missing, no_set.unreachable.len()), (vec!["set"], 0));
    let no_tags = checks
        .read(&said(&|c| !c.iter().any(|word| word.contains(":t:"))))
        .unwrap();
    assert_eq!(no_tags.unreachable, ["~sl1:{shop}:t:*"]);
    assert!(no_tags.missing.is_empty());
    assert!(checks.read("yyy").is_none() && checks.read("").is_none());
    // Redis 7.0 knows no CLIENT SETINFO.
    let older = checks.read(&format!("?{}", &all[1..])).unwrap();
    assert!(!older.needed.contains(&"client|setinfo") && older.missing.is_empty());
}

#[test]
fn what_is_needed_is_what_the_acl_file_gives() {
    let file = include_str!("../../../../../deploy/redis/users.acl");
    let line = file
        .lines()
        .find(|line| line.starts_with("user shelflife "))
        .unwrap();
    let granted: BTreeSet<_> = line
        .split_whitespace()
        .filter_map(|word| word.trim_start_matches("@cluster@").strip_prefix('+'))
        .collect();
    let node = Place {
        of_a_cluster: true,
        ..Place::default()
    };
    let checks = Checks::of(&crate::redis::names::Names::of("shop"), &node);
    let all: String = checks.commands().iter().map(|_| 'y').collect();
    let rights = checks.read(&all).unwrap();
    let needed: BTreeSet<_> = rights.needed.into_iter().collect();
    assert_eq!(needed, granted);
    for pattern in rights.patterns {
        assert!(
            line.contains(&pattern.replace("shop", "@namespace@")),
            "{pattern}"
        );
    }
}

#[test]
fn another_database_needs_a_right_of_its_own() {
    let place = Place {
        db: 2,
        ..Place::default()
    };
    let checks = Checks::of(&crate::redis::names::Names::of("shop"), &place);
    let may = |words: &Vec<&str>| if words[0] == "SELECT" { 'n' } else { 'y' };
    let said: String = checks.commands().iter().map(may).collect();
    let rights = checks.read(&said).unwrap();
    assert_eq!(rights.missing, ["select"]);
}

#[test]
fn what_is_too_much_is_taken_away_and_nothing_else() {
    let mut facts = well();
    facts.place.user = "ada".to_owned();
    facts.place.has_secret = true;
    facts.rights.as_mut().unwrap().dangerous = vec!["flushall", "keys"];
    let told = lines(&facts, "rights_excess");
    assert!(
        told.ends_with("ACL SETUSER ada -flushall -keys"),
        "select, asking and its keys are its own: {told}"
    );
    facts.rights.as_mut().unwrap().reaches_others = true;
    for name in ["blog", "not * a namespace"] {
        let space = Space {
            stored: 1,
            ..Space::default()
        };
        survey(&mut facts).spaces.insert(name.to_owned(), space);
    }
    let told = lines(&facts, "rights_excess");
    for part in [
        "resetkeys '~sl1:{shop}:clock'",
        "'~sl1:blog:e:*'",
        "-flushall",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(
        !told.contains("not *") && told.contains("that are there"),
        "{told}"
    );
    survey(&mut facts).complete = false;
    let told = lines(&facts, "rights_excess");
    assert!(told.contains("not all names were looked at"), "{told}");
}

#[test]
fn who_may_mend_the_server_is_not_shut_out() {
    let mut facts = well();
    facts.open = Ok(true);
    for has_secret in [false, true] {
        facts.place.has_secret = has_secret;
        let told = lines(&facts, "open_server");
        assert!(
            told.contains("SETUSER default resetpass \">$admin_password\"")
                && !told.contains(" off"),
            "{told}"
        );
    }
    // Nobody knows what a user of its own would need: then nobody is shut out by these lines.
    facts.place.has_secret = false;
    facts.rights = Err("unknown".to_owned());
    let told = lines(&facts, "open_server");
    assert!(told.lines().all(|line| line.starts_with('#')), "{told}");
}

#[test]
fn another_user_comes_by_the_way_that_was_given() {
    let mut facts = well();
    facts.open = Ok(true);
    facts.place.given =
        crate::redis::address::Given::of("redis+sentinel://h1,h2/shop/3?sentinel_password=secret");
    let told = lines(&facts, "open_server");
    let url = "echo SHELFLIFE_URL=redis+sentinel://shelflife:\"$own_password\"@h1,h2/shop/3\n# with sentinel_user";
    assert!(told.contains(url) && !told.contains("secret"), "{told}");
}

#[test]
fn no_limit_is_proposed_that_the_machine_does_not_have() {
    let gib = |n: u64| (n << 30).to_string();
    for (used, machine, limit, part) in [
        (1, 16, "8192mb", "half of the machine"),
        (5, 16, "10240mb", "twice what is used"),
        (7, 16, "12288mb", "half of the machine"),
        (13, 16, "12288mb", "13.0 GiB are used already"),
    ] {
        let mut facts = well();
        info(&mut facts, "maxmemory", "0");
        info(&mut facts, "used_memory", &gib(used));
        info(&mut facts, "used_memory_rss", &gib(used));
        info(&mut facts, "total_system_memory", &gib(machine));
        let told = lines(&facts, "maxmemory");
        assert!(told.ends_with(limit) && told.contains(part), "{told}");
    }
    let mut facts = well();
    for field in ["maxmemory", "used_memory", "used_memory_rss"] {
        info(&mut facts, field, &gib(12));
    }
    info(&mut facts, "total_system_memory", &gib(16));
    let told = lines(&facts, "memory_full");
    assert!(told.starts_with("# the machine has no more"), "{told}");
}

#[test]
fn a_server_elsewhere_is_not_mended_by_files_of_this_machine() {
    let mut facts = well();
    config(&mut facts, "disable-thp", "no");
    assert!(
        lines(&facts, "huge_pages").starts_with('#'),
        "no file is known"
    );
    info(&mut facts, "config_file", "/etc/it's.conf");
    let told = lines(&facts, "huge_pages");
    assert!(
        told.ends_with(r"echo 'disable-thp yes' >> '/etc/it'\''s.conf'"),
        "{told}"
    );
    far(&mut facts);
    let told = lines(&facts, "huge_pages");
    assert!(told.lines().all(|line| line.starts_with('#')), "{told}");
}

#[test]
fn no_more_namespaces_are_removed_than_are_told() {
    let mut facts = well();
    for n in 0..9 {
        let control = vec![format!("sl1:{{old{n}}}:clock")];
        let left = Space { stored: 0, control };
        survey(&mut facts).spaces.insert(format!("old{n}"), left);
    }
    let told = lines(&facts, "abandoned_namespaces");
    assert!(
        told.contains("{old7}") && !told.contains("{old8}") && told.contains("the first 8"),
        "{told}"
    );
}

#[test]
fn each_node_of_a_cluster_has_findings_of_its_own() {
    let node = |shown: &str, policy: &str| {
        let mut node = well();
        node.place.of_a_cluster = true;
        node.place.shown = shown.to_owned();
        info(&mut node, "maxmemory_policy", policy);
        node
    };
    let mut facts = node("h:1", "volatile-lru");
    facts.others = vec![node("h:2", "noeviction"), node("h:3", "volatile-lru")];
    let found = facts.diagnose();
    let told: Vec<_> = found
        .iter()
        .map(|it| (it.check, it.found.as_str()))
        .collect();
    assert_eq!(
        told,
        [("eviction_policy", "h:2: maxmemory-policy is noeviction")]
    );
    assert_eq!(facts.names(), 120, "of all nodes");
}

#[test]
fn where_the_policy_counts_it_is_said_that_the_count_may_not_be_asked_for() {
    let mut facts = well();
    info(&mut facts, "maxmemory_policy", "volatile-lfu");
    survey(&mut facts).hot_denied = Some("NOPERM no permissions".to_owned());
    let found = facts.diagnose();
    let it = found.iter().find(|it| it.check == "hot_keys").unwrap();
    assert_eq!(it.severity, Severity::Unchecked);
    assert!(it.mend[1].contains("'+object|freq'"), "{it:?}");
}
