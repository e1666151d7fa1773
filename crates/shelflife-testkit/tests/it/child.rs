//! A process can be awaited, answered, frozen and ended.

use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

use shelflife_testkit::Child;
use tokio::signal::unix::{SignalKind, signal};

/// Long enough for anything that is going to happen.
const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Child {
    Child::spawn(Command::new("sh").args(["-c", script]))
}

/// What `act` panics with.
fn panic_of<T>(act: impl FnOnce() -> T) -> String {
    let Err(caught) = catch_unwind(AssertUnwindSafe(act)) else {
        panic!("it did not panic");
    };
    caught.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn lines_are_awaited_by_prefix_and_answered() {
    let script = "echo noise; echo \"ready $GREETING $1\"; read answer; echo \"got $answer\"";
    let mut child = Child::spawn(
        Command::new("sh")
            .args(["-c", script, "sh", "argument"])
            .env("GREETING", "hello"),
    );
    assert_eq!(child.expect_line("ready ", SOON), "ready hello argument");
    child.send_line("an answer");
    assert_eq!(child.expect_line("got", SOON), "got an answer");
    assert!(child.wait(SOON).success());
}

#[test]
fn what_an_ended_process_printed_is_kept() {
    let mut child = shell("echo one; echo two; echo three >&2");
    child.expect_line("one", SOON);
    child.wait(SOON);
    assert_eq!(child.printed(), "one\ntwo\nstderr: three");
}

#[test]
fn the_end_of_standard_input_is_seen() {
    let mut child = shell("cat; echo over");
    child.send_line("one");
    assert_eq!(child.expect_line("", SOON), "one");
    child.close_stdin();
    assert_eq!(child.expect_line("", SOON), "over");
}

#[test]
fn output_that_nobody_reads_blocks_nobody() {
    let mut child =
        shell("i=0; while [ $i -lt 20000 ]; do echo $i padding padding; i=$((i+1)); done");
    assert!(child.wait(SOON * 3).success());
    let last = child.expect_line("19999 ", SOON);
    assert_eq!(last, "19999 padding padding");
}

#[test]
fn a_missing_line_is_a_panic_after_the_timeout_with_all_that_was_printed() {
    let mut child = shell("echo one; echo wrong >&2; echo marker; read forever");
    child.expect_line("marker", SOON);
    let start = Instant::now();
    let message = panic_of(|| child.expect_line("never", Duration::from_millis(50)));
    assert!(start.elapsed() >= Duration::from_millis(50));
    for words in [
        "still running",
        "no line \"never\" within 50ms",
        "one",
        "stderr: wrong",
    ] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn the_end_of_the_output_is_a_panic_at_once_with_the_exit_status() {
    let mut child = shell("echo one; echo wrong >&2; exit 3");
    let start = Instant::now();
    let message = panic_of(|| child.expect_line("never", SOON * 6));
    assert!(start.elapsed() < SOON * 6);
    for words in ["exit status: 3", "the output ended", "one", "stderr: wrong"] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_request_to_end_arrives() {
    let mut child = shell("trap 'echo term; exit 7' TERM; echo ready; read line");
    child.expect_line("ready", SOON);
    child.terminate();
    // A shell runs its trap when the read that was interrupted has ended; some shells, before.
    child.close_stdin();
    child.expect_line("term", SOON);
    assert_eq!(child.wait(SOON).code(), Some(7));
}

/// The other process of the next test. A shell will not do: in the background of another shell
/// it starts with SIGINT ignored, and may not trap it then.
#[tokio::test]
#[ignore = "run by an_interrupt_arrives, which interrupts it"]
async fn waits_for_an_interrupt() {
    let mut interrupts = signal(SignalKind::interrupt()).unwrap();
    let mut out = std::io::stdout();
    // The test harness has begun a line.
    out.write_all(b"\nready\n").unwrap();
    tokio::time::timeout(SOON, interrupts.recv()).await.unwrap();
    out.write_all(b"\ninterrupted\n").unwrap();
}

#[test]
fn an_interrupt_arrives() {
    let mut child = Child::spawn(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::waits_for_an_interrupt"])
            .args(["--ignored", "--nocapture"]),
    );
    child.expect_line("ready", SOON);
    child.interrupt();
    child.expect_line("interrupted", SOON);
    assert!(child.wait(SOON).success());
}

#[test]
fn a_process_does_nothing_once_stop_has_returned() {
    let name = format!("shelflife-testkit-frozen-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = File::create(&path).unwrap();
    let length = || file.metadata().unwrap().len();
    let script = "exec 3>>\"$1\"; echo ready; while :; do echo x >&3; done";
    let mut child = Child::spawn(Command::new("sh").args(["-c", script, "sh"]).arg(&path));
    child.expect_line("ready", SOON);
    // Both have it open, which is all they need.
    std::fs::remove_file(&path).unwrap();
    for round in 0..200 {
        child.stop();
        let then = length();
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(length(), then, "round {round}");
        child.resume();
    }
}

#[test]
fn a_frozen_process_says_nothing_until_it_is_resumed() {
    let mut child = shell("echo ready; while read line; do echo \"got $line\"; done");
    child.expect_line("ready", SOON);
    child.stop();
    child.send_line("x");
    assert!(child.is_running());
    child.resume();
    assert_eq!(child.expect_line("got", SOON), "got x");
    child.stop();
    child.send_line("y");
    panic_of(|| child.expect_line("got y", Duration::from_millis(100)));
}

#[test]
fn a_process_that_does_not_end_is_a_panic_and_is_killed_on_drop() {
    let mut child = shell("echo ready; read forever");
    child.expect_line("ready", SOON);
    let message = panic_of(|| child.wait(Duration::from_millis(20)));
    assert!(message.contains("still running after 20ms"), "{message}");
    let pid = child.pid();
    drop(child);
    let ps = Command::new("ps").args(["-p", &pid.to_string()]).output();
    assert!(!ps.unwrap().status.success());
}

#[test]
fn a_killed_process_is_reaped_and_not_signalled_again() {
    let mut child = shell("echo ready; read forever");
    child.expect_line("ready", SOON);
    assert!(!child.kill().success());
    assert!(!child.is_running());
    assert!(panic_of(|| child.terminate()).contains("has already ended"));
    assert!(!child.kill().success());
}

#[test]
fn a_binary_that_does_not_exist_is_a_panic_that_names_it() {
    let message = panic_of(|| Child::spawn(&mut Command::new("/no/such/binary")));
    assert!(message.contains("/no/such/binary"), "{message}");
}
