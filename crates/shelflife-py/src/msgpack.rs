//! MessagePack, to and from Python's objects.
//!
//! Specification: <https://github.com/msgpack/msgpack/blob/master/spec.md>. What comes from a store is not trusted: no length is
//! believed before its bytes are there, and nesting has an end.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use rmp::{Marker, encode as write};

/// How deep values may be nested. As deep as a cycle is followed before it is called one.
const DEEPEST: usize = 200;
/// How many keys of a map are remembered.
const KEYS: usize = 32;

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Ext {
    #[pyo3(get)]
    code: i8,
    data: Vec<u8>,
}

#[pymethods]
impl Ext {
    #[new]
    fn new(code: i8, data: Vec<u8>) -> Self {
        Self { code, data }
    }

    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.data)
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.code == other.code && self.data == other.data
    }

    fn __hash__(&self) -> u64 {
        u64::from(self.code.unsigned_abs())
    }
}

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (value, default=None))]
pub(crate) fn pack<'py>(
    py: Python<'py>,
    value: &Bound<'py, PyAny>,
    default: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::with_capacity(256);
    put(&mut out, value, default, 0)?;
    Ok(PyBytes::new(py, &out))
}

fn put(
    out: &mut Vec<u8>,
    value: &Bound<'_, PyAny>,
    default: Option<&Bound<'_, PyAny>>,
    depth: usize,
) -> PyResult<()> {
    if depth > DEEPEST {
        return Err(PyValueError::new_err(format!(
            "nested deeper than {DEEPEST}, or holds itself"
        )));
    }
    if let Ok(text) = value.cast_exact::<PyString>() {
        written(write::write_str(out, text.to_str()?))
    } else if value.is_none() {
        written(write::write_nil(out))
    } else if let Ok(yes) = value.cast_exact::<PyBool>() {
        written(write::write_bool(out, yes.is_true()))
    } else if let Ok(number) = value.cast_exact::<PyInt>() {
        if let Ok(number) = number.extract::<i64>() {
            write::write_sint(out, number).map(drop).map_err(odd)
        } else if let Ok(number) = number.extract::<u64>() {
            write::write_uint(out, number).map(drop).map_err(odd)
        } else {
            Err(PyValueError::new_err(
                "an int of more than 64 bits can't be stored",
            ))
        }
    } else if let Ok(number) = value.cast_exact::<PyFloat>() {
        written(write::write_f64(out, number.value()))
    } else if let Ok(map) = value.cast_exact::<PyDict>() {
        write::write_map_len(out, length(map.len())?).map_err(odd)?;
        for (key, value) in map {
            put(out, &key, default, depth + 1)?;
            put(out, &value, default, depth + 1)?;
        }
        Ok(())
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        write::write_array_len(out, length(list.len())?).map_err(odd)?;
        for item in list {
            put(out, &item, default, depth + 1)?;
        }
        Ok(())
    } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        written(write::write_bin(out, bytes.as_bytes()))
    } else if let Ok(ext) = value.cast::<Ext>() {
        let ext = ext.get();
        write::write_ext_meta(out, length(ext.data.len())?, ext.code).map_err(odd)?;
        out.extend_from_slice(&ext.data);
        Ok(())
    } else if let Some(default) = default {
        put(out, &default.call1((value,))?, Some(default), depth + 1)
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        write::write_array_len(out, length(tuple.len())?).map_err(odd)?;
        for item in tuple {
            put(out, &item, default, depth + 1)?;
        }
        Ok(())
    } else {
        Err(PyTypeError::new_err(format!(
            "a {} can't be stored",
            value.get_type().fully_qualified_name()?
        )))
    }
}

fn written<E: std::fmt::Debug>(how: Result<(), E>) -> PyResult<()> {
    how.map_err(odd)
}

fn odd(error: impl std::fmt::Debug) -> PyErr {
    PyValueError::new_err(format!("can't be written: {error:?}"))
}

fn length(len: usize) -> PyResult<u32> {
    u32::try_from(len).map_err(|_| PyValueError::new_err("more than 4 GiB"))
}

/// See `_core.pyi`.
#[pyfunction]
pub(crate) fn unpack<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    Ok(read(py, payload)?.0)
}

/// What the bytes say, and whether an extension type is in it.
pub(crate) fn read<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<(Bound<'py, PyAny>, bool)> {
    let mut reader = Reader {
        py,
        rest: bytes,
        has_ext: false,
        keys: Default::default(),
    };
    let value = reader.value(0)?;
    match reader.rest {
        [] => Ok((value, reader.has_ext)),
        _ => Err(broken("there is more behind it")),
    }
}

fn broken(what: &str) -> PyErr {
    PyValueError::new_err(format!("not MessagePack: {what}"))
}

struct Reader<'py, 'a> {
    py: Python<'py>,
    rest: &'a [u8],
    has_ext: bool,
    /// By depth and place: the bytes of the last key there, and the key.
    keys: [Vec<(&'a [u8], Bound<'py, PyAny>)>; 4],
}

