//! A directory of one's own, gone on drop.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells apart the directories of one process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// An empty directory under the system's temporary one. The name is short, because the path of a
/// Unix socket inside it may have no more than about 100 bytes.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the directory.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[expect(
        clippy::new_without_default,
        reason = "it makes a directory: nothing to be had by the way"
    )]
    pub fn new() -> Self {
        let base = std::env::temp_dir();
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("shelflife-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Self { path },
                // Left behind by a killed process that had the same id.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("cannot make {}: {error}", path.display()),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing to be done about a failure, and a panic here would hide the test's own.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
