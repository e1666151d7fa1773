//! The directives of `Cache-Control` that this cache acts upon, of responses (RFC 9111 §5.2.2) and of
//! requests (§5.2.1).
//!
//! Where a directive comes twice or makes no sense, the reading that keeps less is taken (§4.2.1).

use http::{HeaderMap, HeaderName, header};

use crate::directive::{self, Value, directives, seconds};

/// What a response says of being stored and reused. Durations in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResponseControl {
    pub(crate) max_age: Option<u64>,
    pub(crate) s_maxage: Option<u64>,
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) private: bool,
    pub(crate) public: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) must_understand: bool,
    pub(crate) no_transform: bool,
    pub(crate) stale_while_revalidate: Option<u64>,
    pub(crate) stale_if_error: Option<u64>,
    /// Fields that `no-cache="f"` and `private="f"` name: they aren't stored.
    pub(crate) withheld: Vec<HeaderName>,
}

/// What a directive is given with, whatever the syntax it came in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument<'a> {
    Absent,
    /// A number of seconds.
    Seconds(u64),
    /// Names of fields, separated by commas.
    Names(&'a [u8]),
    /// Something else.
    Nonsense,
}

impl ResponseControl {
    /// From the `Cache-Control` lines of a response.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        for (name, value) in directives(lines(headers, &header::CACHE_CONTROL)) {
            control.apply(name, argument(value));
        }
        control
    }

    /// Takes in one directive. Unknown ones are ignored (RFC 9111 §5.2.3).
    pub(crate) fn apply(&mut self, name: &[u8], argument: Argument<'_>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("max-age") {
            self.max_age = shorter(self.max_age, argument);
        } else if is("s-maxage") {
            self.s_maxage = shorter(self.s_maxage, argument);
        } else if is("stale-while-revalidate") {
            self.stale_while_revalidate = shorter(self.stale_while_revalidate, argument);
        } else if is("stale-if-error") {
            self.stale_if_error = shorter(self.stale_if_error, argument);
        } else if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache |= !self.withhold(argument);
        } else if is("private") {
            self.private |= !self.withhold(argument);
        } else if is("public") {
            self.public = true;
        } else if is("must-revalidate") {
            self.must_revalidate = true;
        } else if is("proxy-revalidate") {
            self.proxy_revalidate = true;
        } else if is("must-understand") {
            self.must_understand = true;
        } else if is("no-transform") {
            self.no_transform = true;
        }
    }

    /// RFC 9111 §3.5: these say that answers to requests with Authorization may be shared.
    pub(crate) fn allows_sharing(&self) -> bool {
        self.public || self.must_revalidate || self.s_maxage.is_some()
    }

    /// RFC 9111 §5.2.2.2, §5.2.2.8, and §5.2.2.10, where s-maxage implies the second for a shared cache.
    pub(crate) fn forbids_stale(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.s_maxage.is_some()
    }

    /// RFC 9111 §5.2.2.4, §5.2.2.7: with names, only those fields are meant. False: there are none, or they
    /// aren't all names; then the whole response is meant.
    fn withhold(&mut self, argument: Argument<'_>) -> bool {
        let Argument::Names(names) = argument else {
            return false;
        };
        let names: Option<Vec<_>> = directive::members(names)
            .map(|name| HeaderName::from_bytes(name).ok())
            .collect();
        let Some(names) = names.filter(|names| !names.is_empty()) else {
            return false;
        };
        self.withheld.extend(names);
        true
    }
}

/// What a request asks of a cache. Durations in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestControl {
    pub(crate) max_age: Option<u64>,
    pub(crate) min_fresh: Option<u64>,
    /// `Some(None)`: however stale.
    pub(crate) max_stale: Option<Option<u64>>,
    pub(crate) stale_if_error: Option<u64>,
    pub(crate) no_cache: bool,
    pub(crate) no_store: bool,
    pub(crate) only_if_cached: bool,
    /// RFC 9111 §5.4: `Pragma: no-cache`, which counts only where there is no `Cache-Control`.
    pub(crate) pragma: bool,
}

