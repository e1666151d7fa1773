//! What is printed: the only room that writes to stdout and stderr.
//!
//! Must not: decide anything. A reader that closes the pipe (`shelflife ls | head`) ends the command
//! quietly, as it does for every other Unix tool.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// One line of the answer, on stdout.
pub(crate) fn line(text: impl AsRef<str>) -> Result<(), Failure> {
    write_line(&mut io::stdout().lock(), text.as_ref())
}

/// One JSON document on one line of stdout.
pub(crate) fn json(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(document)
        .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
    line(text)
}

/// One line about the answer, on stderr: it never gets into a pipe.
pub(crate) fn note(text: impl AsRef<str>) {
    // Nobody is left to tell when stderr itself is closed.
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

fn write_line(to: &mut impl Write, text: &str) -> Result<(), Failure> {
    match writeln!(to, "{text}").and_then(|()| to.flush()) {
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
