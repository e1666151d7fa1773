//! Faults on purpose, for tests: the engine's own kit, by the words of Python.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use shelflife::chaos::{self, Target};

use crate::options::duration;

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Faults(pub(crate) chaos::Faults);

#[pymethods]
impl Faults {
    #[new]
    fn new() -> Self {
        Self(chaos::Faults::new())
    }

    fn reseed(&self, seed: u64) {
        self.0.reseed(seed);
    }

    fn heal(&self) {
        self.0.heal();
    }

    #[pyo3(signature = (target, what, delay=None, times=None, chance=1.0))]
    fn make(
        &self,
        target: &str,
        what: &str,
        delay: Option<f64>,
        times: Option<u64>,
        chance: f64,
    ) -> PyResult<Guard> {
        let known = Target::ALL
            .into_iter()
            .find(|known| known.as_str() == target);
        let Some(target) = known else {
            let names: Vec<_> = Target::ALL.iter().map(|target| target.as_str()).collect();
            return Err(PyValueError::new_err(format!(
                "faults on {target:?}: expected one of {}",
                names.join(", ")
            )));
        };
        if !(0.0..=1.0).contains(&chance) {
            return Err(PyValueError::new_err(format!(
                "chance={chance}: expected a probability from 0.0 to 1.0"
            )));
        }
        let mut fault = self.0.on(target).chance(chance);
        if let Some(times) = times {
            fault = fault.next(times);
        }
        let guard = match (what, delay) {
            ("error", None) => fault.error(),
            ("freeze", None) => fault.freeze(),
            ("lose", None) => fault.lose(),
            ("delay", Some(delay)) => fault.delay(duration("delay", delay)?),
            _ => {
                return Err(PyValueError::new_err(format!(
                    "a fault {what:?}: expected error, freeze, lose, or delay with its time"
                )));
            }
        };
        Ok(Guard(Mutex::new(State {
            guard: Some(guard),
            struck: 0,
        })))
    }
}

struct State {
    guard: Option<chaos::Guard>,
    /// As of its end.
    struck: u64,
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Guard(Mutex<State>);

#[pymethods]
impl Guard {
    #[getter]
    fn struck(&self) -> u64 {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .guard
            .as_ref()
            .map_or(state.struck, chaos::Guard::struck)
    }

    fn end(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = state.guard.take() {
            state.struck = guard.struck();
        }
    }
}
