//! One direction of one connection, with the faults that it suffers.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

/// The faults of the moment.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    pub(super) delay: watch::Receiver<Duration>,
    pub(super) frozen: watch::Receiver<bool>,
}

impl Faults {
    /// Waits while the wire is frozen.
    pub(super) async fn thawed(&mut self) {
        // An error means that the proxy is gone, and with it this task.
        let _ = self.frozen.wait_for(|frozen| !frozen).await;
    }
}

/// Carries bytes until the sender ends, then tells the receiver so.
pub(super) async fn pump(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    faults: &mut Faults,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        let delay = *faults.delay.borrow_and_update();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if count == 0 {
            faults.thawed().await;
            return to.shutdown().await;
        }
        pass_on(&buffer[..count], to, faults).await?;
    }
}

async fn pass_on(mut chunk: &[u8], to: &OwnedWriteHalf, faults: &mut Faults) -> io::Result<()> {
    while !chunk.is_empty() {
        faults.thawed().await;
        to.writable().await?;
        // Held over the write, and no longer: `freeze` waits for it, so that not a byte follows.
        let frozen = faults.frozen.borrow();
        if *frozen {
            continue;
        }
        match to.try_write(chunk) {
            Ok(count) => chunk = &chunk[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
