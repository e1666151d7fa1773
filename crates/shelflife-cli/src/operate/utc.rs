//! The server's times as text: UTC, to the microsecond.
//!
//! Must not: read a clock. Every time that is shown was told by the server.

/// Microseconds since 1970 as `2026-11-23T17:04:05.000123Z`.
pub(crate) fn rfc3339(us: u64) -> String {
    let (days, rest) = (us / DAY, us % DAY);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{}Z", time_of_day(rest))
}

/// The time of the day only: for lines that a person reads as they come.
pub(crate) fn time(us: u64) -> String {
    time_of_day(us % DAY)
}

const DAY: u64 = 24 * 3600 * 1_000_000;

fn time_of_day(us: u64) -> String {
    let s = us / 1_000_000;
    let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
    format!("{h:02}:{m:02}:{s:02}.{:06}", us % 1_000_000)
}

/// Year, month and day of a day since 1970, in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    let (mut year, mut day) = (1970, days);
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    // Whole cycles of 400 years first, so that a nonsensical time costs no more than a sensible one.
    let cycle = 146_097;
    year += day / cycle * 400;
    day %= cycle;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (s, text) in [
            (0, "1970-01-01T00:00:00.000007Z"),
            (951_782_400, "2000-02-29T00:00:00.000007Z"),
            (951_868_799, "2000-02-29T23:59:59.000007Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000007Z"),
            (1_767_225_599, "2025-12-31T23:59:59.000007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000007Z"),
        ] {
            assert_eq!(rfc3339(s * 1_000_000 + 7), text);
        }
        assert_eq!(time(1_767_225_599_000_007), "23:59:59.000007");
        assert!(rfc3339(u64::MAX).starts_with("586524-01-19"));
    }
}
