//! The demo by itself: the embedded store, one process.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use shelflife_testkit::Exposition;

use crate::http;
use crate::scratch::Scratch;
use crate::shelflife::{Demo, demo, stderr};

const END_LIMIT: Duration = Duration::from_secs(20);

const ADA: &str = r#"{"name": "Ada Lovelace", "city": "London"}"#;

#[test]
fn first_read_misses_second_hits_memory_and_a_write_shows_at_once() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);

    let miss = demo.get("/users/1");
    assert_eq!(miss.status, 200);
    assert!(
        miss.cache_status().starts_with("shelflife; fwd=miss"),
        "{miss:?}"
    );
    let hit = demo.get("/users/1");
    assert!(
        hit.cache_status().contains("; hit; ttl=") && hit.cache_status().ends_with("detail=l1"),
        "{hit:?}"
    );
    assert_eq!(hit.body, miss.body);

    let put = demo.put("/users/1", ADA);
    assert_eq!(put.status, 200);
    assert_eq!(put.cache_status(), "shelflife; fwd=method");
    assert!(
        put.field("shelflife-receipt")
            .is_some_and(|receipt| receipt.contains(':')),
        "{put:?}"
    );

    let after = demo.get("/users/1");
    assert!(after.cache_status().contains("fwd=miss"), "{after:?}");
    assert_eq!(after.body["name"], "Ada Lovelace");
    assert_eq!(after.body["city"], "London");
    assert_eq!(after.body["orders"], miss.body["orders"]);
    assert!(demo.get("/users/1").cache_status().contains("; hit"));
}

#[test]
fn metrics_tell_what_the_api_did_and_name_nobody() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    for path in ["/users/1", "/users/1", "/users/7"] {
        demo.get(path);
    }
    demo.put("/users/1", ADA);
    let answer = demo.get("/metrics");
    assert_eq!(
        answer.field("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(!answer.text.contains("users"), "{}", answer.text);
    let metrics = Exposition::read(&answer.text);
    let reads = |outcome| {
        metrics.get(
            "shelflife_reads_total",
            &[("outcome", outcome), ("tier", "l1")],
        )
    };
    assert_eq!(reads("hit"), Some(1.0));
    assert_eq!(metrics.get("shelflife_loads_total", &[]), Some(2.0));
    let confirmed = [("outcome", "confirmed")];
    assert_eq!(
        metrics.get("shelflife_invalidations_total", &confirmed),
        Some(1.0)
    );
    assert_eq!(metrics.get("shelflife_server_up", &[]), Some(1.0));
}

#[test]
fn a_write_invalidates_the_lists_and_no_other_profile() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    for path in ["/users?page=1", "/users?page=2", "/users/2"] {
        assert!(demo.get(path).is_miss());
        demo.until_hit(path);
    }
    demo.put("/users/1", ADA);
    assert!(demo.get("/users?page=1").is_miss());
    assert!(demo.get("/users?page=2").is_miss());
    assert!(demo.get("/users/2").cache_status().contains("; hit"));
}

#[test]
fn a_deleted_user_is_unknown_at_once_and_all_ranks_are_worked_out_anew() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    assert_eq!(demo.get("/users/1").status, 200);
    let before = demo.get("/users/2");

    let deleted = demo.delete("/users/1");
    assert_eq!(deleted.status, 204);
    assert!(deleted.field("shelflife-receipt").is_some());

    let gone = demo.get("/users/1");
    assert_eq!(gone.status, 404);
    assert!(gone.cache_status().contains("fwd=miss"), "{gone:?}");
    let after = demo.get("/users/2");
    assert!(after.cache_status().contains("fwd=miss"), "{after:?}");
    assert_eq!(before.body["standing"]["of"], 200);
    assert_eq!(after.body["standing"]["of"], 199);
    assert_eq!(demo.delete("/users/1").status, 404);
}

#[test]
fn a_write_that_is_rolled_back_invalidates_nothing() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    let list = demo.until_hit("/users?page=1");
    assert_eq!(demo.put("/users/4711", ADA).status, 404);
    let queries = demo.queries();
    let again = demo.get("/users?page=1");
    assert!(again.cache_status().contains("; hit"), "{again:?}");
    assert_eq!(again.body, list.body);
    assert_eq!(demo.queries(), queries, "the database was not asked");
}

#[test]
fn callers_at_the_same_time_share_one_load() {
    const CALLERS: usize = 32;
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    let before = demo.queries();
    let address = demo.address.as_str();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| scope.spawn(|| http::send(address, "GET", "/users/3", "").status))
            .collect();
        assert!(
            callers
                .into_iter()
                .all(|caller| caller.join().unwrap() == 200)
        );
    });
    assert_eq!(demo.queries() - before, 1);
}

#[test]
fn the_data_survives_a_restart() {
    let scratch = Scratch::new();
    let path = scratch.path("demo.sqlite");
    let mut first = Demo::start(&path, &[]);
    first.put("/users/1", ADA);
    first.child.terminate();
    assert!(first.child.wait(END_LIMIT).success());
    let second = Demo::start(&path, &[]);
    assert_eq!(second.get("/users/1").body["name"], "Ada Lovelace");
}

#[test]
fn either_signal_ends_it_in_good_order() {
    let scratch = Scratch::new();
    let path = scratch.path("demo.sqlite");
    let mut demo = Demo::start(&path, &[]);
    demo.child.interrupt();
    assert!(demo.child.wait(END_LIMIT).success());
    let mut demo = Demo::start(&path, &[]);
    demo.child.terminate();
    assert!(demo.child.wait(END_LIMIT).success());
}

#[test]
fn a_taken_port_is_an_error_that_says_what_to_do() {
    let scratch = Scratch::new();
    let path = scratch.path("demo.sqlite");
    let first = Demo::start(&path, &[]);
    let second = demo(&path)
        .args(["--listen", &first.address])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    let said = stderr(&second);
    assert!(
        said.contains(&first.address) && said.contains("hint:") && said.contains("--listen"),
        "{said}"
    );
}

#[test]
fn a_bad_duration_names_the_option() {
    let scratch = Scratch::new();
    let output = demo(&scratch.path("demo.sqlite"))
        .args(["--ttl", "soon"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("--ttl") && said.contains("soon"), "{said}");
}

#[test]
fn the_page_is_on_a_listener_of_its_own() {
    let scratch = Scratch::new();
    let mut demo = Demo::start(&scratch.path("demo.sqlite"), &["--admin", "127.0.0.1:0"]);
    let line = demo.child.expect_line("  page", END_LIMIT);
    let url = line.split_whitespace().nth(1).unwrap();
    let page = url
        .strip_prefix("http://")
        .and_then(|url| url.strip_suffix("/_shelflife/"));
    let page = page.unwrap_or_else(|| panic!("{line}"));
    demo.get("/users/1");
    let now = http::send(page, "GET", "/_shelflife/api/now", "");
    assert_eq!((now.status, &now.body["stats"]["misses"]), (200, &1.into()));
    // Not for clients of the API.
    assert_eq!(demo.get("/_shelflife/api/now").status, 404);
}

#[test]
fn a_page_that_would_be_open_to_everybody_is_refused() {
    let scratch = Scratch::new();
    let refused = demo(&scratch.path("demo.sqlite"))
        .args(["--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = stderr(&refused);
    assert!(
        said.contains("open to whoever reaches 0.0.0.0") && said.contains("--admin-token"),
        "{said}"
    );
}
