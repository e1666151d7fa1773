//! The text of the primary key: host, path and query, byte for byte.
//!
//! `/a/b`, `/a%2Fb` and `//a/b` are three resources, and so are `?id=1&id=2` and `?id=2`: what an origin may tell
//! apart, the key does. Only the host is written in lower case (RFC 9110 §4.2.3).
//!
//! The scheme isn't part of it: a cache that answers for `http` and `https` alike and whose origin answers
//! differently for them puts it before the key itself.

use std::borrow::Cow;

use http::{Uri, header};

use crate::{Reason, Request};

/// What is done to the query before it becomes part of the key. The default does nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryRule {
    /// Order parameters by name; those of one name keep their order, which means something.
    pub sort: bool,
    /// Leave out parameters of these names, as they stand in the URL; `utm_*` stands for any end.
    pub drop: Vec<String>,
}

impl QueryRule {
    /// A key, or a target, under this rule: its query is what comes after its first `?`.
    pub fn apply<'a>(&self, key: &'a str) -> Cow<'a, str> {
        let Some((path, query)) = key.split_once('?') else {
            return Cow::Borrowed(key);
        };
        if !self.sort && self.drop.is_empty() {
            return Cow::Borrowed(key);
        }
        let mut kept: Vec<&str> = query
            .split('&')
            .filter(|parameter| !self.drops(name_of(parameter)))
            .collect();
        if self.sort {
            // Stable: the order among parameters of one name stays.
            kept.sort_by(|one, other| name_of(one).cmp(name_of(other)));
        }
        // A query of which nothing is left is none.
        if kept.is_empty() || kept == [""] {
            Cow::Borrowed(path)
        } else {
            Cow::Owned(format!("{path}?{}", kept.join("&")))
        }
    }

    fn drops(&self, name: &str) -> bool {
        self.drop
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == pattern,
            })
    }
}

/// The primary key's text, such as `api.example.com/users/42?x=1`. The same for GET and HEAD.
///
/// A request without a host has an empty one; [`may_look_up`](crate::may_look_up) refuses what names several.
pub fn url_key(request: Request<'_>, query: &QueryRule) -> String {
    let mut key = String::new();
    url_key_into(&mut key, request, query);
    key
}

/// As [`url_key`], appended to a text that may be used again and again: with enough room in it, and a host in lower
/// case, nothing is allocated.
pub fn url_key_into(into: &mut String, request: Request<'_>, query: &QueryRule) {
    let target = request
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let host = host_of(request).unwrap_or_default();
    into.reserve(host.len() + target.len() + 1);
    into.push_str(&host);
    if !target.starts_with('/') {
        into.push('/');
    }
    into.push_str(&query.apply(target));
}

/// The host that a request is for, in lower case; empty if it names none.
///
/// # Errors
///
/// [`Reason::Host`] if it names several, or something that can't be a host and could be mistaken for a part of
/// the path.
pub(crate) fn host_of(request: Request<'_>) -> Result<Cow<'_, str>, Reason> {
    let mut fields = request.headers.get_all(header::HOST).iter();
    let field = fields
        .next()
        .map(|host| host.to_str().map_err(|_| Reason::Host))
        .transpose()?;
    // RFC 9110 §7.2, RFC 9112 §3.2: more than one is an error.
    if fields.next().is_some() {
        return Err(Reason::Host);
    }
    let host = match (authority_of(request.uri), field) {
        (Some(authority), Some(field)) => {
            // RFC 9112 §3.2.2: the target's authority counts. A field that differs may still be what the origin reads.
            let same = field.eq_ignore_ascii_case(&authority) || is_written(request.uri, field);
            if !same {
                return Err(Reason::Host);
            }
            authority
        }
        (Some(authority), None) => authority,
        (None, Some(field)) => lower(field),
        (None, None) => Cow::Borrowed(""),
    };
    if is_host(&host) {
        Ok(host)
    } else {
        Err(Reason::Host)
    }
}

/// An absolute URI's authority as it stands in keys: in lower case, without user, without its scheme's own port.
pub(crate) fn authority_of(uri: &Uri) -> Option<Cow<'_, str>> {
    let authority = uri.authority()?.as_str();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let port = match uri.scheme_str() {
        Some("http") => ":80",
        Some("https") => ":443",
        _ => "",
    };
    Some(lower(host.strip_suffix(port).unwrap_or(host)))
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether the Host field is the URI's authority as it was written.
fn is_written(uri: &Uri, host: &str) -> bool {
    uri.authority()
        .is_some_and(|authority| authority.as_str().eq_ignore_ascii_case(host))
}

/// RFC 3986 §3.2.2, roughly: above all no slash, no question mark, no space.
fn is_host(host: &str) -> bool {
    host.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte))
}

