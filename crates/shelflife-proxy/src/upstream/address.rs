//! Where the upstream is.

use http::uri::{Authority, Scheme, Uri};

/// `http://host:port/base` or `https://…`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) secure: bool,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What Host says when it is to name the upstream.
    pub(crate) authority: String,
    /// Put before every target; empty, or a path that does not end with a slash.
    pub(crate) base: String,
}

/// The text is no URL of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the URL of an upstream: {0}; valid: http://host:port or https://host, with a path if all targets begin with it"
)]
pub(crate) struct ParseAddressError(&'static str);

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, ParseAddressError> {
        let uri: Uri = text
            .parse()
            .map_err(|_| ParseAddressError("it cannot be read"))?;
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(_) => return Err(ParseAddressError("its scheme is neither http nor https")),
            None => return Err(ParseAddressError("it has no scheme")),
        };
        let authority: &Authority = uri.authority().ok_or(ParseAddressError("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(ParseAddressError("it names a user"));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(ParseAddressError("it has a query or a fragment"));
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        if host.is_empty() {
            return Err(ParseAddressError("it has no host"));
        }
        Ok(Address {
            secure,
            host: host.to_owned(),
            port: authority
                .port_u16()
                .unwrap_or(if secure { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, secure, host, port, authority, base) in [
            (
                "http://127.0.0.1:9000",
                false,
                "127.0.0.1",
                9000,
                "127.0.0.1:9000",
                "",
            ),
            ("http://origin/", false, "origin", 80, "origin", ""),
            (
                "https://[::1]:8443/api/v1/",
                true,
                "::1",
                8443,
                "[::1]:8443",
                "/api/v1",
            ),
            ("https://a.example", true, "a.example", 443, "a.example", ""),
        ] {
            let address = Address::parse(text).unwrap();
            let parts = (address.secure, address.host.as_str(), address.port);
            assert_eq!(parts, (secure, host, port), "{text}");
            assert_eq!(
                (address.authority.as_str(), address.base.as_str()),
                (authority, base)
            );
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "origin",
            "origin:80",
            "ftp://a",
            "http://",
            "http://u:p@a",
            "http://a/?x",
            "http://a/#x",
            "/a",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
