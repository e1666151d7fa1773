//! What a binding of another language needs: values that stay encoded, events by name, L1 by canonical key, loads
//! inside loads.
//!
//! Not for users of the crate: behind the feature `binding`, and hidden.
//!
//! Must not: hold a rule; each function opens an entry, an event or the engine's own hit, and asks it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::builder::Builder;
use crate::cache::Cache;
use crate::codec::{self, Codec};
use crate::engine::Level;
use crate::engine::ask::Replace;
use crate::engine::events::{Handler, HandlerError};
use crate::engine::load::{self, Chain};
use crate::entry::Entry;
use crate::epoch::Receipt;
use crate::error::Error;
use crate::invalidation::Invalidation;
use crate::key::{Key, Tag, escape_into};
use crate::policy::Policy;
use crate::value::{Live, downcast_ref};

mod objects;

/// A value that its owner encodes: the bytes of a codec, and room for the object that they stand for.
///
/// Of any type, so it is read from whatever another language has stored. The engine writes and reads it without
/// looking into the bytes.
#[derive(Clone)]
pub struct Encoded {
    codec: Codec,
    bytes: Bytes,
    beside: Arc<Beside>,
}

/// What is kept beside the encoding, shared by all copies of the value.
#[derive(Default)]
struct Beside {
    /// An object of the binding, set once.
    object: OnceLock<Box<dyn Any + Send + Sync>>,
    /// Whether the entry was weighed with it: what is not counted is not kept.
    is_weighed: AtomicBool,
}

impl Encoded {
    /// Bytes of MessagePack.
    pub fn new(bytes: Bytes) -> Self {
        Self::of(Codec::MessagePack, bytes)
    }

    pub(crate) fn of(codec: Codec, bytes: Bytes) -> Self {
        Self {
            codec,
            bytes,
            beside: Arc::default(),
        }
    }

    /// With the object.
    pub fn with(self, object: Box<dyn Any + Send + Sync>) -> Self {
        // It has just been made: nobody else has set it.
        let _ = self.beside.object.set(object);
        self
    }

    /// What the bytes are.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The object, if it has been made.
    pub fn object(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.beside.object.get().map(|object| &**object)
    }

    /// The bytes as a value of Rust's; `None` if they are something else.
    pub fn read<T: DeserializeOwned + 'static>(&self) -> Option<T> {
        codec::decode(self.codec, &self.bytes).ok()
    }

    /// Whether an object is kept, if one is given: see [`Encoded::keep`].
    pub fn keeps(&self) -> bool {
        // It guards nothing else: one who sees it late makes the object once more.
        self.beside.is_weighed.load(Ordering::Relaxed)
    }

    /// Keeps the object for the next one who asks; the first one stays. Where the entry was not weighed with it ([`with_objects`]), it is
    /// dropped.
    pub fn keep(&self, object: Box<dyn Any + Send + Sync>) {
        if self.keeps() {
            let _ = self.beside.object.set(object);
        }
    }

    /// What the object takes, or will, when it is kept: from now on it may be.
    pub(crate) fn weigh_object(&self, wanted: bool) -> usize {
        if !wanted && self.object().is_none() {
            return 0;
        }
        self.beside.is_weighed.store(true, Ordering::Relaxed);
        match self.codec {
            Codec::MessagePack => objects::size(&self.bytes),
            // Text and bytes once more; what JSON gives is not looked into.
            _ => self.bytes.len() * 4,
        }
    }
}

/// The policy for values of which objects are kept beside their encoding: entries weigh as much as both.
pub fn with_objects(policy: Policy, kept: bool) -> Policy {
    Policy {
        objects: kept,
        ..policy
    }
}

/// The same for the cache's own policy, whatever else it is.
pub fn builder_with_objects(builder: Builder) -> Builder {
    builder.with_objects()
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("codec", &self.codec)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Never asked: the engine takes the bytes as they are (`codec.rs`), and another codec than theirs is refused.
impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(ELSEWHERE))
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(ELSEWHERE))
    }
}

