//! What stands in a namespace: what is in bad order, what is none of its business, and what was not looked at.

use super::*;

#[test]
fn what_is_stored_in_bad_order_is_told_and_mended_by_its_own_lines() {
    type SetUp = fn(&RedisServer);
    let cases: &[(&str, SetUp)] = &[
        ("endless_entries", |s| {
            s.cli(&["PERSIST", "sl1:default:e:users:1"]);
        }),
        ("endless_leases", |s| {
            let lease = [b"SLF\x01".as_slice(), &[0; 124]].concat();
            s.command(&[b"SET", b"sl1:default:e:users:9", &lease]);
        }),
        ("bad_entries", |s| {
            s.cli(&[
                "SET",
                "sl1:default:e:users:1",
                "garbage, and it's quoted",
                "EX",
                "600",
            ]);
            s.cli(&["RPUSH", "sl1:default:e:a list $HOME 'x'", "1"]);
        }),
        ("huge_entries", |s| fill(&s.url(), 2 << 20)),
        ("endless_tags", |s| {
            s.cli(&["PERSIST", "sl1:{default}:t:user:2"]);
        }),
        ("bad_tags", |s| {
            s.cli(&["SET", "sl1:{default}:t:other", "garbage", "EX", "600"]);
            s.cli(&["RPUSH", "sl1:{default}:t:list", "1"]);
        }),
        ("many_tags", |s| {
            let many = "local t = redis.call('GET', 'sl1:{default}:t:user:1') \
                        for i = 1, 10001 do redis.call('SET', 'sl1:{default}:t:r:' .. i, t, 'EX', 600) end";
            s.cli(&["EVAL", many, "0"]);
        }),
        ("unknown_names", |s| {
            s.cli(&["SET", "sl1:{default}:other", "1"]);
            s.cli(&["SET", "sl1:default:x:1", "1"]);
        }),
        ("abandoned_namespaces", |s| {
            s.cli(&["SET", "sl1:{old}:clock", "1"]);
            s.cli(&["XADD", "sl1:{old}:log", "1-0", "i", "1"]);
        }),
        ("long_log", |s| {
            let last = s.cli(&["XREVRANGE", "sl1:{default}:log", "+", "-", "COUNT", "1"]);
            assert!(!last.is_empty());
            let many = "for i = 1, 33000 do redis.call('XADD', KEYS[1], '*', 'i', '1') end";
            s.cli(&["EVAL", many, "1", "sl1:{default}:log"]);
        }),
        ("missing_tags", |s| {
            s.cli(&["DEL", "sl1:{default}:t:user:1"]);
        }),
        ("dead_entries", |s| {
            s.cli(&["DEL", "sl1:{default}:clock"]);
        }),
    ];
    let server = well_with(&["--slowlog-log-slower-than", "-1"]);
    let url = server.url();
    let always = BTreeSet::from(ALWAYS);
    for (check, set_up) in cases {
        server.cli(&["FLUSHALL"]);
        fill(&url, 10);
        set_up(&server);
        let mut expected = always.clone();
        expected.insert(check);
        let found = settled(&server, &url, &expected);
        mend(find(&found, check));
        // Without records of tags there are misses, as the lines say.
        let more: &[&str] = match *check {
            "many_tags" => &["--ignore", "missing_tags"],
            _ => &[],
        };
        settled_by(&always, || {
            server.cli(&["SLOWLOG", "RESET"]);
            findings(&url, more)
        });
    }
}

#[test]
fn names_of_others_that_begin_alike_are_no_namespace() {
    let server = well_with(&["--slowlog-log-slower-than", "-1"]);
    let url = server.url();
    fill(&url, 10);
    let foreign = "for i = 1, 3000 do redis.call('SET', 'sl1:foreign:session:' .. i, 1) \
                   redis.call('SET', 'sl1:{foreign}:session:' .. i, 1) end";
    server.cli(&["EVAL", foreign, "0"]);
    let look = || findings(&url, &["--names", "all"]);
    let found = settled_by(&BTreeSet::from(ALWAYS), look);
    let mut lines = found.iter().flat_map(|it| it["mend"].as_array().unwrap());
    assert!(lines.all(|line| line.as_str().unwrap().len() < 4096));
}

#[test]
fn nobody_is_taken_off_the_list_of_those_who_are_waited_for() {
    let server = well_with(&[]);
    let url = server.url();
    fill(&url, 10);
    for list in ["applied", "beats"] {
        let list = format!("sl1:{{default}}:members:{list}");
        server.cli(&["ZADD", &list, "1", "77-dead@1000"]);
    }
    let found = findings(&url, &[]);
    mend(find(&found, "silent_members"));
    let left = server.cli(&["ZRANGE", "sl1:{default}:members:beats", "0", "-1"]);
    assert!(left.contains("77-dead@1000"), "it may thaw: {left}");
}

#[test]
fn a_scan_that_was_cut_short_says_so() {
    let server = well_with(&[]);
    fill(&server.url(), 10);
    let many = "for i = 1, 2000 do redis.call('SET', 'other:' .. i, 1) end";
    server.cli(&["EVAL", many, "0"]);
    let found = findings(&server.url(), &["--names", "250"]);
    let it = find(&found, "stored");
    assert_eq!(it["severity"], "unchecked");
    assert!(
        it["mend"][0].as_str().unwrap().ends_with("--names all"),
        "{it}"
    );
    assert!(!names(&findings(&server.url(), &["--names", "all"])).contains("stored"));
}
