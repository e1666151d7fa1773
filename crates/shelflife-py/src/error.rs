//! Errors, as Python knows them.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use shelflife::{Error, ErrorKind, LoadError};

use crate::load::Fault;

create_exception!(
    shelflife._core,
    ShelflifeError,
    PyException,
    "What the cache has to tell: of settings, writes and invalidations. Reads don't raise it."
);
create_exception!(
    shelflife._core,
    Unavailable,
    ShelflifeError,
    "The store did not answer, or not in time: the write or the invalidation is not confirmed."
);
create_exception!(
    shelflife._core,
    Undecodable,
    PyException,
    "What is stored is not of this type."
);

create_exception!(
    shelflife._core,
    LoadLost,
    ShelflifeError,
    "The load that this waited for was cancelled, or its event loop ended."
);

struct Both {
    config: Py<PyType>,
    value: Py<PyType>,
    timeout: Py<PyType>,
}

/// Those that are one of ours and one of the language's.
static BOTH: PyOnceLock<Both> = PyOnceLock::new();

fn both(py: Python<'_>) -> PyResult<&Both> {
    BOTH.get_or_try_init(py, || {
        let make = |name: &str, doc: &str, other: Bound<'_, PyType>| -> PyResult<Py<PyType>> {
            let bases = PyTuple::new(py, [py.get_type::<ShelflifeError>(), other])?;
            let body = PyDict::new(py);
            body.set_item("__module__", "shelflife._core")?;
            body.set_item("__doc__", doc)?;
            let made = py.get_type::<PyType>().call1((name, bases, body))?;
            Ok(made.cast_into::<PyType>()?.unbind())
        };
        Ok(Both {
            config: make(
                "ConfigError",
                "A setting is unknown or can't be used.",
                py.get_type::<PyValueError>(),
            )?,
            value: make(
                "ValueNotStorable",
                "The value can't be encoded, or is over the size limit.",
                py.get_type::<PyTypeError>(),
            )?,
            timeout: make(
                "LoadTimeout",
                "The load took longer than hard_timeout.",
                py.get_type::<PyTimeoutError>(),
            )?,
        })
    })
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    m.add("ShelflifeError", py.get_type::<ShelflifeError>())?;
    m.add("Unavailable", py.get_type::<Unavailable>())?;
    m.add("LoadLost", py.get_type::<LoadLost>())?;
    m.add("Undecodable", py.get_type::<Undecodable>())?;
    let both = both(py)?;
    m.add("ConfigError", &both.config)?;
    m.add("ValueNotStorable", &both.value)?;
    m.add("LoadTimeout", &both.timeout)?;
    Ok(())
}

fn raise(py: Python<'_>, of: &Py<PyType>, text: String, kind: &str) -> PyErr {
    match of.call1(py, (text,)) {
        Ok(error) => {
            let error = error.into_bound(py);
            let _ = error.setattr("kind", kind);
            PyErr::from_value(error)
        }
        Err(error) => error,
    }
}

/// An error of the engine.
pub(crate) fn to_err(py: Python<'_>, error: &Error) -> PyErr {
    let plain = py.get_type::<ShelflifeError>().unbind();
    let away = py.get_type::<Unavailable>().unbind();
    let both = match both(py) {
        Ok(both) => both,
        Err(error) => return error,
    };
    let (of, kind) = match error.kind() {
        ErrorKind::Config => (&both.config, "config"),
        ErrorKind::Unsupported => (&plain, "unsupported"),
        ErrorKind::Denied => (&plain, "denied"),
        ErrorKind::Unavailable => (&away, "unavailable"),
        ErrorKind::Store => (&plain, "store"),
        ErrorKind::Value => (&both.value, "value"),
        ErrorKind::Handler => (&plain, "handler"),
        ErrorKind::Load => (&plain, "load"),
        ErrorKind::Overloaded => (&plain, "overloaded"),
        ErrorKind::Closed => (&away, "closed"),
        _ => (&plain, "other"),
    };
    raise(py, of, error.to_string(), kind)
}

/// Why a load has no value: the loader's own exception, unchanged, if it raised one.
pub(crate) fn load_to_err(py: Python<'_>, error: &LoadError<Fault>) -> PyErr {
    match error {
        LoadError::Source(fault) => fault.to_err(py),
        LoadError::TimedOut(after) => match both(py) {
            Ok(both) => {
                let text = format!("the load took longer than {after:?} (hard_timeout)");
                raise(py, &both.timeout, text, "load")
            }
            Err(error) => error,
        },
        LoadError::Panicked(text) | LoadError::Foreign(text) => {
            ShelflifeError::new_err(text.clone())
        }
        LoadError::Overloaded => {
            let plain = py.get_type::<ShelflifeError>().unbind();
            raise(py, &plain, error.to_string(), "overloaded")
        }
        other => ShelflifeError::new_err(format!("{other:?}")),
    }
}
