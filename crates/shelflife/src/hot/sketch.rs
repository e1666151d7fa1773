//! The space-saving sketch: the most frequent of many names, in a fixed number of places.
//!
//! Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams, 2005.
//! A name that has no place takes that of the rarest, and its count: no count is too low, and by how much
//! each may be too high is known. Whatever is more than one part in [`PLACES`] of all is surely there.
//!
//! Counts and hashes lie apart from the names: what is looked for is found in a few lines of memory.

use super::Hot;

const PLACES: usize = 128;
/// What is made room for in advance; a longer name allocates once.
const NAME: usize = 48;
/// What is kept of a name: longer ones that begin alike count as one.
const NAME_MOST: usize = 512;

pub(super) struct Sketch {
    /// How many places are taken; those are in front.
    taken: usize,
    hashes: [u64; PLACES],
    counts: [u64; PLACES],
    /// What of its count may be others'.
    over: [u64; PLACES],
    names: Box<[String]>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            taken: 0,
            hashes: [0; PLACES],
            counts: [0; PLACES],
            over: [0; PLACES],
            names: (0..PLACES).map(|_| String::with_capacity(NAME)).collect(),
        }
    }
}

impl Sketch {
    pub(super) fn add(&mut self, name: &str, count: u64) {
        let name = &name[..name.floor_char_boundary(NAME_MOST)];
        let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
        if let Some(at) = self.find(hash, name) {
            self.counts[at] += count;
            return;
        }
        let (at, over) = match self.taken {
            PLACES => self.rarest(),
            free => {
                self.taken += 1;
                (free, 0)
            }
        };
        self.hashes[at] = hash;
        self.counts[at] = over + count;
        self.over[at] = over;
        self.names[at].clear();
        self.names[at].push_str(name);
    }

    fn find(&self, hash: u64, name: &str) -> Option<usize> {
        let hashes = self.hashes[..self.taken].iter().enumerate();
        hashes
            .filter(|(_, there)| **there == hash)
            .map(|(at, _)| at)
            .find(|at| self.names[*at] == name)
    }

    fn rarest(&self) -> (usize, u64) {
        let counts = self.counts.iter().copied().enumerate();
        counts.min_by_key(|(_, count)| *count).unwrap_or_default()
    }

    /// Halves all counts; what has none left leaves its place.
    pub(super) fn halve(&mut self) {
        for at in (0..self.taken).rev() {
            self.counts[at] /= 2;
            self.over[at] /= 2;
            if self.counts[at] == 0 {
                self.taken -= 1;
                let last = self.taken;
                self.hashes.swap(at, last);
                self.counts.swap(at, last);
                self.over.swap(at, last);
                self.names.swap(at, last);
            }
        }
    }

    /// The most frequent, each with its part of `all`.
    pub(super) fn top(&self, most: usize, all: u64) -> Vec<Hot> {
        let mut places: Vec<usize> = (0..self.taken).collect();
        // Of equal ones the one that is surely as frequent comes first.
        places.sort_by_key(|at| (std::cmp::Reverse(self.counts[*at]), self.over[*at]));
        places.truncate(most);
        let hot = |at: usize| Hot {
            name: self.names[at].clone(),
            reads: self.counts[at],
            over: self.over[at],
            share: (self.counts[at] as f64 / all.max(1) as f64).min(1.0),
        };
        places.into_iter().map(hot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sketch: &Sketch, most: usize) -> Vec<String> {
        let top = sketch.top(most, 1).into_iter();
        top.map(|hot| hot.name).collect()
    }

    #[test]
    fn the_frequent_are_found_among_any_number_of_rare_ones() {
        let mut sketch = Sketch::default();
        for n in 0..100_000 {
            sketch.add(&format!("rare:{n}"), 1);
            // Each more than one part in 128 of all.
            if n % 20 == 0 {
                sketch.add("often", 2);
            }
            if n % 50 == 0 {
                sketch.add("now and then", 2);
            }
        }
        assert_eq!(names(&sketch, 2), ["often", "now and then"]);
        let top = &sketch.top(1, 114_000)[0];
        assert!(top.reads >= 10_000 && top.reads - top.over <= 10_000);
        assert_eq!(sketch.taken, PLACES);
    }

    #[test]
    fn counts_are_exact_while_there_is_room() {
        let mut sketch = Sketch::default();
        for (name, count) in [("a", 3), ("b", 5), ("a", 4)] {
            sketch.add(name, count);
        }
        let top = sketch.top(9, 12);
        let figures: Vec<_> = top.iter().map(|h| (&*h.name, h.reads, h.over)).collect();
        assert_eq!(figures, [("a", 7, 0), ("b", 5, 0)]);
        assert!((top[0].share - 7.0 / 12.0).abs() < 1e-9);
    }

    #[test]
    fn of_a_long_name_the_beginning_is_kept() {
        let mut sketch = Sketch::default();
        let long = "é".repeat(NAME_MOST);
        sketch.add(&long, 1);
        sketch.add(&long, 1);
        let top = sketch.top(9, 2);
        assert_eq!((top.len(), top[0].reads), (1, 2));
        assert!(top[0].name.len() <= NAME_MOST && long.starts_with(&top[0].name));
    }

    #[test]
    fn what_is_halved_to_nothing_leaves_its_place() {
        let mut sketch = Sketch::default();
        for (name, count) in [("gone", 1), ("stays", 4), ("gone too", 1)] {
            sketch.add(name, count);
        }
        sketch.halve();
        assert_eq!(names(&sketch, 9), ["stays"]);
        sketch.add("new", 9);
        assert_eq!(names(&sketch, 9), ["new", "stays"]);
    }
}
