//! The member that this cache adds to `Cache-Status` (RFC 9211).

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use http::{HeaderValue, StatusCode};

/// Why a request went forward (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forwarded {
    /// The cache was told not to handle this request.
    Bypass,
    /// The method's semantics need the origin.
    Method,
    /// Nothing is stored for the URI.
    UriMiss,
    /// Something is stored for the URI, but not for this request's fields.
    VaryMiss,
    /// Nothing suitable is stored; which of the two is not told.
    Miss,
    /// A fresh response was stored, but the request's directives want the origin.
    Request,
    /// What is stored is stale.
    Stale,
    /// Only a part is stored, or was asked for.
    Partial,
}

impl Forwarded {
    /// The token of RFC 9211 §2.2.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// What this cache did with one request (RFC 9211 §2). `Display` writes the member; [`CacheStatus::value`]
/// the field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheStatus {
    /// The name of this cache.
    pub cache: Cow<'static, str>,
    /// §2.1: answered without going forward. Never together with `fwd`.
    pub hit: bool,
    /// §2.2: went forward, and why.
    pub fwd: Option<Forwarded>,
    /// §2.3: the status that the origin answered with, if it isn't the response's own.
    pub fwd_status: Option<StatusCode>,
    /// §2.4: remaining freshness in seconds; negative when stale.
    pub ttl: Option<i64>,
    /// §2.5: the response was stored.
    pub stored: bool,
    /// §2.6: shared the request of another.
    pub collapsed: bool,
    /// §2.7: the cache key.
    pub key: Option<String>,
    /// §2.8: more, in this cache's words: a [`Reason`](crate::Reason)'s.
    pub detail: Option<&'static str>,
}

impl CacheStatus {
    /// A hit, with what is left of its freshness in seconds.
    pub fn hit(cache: impl Into<Cow<'static, str>>, ttl: i64) -> Self {
        Self {
            hit: true,
            ttl: Some(ttl),
            ..Self::new(cache)
        }
    }

    /// A request that went forward.
    pub fn forwarded(cache: impl Into<Cow<'static, str>>, why: Forwarded) -> Self {
        Self {
            fwd: Some(why),
            ..Self::new(cache)
        }
    }

    fn new(cache: impl Into<Cow<'static, str>>) -> Self {
        Self {
            cache: cache.into(),
            hit: false,
            fwd: None,
            fwd_status: None,
            ttl: None,
            stored: false,
            collapsed: false,
            key: None,
            detail: None,
        }
    }

    /// The field's value. Appended after what caches nearer to the origin have said.
    pub fn value(&self) -> HeaderValue {
        let mut text = String::with_capacity(64);
        let written = write!(text, "{self}");
        debug_assert!(written.is_ok());
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("shelflife"))
    }
}

impl fmt::Display for CacheStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        item(f, &self.cache)?;
        if self.hit {
            f.write_str("; hit")?;
        } else if let Some(fwd) = self.fwd {
            write!(f, "; fwd={}", fwd.as_str())?;
            if let Some(status) = self.fwd_status {
                write!(f, "; fwd-status={}", status.as_u16())?;
            }
            // RFC 9211 §2.5, §2.6: these only have a meaning when the request went forward.
            if self.stored {
                f.write_str("; stored")?;
            }
            if self.collapsed {
                f.write_str("; collapsed")?;
            }
        }
        if let Some(ttl) = self.ttl {
            write!(
                f,
                "; ttl={}",
                ttl.clamp(-999_999_999_999_999, 999_999_999_999_999)
            )?;
        }
        if let Some(key) = &self.key {
            f.write_str("; key=")?;
            string(f, key)?;
        }
        if let Some(detail) = self.detail {
            f.write_str("; detail=")?;
            item(f, detail)?;
        }
        Ok(())
    }
}

/// RFC 9651 §4.1.7: a token if it can be one, else a string.
fn item(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if sfv::TokenRef::from_str(text).is_ok() {
        f.write_str(text)
    } else {
        string(f, text)
    }
}

/// RFC 9651 §4.1.6: quoted; what a string can't hold is written as `%xx`.
fn string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => write!(f, "\\{}", byte as char)?,
            b' '..=b'~' => f.write_char(byte as char)?,
            _ => write!(f, "%{byte:02X}")?,
        }
    }
    f.write_char('"')
}
