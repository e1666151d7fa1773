//! Writes that were announced.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use shelflife::binding::Encoded;

use crate::error::to_err;
use crate::runtime::runtime;
use crate::step::{Answer, begin};

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Write(Mutex<Option<shelflife::Write>>);

impl Write {
    pub(crate) fn of(write: shelflife::Write) -> Self {
        Self(Mutex::new(Some(write)))
    }

    fn take(&self) -> Option<shelflife::Write> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Write {
    fn finish(&self, py: Python<'_>, payload: Cow<'_, [u8]>) -> PyResult<Py<PyAny>> {
        let Some(write) = self.take() else {
            return Err(PyRuntimeError::new_err("the write has ended already"));
        };
        let value = Encoded::new(Bytes::copy_from_slice(&payload));
        begin(py, true, async move {
            let finished = write.finish(value).await;
            Answer::new(move |py| match finished {
                Ok((_, stored)) => Ok(stored.into_pyobject(py)?.to_owned().into_any().unbind()),
                Err(error) => Err(to_err(py, &error)),
            })
        })
    }

    fn abandon(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(write) = self.take() {
            let _entered = runtime(py)?.enter();
            write.abandon();
        }
        Ok(())
    }
}

/// Left open: its key is invalidated behind, which takes the runtime.
impl Drop for Write {
    fn drop(&mut self) {
        let write = self.take();
        if write.is_some() {
            Python::attach(|py| {
                if let Ok(runtime) = runtime(py) {
                    let _entered = runtime.enter();
                    drop(write);
                }
            });
        }
    }
}
