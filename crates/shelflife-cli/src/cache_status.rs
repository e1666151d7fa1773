//! What the caches on the way did with a request, by what they tell themselves: `Cache-Status`, RFC 9211.
//!
//! The field is a list of names with parameters (RFC 8941 §3.1.2). What separates them separates nothing inside a
//! quoted string; a parameter counts by its value: `stored=?0` says that it was not.
//!
//! Must not: judge. What is not told is not known.

use axum::http::HeaderMap;
use serde::Serialize;

/// A cache on the way, with what it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    parameters: Vec<(String, Item)>,
}

/// The value of a parameter (RFC 8941 §3.3), as far as this field has a use for it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Flag(bool),
    Integer(i64),
    /// A token, or a quoted string without its quotes.
    Text(String),
    Other,
}

impl Member {
    fn read(text: &str) -> Self {
        let mut parts = split(text, ';').into_iter().map(str::trim);
        let name = parts.next().unwrap_or_default();
        Self {
            name: quoted(name).unwrap_or_else(|| name.to_owned()),
            parameters: parts.filter_map(parameter).collect(),
        }
    }

    /// RFC 8941 §3.1.2: of parameters with the same name the last one counts.
    fn of(&self, name: &str) -> Option<&Item> {
        let mut named = self.parameters.iter().rev();
        named.find(|(it, _)| it == name).map(|(_, item)| item)
    }

    /// Whether it says so, and does not say that it is not so.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.of(name) == Some(&Item::Flag(true))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.of(name) {
            Some(Item::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        match self.of(name) {
            Some(Item::Integer(n)) => Some(*n),
            _ => None,
        }
    }
}

/// The members of the field's lines, the cache nearest to the origin first (RFC 9211 §2).
pub(crate) fn members(lines: &[&str]) -> Vec<Member> {
    let members = lines.iter().flat_map(|line| split(line, ','));
    let told = members.filter(|member| !member.trim().is_empty());
    told.map(Member::read).collect()
}

/// What stands between separators that are outside of quoted strings.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if c == separator && !quoted {
            parts.push(&text[from..at]);
            from = at + c.len_utf8();
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && quoted && !escaped;
    }
    parts.push(&text[from..]);
    parts
}

/// RFC 8941 §3.1.2: a parameter without a value is true.
fn parameter(text: &str) -> Option<(String, Item)> {
    let (name, item) = match text.split_once('=') {
        // An equals sign inside of a string belongs to it: names have no quotes.
        Some((name, value)) if !name.contains('"') => (name.trim(), item(value.trim())),
        Some(_) => return None,
        None => (text, Item::Flag(true)),
    };
    (!name.is_empty()).then(|| (name.to_owned(), item))
}

fn item(text: &str) -> Item {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '*';
    match text {
        "?1" => Item::Flag(true),
        "?0" => Item::Flag(false),
        text if text.starts_with('"') => quoted(text).map_or(Item::Other, Item::Text),
        text if text.starts_with(begins) => Item::Text(text.to_owned()),
        text => text.parse().map_or(Item::Other, Item::Integer),
    }
}

/// A string without its quotes and escapes (RFC 8941 §3.3.3).
fn quoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let (mut out, mut chars) = (String::new(), inner.chars());
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => chars.next()?,
            '"' => return None,
            c => c,
        });
    }
    Some(out)
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
            Some(member) => (by_member(member), member.says("stored")),
            None => (Self::Untold, false),
        }
    }
}

fn by_member(member: &Member) -> Served {
    match (member.says("hit"), member.text("fwd")) {
        (true, _) if member.integer("ttl").is_some_and(|ttl| ttl < 0) => Served::Stale,
        (true, _) => Served::Hit,
        (false, Some("miss" | "uri-miss" | "vary-miss")) => Served::Miss,
        (false, Some("stale")) => Served::Validated,
        (false, Some(_)) => Served::Bypass,
        (false, None) => Served::Untold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn members_are_separated_by_commas_outside_of_quotes() {
        assert_eq!(members(&["a; hit, \"b,c\"; fwd=miss", "d"]).len(), 3);
        assert_eq!(members(&["\"open", ",", ""]).len(), 1);
        assert_eq!(members(&["\"b,\\\"c\""])[0].name, "b,\"c");
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
            assert_eq!(of(&lines), served, "{lines:?}");
        }
    }

    #[test]
    fn parameters_count_by_their_values_and_not_inside_of_strings() {
        for (line, served) in [
            ("a; fwd=miss; detail=\"x; hit\"", (Served::Miss, false)),
            (
                "a; fwd=miss; detail=\"x\\\"; hit; stored\"",
                (Served::Miss, false),
            ),
            ("a; fwd=miss; stored=?0", (Served::Miss, false)),
            ("a; hit=?0; fwd=miss; stored=?1", (Served::Miss, true)),
            ("a; hit=?1;ttl=-1", (Served::Stale, false)),
            ("a; hit; ttl=\"-1\"", (Served::Hit, false)),
            ("a; hit=yes", (Served::Untold, false)),
            ("a; fwd=miss; fwd=bypass", (Served::Bypass, false)),
            ("\"; hit\"; fwd=request", (Served::Bypass, false)),
            ("a; =hit; ; \"hit=1\"", (Served::Untold, false)),
        ] {
            assert_eq!(of(&[line]), served, "{line}");
        }
    }

    fn of(lines: &[&str]) -> (Served, bool) {
        let mut fields = HeaderMap::new();
        for line in lines {
            fields.append("cache-status", HeaderValue::from_str(line).unwrap());
        }
        Served::of(&fields)
    }
}
