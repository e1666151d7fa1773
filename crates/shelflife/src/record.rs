//! The record: the bytes of one entry in a shared store.
//!
//! One string with a fixed header, then tags, key and payload. All numbers are big-endian.
//!
//! ```text
//!   0  magic "SLF", wire version
//!   4  flags (1 has value, 2 key is a digest), codec, compression, 0
//!   8  token of the lease or write, 16 bytes, zero for none   ┐
//!  24  deadline of the lease, server ms                       │ changed in place,
//!  32  soft mark: any bit set = softened                      │ not under the checksum
//!  36  zero                                                   │
//!  40  epoch: incarnation, tick                               │
//!  56  the complement of the epoch, which checks it           ┘
//!  72  checksum: XXH3-64 of bytes 80.., bytes 0..8 being the seed
//!  80  fill id
//!  88  created, fresh until, stale until, server ms
//! 112  load cost, µs
//! 116  schema
//! 120  length of the payload when decompressed
//! 124  number of tags, length of the key
//! 128  tags (u16 length, bytes), key, payload
//! ```
//!
//! The epoch stands outside the checksum because a `set` learns it inside the store, in the one step
//! that writes the record; its complement makes up for that.
//!
//! A lease on a missing entry is a record without a value. The golden bytes are in `golden/`.
//!
//! Must not: do I/O, decode payloads. Parsing never panics: bytes that don't parse are a [`Reason`].

use std::sync::Arc;

use bytes::Bytes;

use crate::epoch::Epoch;
use crate::key::{IN_FULL, Tag};
use crate::reason::Reason;
use crate::validity::Meta;

/// The wire version: another one is a miss.
pub(crate) const WIRE_VERSION: u8 = 1;
const MAGIC: [u8; 3] = *b"SLF";
/// The length of the fixed header.
pub(crate) const HEADER: usize = 128;

const HAS_VALUE: u8 = 1;
const KEY_IS_DIGEST: u8 = 2;

/// Where the length of the value stands, and the number of its tags.
const LEN: usize = 120;
const TAGS: usize = 124;

/// Where the scripts find the parts that change in place.
pub(crate) mod offset {
    pub(crate) const TOKEN: usize = 8;
    pub(crate) const EPOCH: usize = 40;
    pub(crate) const CHECKSUM: usize = 72;
    pub(crate) const FILL: usize = 80;
}

/// The right to load or to write one entry, for as long as it stands in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token([u8; 16]);

impl Token {
    /// A new random token.
    pub(crate) fn random() -> Self {
        loop {
            let bytes = fastrand::u128(..).to_be_bytes();
            if bytes != [0; 16] {
                return Self(bytes);
            }
        }
    }

    /// The token's bytes; never all zero.
    pub(crate) const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A token from bytes; all zero means none.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }
}

/// A token in a record and until when it holds, server time in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Who holds it.
    pub token: Token,
    /// Until when. A lease on a missing entry holds until its record expires instead.
    pub deadline: u64,
}

/// A payload as it lies in a store: encoded, perhaps compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// How it was encoded, by wire number.
    pub codec: u8,
    /// How it was compressed, by wire number.
    pub compression: u8,
    /// Its length when decompressed.
    pub len: u32,
    /// The bytes.
    pub bytes: Bytes,
}

/// What a record holds, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The facts of its fill.
    pub meta: Meta,
    /// The lease in it, if any.
    pub lease: Option<Lease>,
    /// The value; `None` for a lease on a missing entry.
    pub payload: Option<Payload>,
}

/// The key as it stands in a record: itself, or its digest when it is long.
fn key_field(key: &str) -> (u8, Vec<u8>) {
    if key.len() <= IN_FULL {
        (0, key.as_bytes().to_vec())
    } else {
        (
            KEY_IS_DIGEST,
            blake3::hash(key.as_bytes()).as_bytes().to_vec(),
        )
    }
}

