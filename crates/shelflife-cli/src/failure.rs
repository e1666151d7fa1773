//! Why a command ended without having done what it was asked, and what to do about it.

use std::fmt;
use std::process::ExitCode;

/// The end of a command: a message for a person, a hint where there is one, an exit code for a script.
#[derive(Debug)]
pub(crate) struct Failure {
    message: Option<String>,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// Something went wrong: exit code 2, so that a script can tell it from a plain "no".
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure {
            message: Some(message.into()),
            hint: None,
            code: 2,
        }
    }

    /// The command ran, and the answer is "no": exit code 1.
    pub(crate) fn negative(message: impl Into<String>) -> Self {
        Failure {
            message: Some(message.into()),
            hint: None,
            code: 1,
        }
    }

    /// The reader of stdout has gone away: nothing is wrong, and there is nobody to tell.
    pub(crate) fn closed_pipe() -> Self {
        Failure {
            message: None,
            hint: None,
            code: 0,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    /// Whether there is anything to say.
    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_none()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = &self.message {
            write!(f, "shelflife: {message}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}
