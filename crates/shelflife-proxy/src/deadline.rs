//! A point in time that is moved with every request and hardly ever reached.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Moving it further away costs an assignment: the timer stays where it is, and is looked at again when it
/// goes off.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(crate) fn after(wait: Duration) -> Self {
        let at = later(wait);
        Deadline {
            at,
            timer: Box::pin(sleep_until(at)),
        }
    }

    /// From now.
    pub(crate) fn set(&mut self, wait: Duration) {
        self.at = later(wait);
        if self.at < self.timer.deadline() {
            self.timer.as_mut().reset(self.at);
        }
    }

    /// Ready when it has passed.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            if self.at <= self.timer.deadline() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.at);
        }
        Poll::Pending
    }
}

fn later(wait: Duration) -> Instant {
    // A wait that overflows is as good as a year.
    let now = Instant::now();
    now.checked_add(wait)
        .unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_can_be_moved_both_ways() {
        let second = Duration::from_secs(1);
        let began = Instant::now();
        let mut deadline = Deadline::after(second);
        deadline.set(10 * second);
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(began.elapsed().as_secs(), 10);
        deadline.set(10 * second);
        deadline.set(2 * second);
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(began.elapsed().as_secs(), 12);
        deadline.set(Duration::MAX);
        tokio::select! {
            () = poll_fn(|cx| deadline.poll(cx)) => panic!("that was no year"),
            () = tokio::time::sleep(second) => {}
        }
    }
}
