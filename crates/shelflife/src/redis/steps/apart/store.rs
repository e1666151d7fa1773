//! Fills, writes and sets, where keys lie apart.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Value;

use super::super::set::Since;
use super::super::write::{keeps, packed};
use super::super::{RedisStore, TAG_SLACK, millis};
use crate::epoch::Epoch;
use crate::key::Tag;
use crate::record::Token;
use crate::redis::link::At;
use crate::redis::reply::Answer;
use crate::redis::scripts;
use crate::store::{Call, Entry, Filled, Put, StoreError, StoreResult, Wanted};
use crate::stretches::Stretches;

/// How long the token of a plain set holds: longer than its steps can take.
const SETTING: Duration = Duration::from_secs(10);

impl RedisStore {
    /// PROTOCOL §4, steps 6 and 7: the tags, and only then the record, under its token.
    pub(in crate::redis::steps) async fn fill_apart(
        &self,
        entry: Entry,
        token: Token,
    ) -> StoreResult<Filled> {
        let (epoch, key) = (entry.meta.epoch, entry.key.clone());
        let tags = self.tag_names(&entry.meta.tags);
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let (inc, tick) = (format!("{:016x}", epoch.inc), epoch.tick.to_string());
        let (_, keep_tags) = keeps(&entry);
        let args = [inc.as_bytes(), tick.as_bytes(), keep_tags.as_bytes()];
        let ensured = self.control("ensure", &scripts::ENSURE_SINCE, &tags, &args);
        let ensured = ensured.await?;
        if ensured.word.as_deref() != Some("known") {
            self.release(&key, token).await?;
            return Ok(Filled::Overtaken(ensured.clock));
        }
        Ok(match self.put_entry(entry, token, "fill").await? {
            true => Filled::Stored(ensured.clock),
            false => Filled::LeaseLost(ensured.clock),
        })
    }

    /// PROTOCOL §7: the tags and with them the epoch, then the token.
    pub(in crate::redis::steps) async fn begin_write_apart(
        &self,
        key: &str,
        tags: &[Tag],
        keep: Duration,
        wanted: Wanted,
    ) -> StoreResult<Epoch> {
        let names = self.tag_names(tags);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let keep = millis(keep + TAG_SLACK).to_string();
        let args = [keep.as_bytes()];
        let ensured = self.control("ensure", &scripts::ENSURE, &names, &args);
        let clock = ensured.await?.clock;
        self.steal(key, wanted).await?;
        Ok(clock)
    }

    /// PROTOCOL §7: the record while the token stands, else nothing; then the key is logged.
    pub(in crate::redis::steps) async fn write_apart(
        &self,
        entry: Entry,
        token: Token,
    ) -> StoreResult<(Epoch, bool)> {
        let key = entry.key.clone();
        let stored = self.put_entry(entry, token, "write").await?;
        let logged = self.log_keys("k", std::iter::once(&*key)).await?;
        Ok((logged.clock, stored))
    }

    /// PROTOCOL §7, both at once, for values that count from when the call began. First the tokens, each in the place
    /// of what was there: what is invalidated from now on takes them away, and so does a set that comes later. What
    /// then stands there, if a token is gone, was loaded or set after this call began, and may stay. Then the log is asked whether anything has named the entries since the
    /// call: it has whatever took place before the tokens stood, for an invalidation announces the keys that it is
    /// about to remove. Then the values, by their tokens, and the log.
    pub(in crate::redis::steps) async fn set_apart(
        &self,
        entries: Vec<Entry>,
        calls: &[Call],
        only_sets: &Stretches,
    ) -> StoreResult<Put> {
        #[cfg(test)]
        self.probes.pause(crate::probe::Point::SetCalled).await;
        let takeovers = || self.link.changes().load(Ordering::SeqCst);
        let before = takeovers();
        let names: Vec<String> = entries
            .iter()
            .map(|entry| self.names.entry(&entry.key))
            .collect();
        let owners = self.link.owners_of(&names);
        let wanted = || Wanted {
            token: Token::random(),
            lease: SETTING,
        };
        let tokens: Vec<Wanted> = entries.iter().map(|_| wanted()).collect();
        let places = entries.iter().zip(&tokens);
        let placed =
            join_all(places.map(|(entry, wanted)| self.replace(&entry.key, *wanted))).await;
        let (epoch, may) = match self.check(&entries, calls, only_sets).await {
            Ok(checked) => checked,
            Err(error) => {
                self.take_back(&entries, &tokens, &placed).await;
                return Err(error);
            }
        };
        #[cfg(test)]
        self.probes.pause(crate::probe::Point::SetLooked).await;
        let keys: Vec<_> = entries.iter().map(|entry| entry.key.clone()).collect();
        let tried = may.clone();
        let puts = entries.into_iter().zip(tokens).zip(may).zip(placed);
        let put = join_all(puts.map(async |(((mut entry, wanted), may), placed)| {
            placed?;
            if !may {
                return self.release(&entry.key, wanted.token).await.map(|()| false);
            }
            entry.meta.epoch = epoch;
            self.put_entry(entry, wanted.token, "set").await
        }))
        .await;
        // A token may be gone with the primary that had it. Then what stood there before the call may stand there again, and
        // nobody has noted yet that this is to be repeated after a takeover.
        let gone = names.into_iter().zip(&put).zip(tried);
        let gone: Vec<String> = gone
            .filter_map(|((name, put), tried)| (tried && matches!(put, Ok(false))).then_some(name))
            .collect();
        let now = self.link.primaries_of(Some(&gone)).await?;
        let is_another = |(address, life): &(String, String)| {
            !life.starts_with("master ") || !owners.contains(address)
        };
        let took_over = now.iter().any(is_another);
        let stored = put.iter().map(|put| *put.as_ref().unwrap_or(&false));
        let stored: Vec<bool> = stored.collect();
        // One that failed may stand: it is not told of as set, but owed as invalidated.
        let told = keys.iter().zip(&put).filter(|(_, put)| put.is_ok());
        let told: Vec<&str> = told.map(|(key, _)| &**key).collect();
        let nothing = told.is_empty();
        let failed = put.into_iter().enumerate();
        let failed = failed.filter_map(|(at, put)| Some((at, put.err()?)));
        let failed: Vec<(usize, StoreError)> = failed.collect();
        if let (true, Some((_, error))) = (nothing, failed.first()) {
            return Err(error.clone());
        }
        let logged = self.log_keys("s", told.into_iter()).await?;
        if took_over || takeovers() != before {
            return Err(StoreError::unavailable(
                "another primary took over while it was set",
            ));
        }
        let tick = logged.word.as_deref().and_then(|tick| tick.parse().ok());
        // Not told: then nothing is known of what came before.
        let before = Epoch::new(logged.clock.inc, tick.unwrap_or(logged.clock.tick));
        Ok(Put {
            before,
            epoch: logged.clock,
            stored,
            failed,
            // Nothing was logged between the look at the log and this.
            at_once: before == epoch,
        })
    }

