//! What went over the wires of one case, for a reader.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use crate::wire::Fields;

/// The record of a case; nothing is kept unless it was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Option<Arc<Mutex<String>>>);

impl Trace {
    pub(crate) fn kept() -> Self {
        Trace(Some(Arc::default()))
    }

    pub(crate) fn message(&self, who: &str, start: &str, fields: &Fields, body: &str) {
        self.write(|text| {
            let _ = writeln!(text, "── {who}\n   {start}");
            for (name, value) in fields.iter() {
                let _ = writeln!(text, "   {name}: {value}");
            }
            if !body.is_empty() {
                let _ = writeln!(text, "\n   {body:?}");
            }
        });
    }

    pub(crate) fn note(&self, what: &str) {
        self.write(|text| {
            let _ = writeln!(text, "── {what}");
        });
    }

    pub(crate) fn text(&self) -> String {
        self.0.as_ref().map_or_else(String::new, |kept| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }

    fn write(&self, how: impl FnOnce(&mut String)) {
        if let Some(kept) = &self.0 {
            // A poisoned record is a text that ends early.
            how(&mut kept.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}
