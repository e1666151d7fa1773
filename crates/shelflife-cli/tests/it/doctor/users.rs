//! Who may do what, on every server that may be asked: users, passwords, replicas.

use super::*;

/// A server that has a replica.
fn with_replica() -> (RedisServer, RedisServer) {
    let server = well_with(&["--repl-diskless-sync-delay", "0"]);
    fill(&server.url(), 10);
    let replica = replica_of(&server);
    until("the replica has come", || online(&server) == 1);
    (server, replica)
}

fn replica_of(server: &RedisServer) -> RedisServer {
    let port = server.port().to_string();
    well_with(&["--replicaof", &format!("127.0.0.1 {port}")])
}

/// How many replicas have their copy.
fn online(server: &RedisServer) -> usize {
    let said = server.cli(&["INFO", "replication"]);
    said.matches("state=online").count()
}

#[test]
fn replicas_without_a_rule_for_a_split_are_told() {
    let (server, replica) = with_replica();
    let url = server.url();
    // With one alone the rule has a price of its own: it is told, and nothing is set.
    let found = findings(&url, &[]);
    let alone = find(&found, "split_brain");
    assert_eq!(alone["severity"], "info", "{alone}");
    mend(alone);
    let rule = server.cli(&["CONFIG", "GET", "min-replicas-to-write"]);
    assert_eq!(rule, "min-replicas-to-write\n0");
    let second = replica_of(&server);
    until("the second has come", || online(&server) == 2);
    replica.cli(&["CONFIG", "SET", "maxmemory", "1gb"]);
    let found = findings(&url, &[]);
    let differs = find(&found, "replicas_differ");
    let told = differs["found"].as_str().unwrap();
    assert!(
        told.contains(&replica.host()) && told.contains("maxmemory"),
        "{told}"
    );
    mend(differs);
    mend(find(&found, "split_brain"));
    until("the primary counts on them", || {
        server
            .cli(&["INFO", "replication"])
            .contains("min_slaves_good_slaves:2")
    });
    settled(&server, &url, &BTreeSet::from(ALWAYS));
    for next in [&replica, &second] {
        let rule = next.cli(&["CONFIG", "GET", "min-replicas-to-write"]);
        assert!(rule.contains('1'), "it may be the next primary: {rule}");
    }
}

