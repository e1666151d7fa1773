//! Values: what may be cached, typed for the caller and erased for the engine.
//!
//! The engine moves [`Live`] values about: typed objects behind an `Arc`, which L1 hands out without
//! decoding. Only at the edge of a shared store do they become bytes. [`Kind`] is the way back.

use std::any::Any;
use std::io;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, Codec, EncodeError};
use crate::reason::Reason;

/// What can be cached: anything that serde can write and read again, without borrowed data.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be cached",
    note = "a cached value needs `serde::Serialize`, `serde::Deserialize`, `Send`, `Sync` and no borrowed data"
)]
pub trait Value: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// A value of some type, shared.
pub(crate) type Live = Arc<dyn Stored>;

/// What the engine asks of a value whose type it doesn't know.
pub(crate) trait Stored: Any + Send + Sync {
    fn encode(&self, codec: Codec) -> Result<Vec<u8>, EncodeError>;
    /// Its size as MessagePack, and whether it is *nothing*, without keeping the bytes.
    fn weigh(&self) -> Result<Weighed, EncodeError>;
    /// What a binding keeps beside it takes in memory, if it is to keep something (`wanted`) or does.
    fn beside(&self, wanted: bool) -> usize;
}

impl<T: Value> Stored for T {
    fn encode(&self, codec: Codec) -> Result<Vec<u8>, EncodeError> {
        codec::encode(codec, self)
    }

    fn beside(&self, wanted: bool) -> usize {
        #[cfg(feature = "binding")]
        if let Some(encoded) = (self as &dyn Any).downcast_ref::<crate::binding::Encoded>() {
            return encoded.weigh_object(wanted);
        }
        let _ = wanted;
        0
    }

    fn weigh(&self) -> Result<Weighed, EncodeError> {
        #[cfg(feature = "binding")]
        if let Some(encoded) = (self as &dyn Any).downcast_ref::<crate::binding::Encoded>() {
            return Ok(Weighed {
                bytes: encoded.bytes().len(),
                nil: codec::is_nil(encoded.codec(), encoded.bytes()),
            });
        }
        let mut scales = Scales::default();
        let mut serializer = rmp_serde::Serializer::new(&mut scales).with_struct_map();
        match self.serialize(&mut serializer) {
            Ok(()) => Ok(Weighed {
                bytes: scales.bytes,
                nil: scales.bytes == 1 && scales.nil,
            }),
            // Not every value has a MessagePack form (raw bytes behind a custom serialiser may not).
            Err(_) => {
                let bytes = codec::encode(Codec::Json, self)?;
                Ok(Weighed {
                    bytes: bytes.len(),
                    nil: codec::is_nil(Codec::Json, &bytes),
                })
            }
        }
    }
}

/// What [`Stored::weigh`] found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weighed {
    pub(crate) bytes: usize,
    pub(crate) nil: bool,
}

#[derive(Default)]
struct Scales {
    bytes: usize,
    nil: bool,
}

impl io::Write for Scales {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.bytes == 0 && !buf.is_empty() {
            self.nil = buf[0] == 0xc0;
        }
        self.bytes += buf.len();
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The type that a caller wants, as the engine carries it: how to decode it.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    decode: fn(Codec, &[u8]) -> Result<Live, Reason>,
    is: fn(&Live) -> bool,
    /// Whether a value of this type may stand for the entry in L1.
    keeps: bool,
}

impl Kind {
    pub(crate) fn of<T: Value>() -> Self {
        Self {
            decode: |codec, bytes| Ok(Arc::new(codec::decode::<T>(codec, bytes)?)),
            is: |live| downcast_ref::<T>(live).is_some(),
            keeps: true,
        }
    }

    /// The same for a type that does not hold all of the value: not to be kept.
    pub(crate) fn unkept(self) -> Self {
        Self {
            keeps: false,
            ..self
        }
    }

    pub(crate) fn keeps(self) -> bool {
        self.keeps
    }

    /// Whether a value is of this type. Another type's value is not adopted from L1 or from a flight:
    /// it may have lost what this one needs.
    pub(crate) fn is(self, live: &Live) -> bool {
        (self.is)(live)
    }

    pub(crate) fn decode(self, codec: Codec, bytes: &[u8]) -> Result<Live, Reason> {
        (self.decode)(codec, bytes)
    }

    /// The value as this type: itself if it is, else by way of its encoding.
    pub(crate) fn adopt(self, live: &Live) -> Result<Live, Reason> {
        if (self.is)(live) {
            return Ok(live.clone());
        }
        let bytes = live
            .encode(Codec::MessagePack)
            .map_err(|_| Reason::Undecodable)?;
        self.decode(Codec::MessagePack, &bytes)
    }
}

pub(crate) fn downcast_ref<T: Value>(live: &Live) -> Option<&T> {
    let any: &dyn Any = &**live;
    any.downcast_ref()
}

/// The value as an `Arc` of its type; `None` if it is of another.
pub(crate) fn downcast<T: Value>(live: Live) -> Option<Arc<T>> {
    let any: Arc<dyn Any + Send + Sync> = live;
    any.downcast().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_adopted_by_another_type_through_its_encoding() {
        let live: Live = Arc::new(vec![1_u32, 2]);
        let same = Kind::of::<Vec<u32>>().adopt(&live).unwrap();
        assert!(Arc::ptr_eq(&live, &same));
        let other = Kind::of::<Vec<u64>>().adopt(&live).unwrap();
        assert_eq!(downcast_ref::<Vec<u64>>(&other), Some(&vec![1, 2]));
        assert_eq!(
            Kind::of::<bool>().adopt(&live).err(),
            Some(Reason::Undecodable)
        );
    }

    #[test]
    fn weight_is_the_encoded_size_and_nothing_is_known() {
        let value = ("abc".to_owned(), 5_u8);
        let weighed = value.weigh().unwrap();
        assert_eq!(
            weighed.bytes,
            rmp_serde::to_vec_named(&value).unwrap().len()
        );
        assert!(!weighed.nil);
        assert!(None::<u8>.weigh().unwrap().nil);
        assert!(!false.weigh().unwrap().nil);
    }
}
