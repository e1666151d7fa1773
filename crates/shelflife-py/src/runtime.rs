//! The threads on which the engine works. A forked child has none of its parent's, and begins its own.

use std::sync::{Mutex, PoisonError};

use pyo3::PyResult;
use pyo3::exceptions::PyOSError;
use pyo3::marker::Python;
use tokio::runtime::{Builder, Runtime};

/// Loads run in Python: these threads only wait for sockets and judge what came.
const THREADS: usize = 2;

/// Of which process, and its runtime. Held under the GIL only, so nobody holds it when a thread forks.
static MINE: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

/// This process's runtime. It is never dropped: a child that dropped its parent's would wait for threads that it
/// does not have.
pub(crate) fn runtime(_: Python<'_>) -> PyResult<&'static Runtime> {
    let mut mine = MINE.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some((of, runtime)) = *mine
        && of == process
    {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("shelflife")
        .enable_all()
        .build()
        .map_err(|error| PyOSError::new_err(format!("no threads for the cache: {error}")))?;
    let runtime: &'static Runtime = Box::leak(Box::new(runtime));
    *mine = Some((process, runtime));
    Ok(runtime)
}
