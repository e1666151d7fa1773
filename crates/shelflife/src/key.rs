//! Keys and tags: from what a user writes to the canonical text that names an entry everywhere.
//!
//! Canonical text is readable (`users:42`) and injective: two different keys never share it. Bytes
//! that would be ambiguous in a Redis key, in a pattern or in a cluster hash tag are written as `%XX`:
//! control characters, space, `%`, `{`, `}` and the glob characters `* ? [ ] \`. A colon separates the
//! levels of a name; inside an interpolated *part* it is escaped too, so `user:{a}:{b}` can't be made
//! to collide by an argument that holds a colon.
//!
//! Must not: know Redis, the store, or how long a store lets a name be.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// The tag that every entry carries: invalidating it invalidates everything.
pub(crate) const ROOT_TAG: &str = "*";

/// Names up to this length stand in full; longer ones keep a head, and end in a digest.
pub(crate) const IN_FULL: usize = 512;
/// How many bytes of a long name stay readable before its digest.
const HEAD: usize = 384;
/// What stands between head and digest: canonical text never holds it.
const DIGEST_MARK: &str = "%~";

/// A name as a store writes it: canonical text, a long one as its head and the BLAKE3 of the whole.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    if text.len() <= IN_FULL {
        return Cow::Borrowed(text);
    }
    let mut end = HEAD;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let digest = blake3::hash(text.as_bytes()).to_hex();
    Cow::Owned(format!("{}{DIGEST_MARK}{digest}", &text[..end]))
}

/// The readable head of a shortened name; `None` if the name is whole.
pub(crate) fn head_of_shortened(name: &str) -> Option<&str> {
    name.rsplit_once(DIGEST_MARK).map(|(head, _)| head)
}

/// Whether a byte stands for itself in canonical text.
const fn is_plain(byte: u8) -> bool {
    !matches!(
        byte,
        0..=0x20 | 0x7f | b'%' | b'{' | b'}' | b'*' | b'?' | b'[' | b']' | b'\\'
    )
}

pub(crate) fn escape_into(out: &mut String, text: &str, also: Option<u8>) {
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) if c.is_ascii() && (!is_plain(byte) || Some(byte) == also) => {
                let _ = write!(out, "%{byte:02X}");
            }
            _ => out.push(c),
        }
    }
}

fn canonical(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    escape_into(&mut out, text, None);
    Cow::Owned(out)
}

/// The name of an entry, in canonical text.
///
/// Made from text (`"users:42"`, escaped where it must be, without an allocation where it need not)
/// or by a [`KeyTemplate`] from literals and typed parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key<'a>(Cow<'a, str>);

impl Key<'_> {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same key, on its own.
    pub fn into_owned(self) -> Key<'static> {
        Key(Cow::Owned(self.0.into_owned()))
    }

    /// A key as a listing ([`Cache::scan`](crate::Cache::scan), `shelflife ls`) shows it: canonical text, in which
    /// `%XX` stands for what had to be escaped. Text that can't be canonical is taken as [`From`] takes it.
    ///
    /// ```
    /// use shelflife::Key;
    ///
    /// assert_eq!(Key::from("50%").as_str(), "50%25");
    /// assert_eq!(Key::listed("50%25"), Key::from("50%"));
    /// assert_eq!(Key::listed("two words"), Key::from("two words"));
    /// ```
    pub fn listed(text: impl Into<String>) -> Key<'static> {
        let text = text.into();
        match text.bytes().all(|byte| is_plain(byte) || byte == b'%') {
            true => Self::from_canonical(text),
            false => Key::from(text),
        }
    }

    /// A key from text that is canonical already, such as the listing of a store.
    pub(crate) fn from_canonical(text: String) -> Key<'static> {
        Key(Cow::Owned(text))
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        Key(canonical(text))
    }
}

impl<'a> From<&'a String> for Key<'a> {
    fn from(text: &'a String) -> Self {
        Key(canonical(text))
    }
}

impl From<String> for Key<'_> {
    fn from(text: String) -> Self {
        if text.bytes().all(is_plain) {
            return Key(Cow::Owned(text));
        }
        Key(Cow::Owned(canonical(&text).into_owned()))
    }
}

impl<'a> From<&'a Key<'_>> for Key<'a> {
    fn from(key: &'a Key<'_>) -> Self {
        Key(Cow::Borrowed(&key.0))
    }
}

/// The tags that an entry carries without being told: the root, and its first level if it has one
/// (`users:42:orders` carries `users:*`), so `users:*` is invalidated in O(1).
fn implicit_tags(key: &str) -> impl Iterator<Item = Tag> + '_ {
    let prefix = key
        .split_once(':')
        .map(|(head, _)| Tag::from_canonical(&format!("{head}:*")));
    std::iter::once(Tag::root()).chain(prefix)
}

