//! Looking at the names of a database, page by page, for the doctor: of entries no more than their heads.

use redis::Value;

use super::RedisStore;
use super::ask::asked;
use super::examine::Named;
use crate::record::{self, HEADER};
use crate::redis::doctor::{Hot, Survey};
use crate::redis::link::At;
use crate::redis::reply;
use crate::store::StoreResult;

/// How the names of all namespaces begin.
const ALL: &str = "sl1:*";
/// A value of this size holds others up.
const HUGE: u32 = 1 << 20;
/// How many of the hottest keys are told.
const HOTTEST: usize = 5;

/// What a page brought.
pub(crate) enum Surveyed {
    /// It is counted; the next cursor, `None` at the end.
    Page(Option<u64>),
    /// It may not be looked at, and why not.
    Denied(String),
}

impl RedisStore {
    /// One page of names, counted into the survey.
    pub(crate) async fn survey(
        &self,
        survey: &mut Survey,
        cursor: u64,
        page: usize,
    ) -> StoreResult<Surveyed> {
        let (names, next) = match asked(self.scan(ALL, cursor, page).await)? {
            Ok(found) => found,
            Err(because) => return Ok(Surveyed::Denied(because)),
        };
        survey.looked_at += page as u64;
        let (mut entries, mut tags) = (Vec::new(), Vec::new());
        for name in &names {
            let name = String::from_utf8_lossy(name).into_owned();
            note_space(survey, &name);
            match self.named(&name) {
                Named::Entry => entries.push(name),
                Named::Tag(_) => tags.push(name),
                Named::Bookkeeping => {}
                Named::Unknown if self.is_ours(&name) => survey.unknown.add(&name),
                Named::Unknown => {}
            }
        }
        let denied = self.look_at_entries(survey, &entries).await?;
        let denied = denied.or(self.look_at_tags(survey, &tags).await?);
        Ok(denied.map_or(Surveyed::Page(next), Surveyed::Denied))
    }

    fn is_ours(&self, name: &str) -> bool {
        let names = &self.names;
        name.starts_with(names.control_prefix()) || name.starts_with(names.namespace_prefix())
    }

    /// Looks at the heads of entries; tells why it may not, if so.
    async fn look_at_entries(
        &self,
        survey: &mut Survey,
        names: &[String],
    ) -> StoreResult<Option<String>> {
        const EACH: usize = 4;
        let Some(first) = names.first() else {
            return Ok(None);
        };
        // All from one step of a scan, and so from one node.
        let at = At::Name(first);
        let mut pipeline = redis::pipe();
        for name in names {
            pipeline.cmd("TYPE").arg(name);
            pipeline.cmd("PTTL").arg(name);
            pipeline.cmd("GETRANGE").arg(name).arg(0).arg(HEADER - 1);
            // Only where the policy counts; else an error that says nothing here.
            pipeline.cmd("OBJECT").arg("FREQ").arg(name);
        }
        let got = self
            .link
            .call_all(at, &pipeline, names.len() * EACH)
            .await?;
        for (name, said) in names.iter().zip(got.chunks(EACH)) {
            let [kind, ttl, head, freq] = said else {
                continue;
            };
            if let Some(denied) = denial(&[kind, ttl]) {
                return Ok(Some(denied));
            }
            let is_string = matches!(kind, Value::SimpleString(kind) if kind == "string");
            if is_string && let Some(denied) = denial(&[head]) {
                return Ok(Some(denied));
            }
            let key = self.names.key_of(name).unwrap_or(name);
            if let (Value::Int(ttl), false) = (ttl, ttl == &Value::Int(-2)) {
                note_entry(survey, name, key, *ttl == -1, is_string.then_some(head));
            }
            match freq {
                Value::Int(count) => note_heat(survey, key, u64::try_from(*count).unwrap_or(0)),
                Value::ServerError(error) if error.code() == "NOPERM" => {
                    survey.hot_denied = denial(&[freq]);
                }
                _ => {}
            }
        }
        Ok(None)
    }

