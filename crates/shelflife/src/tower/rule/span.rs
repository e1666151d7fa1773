//! Durations as a rule takes them: a `Duration`, or text as people write it.

use std::time::Duration;

use crate::duration::duration;
use crate::error::Error;

/// A length of time: a [`Duration`], or text such as `"300ms"`, `"5m"`, `"1h30m"` (see [`duration`](crate::duration())).
///
/// ```
/// use std::time::Duration;
/// use shelflife::tower::Rule;
///
/// let by_text = Rule::path("/users").ttl("5m");
/// let by_value = Rule::path("/users").ttl(Duration::from_secs(300));
/// ```
pub trait IntoDuration {
    /// The length.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::Config`](crate::ErrorKind::Config) for text that is none; it names the text and what
    /// would be valid.
    fn into_duration(self) -> Result<Duration, Error>;
}

impl IntoDuration for Duration {
    fn into_duration(self) -> Result<Duration, Error> {
        Ok(self)
    }
}

impl IntoDuration for &str {
    fn into_duration(self) -> Result<Duration, Error> {
        duration(self)
    }
}

impl IntoDuration for &String {
    fn into_duration(self) -> Result<Duration, Error> {
        duration(self)
    }
}

impl IntoDuration for String {
    fn into_duration(self) -> Result<Duration, Error> {
        duration(&self)
    }
}