    /// Takes tokens away that nothing will come of: whoever reads would wait for them. Where that fails they end by
    /// themselves.
    async fn take_back(&self, entries: &[Entry], tokens: &[Wanted], placed: &[StoreResult<()>]) {
        let stand = entries.iter().zip(tokens).zip(placed);
        let stand = stand.filter(|(_, placed)| placed.is_ok());
        let released = stand.map(|((entry, wanted), _)| self.release(&entry.key, wanted.token));
        join_all(released).await;
    }

    /// From which epoch the values count, and of each whether it may be stored.
    async fn check(
        &self,
        entries: &[Entry],
        calls: &[Call],
        only_sets: &Stretches,
    ) -> StoreResult<(Epoch, Vec<bool>)> {
        let (mut tags, mut args) = (Vec::new(), Vec::new());
        for entry in entries {
            let (_, keep_tags) = keeps(entry);
            tags.extend(self.tag_names(&entry.meta.tags));
            args.push([
                entry.meta.tags.len().to_string(),
                keep_tags,
                entry.key.to_string(),
            ]);
        }
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let ask = async |since: Since, which: &str| {
            let head = since.head(self.member(), only_sets, which);
            let ticks: Vec<String> = since.ticks.iter().map(u64::to_string).collect();
            let each = ticks.iter().zip(&args);
            let each = each.flat_map(|(tick, args)| std::iter::once(tick).chain(args));
            let args: Vec<&[u8]> = head.iter().chain(each).map(String::as_bytes).collect();
            self.control("check", &scripts::CHECK, &tags, &args).await
        };
        let first = ask(Since::known(calls), "first").await?;
        if let Some(verdicts) = verdicts(&first) {
            return Ok((first.clock, verdicts));
        }
        let last = ask(self.began(&first, calls), "last").await?;
        let may = verdicts(&last).filter(|all| all.len() == entries.len());
        let may = may.ok_or_else(|| StoreError::unavailable("set gave no answer"))?;
        Ok((last.clock, may))
    }

    /// Whether a record was stored by its token.
    async fn put_entry(&self, entry: Entry, token: Token, how: &str) -> StoreResult<bool> {
        let name = self.names.entry(&entry.key);
        let (keep, _) = keeps(&entry);
        let record = packed(entry)?;
        let args: [&[u8]; 4] = [token.bytes(), &record, keep.as_bytes(), how.as_bytes()];
        Ok(self.run(&scripts::PUT, &[&name], &args).await? == Value::Int(1))
    }

    async fn steal(&self, key: &str, wanted: Wanted) -> StoreResult<()> {
        let holds = millis(wanted.lease).to_string();
        let record = self.lease_record(key, wanted);
        let args: [&[u8]; 3] = [wanted.token.bytes(), holds.as_bytes(), &record];
        self.run(&scripts::STEAL, &[&self.names.entry(key)], &args)
            .await
            .map(drop)
    }

    /// Puts a token where an entry is or was.
    async fn replace(&self, key: &str, wanted: Wanted) -> StoreResult<()> {
        let name = self.names.entry(key);
        let mut set = redis::cmd("SET");
        set.arg(&name).arg(self.lease_record(key, wanted));
        set.arg("PX").arg(millis(wanted.lease));
        self.link.call(At::Name(&name), &set).await.map(drop)
    }

    /// Logs keys, whose entries lie elsewhere: `k` as invalidated, `s` as set, `G` as about to be removed.
    pub(super) async fn log_keys(
        &self,
        field: &str,
        keys: impl Iterator<Item = &str>,
    ) -> StoreResult<Answer> {
        let mut args: Vec<&[u8]> = vec![b"o", self.member().as_bytes()];
        args.extend(keys.flat_map(|key| [field.as_bytes(), key.as_bytes()]));
        self.control("log", &scripts::LOG, &[], &args).await
    }
}

/// Of each entry whether it may be stored; `None` when that could not be told.
fn verdicts(answer: &Answer) -> Option<Vec<bool>> {
    let word = answer.word.as_deref()?;
    let one = |byte| match byte {
        b'1' => Some(true),
        b'0' => Some(false),
        _ => None,
    };
    word.bytes().map(one).collect()
}
