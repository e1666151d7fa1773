//! Which entries of L1 weigh most. Looks at all of them: for operators.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use quick_cache::Weighter as _;
use serde::Serialize;

use super::{ByBytes, Local};

/// An entry of L1 that takes much room: see [`Cache::largest`](crate::Cache::largest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Large {
    /// Its key, as canonical text.
    pub key: String,
    /// What it takes, by the weights that bound L1.
    pub bytes: u64,
    /// Its tags.
    pub tags: Vec<String>,
}

impl Local {
    /// The largest entries, the largest first.
    pub(crate) fn largest(&self, most: usize) -> Vec<Large> {
        let mut largest: BinaryHeap<Reverse<(u64, Arc<str>)>> = BinaryHeap::new();
        for (key, resident) in self.entries.iter() {
            let weight = ByBytes.weight(&key, &resident);
            let least = largest.peek().map(|Reverse((least, _))| *least);
            if largest.len() < most {
                largest.push(Reverse((weight, key)));
            } else if least.is_some_and(|least| least < weight) {
                largest.pop();
                largest.push(Reverse((weight, key)));
            }
        }
        let sorted = largest.into_sorted_vec();
        let large = |Reverse((bytes, key)): Reverse<(u64, Arc<str>)>| Large {
            tags: self.entries.peek(&*key).map_or(Vec::new(), |resident| {
                resident.tags().map(ToString::to_string).collect()
            }),
            key: key.to_string(),
            bytes,
        };
        sorted.into_iter().map(large).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::cache::Cache;

    #[tokio::test]
    async fn the_largest_come_first() {
        let cache = Cache::memory();
        for n in 1..=20_usize {
            let entry = cache.entry(format!("blobs:{n}")).tag("blob");
            entry.set("x".repeat(n * 1000)).await.unwrap();
        }
        let largest = cache.largest(3);
        let keys: Vec<_> = largest.iter().map(|large| large.key.as_str()).collect();
        assert_eq!(keys, ["blobs:20", "blobs:19", "blobs:18"]);
        assert!(largest[0].bytes > 20_000 && largest[0].bytes < 30_000);
        assert!(largest[0].tags.contains(&"blob".to_owned()));
        assert!(cache.largest(0).is_empty());
        assert_eq!(cache.largest(99).len(), 20);
    }
}
