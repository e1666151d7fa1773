//! What a flight of the layer lands with: a whole response, or word that it could not be shared.
//!
//! The first is a value of the engine like any other: in L1 as it is, in L2 as MessagePack with named
//! fields. The second is never stored; it releases those who wait.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shelflife_http::Stored as Head;

use super::encode::Encodings;
use super::why::Why;
use crate::key::Tag;

/// The shape of what is stored. Another number is a miss, as is anything else that stands under the key.
pub(crate) const SCHEMA: u32 = 0x6874_7401;

/// What a flight lands with.
#[expect(
    clippy::large_enum_variant,
    reason = "always behind an `Arc`; a box would be a miss of the processor's cache for each hit"
)]
pub(crate) enum Kept {
    Whole(Whole),
    /// The response was not to be shared: each asks for its own.
    Passed(Why),
}

/// A complete response.
pub(crate) struct Whole {
    pub(crate) head: Head,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<Box<HeaderMap>>,
    /// The tags that it came with, beside those of its rule and its URL: a 304 doesn't tell them again.
    pub(crate) tags: Vec<Tag>,
    /// What was made of the content in this process.
    pub(crate) encodings: Encodings,
}

impl Kept {
    pub(crate) fn whole(&self) -> Option<&Whole> {
        match self {
            Self::Whole(whole) => Some(whole),
            Self::Passed(_) => None,
        }
    }
}

impl Whole {
    pub(crate) fn len(&self) -> u64 {
        self.body.len() as u64
    }
}

#[derive(Serialize)]
struct Written<'a> {
    head: &'a Head,
    body: &'a Bytes,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trailers: Vec<(&'a str, Bytes)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<&'a str>,
}

#[derive(Deserialize)]
struct Read {
    head: Head,
    body: Bytes,
    #[serde(default)]
    trailers: Vec<(String, Bytes)>,
    #[serde(default)]
    tags: Vec<String>,
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self::Whole(Whole {
            head,
            body,
            trailers,
            tags,
            ..
        }) = self
        else {
            return Err(S::Error::custom("only a whole response is stored"));
        };
        let trailers = trailers.iter().flat_map(|map| fields(map)).collect();
        Written {
            head,
            body,
            trailers,
            tags: tags.iter().map(Tag::as_str).collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let mut trailers = HeaderMap::new();
        for (name, value) in read.trailers {
            let name = HeaderName::try_from(name).map_err(D::Error::custom)?;
            let value = HeaderValue::from_maybe_shared(value).map_err(D::Error::custom)?;
            trailers.try_append(name, value).map_err(D::Error::custom)?;
        }
        Ok(Self::Whole(Whole {
            head: read.head,
            body: read.body,
            trailers: (!trailers.is_empty()).then(|| Box::new(trailers)),
            tags: read
                .tags
                .iter()
                .map(|tag| Tag::from_canonical(tag))
                .collect(),
            encodings: Encodings::default(),
        }))
    }
}

fn fields(trailers: &HeaderMap) -> impl Iterator<Item = (&str, Bytes)> {
    let written = |value: &HeaderValue| Bytes::copy_from_slice(value.as_bytes());
    trailers
        .iter()
        .map(move |(name, value)| (name.as_str(), written(value)))
}
