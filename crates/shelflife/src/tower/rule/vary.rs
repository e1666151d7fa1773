//! What else than method and URL tells answers apart: fields, query parameters, cookies, the principal.
//!
//! All of it becomes one text that goes into the key. The text is delimited and typed by kind, so that no two
//! sets of values share it:
//!
//! ```text
//! h.x-tenant=5f0c…&q.page=2&c.session!&p=42
//! │                │        │          └ principal, escaped
//! │                │        └ a cookie that the request doesn't have: not the same as an empty one
//! │                └ a query parameter, as it stands in the URL
//! └ a field: the digest of its lines
//! ```
//!
//! Fields and cookies stand as digests: they may be credentials, and keys are shown, logged and kept in the store.
//!
//! Must not: decide whether an answer may be shared; it says what the key holds, and the rule decides.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, header};

use crate::error::{Error, ErrorKind};

use super::cookie::{self, Names};
use super::path::decode;

type Principal = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

/// What else than method and URL tells a rule's answers apart: each value has entries of its own.
///
/// A missing field, parameter or cookie is a value too, other than an empty one. Reads from text as `header:NAME`,
/// `query:NAME` or `cookie:NAME`, for configuration.
#[derive(Clone)]
pub struct VaryBy(Kind);

#[derive(Clone)]
enum Kind {
    Header(String),
    Query(String),
    Cookie(String),
    Principal(Principal),
    /// Something else of the request, which need not tell who asks.
    #[cfg(feature = "binding")]
    Other(Principal),
}

impl VaryBy {
    /// A field of the request, byte for byte.
    ///
    /// By `authorization`, answers to requests with `Authorization` may be kept: each credential has its own.
    pub fn header(name: impl Into<String>) -> Self {
        Self(Kind::Header(name.into()))
    }

    /// A parameter of the query. The whole query is in the key anyway: this is for rules that drop it, as
    /// [`Rule::only_query`](super::Rule::only_query) does.
    pub fn query(name: impl Into<String>) -> Self {
        Self(Kind::Query(name.into()))
    }

    /// A cookie.
    ///
    /// Answers to requests with cookies may be kept by it, as long as *every* cookie of the request is named by a `vary_by` or by
    /// [`Rule::ignore_cookies`](super::Rule::ignore_cookies): one that isn't may be the one that says who asks.
    pub fn cookie(name: impl Into<String>) -> Self {
        Self(Kind::Cookie(name.into()))
    }

    /// Who asks, by whatever the application knows: most often what its authentication put into the request's
    /// extensions, which then has to run *before* the layer. `None` bypasses the cache: nothing is looked up or kept.
    ///
    /// Answers to requests with `Authorization` or cookies may be kept by it: each principal has its own. Two principals must
    /// never have the same text.
    ///
    /// ```
    /// use shelflife::tower::{Rule, VaryBy};
    ///
    /// #[derive(Clone)]
    /// struct User { id: u64 }
    ///
    /// let rule = Rule::path("/me").ttl("1m").vary_by(VaryBy::principal(|parts| {
    ///     parts.extensions.get::<User>().map(|user| user.id.to_string())
    /// }));
    /// # rule.check().unwrap();
    /// ```
    pub fn principal<F>(who: F) -> Self
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        Self(Kind::Principal(Arc::new(who)))
    }

    #[cfg(feature = "binding")]
    pub(crate) fn of_request<F>(what: F) -> Self
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        Self(Kind::Other(Arc::new(what)))
    }
}

impl FromStr for VaryBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some(("header", name)) => Ok(Self::header(name)),
            Some(("query", name)) => Ok(Self::query(name)),
            Some(("cookie", name)) => Ok(Self::cookie(name)),
            _ => Err(bad(
                text,
                "\"header:NAME\", \"query:NAME\" or \"cookie:NAME\"",
            )),
        }
    }
}

impl fmt::Debug for VaryBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Header(name) => write!(f, "header:{name}"),
            Kind::Query(name) => write!(f, "query:{name}"),
            Kind::Cookie(name) => write!(f, "cookie:{name}"),
            Kind::Principal(_) => f.write_str("principal"),
            #[cfg(feature = "binding")]
            Kind::Other(_) => f.write_str("request"),
        }
    }
}

/// The compiled form of all that a rule varies by.
#[derive(Clone)]
pub(super) struct Varies {
    items: Box<[Item]>,
    /// Cookies that are in the key, or of which the rule says that they don't matter.
    harmless: Names,
    by_authorization: bool,
    by_all_cookies: bool,
}

#[derive(Clone)]
struct Item {
    /// Kind and name: `h.x-tenant`.
    label: Box<str>,
    value: Value,
}

#[derive(Clone)]
enum Value {
    Header(HeaderName),
    Query(Box<str>),
    Cookie(Box<str>),
    Of(Principal),
}

/// The rule keeps its answers by principal, and this request has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoPrincipal;

impl Varies {
    pub(super) fn compile(by: &[VaryBy], ignored_cookies: &[String]) -> Result<Self, Error> {
        let mut items: Vec<Item> = Vec::with_capacity(by.len());
        let mut harmless = ignored_cookies.to_vec();
        let (mut by_authorization, mut by_all_cookies) = (false, false);
        for by in by {
            let item = Item::compile(by)?;
            match &item.value {
                Value::Header(name) => {
                    by_authorization |= name == header::AUTHORIZATION;
                    by_all_cookies |= name == header::COOKIE;
                }
                Value::Cookie(name) => harmless.push(name.to_string()),
                Value::Query(_) | Value::Of(_) => {}
            }
            if matches!(by.0, Kind::Principal(_)) {
                (by_authorization, by_all_cookies) = (true, true);
            }
            let again = items.iter().any(|known| known.label == item.label);
            if !again || matches!(item.value, Value::Of(_)) {
                items.push(item);
            }
        }
        Ok(Self {
            items: items.into(),
            harmless: Names::new(harmless),
            by_authorization,
            by_all_cookies,
        })
    }

