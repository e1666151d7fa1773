//! `shelflife proxy` before a demo: starts, caches, is reloaded, ends.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use shelflife_testkit::Child;

use crate::http;
use crate::scratch::Scratch;
use crate::shelflife::{Demo, run, shelflife, stderr};

const LIMIT: Duration = Duration::from_secs(60);

/// A configuration in a file of its own.
fn file(scratch: &Scratch, text: &str) -> PathBuf {
    let path = scratch.path("proxy.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn start(arguments: &[&str]) -> (Child, String) {
    let mut child = Child::spawn(&mut shelflife(
        &[&["proxy", "--listen", "127.0.0.1:0"], arguments].concat(),
    ));
    let line = child.expect_line("listening on ", LIMIT);
    let address = line.rsplit(' ').next().unwrap().to_owned();
    (child, address)
}

fn hang_up(child: &Child) {
    let sent = Command::new("kill")
        .args(["-HUP", &child.pid().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn it_stands_before_an_api_and_ends_when_told() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    let (mut child, address) = start(&[
        "--upstream",
        &format!("http://{}", demo.address),
        "--threads",
        "1",
    ]);
    for _ in 0..2 {
        assert_eq!(http::send(&address, "GET", "/users/1", "").status, 200);
    }
    child.terminate();
    assert!(child.wait(LIMIT).success());
}

#[test]
fn a_file_is_read_anew_when_it_is_told_to_and_a_bad_one_changes_nothing() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    let upstream = format!("[upstream]\nurl = \"http://{}\"\n", demo.address);
    let path = file(&scratch, &upstream);
    let (mut child, address) = start(&["--config", path.to_str().unwrap()]);
    assert_eq!(http::send(&address, "GET", "/users/1", "").status, 200);

    file(&scratch, &format!("{upstream}first_bite = \"1s\"\n"));
    hang_up(&child);
    let said = child.expect_line("not reloaded: ", LIMIT);
    assert!(
        said.contains("proxy.toml:3:1: unknown field `first_bite`"),
        "{said}"
    );
    child.expect_line("  the old configuration stays in force", LIMIT);
    assert_eq!(http::send(&address, "GET", "/users/1", "").status, 200);

    file(&scratch, "[upstream]\nurl = \"http://127.0.0.1:1\"\n");
    hang_up(&child);
    child.expect_line("reloaded: the configuration was read anew", LIMIT);
    assert_eq!(http::send(&address, "GET", "/users/2", "").status, 502);
    child.terminate();
    assert!(child.wait(LIMIT).success());
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let scratch = Scratch::new();
    let path = file(&scratch, "[clients]\nidle = \"fast\"\n");
    for (arguments, parts) in [
        (vec!["proxy"], ["listen is missing", "--upstream"]),
        (
            vec!["proxy", "--listen", "127.0.0.1:0"],
            ["upstream.url is missing", "http://127.0.0.1:9000"],
        ),
        (
            vec!["proxy", "--listen", "127.0.0.1:0", "--upstream", "ftp://a"],
            ["--upstream", "neither http nor https"],
        ),
        (
            vec!["proxy", "--config", path.to_str().unwrap()],
            ["proxy.toml:2:8: ", "docs/proxy.md"],
        ),
        (
            vec!["proxy", "--config", "/nonexistent"],
            ["cannot read /nonexistent", ""],
        ),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        for part in parts {
            assert!(
                stderr(&output).contains(part),
                "{arguments:?}: {}",
                stderr(&output)
            );
        }
    }
}
