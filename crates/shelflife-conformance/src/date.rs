//! HTTP dates, written (RFC 9110 §5.6.7). Reading them is what the caches under test do.

use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const SECONDS_OF_DAY: i64 = 86_400;

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// The date `seconds` after `from_ms`, in the preferred format: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn imf(from_ms: i64, seconds: i64) -> String {
    let at = Moment::new(from_ms, seconds);
    let day = at.weekday.get(..3).unwrap_or_default();
    format!(
        "{day}, {:02} {} {:04} {} GMT",
        at.day,
        at.month,
        at.year,
        at.clock()
    )
}

/// The same in the obsolete format of RFC 850: `Sunday, 06-Nov-94 08:49:37 GMT`.
pub(crate) fn rfc850(from_ms: i64, seconds: i64) -> String {
    let at = Moment::new(from_ms, seconds);
    let year = at.year % 100;
    format!(
        "{}, {:02}-{}-{year:02} {} GMT",
        at.weekday,
        at.day,
        at.month,
        at.clock()
    )
}

struct Moment {
    weekday: &'static str,
    day: i64,
    month: &'static str,
    year: i64,
    second: i64,
}

impl Moment {
    fn new(from_ms: i64, seconds: i64) -> Self {
        let at = from_ms.div_euclid(1000).saturating_add(seconds);
        let days = at.div_euclid(SECONDS_OF_DAY);
        let (year, month, day) = civil(days);
        Moment {
            weekday: pick(&DAYS, days.rem_euclid(7)),
            day,
            month: pick(&MONTHS, month - 1),
            year,
            second: at.rem_euclid(SECONDS_OF_DAY),
        }
    }

    fn clock(&self) -> String {
        let (hours, minutes) = (self.second / 3600, self.second / 60 % 60);
        format!("{hours:02}:{minutes:02}:{:02}", self.second % 60)
    }
}

fn pick(names: &[&'static str], at: i64) -> &'static str {
    let at = usize::try_from(at).unwrap_or_default();
    names.get(at).copied().unwrap_or_default()
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970-01-01.
///
/// Years are counted from March, so that the leap day is the last of its year, in cycles of 400 years.
fn civil(days: i64) -> (i64, i64, i64) {
    const OF_CYCLE: i64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let cycle = days.div_euclid(OF_CYCLE);
    let of_cycle = days.rem_euclid(OF_CYCLE);
    let year_of_cycle =
        (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // Months from March: 31, 30, 31, 30, 31 days, twice, and the rest: 153 days in five months.
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_cycle + cycle * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_specification_shows_them() {
        // RFC 9110 §5.6.7: the same moment in both formats.
        let nov_94 = 784_111_777_000;
        assert_eq!(imf(nov_94, 0), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(rfc850(nov_94, 0), "Sunday, 06-Nov-94 08:49:37 GMT");
    }

    #[test]
    fn leap_days_and_ends_of_years_are_where_they_belong() {
        assert_eq!(imf(0, 0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(imf(0, -1), "Wed, 31 Dec 1969 23:59:59 GMT");
        assert_eq!(imf(951_782_399_000, 1), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(
            imf(951_782_400_000, 86_400),
            "Wed, 01 Mar 2000 00:00:00 GMT"
        );
        assert_eq!(imf(4_107_542_399_999, 1), "Mon, 01 Mar 2100 00:00:00 GMT");
    }
}
