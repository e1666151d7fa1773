//! After `101 Switching Protocols`: bytes both ways, until either side is done (RFC 9110 §7.8).
//!
//! Must not: look at the bytes.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::client::Client;
use crate::wire::Wire;

/// The upstream's side of a tunnel. Rides in the extensions of the 101.
#[derive(Clone, Debug)]
pub(crate) struct Upgraded(pub(crate) OnUpgrade);

/// Bytes read at once.
const PIECE: usize = 16 << 10;

/// How long the other side may take over what is under way when one has ended, or the proxy ends.
const LINGER: Duration = Duration::from_secs(5);

/// Carries bytes until both sides have ended, nothing moves for `idle`, or the client is told to close.
pub(crate) async fn run(wire: Wire, upgraded: Upgraded, idle: Duration, client: &Client) {
    let upstream = match upgraded.0.await {
        Ok(upstream) => TokioIo::new(upstream),
        Err(error) => {
            tracing::debug!(client = %client.peer, %error, "upgrade failed");
            return;
        }
    };
    let (from_client, to_client) = tokio::io::split(wire);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    let progress = Progress::default();
    let up = pin!(carry(from_client, to_upstream, &progress));
    let down = pin!(carry(from_upstream, to_client, &progress));
    let both = pin!(async { tokio::join!(up, down) });
    let carried = until_closing(both, client);
    tokio::select! {
        _ = carried => {}
        () = silence(&progress, idle) => {
            tracing::debug!(client = %client.peer, "tunnel closed: nothing moved");
        }
    }
}

/// Counts pieces, to tell whether anything has moved.
#[derive(Default)]
struct Progress(std::sync::atomic::AtomicU64);

impl Progress {
    fn note(&self) {
        // Relaxed: a count that is compared with itself.
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    progress: &Progress,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            // One side may end before the other: its end is passed on, and the other goes on.
            return to.shutdown().await;
        }
        progress.note();
        to.write_all(&piece[..read]).await?;
        to.flush().await?;
        progress.note();
    }
}

async fn silence(progress: &Progress, idle: Duration) {
    let mut last = progress.count();
    loop {
        tokio::time::sleep(idle).await;
        let count = progress.count();
        if count == last {
            return;
        }
        last = count;
    }
}

/// Goes on until the work is done, or for a while after the connection has been told to close.
async fn until_closing(work: Pin<&mut impl Future>, client: &Client) {
    let closing = poll_fn(|context| {
        client.listen(context.waker());
        match client.is_closing() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    let grace = async {
        closing.await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        _ = work => {}
        () = grace => {}
    }
}
