//! The cache itself: each call opens an entry of the engine, and begins a step.
//!
//! Keys and tags come as canonical text: Python has escaped what a user wrote, or `Func` has written it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use shelflife::binding::{self, Encoded, canonical_key, canonical_tag};
use shelflife::{Cache, Entry, Invalidation, ManualClock, Outcome, Pattern, Policy, Receipt};

use crate::chaos::Faults;
use crate::error::{load_to_err, to_err};
use crate::load::{Fault, Inside, Starter};
use crate::mailbox::Mailbox;
use crate::options::{Options, duration};
use crate::step::{Answer, begin};
use crate::value::{Decoder, miss};
use crate::write::Write;

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Clock(ManualClock);

#[pymethods]
impl Clock {
    #[new]
    fn new() -> Self {
        Self(ManualClock::new())
    }

    fn advance(&self, seconds: f64) -> PyResult<()> {
        self.0.advance(duration("seconds", seconds)?);
        Ok(())
    }
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Core {
    cache: Cache,
    number: u64,
}

impl Core {
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    fn new(cache: Cache) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            cache,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn policy(&self, options: &Py<Options>) -> Arc<Policy> {
        options.get().policy(self.number, &self.cache)
    }

    /// How a read is told: the decoder makes the object where it is wanted.
    fn found(decoder: Py<Decoder>, share: bool, value: Option<Encoded>) -> Answer {
        Answer::new(move |py| match value {
            Some(value) => decoder.get().object(py, &value, share),
            None => Ok(miss(py)),
        })
    }
}

/// An entry at the level that was asked for.
fn at_level<'a>(entry: Entry<'a>, level: Option<&Level>) -> Entry<'a> {
    match level {
        None => entry,
        Some(Level::Strict) => entry.strict(),
        Some(Level::Session(receipt)) => entry.session(*receipt),
    }
}

enum Level {
    Strict,
    Session(Receipt),
}

fn level(text: Option<&str>) -> PyResult<Option<Level>> {
    Ok(match text {
        None => None,
        Some("strict") => Some(Level::Strict),
        Some(receipt) => Some(Level::Session(receipt.parse().map_err(|_| {
            PyValueError::new_err(format!(
                "session={receipt:?}: expected the receipt of an invalidation"
            ))
        })?)),
    })
}

fn receipt(result: Result<Receipt, shelflife::Error>) -> Answer {
    Answer::new(move |py| match result {
        Ok(receipt) => Ok(receipt.to_string().into_pyobject(py)?.into_any().unbind()),
        Err(error) => Err(to_err(py, &error)),
    })
}

#[pymethods]
impl Core {
    #[staticmethod]
    #[pyo3(signature = (url, settings, environment, clock, faults=None))]
    fn open(
        py: Python<'_>,
        url: Option<String>,
        settings: &Bound<'_, PyDict>,
        environment: bool,
        clock: Option<Py<Clock>>,
        faults: Option<Py<Faults>>,
    ) -> PyResult<Py<PyAny>> {
        // What is read under the cache's own policy may be of a type whose objects are kept.
        let mut builder = binding::builder_with_objects(Cache::builder());
        if let Some(faults) = faults {
            builder = builder.chaos(&faults.get().0);
        }
        if environment {
            builder = builder.from_env().map_err(|error| to_err(py, &error))?;
        }
        if let Some(url) = url {
            builder = builder.url(url);
        }
        for (name, value) in settings {
            let (name, value): (String, String) = (name.extract()?, value.extract()?);
            builder = builder.setting(&name, &value);
        }
        if let Some(clock) = clock {
            builder = builder.clock(&clock.get().0);
        }
        begin(py, false, async move {
            let built = builder.build().await;
            Answer::new(move |py| match built {
                Ok(cache) => Ok(Py::new(py, Core::new(cache))?.into_any()),
                Err(error) => Err(to_err(py, &error)),
            })
        })
    }

    fn hit(
        &self,
        py: Python<'_>,
        key: &str,
        decoder: &Decoder,
        options: &Options,
        share: bool,
    ) -> PyResult<Py<PyAny>> {
        let found = binding::hit(&self.cache, key, options.schema(), Encoded::clone);
        match found {
            Some(value) => decoder.object(py, &value, share),
            None => Ok(miss(py)),
        }
    }

    #[pyo3(signature = (key, decoder, options, share, level=None))]
    fn get(
        &self,
        py: Python<'_>,
        key: String,
        decoder: Py<Decoder>,
        options: Py<Options>,
        share: bool,
        level: Option<&str>,
    ) -> PyResult<Py<PyAny>> {
        let (cache, policy, level) = (
            self.cache.clone(),
            self.policy(&options),
            self::level(level)?,
        );
        begin(py, false, async move {
            let entry = cache.entry(canonical_key(key)).shared_policy(policy);
            let found = at_level(entry, level.as_ref()).lookup::<Encoded>().await;
            let fresh = found
                .value
                .filter(|_| found.status.outcome() == Outcome::Hit);
            Self::found(decoder, share, fresh)
        })
    }

