//! What is printed: the only room that writes to stdout and stderr.
//!
//! Names, values and events come from whoever may write to the server: what would move a terminal's cursor or
//! set its title is shown as what it is.
//!
//! Must not: decide anything. A reader that closes the pipe (`shelflife ls | head`) ends the command
//! quietly, as it does for every other Unix tool.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// One line of the answer, on stdout.
pub(crate) fn line(text: impl AsRef<str>) -> Result<(), Failure> {
    write_line(&mut io::stdout().lock(), &harmless(text.as_ref()))
}

/// The text with control characters other than line ends written out.
fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n';
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match harmful(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// One JSON document on one line of stdout.
pub(crate) fn json(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(document)
        .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
    write_line(&mut io::stdout().lock(), &text)
}

/// Begins a new screen, where stdout is one.
pub(crate) fn clear() -> Result<(), Failure> {
    // Home, then erase to the end.
    let mut out = io::stdout().lock();
    wrote(write!(out, "\x1b[H\x1b[J"))
}

/// One line about the answer, on stderr: it never gets into a pipe.
pub(crate) fn note(text: impl AsRef<str>) {
    // Nobody is left to tell when stderr itself is closed.
    let _ = writeln!(io::stderr().lock(), "{}", harmless(text.as_ref()));
}

fn write_line(to: &mut impl Write, text: &str) -> Result<(), Failure> {
    wrote(writeln!(to, "{text}").and_then(|()| to.flush()))
}

fn wrote(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::closed_pipe()),
        Err(error) => Err(Failure::new(format!("cannot write: {error}"))),
    }
}

/// Columns as wide as their widest cell; the named columns are set flush right.
pub(crate) fn table(rows: &[Vec<String>], right: &[usize]) -> Result<(), Failure> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                if right.contains(&column) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
        line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_speak_to_the_terminal_is_written_out() {
        assert!(matches!(harmless("users:42 → ä\nnext"), Cow::Borrowed(_)));
        let title = "a\u{1b}]0;owned\u{7}b\u{9b}2Jc\rd";
        let shown = harmless(title);
        assert!(!shown.chars().any(char::is_control), "{shown}");
        assert!(shown.contains("owned") && shown.ends_with('d'));
    }
}
