//! The line of sets that wait: what goes next, and for how much there is room.
//!
//! Must not: carry anything out.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Item;
use super::dropped;
use crate::epoch::Epoch;
use crate::error::Error;
use crate::store::{Call, SET_AT_ONCE};
use crate::sync::{Mutex, MutexGuard};

/// How many values may be in the line.
const ROOM: usize = 4096;
/// How many bytes may be in the line, those of the step that is under way included: what its callers have
/// gone away from is nobody else's to limit.
pub(super) const ROOM_IN_BYTES: usize = 64 << 20;
/// In what the room in bytes is counted: a semaphore has `u32` permits to give at once.
const UNIT: usize = 1 << 10;
/// How many bytes of several values go in one step.
pub(super) const BYTES_AT_ONCE: usize = 1 << 20;

/// A line, with room of its own: nobody waits for room because another line stands still.
pub(super) struct Queue {
    /// Held to add or to take.
    line: Mutex<Line>,
    /// For so many values.
    room: Arc<Semaphore>,
    /// For so many `UNIT`s of bytes. Asked for after the other by everybody: nobody has this one, and waits.
    room_in_bytes: Arc<Semaphore>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            line: Mutex::default(),
            room: Arc::new(Semaphore::new(ROOM)),
            room_in_bytes: Arc::new(Semaphore::new(ROOM_IN_BYTES / UNIT)),
        }
    }
}

impl Queue {
    pub(super) fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for so many values of so many bytes, as soon as there is.
    pub(super) async fn room_for(&self, values: usize, bytes: usize) -> Result<Room, Error> {
        // A value may be larger than all the room there is: then it has it for itself.
        let units = bytes.div_ceil(UNIT).clamp(1, ROOM_IN_BYTES / UNIT);
        let of = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let values = self.room.clone().acquire_many_owned(of(values)).await;
        let bytes = self.room_in_bytes.clone().acquire_many_owned(of(units));
        Ok(Room {
            _values: values.map_err(|_| dropped())?,
            _bytes: bytes.await.map_err(|_| dropped())?,
        })
    }

    /// How many values have room.
    pub(super) fn waiting(&self) -> usize {
        ROOM - self.room.available_permits()
    }
}

#[derive(Default)]
pub(super) struct Line {
    pub(super) waiting: VecDeque<Job>,
    /// Whether somebody carries them out.
    pub(super) under_way: bool,
}

impl Line {
    /// What goes next, the longest waiting first; nothing ends the carrying out.
    pub(super) fn next(&mut self) -> Vec<Job> {
        let (mut values, mut bytes) = (0, 0);
        let mut jobs = Vec::new();
        while let Some(job) = self.waiting.front() {
            values += job.items.len();
            bytes += job.bytes();
            if !jobs.is_empty() && (values > SET_AT_ONCE || bytes > BYTES_AT_ONCE) {
                break;
            }
            jobs.extend(self.waiting.pop_front());
        }
        self.under_way = !jobs.is_empty();
        jobs
    }
}

/// What one caller hands over, at most as much as fits one step.
pub(super) struct Job {
    pub(super) call: Call,
    pub(super) items: Vec<Item>,
    pub(super) told: oneshot::Sender<Result<Epoch, Error>>,
    pub(super) room: Room,
}

impl Job {
    pub(super) fn bytes(&self) -> usize {
        bytes_of(&self.items)
    }
}

/// The room of a job in the line, until it has been carried out.
pub(super) struct Room {
    _values: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

pub(super) fn bytes_of<'a>(items: impl IntoIterator<Item = &'a Item>) -> usize {
    items.into_iter().map(|item| item.prepared.bytes).sum()
}

/// How many of the first of these fit one step: one at least, be it as large as it may.
pub(super) fn fitting(items: &VecDeque<Item>) -> usize {
    let mut bytes = 0_usize;
    let fit = items.iter().take(SET_AT_ONCE).take_while(|item| {
        bytes = bytes.saturating_add(item.prepared.bytes);
        bytes <= BYTES_AT_ONCE
    });
    fit.count().max(1)
}
