//! Connections that wait to be used again.
//!
//! The youngest is taken first: it is the least likely to be closed by the origin just now.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connect::Sender;

/// The idle connections to one upstream.
#[derive(Debug)]
pub(super) struct Pool {
    /// Oldest first. Held for a push or a pop.
    idle: Mutex<VecDeque<Idle>>,
    /// How long a connection may wait.
    wait: Duration,
    most: usize,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    until: Instant,
}

impl Pool {
    pub(super) fn new(wait: Duration, most: usize) -> Self {
        Pool {
            idle: Mutex::default(),
            wait,
            most,
        }
    }

    /// One that is open, as far as is known.
    pub(super) fn take(&self) -> Option<Sender> {
        let mut idle = self.lock();
        let now = Instant::now();
        while let Some(candidate) = idle.pop_back() {
            if candidate.until > now && candidate.sender.is_ready() {
                return Some(candidate.sender);
            }
        }
        None
    }

    /// Takes one back. `told`: how long the origin said that it will keep it.
    pub(super) fn put(&self, sender: Sender, told: Option<Duration>) {
        let wait = told.map_or(self.wait, |told| told.min(self.wait));
        let now = Instant::now();
        let until = now + wait;
        let mut idle = self.lock();
        while idle
            .front()
            .is_some_and(|oldest| oldest.until <= now || oldest.sender.is_closed())
        {
            idle.pop_front();
        }
        if idle.len() < self.most && until > now {
            idle.push_back(Idle { sender, until });
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
