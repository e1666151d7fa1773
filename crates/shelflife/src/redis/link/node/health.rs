//! The health of lanes: who has proved itself, what an answer says of the lane that gave it, and how a lane comes back.
//!
//! A handshake that meets another life of a primary than the last one takes down the lanes that lead to another server; one
//! that began before that and ends after it proves nothing. So no lane is read from that leads to a primary which somebody here
//! knows to have been replaced.
//!
//! Must not: send anybody's commands.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::RedisError;

use super::{Proved, Shared};
use crate::redis::link::handshake::{self, Role};
use crate::redis::link::refused::Refused;
use crate::store::{StoreError, StoreResult};

/// After so many timeouts in a row a lane counts as down.
const TIMEOUTS: u32 = 3;
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_MOST: Duration = Duration::from_secs(2);

impl Shared {
    /// A connection that has proved itself. Who finds another primary, or a replica, the tail perhaps, has found it for
    /// everybody: lanes that lead elsewhere go down.
    pub(super) async fn connect(
        self: &Arc<Self>,
        response_timeout: Option<Duration>,
    ) -> StoreResult<Proved> {
        let began = self.life().clone();
        let way = self.place.way().await?;
        if way.is_news {
            self.take_all_down("server that was the primary before");
        }
        let of_a_cluster = self.place.is_of_a_cluster();
        let connecting =
            handshake::connect(&way.client, of_a_cluster, self.patience, response_timeout);
        let (connection, role) = connecting.await?;
        let mut life = self.life();
        let (replid, run) = match role {
            Role::Primary { replid, run } => (replid, run),
            Role::Other(role) => {
                if *life == began && self.place.is_still(&way) {
                    self.take_down_if(&role, |_| true);
                }
                // During a failover this passes: try again.
                return Err(StoreError::unavailable(format!(
                    "{} is a {role}, not a primary; the URL must lead to the primary",
                    self.place
                )));
            }
        };
        let is_known = life.as_ref() == Some(&replid);
        if !self.place.is_still(&way) || (!is_known && *life != began) {
            return Err(StoreError::unavailable(
                "another primary was found while this one was connected to",
            ));
        }
        if !is_known && life.is_some() {
            self.changes.fetch_add(1, Ordering::SeqCst);
            let role = "server that was the primary before";
            // A primary without replicas takes another id after a while, and is the same server.
            self.take_down_if(role, |other| other != run);
        }
        *life = Some(replid.clone());
        Ok(Proved {
            connection,
            replid,
            run,
            way,
        })
    }

    /// Puts a connection on a lane, unless another primary has been found since it proved itself; whether it did.
    pub(super) fn take_up(&self, at: usize, proved: Proved) -> bool {
        let life = self.life();
        if life.as_ref() != Some(&proved.replid) || !self.place.is_still(&proved.way) {
            return false;
        }
        // The mark first: a failure of the new connection must be able to start over.
        self.lanes[at].reconnecting.store(false, Ordering::SeqCst);
        // Counted before: it may go down at once.
        self.up.fetch_add(1, Ordering::SeqCst);
        if !self.lanes[at].take_up(proved.connection, proved.run) {
            self.up.fetch_sub(1, Ordering::SeqCst);
        }
        if self.closed.load(Ordering::SeqCst) {
            // It was closed while this connected, and found nothing to take down here.
            self.lanes[at].close();
        }
        true
    }

    /// Hears who has become the primary, where somebody tells, for as long as the node is there.
    pub(super) fn follow(self: &Arc<Self>) {
        if !self.place.is_told() {
            return;
        }
        let weak = Arc::downgrade(self);
        self.runtime.spawn(async move {
            while let Some(place) = going(&weak).map(|shared| shared.place.clone()) {
                let moved = place.moves();
                tokio::pin!(moved);
                let heard = loop {
                    tokio::select! {
                        heard = &mut moved => break heard,
                        () = tokio::time::sleep(BACKOFF_MOST) => if going(&weak).is_none() {
                            return;
                        },
                    }
                };
                let Some(shared) = going(&weak) else {
                    return;
                };
                if heard {
                    shared.take_all_down("server that was the primary before");
                } else {
                    drop(shared);
                    tokio::time::sleep(BACKOFF_FIRST * 5).await;
                }
            }
        });
    }

