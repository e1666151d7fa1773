//! Values that are written as text: durations, sizes, addresses.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// `"500ms"`, `"30s"`, `"5m"`, `"2h"`.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let duration = shelflife::duration(&text).map_err(D::Error::custom)?;
    if duration.is_zero() {
        return Err(D::Error::custom(
            "no time at all: valid are \"500ms\", \"30s\", \"5m\", \"2h\"",
        ));
    }
    Ok(duration)
}

/// The same, or `"0s"`: not at all.
pub(super) fn duration_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    shelflife::duration(&text).map_err(D::Error::custom)
}

/// A duration, where there need not be one.
pub(super) fn some_duration<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

/// A size, where there need not be one.
pub(super) fn some_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    size(from).map(Some)
}

/// A part of a whole: 0 to 1.
pub(super) fn fraction<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let fraction = f64::deserialize(from)?;
    match (0.0..=1.0).contains(&fraction) {
        true => Ok(fraction),
        false => Err(D::Error::custom(
            "a fraction is from 0.0, which is off, to 1.0",
        )),
    }
}

/// Bytes: a number, or `"64KiB"`, `"16MiB"`, `"1GiB"`.
pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "a number of bytes, or \"64KiB\", \"16MiB\", \"1GiB\""
    )]
    enum Size {
        Number(usize),
        Text(String),
    }
    let size = match Size::deserialize(from)? {
        Size::Number(number) => Some(number),
        Size::Text(text) => parse_size(&text),
    };
    size.filter(|size| *size > 0).ok_or_else(|| {
        D::Error::custom("not a size: valid are a number of bytes, \"64KiB\", \"16MiB\", \"1GiB\"")
    })
}

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}

/// A number of things, at least one.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    match usize::deserialize(from)? {
        0 => Err(D::Error::custom("at least 1")),
        count => Ok(count),
    }
}

/// Anything that is parsed from text.
pub(super) fn parsed<'de, D: Deserializer<'de>, T>(from: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
{
    let text = String::deserialize(from)?;
    text.parse()
        .map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
}

/// One text or a list of them.
pub(super) fn one_or_many<'de, D: Deserializer<'de>, T>(from: D) -> Result<Vec<T>, D::Error>
where
    T: FromStr<Err: fmt::Display>,
{
    from.deserialize_any(OneOrMany(PhantomData))
}

struct OneOrMany<T>(PhantomData<T>);

impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for OneOrMany<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        parse(text).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut many: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(text) = many.next_element::<String>()? {
            all.push(parse(&text)?);
        }
        Ok(all)
    }
}

fn parse<T: FromStr<Err: fmt::Display>, E: Error>(text: &str) -> Result<T, E> {
    text.parse()
        .map_err(|error| E::custom(format!("{text:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_their_units() {
        for (text, size) in [
            ("512", Some(512)),
            ("64KiB", Some(65_536)),
            ("2 MiB", Some(2 << 20)),
            ("1GiB", Some(1 << 30)),
            ("1kb", None),
            ("KiB", None),
            ("-1", None),
            ("1.5MiB", None),
            ("99999999999999999999", None),
            ("99999999999999GiB", None),
        ] {
            assert_eq!(parse_size(text), size, "{text}");
        }
    }
}
