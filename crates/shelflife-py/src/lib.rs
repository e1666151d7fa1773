//! The native half of shelflife's Python package: `shelflife._core`.
//!
//! Thin: it converts, calls the engine, and converts back. Its contract stands in `_core.pyi`.
//!
//! ```text
//!            a call ─► core.rs ─► engine ─┬─► there at once ─────────────────────► the value
//!                                         └─► a task of the runtime ─► step.rs ─┐
//!  loop ◄─ mailbox.rs ◄──────────────────────────────── done, or: run this load ┘
//! ```
//!
//! - `runtime`: the threads on which the engine works; begun anew after a fork.
//! - `mailbox`: how a loop or a thread hears of what is for it, without Rust's threads taking the GIL.
//! - `step`: something under way, and who waits for it.
//! - `load`: a loader of Python's, as the engine sees it.
//! - `func`: a decorated function: its key, its hit.
//! - `write`: writes that were announced.
//! - `http`: the layer around an ASGI application.
//! - `value`: from what is stored to an object.
//! - `copy`: a plain value once more.
//! - `msgpack`: the wire.
//!
//! Must not: hold policy, or a cache of its own.

use pyo3::prelude::*;

mod chaos;
mod copy;
mod core;
mod error;
mod func;
mod http;
mod load;
mod mailbox;
mod msgpack;
mod options;
mod runtime;
mod step;
mod value;
mod write;

/// See `_core.pyi`.
#[pymodule]
#[pyo3(name = "_core")]
fn core_module(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add("MISS", value::miss(py))?;
    error::register(m)?;
    m.add_class::<mailbox::Mailbox>()?;
    m.add_class::<step::Step>()?;
    m.add_class::<load::Load>()?;
    m.add_class::<load::Inside>()?;
    m.add_class::<options::Options>()?;
    m.add_class::<value::Decoder>()?;
    m.add_class::<msgpack::Ext>()?;
    m.add_class::<func::Func>()?;
    m.add_class::<core::Core>()?;
    m.add_class::<core::Clock>()?;
    m.add_class::<chaos::Faults>()?;
    m.add_class::<chaos::Guard>()?;
    m.add_class::<write::Write>()?;
    m.add_class::<http::rule::Rule>()?;
    m.add_class::<http::Layer>()?;
    m.add_class::<http::Passing>()?;
    m.add_class::<http::Asking>()?;
    m.add_class::<http::Storing>()?;
    m.add_class::<http::turn::Turn>()?;
    m.add_function(wrap_pyfunction!(msgpack::pack, m)?)?;
    m.add_function(wrap_pyfunction!(msgpack::unpack, m)?)?;
    m.add_function(wrap_pyfunction!(func::escape, m)?)?;
    m.add_function(wrap_pyfunction!(func::escape_part, m)?)?;
    Ok(())
}
