//! Copies of plain values: what they are made of, and may be shared, is; dicts, lists and sets are new.
//!
//! Must not: copy what it does not know. What is not [plain](is_plain) is made anew by its decoder.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PySet, PyString, PyTuple, PyType,
};

/// How deep a value may be nested to be copied.
const DEEPEST: usize = 64;

/// Types of the standard library whose objects can't be changed.
fn unchangeable(py: Python<'_>) -> PyResult<&[Py<PyType>]> {
    static KNOWN: PyOnceLock<Vec<Py<PyType>>> = PyOnceLock::new();
    let known = KNOWN.get_or_try_init(py, || {
        [
            ("datetime", "datetime"),
            ("datetime", "date"),
            ("datetime", "time"),
            ("datetime", "timedelta"),
            ("decimal", "Decimal"),
            ("uuid", "UUID"),
        ]
        .into_iter()
        .map(|(module, name)| {
            Ok(py
                .import(module)?
                .getattr(name)?
                .cast_into::<PyType>()?
                .unbind())
        })
        .collect::<PyResult<Vec<_>>>()
    })?;
    Ok(known)
}

/// Whether all of a value is known: [`copy`] gives another that shares nothing which can be changed.
pub(crate) fn is_plain(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    all(value, 0, true)
}

/// Whether somebody who has it could change it for others.
pub(crate) fn is_container(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyDict>()
        || value.is_exact_instance_of::<PyList>()
        || value.is_exact_instance_of::<PySet>()
}

/// `open`: dicts, lists and sets may be in it.
fn all(value: &Bound<'_, PyAny>, depth: usize, open: bool) -> PyResult<bool> {
    if depth > DEEPEST {
        return Ok(false);
    }
    if is_leaf(value)? {
        return Ok(true);
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        for (key, below) in dict {
            if !open || !all(&key, depth + 1, false)? || !all(&below, depth + 1, true)? {
                return Ok(false);
            }
        }
        return Ok(open);
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        for below in list {
            if !open || !all(&below, depth + 1, true)? {
                return Ok(false);
            }
        }
        return Ok(open);
    }
    if let Ok(set) = value.cast_exact::<PySet>() {
        for below in set {
            if !open || !all(&below, depth + 1, false)? {
                return Ok(false);
            }
        }
        return Ok(open);
    }
    // A tuple is handed on as it is.
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        for below in tuple {
            if !all(&below, depth + 1, false)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    Ok(false)
}

fn is_leaf(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    if value.is_none()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyBytes>()
    {
        return Ok(true);
    }
    let kind = value.get_type();
    let known = unchangeable(value.py())?;
    Ok(known.iter().any(|known| kind.is(known)))
}

/// A copy of a plain value.
pub(crate) fn copy<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        let made = dict.copy()?;
        for (key, below) in dict {
            if is_container(&below) {
                made.set_item(key, copy(&below)?)?;
            }
        }
        return Ok(made.into_any());
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        let made = list.get_slice(0, list.len());
        for (at, below) in list.iter().enumerate() {
            if is_container(&below) {
                made.set_item(at, copy(&below)?)?;
            }
        }
        return Ok(made.into_any());
    }
    if let Ok(set) = value.cast_exact::<PySet>() {
        return Ok(PySet::new(value.py(), set)?.into_any());
    }
    Ok(value.clone())
}
