//! Durations as people write them: `300ms`, `5m`, `1h30m`, `2d`.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::policy::LONGEST;

/// Reads a duration: numbers with units `ms`, `s`, `m`, `h`, `d` or `w`, one after another; a bare
/// number is seconds. A century at the most.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(shelflife::duration("1h30m")?, Duration::from_secs(5400));
/// assert_eq!(shelflife::duration("0.5s")?, Duration::from_millis(500));
/// # Ok::<_, shelflife::Error>(())
/// ```
///
/// # Errors
///
/// Of kind [`ErrorKind::Config`] for any other text.
pub fn duration(text: &str) -> Result<Duration, Error> {
    parse(text.trim()).ok_or_else(|| {
        let valid = "a duration such as \"300ms\", \"5m\", \"1h30m\" or \"2d\"";
        Error::new(
            ErrorKind::Config,
            format!("not a duration: {text:?}; expected {valid}"),
        )
    })
}

fn parse(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "" if tail.is_empty() && number.len() == text.len() => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()?;
        total = total.checked_add(part).filter(|d| *d <= LONGEST)?;
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        let ms = |text| duration(text).map(|d| d.as_millis());
        for (text, expected) in [
            ("300ms", 300),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1.5s", 1500),
            ("60", 60_000),
            ("0", 0),
            (" 1w ", 604_800_000),
            ("1m500ms", 60_500),
        ] {
            assert_eq!(ms(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "m",
            "5 m",
            "-1s",
            "5x",
            "1h30",
            "1..5s",
            "999999999999999999999w",
            "é",
            "5m!",
        ] {
            assert!(ms(text).is_err(), "{text}");
        }
    }
}
