//! What the objects of a binding take in memory beside the encoding that they were made of: an estimate, by the kinds of nodes and their
//! sizes in CPython of 64 bits. Made when an entry is weighed, once; nothing asks for it when the entry is read.
//!
//! Must not: believe a length. What does not parse weighs what was seen of it.

/// How deep texts of maps are known to be the same ones again, and how many in a map: as they are read (`msgpack.rs` of the binding).
const SAME: usize = 4;
/// What an object costs that is in a container, or is told apart from others: its header, and what the allocator rounds up.
const TEXT: usize = 56;
const NUMBER: usize = 32;
const LIST: usize = 88;
const MAP: usize = 96;

/// Bytes of the objects that this MessagePack stands for.
pub(super) fn size(bytes: &[u8]) -> usize {
    let mut scan = Scan {
        rest: bytes,
        size: 0,
        keys: [0; SAME],
    };
    // Parts that are still to come of each container: a stack of its own, however deep it is.
    let mut open: Vec<Open> = Vec::new();
    loop {
        let (place, depth) = (open.last_mut().map(Open::next), open.len());
        let Some(below) = scan.node(place.unwrap_or(Place::Value), depth) else {
            return scan.size;
        };
        if below.left > 0 {
            open.push(below);
        }
        while open.last().is_some_and(|open| open.left == 0) {
            open.pop();
        }
        if open.is_empty() {
            return scan.size;
        }
    }
}

/// A container that is being read.
struct Open {
    left: usize,
    at: usize,
    is_map: bool,
}

impl Open {
    fn next(&mut self) -> Place {
        let at = self.at;
        self.at += 1;
        self.left -= 1;
        match self.is_map && at.is_multiple_of(2) {
            true => Place::Key(at / 2),
            false => Place::Value,
        }
    }
}

#[derive(Clone, Copy)]
enum Place {
    Value,
    /// The key of a map, and which.
    Key(usize),
}

struct Scan<'a> {
    rest: &'a [u8],
    size: usize,
    /// By depth: how many keys of a map have been counted there.
    keys: [usize; SAME],
}

impl Scan<'_> {
    /// Counts one node, and says what is in it; `None` where it breaks off.
    fn node(&mut self, place: Place, depth: usize) -> Option<Open> {
        let marker = self.take(1)?[0];
        let none = Open {
            left: 0,
            at: 0,
            is_map: false,
        };
        match marker {
            // Small numbers, None, True and False are there once.
            0x00..=0x7f | 0xc0..=0xc3 | 0xe0..=0xff => {}
            0xa0..=0xbf => self.text(usize::from(marker & 0x1f), place, depth)?,
            0xd9..=0xdb => {
                let len = self.len(1 << (marker - 0xd9))?;
                self.text(len, place, depth)?;
            }
            0xc4..=0xc6 => {
                let len = self.len(1 << (marker - 0xc4))?;
                self.take(len)?;
                self.size += TEXT + len;
            }
            0xc7..=0xc9 => {
                let len = self.len(1 << (marker - 0xc7))?;
                self.ext(len)?;
            }
            0xd4..=0xd8 => self.ext(1 << (marker - 0xd4))?,
            0xca..=0xcb => self.number(4 << (marker - 0xca))?,
            0xcc..=0xcf => self.number(1 << (marker - 0xcc))?,
            0xd0..=0xd3 => self.number(1 << (marker - 0xd0))?,
            0x90..=0x9f => return Some(self.list(usize::from(marker & 0x0f))),
            0x80..=0x8f => return Some(self.map(usize::from(marker & 0x0f))),
            0xdc..=0xdd => {
                let len = self.len(2 << (marker - 0xdc))?;
                return Some(self.list(len));
            }
            0xde..=0xdf => {
                let len = self.len(2 << (marker - 0xde))?;
                return Some(self.map(len));
            }
        }
        Some(none)
    }

    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn len(&mut self, width: usize) -> Option<usize> {
        let bytes = self.take(width)?;
        Some(bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
    }

    fn number(&mut self, width: usize) -> Option<()> {
        self.take(width)?;
        self.size += NUMBER;
        Some(())
    }

    fn text(&mut self, len: usize, place: Place, depth: usize) -> Option<()> {
        self.take(len)?;
        if let Place::Key(at) = place
            && let Some(counted) = self.keys.get_mut(depth - 1)
        {
            if at < *counted {
                return Some(());
            }
            *counted = at + 1;
        }
        self.size += TEXT + len;
        Some(())
    }

    /// A time, a number of any size, or the MessagePack of a set or tuple.
    fn ext(&mut self, len: usize) -> Option<()> {
        self.take(1 + len)?;
        self.size += LIST + 4 * len;
        Some(())
    }

    fn list(&mut self, len: usize) -> Open {
        let len = len.min(self.rest.len());
        self.size += LIST + 8 * len;
        Open {
            left: len,
            at: 0,
            is_map: false,
        }
    }

    fn map(&mut self, len: usize) -> Open {
        let len = len.min(self.rest.len());
        self.size += MAP + 32 * len.next_power_of_two().max(4);
        Open {
            left: 2 * len,
            at: 0,
            is_map: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn what_is_there_once_weighs_nothing_and_the_rest_more_than_its_encoding() {
        assert_eq!((size(b"\xc0"), size(b"\x05"), size(b"\xc3")), (0, 0, 0));
        let texts = rmp_serde::to_vec(&("abc", vec!["d"; 100], 70_000)).unwrap();
        let all = size(&texts);
        assert!(all > 100 * 57 && all < 100 * 57 + 1500, "{all}");
    }

    #[test]
    fn keys_of_rows_are_the_same_ones_and_values_are_not() {
        let rows = |n| {
            let row = std::collections::BTreeMap::from([("id", "x"), ("name", "y")]);
            size(&rmp_serde::to_vec_named(&vec![row; n]).unwrap())
        };
        let (one, two, three) = (rows(1), rows(2), rows(3));
        assert_eq!(three - two, two - one);
        assert!(one > two - one, "the keys of the first are counted");
        assert!(two - one > 2 * 57 + 96);
    }

    #[test]
    fn lies_and_depth_end_it() {
        for broken in [
            &b"\xdf\xff\xff\xff\xff"[..],
            b"\xdd\xff\xff\xff\xff\xc0",
            b"\xdb\xff",
            b"",
            b"\xc1\x05",
        ] {
            assert!(size(broken) < 1 << 12, "{broken:?}");
        }
        assert!(size(&vec![0x91; 1 << 20]) > 1 << 20);
    }
}
