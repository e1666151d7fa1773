//! The chunked coding, read strictly (RFC 9112 §7.1). Pure: bytes in, data out.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::refusal::Refusal;
use super::scan::Scan;

/// How long the line of a chunk's size may be with its extensions, which nobody here reads.
const LONGEST_LINE: usize = 256;

/// How many bytes of extensions a body may have in all: a chunk of one byte can drag along a long line.
const MOST_EXTENSIONS: usize = 16 << 10;

/// How long the trailer section may be, and how many fields it may have.
const LONGEST_TRAILERS: usize = 16 << 10;
const MOST_TRAILERS: usize = 64;

/// A decoder in the midst of a body.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    at: At,
    extensions: usize,
}

#[derive(Debug, Default)]
enum At {
    /// Before the line of a chunk's size.
    #[default]
    Size,
    /// Inside a chunk: so much of it is still to come.
    Data(u64),
    /// Before the CR LF that ends a chunk.
    DataEnd,
    Trailers(Scan),
    End,
}

/// What the bytes at hand amount to.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    Data(Bytes),
    /// The body is complete. An empty map is no trailers.
    End(HeaderMap),
    /// More bytes are needed.
    More,
}

impl Chunked {
    /// Takes what can be taken from the buffer.
    ///
    /// # Errors
    ///
    /// At the first byte that the grammar does not allow.
    pub(crate) fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, Refusal> {
        loop {
            match &mut self.at {
                At::Size => {
                    let Some((size, length)) = read_size(buffer)? else {
                        return Ok(Step::More);
                    };
                    self.extensions += length.saturating_sub(18);
                    if self.extensions > MOST_EXTENSIONS {
                        return Err(Refusal::Chunk);
                    }
                    buffer.advance(length);
                    self.at = match size {
                        0 => At::Trailers(Scan::default()),
                        size => At::Data(size),
                    };
                }
                At::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Step::More);
                    }
                    let take = usize::try_from(*left).map_or(buffer.len(), |n| n.min(buffer.len()));
                    *left -= take as u64;
                    if *left == 0 {
                        self.at = At::DataEnd;
                    }
                    return Ok(Step::Data(buffer.split_to(take).freeze()));
                }
                At::DataEnd => {
                    match (buffer.first(), buffer.get(1)) {
                        (Some(b'\r'), Some(b'\n')) => buffer.advance(2),
                        (None, _) | (Some(b'\r'), None) => return Ok(Step::More),
                        _ => return Err(Refusal::Chunk),
                    }
                    self.at = At::Size;
                }
                At::Trailers(scan) => {
                    let Some(length) = scan.look(buffer).map_err(|_| Refusal::Chunk)? else {
                        return match buffer.len() {
                            0..=LONGEST_TRAILERS => Ok(Step::More),
                            _ => Err(Refusal::Chunk),
                        };
                    };
                    self.at = At::End;
                    return read_trailers(buffer.split_to(length).freeze()).map(Step::End);
                }
                At::End => return Ok(Step::End(HeaderMap::new())),
            }
        }
    }
}

/// The size of a chunk, and the length of its line, when that is complete.
fn read_size(buffer: &[u8]) -> Result<Option<(u64, usize)>, Refusal> {
    let line = &buffer[..buffer.len().min(LONGEST_LINE)];
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    // Sixteen digits are all that fit; a larger number would wrap around in somebody's decoder.
    if digits > 16 || (digits == 0 && !line.is_empty()) {
        return Err(Refusal::Chunk);
    }
    let rest = &line[digits..];
    let Some(end) = memchr::memchr2(b'\r', b'\n', rest) else {
        let may_go_on = line.len() < LONGEST_LINE && may_become_extension(rest);
        return if may_go_on {
            Ok(None)
        } else {
            Err(Refusal::Chunk)
        };
    };
    if !is_extension(&rest[..end]) || rest[end] != b'\r' {
        return Err(Refusal::Chunk);
    }
    match rest.get(end + 1) {
        None if line.len() < LONGEST_LINE => return Ok(None),
        Some(b'\n') => {}
        _ => return Err(Refusal::Chunk),
    }
    let size = line[..digits].iter().fold(0_u64, |size, digit| {
        size << 4 | u64::from((*digit as char).to_digit(16).unwrap_or(0))
    });
    Ok(Some((size, digits + end + 2)))
}

/// RFC 9112 §7.1.1: nothing, or white space and a semicolon and visible text. Without the semicolon,
/// white space after the size is no extension, and was used to hide a second size.
fn is_extension(bytes: &[u8]) -> bool {
    bytes.is_empty() || (may_become_extension(bytes) && !bytes.trim_ascii_start().is_empty())
}

