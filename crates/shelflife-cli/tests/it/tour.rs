//! The tour ends by itself, with 0 only if every step behaved.

use std::process::Output;

use shelflife_testkit::RedisServer;

use crate::scratch::Scratch;
use crate::shelflife::{Demo, demo};

fn assert_toured(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(!text.contains("WRONG"), "{text}");
    assert!(
        text.lines()
            .filter(|line| line.starts_with("ok ") && line.contains(" ms "))
            .count()
            >= 10,
        "{text}"
    );
    assert!(
        text.contains("64 answers, 1 question to the database"),
        "{text}"
    );
}

#[test]
fn the_tour_behaves_on_the_embedded_store() {
    let scratch = Scratch::new();
    assert_toured(
        &demo(&scratch.path("demo.sqlite"))
            .arg("--tour")
            .output()
            .unwrap(),
    );
}

#[test]
fn the_tour_behaves_on_a_server_twice_and_leaves_the_user_as_before() {
    let scratch = Scratch::new();
    let path = scratch.path("demo.sqlite");
    let server = RedisServer::start();
    for _ in 0..2 {
        assert_toured(
            &demo(&path)
                .args(["--tour", "--redis", &server.url()])
                .output()
                .unwrap(),
        );
    }
    let list = Demo::start(&path, &[]).get("/users");
    assert_ne!(list.body["users"][0]["name"], "Ada Lovelace");
}