impl RequestControl {
    /// From a request's fields. Allocates nothing.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        if !headers.contains_key(header::CACHE_CONTROL) {
            control.pragma = headers.contains_key(header::PRAGMA)
                && directives(lines(headers, &header::PRAGMA))
                    .any(|(name, _)| name.eq_ignore_ascii_case(b"no-cache"));
            return control;
        }
        for (name, value) in directives(lines(headers, &header::CACHE_CONTROL)) {
            control.apply(name, value);
        }
        control
    }

    fn apply(&mut self, name: &[u8], value: Value<'_>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("max-age") {
            self.max_age = shorter(self.max_age, argument(value));
        } else if is("min-fresh") {
            self.min_fresh = self.min_fresh.max(seconds(value));
        } else if is("max-stale") {
            // RFC 9111 §5.2.1.2: without a value, however stale. A value that is none accepts nothing stale.
            self.max_stale = match value {
                Value::Absent => Some(None),
                _ => Some(Some(seconds(value).unwrap_or(0))),
            };
        } else if is("stale-if-error") {
            self.stale_if_error = seconds(value);
        } else if is("no-cache") {
            self.no_cache = true;
        } else if is("no-store") {
            self.no_store = true;
        } else if is("only-if-cached") {
            self.only_if_cached = true;
        }
    }
}

/// The values of a field's lines.
pub(crate) fn lines<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    headers
        .get_all(name)
        .into_iter()
        .map(http::HeaderValue::as_bytes)
}

fn argument(value: Value<'_>) -> Argument<'_> {
    match value {
        Value::Absent => Argument::Absent,
        Value::Malformed => Argument::Nonsense,
        Value::Token(text) | Value::Quoted(text) => match directive::delta_seconds(text) {
            Some(seconds) => Argument::Seconds(seconds),
            None => Argument::Names(text),
        },
    }
}

/// RFC 9111 §4.2.1: of several values the shortest; what is no number of seconds is none at all.
fn shorter(before: Option<u64>, argument: Argument<'_>) -> Option<u64> {
    let seconds = match argument {
        Argument::Seconds(seconds) => seconds,
        Argument::Absent | Argument::Names(_) | Argument::Nonsense => 0,
    };
    Some(before.map_or(seconds, |before| before.min(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> ResponseControl {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::CACHE_CONTROL, line.parse().unwrap());
        }
        ResponseControl::read(&headers)
    }

    #[test]
    fn the_shortest_of_several_lifetimes_counts() {
        // RFC 9111 §4.2.1
        assert_eq!(read(&["max-age=1800, max-age=1"]).max_age, Some(1));
        assert_eq!(read(&["max-age=1", "max-age=1800"]).max_age, Some(1));
        assert_eq!(read(&["max-age=1800, max-age=x"]).max_age, Some(0));
    }

    #[test]
    fn lifetimes_that_are_none_are_zero() {
        // RFC 9111 §4.2.1
        for line in [
            "max-age=x",
            "max-age",
            "max-age=-1",
            "max-age=1.5",
            "max-age =9",
            "max-age= 9",
            "max-age='9'",
        ] {
            assert_eq!(read(&[line]).max_age, Some(0), "{line}");
        }
        assert_eq!(read(&["extension=\"max-age=9\""]).max_age, None);
        assert_eq!(read(&["MaX-aGe=\"9\""]).max_age, Some(9));
    }

    #[test]
    fn qualified_directives_mean_only_the_fields_they_name() {
        // RFC 9111 §5.2.2.4, §5.2.2.7
        let control = read(&["no-cache=\"A, set-cookie\", private=b, max-age=1"]);
        assert!(!control.no_cache && !control.private);
        assert_eq!(control.withheld, ["a", "set-cookie", "b"]);
    }

    #[test]
    fn qualified_directives_whose_names_make_no_sense_mean_everything() {
        for line in [
            "no-cache=\"\"",
            "no-cache=\"a b\"",
            "no-cache=\"a",
            "no-cache=",
            "no-cache=\",\"",
        ] {
            assert!(read(&[line]).no_cache, "{line}");
        }
    }

    #[test]
    fn request_directives_are_read() {
        // RFC 9111 §5.2.1
        let read = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.append(header::CACHE_CONTROL, line.parse().unwrap());
            headers.append(header::PRAGMA, "no-cache".parse().unwrap());
            RequestControl::read(&headers)
        };
        assert_eq!(read("max-stale").max_stale, Some(None));
        assert_eq!(read("max-stale=9").max_stale, Some(Some(9)));
        assert_eq!(read("max-stale=x").max_stale, Some(Some(0)));
        assert_eq!(read("min-fresh=9, min-fresh=3").min_fresh, Some(9));
        assert_eq!(read("max-age=x").max_age, Some(0));
        // RFC 9111 §5.4: Pragma is not asked where Cache-Control is.
        assert!(!read("x").pragma);
        assert!(read("No-Cache").no_cache);
    }
}
