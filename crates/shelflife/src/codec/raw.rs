//! The raw codec: a value that is bytes or text, as it is.
//!
//! A serialiser that accepts just those two shapes; everything else says which codec to use.

use std::fmt;

use serde::de::value::BytesDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::ser::{Impossible, Serialize, Serializer};

pub(super) fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, NotRaw> {
    value.serialize(RawSerializer)
}

pub(super) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NotRaw> {
    let deserializer: BytesDeserializer<'_, NotRaw> = bytes.into_deserializer();
    T::deserialize(deserializer)
}

#[derive(Debug)]
pub(super) struct NotRaw(String);

impl fmt::Display for NotRaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotRaw {}

impl serde::ser::Error for NotRaw {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl serde::de::Error for NotRaw {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

fn refuse<T>() -> Result<T, NotRaw> {
    Err(NotRaw(
        "the raw codec stores bytes or a string; use MessagePack or JSON".to_owned(),
    ))
}

struct RawSerializer;

macro_rules! refused {
    ($($method:ident($($arg:ty),*);)*) => {
        $(fn $method(self, $(_: $arg),*) -> Result<Vec<u8>, NotRaw> { refuse() })*
    };
}

macro_rules! refused_compound {
    ($($method:ident($($arg:ty),*) -> $kind:ident;)*) => {
        $(fn $method(self, $(_: $arg),*) -> Result<Self::$kind, NotRaw> { refuse() })*
    };
}

impl Serializer for RawSerializer {
    type Ok = Vec<u8>;
    type Error = NotRaw;
    type SerializeSeq = Impossible<Vec<u8>, NotRaw>;
    type SerializeTuple = Impossible<Vec<u8>, NotRaw>;
    type SerializeTupleStruct = Impossible<Vec<u8>, NotRaw>;
    type SerializeTupleVariant = Impossible<Vec<u8>, NotRaw>;
    type SerializeMap = Impossible<Vec<u8>, NotRaw>;
    type SerializeStruct = Impossible<Vec<u8>, NotRaw>;
    type SerializeStructVariant = Impossible<Vec<u8>, NotRaw>;

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Vec<u8>, NotRaw> {
        Ok(bytes.to_vec())
    }

    fn serialize_str(self, text: &str) -> Result<Vec<u8>, NotRaw> {
        Ok(text.as_bytes().to_vec())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Vec<u8>, NotRaw> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Vec<u8>, NotRaw> {
        refuse()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Vec<u8>, NotRaw> {
        refuse()
    }

    refused! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    refused_compound! {
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }
}
