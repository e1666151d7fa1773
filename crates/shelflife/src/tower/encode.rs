//! Content codings: one stored identity body, and what is made of it once for clients that take it smaller.
//!
//! ```text
//! stored: identity ─┬─► identity            to those who take nothing else
//!                   ├─► gzip                made at the first hit that prefers it,
//!                   ├─► br                  then kept beside the identity body
//!                   └─► zstd                in this process's L1
//! ```
//!
//! Off unless the layer is told. A response that is coded already, or says `no-transform`, is left alone.
//!
//! Must not: keep a coded body anywhere but in this process, or wait for one. It is work for a processor: a request that
//! comes while a large body is coded gets the identity.

#[cfg(feature = "compression")]
mod coder;
#[cfg(not(feature = "compression"))]
#[path = "encode/no_coder.rs"]
mod coder;
mod prefer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use shelflife_http::{Answer, Request, Stored, answer};
use tokio::runtime::Handle;

use coder::OFFERED;
use prefer::preferred;

/// Bodies up to so many bytes are coded where the request is handled: it takes less than a millisecond. Larger ones
/// are coded on a thread that may block, while the request gets the identity.
const INLINE: usize = 16 * 1024;

/// How a layer codes what it has stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoder {
    /// Bodies of fewer bytes stay as they are.
    pub(crate) over: usize,
}

/// The form of a stored response that a request gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<'a> {
    pub(crate) head: &'a Stored,
    pub(crate) body: &'a Bytes,
    /// It is the identity, and others may get another: [`varies`] belongs on the answer.
    pub(crate) varies: bool,
}

impl<'a> Form<'a> {
    /// The identity, where nothing is coded.
    pub(crate) fn identity(head: &'a Stored, body: &'a Bytes) -> Self {
        Self {
            head,
            body,
            varies: false,
        }
    }
}

impl Encoder {
    /// The form for this request: the coding that it prefers, if there is one and it is made, else the identity.
    pub(crate) fn form<'a>(
        self,
        request: Request<'_>,
        stored: &'a Stored,
        body: &'a Bytes,
        encodings: &'a Encodings,
        now: u64,
    ) -> Form<'a> {
        if !is_compressible(&stored.headers, body.len(), self.over) {
            return Form::identity(stored, body);
        }
        let identity = Form {
            varies: true,
            ..Form::identity(stored, body)
        };
        let Some(coding) = preferred(request.headers, OFFERED) else {
            return identity;
        };
        // Whoever has the identity, from when there was nothing else, needn't be sent the same again.
        let has_it = request.headers.contains_key(header::IF_NONE_MATCH)
            && answer(request, stored, body.len() as u64, now) == Answer::NotModified;
        if has_it {
            return identity;
        }
        match encodings.of(coding, stored, body) {
            Some(coded) => Form {
                head: &coded.head,
                body: &coded.body,
                varies: false,
            },
            None => identity,
        }
    }
}

/// A way to make content smaller (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

const CODINGS: usize = 3;

impl Coding {
    /// Its name in `Content-Encoding`.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Brotli => 0,
            Self::Zstd => 1,
            Self::Gzip => 2,
        }
    }
}

/// Whether a body of so many bytes is worth coding, and may be: `over` is the least.
fn is_compressible(headers: &HeaderMap, len: usize, over: usize) -> bool {
    len >= over
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && !prefer::forbids_transforming(headers)
        && headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| is_text(value.as_bytes()))
}

/// What is made of a stored response, each once in this process. Empty until something is.
#[derive(Debug, Default)]
pub(crate) struct Encodings(OnceLock<Arc<[Slot; CODINGS]>>);

#[derive(Debug, Default)]
struct Slot {
    /// Somebody makes it, or has. Guards nothing: it only keeps others from the same work.
    claimed: AtomicBool,
    /// `None`: it would not be smaller.
    made: OnceLock<Option<Coded>>,
}

/// A response as one coding has it.
#[derive(Debug)]
struct Coded {
    /// The stored head, with the fields that the coding changes.
    head: Stored,
    body: Bytes,
}

