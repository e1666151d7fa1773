//! The lines of what is to be asked for, as they come: from a file, stdin, or a sitemap.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use tokio::sync::mpsc::{Receiver, channel};

use super::{names_nothing, sitemap};
use crate::args::WarmArgs;
use crate::failure::Failure;
use crate::web::Web;

/// How many lines are read ahead.
const AHEAD: usize = 1024;
/// How long a line may be, in bytes.
const LONGEST: u64 = 64 << 10;
/// Up to which size a file is read as a whole, so that how much there is to do is known.
const WHOLE: u64 = 64 << 20;

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
        return Ok(read(|| Ok(io::stdin())));
    };
    let found = fs::metadata(path)
        .map_err(|error| Failure::new(format!("cannot open {}: {error}", path.display())))?;
    if !found.is_file() || found.len() > WHOLE {
        let path = path.clone();
        // What is no file may have to wait for who writes it, already to be opened.
        return Ok(read(move || File::open(path)));
    }
    let lines = whole(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    Ok(listed(lines, args.url.as_deref()))
}

/// All lines of a file.
fn whole(path: &Path) -> io::Result<Vec<String>> {
    let mut file = BufReader::new(File::open(path)?);
    std::iter::from_fn(|| line(&mut file).transpose()).collect()
}

/// A line without its end; `None` behind the last one.
fn line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut bounded = from.take(LONGEST + 1);
    if bounded.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let odd = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if line.pop_if(|byte| *byte == b'\n').is_some() {
        line.pop_if(|byte| *byte == b'\r');
    } else if line.len() as u64 > LONGEST {
        return odd("a line has more than 64 KiB");
    }
    String::from_utf8(line).map_or_else(|_| odd("it is not in UTF-8"), |line| Ok(Some(line)))
}

/// What a file names: how far all is, is told by how much there is to ask for.
fn listed(mut lines: Vec<String>, template: Option<&str>) -> Lines {
    lines.retain(|line| !names_nothing(line, template));
    Lines::Listed(lines.into_iter())
}

/// Opens and reads on a thread of its own: whoever writes the list may be slow. Nobody waits for that thread at the end.
fn read<R: io::Read>(open: impl FnOnce() -> io::Result<R> + Send + 'static) -> Lines {
    let (to, lines) = channel(AHEAD);
    std::thread::spawn(move || {
        let mut from = match open() {
            Ok(from) => BufReader::new(from),
            Err(error) => {
                // Nobody may want it any more.
                let _ = to.blocking_send(Err(error));
                return;
            }
        };
        while let Some(line) = line(&mut from).transpose() {
            let is_over = line.is_err();
            if to.blocking_send(line).is_err() || is_over {
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

    #[test]
    fn lines_end_where_they_should_and_none_without_bound() {
        let lines = |text: &[u8]| {
            let mut from = io::Cursor::new(text.to_vec());
            std::iter::from_fn(|| line(&mut from).transpose()).collect::<io::Result<Vec<_>>>()
        };
        assert_eq!(
            lines(b"a\r\n\nb\r\rc\nd").unwrap(),
            ["a", "", "b\r\rc", "d"]
        );
        assert!(lines(b"").unwrap().is_empty());
        let longest = vec![b'x'; LONGEST as usize];
        assert_eq!(lines(&longest).unwrap()[0].len() as u64, LONGEST);
        assert_eq!(lines(&[&longest[..], b"\n"].concat()).unwrap().len(), 1);
        let told = lines(&[&longest[..], b"x"].concat())
            .unwrap_err()
            .to_string();
        assert_eq!(told, "a line has more than 64 KiB");
        assert!(lines(b"\xff\n").is_err());
        // One that never ends.
        let mut endless = BufReader::new(io::repeat(0));
        assert!(line(&mut endless).is_err());
    }
}
