//! The tags that an entry was given: few, and without an allocation while there are no more than two,
//! so that a hit, which needs none of them, does not pay for them.
//!
//! Must not: know the implicit ones.

use crate::key::Tag;

/// Tags in the order in which they were given.
#[derive(Clone, Debug)]
pub(super) enum Given {
    One([Tag; 1]),
    Two([Tag; 2]),
    /// None, or more than two.
    Many(Vec<Tag>),
}

impl Given {
    pub(super) const fn none() -> Self {
        Self::Many(Vec::new())
    }

    pub(super) fn push(&mut self, tag: Tag) {
        *self = match std::mem::replace(self, Self::none()) {
            Self::Many(tags) if tags.is_empty() => Self::One([tag]),
            Self::One([first]) => Self::Two([first, tag]),
            Self::Two([first, second]) => Self::Many(vec![first, second, tag]),
            Self::Many(mut tags) => {
                tags.push(tag);
                Self::Many(tags)
            }
        };
    }

    pub(super) fn as_slice(&self) -> &[Tag] {
        match self {
            Self::One(tags) => tags,
            Self::Two(tags) => tags,
            Self::Many(tags) => tags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stay_in_the_order_in_which_they_were_given() {
        let mut given = Given::none();
        for count in 0..5 {
            let expected: Vec<Tag> = (0..count).map(|n| Tag::from(n.to_string())).collect();
            assert_eq!(given.as_slice(), expected);
            given.push(Tag::from(count.to_string()));
        }
    }
}
