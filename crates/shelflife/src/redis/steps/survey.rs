//! Looking at the names of a database, page by page, for the doctor: of entries no more than their heads.

use redis::Value;

use super::RedisStore;
use super::ask::asked;
use super::examine::Named;
use crate::epoch::Epoch;
use crate::record::{self, HEADER};
use crate::redis::doctor::{Hot, Survey};
use crate::redis::link::At;
use crate::redis::names::Names;
use crate::redis::reply;
use crate::store::StoreResult;

/// How the names of all namespaces begin.
const ALL: &str = "sl1:*";
/// A value of this size holds others up.
const HUGE: u32 = 1 << 20;
/// Of how many entries of a page the tags are looked at, and how much of each is read for that.
const CLOSELY: usize = 20;
const BEGINNING: usize = 1024;
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
        if names.is_empty() {
            return Ok(None);
        }
        // Before them: what is of another incarnation is dead by then.
        let clock = redis::cmd("GET").arg(&self.names.clock).take();
        let clock = match asked(self.link.call(At::Control, &clock).await)? {
            Ok(value) => reply::clock(&value),
            Err(because) => return Ok(Some(because)),
        };
        let mut odd = Vec::new();
        for (name, said) in names.iter().zip(self.heads(names).await?) {
            if let Some(denied) = said.denied() {
                return Ok(Some(denied));
            }
            match said.head() {
                // It may have gone, or come, between two of the commands.
                Some(Err(())) => odd.push(name.clone()),
                Some(Ok(head)) => note_entry(survey, name, self.key(name), &said, head, clock),
                None => {}
            }
            note_heat_of(survey, self.key(name), &said.freq);
        }
        if let Some(clock) = clock {
            self.look_for_tags(survey, names, clock).await?;
        }
        if odd.is_empty() {
            return Ok(None);
        }
        for (name, said) in odd.iter().zip(self.heads(&odd).await?) {
            match said.head() {
                Some(Err(())) => {
                    survey.entries += 1;
                    survey.bad_entries.add(name);
                }
                Some(Ok(head)) => note_entry(survey, name, self.key(name), &said, head, clock),
                None => {}
            }
        }
        Ok(None)
    }

    /// Whether some of the values that the clock lets live have the records of all of their tags.
    async fn look_for_tags(
        &self,
        survey: &mut Survey,
        names: &[String],
        clock: Epoch,
    ) -> StoreResult<()> {
        let names = &names[..names.len().min(CLOSELY)];
        let mut pipeline = redis::pipe();
        for name in names {
            pipeline.cmd("GETRANGE").arg(name).arg(0).arg(BEGINNING - 1);
        }
        let at = At::Name(names.first().map_or("", String::as_str));
        let got = self.link.call_all(at, &pipeline, names.len()).await?;
        let mut tagged = Vec::new();
        for (name, beginning) in names.iter().zip(got) {
            let Some(beginning) = reply::bytes(beginning) else {
                continue;
            };
            let lives = |head: record::Head| head.has_value && head.inc == clock.inc;
            if record::peek(&beginning).is_ok_and(lives)
                && let Some(tags) = record::peek_tags(&beginning)
            {
                tagged.push((name, tags));
            }
        }
        let all: Vec<_> = tagged.iter().flat_map(|(_, tags)| tags).cloned().collect();
        if all.is_empty() {
            return Ok(());
        }
        let mut mget = redis::cmd("MGET");
        mget.arg(self.tag_names(&all));
        let got = asked(self.link.call(At::Control, &mget).await)?;
        // Who may not read them is told so by what is looked at of the tags themselves.
        let Ok(got) = got else { return Ok(()) };
        let mut records = reply::array("MGET", got)?.into_iter();
        for (name, tags) in tagged {
            let lacks = records
                .by_ref()
                .take(tags.len())
                .filter(|r| *r == Value::Nil);
            let lacks = lacks.count();
            survey.tagged += 1;
            if lacks > 0 {
                survey.untagged.add(name);
            }
        }
        Ok(())
    }

    fn key<'a>(&self, name: &'a str) -> &'a str {
        self.names.key_of(name).unwrap_or(name)
    }

    /// What stands under names of entries, as far as their heads tell.
    async fn heads(&self, names: &[String]) -> StoreResult<Vec<Said>> {
        const EACH: usize = 4;
        let Some(first) = names.first() else {
            return Ok(Vec::new());
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
        let mut got = got.into_iter();
        let said = || {
            Some(Said {
                kind: got.next()?,
                ttl: got.next()?,
                head: got.next()?,
                freq: got.next()?,
            })
        };
        Ok(std::iter::from_fn(said).collect())
    }

    async fn look_at_tags(
        &self,
        survey: &mut Survey,
        names: &[String],
    ) -> StoreResult<Option<String>> {
        let mut odd = Vec::new();
        for (name, (ttl, record)) in names.iter().zip(self.records(names).await?) {
            let wrong_type = matches!(&record, Value::ServerError(e) if e.code() == "WRONGTYPE");
            if let Some(denied) = denial(&[&ttl, &record]).filter(|_| !wrong_type) {
                return Ok(Some(denied));
            }
            match (reply::tag(&record), &ttl) {
                (_, Value::Int(-2)) => continue,
                // It may have expired between the two commands.
                (None, _) => {
                    odd.push(name.clone());
                    continue;
                }
                (Some(_), Value::Int(-1)) => survey.endless_tags.add(name),
                _ => {}
            }
            survey.tags += 1;
        }
        for (name, (ttl, record)) in odd.iter().zip(self.records(&odd).await?) {
            if ttl == Value::Int(-2) {
                continue;
            }
            survey.tags += 1;
            if reply::tag(&record).is_none() {
                survey.bad_tags.add(name);
            }
        }
        Ok(None)
    }

    /// For how long records of tags are kept, and what they are.
    async fn records(&self, names: &[String]) -> StoreResult<Vec<(Value, Value)>> {
        if names.is_empty() {
            return Ok(Vec::new());
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
        let mut got = got.into_iter();
        Ok(std::iter::from_fn(|| Some((got.next()?, got.next()?))).collect())
    }
}

/// What was answered about one name of an entry.
struct Said {
    kind: Value,
    ttl: Value,
    head: Value,
    freq: Value,
}

impl Said {
    fn is_string(&self) -> bool {
        matches!(&self.kind, Value::SimpleString(kind) if kind == "string")
    }

    fn denied(&self) -> Option<String> {
        let head = self.is_string().then_some(&self.head);
        denial(&[&self.kind, &self.ttl]).or_else(|| denial(&[head?]))
    }

    /// The head of a record; an error for what is none, nothing for what is gone.
    fn head(&self) -> Option<Result<record::Head, ()>> {
        let Value::Int(0.. | -1) = self.ttl else {
            return None;
        };
        let head = reply::bytes(self.head.clone()).filter(|_| self.is_string());
        Some(match head.map(|head| record::peek(&head)) {
            Some(Ok(head)) => Ok(head),
            _ => Err(()),
        })
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

fn note_entry(
    survey: &mut Survey,
    name: &str,
    key: &str,
    said: &Said,
    head: record::Head,
    clock: Option<Epoch>,
) {
    survey.entries += 1;
    match (head.has_value, said.ttl == Value::Int(-1)) {
        (true, true) => survey.endless_entries.add(key),
        (false, true) => survey.endless_leases.add(name),
        _ => {}
    }
    survey.leases += u64::from(!head.has_value);
    if head.has_value && Some(head.inc) != clock.map(|clock| clock.inc) {
        survey.dead_entries.add(name);
    }
    if head.len >= HUGE {
        survey.huge.add(key);
        survey.largest = survey.largest.max(head.len.into());
    }
}

fn note_heat_of(survey: &mut Survey, key: &str, freq: &Value) {
    match freq {
        Value::Int(count) => note_heat(survey, key, u64::try_from(*count).unwrap_or(0)),
        Value::ServerError(error) if error.code() == "NOPERM" => {
            survey.hot_denied = denial(&[freq]);
        }
        _ => {}
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

/// Counts a name for its namespace: `sl1:{ns}:…` or `sl1:ns:e:…`. What only begins as ours do is nobody's namespace.
fn note_space(survey: &mut Survey, name: &str) {
    let Some(rest) = name.strip_prefix("sl1:") else {
        return;
    };
    let split = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once("}:"),
        None => rest
            .split_once(':')
            .filter(|(_, kind)| kind.starts_with("e:")),
    };
    let Some((own, kind)) = split else { return };
    if kind.starts_with("e:") || kind.starts_with("t:") {
        if let Some(space) = survey.space(own) {
            space.stored += 1;
        }
    } else if Names::of(own).control_keys().iter().any(|key| key == name)
        && let Some(space) = survey.space(own)
    {
        space.control.push(name.to_owned());
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
            "sl1:foreign:session:1",
            "sl1:{foreign}:session:1",
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
    fn no_more_namespaces_are_kept_than_that() {
        let mut survey = Survey::default();
        for n in 0..Survey::SPACES {
            note_space(&mut survey, &format!("sl1:{{n{n}}}:clock"));
        }
        assert!(!survey.more_spaces);
        note_space(&mut survey, "sl1:{one-more}:clock");
        note_space(&mut survey, "sl1:{n1}:t:a");
        assert!(survey.more_spaces && survey.spaces.len() == Survey::SPACES);
        assert_eq!(survey.spaces["n1"].stored, 1, "those that are known go on");
    }

    #[test]
    fn what_has_gone_between_two_commands_is_looked_at_again_and_not_called_bad() {
        let said = |kind: &str, ttl, head: &[u8]| Said {
            kind: Value::SimpleString(kind.to_owned()),
            ttl: Value::Int(ttl),
            head: Value::BulkString(head.to_vec()),
            freq: Value::Nil,
        };
        let lease = [b"SLF\x01".as_slice(), &[0; 124]].concat();
        assert!(said("none", -2, b"").head().is_none(), "gone before");
        assert!(
            matches!(said("string", 1, b"").head(), Some(Err(()))),
            "gone since PTTL, or bad"
        );
        assert!(
            matches!(said("none", 5, &lease).head(), Some(Err(()))),
            "come since TYPE"
        );
        assert!(matches!(said("string", 0, &lease).head(), Some(Ok(_))));
        assert!(matches!(said("string", -1, &lease).head(), Some(Ok(_))));
        assert!(matches!(said("list", -1, &lease).head(), Some(Err(()))));
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
