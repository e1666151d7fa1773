//! What this process takes: memory, tasks, files. Where the system does not tell, nothing is told.

#![allow(
    clippy::print_stdout,
    reason = "its lines are what the hunt reads and answers"
)]

use std::alloc::System;
use std::fs;
use std::time::Duration;

use cap::Cap;

use super::Failure;

/// Counts the bytes that are in use, without a bound. What the system tells has the allocator's own slack in it, megabytes that come
/// and go; a leak is in these.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// `gauge RSS HEAP TASKS FILES`
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
    let heap = HEAP.allocated();
    println!("gauge {} {heap} {tasks} {files}", kib * 1024);
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
