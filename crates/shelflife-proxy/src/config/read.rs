//! From text to a configuration, with the place of what is wrong.

use super::Config;
use super::error::ConfigError;

pub(super) fn read(name: &str, text: &str) -> Result<Config, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        // The library's own message has one line for what is wrong, and may go on with what is near.
        ConfigError::at(name, line, column, error.message().trim_end())
    })
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
