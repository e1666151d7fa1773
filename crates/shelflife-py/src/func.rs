//! A decorated function: from the arguments of a call to its key, and to what L1 has under it.
//!
//! The plan is made once, in Python, from the signature; here it is followed for each call.

use std::cell::Cell;
use std::fmt::Write as _;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyList, PyString, PyTuple};
use shelflife::binding;

use crate::core::Core;
use crate::options::Options;
use crate::value::{Decoder, miss};

/// See `_core.pyi`.
#[pyfunction]
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    binding::escape(&mut out, text, false);
    out
}

/// See `_core.pyi`.
#[pyfunction]
pub(crate) fn escape_part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    binding::escape(&mut out, text, true);
    out
}

struct Param {
    name: Py<PyString>,
    kind: Kind,
    default: Option<Py<PyAny>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Positional,
    Either,
    Keyword,
}

enum Piece {
    Literal(String),
    Part(Part),
}

struct Part {
    param: usize,
    /// Attributes, or items where there are none, to follow.
    path: Vec<String>,
    typed: bool,
}

type Pieces = Vec<Piece>;

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Func {
    params: Vec<Param>,
    /// How many may be given by position.
    positional: usize,
    key: Pieces,
    tags: Vec<Pieces>,
    part: Py<PyAny>,
    bind: Py<PyAny>,
    decoder: Py<Decoder>,
    options: Py<Options>,
    share: bool,
}

#[pymethods]
impl Func {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "the whole plan of a function")]
    fn new(
        params: Vec<(Py<PyString>, u8, bool, Py<PyAny>)>,
        key: Vec<Bound<'_, PyAny>>,
        tags: Vec<Vec<Bound<'_, PyAny>>>,
        part: Py<PyAny>,
        bind: Py<PyAny>,
        decoder: Py<Decoder>,
        options: Py<Options>,
        share: bool,
    ) -> PyResult<Self> {
        let params = params
            .into_iter()
            .map(|(name, kind, has, default)| {
                let kind = match kind {
                    0 => Kind::Positional,
                    1 => Kind::Either,
                    2 => Kind::Keyword,
                    other => {
                        return Err(PyTypeError::new_err(format!("not a kind: {other}")));
                    }
                };
                Ok(Param {
                    name,
                    kind,
                    default: has.then_some(default),
                })
            })
            .collect::<PyResult<Vec<_>>>()?;
        let positional = params.iter().filter(|p| p.kind != Kind::Keyword).count();
        let pieces = |all: Vec<Bound<'_, PyAny>>| all.iter().map(piece).collect();
        Ok(Self {
            positional,
            params,
            key: pieces(key)?,
            tags: tags.into_iter().map(pieces).collect::<PyResult<_>>()?,
            part,
            bind,
            decoder,
            options,
            share,
        })
    }

    fn hit(
        &self,
        py: Python<'_>,
        core: &Core,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<Py<PyAny>> {
        thread_local! {
            /// Room for the key of one call, used again for the next.
            static KEY: Cell<String> = const { Cell::new(String::new()) };
        }
        let mut key = KEY.take();
        key.clear();
        let values = self.values(args, kwargs)?;
        self.write(py, &mut key, &self.key, &values)?;
        let schema = self.options.get().schema();
        let decoder = self.decoder.get();
        let found = binding::hit(core.cache(), &key, schema, |value| {
            // One of its own may take a while to make, or fail: L1 is not held meanwhile.
            value.clone()
        });
        KEY.set(key);
        match found {
            Some(value) => decoder.object(py, &value, self.share),
            None => Ok(miss(py)),
        }
    }

    fn key(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<String> {
        let mut key = String::new();
        let values = self.values(args, kwargs)?;
        self.write(py, &mut key, &self.key, &values)?;
        Ok(key)
    }

    fn tags(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<Vec<String>> {
        let values = self.values(args, kwargs)?;
        self.tags
            .iter()
            .map(|pieces| {
                let mut tag = String::new();
                self.write(py, &mut tag, pieces, &values)?;
                Ok(tag)
            })
            .collect()
    }
}

fn piece(given: &Bound<'_, PyAny>) -> PyResult<Piece> {
    if let Ok(text) = given.extract::<String>() {
        return Ok(Piece::Literal(text));
    }
    let (param, path, typed) = given.extract()?;
    Ok(Piece::Part(Part { param, path, typed }))
}

impl Func {
    /// One value for each parameter, as the language binds them.
    fn values<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        if let Some(values) = self.bound(args, kwargs)? {
            return Ok(values);
        }
        // It doesn't fit, or takes any number: Python binds it, or says what is wrong.
        let values = self.bind.bind(args.py()).call1((args, kwargs))?;
        Ok(values.cast_into::<PyList>()?.iter().collect())
    }

    fn bound<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
        let py = args.py();
        let (given, mut named) = (args.len(), kwargs.len());
        if self.params.is_empty() || given > self.positional {
            return Ok(None);
        }
        let mut values = Vec::with_capacity(self.params.len());
        for (at, param) in self.params.iter().enumerate() {
            if at < given {
                values.push(args.get_item(at)?);
                continue;
            }
            if named > 0
                && param.kind != Kind::Positional
                && let Some(value) = kwargs.get_item(param.name.bind(py))?
            {
                values.push(value);
                named -= 1;
                continue;
            }
            match &param.default {
                Some(default) => values.push(default.bind(py).clone()),
                None => return Ok(None),
            }
        }
        // What is left names nothing, or something that was given already.
        Ok((named == 0).then_some(values))
    }

    fn write(
        &self,
        py: Python<'_>,
        out: &mut String,
        pieces: &Pieces,
        values: &[Bound<'_, PyAny>],
    ) -> PyResult<()> {
        for piece in pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Part(part) => {
                    let value = values
                        .get(part.param)
                        .ok_or_else(|| PyTypeError::new_err("bind() gave too few values"))?;
                    if part.path.is_empty() {
                        self.write_part(py, out, value, part.typed)?;
                    } else {
                        let value = follow(value, &part.path)?;
                        self.write_part(py, out, &value, part.typed)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_part(
        &self,
        py: Python<'_>,
        out: &mut String,
        value: &Bound<'_, PyAny>,
        typed: bool,
    ) -> PyResult<()> {
        if let Ok(number) = value.cast_exact::<PyInt>()
            && let Ok(number) = number.extract::<i64>()
        {
            let _ = write!(out, "{number}");
        } else if let Ok(text) = value.cast_exact::<PyString>() {
            if typed {
                out.push('\'');
            }
            binding::escape(out, text.to_str()?, true);
        } else if let Ok(yes) = value.cast_exact::<PyBool>() {
            out.push_str(match (typed, yes.is_true()) {
                (false, true) => "true",
                (false, false) => "false",
                (true, true) => "%t",
                (true, false) => "%f",
            });
        } else if value.is_none() {
            out.push_str("%_");
        } else {
            let text = self.part.bind(py).call1((value, typed))?;
            out.push_str(text.cast::<PyString>()?.to_str()?);
        }
        Ok(())
    }
}

fn follow<'py>(value: &Bound<'py, PyAny>, path: &[String]) -> PyResult<Bound<'py, PyAny>> {
    let mut at = value.clone();
    for name in path {
        at = match at.getattr(name.as_str()) {
            Ok(next) => next,
            Err(_) => at.get_item(name.as_str())?,
        };
    }
    Ok(at)
}