const ELSEWHERE: &str = "an encoded value is written in its own codec alone";

/// What L1 has for a canonical key, if that may be the answer now. No allocation, no wait.
pub fn hit<R>(
    cache: &Cache,
    key: &str,
    schema: u32,
    take: impl FnOnce(&Encoded) -> R,
) -> Option<R> {
    let (resident, _) = cache.engine.hit(key, Level::Bounded, schema)?;
    downcast_ref::<Encoded>(&resident.live).map(take)
}

/// Appends text to a canonical key; `part`: a colon in it is escaped.
pub fn escape(out: &mut String, text: &str, part: bool) {
    escape_into(out, text, part.then_some(b':'));
}

/// A key from text that is canonical already.
pub fn canonical_key(text: String) -> Key<'static> {
    Key::from_canonical(text)
}

/// A tag from text that is canonical already.
pub fn canonical_tag(text: String) -> Tag {
    Tag::from_canonical(&text)
}

/// Stores several values, each under the policy and the tags of its entry, in one round trip.
///
/// # Errors
///
/// As [`Cache::set_many`].
pub async fn set(cache: &Cache, items: Vec<(Entry<'_>, Encoded)>) -> Result<Receipt, Error> {
    let items = items.into_iter().map(|(entry, value)| {
        let ask = entry.ask::<Encoded>(Replace::Nothing);
        (ask, Arc::new(value) as Live)
    });
    let epoch = cache.engine.set(items.collect()).await?;
    Ok(Receipt::new(epoch))
}

/// Gives this thread other random numbers than the thread that it is a forked copy of: leases, fills and lives of the bookkeeping are
/// told apart by them.
pub fn reseed(seed: u64) {
    fastrand::seed(seed);
}

/// The loads inside which something runs. What a loader of another language asks for in turn does not come from
/// the engine's own task, which would know: it is told by this.
#[derive(Clone)]
pub struct Inside(Arc<Chain>);

impl Inside {
    /// Those inside which the caller runs, if any.
    pub fn current() -> Option<Self> {
        Chain::current().map(Self)
    }
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inside")
    }
}

/// Work that is done inside these loads: a read that waits for one of them would wait for itself, and no load of it
/// needs a place beside theirs.
pub fn within<T>(inside: Option<Inside>, work: impl Future<Output = T>) -> impl Future<Output = T> {
    load::within(inside.map(|Inside(chain)| chain), work)
}

/// [`Cache::stats`] as JSON.
pub fn stats_json(cache: &Cache) -> String {
    serde_json::to_string(&cache.stats()).unwrap_or_default()
}

/// An invalidation as another language packs it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// See [`Invalidation::keys`].
    pub keys: Vec<String>,
    /// See [`Invalidation::tags`].
    pub tags: Vec<String>,
    /// See [`Invalidation::pattern`].
    pub patterns: Vec<String>,
    /// See [`Invalidation::all`].
    pub all: bool,
    /// See [`Invalidation::soft`].
    pub soft: bool,
}

/// [`Cache::on_async`] for an event of that name, whose payload is JSON.
pub fn on<F, Fut>(cache: &Cache, name: &str, handler: F)
where
    F: Fn(&str) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Invalidation, HandlerError>> + Send + 'static,
{
    cache.engine.events.add(name, Handler::of_payload(handler));
}

