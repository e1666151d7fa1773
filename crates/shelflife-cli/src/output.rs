//! What is printed: the only room that writes to stdout and stderr.
//!
//! Names, values and events come from whoever may write to the server: what would move a terminal's cursor or
//! set its title is shown as what it is.
//!
//! Must not: decide anything. A reader that closes the pipe (`shelflife ls | head`) ends the command
//! quietly, as it does for every other Unix tool.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

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

/// How a piece of a line is shown, where colours are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Warning,
    Bad,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Tone::Plain => "0",
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
        }
    }
}

/// Whether stdout shows colours: a terminal, and nobody has set `NO_COLOR` (no-color.org).
pub(crate) fn has_colours() -> bool {
    static COLOURS: OnceLock<bool> = OnceLock::new();
    *COLOURS.get_or_init(|| {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|it| it == "dumb");
        !refused && !dumb && io::stdout().is_terminal()
    })
}

/// One line of pieces, each in its tone.
pub(crate) fn toned(pieces: &[(Tone, &str)]) -> Result<(), Failure> {
    let colours = has_colours();
    let mut text = String::new();
    for (tone, piece) in pieces {
        match *tone {
            tone if !colours || tone == Tone::Plain => text.push_str(&harmless(piece)),
            tone => {
                text.push_str(&format!("\x1b[{}m{}\x1b[0m", tone.code(), harmless(piece)));
            }
        }
    }
    write_line(&mut io::stdout().lock(), text.trim_end())
}

/// How many columns a line has: the terminal's, or 100 where there is none.
pub(crate) fn width() -> usize {
    let columns = io::stdout()
        .is_terminal()
        .then(|| crossterm::terminal::size().ok())
        .flatten();
    columns.map_or(100, |(columns, _)| usize::from(columns).clamp(40, 160))
}

/// The text as lines that are not longer than `width`, broken between words.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(last) = lines.last_mut() else { break };
        let taken = last.chars().count();
        if taken > 0 && taken + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
            continue;
        }
        if taken > 0 {
            last.push(' ');
        }
        last.push_str(word);
    }
    lines
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
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable x", 4), ["unbreakable", "x"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn what_would_speak_to_the_terminal_is_written_out() {
        assert!(matches!(harmless("users:42 → ä\nnext"), Cow::Borrowed(_)));
        let title = "a\u{1b}]0;owned\u{7}b\u{9b}2Jc\rd";
        let shown = harmless(title);
        assert!(!shown.chars().any(char::is_control), "{shown}");
        assert!(shown.contains("owned") && shown.ends_with('d'));
    }
}
