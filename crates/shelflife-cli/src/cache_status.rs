//! What the caches on the way did with a request, by what they tell themselves: `Cache-Status`, RFC 9211.
//!
//! Must not: judge. What is not told is not known.

use axum::http::HeaderMap;
use serde::Serialize;

/// The members of the field's lines, the cache nearest to the origin first (RFC 9211 §2). Commas inside quoted
/// strings do not separate.
pub(crate) fn members(lines: &[&str]) -> Vec<String> {
    let mut members = Vec::new();
    for line in lines {
        let (mut quoted, mut escaped, mut member) = (false, false, String::new());
        for c in line.chars() {
            if c == ',' && !quoted {
                members.push(std::mem::take(&mut member));
                continue;
            }
            quoted ^= c == '"' && !escaped;
            escaped = c == '\\' && quoted && !escaped;
            member.push(c);
        }
        members.push(member);
    }
    members.retain(|member| !member.trim().is_empty());
    members
}

/// From where an answer came, by the cache that is nearest to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Served {
    /// From the store, fresh.
    Hit,
    /// From the store, past its time (RFC 9211 §2.3: a negative ttl).
    Stale,
    /// From the origin: nothing was stored that would do.
    Miss,
    /// From the origin, or with its consent: what was stored was stale.
    Validated,
    /// From the origin: the cache had no part in it.
    Bypass,
    /// No cache says anything.
    Untold,
}

impl Served {
    pub(crate) const ALL: [Self; 6] = [
        Self::Hit,
        Self::Stale,
        Self::Miss,
        Self::Validated,
        Self::Bypass,
        Self::Untold,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::Validated => "validated",
            Self::Bypass => "bypass",
            Self::Untold => "untold",
        }
    }

    /// By the fields of an answer; and whether it was stored.
    pub(crate) fn of(fields: &HeaderMap) -> (Self, bool) {
        let lines = fields.get_all("cache-status").iter();
        let lines: Vec<&str> = lines.filter_map(|value| value.to_str().ok()).collect();
        // RFC 9211 §2: the last one is the nearest to the client.
        match members(&lines).last() {
            Some(member) => by_member(member),
            None => (Self::Untold, false),
        }
    }
}

fn by_member(member: &str) -> (Served, bool) {
    let parameters = member.split(';').skip(1).map(str::trim);
    let parameters: Vec<(&str, &str)> = parameters
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .collect();
    let of = |name: &str| parameters.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let served = match (of("hit"), of("fwd")) {
        (Some(_), _) if of("ttl").is_some_and(|ttl| ttl.starts_with('-')) => Served::Stale,
        (Some(_), _) => Served::Hit,
        (None, Some("miss" | "uri-miss" | "vary-miss")) => Served::Miss,
        (None, Some("stale")) => Served::Validated,
        (None, Some(_)) => Served::Bypass,
        (None, None) => Served::Untold,
    };
    (served, of("stored").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn members_are_separated_by_commas_outside_of_quotes() {
        assert_eq!(members(&["a; hit, \"b,c\"; fwd=miss", "d"]).len(), 3);
        assert_eq!(members(&["\"open", ",", ""]).len(), 1);
    }

    #[test]
    fn the_cache_nearest_to_the_client_is_asked() {
        for (lines, served) in [
            (vec!["shelflife; hit; ttl=30"], (Served::Hit, false)),
            (vec!["shelflife; hit; ttl=-3"], (Served::Stale, false)),
            (
                vec!["shelflife; fwd=uri-miss; stored"],
                (Served::Miss, true),
            ),
            (
                vec!["inner; hit, outer; fwd=miss; stored"],
                (Served::Miss, true),
            ),
            (
                vec!["inner; hit", "outer; fwd=bypass"],
                (Served::Bypass, false),
            ),
            (
                vec!["shelflife; fwd=stale; fwd-status=304; stored"],
                (Served::Validated, true),
            ),
            (vec!["x"], (Served::Untold, false)),
            (vec![], (Served::Untold, false)),
        ] {
            let mut fields = HeaderMap::new();
            for line in &lines {
                fields.append("cache-status", HeaderValue::from_str(line).unwrap());
            }
            assert_eq!(Served::of(&fields), served, "{lines:?}");
        }
    }
}
