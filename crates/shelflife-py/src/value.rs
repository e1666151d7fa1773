//! Values: from what is stored to the object that a caller gets.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};
use shelflife::Codec;
use shelflife::binding::Encoded;

use crate::copy;
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

/// An object beside its encoding.
struct Kept {
    object: Py<PyAny>,
    from: From,
}

/// Where an object that is kept came from, and so who may have it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// It is what was loaded, for callers that share it.
    Loaded,
    /// Made by the decoder of that number, for callers that share it.
    Made(u64),
    /// The same, made of plain types and given to nobody: to be copied.
    Plain(u64),
}

/// What was loaded, to be kept beside its encoding.
pub(crate) fn kept(object: Py<PyAny>) -> Box<dyn Any + Send + Sync> {
    let from = From::Loaded;
    Box::new(Kept { object, from })
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Decoder {
    number: u64,
    validate: Option<Py<PyAny>>,
    /// Whether only extension types need validation.
    only_ext: bool,
    /// `None`: any.
    expected: Option<Vec<Py<PyType>>>,
    immutable: bool,
}

#[pymethods]
impl Decoder {
    #[new]
    #[pyo3(signature = (validate=None, *, only_ext=false, expected=None, immutable=false))]
    fn new(
        validate: Option<Py<PyAny>>,
        only_ext: bool,
        expected: Option<Vec<Py<PyType>>>,
        immutable: bool,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            validate,
            only_ext,
            expected,
            immutable,
        }
    }
}

impl Decoder {
    pub(crate) fn is_immutable(&self) -> bool {
        self.immutable
    }

    /// The object that a caller gets: one of its own, unless it is `share`d.
    pub(crate) fn object(
        &self,
        py: Python<'_>,
        value: &Encoded,
        share: bool,
    ) -> PyResult<Py<PyAny>> {
        let share = share || self.immutable;
        let kept = value.object().and_then(|o| o.downcast_ref::<Kept>());
        match kept {
            Some(kept) if share && matches!(kept.from, From::Loaded) => {
                return Ok(kept.object.clone_ref(py));
            }
            Some(kept) if share && kept.from == From::Made(self.number) => {
                return Ok(kept.object.clone_ref(py));
            }
            Some(kept) if !share && kept.from == From::Plain(self.number) => {
                return Ok(copy::copy(kept.object.bind(py))?.unbind());
            }
            _ => {}
        }
        let object = self.made(py, value)?;
        if kept.is_some() || !value.keeps() {
            return Ok(object);
        }
        if share {
            value.keep(Box::new(Kept {
                object: object.clone_ref(py),
                from: From::Made(self.number),
            }));
        } else if copy::is_container(object.bind(py)) && copy::is_plain(object.bind(py))? {
            // To copy it is a fraction of what it is to make it again.
            value.keep(Box::new(Kept {
                object: copy::copy(object.bind(py))?.unbind(),
                from: From::Plain(self.number),
            }));
        }
        Ok(object)
    }

    fn made(&self, py: Python<'_>, value: &Encoded) -> PyResult<Py<PyAny>> {
        self.make(py, value).map_err(|error| {
            let told = Undecodable::new_err(format!("what is stored is not of this type: {error}"));
            told.set_cause(py, Some(error));
            told
        })
    }

    fn make(&self, py: Python<'_>, value: &Encoded) -> PyResult<Py<PyAny>> {
        let bytes = value.bytes();
        let (plain, has_ext) = match value.codec() {
            Codec::MessagePack => msgpack::read(py, bytes)?,
            Codec::Json => {
                let json = py.import(intern!(py, "json"))?;
                let read = json.call_method1(intern!(py, "loads"), (PyBytes::new(py, bytes),))?;
                (read, false)
            }
            _ => (PyBytes::new(py, bytes).into_any(), false),
        };
        if let Some(expected) = &self.expected {
            let kind = plain.get_type();
            if !expected.iter().any(|expected| kind.is(expected)) {
                return Err(PyValueError::new_err(format!("stored is {}", kind.name()?)));
            }
        }
        match &self.validate {
            Some(validate) if has_ext || !self.only_ext => validate.call1(py, (plain,)),
            _ => Ok(plain.unbind()),
        }
    }
}