    /// No lane leads to a primary any more: each has to prove itself anew.
    fn take_all_down(self: &Arc<Self>, role: &str) {
        let _no_lane_comes_up = self.life();
        self.take_down_if(role, |_| true);
    }

    /// Takes down the lanes that lead to such a run of a server.
    fn take_down_if(self: &Arc<Self>, role: &str, is_one: impl Fn(&str) -> bool) {
        for (at, lane) in self.lanes.iter().enumerate() {
            if lane.take_down_if(&is_one) {
                self.went_down();
                tracing::warn!(server = %self.place, role, "is not the primary any more");
                self.reconnect(at);
            }
        }
    }

    /// Draws the conclusions of an answer for the lane that gave it.
    pub(super) fn judge<T>(
        self: &Arc<Self>,
        at: usize,
        generation: u64,
        got: Result<T, RedisError>,
    ) -> Result<T, Refused> {
        let lane = &self.lanes[at];
        let error = match got {
            Ok(value) => {
                lane.timeouts.store(0, Ordering::Relaxed);
                return Ok(value);
            }
            Err(error) => error,
        };
        if error.is_timeout() {
            let in_a_row = lane.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
            if in_a_row >= TIMEOUTS && lane.take_down(generation).is_some() {
                self.went_down();
                tracing::warn!(server = %self.place, in_a_row, "does not answer");
                self.reconnect(at);
            }
            let what = format!("no answer within {:?}", self.patience.answer);
            return Err(Refused::Failed(StoreError::unavailable(what)));
        }
        let gone =
            error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error();
        // A primary that became a replica: the handshake finds out when it, or another, is one again.
        let is_replica = error.code() == Some("READONLY");
        if gone || is_replica {
            if let Some(run) = lane.take_down(generation) {
                self.went_down();
                tracing::warn!(server = %self.place, %error, "connection lost");
                self.reconnect(at);
                if is_replica {
                    // So do the others that lead there: it would go on to answer their reads.
                    self.take_down_if("replica", |other| other == run);
                }
            }
            return Err(Refused::Failed(StoreError::unavailable(error.to_string())));
        }
        Err(Refused::of(error))
    }

    /// A lane did: of the last one it is counted.
    fn went_down(&self) {
        if self.up.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.life.downs.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reconnects a lane in the background, with jittered, growing pauses.
    pub(super) fn reconnect(self: &Arc<Self>, at: usize) {
        if self.lanes[at].reconnecting.swap(true, Ordering::SeqCst) {
            return;
        }
        let weak = Arc::downgrade(self);
        self.runtime.spawn(async move {
            let mut pause = BACKOFF_FIRST;
            while let Some(attempt) = try_again(&weak, at).await {
                if attempt {
                    break;
                }
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                pause = (pause * 2).min(BACKOFF_MOST);
            }
        });
    }
}

fn going(weak: &Weak<Shared>) -> Option<Arc<Shared>> {
    weak.upgrade().filter(|s| !s.closed.load(Ordering::SeqCst))
}

/// One attempt: whether it succeeded; `None` when nobody wants the node any more.
async fn try_again(weak: &Weak<Shared>, at: usize) -> Option<bool> {
    let shared = going(weak)?;
    match shared.connect(Some(shared.patience.answer)).await {
        Ok(proved) => {
            let is_up = shared.take_up(at, proved);
            if is_up {
                tracing::info!(server = %shared.place, "connected again");
            }
            Some(is_up)
        }
        Err(error) => {
            tracing::debug!(server = %shared.place, %error, "still not reachable");
            Some(false)
        }
    }
}
