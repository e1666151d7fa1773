//! Codecs: how a value becomes a payload and comes back.
//!
//! MessagePack with named fields by default (survives added fields, readable from Python), JSON, or
//! the raw bytes of a value that is bytes or text. Payloads over a threshold are compressed when that
//! makes them smaller. The wire numbers never change their meaning.
//!
//! Must not: know keys, epochs or stores.

use std::io::Read as _;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "binding")]
use crate::binding::Encoded;
use crate::reason::Reason;
use crate::record::Payload;

mod raw;

/// The largest payload that is stored or read: the limit of a Redis string.
pub(crate) const MAX_PAYLOAD: usize = 512 * 1024 * 1024;

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// MessagePack with named fields.
    #[default]
    MessagePack,
    /// JSON: larger and slower, readable with redis-cli.
    Json,
    /// The bytes themselves, for a value that serialises as bytes or a string (`bytes::Bytes`, `String`).
    Raw,
}

impl Codec {
    pub(crate) const fn wire(self) -> u8 {
        match self {
            Self::MessagePack => 0,
            Self::Json => 1,
            Self::Raw => 2,
        }
    }

    const fn from_wire(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::MessagePack),
            1 => Some(Self::Json),
            2 => Some(Self::Raw),
            _ => None,
        }
    }
}

/// How a payload is made smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4: a few GB/s, moderate gain.
    #[default]
    Lz4,
    /// Zstandard at level 3: smaller, slower.
    Zstd,
}

impl Compression {
    const fn wire(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
            Self::Zstd => 2,
        }
    }
}

/// A value that can't be written with the codec that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct EncodeError(String);

/// Writes a value.
pub(crate) fn encode<T: Serialize + 'static>(
    codec: Codec,
    value: &T,
) -> Result<Vec<u8>, EncodeError> {
    #[cfg(feature = "binding")]
    if let Some(encoded) = (value as &dyn std::any::Any).downcast_ref::<Encoded>()
        && encoded.codec() == codec
    {
        return Ok(encoded.bytes().to_vec());
    }
    match codec {
        Codec::MessagePack => {
            rmp_serde::to_vec_named(value).map_err(|e| EncodeError(e.to_string()))
        }
        Codec::Json => serde_json::to_vec(value).map_err(|e| EncodeError(e.to_string())),
        Codec::Raw => raw::to_bytes(value).map_err(|e| EncodeError(e.to_string())),
    }
}

/// Whether these bytes are the codec's word for *nothing* (`None`, `()`).
pub(crate) fn is_nil(codec: Codec, bytes: &[u8]) -> bool {
    match codec {
        Codec::MessagePack => bytes == [0xc0],
        Codec::Json => bytes == b"null",
        Codec::Raw => false,
    }
}

/// Makes a payload of encoded bytes, compressed if they are at least `threshold` bytes and it helps.
pub(crate) fn pack(
    codec: Codec,
    compression: Compression,
    threshold: usize,
    bytes: Vec<u8>,
) -> Result<Payload, Reason> {
    let len = u32::try_from(bytes.len()).map_err(|_| Reason::TooLarge)?;
    if bytes.len() > MAX_PAYLOAD {
        return Err(Reason::TooLarge);
    }
    let squeezed = match compression {
        _ if bytes.len() < threshold => None,
        Compression::None => None,
        Compression::Lz4 => Some(lz4_flex::block::compress(&bytes)),
        Compression::Zstd => zstd::bulk::compress(&bytes, 3).ok(),
    };
    let (compression, bytes) = match squeezed {
        Some(smaller) if smaller.len() < bytes.len() => (compression, smaller),
        _ => (Compression::None, bytes),
    };
    Ok(Payload {
        codec: codec.wire(),
        compression: compression.wire(),
        len,
        bytes: bytes.into(),
    })
}

/// Gives back the encoded bytes of a payload.
///
/// # Errors
///
/// The reason why this payload is a miss. Never allocates more than the payload can hold.
pub(crate) fn unpack(payload: &Payload) -> Result<(Codec, Bytes), Reason> {
    let codec = Codec::from_wire(payload.codec).ok_or(Reason::UnknownCodec)?;
    let len = payload.len as usize;
    if len > MAX_PAYLOAD {
        return Err(Reason::Malformed);
    }
    let bytes = match payload.compression {
        0 => payload.bytes.clone(),
        1 => {
            // LZ4 can't expand more than 255-fold: a longer claim is a lie, and is not allocated.
            if len > payload.bytes.len().saturating_mul(255) + 64 {
                return Err(Reason::Malformed);
            }
            lz4_flex::block::decompress(&payload.bytes, len)
                .map_err(|_| Reason::Malformed)?
                .into()
        }
        2 => unzstd(&payload.bytes, len)?.into(),
        _ => return Err(Reason::UnknownCodec),
    };
    if bytes.len() == len {
        Ok((codec, bytes))
    } else {
        Err(Reason::Malformed)
    }
}