/// The bytes of `record` for `key`. Names are shortened and tags limited before this
/// ([`crate::policy::TAGS`]), so every length fits its field.
pub(crate) fn encode(record: &Record, key: &str) -> Vec<u8> {
    let (key_flag, key) = key_field(key);
    let Record {
        meta,
        lease,
        payload,
    } = record;
    let size = HEADER
        + meta
            .tags
            .iter()
            .map(|t| 2 + t.as_str().len())
            .sum::<usize>()
        + key.len()
        + payload.as_ref().map_or(0, |p| p.bytes.len());
    let mut out = Vec::with_capacity(size);
    out.extend(MAGIC);
    out.push(WIRE_VERSION);
    out.push(key_flag | if payload.is_some() { HAS_VALUE } else { 0 });
    out.push(payload.as_ref().map_or(0, |p| p.codec));
    out.push(payload.as_ref().map_or(0, |p| p.compression));
    out.push(0);
    out.extend(lease.map_or([0; 16], |l| *l.token.bytes()));
    out.extend(lease.map_or(0, |l| l.deadline).to_be_bytes());
    out.extend(if meta.softened { [0xff; 4] } else { [0; 4] });
    out.extend([0; 4]);
    for number in [
        meta.epoch.inc,
        meta.epoch.tick,
        !meta.epoch.inc,
        !meta.epoch.tick,
        0,
    ] {
        out.extend(number.to_be_bytes());
    }
    for number in [meta.fill, meta.created, meta.fresh_until, meta.stale_until] {
        out.extend(number.to_be_bytes());
    }
    out.extend(meta.cost.to_be_bytes());
    out.extend(meta.schema.to_be_bytes());
    out.extend(payload.as_ref().map_or(0, |p| p.len).to_be_bytes());
    out.extend(u16_len(meta.tags.len()));
    out.extend(u16_len(key.len()));
    for tag in &*meta.tags {
        out.extend(u16_len(tag.as_str().len()));
        out.extend(tag.as_str().as_bytes());
    }
    out.extend(key);
    if let Some(payload) = payload {
        out.extend_from_slice(&payload.bytes);
    }
    let checksum = checksum(&out);
    out[offset::CHECKSUM..offset::FILL].copy_from_slice(&checksum.to_be_bytes());
    out
}

/// A record that holds a lease and no value.
pub(crate) fn encode_lease(lease: Lease, key: &str) -> Vec<u8> {
    let meta = Meta {
        fill: 0,
        epoch: Epoch::new(0, 0),
        created: 0,
        fresh_until: 0,
        stale_until: 0,
        cost: 0,
        schema: 0,
        softened: false,
        tags: Arc::default(),
    };
    encode(
        &Record {
            meta,
            lease: Some(lease),
            payload: None,
        },
        key,
    )
}

fn u16_len(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

fn checksum(bytes: &[u8]) -> u64 {
    // The head is the seed: one call over one slice is several times as fast as a streamed digest.
    let head = bytes[..offset::TOKEN]
        .try_into()
        .map_or(0, u64::from_be_bytes);
    xxhash_rust::xxh3::xxh3_64_with_seed(&bytes[offset::FILL..], head)
}

/// What the fixed head of a record says by itself: whether its rest is whole can't be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Whether there is a value; else it is a lease.
    pub has_value: bool,
    /// How long the value is when decompressed.
    pub len: u32,
    /// The incarnation of its epoch.
    pub inc: u64,
}

/// Reads the first [`HEADER`] bytes of a record.
///
/// # Errors
///
/// The reason why these bytes are no head of this version.
pub(crate) fn peek(head: &[u8]) -> Result<Head, Reason> {
    let mut reader = Reader { bytes: head, at: 0 };
    if reader.array::<3>()? != MAGIC {
        return Err(Reason::Malformed);
    }
    if reader.u8()? != WIRE_VERSION {
        return Err(Reason::WrongVersion);
    }
    let flags = reader.u8()?;
    reader.at = offset::EPOCH;
    let inc = reader.u64()?;
    reader.at = LEN;
    Ok(Head {
        has_value: flags & HAS_VALUE != 0,
        len: reader.u32()?,
        inc,
    })
}

/// The tags at the beginning of a record; `None` where they don't fit into these bytes.
pub(crate) fn peek_tags(beginning: &[u8]) -> Option<Vec<Tag>> {
    let mut reader = Reader {
        bytes: beginning,
        at: TAGS,
    };
    let count = reader.u16().ok()?;
    reader.at = HEADER;
    (0..count).map(|_| reader.tag().ok()).collect()
}

