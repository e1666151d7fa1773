//! Names: the key of a response, the key of a variant of it, the tag of a URL.
//!
//! ```text
//! http:api.example.com/users/42                    the URL, one escaped part
//! http:api.example.com/users/42:r<part>            what the rule keys by
//! http:api.example.com/users/42:v<variant>         what Vary selects by, below the one that is there
//! ```
//!
//! A level says by its first letter what it is, and escapes what is in it, so that none can be taken for
//! another. `http:*` is one level and a star, so everything is invalidated in O(1); `http:api.example.com/users/*`
//! is a glob.

use http::Uri;
use shelflife_http::{QueryRule, Request, Stored, url_key_into};

use crate::key::{KeyTemplate, Tag, escape_into};

/// What every key of a response begins with.
const FIRST: &str = "http:";
/// Variants longer than this are written as their digest.
const READABLE: usize = 96;

/// The text of a URL in keys and tags, and the key of its responses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    pub(crate) url: String,
    pub(crate) key: String,
}

impl Named {
    /// Names what a request is for, in place.
    pub(crate) fn name(&mut self, request: Request<'_>, query: &QueryRule) {
        self.url.clear();
        self.key.clear();
        url_key_into(&mut self.url, request, query);
        self.key.push_str(FIRST);
        escape_into(&mut self.key, &self.url, Some(b':'));
    }

    /// Adds a level: `kind` tells it from others.
    pub(crate) fn push(&mut self, kind: char, text: &str) {
        push(&mut self.key, kind, text);
    }
}

fn push(key: &mut String, kind: char, text: &str) {
    key.push(':');
    key.push(kind);
    escape_into(key, text, Some(b':'));
}

/// The key below `key` for the variant that a request selects among those of the response there.
pub(crate) fn variant_key(key: &str, stored: &Stored, request: Request<'_>) -> String {
    let variant = stored.variant_of(request);
    let secret = stored
        .selected_by
        .iter()
        .any(|(name, _)| *name == http::header::AUTHORIZATION || *name == http::header::COOKIE);
    let mut below = String::with_capacity(key.len() + variant.len() + 8);
    below.push_str(key);
    if secret || variant.len() > READABLE {
        // Not for its length alone: a credential does not belong into the names of a store.
        push(&mut below, 'd', &blake3::hash(variant.as_bytes()).to_hex());
    } else {
        push(&mut below, 'v', &variant);
    }
    below
}

/// The tag of all responses of a URL, by the text that stands for it in keys.
pub(crate) fn tag_of_url(url: &str) -> Tag {
    KeyTemplate::new().literal("url:").part(url).finish_tag()
}

/// The tag of a group of responses (RFC 9875), with its host.
pub(crate) fn tag_of_group(group: &str) -> Tag {
    KeyTemplate::new()
        .literal("group:")
        .part(group)
        .finish_tag()
}

/// The tag that every stored response of a URL carries, all its variants included: host, path and query, with or
/// without a scheme.
///
/// Byte for byte: `?id=1&id=2` is not `?id=2`, and `/a%2Fb` is not `/a/b`. Where a rule leaves parameters out of the
/// key or sorts them, the URL has to be given as the rule makes it.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use shelflife::{Cache, Invalidation, tower::url_tag};
///
/// # let cache = Cache::memory();
/// let user = "https://api.example.com/users/42".parse()?;
/// cache.invalidate(Invalidation::new().tag(url_tag(&user))).await?;
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub fn url_tag(url: &Uri) -> Tag {
    let mut text = String::new();
    let request = Request {
        method: &http::Method::GET,
        uri: url,
        headers: &http::HeaderMap::new(),
    };
    url_key_into(&mut text, request, &QueryRule::default());
    tag_of_url(&text)
}
