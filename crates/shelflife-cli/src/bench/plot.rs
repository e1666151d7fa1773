//! Small pictures of blocks, or of letters where a terminal has none.
//!
//! Must not: print.

use super::side::Times;

/// How figures are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Blocks,
    Ascii,
}

impl Ink {
    /// By what was asked for, else by the locale: the first of these variables that says something.
    pub(super) fn choose(ascii: bool) -> Self {
        let variables = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
        let said = variables
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty());
        Self::of(ascii, said.as_deref())
    }

    fn of(ascii: bool, locale: Option<&str>) -> Self {
        let is_utf8 = locale.is_none_or(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        match ascii || !is_utf8 {
            true => Self::Ascii,
            false => Self::Blocks,
        }
    }
}

const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_LEVELS: [char; 8] = ['_', '.', ',', '-', '=', 'o', 'O', '#'];

/// A bar of at most so many columns.
pub(super) fn bar(part: u64, of: u64, columns: usize, ink: Ink) -> String {
    if of == 0 || part == 0 {
        return String::new();
    }
    let eighths = (u128::from(part) * columns as u128 * 8).div_ceil(u128::from(of));
    let eighths = usize::try_from(eighths).unwrap_or(0).min(columns * 8);
    match ink {
        Ink::Ascii => "#".repeat(eighths.div_ceil(8)),
        Ink::Blocks => {
            let mut bar = "█".repeat(eighths / 8);
            if eighths % 8 > 0 {
                bar.push(EIGHTHS[eighths % 8 - 1]);
            }
            bar
        }
    }
}

/// A line of columns as high as their figures; of many, the greatest of those that share a column.
pub(super) fn spark(figures: &[f64], columns: usize, ink: Ink) -> String {
    if figures.is_empty() || columns == 0 {
        return String::new();
    }
    let columns = columns.min(figures.len());
    let most = figures.iter().copied().fold(0.0, f64::max);
    let levels = match ink {
        Ink::Blocks => LEVELS,
        Ink::Ascii => ASCII_LEVELS,
    };
    let column = |at: usize| {
        let from = at * figures.len() / columns;
        let to = ((at + 1) * figures.len() / columns).max(from + 1);
        let figure = figures[from..to].iter().copied().fold(0.0, f64::max);
        let level = if most > 0.0 { figure / most * 7.0 } else { 0.0 };
        (0..8)
            .rev()
            .find(|n| level + 0.5 >= f64::from(*n))
            .unwrap_or(0)
    };
    let index = |level: i32| usize::try_from(level).unwrap_or(0);
    (0..columns).map(|at| levels[index(column(at))]).collect()
}

/// Bounds of times that a person takes in, in ns: 1, 2, 5, 10, … with how many of each side lie between.
pub(super) fn rows(sides: &[&Times]) -> Vec<(u64, u64, Vec<u64>)> {
    let mut bounds = Vec::new();
    let mut decade = 1_u64;
    while decade < 3_600_000_000_000 {
        bounds.extend([decade, decade * 2, decade * 5]);
        decade *= 10;
    }
    let row = |pair: &[u64]| {
        let counts: Vec<u64> = sides
            .iter()
            .map(|times| times.between(pair[0], pair[1]))
            .collect();
        (pair[0], pair[1], counts)
    };
    let all: Vec<_> = bounds.windows(2).map(row).collect();
    let is_empty = |row: &(u64, u64, Vec<u64>)| row.2.iter().all(|n| *n == 0);
    let first = all.iter().position(|row| !is_empty(row));
    let last = all.iter().rposition(|row| !is_empty(row));
    match (first, last) {
        (Some(first), Some(last)) => all[first..=last].to_vec(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn bars_are_as_long_as_their_part() {
        assert_eq!(bar(1, 2, 4, Ink::Blocks), "██");
        assert_eq!(bar(1, 16, 4, Ink::Blocks), "▎");
        assert_eq!(
            bar(1, 1_000_000, 4, Ink::Blocks),
            "▏",
            "what is there is seen"
        );
        assert_eq!(bar(0, 5, 4, Ink::Blocks), "");
        assert_eq!(bar(5, 5, 4, Ink::Ascii), "####");
        assert_eq!(bar(5, 0, 4, Ink::Ascii), "");
    }

    #[test]
    fn sparks_are_as_high_as_their_figure() {
        assert_eq!(spark(&[0.0, 1.0, 2.0], 10, Ink::Blocks), "▁▅█");
        assert_eq!(spark(&[0.0, 7.0], 10, Ink::Ascii), "_#");
        assert_eq!(spark(&[1.0, 9.0, 1.0, 1.0], 2, Ink::Blocks), "█▂");
        assert_eq!(spark(&[0.0], 3, Ink::Blocks), "▁");
        assert_eq!(spark(&[], 3, Ink::Blocks), "");
    }

    #[test]
    fn rows_begin_and_end_where_there_is_something() {
        let mut times = Times::new();
        for us in [150, 160, 700, 4_000] {
            times.record(Duration::from_micros(us));
        }
        let rows = rows(&[&times, &Times::new()]);
        let counts: Vec<_> = rows
            .iter()
            .map(|(from, _, n)| (from / 1000, n[0], n[1]))
            .collect();
        assert_eq!(
            counts,
            [
                (100, 2, 0),
                (200, 0, 0),
                (500, 1, 0),
                (1000, 0, 0),
                (2000, 1, 0)
            ]
        );
    }

    #[test]
    fn every_time_is_in_one_row() {
        let mut times = Times::new();
        for us in 1..3_000 {
            times.record(Duration::from_micros(us));
        }
        let counted: u64 = rows(&[&times]).iter().map(|(_, _, n)| n[0]).sum();
        assert_eq!(counted, times.len());
    }

    #[test]
    fn letters_are_for_terminals_without_blocks() {
        assert_eq!(Ink::of(false, Some("de_DE.UTF-8")), Ink::Blocks);
        assert_eq!(Ink::of(false, Some("C")), Ink::Ascii);
        assert_eq!(Ink::of(false, None), Ink::Blocks);
        assert_eq!(Ink::of(true, Some("C.utf8")), Ink::Ascii);
    }
}
