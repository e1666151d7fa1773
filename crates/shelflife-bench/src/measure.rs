//! Rounds in which contenders take turns, and what is to be made of their times.

use crate::Outcome;

/// Gives the time of one operation in ns, measured over as many as it takes.
pub(crate) type Turn<'a> = Box<dyn FnMut() -> Outcome<f64> + 'a>;

/// The times of one contender, round by round.
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// The median of the rounds' ratios.
    pub(crate) fn over(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Lets every contender have a turn in every round, after one round to warm up.
pub(crate) fn compete(rounds: usize, contenders: &mut [Turn<'_>]) -> Outcome<Vec<Times>> {
    let mut times: Vec<Times> = contenders.iter().map(|_| Times(Vec::new())).collect();
    for round in 0..=rounds {
        for (turn, times) in contenders.iter_mut().zip(&mut times) {
            let took = turn()?;
            if round > 0 {
                times.0.push(took);
            }
        }
    }
    Ok(times)
}

/// How often `work` allocates, on average of so many times.
pub(crate) fn allocations(times: u64, mut work: impl FnMut()) -> f64 {
    let info = allocation_counter::measure(|| (0..times).for_each(|_| work()));
    info.count_total as f64 / times as f64
}

/// How many bytes are still allocated after `work`, by this thread; and what it made.
pub(crate) fn kept<T>(work: impl FnOnce() -> T) -> (i64, Option<T>) {
    let mut made = None;
    let info = allocation_counter::measure(|| made = Some(work()));
    (info.bytes_current, made)
}
