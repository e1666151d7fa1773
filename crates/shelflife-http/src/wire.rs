//! How a stored head is written: fields as a list of pairs of name and bytes, readable in any language.
//!
//! What doesn't read is an error of the deserializer, never a panic: the store's bytes are not trusted.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{SerializeSeq, Serializer};

/// `StatusCode` as a number.
pub(crate) mod status {
    use http::StatusCode;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(crate) fn serialize<S: Serializer>(
        status: &StatusCode,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(status.as_u16())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<StatusCode, D::Error> {
        StatusCode::from_u16(u16::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// `HeaderMap` as a list of pairs, in order.
pub(crate) mod fields {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        headers: &HeaderMap,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(headers.len()))?;
        for (name, value) in headers {
            list.serialize_element(&(name.as_str(), Raw(value.as_bytes())))?;
        }
        list.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<HeaderMap, D::Error> {
        let pairs: Vec<(String, Bytes)> = Vec::deserialize(deserializer)?;
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::try_from(name).map_err(D::Error::custom)?;
            let value = HeaderValue::from_maybe_shared(value).map_err(D::Error::custom)?;
            headers.try_append(name, value).map_err(D::Error::custom)?;
        }
        Ok(headers)
    }
}

/// The selecting fields as a list of pairs; nil for a field that the request didn't have.
pub(crate) mod selecting {
    use super::*;

    type Selecting = Vec<(HeaderName, Option<Vec<u8>>)>;

    pub(crate) fn serialize<S: Serializer>(
        fields: &Selecting,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(fields.len()))?;
        for (name, value) in fields {
            list.serialize_element(&(name.as_str(), value.as_deref().map(Raw)))?;
        }
        list.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Selecting, D::Error> {
        let pairs: Vec<(String, Option<Bytes>)> = Vec::deserialize(deserializer)?;
        pairs
            .into_iter()
            .map(|(name, value)| {
                let name = HeaderName::try_from(name).map_err(D::Error::custom)?;
                Ok((name, value.map(Vec::from)))
            })
            .collect()
    }
}

/// Bytes as bytes, not as a list of numbers.
struct Raw<'a>(&'a [u8]);

impl serde::Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
