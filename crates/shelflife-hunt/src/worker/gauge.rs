//! What this process takes: memory, tasks, files. Where the system does not tell, nothing is told.

#![allow(
    clippy::print_stdout,
    reason = "its lines are what the hunt reads and answers"
)]

use std::fs;
use std::time::Duration;

use super::Failure;

/// `gauge RSS TASKS FILES`
pub(crate) fn tell() -> Result<(), Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = rss
        .and_then(|rest| rest.split_whitespace().next())
        .ok_or("the system does not tell how much memory a process takes")?
        .parse()?;
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    let files = fs::read_dir("/proc/self/fd")?.count();
    println!("gauge {} {tasks} {files}", kib * 1024);
    Ok(())
}

/// What a process must not do, to see that it is found.
pub(crate) async fn leak() {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1_u8; 256 << 10]);
        tokio::spawn(std::future::pending::<()>());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
