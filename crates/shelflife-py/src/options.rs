//! Options: a policy, as what it changes of the cache's own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use shelflife::{Cache, Codec, Policy, binding};

/// Seconds as the engine takes them.
pub(crate) fn duration(name: &str, seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!(
            "{name}={seconds}: expected a time in seconds, not less than 0"
        )));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[derive(Default)]
struct Changes {
    ttl: Option<Duration>,
    stale: Option<Duration>,
    stale_on_error: Option<bool>,
    negative_ttl: Option<Duration>,
    soft_timeout: Option<Duration>,
    hard_timeout: Option<Duration>,
    jitter: Option<f64>,
    early: Option<f64>,
    throttle: Option<Duration>,
    lease: Option<Duration>,
    settle: Option<Duration>,
    schema: Option<u32>,
    /// Whether objects of these values are kept beside their encoding.
    objects: bool,
}

impl Changes {
    fn of(&self, mut policy: Policy) -> Policy {
        macro_rules! set {
            ($($name:ident),*) => {$(
                if let Some(value) = self.$name {
                    policy = policy.$name(value);
                }
            )*};
        }
        set!(
            ttl,
            stale,
            stale_on_error,
            negative_ttl,
            soft_timeout,
            hard_timeout,
            jitter,
            early,
            throttle,
            lease,
            settle,
            schema
        );
        // Whatever others are told to write: nothing else brings every type back.
        binding::with_objects(policy.codec(Codec::MessagePack), self.objects)
    }
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Options {
    changes: Changes,
    /// For which cache, and the policy there. Held to look or to change.
    made: Mutex<Option<(u64, Arc<Policy>)>>,
}

#[pymethods]
impl Options {
    #[new]
    #[pyo3(signature = (*, ttl=None, stale=None, stale_on_error=None, negative_ttl=None, soft_timeout=None,
        hard_timeout=None, jitter=None, early=None, throttle=None, lease=None, settle=None,
        schema=None, objects=false))]
    #[expect(clippy::too_many_arguments, reason = "each is a keyword of Python's")]
    fn new(
        ttl: Option<f64>,
        stale: Option<f64>,
        stale_on_error: Option<bool>,
        negative_ttl: Option<f64>,
        soft_timeout: Option<f64>,
        hard_timeout: Option<f64>,
        jitter: Option<f64>,
        early: Option<f64>,
        throttle: Option<f64>,
        lease: Option<f64>,
        settle: Option<f64>,
        schema: Option<u32>,
        objects: bool,
    ) -> PyResult<Self> {
        let time = |name, value: Option<f64>| value.map(|s| duration(name, s)).transpose();
        let ttl = time("ttl", ttl)?;
        if ttl.is_some_and(|ttl| ttl.is_zero()) {
            return Err(PyValueError::new_err(
                "ttl=0: expected a time longer than zero; condition= leaves a call uncached",
            ));
        }
        let changes = Changes {
            ttl,
            stale: time("stale", stale)?,
            stale_on_error,
            negative_ttl: time("negative_ttl", negative_ttl)?,
            soft_timeout: time("soft_timeout", soft_timeout)?,
            hard_timeout: time("hard_timeout", hard_timeout)?,
            jitter,
            early,
            throttle: time("throttle", throttle)?,
            lease: time("lease", lease)?,
            settle: time("settle", settle)?,
            schema,
            objects,
        };
        Ok(Self {
            changes,
            made: Mutex::new(None),
        })
    }
}

impl Options {
    /// The policy in a cache, whose number this is.
    pub(crate) fn policy(&self, number: u64, cache: &Cache) -> Arc<Policy> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, policy)) = &*made
            && *of == number
        {
            return policy.clone();
        }
        let policy = Arc::new(self.changes.of(cache.policy().clone()));
        *made = Some((number, policy.clone()));
        policy
    }

    /// The number of the shape that values have; 0 accepts any.
    pub(crate) fn schema(&self) -> u32 {
        self.changes.schema.unwrap_or(0)
    }
}
