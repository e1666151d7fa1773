//! HTTP dates (RFC 9110 §5.6.7): read in the three formats, written in the preferred one.
//!
//! Syntax is strict, because a date that is almost one must count as none (`Expires: 0`, another zone). Case is
//! not, and a day name that contradicts the date is not asked: what counts is the moment.
//! Times are milliseconds since the Unix epoch; a moment before it is the epoch.

const SECOND: u64 = 1000;
const DAY_NAMES: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// 9999-12-31T23:59:59Z: the last moment that four digits of a year can name.
const LAST: u64 = 253_402_300_799;

/// The moment that `text` names, or `None` if it isn't an HTTP date. `now` settles two-digit years.
pub(crate) fn parse(text: &[u8], now: u64) -> Option<u64> {
    let text = text.trim_ascii();
    imf_fixdate(text)
        .or_else(|| rfc850(text, now))
        .or_else(|| asctime(text))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, of the second in which `at` lies.
pub(crate) fn format(at: u64) -> String {
    let seconds = (at / SECOND).min(LAST);
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    // The epoch was a Thursday.
    let name = DAY_NAMES
        .get(((days + 3) % 7) as usize)
        .copied()
        .unwrap_or("Monday");
    let month = MONTHS.get(month as usize - 1).copied().unwrap_or("Jan");
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!(
        "{}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT",
        name.get(..3).unwrap_or(name)
    )
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &[u8]) -> Option<u64> {
    let mut read = Reader(text);
    read.day_name(3)?;
    read.expect(b", ")?;
    let day = read.number(2)?;
    read.expect(b" ")?;
    let month = read.month()?;
    read.expect(b" ")?;
    let year = read.number(4)?;
    read.expect(b" ")?;
    let clock = read.clock()?;
    read.expect(b" GMT")?;
    read.end()?;
    moment(year, month, day, clock)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(text: &[u8], now: u64) -> Option<u64> {
    let mut read = Reader(text);
    let comma = text.iter().position(|byte| *byte == b',')?;
    // The whole name: "Thu, 18-Aug-50" is in none of the formats.
    if comma == 3 {
        return None;
    }
    read.day_name(comma)?;
    read.expect(b", ")?;
    let day = read.number(2)?;
    read.expect(b"-")?;
    let month = read.month()?;
    read.expect(b"-")?;
    let two_digits = read.number(2)?;
    read.expect(b" ")?;
    let clock = read.clock()?;
    read.expect(b" GMT")?;
    read.end()?;
    // RFC 9110 §5.6.7: what would lie more than 50 years ahead is of the century before.
    let (this_year, ..) = civil((now / SECOND).min(LAST) / 86_400);
    let mut year = this_year / 100 * 100 + two_digits;
    if year > this_year + 50 {
        year = year.checked_sub(100)?;
    }
    moment(year, month, day, clock)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &[u8]) -> Option<u64> {
    let mut read = Reader(text);
    read.day_name(3)?;
    read.expect(b" ")?;
    let month = read.month()?;
    read.expect(b" ")?;
    let day = if read.expect(b" ").is_some() {
        read.number(1)?
    } else {
        read.number(2)?
    };
    read.expect(b" ")?;
    let clock = read.clock()?;
    read.expect(b" ")?;
    let year = read.number(4)?;
    read.end()?;
    moment(year, month, day, clock)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    fn expect(&mut self, literal: &[u8]) -> Option<()> {
        let head = self.0.get(..literal.len())?;
        if !head.eq_ignore_ascii_case(literal) {
            return None;
        }
        self.take(literal.len()).map(|_| ())
    }

    fn number(&mut self, digits: usize) -> Option<u64> {
        self.take(digits)?.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u64::from(digit - b'0'))
        })
    }

    /// A day's name of this length: three letters, or all.
    fn day_name(&mut self, length: usize) -> Option<()> {
        let name = self.take(length)?;
        let known = DAY_NAMES.iter().any(|day| {
            let expected = if length == 3 {
                day.as_bytes().get(..3)
            } else {
                Some(day.as_bytes())
            };
            expected.is_some_and(|expected| expected.eq_ignore_ascii_case(name))
        });
        known.then_some(())
    }

    fn month(&mut self) -> Option<u64> {
        let name = self.take(3)?;
        let at = MONTHS
            .iter()
            .position(|month| month.as_bytes().eq_ignore_ascii_case(name))?;
        Some(at as u64 + 1)
    }

    /// `08:49:37`, as seconds; a leap second is the next minute's first.
    fn clock(&mut self) -> Option<u64> {
        let hour = self.number(2)?;
        self.expect(b":")?;
        let minute = self.number(2)?;
        self.expect(b":")?;
        let second = self.number(2)?;
        (hour < 24 && minute < 60 && second <= 60).then(|| hour * 3600 + minute * 60 + second)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

fn moment(year: u64, month: u64, day: u64, clock: u64) -> Option<u64> {
    if day == 0 || day > days_in(year, month) {
        return None;
    }
    if year < 1970 {
        return Some(0);
    }
    let days = days_before(year, month) + day - 1;
    Some((days * 86_400 + clock) * SECOND)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the epoch to the first of this month.
fn days_before(year: u64, month: u64) -> u64 {
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    years + (1..month).map(|month| days_in(year, month)).sum::<u64>()
}

/// Year, month and day of a number of days since the epoch.
fn civil(days: u64) -> (u64, u64, u64) {
    // 400 years have 146,097 days: a first guess that is never late and at most one year early.
    let mut year = 1970 + days * 400 / 146_097;
    while year > 1970 && days_before(year, 1) > days {
        year -= 1;
    }
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_before(year, month + 1) <= days {
        month += 1;
    }
    (year, month, days - days_before(year, month) + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    #[test]
    fn three_formats_name_the_same_moment() {
        // RFC 9110 §5.6.7
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), Some(784_111_777_000), "{text}");
        }
    }

    #[test]
    fn case_and_the_name_of_the_day_do_not_matter() {
        let expected = parse(b"Thu, 18 Aug 2050 02:01:18 GMT", NOW);
        assert!(expected.is_some());
        for text in [
            "THU, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 AUG 2050 02:01:18 gMT",
            "Mon, 18 Aug 2050 02:01:18 GMT",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), expected, "{text}");
        }
    }

    #[test]
    fn almost_a_date_is_none() {
        // RFC 9111 §5.3: an invalid date, "0" above all, lies in the past; that is for the caller to say.
        for text in [
            "0",
            "",
            "-1",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 AEST",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18-Aug-50 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu, 18 Aug 2050 02:01:18",
            "Thu, 18 Aug 2050 02:01:18 GMT GMT",
            "Thu, 31 Feb 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 24:01:18 GMT",
            "Xyz, 18 Aug 2050 02:01:18 GMT",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
    }

    #[test]
    fn two_digit_year_is_at_most_fifty_years_ahead() {
        let year_of = |text: &str| parse(text.as_bytes(), NOW).map(|at| civil(at / 86_400_000).0);
        assert_eq!(year_of("Thursday, 18-Aug-50 02:01:18 GMT"), Some(2050));
        assert_eq!(year_of("Thursday, 18-Aug-76 02:01:18 GMT"), Some(2076));
        assert_eq!(year_of("Thursday, 18-Aug-77 02:01:18 GMT"), Some(1977));
    }

    #[test]
    fn before_the_epoch_is_the_epoch() {
        assert_eq!(parse(b"Mon, 01 Jan 1900 00:00:00 GMT", NOW), Some(0));
        assert_eq!(parse(b"Mon, 01 Jan 0000 00:00:00 GMT", NOW), Some(0));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 0..40), now: u64) {
            let _ = parse(&text, now);
        }

        #[test]
        fn what_is_written_is_read_and_another_library_agrees(second in 0..LAST) {
            let text = format(second * SECOND);
            prop_assert_eq!(parse(text.as_bytes(), NOW), Some(second * SECOND));
            let theirs = httpdate::parse_http_date(&text).expect("a date");
            prop_assert_eq!(theirs, std::time::UNIX_EPOCH + std::time::Duration::from_secs(second));
        }

        #[test]
        fn any_moment_can_be_written(at: u64) {
            prop_assert!(format(at).ends_with(" GMT"));
        }
    }
}
