//! What somebody else changes in Redis, without the log.

use std::process::Command;

use shelflife_testkit::{Child, RedisServer};

use crate::SOON;

const KEY: &str = "users:42";

fn worker(server: &RedisServer) -> Child {
    let mut child = Child::spawn(
        Command::new(env!("CARGO_BIN_EXE_shelflife-worker"))
            .env("SHELFLIFE_URL", server.url())
            .env("SHELFLIFE_NAMESPACE", "hunt")
            .env("SHELFLIFE_WINDOW", "60s"),
    );
    child.expect_line("ready redis hunt", SOON);
    child
}

fn ask(child: &mut Child, question: &str) -> String {
    child.send_line(question);
    child.expect_line("", SOON)
}

#[test]
fn an_entry_deleted_by_hand_is_gone_at_the_next_read_of_the_store() {
    let server = RedisServer::start();
    server.cli(&["SET", "source:open:1", "1"]);
    let (mut holder, mut reader) = (worker(&server), worker(&server));
    holder.send_line(&format!("load {KEY} 1"));
    holder.expect_line("loaded [1] stored true", SOON);
    let looked_up = format!("where {KEY}");
    assert_eq!(ask(&mut holder, &looked_up), "1 in l1");

    let deleted = server.cli(&["DEL", &format!("sl1:hunt:e:{KEY}")]);
    assert_eq!(deleted, "1");

    assert_eq!(ask(&mut reader, &looked_up), "nowhere");
    // L1 follows the log, and a foreign hand writes none: it answers until the value expires, is
    // invalidated, or makes room.
    assert_eq!(ask(&mut holder, &looked_up), "1 in l1");
    assert_eq!(ask(&mut reader, "invalidate tag"), "invalidated");
    assert_eq!(ask(&mut holder, &format!("strict {KEY}")), "got nothing");
}