impl Encodings {
    /// The response in this coding. `None`: it isn't made yet, or would not be smaller.
    fn of(&self, coding: Coding, stored: &Stored, body: &Bytes) -> Option<&Coded> {
        let slots = self.0.get_or_init(Arc::default);
        let slot = slots.get(coding.index())?;
        if let Some(made) = slot.made.get() {
            return made.as_ref();
        }
        // Who comes while it is made gets the identity.
        if slot.claimed.swap(true, Ordering::Relaxed) {
            return None;
        }
        let runtime = Handle::try_current().ok().filter(|_| body.len() > INLINE);
        if let Some(runtime) = runtime {
            let (slots, stored, body) = (slots.clone(), stored.clone(), body.clone());
            runtime.spawn_blocking(move || {
                if let Some(slot) = slots.get(coding.index()) {
                    slot.made
                        .get_or_init(|| Coded::make(coding, &stored, &body));
                }
            });
            return None;
        }
        slot.made
            .get_or_init(|| Coded::make(coding, stored, body))
            .as_ref()
    }
}

impl Coded {
    fn make(coding: Coding, stored: &Stored, body: &Bytes) -> Option<Self> {
        let coded = coder::code(coding, body)?;
        if coded.len() >= body.len() {
            return None;
        }
        let mut head = stored.clone();
        coded_headers(&mut head.headers, coding, coded.len());
        Some(Self {
            head,
            body: coded.into(),
        })
    }
}

/// Makes the fields of an identity body those of its coded form.
fn coded_headers(headers: &mut HeaderMap, coding: Coding, len: usize) {
    let name = HeaderValue::from_static(coding.as_str());
    let _ = headers.try_insert(header::CONTENT_ENCODING, name);
    let _ = headers.try_insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    // RFC 9530 §2, §3: digests of other bytes.
    for name in ["content-digest", "repr-digest", "digest", "content-md5"] {
        headers.remove(HeaderName::from_static(name));
    }
    // RFC 9110 §14.3: ranges are of the representation with its coding; they are served from the identity.
    headers.remove(header::ACCEPT_RANGES);
    if let Some(tag) = headers
        .get(header::ETAG)
        .and_then(|tag| coded_tag(tag, coding))
    {
        let _ = headers.try_insert(header::ETAG, tag);
    }
    varies(headers);
}

/// RFC 9110 §8.8.3.3: a strong tag names the bytes, so each coding has its own. A weak one names what they mean, which is
/// the same. `None`: it stays.
fn coded_tag(tag: &HeaderValue, coding: Coding) -> Option<HeaderValue> {
    let tag = tag.as_bytes();
    if tag.is_empty() || tag.starts_with(b"W/") {
        return None;
    }
    let (name, end) = match tag.strip_suffix(b"\"") {
        Some(open) if open.starts_with(b"\"") => (open, &b"\""[..]),
        _ => (tag, &b""[..]),
    };
    let coded = [name, b"-", coding.as_str().as_bytes(), end].concat();
    HeaderValue::from_maybe_shared(Bytes::from(coded)).ok()
}

/// Says that the answer depends on `Accept-Encoding` (RFC 9110 §12.5.5): every form of what could be coded does, the identity
/// too.
pub(crate) fn varies(headers: &mut HeaderMap) {
    let said = headers.get_all(header::VARY).iter().any(|line| {
        prefer::members(line.as_bytes())
            .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"))
    });
    if !said {
        let name = HeaderValue::from_static("accept-encoding");
        let _ = headers.try_append(header::VARY, name);
    }
}

/// Whether content of this type gets much smaller. Images, video, archives and fonts of the web are coded already. Events are
/// never stored.
fn is_text(content_type: &[u8]) -> bool {
    let name = content_type.split(|byte| *byte == b';').next();
    let name = name.unwrap_or_default().trim_ascii().to_ascii_lowercase();
    if name.starts_with(b"text/") {
        return name != b"text/event-stream";
    }
    name.ends_with(b"+json")
        || name.ends_with(b"+xml")
        || name.ends_with(b"+yaml")
        || TEXTS.iter().any(|text| text.as_bytes() == name)
}

const TEXTS: [&str; 14] = [
    "application/json",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/x-ndjson",
    "application/json-seq",
    "application/jsonl",
    "application/yaml",
    "application/toml",
    "application/graphql",
    "application/wasm",
    "application/x-www-form-urlencoded",
    "font/ttf",
    "font/otf",
];

#[cfg(test)]
mod tests;