    fn get_many(
        &self,
        py: Python<'_>,
        keys: Vec<String>,
        decoder: Py<Decoder>,
        options: Py<Options>,
        share: bool,
    ) -> PyResult<Py<PyAny>> {
        // Under the cache's own policy: of the options only the shape counts for a read, and the decoder finds that out.
        let _ = options;
        let cache = self.cache.clone();
        begin(py, false, async move {
            let found = cache
                .get_many::<Encoded, _>(keys.into_iter().map(canonical_key))
                .await;
            Answer::new(move |py| {
                let objects = found
                    .iter()
                    .map(|value| match value {
                        Some(value) => decoder.get().object(py, value, share),
                        None => Ok(miss(py)),
                    })
                    .collect::<PyResult<Vec<_>>>()?;
                Ok(PyList::new(py, objects)?.into_any().unbind())
            })
        })
    }

    fn exists(&self, py: Python<'_>, key: String) -> PyResult<Py<PyAny>> {
        let cache = self.cache.clone();
        begin(py, false, async move {
            let there = cache.exists(canonical_key(key)).await;
            Answer::new(move |py| Ok(there.into_pyobject(py)?.to_owned().into_any().unbind()))
        })
    }

    fn ttl(&self, py: Python<'_>, key: String) -> PyResult<Py<PyAny>> {
        let cache = self.cache.clone();
        begin(py, false, async move {
            let left = cache
                .ttl(canonical_key(key))
                .await
                .map(|left| left.as_secs_f64());
            Answer::new(move |py| Ok(left.into_pyobject(py)?.into_any().unbind()))
        })
    }

    #[pyo3(signature = (key, tags, decoder, options, share, level, mailbox, start, refresh, inside=None))]
    #[expect(clippy::too_many_arguments, reason = "all that a load is")]
    fn load(
        &self,
        py: Python<'_>,
        key: String,
        tags: Vec<String>,
        decoder: Py<Decoder>,
        options: Py<Options>,
        share: bool,
        level: Option<&str>,
        mailbox: &Mailbox,
        start: Py<PyAny>,
        refresh: bool,
        inside: Option<&Inside>,
    ) -> PyResult<Py<PyAny>> {
        let (cache, policy, level) = (
            self.cache.clone(),
            self.policy(&options),
            self::level(level)?,
        );
        let starter = Starter {
            post: mailbox.0.clone(),
            start: Arc::new(start),
            shared: share || decoder.get().is_immutable(),
        };
        let work = async move {
            let entry = cache
                .entry(canonical_key(key))
                .shared_policy(policy)
                .tags(tags.into_iter().map(canonical_tag));
            let entry = at_level(entry, level.as_ref());
            let loaded = match refresh {
                false => entry.get_or_load(|| starter.one()).await,
                true => entry.refresh(|| starter.one()).await,
            };
            match loaded {
                Ok(value) => Self::found(decoder, share, Some(value)),
                Err(error) => Answer::new(move |py| Err(load_to_err(py, &error))),
            }
        };
        begin(py, false, binding::within(Inside::of(inside), work))
    }

    #[pyo3(signature = (keys, tags, decoder, options, share, mailbox, start, inside=None))]
    #[expect(clippy::too_many_arguments, reason = "all that a load is")]
    fn load_many(
        &self,
        py: Python<'_>,
        keys: Vec<String>,
        tags: Vec<Vec<String>>,
        decoder: Py<Decoder>,
        options: Py<Options>,
        share: bool,
        mailbox: &Mailbox,
        start: Py<PyAny>,
        inside: Option<&Inside>,
    ) -> PyResult<Py<PyAny>> {
        if keys.len() != tags.len() {
            return Err(PyValueError::new_err("as many lists of tags as keys"));
        }
        let (cache, policy) = (self.cache.clone(), self.policy(&options));
        let starter = Starter {
            post: mailbox.0.clone(),
            start: Arc::new(start),
            shared: share || decoder.get().is_immutable(),
        };
        let work = async move {
            let count = keys.len();
            let loaded = cache
                .get_or_load_many(
                    0..count,
                    |cache, &at| {
                        cache
                            .entry(canonical_key(keys[at].clone()))
                            .shared_policy(policy.clone())
                            .tags(tags[at].iter().cloned().map(canonical_tag))
                    },
                    move |wanted: Vec<usize>| starter.clone().many(wanted),
                )
                .await;
            Answer::new(move |py| match loaded {
                Ok(found) => {
                    let objects = (0..count)
                        .map(|at| match found.get(&at) {
                            Some(value) => decoder.get().object(py, value, share),
                            None => Ok(miss(py)),
                        })
                        .collect::<PyResult<Vec<_>>>()?;
                    Ok(PyList::new(py, objects)?.into_any().unbind())
                }
                Err(error) => Err(load_to_err(py, &error)),
            })
        };
        begin(py, false, binding::within(Inside::of(inside), work))
    }