fn may_become_extension(bytes: &[u8]) -> bool {
    let visible = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    matches!(bytes.trim_ascii_start().first(), None | Some(b';')) && bytes.iter().all(visible)
}

fn read_trailers(bytes: Bytes) -> Result<HeaderMap, Refusal> {
    // The usual case: the empty line alone.
    if bytes.len() <= 2 {
        return Ok(HeaderMap::new());
    }
    let mut lines = [httparse::EMPTY_HEADER; MOST_TRAILERS];
    let Ok(httparse::Status::Complete((_, lines))) = httparse::parse_headers(&bytes, &mut lines)
    else {
        return Err(Refusal::Chunk);
    };
    let mut trailers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Refusal::Chunk)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(line.value));
        trailers.append(name, value.map_err(|_| Refusal::Chunk)?);
    }
    Ok(trailers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Data, trailers, and what was left over.
    type Decoded = (Vec<u8>, HeaderMap, Vec<u8>);

    /// Feeds the bytes in pieces of this size; what came out, and what was left over.
    fn decode(bytes: &[u8], piece: usize) -> Result<Option<Decoded>, Refusal> {
        let mut decoder = Chunked::default();
        let (mut buffer, mut data) = (BytesMut::new(), Vec::new());
        let mut pieces = bytes.chunks(piece);
        loop {
            match decoder.step(&mut buffer)? {
                Step::Data(bytes) => data.extend_from_slice(&bytes),
                Step::End(trailers) => {
                    buffer.extend(pieces.flatten());
                    return Ok(Some((data, trailers, buffer.to_vec())));
                }
                Step::More => match pieces.next() {
                    Some(piece) => buffer.extend_from_slice(piece),
                    None => return Ok(None),
                },
            }
        }
    }

    #[test]
    fn chunks_and_trailers_are_read_however_they_come() {
        let bytes =
            b"4\r\nWiki\r\n00A;x=\"y\"; z\r\n0123456789\r\n1 ;q\r\n!\r\n0\r\nSum: 9\r\n\r\nGET";
        for piece in 1..bytes.len() {
            let (data, trailers, rest) = decode(bytes, piece).unwrap().unwrap();
            assert_eq!(data, b"Wiki0123456789!", "{piece}");
            assert_eq!(trailers["sum"], "9");
            assert_eq!(rest, b"GET");
        }
    }

    #[test]
    fn what_the_grammar_does_not_allow_is_refused_however_it_comes() {
        let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(300));
        let many = "1;eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\nx\r\n".repeat(1000);
        for bytes in [
            "\r\n",
            "g\r\n",
            "-1\r\nx\r\n",
            "+1\r\nx\r\n",
            "0x1\r\nx\r\n",
            " 1\r\nx\r\n",
            "1\nx\r\n",
            "1\rx\r\n",
            "1\r\nxy\r\n",
            "1\r\nx\n",
            "1\r\nx\rx",
            "1 \r\nx\r\n",
            "1 2\r\nx\r\n",
            "1\t\r\nx\r\n",
            "1;a\nb\r\n",
            "1;a\rb\r\n",
            "1;\0\r\n",
            "10000000000000000\r\n",
            "fffffffffffffffff\r\n",
            "0\r\nX : 1\r\n\r\n",
            "0\r\nX: 1\n\r\n",
            "0\r\n X: 1\r\n\r\n",
            "0\r\nX\r\n\r\n",
            "0\n\r\n",
            "0\r\n\n",
            &long,
            &many,
        ] {
            for piece in [1, 2, 3, 7, bytes.len()] {
                assert_eq!(
                    decode(bytes.as_bytes(), piece),
                    Err(Refusal::Chunk),
                    "{bytes:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn an_endless_trailer_section_is_refused() {
        let bytes = format!("0\r\n{}", "X: 1\r\n".repeat(4000));
        assert_eq!(decode(bytes.as_bytes(), 1000), Err(Refusal::Chunk));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_makes_no_difference(
            bytes in "([0-9a-f]{0,3}(;[a-z]{0,4}|)(\r\n|\n|)[a-z]{0,5}(\r\n|\r|)){0,4}(0\r\n\r\n|)",
            piece in 1_usize..9,
        ) {
            prop_assert_eq!(decode(bytes.as_bytes(), piece), decode(bytes.as_bytes(), bytes.len().max(1)));
        }
    }
}
