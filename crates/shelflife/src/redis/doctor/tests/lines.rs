//! The lines that mend a finding: what they do, in which order, and what they leave alone.

use super::*;

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
        !told.contains("not *") && told.contains("that are in this database"),
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
fn a_limit_that_may_be_too_much_comes_with_a_caution() {
    // compose.production.yaml: 256 MiB in a container of 512, on a machine of 16 GiB.
    let mut facts = well();
    info(&mut facts, "used_memory", "268000000");
    info(&mut facts, "used_memory_rss", "280000000");
    let told = lines(&facts, "memory_full");
    assert!(
        told.starts_with("# only if") && told.contains("container"),
        "{told}"
    );
    // Nobody told how much there is.
    facts.info.remove("total_system_memory");
    let told = lines(&facts, "memory_full");
    assert!(told.lines().all(|line| line.starts_with('#')), "{told}");
    // It may never have been touched; and what is beyond a limit is evicted at once.
    info(&mut facts, "used_memory_rss", "100000000");
    let told = lines(&facts, "swapped");
    assert!(told.lines().all(|line| line.starts_with('#')), "{told}");
    assert!(told.contains("/proc/77/status"), "{told}");
}

#[test]
fn what_is_on_the_disk_goes_after_the_setting_that_writes_it() {
    let mut facts = well();
    config(&mut facts, "save", "3600 1");
    let told = lines(&facts, "snapshots");
    let at = |part: &str| told.find(part).unwrap_or_else(|| panic!("{part}: {told}"));
    let order = [
        at("CONFIG SET save ''"),
        at("CONFIG REWRITE"),
        at("in_progress:1"),
        at(
            " && test \"$(readlink /proc/77/cwd)\" = /var/lib/redis && rm -f /var/lib/redis/dump.rdb",
        ),
    ];
    assert!(order.is_sorted(), "{told}");
    info(&mut facts, "aof_enabled", "1");
    let told = lines(&facts, "append_only");
    let files = "rm -f /var/lib/redis/appendonlydir/appendonly.aof.* /var/lib/redis/dump.rdb";
    assert!(told.ends_with(files), "an old snapshot, too: {told}");
    // Elsewhere, or where it does not tell: for a person.
    far(&mut facts);
    for check in ["snapshots", "append_only"] {
        assert!(
            !lines(&facts, check).contains("&& rm "),
            "no file of this machine"
        );
        assert!(lines(&facts, check).contains(": rm -f /var"), "of that one");
    }
    facts.place = Place::default();
    for dir in ["", "relative", "/x\nrm -rf", "/var/lib/redis"] {
        config(&mut facts, "dir", dir);
        config(&mut facts, "dbfilename", "../etc/passwd");
        let told = lines(&facts, "snapshots");
        assert!(
            !told.contains("rm -f") && told.contains("# then remove"),
            "{told}"
        );
    }
    // Without a file there is nothing to rewrite.
    info(&mut facts, "config_file", "");
    let told = lines(&facts, "snapshots");
    assert!(
        !told.contains("REWRITE") && told.contains("started with --save ''"),
        "{told}"
    );
}

#[test]
fn lines_of_a_primary_are_for_its_replicas_too() {
    let mut facts = well();
    replica(&mut facts);
    config(&mut facts, "timeout", "30");
    let told = lines(&facts, "idle_timeout");
    assert_eq!(
        told,
        "redis-cli -h 127.0.0.1 -p 6379 CONFIG SET timeout 0\nredis-cli -h 10.0.0.2 -p 6380 CONFIG SET timeout 0"
    );
    facts.rights.as_mut().unwrap().missing.push("xadd");
    assert_eq!(
        lines(&facts, "rights_missing")
            .matches("ACL SETUSER")
            .count(),
        2
    );
    facts.open = Ok(true);
    let told = lines(&facts, "open_server");
    let at = |part: &str| told.find(part).unwrap_or_else(|| panic!("{part}: {told}"));
    let last = |part: &str| told.rfind(part).unwrap();
    assert!(
        last("SETUSER shelflife") < at("masterauth") && last("masterauth") < at("SETUSER default"),
        "{told}"
    );
    assert_eq!(
        told.matches("-p 6380").count(),
        4,
        "user, masteruser, masterauth, password: {told}"
    );
    // Who sentinels ask as is not known here.
    facts.place.given = crate::redis::address::Given::of("redis+sentinel://h1,h2/shop");
    let told = lines(&facts, "open_server");
    assert!(
        !told.contains("\nredis-cli -h 127.0.0.1 -p 6379 ACL SETUSER default"),
        "{told}"
    );
    assert!(told.contains("auth-pass"), "{told}");
}

#[test]
fn a_user_that_another_namespace_has_keeps_what_it_has() {
    let mut facts = well();
    facts.open = Ok(true);
    let blog = Space {
        stored: 1,
        ..Space::default()
    };
    survey(&mut facts).spaces.insert("blog".to_owned(), blog);
    let told = lines(&facts, "open_server");
    assert!(
        !told.contains("resetkeys") && !told.contains("-@all"),
        "{told}"
    );
    assert!(
        told.contains("'~sl1:{shop}:clock'") && told.contains("'~sl1:{blog}:clock'"),
        "{told}"
    );
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
    let found = told(&facts);
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

#[test]
fn where_there_is_one_replica_no_line_ends_all_writes() {
    let mut facts = well();
    replica(&mut facts);
    config(&mut facts, "min-replicas-to-write", "0");
    for (of_a_cluster, until) in [
        (false, "without a bound in time"),
        (true, "for cluster-node-timeout"),
    ] {
        facts.place.of_a_cluster = of_a_cluster;
        let told = lines(&facts, "split_brain");
        assert!(told.lines().all(|line| line.starts_with('#')), "{told}");
        let found = facts.diagnose();
        let it = found.iter().find(|it| it.check == "split_brain").unwrap();
        assert!(it.consequence.contains(until), "{it:?}");
        assert!(it.consequence.contains("end all writes"), "{it:?}");
    }
    // Two leave one when one of them has become the primary.
    info(&mut facts, "connected_slaves", "2");
    let told = lines(&facts, "split_brain");
    assert!(
        told.contains("CONFIG SET min-replicas-to-write 1"),
        "{told}"
    );
}

#[test]
fn no_node_of_a_cluster_is_left_that_reads_while_it_is_down() {
    let mut facts = well();
    replica(&mut facts);
    facts.place.of_a_cluster = true;
    config(&mut facts, "cluster-allow-reads-when-down", "yes");
    assert_eq!(
        lines(&facts, "reads_when_down"),
        "redis-cli -c -h 127.0.0.1 -p 6379 CONFIG SET cluster-allow-reads-when-down no\n\
         redis-cli -c -h 10.0.0.2 -p 6380 CONFIG SET cluster-allow-reads-when-down no"
    );
}

#[test]
fn what_is_granted_is_all_that_the_question_needs() {
    let mut facts = well();
    facts.place.user = "ada".to_owned();
    facts.slow = Err("NOPERM no permissions".to_owned());
    facts.survey = Err("NOPERM no permissions".to_owned());
    let told = lines(&facts, "slow_commands");
    assert!(
        told.ends_with("ACL SETUSER ada +time '+slowlog|get'"),
        "how long ago is by the server's time: {told}"
    );
    let told = lines(&facts, "stored");
    assert!(
        told.ends_with("+get +getrange +mget"),
        "the tags of entries, too: {told}"
    );
}
