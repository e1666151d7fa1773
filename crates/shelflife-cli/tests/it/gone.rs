//! The database goes away under the running demo, and comes back.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::http::Answer;
use crate::scratch::Scratch;
use crate::shelflife::Demo;

const LIMIT: Duration = Duration::from_secs(15);

/// Asks until the answer is as wanted; every answer on the way must be one that is allowed there.
fn ask_until(
    demo: &Demo,
    path: &str,
    wanted: impl Fn(&Answer) -> bool,
    allowed: impl Fn(&Answer) -> bool,
) -> Answer {
    let began = Instant::now();
    loop {
        let answer = demo.get(path);
        if wanted(&answer) {
            return answer;
        }
        assert!(
            allowed(&answer),
            "not yet wanted, and not allowed either: {answer:?}"
        );
        assert!(began.elapsed() < LIMIT, "still not: {answer:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn is_stale(answer: &Answer) -> bool {
    answer.status == 200 && answer.cache_status().contains("; hit; ttl=-")
}

fn is_fresh(answer: &Answer) -> bool {
    answer.status == 200 && !is_stale(answer)
}

#[test]
fn stale_answers_last_as_long_as_their_window_then_it_is_503_until_the_file_is_back() {
    let scratch = Scratch::new();
    let (path, away) = (scratch.path("demo.sqlite"), scratch.path("away.sqlite"));
    let demo = Demo::start(&path, &["--ttl", "300ms", "--stale", "3s"]);
    let before = demo.get("/users/1");
    fs::rename(&path, &away).unwrap();

    let stale = ask_until(&demo, "/users/1", is_stale, is_fresh);
    assert_eq!(stale.body, before.body);
    let unavailable = ask_until(&demo, "/users/1", |answer| answer.status == 503, is_stale);
    assert_eq!(unavailable.body["error"]["code"], "database_gone");
    assert!(
        unavailable.body["error"]["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("put the file back"))
    );
    assert!(
        unavailable.cache_status().contains("fwd=miss"),
        "{unavailable:?}"
    );

    fs::rename(&away, &path).unwrap();
    let back = ask_until(&demo, "/users/1", is_fresh, |answer| answer.status == 503);
    assert_eq!(back.body, before.body);
}

#[test]
fn what_was_never_stored_is_503_at_once_and_writes_are_too() {
    let scratch = Scratch::new();
    let (path, away) = (scratch.path("demo.sqlite"), scratch.path("away.sqlite"));
    let demo = Demo::start(&path, &[]);
    assert_eq!(demo.get("/users/1").status, 200);
    fs::rename(&path, &away).unwrap();

    assert!(
        demo.get("/users/1").cache_status().contains("; hit"),
        "what is fresh needs no database"
    );
    for answer in [
        demo.get("/users/2"),
        demo.get("/users"),
        demo.put("/users/1", r#"{"name": "A", "city": "B"}"#),
    ] {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.body["error"]["code"], "database_gone");
    }
    assert!(!path.exists(), "asking must not make a new, empty database");
}
