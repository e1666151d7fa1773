//! Values: from what is stored to the object that a caller gets.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use shelflife::Codec;
use shelflife::binding::Encoded;

use crate::error::Undecodable;
use crate::msgpack;

/// The type of `MISS`.
#[pyclass(frozen, module = "shelflife._core", name = "_Miss")]
struct Miss;

#[pymethods]
impl Miss {
    fn __bool__(&self) -> bool {
        false
    }

    fn __repr__(&self) -> &'static str {
        "MISS"
    }
}

static MISS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// There is no value.
pub(crate) fn miss(py: Python<'_>) -> Py<PyAny> {
    let made = MISS.get_or_init(py, || match Py::new(py, Miss) {
        Ok(miss) => miss.into_any(),
        Err(_) => py.NotImplemented(),
    });
    made.clone_ref(py)
}

/// An object beside its encoding, and by which decoder it was made; 0: it is what was loaded.
struct Kept {
    by: u64,
    object: Py<PyAny>,
}

/// What was loaded, to be kept beside its encoding.
pub(crate) fn kept(object: Py<PyAny>) -> Box<dyn Any + Send + Sync> {
    Box::new(Kept { by: 0, object })
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Decoder {
    number: u64,
    validate: Option<Py<PyAny>>,
    immutable: bool,
}

#[pymethods]
impl Decoder {
    #[new]
    #[pyo3(signature = (validate=None, *, immutable=false))]
    fn new(validate: Option<Py<PyAny>>, immutable: bool) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            validate,
            immutable,
        }
    }
}

impl Decoder {
    /// The object that a caller gets: one of its own, unless it is `share`d.
    pub(crate) fn object(
        &self,
        py: Python<'_>,
        value: &Encoded,
        share: bool,
    ) -> PyResult<Py<PyAny>> {
        let share = share || self.immutable;
        if share
            && let Some(kept) = value.object().and_then(|o| o.downcast_ref::<Kept>())
            && (kept.by == self.number || kept.by == 0)
        {
            return Ok(kept.object.clone_ref(py));
        }
        let object = self.make(py, value).map_err(|error| {
            let told = Undecodable::new_err(format!("what is stored is not of this type: {error}"));
            told.set_cause(py, Some(error));
            told
        })?;
        if share {
            value.keep(Box::new(Kept {
                by: self.number,
                object: object.clone_ref(py),
            }));
        }
        Ok(object)
    }

    fn make(&self, py: Python<'_>, value: &Encoded) -> PyResult<Py<PyAny>> {
        let bytes = value.bytes();
        let plain = match value.codec() {
            Codec::MessagePack => msgpack::read(py, bytes)?,
            Codec::Json => {
                let json = py.import(intern!(py, "json"))?;
                json.call_method1(intern!(py, "loads"), (PyBytes::new(py, bytes),))?
            }
            _ => PyBytes::new(py, bytes).into_any(),
        };
        match &self.validate {
            Some(validate) => validate.call1(py, (plain,)),
            None => Ok(plain.unbind()),
        }
    }
}
