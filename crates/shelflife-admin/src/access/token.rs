//! The token, and the cookie that a browser gets for it.
//!
//! The cookie is not the token: it is a time until which it counts, and a keyed digest of that. Whoever steals it
//! can't make another, it ends by itself, and no server has to remember it. Another token ends all of them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The cookie's name.
pub(crate) const COOKIE: &str = "shelflife-admin";

/// For how long a cookie counts: a working day.
pub(crate) const SESSION: Duration = Duration::from_secs(12 * 3600);

/// Long enough that it can't be found by trying.
const SHORTEST: usize = 16;

/// A secret. Who has it may do everything.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Token(text.into())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.chars().count()
    }

    pub(crate) fn is_long_enough(&self) -> bool {
        self.0.len() >= SHORTEST && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Whether this was given. Compared by digests of equal length: blake3's equality takes constant time.
    pub(crate) fn is(&self, given: &[u8]) -> bool {
        blake3::hash(given) == blake3::hash(self.0.as_bytes())
    }

    /// What a browser keeps instead of it.
    pub(crate) fn cookie(&self, now: SystemTime) -> String {
        let until = seconds(now).saturating_add(SESSION.as_secs());
        format!("{until}.{}", self.seal(until).to_hex())
    }

    /// Whether a cookie was made with it, and still counts.
    pub(crate) fn opened(&self, cookie: &str, now: SystemTime) -> bool {
        let Some((until, seal)) = cookie.split_once('.') else {
            return false;
        };
        let (Ok(until), Ok(seal)) = (until.parse::<u64>(), blake3::Hash::from_hex(seal)) else {
            return false;
        };
        // In constant time, as above.
        self.seal(until) == seal && seconds(now) < until
    }

    fn seal(&self, until: u64) -> blake3::Hash {
        let key = blake3::derive_key(
            "shelflife-admin 2026-11 cookie of a browser",
            self.0.as_bytes(),
        );
        blake3::keyed_hash(&key, &until.to_be_bytes())
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A secret is in no log.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_counts_until_its_time_and_for_its_token_alone() {
        let token = Token::new("0123456789abcdef");
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let cookie = token.cookie(now);
        assert!(!cookie.contains("0123456789abcdef"));
        assert!(token.opened(&cookie, now));
        assert!(token.opened(&cookie, now + SESSION - Duration::from_secs(1)));
        assert!(!token.opened(&cookie, now + SESSION));
        assert!(!Token::new("0123456789abcdeX").opened(&cookie, now));
        let (_, seal) = cookie.split_once('.').unwrap();
        let longer = format!("{}.{seal}", 1_000_000 + 2 * SESSION.as_secs());
        assert!(!token.opened(&longer, now), "the time is sealed");
        for forged in ["", ".", "1", "1.", "x.y", "99999999999.00", seal] {
            assert!(!token.opened(forged, now), "{forged}");
        }
    }
}
