//! What is done, noted in a file: an interrupted run goes on where it was.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use super::work::Outcome;
use crate::failure::Failure;

pub(super) struct Journal {
    file: Option<File>,
}

impl Journal {
    /// Opens it, and gives what it has noted.
    pub(super) fn open(path: Option<&Path>) -> Result<(Self, HashSet<String>), Failure> {
        let Some(path) = path else {
            return Ok((Self { file: None }, HashSet::new()));
        };
        let failed = |error: std::io::Error| {
            Failure::new(format!("cannot use --resume {}: {error}", path.display()))
        };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)
            .map_err(failed)?;
        let noted = BufReader::new(&file).lines();
        let noted = noted
            .collect::<Result<HashSet<String>, _>>()
            .map_err(failed)?;
        Ok((Self { file: Some(file) }, noted))
    }

    /// Notes what has been answered well; what has failed is tried again next time.
    pub(super) fn note(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        let (Some(file), Ok(_)) = (&mut self.file, &outcome.answered) else {
            return Ok(());
        };
        writeln!(file, "{}", outcome.name)
            .map_err(|error| Failure::new(format!("cannot note what is done: {error}")))
    }
}
