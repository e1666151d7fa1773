//! Two processes on one server.

use std::sync::Barrier;
use std::thread;

use shelflife_testkit::RedisServer;

use crate::http;
use crate::scratch::Scratch;
use crate::shelflife::{Demo, run_json};

/// Two processes on one database and one server. They end first.
struct Two {
    demos: [Demo; 2],
    url: String,
    _server: RedisServer,
    _scratch: Scratch,
}

impl Two {
    fn start() -> Self {
        let scratch = Scratch::new();
        let path = scratch.path("demo.sqlite");
        let server = RedisServer::start();
        let url = server.url();
        Self {
            demos: [0, 1].map(|_| Demo::start(&path, &["--redis", &url])),
            url,
            _server: server,
            _scratch: scratch,
        }
    }
}

#[test]
fn a_second_process_hits_what_the_first_one_filled() {
    let two = Two::start();
    let [first, second] = &two.demos;
    let filled = first.get("/users/1");
    assert!(filled.cache_status().contains("fwd=miss"), "{filled:?}");

    let shared = second.get("/users/1");
    assert!(shared.cache_status().ends_with("detail=l2"), "{shared:?}");
    assert_eq!(shared.body, filled.body);
    assert_eq!(second.queries(), 0);
}

#[test]
fn callers_of_two_processes_share_one_load() {
    const CALLERS_EACH: usize = 32;
    let two = Two::start();
    let addresses = two.demos.each_ref().map(|demo| demo.address.as_str());
    let barrier = Barrier::new(2 * CALLERS_EACH);
    let ask = |address| {
        barrier.wait();
        http::send(address, "GET", "/users/3", "").status
    };
    thread::scope(|scope| {
        let ask = &ask;
        let mut callers = Vec::new();
        for address in addresses {
            callers.extend((0..CALLERS_EACH).map(|_| scope.spawn(move || ask(address))));
        }
        assert!(
            callers
                .into_iter()
                .all(|caller| caller.join().unwrap() == 200)
        );
    });
    assert_eq!(two.demos.iter().map(Demo::queries).sum::<u64>(), 1);
}

#[test]
fn an_operators_invalidation_makes_the_shared_entry_dead_at_once() {
    let two = Two::start();
    let [first, second] = &two.demos;
    first.get("/users/1");

    run_json(&[
        "invalidate",
        "--tag",
        "user:1",
        "--redis",
        &two.url,
        "--json",
    ]);

    let read = second.get("/users/1");
    assert!(read.cache_status().contains("fwd=miss"), "{read:?}");
    assert_eq!(second.queries(), 1);
}

#[test]
fn namespaces_share_nothing() {
    let scratch = Scratch::new();
    let path = scratch.path("demo.sqlite");
    let server = RedisServer::start();
    let url = server.url();
    let one = Demo::start(&path, &["--redis", &url, "--namespace", "one"]);
    let two = Demo::start(&path, &["--redis", &url, "--namespace", "two"]);
    one.get("/users/1");
    assert!(two.get("/users/1").cache_status().contains("fwd=miss"));
    run_json(&[
        "invalidate",
        "--all",
        "--redis",
        &url,
        "--namespace",
        "two",
        "--json",
    ]);
    let third = Demo::start(&path, &["--redis", &url, "--namespace", "one"]);
    assert!(third.get("/users/1").cache_status().contains("; hit"));
}

#[test]
fn reads_go_on_without_the_server_and_an_invalidation_says_that_it_failed() {
    let scratch = Scratch::new();
    let mut server = RedisServer::start();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &["--redis", &server.url()]);
    assert_eq!(demo.get("/users/1").status, 200);
    server.kill();

    assert_eq!(demo.get("/users/2").status, 200);
    let put = demo.put("/users/1", r#"{"name": "Ada Lovelace", "city": "London"}"#);
    assert_eq!(put.status, 503, "{put:?}");
    assert_eq!(put.body["error"]["code"], "not_invalidated");
}
