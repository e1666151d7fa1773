//! The demo's database: a SQLite file behind a handful of connections.
//!
//! SQLite blocks, so that every query runs on a blocking thread. A permit is taken first: no more
//! queries run than there are connections, and the others wait without holding a thread.
//!
//! On Unix an open file outlives its name. A server that went on reading a deleted database would
//! never notice that it is gone, so each query first asks whether the path still leads to the file
//! that its connection has open.
//!
//! Must not: know HTTP, JSON or the cache. What is asked of the database is in `queries`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::Semaphore;

/// Readers do not wait for one another in WAL mode; beyond the cores there is nothing to gain.
const CONNECTIONS: usize = 4;

/// How long a writer waits for another one, of this process or of a second demo on the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// A handle to the database file; clones share the connections.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// Connections that nobody uses now. Locked for a push or a pop only, never during a query.
    idle: Mutex<Vec<OpenFile>>,
    /// One permit for each connection that may be in use.
    permits: Arc<Semaphore>,
    /// How many times the database was asked: what a cache is there to keep low.
    queries: AtomicU64,
}

/// A connection, and the file it has open.
#[derive(Debug)]
struct OpenFile {
    connection: Connection,
    file: FileId,
}

/// Which file this is, whatever its name: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId(u64, u64);

/// Why the database gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// The file is not there, or cannot be read: nothing can be answered until it is back.
    #[error("the database {path} is gone: {reason}")]
    Gone { path: String, reason: String },
    /// Somebody else has been writing for longer than a writer waits.
    #[error("the database is busy with another write")]
    Busy,
    /// The query itself failed: a fault of this program.
    #[error("the database refused a query: {0}")]
    Refused(String),
}

impl Database {
    /// Opens an existing file and proves that it can be read.
    pub(crate) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let first = OpenFile::open(path)?;
        let shared = Shared {
            path: path.to_owned(),
            idle: Mutex::new(vec![first]),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            queries: AtomicU64::new(0),
        };
        Ok(Database {
            shared: Arc::new(shared),
        })
    }

    /// Asks the database something, on a blocking thread.
    ///
    /// # Cancel safety
    ///
    /// A question that has begun runs to its end, with its permit, even if nobody waits for the answer.
    pub(crate) fn ask<T, F>(
        &self,
        question: F,
    ) -> impl Future<Output = Result<T, DatabaseError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        async move {
            let permit = Arc::clone(&shared.permits).acquire_owned().await;
            let answer = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                shared.ask(question)
            });
            answer
                .await
                .unwrap_or_else(|error| Err(DatabaseError::Refused(error.to_string())))
        }
    }

    /// How many questions the database was asked since the start.
    pub(crate) fn queries(&self) -> u64 {
        self.shared.queries.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn ask<T>(
        &self,
        question: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DatabaseError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let mut open = self.take()?;
        let answer = question(&mut open.connection)
            .map_err(|error| DatabaseError::from_sqlite(&self.path, &error))?;
        // Only a connection that has just worked goes back; one that failed is closed.
        self.idle().push(open);
        Ok(answer)
    }

    /// A connection to the file that the path leads to now.
    fn take(&self) -> Result<OpenFile, DatabaseError> {
        let current = FileId::of(&self.path).inspect_err(|_| self.idle().clear())?;
        while let Some(open) = { self.idle().pop() } {
            if open.file == current {
                return Ok(open);
            }
        }
        OpenFile::open(&self.path)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<OpenFile>> {
        // A vector of connections is whole after every push and pop: a panic elsewhere spoils nothing.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenFile {
    fn open(path: &Path) -> Result<Self, DatabaseError> {
        let file = FileId::of(path)?;
        let connection = connect(path).map_err(|error| DatabaseError::from_sqlite(path, &error))?;
        Ok(OpenFile { connection, file })
    }
}

/// Without the flag to create: a missing database must be an error, not a new and empty one.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

impl FileId {
    fn of(path: &Path) -> Result<Self, DatabaseError> {
        let metadata =
            fs::metadata(path).map_err(|error| DatabaseError::gone(path, &explain(&error)))?;
        Ok(FileId(metadata.dev(), metadata.ino()))
    }
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    }
}

impl DatabaseError {
    fn gone(path: &Path, reason: &str) -> Self {
        DatabaseError::Gone {
            path: path.display().to_string(),
            reason: reason.to_owned(),
        }
    }

    fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DatabaseError::Busy,
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly,
            ) => DatabaseError::gone(path, &error.to_string()),
            _ => DatabaseError::Refused(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::demo::queries;
    use crate::demo::scratch::Scratch;
    use crate::demo::seed::{self, Size};

    const SMALL: Size = Size {
        users: 20,
        orders: 100,
    };

    fn database(scratch: &Scratch) -> (Database, PathBuf) {
        let path = scratch.path("demo.sqlite");
        seed::ensure(&path, SMALL).unwrap();
        (Database::open(&path).unwrap(), path)
    }

    async fn name_of_1(database: &Database) -> Result<Option<String>, DatabaseError> {
        let profile = database.ask(|db| queries::profile(db, 1)).await?;
        Ok(profile.map(|profile| profile.user.name))
    }

    #[tokio::test]
    async fn a_removed_file_is_gone_and_works_again_when_it_is_back() {
        let scratch = Scratch::new();
        let (database, path) = database(&scratch);
        // The write makes sure that something is still in the write-ahead log when the file goes.
        let details = queries::Details {
            name: "Ada Lovelace".to_owned(),
            city: "London".to_owned(),
        };
        database
            .ask(move |db| queries::update(db, 1, &details))
            .await
            .unwrap();
        let away = scratch.path("away.sqlite");
        fs::rename(&path, &away).unwrap();
        let error = name_of_1(&database).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Gone { .. }), "{error}");
        fs::rename(&away, &path).unwrap();
        assert_eq!(
            name_of_1(&database).await.unwrap().as_deref(),
            Some("Ada Lovelace")
        );
    }

    #[tokio::test]
    async fn a_replaced_file_is_read_anew() {
        let scratch = Scratch::new();
        let (database, path) = database(&scratch);
        name_of_1(&database).await.unwrap();
        let other = scratch.path("other.sqlite");
        seed::ensure(&other, SMALL).unwrap();
        let details = queries::Details {
            name: "Somebody Else".to_owned(),
            city: "Oslo".to_owned(),
        };
        queries::update(&mut Connection::open(&other).unwrap(), 1, &details).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(
            name_of_1(&database).await.unwrap().as_deref(),
            Some("Somebody Else")
        );
    }

    #[tokio::test]
    async fn a_missing_file_is_not_made_by_opening_it() {
        let scratch = Scratch::new();
        let path = scratch.path("missing.sqlite");
        assert!(matches!(
            Database::open(&path),
            Err(DatabaseError::Gone { .. })
        ));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn more_questions_than_connections_are_all_answered() {
        let scratch = Scratch::new();
        let (database, _) = database(&scratch);
        let asked: Vec<_> = (0..10 * CONNECTIONS)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move { name_of_1(&database).await })
            })
            .collect();
        for answer in asked {
            assert!(answer.await.unwrap().unwrap().is_some());
        }
        assert!(database.shared.idle().len() <= CONNECTIONS);
        assert_eq!(database.queries(), 10 * CONNECTIONS as u64);
    }
}
