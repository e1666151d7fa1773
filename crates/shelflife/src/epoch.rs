//! Epochs: the order of invalidations.
//!
//! An [`Epoch`] is an incarnation and a tick. The incarnation is random and names one life of the
//! bookkeeping; the tick orders invalidations within it. Epochs of different incarnations never
//! compare: asked whether one is at least the other, the answer is *no*. There is therefore no
//! `Ord` here, on purpose.

use std::fmt;
use std::str::FromStr;

/// A point in the order of invalidations: (incarnation, tick).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch {
    /// Names one life of the bookkeeping. Random; a flush or a lost clock begins another.
    pub inc: u64,
    /// Orders invalidations within the incarnation. Microseconds of the server's clock, or later.
    pub tick: u64,
}

impl Epoch {
    /// The epoch `tick` of the incarnation `inc`.
    pub const fn new(inc: u64, tick: u64) -> Self {
        Self { inc, tick }
    }

    /// The later of two; of another incarnation's, this one.
    pub(crate) const fn or_later(self, other: Self) -> Self {
        if other.at_least(self) { other } else { self }
    }

    /// Whether this epoch is `other` or later. Across incarnations: never.
    pub const fn at_least(self, other: Self) -> bool {
        self.inc == other.inc && self.tick >= other.tick
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}:{}", self.inc, self.tick)
    }
}

/// Text that is not an epoch: `<16 hex digits>:<decimal tick>` was expected.
#[derive(Debug, thiserror::Error)]
#[error("not an epoch: {0:?}; expected 16 hex digits, a colon and a decimal tick")]
pub struct ParseEpochError(String);

impl FromStr for Epoch {
    type Err = ParseEpochError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (inc, tick) = text.split_once(':')?;
            let inc = (inc.len() == 16).then(|| u64::from_str_radix(inc, 16).ok())??;
            Some(Self::new(inc, tick.parse().ok()?))
        };
        parse().ok_or_else(|| ParseEpochError(text.to_owned()))
    }
}

/// Proof that an invalidation was carried out: its epoch.
///
/// Hand it to [`Entry::session`](crate::Entry::session), and a read sees everything up to it. Its
/// text form (`Display`, `FromStr`) may travel in a header or a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt(Epoch);

impl Receipt {
    pub(crate) const fn new(epoch: Epoch) -> Self {
        Self(epoch)
    }

    /// The epoch of the invalidation.
    pub const fn epoch(self) -> Epoch {
        self.0
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Receipt {
    type Err = ParseEpochError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_of_different_incarnations_never_compare() {
        let (a, b) = (Epoch::new(1, 5), Epoch::new(2, 1));
        assert!(!a.at_least(b));
        assert!(!b.at_least(a));
        assert!(a.at_least(Epoch::new(1, 5)));
        assert!(!a.at_least(Epoch::new(1, 6)));
    }

    #[test]
    fn receipts_travel_as_text() {
        let receipt = Receipt::new(Epoch::new(0xab, 1_700_000_000_000_000));
        let text = receipt.to_string();
        assert_eq!(text, "00000000000000ab:1700000000000000");
        assert_eq!(text.parse::<Receipt>().unwrap(), receipt);
        for bad in [
            "",
            "1:2",
            "00000000000000ab",
            "00000000000000ab:-1",
            "zz000000000000ab:1",
        ] {
            assert!(bad.parse::<Receipt>().is_err(), "{bad}");
        }
    }
}
