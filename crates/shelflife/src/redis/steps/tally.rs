//! What the primaries of a cluster have counted together: a sum that never falls.
//!
//! A failover puts a server that has counted little in the place of one that had counted much. A sum of what they say would
//! fall, and whoever computes rates would take that for a start from nothing, and the rest for new.
//!
//! Must not: ask anybody.

use std::collections::HashMap;

use crate::server::ServerInfo;

/// How many counters there are.
const COUNTERS: usize = 6;
/// How many lives of servers are remembered that are not asked any more.
const REMEMBERED: usize = 256;

type Counts = [Option<u64>; COUNTERS];

/// Sums over all lives of all servers that were primaries when they were asked.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What each life of a server, by its run id, said last.
    last: HashMap<String, Counts>,
    sums: Option<[u64; COUNTERS]>,
}

impl Tally {
    /// Adds what they say now; gives the sums, each where all of them tell it.
    ///
    /// The first time it is all that they have counted. Who is met later, after a failover, has counted before for nobody
    /// here: only what it counts from then on is added.
    pub(super) fn add(&mut self, nodes: &[(String, ServerInfo)]) -> Counts {
        let is_first = self.sums.is_none();
        let sums = self.sums.get_or_insert_default();
        if self.last.len() > REMEMBERED {
            self.last
                .retain(|id, _| nodes.iter().any(|(of, _)| of == id));
        }
        let mut told = [true; COUNTERS];
        for (id, info) in nodes {
            let now = counts(info);
            let last = self.last.insert(id.clone(), now);
            let before = match last {
                Some(last) => last,
                None if is_first => [Some(0); COUNTERS],
                None => now,
            };
            let each = sums.iter_mut().zip(&mut told).zip(now).zip(before);
            for (((sum, told), now), before) in each {
                *told &= now.is_some();
                if let (Some(now), Some(before)) = (now, before) {
                    *sum += now.saturating_sub(before);
                }
            }
        }
        std::array::from_fn(|at| told[at].then_some(sums[at]))
    }
}

fn counts(info: &ServerInfo) -> Counts {
    [
        info.evicted_keys,
        info.expired_keys,
        info.keyspace_hits,
        info.keyspace_misses,
        info.rejected_clients,
        info.commands,
    ]
}

/// Puts the sums in the place of what one of them said.
pub(super) fn counted(info: ServerInfo, sums: Counts) -> ServerInfo {
    let [
        evicted_keys,
        expired_keys,
        keyspace_hits,
        keyspace_misses,
        rejected_clients,
        commands,
    ] = sums;
    ServerInfo {
        evicted_keys,
        expired_keys,
        keyspace_hits,
        keyspace_misses,
        rejected_clients,
        commands,
        ..info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, evicted: u64) -> (String, ServerInfo) {
        let info = ServerInfo {
            evicted_keys: Some(evicted),
            ..ServerInfo::default()
        };
        (id.to_owned(), info)
    }

    #[test]
    fn a_failover_never_makes_the_sum_fall_nor_jump() {
        let mut tally = Tally::default();
        let mut sum = |nodes: &[(String, ServerInfo)]| tally.add(nodes)[0];
        assert_eq!(sum(&[node("a", 1000), node("b", 10)]), Some(1010));
        assert_eq!(sum(&[node("a", 1005), node("b", 10)]), Some(1015));
        // A replica has taken over, which had counted something of its own.
        assert_eq!(sum(&[node("a2", 40), node("b", 11)]), Some(1016));
        assert_eq!(sum(&[node("a2", 42), node("b", 11)]), Some(1018));
        // The old one is the primary again, in the same life; another was reset.
        assert_eq!(sum(&[node("a", 1006), node("b", 0)]), Some(1019));
        assert_eq!(sum(&[node("a", 1006), node("b", 3)]), Some(1022));
    }

    #[test]
    fn a_sum_is_told_where_all_tell_their_part() {
        let mut tally = Tally::default();
        let silent = ("c".to_owned(), ServerInfo::default());
        assert_eq!(tally.add(&[node("a", 5), silent])[0], None);
        let sums = tally.add(&[node("a", 7), node("c", 1)]);
        assert_eq!(
            (sums[0], sums[1]),
            (Some(7), None),
            "of what it had counted before nobody knows"
        );
    }

    #[test]
    fn lives_that_are_over_are_not_remembered_for_ever() {
        let mut tally = Tally::default();
        for n in 0..10 * REMEMBERED {
            tally.add(&[node(&n.to_string(), 1)]);
        }
        assert!(tally.last.len() <= REMEMBERED + 1);
    }
}