    async fn look_at_tags(
        &self,
        survey: &mut Survey,
        names: &[String],
    ) -> StoreResult<Option<String>> {
        if names.is_empty() {
            return Ok(None);
        }
        let mut pipeline = redis::pipe();
        for name in names {
            pipeline.cmd("PTTL").arg(name);
            pipeline.cmd("GET").arg(name);
        }
        let got = self
            .link
            .call_all(At::Control, &pipeline, names.len() * 2)
            .await?;
        for (name, said) in names.iter().zip(got.chunks(2)) {
            let [ttl, record] = said else { continue };
            let wrong_type = matches!(record, Value::ServerError(e) if e.code() == "WRONGTYPE");
            if let Some(denied) = denial(&[ttl, record]).filter(|_| !wrong_type) {
                return Ok(Some(denied));
            }
            if *ttl == Value::Int(-2) {
                continue;
            }
            survey.tags += 1;
            match (reply::tag(record), ttl) {
                (None, _) => survey.bad_tags.add(name),
                (Some(_), Value::Int(-1)) => survey.endless_tags.add(name),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// Why one of these may not be looked at.
fn denial(said: &[&Value]) -> Option<String> {
    said.iter().find_map(|value| match value {
        Value::ServerError(error) => Some(format!(
            "{} {}",
            error.code(),
            error.details().unwrap_or_default()
        )),
        _ => None,
    })
}

/// What an entry's name holds: its head, or `None` for what is no string.
fn note_entry(survey: &mut Survey, name: &str, key: &str, endless: bool, head: Option<&Value>) {
    survey.entries += 1;
    let head = head.cloned().and_then(reply::bytes);
    let Some(head) = head.and_then(|head| record::peek(&head).ok()) else {
        survey.bad_entries.add(name);
        return;
    };
    match (head.has_value, endless) {
        (true, true) => survey.endless_entries.add(key),
        (false, true) => survey.endless_leases.add(name),
        _ => {}
    }
    survey.leases += u64::from(!head.has_value);
    if head.len >= HUGE {
        survey.huge.add(key);
        survey.largest = survey.largest.max(head.len.into());
    }
}

fn note_heat(survey: &mut Survey, key: &str, count: u64) {
    let hot = &mut survey.hot;
    let at = hot.partition_point(|it| it.count >= count);
    if at < HOTTEST {
        let key = key.to_owned();
        hot.insert(at, Hot { count, key });
        hot.truncate(HOTTEST);
    }
}

/// Counts a name for its namespace: `sl1:{ns}:…` or `sl1:ns:e:…`.
fn note_space(survey: &mut Survey, name: &str) {
    let Some(rest) = name.strip_prefix("sl1:") else {
        return;
    };
    let (space, kind) = match rest.strip_prefix('{') {
        Some(rest) => match rest.split_once("}:") {
            Some(split) => split,
            None => return,
        },
        None => match rest.split_once(':') {
            Some(split) => split,
            None => return,
        },
    };
    let stored = kind.starts_with("e:") || kind.starts_with("t:");
    let space = survey.spaces.entry(space.to_owned()).or_default();
    match stored {
        true => space.stored += 1,
        false => space.control.push(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_for_their_namespaces() {
        let mut survey = Survey::default();
        for name in [
            "sl1:{shop}:clock",
            "sl1:{shop}:t:users:*",
            "sl1:shop:e:users:1",
            "sl1:{old}:log",
            "sl1:",
            "sl1:{broken",
            "other",
        ] {
            note_space(&mut survey, name);
        }
        let spaces: Vec<_> = survey
            .spaces
            .iter()
            .map(|(name, space)| (name.as_str(), space.stored, space.control.len()))
            .collect();
        assert_eq!(spaces, [("old", 0, 1), ("shop", 2, 1)]);
    }

    #[test]
    fn the_hottest_are_kept_in_order() {
        let mut survey = Survey::default();
        for (at, count) in [3, 9, 1, 7, 8, 2, 9].into_iter().enumerate() {
            note_heat(&mut survey, &at.to_string(), count);
        }
        let counts: Vec<_> = survey.hot.iter().map(|it| it.count).collect();
        assert_eq!(counts, [9, 9, 8, 7, 3]);
    }
}
