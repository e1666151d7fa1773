//! Where a section of field lines ends, in bytes that come little by little.
//!
//! Each byte is looked at once, however slowly it comes.

use super::refusal::Refusal;

/// How far a section has been looked through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// Where the next byte to look at is.
    at: usize,
    /// Where the line that it belongs to begins.
    line: usize,
}

impl Scan {
    /// The length of the section including the empty line that ends it, when that has come.
    ///
    /// # Errors
    ///
    /// At the first line that ends with LF alone: RFC 9112 §2.2 allows to accept it, and whoever does reads
    /// other lines than whoever does not.
    pub(crate) fn look(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        while let Some(found) = memchr::memchr(b'\n', bytes.get(self.at..).unwrap_or_default()) {
            let end = self.at + found;
            let ends_with_cr = end > self.line && bytes.get(end - 1) == Some(&b'\r');
            if !ends_with_cr {
                return Err(Refusal::BareLineEnd);
            }
            let is_empty = end - 1 == self.line;
            self.at = end + 1;
            self.line = end + 1;
            if is_empty {
                return Ok(Some(self.at));
            }
        }
        self.at = bytes.len();
        Ok(None)
    }

    /// Whether not even one line has ended.
    pub(crate) fn is_in_first_line(&self) -> bool {
        self.line == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_the_bytes_come() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        let whole = Scan::default().look(bytes);
        assert_eq!(whole, Ok(Some(bytes.len() - 4)));
        let mut scan = Scan::default();
        for end in 0..bytes.len() - 5 {
            assert_eq!(scan.look(&bytes[..end]), Ok(None), "{end}");
        }
        assert_eq!(scan.look(bytes), whole);
    }

    #[test]
    fn a_bare_line_feed_is_refused_wherever_it_stands() {
        for bytes in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "\nGET / HTTP/1.1\r\n\r\n",
        ] {
            let refused = Scan::default().look(bytes.as_bytes());
            assert_eq!(refused, Err(Refusal::BareLineEnd), "{bytes:?}");
        }
    }
}
