//! The cookies of a request (RFC 6265 §4.2.1, §5.4), as far as rules ask for them.
//!
//! Nothing is decoded or unquoted: what two origins might read differently is compared as it stands.

use http::{HeaderMap, HeaderValue, header};

/// Names of cookies; one that ends in `*` stands for all that begin so.
#[derive(Clone, Debug)]
pub(super) struct Names(Box<[String]>);

impl Names {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self(names.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contain(&self, name: &[u8]) -> bool {
        self.0.iter().any(|known| match known.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix.as_bytes()),
            None => name == known.as_bytes(),
        })
    }
}

/// RFC 6265 §4.1.1: a token.
pub(super) fn is_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

/// The values of the cookies of that name, in order. Of one without `=`, its whole text.
pub(super) fn values<'a>(
    headers: &'a HeaderMap,
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    cookies(headers).filter_map(move |cookie| {
        let (known, value) = parts(cookie);
        (known == name.as_bytes()).then_some(value.unwrap_or(cookie))
    })
}

/// Whether every cookie is one of these.
pub(super) fn all_named(headers: &HeaderMap, names: &Names) -> bool {
    cookies(headers).all(|cookie| names.contain(parts(cookie).0))
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    // RFC 9113 §8.2.3: there may be several lines.
    headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|cookie| !cookie.is_empty())
}

fn parts(cookie: &[u8]) -> (&[u8], Option<&[u8]>) {
    match cookie.iter().position(|byte| *byte == b'=') {
        Some(at) => {
            let (name, value) = cookie.split_at(at);
            (name.trim_ascii_end(), value.get(1..))
        }
        None => (cookie, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn cookies_are_found_in_every_line() {
        let headers = request(&["a=1; b=2;c = 3 ;", "a=4; d; =5"]);
        let of = |name| values(&headers, name).collect::<Vec<_>>();
        assert_eq!(of("a"), [b"1", b"4"]);
        assert_eq!(of("b"), [b"2"]);
        assert_eq!(of("c"), [b" 3"]);
        assert_eq!(of("d"), [b"d"]);
        assert_eq!(of("A"), Vec::<&[u8]>::new());
    }

    #[test]
    fn one_cookie_that_is_not_named_is_enough() {
        let names = Names::new(vec!["sid".to_owned(), "_ga*".to_owned()]);
        assert!(all_named(&request(&["sid=1; _ga=2; _ga_X=3"]), &names));
        assert!(all_named(&request(&[]), &names));
        for line in ["sid=1; theme=dark", "Sid=1", "sid2=1", "=1", "x"] {
            assert!(!all_named(&request(&["sid=1", line]), &names), "{line}");
        }
    }

    #[test]
    fn names_of_cookies_are_tokens() {
        assert!(is_name("__Host-session.id_1"));
        for name in ["", "a b", "a=b", "a;b", "é", "a\"", "a,b"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
