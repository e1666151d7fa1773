//! Duties: what is finished even if its caller goes away, and its caller's runtime with it. Sets and
//! invalidations are.
//!
//! ```text
//! the cache was built on              called from   it goes on
//! a runtime with threads of its own   anywhere      there
//! a runtime of one thread             there         there: whoever waits for it keeps it going
//!                                     elsewhere     on a thread for that, made when it is first needed
//! (embedded store: it does not wait)  anywhere      where it was called
//! ```
//!
//! A runtime of one thread goes on only while somebody waits in it. What others need must not depend on that.
//! Where even that runtime ends before the duty does, what was under way is owed.
//!
//! Must not: take what is the application's along. Loads and handlers stay on their caller's runtime.

use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::Engine;
use super::owed::Request;
use crate::invalidation::Invalidation;
use crate::store::LoggedEvent;

/// The thread for duties, if one was needed; its runtime, if it could be started.
#[derive(Default)]
pub(super) struct OwnThread(OnceLock<Option<Running>>);

struct Running {
    runtime: Handle,
    /// Dropped with the engine, which ends the thread.
    _until: oneshot::Sender<()>,
}

impl OwnThread {
    fn runtime(&self) -> Option<Handle> {
        let running = self.0.get_or_init(start);
        running.as_ref().map(|running| running.runtime.clone())
    }
}

fn start() -> Option<Running> {
    let (until, ended) = oneshot::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let body = move || match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let _ = tell.send(runtime.handle().clone());
            let _ = runtime.block_on(ended);
        }
        Err(error) => tracing::error!(%error, "no runtime for what outlives its caller"),
    };
    let thread = std::thread::Builder::new().name("shelflife-duty".into());
    if let Err(error) = thread.spawn(body) {
        tracing::error!(%error, "no thread for what outlives its caller");
        return None;
    }
    Some(Running {
        runtime: told.recv().ok()?,
        _until: until,
    })
}

/// Where a duty goes on.
pub(super) struct Ground {
    /// `None` outside of any runtime.
    runtime: Option<Handle>,
    /// Whether it is not the runtime on which the cache was built, and that one may stand still.
    pub(super) is_apart: bool,
}

impl Ground {
    pub(super) fn is_there(&self) -> bool {
        self.runtime.is_some()
    }
}

impl Engine {
    /// Where a duty of whoever calls this goes on.
    pub(super) fn ground(&self) -> Ground {
        let here = Handle::try_current().ok();
        let at_home = |runtime| Ground {
            runtime,
            is_apart: false,
        };
        let home = match &self.runtime {
            Some(home) if !self.store.is_private() => home,
            home => return at_home(here.or_else(|| home.clone())),
        };
        let is_here = here.as_ref().is_some_and(|here| here.id() == home.id());
        if is_here || home.runtime_flavor() != RuntimeFlavor::CurrentThread {
            return at_home(Some(home.clone()));
        }
        let own = self.own_thread.runtime();
        Ground {
            runtime: own.or(here).or_else(|| Some(home.clone())),
            is_apart: true,
        }
    }

    /// Runs a duty: it is finished even if its caller goes away.
    pub(super) fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.see_through_on(&self.ground(), work)
    }

    pub(super) fn see_through_on<T: Send + 'static>(
        &self,
        ground: &Ground,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let work = work.in_current_span();
        match &ground.runtime {
            Some(runtime) => self.tasks.spawn_on(work, runtime),
            None => self.tasks.spawn(work),
        }
    }
}

/// What the store is being asked for. Dropped before its [`end`](UnderWay::end) (the runtime is gone, or it
/// panicked), it is owed.
pub(crate) struct UnderWay {
    engine: Arc<Engine>,
    request: Option<Request>,
}

impl UnderWay {
    pub(crate) fn new(
        engine: &Arc<Engine>,
        what: &Arc<Invalidation>,
        event: Option<&Arc<LoggedEvent>>,
    ) -> Self {
        let request = Request {
            what: what.clone(),
            event: event.cloned(),
        };
        Self {
            engine: engine.clone(),
            request: Some(request),
        }
    }

    /// It was confirmed, or is owed already.
    pub(crate) fn end(mut self) {
        self.request = None;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(Request { what, event }) = self.request.take()
            && !(what.is_empty() && event.is_none())
        {
            self.engine.was_not_told(&what, event);
        }
    }
}
