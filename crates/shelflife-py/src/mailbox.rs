//! Mailboxes: how a loop, or a thread that waits, hears of what is for it.
//!
//! The threads of Rust put something in and ring; they never take the GIL. A loop watches the bell with `add_reader`, a thread
//! waits for it; both then drain the box, which is where Python is called. A burst rings once.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use crate::http::turn::Turn;
use crate::load::Load;
use crate::step::{Answer, resolve};

/// What is for a loop.
pub(crate) enum Item {
    /// A future has its answer.
    Resolve(Py<PyAny>, Answer),
    /// The engine wants a load to be run.
    Start(Arc<Py<PyAny>>, Load),
    /// The engine wants an application to answer.
    Turn(Arc<Py<PyAny>>, Box<Turn>),
    /// Nobody waits for a load any more.
    Cancel(Py<PyAny>),
    /// A thread's step has ended.
    Ended,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Whether the bell has been rung since the box was last drained.
    rung: bool,
    closed: bool,
}

/// The engine's end of a mailbox.
#[derive(Default)]
pub(crate) struct Post {
    /// Held for a push or a take.
    queue: Mutex<Queue>,
    rings: Condvar,
    /// Ours, then the loop's; made when a loop asks for its end.
    bell: OnceLock<(UnixStream, UnixStream)>,
}

impl Post {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something in; gives it back if nobody will ever look.
    pub(crate) fn put(&self, item: Item) -> Result<(), Item> {
        let mut queue = self.queue();
        if queue.closed {
            return Err(item);
        }
        queue.items.push_back(item);
        let ring = !std::mem::replace(&mut queue.rung, true);
        drop(queue);
        if ring {
            self.rings.notify_all();
            if let Some((ours, _)) = self.bell.get() {
                // Full is as good as rung.
                let _ = (&*ours).write(&[1]);
            }
        }
        Ok(())
    }

    fn take(&self) -> VecDeque<Item> {
        let mut queue = self.queue();
        if std::mem::take(&mut queue.rung)
            && let Some((_, theirs)) = self.bell.get()
        {
            let _ = (&*theirs).read(&mut [0; 16]);
        }
        std::mem::take(&mut queue.items)
    }

    /// Waits until something is there, at the most so long: a signal has to be heard too.
    pub(crate) fn wait(&self, most: Duration) {
        let queue = self.queue();
        let empty = |queue: &mut Queue| queue.items.is_empty() && !queue.closed;
        let _ = self.rings.wait_timeout_while(queue, most, empty);
    }

    /// Carries out what is there.
    pub(crate) fn drain(&self, py: Python<'_>) {
        for item in self.take() {
            match item {
                Item::Resolve(future, answer) => resolve(py, future.bind(py), answer),
                Item::Start(start, load) => load.start(py, start.bind(py)),
                Item::Turn(start, turn) => turn.start(py, start.bind(py)),
                Item::Cancel(cancel) => {
                    if let Err(error) = cancel.call0(py) {
                        error.write_unraisable(py, Some(cancel.bind(py)));
                    }
                }
                Item::Ended => {}
            }
        }
    }
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Mailbox(pub(crate) Arc<Post>);

#[pymethods]
impl Mailbox {
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }

    fn fileno(&self) -> PyResult<i32> {
        if let Some((_, theirs)) = self.0.bell.get() {
            return Ok(theirs.as_raw_fd());
        }
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let (_, theirs) = self.0.bell.get_or_init(|| (ours, theirs));
        // What was put in before there was a bell has to be heard.
        let queue = self.0.queue();
        if queue.rung
            && let Some((ours, _)) = self.0.bell.get()
        {
            let _ = (&*ours).write(&[1]);
        }
        Ok(theirs.as_raw_fd())
    }

    fn drain(&self, py: Python<'_>) {
        self.0.drain(py);
    }

    fn close(&self, py: Python<'_>) {
        let items = {
            let mut queue = self.0.queue();
            queue.closed = true;
            std::mem::take(&mut queue.items)
        };
        self.0.rings.notify_all();
        // Loads that are dropped here fail, and say why.
        py.detach(|| drop(items));
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.closed = true;
        let items = std::mem::take(&mut queue.items);
        drop(queue);
        drop(items);
    }
}
