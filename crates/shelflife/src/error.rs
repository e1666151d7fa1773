//! Errors: what the caller must know. A miss, a bypass and a stale answer are not among them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is unknown or has a value that can't be used.
    Config,
    /// The server is too old, or lacks something that is needed.
    Unsupported,
    /// The server refused the user or the password.
    Denied,
    /// The store did not answer, or not in time: the write or invalidation is *not confirmed*.
    Unavailable,
    /// The store answered with an error of its own.
    Store,
    /// The value can't be encoded, or is over the size limit.
    Value,
    /// A handler of an event failed.
    Handler,
    /// A load failed, took too long, or panicked.
    Load,
    /// Too many loads are under way, and too many wait: this one was not begun. It may be tried again.
    Overloaded,
    /// The cache was closed.
    Closed,
}

/// An error of the cache. Opaque: ask its [`kind`](Error::kind).
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Arc<str>,
    source: Option<Source>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into(),
            source: None,
        }
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into().into());
        self
    }

    /// A setting `key` whose `value` can't be used; `valid` says what could.
    pub(crate) fn setting(key: &str, value: &str, valid: &str) -> Self {
        Self::new(
            ErrorKind::Config,
            format!("bad setting {key}={value:?}: expected {valid}"),
        )
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|s| &**s as &(dyn std::error::Error + 'static))
    }
}

/// Why a read that may load has no value.
///
/// The loader's own error comes back unchanged, in an `Arc`, because one load may have many readers.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader's own error.
    Source(Arc<E>),
    /// The load took longer than its hard timeout.
    TimedOut(Duration),
    /// The loader panicked; the text is the panic's message.
    Panicked(String),
    /// The load of another call site of the same key failed with an error of another type; its text.
    Foreign(String),
    /// The load was not begun: as many are under way in this process as may be, and as many wait
    /// ([`loads`](crate::Builder::loads), [`loads_waiting`](crate::Builder::loads_waiting)).
    Overloaded,
}

impl<E> LoadError<E> {
    /// The loader's own error, if that is what it is.
    pub fn source_error(&self) -> Option<&E> {
        match self {
            Self::Source(error) => Some(error),
            _ => None,
        }
    }
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Source(e) => Self::Source(e.clone()),
            Self::TimedOut(after) => Self::TimedOut(*after),
            Self::Panicked(message) => Self::Panicked(message.clone()),
            Self::Foreign(message) => Self::Foreign(message.clone()),
            Self::Overloaded => Self::Overloaded,
        }
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::TimedOut(after) => write!(f, "the load took longer than {after:?}"),
            Self::Panicked(message) => write!(f, "the loader panicked: {message}"),
            Self::Foreign(message) => f.write_str(message),
            Self::Overloaded => f.write_str("too many loads are under way, and too many wait"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for LoadError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Display already says what the source says.
            Self::Source(error) => error.source(),
            _ => None,
        }
    }
}

impl<E: fmt::Display> From<LoadError<E>> for Error {
    fn from(error: LoadError<E>) -> Self {
        let kind = match error {
            LoadError::Overloaded => ErrorKind::Overloaded,
            _ => ErrorKind::Load,
        };
        Self::new(kind, error.to_string())
    }
}
