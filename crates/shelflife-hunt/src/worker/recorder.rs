//! What a worker tells: gathered by its tasks, sent by a thread of its own.
//!
//! A *watermark* goes with each frame: everything that begins, or is confirmed, before it has been told.
//! It is taken in this order: the time; then which reads are under way, the oldest of which holds it
//! back; then what has been gathered. A reader says that a read is under way before it stamps its
//! beginning, and hands the read in before it says that it no longer is.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::record::{Confirmed, Counts, Frame, Load, Process, Read};
use crate::stamp::{Stamp, now};

/// Readers at most.
const SLOTS: usize = 64;
/// Between two frames.
const PAUSE: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub(crate) struct Recorder {
    process: Process,
    /// What the next frame holds.
    gathered: Mutex<Frame>,
    /// Since when each reader is reading; the end of time if it is not. Every access is `SeqCst`: a
    /// reader's store and the beginning that it stamps afterwards must not change places.
    reading: [AtomicU64; SLOTS],
    ends: AtomicBool,
}

impl Recorder {
    pub(crate) fn new(process: Process) -> Self {
        Self {
            process,
            gathered: Mutex::default(),
            reading: std::array::from_fn(|_| AtomicU64::new(Stamp::MAX)),
            ends: AtomicBool::new(false),
        }
    }

    /// Says that the reader of this number begins to read.
    pub(crate) fn reads(&self, slot: usize) -> Reads<'_> {
        let slot = &self.reading[slot % SLOTS];
        slot.store(now(), Ordering::SeqCst);
        Reads {
            recorder: self,
            slot,
            answered: Vec::new(),
        }
    }

    /// An invalidation has just been confirmed: its stamp is set here.
    pub(crate) fn confirmed(&self, mut what: Confirmed) {
        let mut gathered = self.gathered();
        what.confirmed = now();
        gathered.confirmed.push(what);
    }

    /// An invalidation has just failed.
    pub(crate) fn unconfirmed(&self, mut what: Confirmed) {
        let mut gathered = self.gathered();
        what.confirmed = now();
        gathered.unconfirmed.push(what);
    }

    pub(crate) fn loaded(&self, mut load: Load) {
        let mut gathered = self.gathered();
        load.ended = now();
        gathered.loads.push(load);
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.gathered().counts);
    }

    /// Lets the teller send what is left, and end.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::SeqCst);
    }

    /// Sends frames from now on. When nobody listens any more, the process is of no use.
    pub(crate) fn tell(self: &Arc<Self>, mut to: TcpStream) -> JoinHandle<()> {
        let recorder = self.clone();
        std::thread::spawn(move || {
            loop {
                let last = recorder.ends.load(Ordering::SeqCst);
                if recorder.frame().send(&mut to).is_err() {
                    std::process::exit(0);
                }
                if last {
                    return;
                }
                std::thread::sleep(PAUSE);
            }
        })
    }

    fn frame(&self) -> Frame {
        let time = now();
        let reading = self.reading.iter().map(|slot| slot.load(Ordering::SeqCst));
        let watermark = reading.min().unwrap_or(Stamp::MAX).min(time);
        let gathered = std::mem::take(&mut *self.gathered());
        Frame {
            process: self.process,
            watermark,
            ..gathered
        }
    }

    fn gathered(&self) -> MutexGuard<'_, Frame> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A few reads of one reader, handed in together.
#[derive(Debug)]
pub(crate) struct Reads<'a> {
    recorder: &'a Recorder,
    slot: &'a AtomicU64,
    answered: Vec<Read>,
}

impl Reads<'_> {
    pub(crate) fn push(&mut self, read: Read) {
        self.answered.push(read);
    }
}

impl Drop for Reads<'_> {
    fn drop(&mut self) {
        self.recorder.gathered().reads.append(&mut self.answered);
        self.slot.store(Stamp::MAX, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_under_way_holds_the_watermark_back() {
        let recorder = Recorder::new(1);
        let before = now();
        let mut reads = recorder.reads(3);
        let began = now();
        reads.push(Read::at(began));
        let frame = recorder.frame();
        assert!(before <= frame.watermark && frame.watermark <= began);
        assert_eq!(frame.reads, []);
        drop(reads);
        let frame = recorder.frame();
        assert_eq!(frame.reads, [Read::at(began)]);
        assert!(frame.watermark > began);
    }
}