impl<'py, 'a> Reader<'py, 'a> {
    fn take(&mut self, len: usize) -> PyResult<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| broken("it breaks off"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> PyResult<[u8; N]> {
        self.take(N)?
            .try_into()
            .map_err(|_| broken("it breaks off"))
    }

    fn len<const N: usize>(&mut self) -> PyResult<usize> {
        let bytes = self.number::<N>()?;
        Ok(bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
    }

    fn value(&mut self, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        if depth > DEEPEST {
            return Err(broken("nested too deep"));
        }
        let py = self.py;
        let [marker] = self.number::<1>()?;
        macro_rules! number {
            ($t:ty) => {
                <$t>::from_be_bytes(self.number()?)
                    .into_pyobject(py)?
                    .into_any()
            };
        }
        Ok(match Marker::from_u8(marker) {
            Marker::FixPos(n) => n.into_pyobject(py)?.into_any(),
            Marker::FixNeg(n) => n.into_pyobject(py)?.into_any(),
            Marker::Null => py.None().into_bound(py),
            Marker::True => PyBool::new(py, true).to_owned().into_any(),
            Marker::False => PyBool::new(py, false).to_owned().into_any(),
            Marker::U8 => number!(u8),
            Marker::U16 => number!(u16),
            Marker::U32 => number!(u32),
            Marker::U64 => number!(u64),
            Marker::I8 => number!(i8),
            Marker::I16 => number!(i16),
            Marker::I32 => number!(i32),
            Marker::I64 => number!(i64),
            Marker::F32 => number!(f32),
            Marker::F64 => number!(f64),
            Marker::FixStr(n) => self.text(usize::from(n))?,
            Marker::Str8 => {
                let n = self.len::<1>()?;
                self.text(n)?
            }
            Marker::Str16 => {
                let n = self.len::<2>()?;
                self.text(n)?
            }
            Marker::Str32 => {
                let n = self.len::<4>()?;
                self.text(n)?
            }
            Marker::Bin8 => {
                let n = self.len::<1>()?;
                PyBytes::new(py, self.take(n)?).into_any()
            }
            Marker::Bin16 => {
                let n = self.len::<2>()?;
                PyBytes::new(py, self.take(n)?).into_any()
            }
            Marker::Bin32 => {
                let n = self.len::<4>()?;
                PyBytes::new(py, self.take(n)?).into_any()
            }
            Marker::FixArray(n) => self.list(usize::from(n), depth)?,
            Marker::Array16 => {
                let n = self.len::<2>()?;
                self.list(n, depth)?
            }
            Marker::Array32 => {
                let n = self.len::<4>()?;
                self.list(n, depth)?
            }
            Marker::FixMap(n) => self.map(usize::from(n), depth)?,
            Marker::Map16 => {
                let n = self.len::<2>()?;
                self.map(n, depth)?
            }
            Marker::Map32 => {
                let n = self.len::<4>()?;
                self.map(n, depth)?
            }
            Marker::FixExt1 => self.ext(1)?,
            Marker::FixExt2 => self.ext(2)?,
            Marker::FixExt4 => self.ext(4)?,
            Marker::FixExt8 => self.ext(8)?,
            Marker::FixExt16 => self.ext(16)?,
            Marker::Ext8 => {
                let n = self.len::<1>()?;
                self.ext(n)?
            }
            Marker::Ext16 => {
                let n = self.len::<2>()?;
                self.ext(n)?
            }
            Marker::Ext32 => {
                let n = self.len::<4>()?;
                self.ext(n)?
            }
            Marker::Reserved => return Err(broken("a reserved byte")),
        })
    }

    fn text(&mut self, len: usize) -> PyResult<Bound<'py, PyAny>> {
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| broken("text is not UTF-8"))?;
        Ok(PyString::new(self.py, text).into_any())
    }

    fn list(&mut self, len: usize, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        // Each item is a byte at least: a longer claim is a lie, and nothing is made for it.
        if len > self.rest.len() {
            return Err(broken("it breaks off"));
        }
        let list = PyList::empty(self.py);
        for _ in 0..len {
            list.append(self.value(depth + 1)?)?;
        }
        Ok(list.into_any())
    }

    fn map(&mut self, len: usize, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        if len > self.rest.len() {
            return Err(broken("it breaks off"));
        }
        let map = PyDict::new(self.py);
        for at in 0..len {
            let key = self.key(at, depth)?;
            map.set_item(key, self.value(depth + 1)?)?;
        }
        Ok(map.into_any())
    }

    /// A key. Maps of one depth mostly have the same ones in the same places: then it is the same text, whose hash is known.
    fn key(&mut self, at: usize, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        let Some(kept) = self.keys.get_mut(depth) else {
            return self.value(depth + 1);
        };
        if let Some((bytes, key)) = kept.get(at)
            && let Some(rest) = self.rest.strip_prefix(*bytes)
        {
            self.rest = rest;
            return Ok(key.clone());
        }
        let before = self.rest;
        let key = self.value(depth + 1)?;
        let kept = &mut self.keys[depth];
        if at < KEYS && key.is_exact_instance_of::<PyString>() {
            let bytes = &before[..before.len() - self.rest.len()];
            if kept.len() == at {
                kept.push((bytes, key.clone()));
            } else if let Some(known) = kept.get_mut(at) {
                *known = (bytes, key.clone());
            }
        }
        Ok(key)
    }

    fn ext(&mut self, len: usize) -> PyResult<Bound<'py, PyAny>> {
        let [code] = self.number::<1>()?;
        self.has_ext = true;
        let data = self.take(len)?.to_vec();
        let code = i8::from_be_bytes([code]);
        Ok(Bound::new(self.py, Ext { code, data })?.into_any())
    }
}
