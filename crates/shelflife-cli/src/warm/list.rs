//! The lines of what is to be asked for, as they come: from a file, stdin, or a sitemap.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use tokio::sync::mpsc::{Receiver, channel};

use super::{names_nothing, sitemap};
use crate::args::WarmArgs;
use crate::failure::Failure;
use crate::web::Web;

/// How many lines are read ahead.
const AHEAD: usize = 1024;

/// Lines, one after the other.
pub(super) enum Lines {
    Listed(std::vec::IntoIter<String>),
    Read(Receiver<io::Result<String>>),
}

impl Lines {
    /// How many there are, if that is known.
    pub(super) fn known(&self) -> Option<u64> {
        match self {
            Self::Listed(lines) => Some(lines.len() as u64),
            Self::Read(_) => None,
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<String>, Failure> {
        match self {
            Self::Listed(lines) => Ok(lines.next()),
            Self::Read(lines) => lines
                .recv()
                .await
                .transpose()
                .map_err(|error| Failure::new(format!("cannot read the list: {error}"))),
        }
    }
}

/// Opens what the options name.
pub(super) async fn lines(args: &WarmArgs, web: &Web) -> Result<Lines, Failure> {
    if let Some(place) = &args.sitemap {
        let urls = sitemap::urls(place, web).await?;
        return Ok(Lines::Listed(urls.into_iter()));
    }
    let Some(path) = args.list.as_ref().filter(|path| path.as_os_str() != "-") else {
        return Ok(read(BufReader::new(io::stdin())));
    };
    let file = File::open(path)
        .map_err(|error| Failure::new(format!("cannot open {}: {error}", path.display())))?;
    let lines: Result<Vec<String>, _> = BufReader::new(file).lines().collect();
    let lines =
        lines.map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    Ok(listed(lines, args.url.as_deref()))
}

/// What a file names: how far all is, is told by how much there is to ask for.
fn listed(mut lines: Vec<String>, template: Option<&str>) -> Lines {
    lines.retain(|line| !names_nothing(line, template));
    Lines::Listed(lines.into_iter())
}

/// Reads on a thread of its own: whoever writes the list may be slow.
fn read(from: impl BufRead + Send + 'static) -> Lines {
    let (to, lines) = channel(AHEAD);
    std::thread::spawn(move || {
        for line in from.lines() {
            if to.blocking_send(line).is_err() {
                return;
            }
        }
    });
    Lines::Read(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_counted() {
        let lines = || {
            ["/a", "", "  ", "# a comment", "/b"]
                .map(str::to_owned)
                .to_vec()
        };
        assert_eq!(listed(lines(), None).known(), Some(2));
        assert_eq!(listed(lines(), Some("http://h/{}")).known(), Some(3));
    }
}
