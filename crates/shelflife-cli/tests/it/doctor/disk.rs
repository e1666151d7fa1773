//! What the lines leave on the disk: a server that is started anew must not read it.

use super::*;

/// The server of the next day, in the same directory.
fn on_the_next_day(home: &Scratch, more: &[&str]) -> RedisServer {
    well_with(&[&["--dir", home.path().to_str().unwrap()], more].concat())
}

fn is_written(server: &RedisServer) -> bool {
    let info = server.cli(&["INFO", "persistence"]);
    !info.contains("bgsave_in_progress:1") && !info.contains("rewrite_in_progress:1")
}

#[test]
fn what_was_removed_after_the_last_snapshot_does_not_come_back() {
    let home = Scratch::new();
    let mut server = on_the_next_day(&home, &["--save", "3600 1"]);
    let url = server.url();
    fill(&url, 10);
    server.cli(&["BGSAVE"]);
    let dump = home.path().join("dump.rdb");
    until("the snapshot is written", || {
        is_written(&server) && dump.exists()
    });
    mend(find(&findings(&url, &[]), "snapshots"));
    server.cli(&["DEL", "sl1:default:e:users:1"]);
    server.kill();
    let again = on_the_next_day(&home, &[]);
    assert_eq!(again.cli(&["EXISTS", "sl1:default:e:users:1"]), "0");
}

#[test]
fn neither_an_append_only_file_nor_the_snapshot_before_it_comes_back() {
    let home = Scratch::new();
    // Of the time before: nobody reads it while there is an append-only file.
    let server = on_the_next_day(&home, &[]);
    fill(&server.url(), 10);
    server.cli(&["SAVE"]);
    drop(server);
    let mut server = on_the_next_day(&home, &["--appendonly", "yes"]);
    let url = server.url();
    fill(&url, 10);
    mend(find(&findings(&url, &[]), "append_only"));
    assert!(is_written(&server));
    server.kill();
    // Whatever the next start is told.
    for more in [&[][..], &["--appendonly", "yes"]] {
        let again = on_the_next_day(&home, more);
        assert_eq!(again.cli(&["DBSIZE"]), "0", "{more:?}");
    }
}
