//! Names and addresses by which a server is reached, as Host and Origin have them.

use std::net::{IpAddr, Ipv6Addr};

/// `name`, `name:port`, `192.0.2.1:80`, `[::1]:80`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Authority<'a> {
    /// Without port; an IPv6 address without its brackets.
    pub(crate) name: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// As Host has it (RFC 9110 §7.2).
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let bracketed = text.strip_prefix('[');
        let (name, port) = match bracketed {
            Some(rest) => rest.split_once(']')?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port {
            "" => None,
            port => Some(port.strip_prefix(':')?.parse().ok()?),
        };
        let valid = match bracketed {
            Some(_) => name.parse::<Ipv6Addr>().is_ok(),
            None => is_name(name),
        };
        valid.then_some(Authority { name, port })
    }

    /// As Origin has it (RFC 6454 §7); `null` is none.
    pub(crate) fn of_origin(text: &'a str) -> Option<Self> {
        let (default, rest) = match text.split_once("://")? {
            ("http", rest) => (80, rest),
            ("https", rest) => (443, rest),
            _ => return None,
        };
        let it = Self::parse(rest)?;
        let port = it.port.or(Some(default));
        Some(Authority { port, ..it })
    }

    /// Whether an origin is this host. Where Host names no port, it is the one of the scheme, which only the browser
    /// and the origin know.
    pub(crate) fn is(&self, host: &Authority<'_>) -> bool {
        let port = match host.port {
            Some(port) => self.port == Some(port),
            None => matches!(self.port, Some(80 | 443)),
        };
        port && self.name.eq_ignore_ascii_case(host.name)
    }

    pub(crate) fn is_address(&self) -> bool {
        self.address().is_some()
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.address().is_some_and(|address| address.is_loopback())
    }

    pub(crate) fn is_localhost(&self) -> bool {
        self.name.eq_ignore_ascii_case("localhost")
    }

    fn address(&self) -> Option<IpAddr> {
        self.name.parse().ok()
    }
}

/// Whether it can be the name of a host.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_and_what_is_none_is_refused() {
        for (text, name, port) in [
            ("localhost", "localhost", None),
            ("localhost:8081", "localhost", Some(8081)),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]", "::1", None),
            ("[::1]:8081", "::1", Some(8081)),
        ] {
            assert_eq!(
                Authority::parse(text),
                Some(Authority { name, port }),
                "{text}"
            );
        }
        for text in [
            "", ":80", "a:", "a:x", "a:70000", "::1", "[::1", "[::1]80", "[a]", "a b", "a/b",
            "user@a", "a,b",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_origin_is_its_host_and_port() {
        let is = |origin: &str, host: &str| {
            Authority::of_origin(origin).is_some_and(|it| it.is(&Authority::parse(host).unwrap()))
        };
        for (origin, host) in [
            ("http://localhost:8081", "localhost:8081"),
            ("http://Admin.example", "admin.example"),
            ("https://admin.example", "admin.example"),
            ("https://admin.example", "admin.example:443"),
            ("http://[::1]:8081", "[::1]:8081"),
        ] {
            assert!(is(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "localhost"),
            ("http://localhost:9000", "localhost:8081"),
            ("http://localhost:8081", "localhost"),
            ("http://evil.example", "localhost"),
            ("http://localhost.evil.example:8081", "localhost:8081"),
            ("https://admin.example", "admin.example:80"),
            ("ftp://localhost", "localhost"),
        ] {
            assert!(!is(origin, host), "{origin} {host}");
        }
    }
}
