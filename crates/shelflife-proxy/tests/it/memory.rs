//! A large body passes in constant memory, both ways.

use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::origin::Origin;
use crate::proxy;
use crate::raw::Raw;

/// Several times what may be more at the peak.
const WHOLE: u64 = 256 << 20;

/// Resident memory of this process, in bytes. Client, proxy and origin are in it alike.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64
}

/// In a process of its own: the memory of other tests is not this one's.
#[test]
fn a_large_body_passes_in_constant_memory() {
    let alone = ["memory::measure", "--exact", "--ignored", "--nocapture"];
    let measured = Command::new(std::env::current_exe().unwrap())
        .args(alone)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&measured.stdout).into_owned();
    assert!(
        measured.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&measured.stderr)
    );
    assert!(said.contains("1 passed"), "nothing was measured: {said}");
    print!("{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by a_large_body_passes_in_constant_memory"]
async fn measure() {
    let origin = Origin::start(async |mut talk| {
        while let Some(head) = talk.head().await {
            let piece = vec![b'x'; 256 << 10];
            if head.line.starts_with("GET") {
                talk.say(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {WHOLE}\r\n\r\n"
                ))
                .await;
                let mut left = WHOLE;
                while left > 0 && talk.say(&piece).await {
                    left -= piece.len() as u64;
                }
            } else {
                let mut taken = std::mem::take(&mut talk.buffer).len() as u64;
                let mut piece = vec![0; 256 << 10];
                while taken < WHOLE {
                    taken += talk.stream.read(&mut piece).await.unwrap() as u64;
                }
                talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await;
            }
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let before = resident();
    let mut peak = before;

    let mut client = Raw::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut piece = vec![0; 256 << 10];
    let mut taken = 0;
    while taken < WHOLE {
        let read = client.stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "ended after {taken} bytes");
        taken += read as u64;
        peak = peak.max(resident());
    }

    let mut client = Raw::connect(proxy.address).await;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {WHOLE}\r\n\r\n"
        ))
        .await;
    let mut left = WHOLE;
    while left > 0 {
        client.stream.write_all(&piece).await.unwrap();
        left -= piece.len() as u64;
        peak = peak.max(resident());
    }
    assert_eq!(client.response().await.text(), "ok");

    let grown = peak - before;
    println!(
        "resident: {} KiB before, {} KiB more at the peak",
        before >> 10,
        grown >> 10
    );
    assert!(grown < 64 << 20, "{grown} bytes more for a body of {WHOLE}");
}
