//! Being asked to end.
//!
//! Must not: end anything itself.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// The same, and when the terminal goes away.
pub(crate) fn end_or_hangup() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|error| Failure::new(format!("cannot listen for signals: {error}")))?;
    let end = end()?;
    Ok(async move {
        tokio::select! {
            () = end => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Resolves at the first Ctrl-C or SIGTERM; from the call on, neither kills the process.
pub(crate) fn end() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let install = |kind| {
        signal(kind).map_err(|error| Failure::new(format!("cannot listen for signals: {error}")))
    };
    let mut interrupt = install(SignalKind::interrupt())?;
    let mut terminate = install(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