    /// Whether whoever is in `Authorization` has entries of their own.
    pub(super) fn by_authorization(&self) -> bool {
        self.by_authorization
    }

    /// Whether every cookie of the request is in the key, or doesn't matter.
    pub(super) fn covers_cookies(&self, headers: &HeaderMap) -> bool {
        self.by_all_cookies
            || !self.harmless.is_empty() && cookie::all_named(headers, &self.harmless)
    }

    /// What the request adds to the key.
    pub(super) fn text(&self, parts: &Parts) -> Result<Option<String>, NoPrincipal> {
        if self.items.is_empty() {
            return Ok(None);
        }
        let mut text = String::with_capacity(48 * self.items.len());
        for item in &self.items {
            item.write(&mut text, parts)?;
        }
        Ok(Some(text))
    }
}

impl fmt::Debug for Varies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.items.iter().map(|item| &item.label))
            .finish()
    }
}

impl Item {
    fn compile(by: &VaryBy) -> Result<Self, Error> {
        let (kind, name, value) = match &by.0 {
            Kind::Header(name) => {
                let known = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| bad(name, "the name of a header field"))?;
                ("h.", known.as_str().to_owned(), Value::Header(known))
            }
            Kind::Query(name) if name.is_empty() => {
                return Err(bad(name, "the name of a query parameter"));
            }
            Kind::Query(name) => ("q.", name.clone(), Value::Query((&**name).into())),
            Kind::Cookie(name) if !cookie::is_name(name) => {
                return Err(bad(name, "the name of a cookie"));
            }
            Kind::Cookie(name) => ("c.", name.clone(), Value::Cookie((&**name).into())),
            Kind::Principal(who) => ("p", String::new(), Value::Of(who.clone())),
            #[cfg(feature = "binding")]
            Kind::Other(what) => ("o", String::new(), Value::Of(what.clone())),
        };
        let mut label = kind.to_owned();
        escape(&mut label, &name);
        Ok(Self {
            label: label.into(),
            value,
        })
    }

    fn write(&self, text: &mut String, parts: &Parts) -> Result<(), NoPrincipal> {
        let label = &*self.label;
        match &self.value {
            Value::Header(name) => {
                let lines = parts.headers.get_all(name).iter();
                begin(text, label);
                digest(text, lines.map(http::HeaderValue::as_bytes));
            }
            Value::Cookie(name) => {
                begin(text, label);
                digest(text, cookie::values(&parts.headers, name));
            }
            Value::Query(name) => write_parameters(text, label, name, parts.uri.query()),
            Value::Of(who) => {
                begin(text, label);
                text.push('=');
                escape(text, &who(parts).ok_or(NoPrincipal)?);
            }
        }
        Ok(())
    }
}

/// Every parameter of that name, in order. Its name is compared decoded, as a handler reads it: `?%70age=2` must not pass
/// for a request without `page`.
fn write_parameters(text: &mut String, label: &str, name: &str, query: Option<&str>) {
    let mut any = false;
    for parameter in query.unwrap_or_default().split('&') {
        let (raw, value) = match parameter.split_once('=') {
            Some((raw, value)) => (raw, Some(value)),
            None => (parameter, None),
        };
        if !is_named(raw, name) {
            continue;
        }
        any = true;
        begin(text, label);
        if let Some(value) = value {
            text.push('=');
            // It has no '&': that ended it. Everything else may stand as it is.
            text.push_str(value);
        }
    }
    if !any {
        begin(text, label);
        text.push('!');
    }
}

fn begin(text: &mut String, label: &str) {
    if !text.is_empty() {
        text.push('&');
    }
    text.push_str(label);
}

fn is_named(raw: &str, name: &str) -> bool {
    raw == name
        || raw.contains(['%', '+'])
            && (decode(raw) == name || decode(&raw.replace('+', " ")) == name)
}

/// `=` and the digest of values, which their lengths delimit; `!` if there is none.
fn digest<'a>(text: &mut String, values: impl Iterator<Item = &'a [u8]>) {
    let mut hasher = blake3::Hasher::new();
    let mut any = false;
    for value in values {
        any = true;
        hasher.update(&(value.len() as u64).to_le_bytes());
        hasher.update(value);
    }
    if !any {
        text.push('!');
        return;
    }
    text.push('=');
    // 128 bits: finding another value with the same ones is as hard as guessing a random token of that size.
    for byte in hasher.finalize().as_bytes().iter().take(16) {
        let _ = write!(text, "{byte:02x}");
    }
}

/// Text in which `&`, `=`, `!` and `%` stand for themselves nowhere.
fn escape(into: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("%26"),
            '=' => into.push_str("%3D"),
            '!' => into.push_str("%21"),
            '%' => into.push_str("%25"),
            c => into.push(c),
        }
    }
}

fn bad(text: &str, valid: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("vary_by: {text:?}; expected {valid}"),
    )
}

#[cfg(test)]
mod tests;
