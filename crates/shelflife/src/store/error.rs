//! Why a store could not do what it was asked.

use crate::error::{Error, ErrorKind};

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct StoreError {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    /// The server doesn't know the script: send its text.
    pub(crate) no_script: bool,
    /// It was answered, and is about the server as it is now: not about what was asked.
    pub(crate) of_server: bool,
}

impl StoreError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            no_script: false,
            of_server: false,
        }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Whether it passes when the store gets well, whatever was asked.
    pub(crate) fn passes(&self) -> bool {
        self.kind == ErrorKind::Unavailable || self.of_server
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::new(error.kind, error.message)
    }
}

pub(crate) type StoreResult<T> = Result<T, StoreError>;