fn name_of(parameter: &str) -> &str {
    parameter
        .split_once('=')
        .map_or(parameter, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    fn key(uri: &str, hosts: &[&str]) -> Result<String, Reason> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        let uri: Uri = uri.parse().unwrap();
        let request = Request {
            method: &Method::GET,
            uri: &uri,
            headers: &headers,
        };
        host_of(request).map(|_| url_key(request, &QueryRule::default()))
    }

    #[test]
    fn keys_are_exact_but_for_the_host() {
        // RFC 9111 §2, RFC 9110 §4.2.3
        #[rustfmt::skip]
        let rows = [
            ("/users/42?x=1", "API.example.com", "api.example.com/users/42?x=1"),
            ("http://api.example.com/users/42?x=1", "api.example.com", "api.example.com/users/42?x=1"),
            ("http://api.example.com:80/", "api.example.com:80", "api.example.com/"),
            ("http://api.example.com:8080/", "api.example.com:8080", "api.example.com:8080/"),
            ("/a/b", "h", "h/a/b"),
            ("/a%2Fb", "h", "h/a%2Fb"),
            ("//a/b", "h", "h//a/b"),
            ("/a/../b", "h", "h/a/../b"),
            ("/?id=1&id=2", "h", "h/?id=1&id=2"),
            ("/?", "h", "h/?"),
            ("/", "h", "h/"),
        ];
        for (uri, host, expected) in rows {
            assert_eq!(key(uri, &[host]).as_deref(), Ok(expected), "{uri}");
        }
        assert_eq!(key("/a", &[]).as_deref(), Ok("/a"));
    }

    #[test]
    fn ambiguous_hosts_have_no_key() {
        // RFC 9112 §3.2
        for (uri, hosts) in [
            ("/", &["a", "b"][..]),
            ("/", &["a", "a"]),
            ("/y", &["evil/x"]),
            ("/", &["a b"]),
            ("/", &["a@b"]),
            ("http://a/", &["b"]),
        ] {
            assert_eq!(key(uri, hosts), Err(Reason::Host), "{uri} {hosts:?}");
        }
    }

    #[test]
    fn query_rules_sort_and_drop() {
        let rule = QueryRule {
            sort: true,
            drop: vec!["utm_*".to_owned(), "sid".to_owned()],
        };
        for (text, expected) in [
            ("h/a?b=2&a=1", "h/a?a=1&b=2"),
            ("h/a?id=2&id=1", "h/a?id=2&id=1"),
            ("h/a?utm_x=1&sid=2&b=1", "h/a?b=1"),
            ("h/a?utm_x=1", "h/a"),
            ("h/a?", "h/a"),
            ("h/a", "h/a"),
            ("h/a?b&a", "h/a?a&b"),
            ("h/a?sids=1", "h/a?sids=1"),
        ] {
            assert_eq!(rule.apply(text), expected, "{text}");
        }
        assert_eq!(QueryRule::default().apply("h/a?b=2&a=1&"), "h/a?b=2&a=1&");
    }
}