/// [`Cache::emit`] for an event of that name, whose payload is JSON.
///
/// # Errors
///
/// As [`Cache::emit`].
pub async fn emit(cache: &Cache, name: &str, payload: String) -> Result<Receipt, Error> {
    let epoch = cache.engine.emit_payload(name, payload).await?;
    Ok(Receipt::new(epoch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Kind;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct User {
        id: u64,
        name: Option<String>,
    }

    fn user() -> User {
        User {
            id: 1,
            name: Some("Ada".into()),
        }
    }

    #[test]
    fn bytes_of_the_engines_codec_are_taken_as_they_are() {
        let bytes = Bytes::from(codec::encode(Codec::MessagePack, &user()).unwrap());
        let encoded = Encoded::new(bytes.clone());
        assert_eq!(codec::encode(Codec::MessagePack, &encoded).unwrap(), bytes);
        let read: Encoded = codec::decode(Codec::MessagePack, &bytes).unwrap();
        assert_eq!(read.bytes(), &bytes);
        // Not even looked at: what they are is for their owner to find out.
        let odd: Encoded = codec::decode(Codec::Raw, b"\xff\xfe").unwrap();
        assert_eq!(
            (odd.codec(), &odd.bytes()[..]),
            (Codec::Raw, &b"\xff\xfe"[..])
        );
    }

    #[test]
    fn another_codec_than_its_own_is_refused() {
        let encoded = Encoded::new(codec::encode(Codec::MessagePack, &user()).unwrap().into());
        assert!(codec::encode(Codec::Json, &encoded).is_err());
        assert!(codec::encode(Codec::Raw, &encoded).is_err());
    }

    #[test]
    fn a_typed_reader_and_the_binding_adopt_each_others_values() {
        let live: crate::value::Live = Arc::new(user());
        let encoded = Kind::of::<Encoded>().adopt(&live).unwrap();
        let back = Kind::of::<User>().adopt(&encoded).unwrap();
        assert_eq!(downcast_ref::<User>(&back), Some(&user()));
    }

    #[test]
    fn it_weighs_what_it_is_and_nothing_is_known() {
        use crate::value::Stored as _;
        let weighed = Encoded::new(Bytes::from_static(b"\xc0")).weigh().unwrap();
        assert!(weighed.nil);
        let bytes = codec::encode(Codec::MessagePack, &user()).unwrap();
        let len = bytes.len();
        let weighed = Encoded::new(bytes.into()).weigh().unwrap();
        assert_eq!((weighed.bytes, weighed.nil), (len, false));
    }

    #[tokio::test]
    async fn an_object_is_kept_only_where_its_entry_was_weighed_with_it() {
        let weight = async |kept: bool| {
            let cache = Cache::builder()
                .policy(with_objects(Policy::default(), kept))
                .build()
                .await
                .unwrap();
            let texts = codec::encode(Codec::MessagePack, &vec!["x"; 1000]).unwrap();
            let value = Encoded::new(texts.into());
            cache.set("k", value.clone()).await.unwrap();
            value.keep(Box::new(1_u8));
            let read: Encoded = cache.get("k").await.unwrap();
            assert_eq!((read.keeps(), read.object().is_some()), (kept, kept));
            cache.stats().l1_bytes
        };
        let (with, without) = (weight(true).await, weight(false).await);
        assert!(with > without + 1000 * 56, "{with} {without}");
    }

    #[tokio::test]
    async fn an_object_that_came_with_its_value_is_counted_whatever_the_policy_says() {
        let cache = Cache::memory();
        let texts = codec::encode(Codec::MessagePack, &vec!["x"; 1000]).unwrap();
        let value = Encoded::new(texts.into()).with(Box::new(1_u8));
        cache.set("k", value).await.unwrap();
        assert!(cache.stats().l1_bytes > 1000 * 56);
    }

    #[tokio::test]
    async fn events_go_by_name() {
        let cache = Cache::memory();
        cache.set("users:7", 1_u8).await.unwrap();
        on(&cache, "user_updated", |payload: &str| {
            let id = payload.to_owned();
            async move { Ok(Invalidation::new().key(format!("users:{id}"))) }
        });
        emit(&cache, "user_updated", "7".to_owned()).await.unwrap();
        assert_eq!(cache.get::<u8>("users:7").await, None);
    }
}