    fn set(
        &self,
        py: Python<'_>,
        items: Vec<(String, Vec<String>, Vec<u8>)>,
        options: Py<Options>,
    ) -> PyResult<Py<PyAny>> {
        let (cache, policy) = (self.cache.clone(), self.policy(&options));
        begin(py, true, async move {
            let items = items.into_iter().map(|(key, tags, payload)| {
                let entry = cache
                    .entry(canonical_key(key))
                    .shared_policy(policy.clone())
                    .tags(tags.into_iter().map(canonical_tag));
                (entry, Encoded::new(Bytes::from(payload)))
            });
            receipt(binding::set(&cache, items.collect()).await)
        })
    }

    fn begin_write(
        &self,
        py: Python<'_>,
        key: String,
        tags: Vec<String>,
        options: Py<Options>,
    ) -> PyResult<Py<PyAny>> {
        let (cache, policy) = (self.cache.clone(), self.policy(&options));
        begin(py, false, async move {
            let entry = cache
                .entry(canonical_key(key))
                .shared_policy(policy)
                .tags(tags.into_iter().map(canonical_tag));
            let begun = entry.begin_write().await;
            Answer::new(move |py| match begun {
                Ok(write) => Ok(Py::new(py, Write::of(write))?.into_any()),
                Err(error) => Err(to_err(py, &error)),
            })
        })
    }

    #[pyo3(signature = (*, keys=Vec::new(), tags=Vec::new(), patterns=Vec::new(), all=false, soft=false, everywhere=false))]
    #[expect(clippy::too_many_arguments, reason = "each is a keyword of Python's")]
    fn invalidate(
        &self,
        py: Python<'_>,
        keys: Vec<String>,
        tags: Vec<String>,
        patterns: Vec<String>,
        all: bool,
        soft: bool,
        everywhere: bool,
    ) -> PyResult<Py<PyAny>> {
        let cache = self.cache.clone();
        let what = named(keys, tags, patterns, all, soft);
        begin(py, true, async move {
            let work = cache.invalidate(what);
            receipt(match everywhere {
                true => work.everywhere().await,
                false => work.await,
            })
        })
    }

    fn emit(&self, py: Python<'_>, name: String, payload: String) -> PyResult<Py<PyAny>> {
        let cache = self.cache.clone();
        begin(py, true, async move {
            receipt(binding::emit(&cache, &name, payload).await)
        })
    }

    fn on(&self, name: &str, mailbox: &Mailbox, start: Py<PyAny>) {
        let starter = Starter {
            post: mailbox.0.clone(),
            start: Arc::new(start),
            shared: false,
        };
        binding::on(&self.cache, name, move |payload: &str| {
            let (starter, payload) = (starter.clone(), payload.to_owned());
            async move {
                let asked = starter
                    .handle(payload)
                    .await
                    .map_err(|fault: Fault| fault.to_string())?;
                Ok(asked_for(&asked)?)
            }
        });
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let json = binding::stats_json(&self.cache);
        py.import("json")?.call_method1("loads", (json,))
    }

    fn prometheus(&self) -> String {
        self.cache.prometheus()
    }

    fn scrape(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let cache = self.cache.clone();
        begin(py, false, async move {
            let text = cache.scrape().await;
            Answer::new(move |py| Ok(PyString::new(py, &text).into_any().unbind()))
        })
    }

    fn ping(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let cache = self.cache.clone();
        begin(py, false, async move {
            let answered = cache.ping().await;
            Answer::new(move |py| match answered {
                Ok(()) => Ok(py.None()),
                Err(error) => Err(to_err(py, &error)),
            })
        })
    }

    fn close(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let cache = self.cache.clone();
        begin(py, true, async move {
            cache.close().await;
            Answer::new(|py| Ok(py.None()))
        })
    }

    #[staticmethod]
    fn reseed(seed: u64) {
        binding::reseed(seed);
    }

    fn leak(&self) {
        // One more that is never dropped: the last one ends threads, which a child does not have.
        std::mem::forget(self.cache.clone());
    }
}

fn named(
    keys: Vec<String>,
    tags: Vec<String>,
    patterns: Vec<String>,
    all: bool,
    soft: bool,
) -> Invalidation {
    let mut what = Invalidation::new()
        .keys(keys.into_iter().map(canonical_key))
        .tags(tags.into_iter().map(canonical_tag));
    for pattern in patterns {
        what = what.pattern(Pattern::from(pattern));
    }
    if all {
        what = what.all();
    }
    if soft {
        what = what.soft();
    }
    what
}

/// What a handler wants to be invalidated, as it packed it.
fn asked_for(value: &Encoded) -> Result<Invalidation, String> {
    let asked: binding::Asked = value.read().ok_or("the handler's answer can't be read")?;
    Ok(named(
        asked.keys,
        asked.tags,
        asked.patterns,
        asked.all,
        asked.soft,
    ))
}
