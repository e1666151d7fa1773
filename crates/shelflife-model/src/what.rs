//! The one key of the model, its two tags, and what an invalidation can name.

use std::sync::{Arc, LazyLock};

use shelflife::protocol::{Touched, all_tags};
use shelflife::{Invalidation, Tag};

/// The key that everything is about.
pub(crate) const KEY: &str = "k";
/// How many tags it carries: the root and one that was given.
pub(crate) const TAGS: usize = 2;

static KEY_TAGS: LazyLock<Arc<[Tag]>> = LazyLock::new(|| all_tags(KEY, &[Tag::from("t")]).into());

/// Its tags; the root is the first.
pub(crate) fn tags() -> &'static [Tag] {
    &KEY_TAGS
}

/// The same, as a record has them.
pub(crate) fn shared_tags() -> Arc<[Tag]> {
    KEY_TAGS.clone()
}

/// What an entry of the log names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// The key.
    Key,
    /// The tag that was given.
    Tag,
    /// Everything: the root tag.
    All,
    /// The key, softly.
    SoftKey,
    /// The tag, softly.
    SoftTag,
    /// A glob that needs a scan, and that the key matches.
    Glob,
    /// Another key: only the clock moves.
    Other,
    /// Nothing: a jump, or a new inc.
    Nothing,
}

impl What {
    /// The invalidation that memory is told of.
    pub(crate) fn invalidation(self) -> &'static Arc<Invalidation> {
        static ALL: LazyLock<[Arc<Invalidation>; 8]> = LazyLock::new(|| {
            let new = Invalidation::new;
            [
                new().key(KEY),
                new().tag("t"),
                new().all(),
                new().key(KEY).soft(),
                new().tag("t").soft(),
                new().pattern("k*"),
                new().key("z"),
                new(),
            ]
            .map(Arc::new)
        });
        &ALL[self as usize]
    }

    /// Which of the key's tags it names.
    pub(crate) fn tag(self) -> Option<usize> {
        match self {
            Self::All => Some(0),
            Self::Tag | Self::SoftTag => Some(1),
            Self::Key | Self::SoftKey | Self::Glob | Self::Other | Self::Nothing => None,
        }
    }

    /// Whether it names the key itself, by name or by glob.
    pub(crate) fn names_key(self) -> bool {
        matches!(self, Self::Key | Self::SoftKey | Self::Glob)
    }

    /// Whether what it names may be served once more, as stale.
    pub(crate) fn is_soft(self) -> bool {
        matches!(self, Self::SoftKey | Self::SoftTag)
    }

    /// What it does to a read of the key.
    pub(crate) fn touches(self) -> Touched {
        match self {
            Self::Key | Self::Tag | Self::All | Self::Glob => Touched::Hard,
            Self::SoftKey | Self::SoftTag => Touched::Soft,
            Self::Other | Self::Nothing => Touched::No,
        }
    }
}