/// All tags of an entry: the implicit ones, then those given, each once.
#[cfg_attr(
    not(feature = "protocol"),
    allow(unreachable_pub, reason = "only the model reaches it")
)]
pub fn all_tags(key: &str, given: &[Tag]) -> Vec<Tag> {
    let mut tags: Vec<Tag> = implicit_tags(key).collect();
    for tag in given {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    tags
}

/// A name that entries share, to be invalidated together.
///
/// Cheap to clone. Explicit tags are escaped like keys, so they never collide with the implicit ones
/// (the root `*` and the prefixes `users:*`), whose names hold a bare `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn root() -> Self {
        static ROOT: std::sync::OnceLock<Arc<str>> = std::sync::OnceLock::new();
        Tag(ROOT.get_or_init(|| ROOT_TAG.into()).clone())
    }

    /// A tag from text that is canonical already: a record's tag list, or a prefix pattern.
    pub(crate) fn from_canonical(text: &str) -> Self {
        Tag(shorten(text).into())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Tag {
    fn from(text: &str) -> Self {
        Tag::from_canonical(&canonical(text))
    }
}

impl From<String> for Tag {
    fn from(text: String) -> Self {
        Tag::from_canonical(&canonical(&text))
    }
}

impl From<&String> for Tag {
    fn from(text: &String) -> Self {
        Tag::from_canonical(&canonical(text))
    }
}

impl From<&Tag> for Tag {
    fn from(tag: &Tag) -> Self {
        tag.clone()
    }
}

impl From<Key<'_>> for Tag {
    fn from(key: Key<'_>) -> Self {
        Tag::from_canonical(key.as_str())
    }
}

/// Builds a key or a tag from literal text and typed parts.
///
/// ```
/// use shelflife::KeyTemplate;
///
/// let key = KeyTemplate::new().literal("user:").part(&42_u64).finish();
/// assert_eq!(key.as_str(), "user:42");
///
/// // A part can't forge a level: its colon is escaped.
/// let forged = KeyTemplate::new().literal("user:").part("4:2").finish();
/// assert_eq!(forged.as_str(), "user:4%3A2");
/// ```
#[derive(Clone, Debug, Default)]
pub struct KeyTemplate(String);

impl KeyTemplate {
    /// An empty template.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends text of the program itself; a colon in it separates levels.
    pub fn literal(mut self, text: &str) -> Self {
        escape_into(&mut self.0, text, None);
        self
    }

    /// Appends a value; a colon in it is escaped.
    pub fn part<P: KeyPart + ?Sized>(mut self, part: &P) -> Self {
        part.write_part(&mut PartWriter(&mut self.0));
        self
    }

    /// The key.
    pub fn finish(self) -> Key<'static> {
        Key(Cow::Owned(self.0))
    }

    /// The tag of that name.
    pub fn finish_tag(self) -> Tag {
        Tag::from_canonical(&self.0)
    }
}

/// Where a [`KeyPart`] writes itself; escapes what it is given.
#[derive(Debug)]
pub struct PartWriter<'a>(&'a mut String);

impl PartWriter<'_> {
    /// Appends text, escaped so that it can't be taken for a level.
    pub fn text(&mut self, text: &str) {
        escape_into(self.0, text, Some(b':'));
    }

    /// Appends a mark that no text can produce: `%` and a letter that is not a hex digit.
    fn mark(&mut self, letter: char) {
        self.0.push('%');
        self.0.push(letter);
    }
}

impl fmt::Write for PartWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text(text);
        Ok(())
    }
}

/// A value that may stand in a key.
///
/// Equal values must write the same text and different ones different text. That rules out `Debug`
/// output and floating-point numbers. For a type with a canonical `Display`, wrap it in [`Shown`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be part of a cache key",
    label = "not a key part",
    note = "in #[cached], leave the argument out with `skip(argument)`, or name what identifies it in `key = ...`",
    note = "a type whose Display is canonical can be wrapped: `shelflife::Shown(value)`"
)]
pub trait KeyPart {
    /// Writes the value.
    fn write_part(&self, out: &mut PartWriter<'_>);
}

/// Puts a value into a key by its `Display`, which must be canonical: equal values, equal text.
#[derive(Clone, Copy, Debug)]
pub struct Shown<T>(pub T);

impl<T: fmt::Display> KeyPart for Shown<T> {
    fn write_part(&self, out: &mut PartWriter<'_>) {
        let _ = write!(out, "{}", self.0);
    }
}

macro_rules! shown_parts {
    ($($t:ty),*) => {$(
        impl KeyPart for $t {
            fn write_part(&self, out: &mut PartWriter<'_>) {
                let _ = write!(out, "{self}");
            }
        }
    )*};
}
shown_parts!(
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    bool,
    char,
    str,
    String,
    std::net::IpAddr,
    std::net::Ipv4Addr,
    std::net::Ipv6Addr
);

impl<T: KeyPart + ?Sized> KeyPart for &T {
    fn write_part(&self, out: &mut PartWriter<'_>) {
        (**self).write_part(out);
    }
}

impl<T: KeyPart + ?Sized> KeyPart for Box<T> {
    fn write_part(&self, out: &mut PartWriter<'_>) {
        (**self).write_part(out);
    }
}

impl<T: KeyPart + ?Sized> KeyPart for Arc<T> {
    fn write_part(&self, out: &mut PartWriter<'_>) {
        (**self).write_part(out);
    }
}

impl<T: KeyPart + ToOwned + ?Sized> KeyPart for Cow<'_, T> {
    fn write_part(&self, out: &mut PartWriter<'_>) {
        (**self).write_part(out);
    }
}

