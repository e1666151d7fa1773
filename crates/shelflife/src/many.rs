//! Several keys at once: the face of [`crate::engine`]'s batches.

use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use crate::cache::Cache;
use crate::engine::ask::Replace;
use crate::engine::{Ask, Batch};
use crate::entry::{Entry, erase_error, own, typed};
use crate::epoch::Receipt;
use crate::error::{Error, LoadError};
use crate::key::Key;
use crate::status::Outcome;
use crate::value::{Live, Value};

impl Cache {
    /// The fresh values of several keys, in their order, in one round trip.
    pub async fn get_many<'k, T, K>(&self, keys: impl IntoIterator<Item = K>) -> Vec<Option<T>>
    where
        T: Value + Clone,
        K: Into<Key<'k>>,
    {
        let asks: Vec<Ask> = keys
            .into_iter()
            .map(|key| Entry::new(self, key.into()).ask::<T>(Replace::Nothing))
            .collect();
        let answers = self.engine.lookup_many(&asks).await;
        let fresh = answers
            .into_iter()
            .map(|a| a.filter(|a| a.status.outcome() == Outcome::Hit));
        fresh.map(|answer| own(answer?.live).ok()).collect()
    }

    /// Stores several values under the default policy, in one round trip. Each counts as an
    /// invalidation of its key.
    ///
    /// # Errors
    ///
    /// When a value can't be encoded (then none is stored), or the store did not confirm.
    pub async fn set_many<'k, T, K>(
        &self,
        entries: impl IntoIterator<Item = (K, T)>,
    ) -> Result<Receipt, Error>
    where
        T: Value,
        K: Into<Key<'k>>,
    {
        let items = entries.into_iter().map(|(key, value)| {
            (
                Entry::new(self, key.into()).ask::<T>(Replace::Nothing),
                Arc::new(value) as Live,
            )
        });
        self.engine.set(items.collect()).await.map(Receipt::new)
    }

    /// The values of several ids, with one load for all that are missing.
    ///
    /// `entry` names the entry of an id, with its policy and tags. `loader` is called with the missing
    /// ids and gives what exists of them; an id that it leaves out is absent from the result, and
    /// nothing is stored for it. It may be called again for ids that other callers were loading in
    /// vain.
    ///
    /// # Errors
    ///
    /// Those of the load, unless stale values can stand in for all that is missing.
    pub async fn get_or_load_many<'c, I, T, E, F, Fut>(
        &'c self,
        ids: impl IntoIterator<Item = I>,
        entry: impl Fn(&'c Self, &I) -> Entry<'c>,
        loader: F,
    ) -> Result<HashMap<I, T>, LoadError<E>>
    where
        I: Clone + Eq + Hash + Send + Sync + 'static,
        T: Value + Clone,
        E: Display + Send + Sync + 'static,
        F: Fn(Vec<I>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<I, T>, E>> + Send + 'static,
    {
        let mut seen = std::collections::HashSet::new();
        let ids: Arc<[I]> = ids
            .into_iter()
            .filter(|id| seen.insert(id.clone()))
            .collect();
        let asks = ids
            .iter()
            .map(|id| entry(self, id).ask::<T>(Replace::Nothing))
            .collect();
        let batch = by_position(ids.clone(), loader);
        let answers = self.engine.read_batch(asks, batch).await.map_err(typed)?;
        let values = ids.iter().cloned().zip(answers).filter_map(|(id, answer)| {
            let value = own(answer?.live).ok()?;
            Some((id, value))
        });
        Ok(values.collect())
    }
}

/// The loader as the engine calls it: ids and values by their position.
fn by_position<I, T, E, F, Fut>(ids: Arc<[I]>, loader: F) -> Batch
where
    I: Clone + Eq + Hash + Send + Sync + 'static,
    T: Value,
    E: Display + Send + Sync + 'static,
    F: Fn(Vec<I>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<HashMap<I, T>, E>> + Send + 'static,
{
    let loader = Arc::new(loader);
    Arc::new(move |positions: Vec<usize>| {
        let (ids, loader) = (ids.clone(), loader.clone());
        Box::pin(async move {
            let wanted = positions.iter().map(|&at| ids[at].clone()).collect();
            let mut values = loader(wanted).await.map_err(erase_error)?;
            let found = positions.into_iter().filter_map(|at| {
                let value = values.remove(&ids[at])?;
                Some((at, Arc::new(value) as Live))
            });
            Ok(found.collect())
        })
    })
}