fn unzstd(bytes: &[u8], len: usize) -> Result<Vec<u8>, Reason> {
    let decoder = zstd::stream::read::Decoder::new(bytes).map_err(|_| Reason::Malformed)?;
    let mut out = Vec::new();
    decoder
        .take(len as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|_| Reason::Malformed)?;
    Ok(out)
}

/// Reads a value.
pub(crate) fn decode<T: DeserializeOwned + 'static>(
    codec: Codec,
    bytes: &[u8],
) -> Result<T, Reason> {
    #[cfg(feature = "binding")]
    {
        let mut value = None::<T>;
        if let Some(encoded) = (&mut value as &mut dyn std::any::Any).downcast_mut() {
            *encoded = Some(Encoded::of(codec, Bytes::copy_from_slice(bytes)));
        }
        if let Some(value) = value {
            return Ok(value);
        }
    }
    match codec {
        Codec::MessagePack => rmp_serde::from_slice(bytes).ok(),
        Codec::Json => serde_json::from_slice(bytes).ok(),
        Codec::Raw => raw::from_bytes(bytes).ok(),
    }
    .ok_or(Reason::Undecodable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct User {
        id: u64,
        name: Option<String>,
    }

    fn round_trip(codec: Codec, compression: Compression) {
        let user = User {
            id: 1,
            name: Some("Ada ".repeat(600)),
        };
        let bytes = encode(codec, &user).unwrap();
        let payload = pack(codec, compression, 1024, bytes.clone()).unwrap();
        if compression != Compression::None {
            assert!(payload.bytes.len() < bytes.len() / 4);
        }
        let (codec, unpacked) = unpack(&payload).unwrap();
        assert_eq!(decode::<User>(codec, &unpacked).unwrap(), user);
    }

    #[test]
    fn values_come_back_from_every_codec_and_compression() {
        for codec in [Codec::MessagePack, Codec::Json] {
            for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
                round_trip(codec, compression);
            }
        }
    }

    #[test]
    fn raw_bytes_are_stored_as_they_are() {
        let value = Bytes::from_static(b"\x00\xff raw");
        let bytes = encode(Codec::Raw, &value).unwrap();
        assert_eq!(bytes, &value[..]);
        assert_eq!(decode::<Bytes>(Codec::Raw, &bytes).unwrap(), value);
        assert_eq!(decode::<String>(Codec::Raw, b"text").unwrap(), "text");
        assert!(encode(Codec::Raw, &42).is_err());
        assert!(decode::<String>(Codec::Raw, b"\xff").is_err());
    }

    #[test]
    fn an_added_field_does_not_break_older_readers() {
        #[derive(Serialize)]
        struct Newer {
            id: u64,
            name: Option<String>,
            email: String,
        }
        let newer = Newer {
            id: 1,
            name: None,
            email: "a@b.c".into(),
        };
        let bytes = encode(Codec::MessagePack, &newer).unwrap();
        assert_eq!(
            decode::<User>(Codec::MessagePack, &bytes).unwrap(),
            User { id: 1, name: None }
        );
    }

    #[test]
    fn nothing_is_told_from_empty() {
        for codec in [Codec::MessagePack, Codec::Json] {
            let nil = |bytes: Vec<u8>| is_nil(codec, &bytes);
            assert!(nil(encode(codec, &None::<u8>).unwrap()));
            assert!(!nil(encode(codec, &"").unwrap()));
            assert!(!nil(encode(codec, &Vec::<u8>::new()).unwrap()));
        }
    }

    #[test]
    fn claims_that_can_not_hold_are_refused_before_allocating() {
        let lie = |compression| Payload {
            codec: 0,
            compression,
            len: MAX_PAYLOAD as u32,
            bytes: Bytes::from_static(&[0; 16]),
        };
        for compression in [0, 1, 2] {
            assert_eq!(unpack(&lie(compression)).unwrap_err(), Reason::Malformed);
        }
        assert_eq!(unpack(&lie(9)).unwrap_err(), Reason::UnknownCodec);
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_never_panic(
            codec in 0..5_u8, compression in 0..4_u8, len in 0..100_000_u32,
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let payload = Payload { codec, compression, len, bytes: bytes.into() };
            if let Ok((codec, bytes)) = unpack(&payload) {
                let _ = decode::<User>(codec, &bytes);
            }
        }
    }
}