impl<T: KeyPart> KeyPart for Option<T> {
    fn write_part(&self, out: &mut PartWriter<'_>) {
        match self {
            Some(value) => value.write_part(out),
            None => out.mark('_'),
        }
    }
}

impl<T: KeyPart> KeyPart for [T] {
    fn write_part(&self, out: &mut PartWriter<'_>) {
        out.mark('(');
        for item in self {
            item.write_part(out);
            out.mark(',');
        }
        out.mark(')');
    }
}

impl<T: KeyPart> KeyPart for Vec<T> {
    fn write_part(&self, out: &mut PartWriter<'_>) {
        self.as_slice().write_part(out);
    }
}

impl KeyPart for Key<'_> {
    fn write_part(&self, out: &mut PartWriter<'_>) {
        out.text(self.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_keys_stay_as_they_are_and_borrowed() {
        let key = Key::from("users:42:orders");
        assert!(matches!(key.0, Cow::Borrowed("users:42:orders")));
        assert_eq!(Key::from("naïve:ключ").as_str(), "naïve:ключ");
    }

    #[test]
    fn what_a_pattern_or_a_cluster_would_read_is_escaped() {
        let cases = [
            ("a*b", "a%2Ab"),
            ("{tag}", "%7Btag%7D"),
            ("50%", "50%25"),
            ("a b\n", "a%20b%0A"),
            ("[x]?\\", "%5Bx%5D%3F%5C"),
        ];
        for (raw, text) in cases {
            assert_eq!(Key::from(raw).as_str(), text);
            assert_eq!(Key::from(raw.to_owned()).as_str(), text);
            assert_eq!(Tag::from(raw).as_str(), text);
        }
    }

    #[test]
    fn long_names_keep_their_head_and_never_collide() {
        let long = |last| format!("{}é{}{last}", "k".repeat(383), "x".repeat(300));
        let (a, b) = (
            shorten(&long('a')).into_owned(),
            shorten(&long('b')).into_owned(),
        );
        assert_ne!(a, b);
        assert!(a.len() < IN_FULL);
        assert_eq!(head_of_shortened(&a), Some("k".repeat(383).as_str()));
        assert_eq!(head_of_shortened("users:42"), None);
        assert_ne!(Tag::from(long('a')), Tag::from(long('b')));
    }

    #[test]
    fn none_an_empty_string_and_the_word_none_are_three_keys() {
        let key = |part: Option<&str>| KeyTemplate::new().literal("f:").part(&part).finish();
        assert_eq!(key(None).as_str(), "f:%_");
        assert_eq!(key(Some("")).as_str(), "f:");
        assert_eq!(key(Some("None")).as_str(), "f:None");
        assert_eq!(key(Some("%_")).as_str(), "f:%25_");
    }

    #[test]
    fn a_key_carries_the_root_and_its_first_level() {
        let tags = |key| {
            implicit_tags(key)
                .map(|t| t.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(tags("users:42:orders"), ["*", "users:*"]);
        assert_eq!(tags("health"), ["*"]);
        assert_eq!(tags(":x"), ["*", ":*"]);
    }

    proptest! {
        #[test]
        fn two_keys_never_share_a_text(a in ".{0,40}", b in ".{0,40}") {
            prop_assert_eq!(a == b, Key::from(a.as_str()) == Key::from(b.as_str()));
        }

        #[test]
        fn two_argument_lists_never_share_a_key(
            a in (".{0,12}", ".{0,12}"), b in (".{0,12}", ".{0,12}"),
        ) {
            let key = |(x, y): &(String, String)| {
                KeyTemplate::new().literal("f:").part(x).literal(":").part(y).finish()
            };
            prop_assert_eq!(a == b, key(&a) == key(&b));
        }

        #[test]
        fn two_lists_never_share_a_part(
            a in prop::collection::vec("[,()%a]{0,3}", 0..4),
            b in prop::collection::vec("[,()%a]{0,3}", 0..4),
        ) {
            let key = |v: &Vec<String>| KeyTemplate::new().part(v).finish();
            prop_assert_eq!(a == b, key(&a) == key(&b));
        }
    }
}