/// Parses the record of `key`. The payload shares the bytes.
///
/// # Errors
///
/// The reason why these bytes are a miss.
pub(crate) fn parse(bytes: &Bytes, key: &str) -> Result<Record, Reason> {
    let (record, stored_key, is_digest) = parse_any(bytes)?;
    let matches = if is_digest {
        key.len() > IN_FULL && stored_key == blake3::hash(key.as_bytes()).as_bytes()
    } else {
        stored_key == key.as_bytes()
    };
    if matches {
        Ok(record)
    } else {
        Err(Reason::WrongKey)
    }
}

/// Parses a record without knowing its key: gives it with its key field and whether that is a digest.
///
/// # Errors
///
/// The reason why these bytes are a miss.
pub(crate) fn parse_any(bytes: &Bytes) -> Result<(Record, &[u8], bool), Reason> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.array::<3>()? != MAGIC {
        return Err(Reason::Malformed);
    }
    if reader.u8()? != WIRE_VERSION {
        return Err(Reason::WrongVersion);
    }
    if bytes.len() < HEADER {
        return Err(Reason::Malformed);
    }
    let stated = u64::from_be_bytes(
        bytes[offset::CHECKSUM..offset::FILL]
            .try_into()
            .map_err(|_| Reason::Malformed)?,
    );
    if stated != checksum(bytes) {
        return Err(Reason::Malformed);
    }
    let [flags, codec, compression, _] = reader.array::<4>()?;
    let token = Token::from_bytes(reader.array()?);
    let deadline = reader.u64()?;
    let softened = reader.array::<4>()? != [0; 4];
    reader.at = offset::EPOCH;
    let epoch = Epoch::new(reader.u64()?, reader.u64()?);
    if (!reader.u64()?, !reader.u64()?) != (epoch.inc, epoch.tick) {
        return Err(Reason::Malformed);
    }
    reader.at = offset::FILL;
    let fill = reader.u64()?;
    let (created, fresh_until, stale_until) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let (cost, schema, len) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let (tag_count, key_len) = (reader.u16()?, reader.u16()?);
    let tags = (0..tag_count)
        .map(|_| reader.tag())
        .collect::<Result<Arc<[_]>, _>>()?;
    let key = reader.take(key_len.into())?;
    let payload = (flags & HAS_VALUE != 0).then(|| Payload {
        codec,
        compression,
        len,
        bytes: bytes.slice(reader.at..),
    });
    let meta = Meta {
        fill,
        epoch,
        created,
        fresh_until,
        stale_until,
        cost,
        schema,
        softened,
        tags,
    };
    let lease = token.map(|token| Lease { token, deadline });
    Ok((
        Record {
            meta,
            lease,
            payload,
        },
        key,
        flags & KEY_IS_DIGEST != 0,
    ))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Reason> {
        let end = self.at.checked_add(len).ok_or(Reason::Malformed)?;
        let slice = self.bytes.get(self.at..end).ok_or(Reason::Malformed)?;
        self.at = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        self.take(N)?.try_into().map_err(|_| Reason::Malformed)
    }

    fn u8(&mut self) -> Result<u8, Reason> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, Reason> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Reason> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Reason> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn tag(&mut self) -> Result<Tag, Reason> {
        let len = self.u16()?;
        let text = std::str::from_utf8(self.take(len.into())?).map_err(|_| Reason::Malformed)?;
        Ok(Tag::from_canonical(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Record {
        Record {
            meta: Meta {
                fill: 0x1122_3344_5566_7788,
                epoch: Epoch::new(0xaabb_ccdd_eeff_0011, 1_795_000_000_000_000),
                created: 1_795_000_000_000,
                fresh_until: 1_795_000_060_000,
                stale_until: 1_795_003_600_000,
                cost: 12_345,
                schema: 7,
                softened: false,
                tags: [
                    Tag::root(),
                    Tag::from_canonical("users:*"),
                    Tag::from("user:42"),
                ]
                .into(),
            },
            lease: None,
            payload: Some(Payload {
                codec: 1,
                compression: 0,
                len: 13,
                bytes: "{\"name\":\"Ada\"}".into(),
            }),
        }
    }

    fn reparse(record: &Record, key: &str) -> Result<Record, Reason> {
        parse(&encode(record, key).into(), key)
    }

    #[test]
    fn what_is_written_is_read() {
        let mut record = example();
        assert_eq!(reparse(&record, "users:42").as_ref(), Ok(&record));
        record.lease = Some(Lease {
            token: Token([9; 16]),
            deadline: 5,
        });
        record.meta.softened = true;
        assert_eq!(reparse(&record, "users:42").as_ref(), Ok(&record));
        let long = "k".repeat(IN_FULL + 1);
        assert_eq!(reparse(&record, &long).as_ref(), Ok(&record));
    }

    #[test]
    fn a_head_tells_what_it_holds() {
        let bytes = encode(&example(), "k");
        let head = Head {
            has_value: true,
            len: 13,
            inc: example().meta.epoch.inc,
        };
        assert_eq!(peek(&bytes[..HEADER]), Ok(head));
        let tags = example().meta.tags.to_vec();
        assert_eq!(peek_tags(&bytes), Some(tags));
        assert_eq!(peek_tags(&bytes[..HEADER + 4]), None, "cut");
        assert_eq!(peek(&bytes[..HEADER - 8]), Err(Reason::Malformed));
        assert_eq!(peek(b"SLF\x02 and more"), Err(Reason::WrongVersion));
        assert_eq!(peek(b"garbage"), Err(Reason::Malformed));
    }

    #[test]
    fn a_lease_record_has_no_value() {
        let lease = Lease {
            token: Token([3; 16]),
            deadline: 99,
        };
        let record = parse(&encode_lease(lease, "k").into(), "k").unwrap();
        assert_eq!((record.payload, record.lease), (None, Some(lease)));
    }

    #[test]
    fn another_key_is_a_miss() {
        let long = "k".repeat(600);
        let other = format!("{}x", "k".repeat(599));
        assert_eq!(
            parse(&encode(&example(), "a").into(), "b"),
            Err(Reason::WrongKey)
        );
        assert_eq!(
            parse(&encode(&example(), &long).into(), &other),
            Err(Reason::WrongKey)
        );
    }

    #[test]
    fn the_parts_that_scripts_change_are_where_they_say() {
        let mut bytes = encode(&example(), "k");
        bytes[offset::TOKEN..offset::TOKEN + 16].copy_from_slice(&[7; 16]);
        bytes[24..32].copy_from_slice(&77_u64.to_be_bytes());
        bytes[32..36].copy_from_slice(&[255; 4]);
        let record = parse(&bytes.into(), "k").unwrap();
        assert_eq!(
            record.lease,
            Some(Lease {
                token: Token([7; 16]),
                deadline: 77
            })
        );
        assert!(record.meta.softened);
    }

    #[test]
    fn every_truncation_is_a_miss() {
        let bytes = Bytes::from(encode(&example(), "users:42"));
        for len in 0..bytes.len() {
            assert!(
                parse(&bytes.slice(..len), "users:42").is_err(),
                "{len} bytes"
            );
        }
    }

    #[test]
    fn every_flipped_bit_is_a_miss_or_leaves_the_value_as_it_was() {
        let record = example();
        let bytes = encode(&record, "users:42");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let in_place = (offset::TOKEN..offset::EPOCH).contains(&(bit / 8));
            match parse(&flipped.into(), "users:42") {
                Err(_) => assert!(!in_place, "bit {bit}"),
                Ok(parsed) => {
                    assert!(in_place, "bit {bit}");
                    assert_eq!(parsed.payload, record.payload);
                    assert_eq!(parsed.meta.epoch, record.meta.epoch);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes.into(), "k");
        }

        #[test]
        fn arbitrary_bytes_under_a_right_checksum_never_panic(
            mut bytes in prop::collection::vec(any::<u8>(), HEADER..400),
        ) {
            bytes[..3].copy_from_slice(&MAGIC);
            bytes[3] = WIRE_VERSION;
            let sum = checksum(&bytes).to_be_bytes();
            bytes[offset::CHECKSUM..offset::FILL].copy_from_slice(&sum);
            let _ = parse(&bytes.into(), "k");
        }
    }
}