#[test]
fn a_user_of_its_own_shuts_out_who_has_no_password_and_not_who_runs_the_server() {
    let server = well_with(&[]);
    let url = server.url();
    fill(&url, 10);
    let found = findings(&url, &[]);
    assert_eq!(
        found.last().unwrap()["check"],
        "open_server",
        "the lines of all others come before: {found:?}"
    );
    let said = mend(find(&found, "open_server"));
    let told = |name: &str| said.lines().find_map(|l| l.strip_prefix(name)).unwrap();
    let own = told("SHELFLIFE_URL=");
    let secret = told("REDISCLI_AUTH=");
    let refused = run(&["doctor", "--redis", &url]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    // It may not ask for those, and says so.
    let unchecked = BTreeSet::from(["hot_keys", "settings", "slow_commands"]);
    let found = settled_by(&unchecked, || findings(own, &[]));
    assert!(
        found.iter().all(|it| it["severity"] == "unchecked"),
        "{found:?}"
    );
    // And it may do all that there is to do.
    let done = run(&["invalidate", "--all", "--redis", own]);
    assert!(done.status.success(), "{done:?}");
    // Who runs the server still may change users and settings.
    let mut connection = server.connect().unwrap();
    for words in [
        &["AUTH", "default", secret][..],
        &["ACL", "SETUSER", "another", "on"],
        &["CONFIG", "SET", "maxmemory", "100mb"],
    ] {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        assert_eq!(connection.command(&words).unwrap().to_string(), "OK");
    }
}

#[test]
fn a_right_that_is_missing_is_named_and_what_may_not_be_asked_too() {
    let server = well_with(&[]);
    fill(&server.url(), 10);
    let all = findings(&server.url(), &[]);
    let rules = find(&all, "rights_excess")["mend"][1]
        .as_str()
        .unwrap()
        .to_owned();
    let (_, rules) = rules.split_once("resetchannels").unwrap();
    let rules: Vec<String> = rules
        .split_whitespace()
        .map(|r| r.trim_matches('\'').to_owned())
        .collect();
    let url = format!("redis://ada:secret@127.0.0.1:{}", server.port());
    for (left_out, lacks) in [
        ("+xadd", "+xadd"),
        ("~sl1:{default}:log", "~sl1:{default}:log"),
    ] {
        let rules = rules
            .iter()
            .map(String::as_str)
            .filter(|rule| *rule != left_out);
        let words: Vec<&str> = ["ACL", "SETUSER", "ada", "reset", "on", ">secret"]
            .into_iter()
            .chain(rules)
            .collect();
        server.cli(&words);
        let found = findings(&url, &[]);
        let missing = find(&found, "rights_missing");
        assert!(
            missing["found"]
                .as_str()
                .unwrap()
                .ends_with(&format!("lacks {lacks}")),
            "{missing}"
        );
        mend(missing);
        let expected = BTreeSet::from(["hot_keys", "open_server", "settings", "slow_commands"]);
        let rest = settled_by(&expected, || {
            findings(&url, &["--ignore", "log", "--ignore", "members"])
        });
        for check in ["settings", "slow_commands"] {
            let it = find(&rest, check);
            assert!(
                it["consequence"].as_str().unwrap().contains("permissions"),
                "{it}"
            );
            mend(it);
        }
        settled(&server, &url, &BTreeSet::from(["hot_keys", "open_server"]));
    }
    // Who may do anything by another name is told so, and the lines take it away.
    server.cli(&[
        "ACL", "SETUSER", "ada", "reset", "on", ">secret", "~*", "+@all",
    ]);
    let found = findings(&url, &[]);
    mend(find(&found, "rights_excess"));
    // And leave it the rest.
    settled(&server, &url, &BTreeSet::from(["hot_keys", "open_server"]));
}

#[test]
fn no_rights_at_all_are_told_and_not_passed_over() {
    let server = well_with(&[]);
    fill(&server.url(), 10);
    server.cli(&[
        "ACL", "SETUSER", "guest", "on", ">secret", "+ping", "+info", "+time",
    ]);
    let url = format!("redis://guest:secret@127.0.0.1:{}", server.port());
    let found = findings(&url, &[]);
    let unchecked: BTreeSet<&str> = found
        .iter()
        .filter(|it| it["severity"] == "unchecked")
        .map(|it| it["check"].as_str().unwrap())
        .collect();
    assert_eq!(
        unchecked,
        BTreeSet::from([
            "settings",
            "rights",
            "slow_commands",
            "log",
            "members",
            "stored"
        ])
    );
    let output = run(&[
        "doctor",
        "--redis",
        &url,
        "--fail-on",
        "unchecked",
        "--ignore",
        "open_server",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("to be mended: settings"),
        "{output:?}"
    );
}

#[test]
fn what_is_mended_for_one_namespace_leaves_that_of_another_alone() {
    let server = well_with(&[]);
    let url = server.url();
    let mut users = Vec::new();
    for namespace in ["first", "second"] {
        fill_in(&url, namespace, 10);
        let found = findings(&url, &["--namespace", namespace]);
        let said = mend(find(&found, "rights_excess"));
        let own = said.lines().find_map(|l| l.strip_prefix("SHELFLIFE_URL="));
        users.push((namespace, own.unwrap().to_owned()));
    }
    for (namespace, own) in users {
        let words = ["invalidate", "--all", "--namespace", namespace];
        let done = run(&[&words[..], &["--redis", &own]].concat());
        assert!(done.status.success(), "{namespace}: {done:?}");
    }
}

/// A connection of somebody.
fn login(server: &RedisServer, user: &str, password: &str) -> shelflife_testkit::Connection {
    let mut connection = server.connect().unwrap();
    let words = ["AUTH", user, password];
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    assert_eq!(connection.command(&words).unwrap().to_string(), "OK");
    connection
}

#[test]
fn a_replica_finds_its_primary_again_when_nobody_is_let_in_without_a_password() {
    let (server, replica) = with_replica();
    let url = server.url();
    let said = mend(find(&findings(&url, &[]), "open_server"));
    let told = |name: &str| said.lines().find_map(|l| l.strip_prefix(name)).unwrap();
    let secret = told("REDISCLI_AUTH=");
    let ask = |words: &[&[u8]]| {
        let mut connection = login(&server, "default", secret);
        connection.command(words).unwrap().to_string()
    };
    let list: [&[u8]; 4] = [b"CLIENT", b"LIST", b"TYPE", b"replica"];
    let id = |list: &str| list.split(' ').next().unwrap_or_default().to_owned();
    let before = id(&ask(&list));
    assert_eq!(ask(&[b"CLIENT", b"KILL", b"TYPE", b"replica"]), "1");
    until("the replica has come again", || {
        let now = id(&ask(&list));
        now.starts_with("id=")
            && now != before
            && ask(&[b"INFO", b"replication"]).contains("state=online")
    });
    // And after a failover applications find their user.
    let own = told("SHELFLIFE_URL=");
    let (_, own) = own.split_once("://shelflife:").unwrap();
    login(&replica, "shelflife", own.split('@').next().unwrap());
}
