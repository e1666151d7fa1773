//! Numbers for a person: spans of time and sizes, to what matters of them.
//!
//! Must not: print.

/// A span of time, given in µs.
pub(crate) fn span(us: u64) -> String {
    let s = us / 1_000_000;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        1_000_000..100_000_000 => format!("{s}.{} s", us / 100_000 % 10),
        _ if s < 7_200 => format!("{} min", s / 60),
        _ if s < 172_800 => format!("{} h", s / 3600),
        _ => format!("{} days", s / 86_400),
    }
}

/// A number of bytes.
pub(crate) fn bytes(n: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, one) in units {
        if n >= one {
            return format!("{}.{} {unit}", n / one, n % one * 10 / one);
        }
    }
    format!("{n} B")
}

/// A rate or a count, with a letter for thousands.
pub(crate) fn short(n: f64) -> String {
    match n {
        n if n >= 1e9 => format!("{:.1}G", n / 1e9),
        n if n >= 1e6 => format!("{:.1}M", n / 1e6),
        n if n >= 1e4 => format!("{:.1}k", n / 1e3),
        n if n >= 100.0 || n.fract() == 0.0 => format!("{n:.0}"),
        n => format!("{n:.1}"),
    }
}

/// The whole part of a number; 0 where it is negative, or none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts of floats saturate"
)]
pub(crate) fn whole(n: f64) -> u64 {
    n as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_in_their_own_unit() {
        for (us, text) in [
            (7, "7 µs"),
            (1_999, "1.9 ms"),
            (25_000, "25 ms"),
            (1_250_000, "1.2 s"),
            (125_000_000, "2 min"),
            (7_300_000_000, "2 h"),
            (500_000_000_000, "5 days"),
        ] {
            assert_eq!(span(us), text);
        }
        assert_eq!(bytes(900), "900 B");
        assert_eq!(bytes(1_572_864), "1.5 MiB");
        assert_eq!(
            [
                short(7.0),
                short(7.25),
                short(1_234.5),
                short(45_000.0),
                short(3.2e6)
            ],
            ["7", "7.2", "1234", "45.0k", "3.2M"]
        );
    }
}
