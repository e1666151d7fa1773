//! What is wrong with a configuration.

use std::fmt;

/// A configuration that cannot be used: which key, and what would be valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
}

impl ConfigError {
    /// At a place in a file.
    pub(crate) fn at(name: &str, line: usize, column: usize, message: &str) -> Self {
        ConfigError {
            message: format!("{name}:{line}:{column}: {message}"),
        }
    }

    /// A key with this value is not valid.
    pub(crate) fn value(key: &str, value: &str, why: impl fmt::Display) -> Self {
        ConfigError {
            message: format!("{key} = {value:?}: {why}"),
        }
    }

    /// A key that has to be there.
    pub(crate) fn missing(key: &str, valid: &str) -> Self {
        ConfigError {
            message: format!("{key} is missing: {valid}"),
        }
    }

    /// Anything else, in words that name the key.
    pub(crate) fn other(message: impl Into<String>) -> Self {
        ConfigError {
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}
