//! A value whose drop panics once, on a thread of the cache.

use std::sync::Mutex;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Fused {
    /// The name of the thread on which the first drop panics.
    thread: String,
}

/// The threads on which one has panicked: each does once.
static BLOWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Fused {
    pub(crate) fn on(thread: &str) -> Self {
        Self {
            thread: thread.to_owned(),
        }
    }

    pub(crate) fn is_blown(thread: &str) -> bool {
        BLOWN.lock().unwrap().iter().any(|name| name == thread)
    }
}

impl Drop for Fused {
    fn drop(&mut self) {
        let thread = std::thread::current();
        if thread.name() == Some(&self.thread) && !Self::is_blown(&self.thread) {
            BLOWN.lock().unwrap().push(self.thread.clone());
            panic!("the drop of a value");
        }
    }
}
