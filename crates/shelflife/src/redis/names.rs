//! What things are called in Redis: `sl1:{ns}:clock`, `sl1:{ns}:t:<tag>`, `sl1:<ns>:e:<key>`.
//!
//! Control keys share one hash tag and so one slot; entries spread.

use crate::key::shorten;

#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) clock: String,
    pub(super) log: String,
    pub(super) members_since: String,
    pub(super) members_applied: String,
    pub(super) members_beats: String,
    pub(super) tag_prefix: String,
    pub(super) entry_prefix: String,
}

impl Names {
    pub(super) fn of(namespace: &str) -> Self {
        Self {
            clock: format!("sl1:{{{namespace}}}:clock"),
            log: format!("sl1:{{{namespace}}}:log"),
            members_since: format!("sl1:{{{namespace}}}:members:since"),
            members_applied: format!("sl1:{{{namespace}}}:members:applied"),
            members_beats: format!("sl1:{{{namespace}}}:members:beats"),
            tag_prefix: format!("sl1:{{{namespace}}}:t:"),
            entry_prefix: format!("sl1:{namespace}:e:"),
        }
    }

    pub(super) fn entry(&self, key: &str) -> String {
        format!("{}{}", self.entry_prefix, shorten(key))
    }

    pub(super) fn tag(&self, tag: &str) -> String {
        format!("{}{tag}", self.tag_prefix)
    }

    /// The namespace.
    pub(super) fn namespace(&self) -> &str {
        let prefix = self.namespace_prefix();
        let name = prefix.strip_prefix("sl1:").unwrap_or(prefix);
        name.strip_suffix(':').unwrap_or(name)
    }

    /// How the names of all control keys begin.
    pub(super) fn control_prefix(&self) -> &str {
        self.clock.strip_suffix("clock").unwrap_or(&self.clock)
    }

    /// How the names of all keys begin that are no control keys.
    pub(super) fn namespace_prefix(&self) -> &str {
        let entries = &self.entry_prefix;
        entries.strip_suffix("e:").unwrap_or(entries)
    }

    /// The canonical text of an entry's name, or for a long key its head and digest.
    pub(super) fn key_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&self.entry_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_control_keys_share_a_slot() {
        let names = Names::of("shop");
        assert_eq!(names.clock, "sl1:{shop}:clock");
        assert_eq!(names.entry("users:42"), "sl1:shop:e:users:42");
        assert_eq!(names.tag("users:*"), "sl1:{shop}:t:users:*");
        assert_eq!(names.key_of("sl1:shop:e:users:42"), Some("users:42"));
        assert_eq!(names.key_of("other"), None);
        assert_eq!(names.control_prefix(), "sl1:{shop}:");
        assert_eq!(names.namespace_prefix(), "sl1:shop:");
        assert_eq!(names.namespace(), "shop");
    }
}
