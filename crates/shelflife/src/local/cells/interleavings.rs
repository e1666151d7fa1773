//! Hits against raises, and cells against everything that makes and drops them.

use shuttle::thread::scope;

use super::*;
use crate::clock::Moment;
use crate::epoch::Epoch;
use crate::interleavings::{exhaust, explore, finds};
use crate::invalidation::Invalidation;
use crate::local::{Local, Newcomer, Resident};

const NOW: Moment = Moment(1);
const OPEN: Moment = Moment(u64::MAX);

fn at(tick: u64) -> Epoch {
    Epoch::new(1, tick)
}

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| Tag::from(*name)).collect()
}

/// A resident whose load began at 10, ready.
fn resident(local: &Local, key: &str, names: &[&str]) -> Arc<Resident> {
    let newcomer = Newcomer {
        live: Arc::new(10_u64),
        bytes: 8,
        epoch: at(10),
        fill: 1,
        good: at(10),
        schema: 0,
        fresh_until: OPEN,
        stale_until: OPEN,
        refresh_at: OPEN,
        softened: false,
    };
    let mut tags = tags(names);
    tags.push(Tag::root());
    let resident = local.insert(&key.into(), &tags, newcomer);
    local.admit(&resident);
    resident
}

type Answers = fn(&Local, &Resident) -> bool;
type Raise = fn(&Local, &Tag);

fn answers(local: &Local, resident: &Resident) -> bool {
    local.answers(resident, NOW, OPEN)
}

fn invalidated(local: &Local, tag: &Tag) {
    local.apply(at(11), &Invalidation::new().tag(tag.clone()));
}

fn softly_invalidated(local: &Local, tag: &Tag) {
    local.apply(at(11), &Invalidation::new().tag(tag.clone()).soft());
}

/// The primary's record of the tag says so.
fn learned(local: &Local, tag: &Tag) {
    for cell in local.cells(std::slice::from_ref(tag)) {
        local.learn(&cell, 11, 0);
    }
}

/// A hit that begins after a raise has returned never answers.
fn hits(raise: Raise, answers: Answers) -> impl Fn() + Clone + Send + Sync {
    move || {
        let local = Local::with_limit(1 << 16);
        let old = resident(&local, "k", &["a", "b"]);
        let _other = resident(&local, "l", &["c"]);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    for _ in 0..3 {
                        answers(&local, &old);
                    }
                });
            }
            s.spawn(|| invalidated(&local, &Tag::from("c")));
            s.spawn(|| {
                raise(&local, &Tag::from("b"));
                assert!(!answers(&local, &old), "answered after the raise");
            });
        });
        assert!(!answers(&local, &old), "answered after the raise");
    }
}

#[test]
fn a_hit_that_begins_after_a_raise_never_answers() {
    for raise in [invalidated, softly_invalidated, learned] {
        explore(hits(raise, answers));
    }
}

#[test]
fn a_hit_that_begins_after_a_raise_never_answers_in_any_order() {
    exhaust(|| {
        let local = Local::with_limit(1 << 16);
        let old = resident(&local, "k", &[]);
        scope(|s| {
            s.spawn(|| answers(&local, &old));
            s.spawn(|| invalidated(&local, &Tag::root()));
        });
        assert!(!answers(&local, &old), "answered after the raise");
    });
}

#[test]
fn counting_the_raises_after_the_cells_is_found() {
    fn wrong(local: &Local, resident: &Resident) -> bool {
        if resident.passed_at.load(Ordering::Relaxed) == local.cells.raises() {
            return true;
        }
        let older = |cell: &Arc<Cell>| cell.newest() <= resident.epoch.tick;
        let passes = resident.cells.iter().all(older);
        if passes {
            let raises = local.cells.raises();
            resident.passed_at.store(raises, Ordering::Relaxed);
        }
        passes
    }
    finds("answered after the raise", hits(invalidated, wrong));
}

#[test]
fn counting_a_raise_before_its_cell_is_found() {
    fn wrong(local: &Local, tag: &Tag) {
        local.cells.raises.fetch_add(1, Ordering::Release);
        if let Some(cell) = local.cells.find(tag) {
            cell.raise(11, false);
        }
    }
    finds("answered after the raise", hits(wrong, answers));
}

#[test]
fn learning_without_counting_it_is_found() {
    fn wrong(local: &Local, tag: &Tag) {
        if let Some(cell) = local.cells.find(tag) {
            cell.raise(11, false);
        }
    }
    finds("answered after the raise", hits(wrong, answers));
}

type Attach = fn(&Cells, &[Tag]) -> Box<[Arc<Cell>]>;

/// An insertion that asks after its cells are attached, and hears of nothing, holds the cells that are
/// raised afterwards: whoever else comes and goes.
fn held(attach: Attach, sweep: fn(&Cells)) -> impl Fn() + Clone + Send + Sync {
    move || {
        let cells = Cells::default();
        let noted = AtomicBool::new(false);
        let tag = tags(&["a"]);
        let insert = || {
            let held = attach(&cells, &tag);
            (!noted.load(Ordering::SeqCst)).then_some(held)
        };
        let (one, two) = scope(|s| {
            let (one, two) = (s.spawn(insert), s.spawn(insert));
            s.spawn(|| {
                cells.learn(&attach(&cells, &tag)[0], 5, 0);
                cells.forget();
            });
            s.spawn(|| sweep(&cells));
            s.spawn(|| {
                noted.store(true, Ordering::SeqCst);
                cells.raise(&tag[0], 11, false);
            });
            (one.join().unwrap(), two.join().unwrap())
        });
        for held in [one, two].into_iter().flatten() {
            let seen = (held[0].ticks().0, held[0].newest());
            assert_eq!(seen, (11, 11), "the raise is lost");
        }
    }
}

#[test]
fn no_raise_is_lost_to_a_cell_that_somebody_holds() {
    explore(held(Cells::attach, Cells::sweep));
}

#[test]
fn making_a_cell_without_a_second_look_is_found() {
    fn wrong(cells: &Cells, tags: &[Tag]) -> Box<[Arc<Cell>]> {
        let cell = |tag: &Tag| {
            cells.find(tag).unwrap_or_else(|| {
                let (cell, hash) = (Arc::new(Cell::new(tag.clone())), cells.hash(tag));
                let mut shard = write(cells.shard(hash));
                shard.insert_unique(hash, cell.clone(), |cell| cells.hash(&cell.tag));
                cell
            })
        };
        tags.iter().map(cell).collect()
    }
    finds("the raise is lost", held(wrong, Cells::sweep));
}

#[test]
fn sweeping_cells_that_are_held_is_found() {
    fn wrong(cells: &Cells) {
        for shard in &cells.shards {
            write(shard).retain(|cell| cell.is_known());
        }
    }
    finds("the raise is lost", held(Cells::attach, wrong));
}

/// The same while another incarnation begins: who came before it holds cells that are newer than
/// everything, who comes after it those that are raised.
fn anew(begin: fn(&Cells)) -> impl Fn() + Clone + Send + Sync {
    move || {
        let cells = Cells::default();
        let noted = AtomicBool::new(false);
        let tags = [Tag::from("a"), Tag::root()];
        let insert = || {
            let held = cells.attach(&tags);
            (!noted.load(Ordering::SeqCst)).then_some(held)
        };
        let (one, two) = scope(|s| {
            let (one, two) = (s.spawn(insert), s.spawn(insert));
            s.spawn(|| begin(&cells));
            s.spawn(|| {
                noted.store(true, Ordering::SeqCst);
                tags.iter().for_each(|tag| cells.raise(tag, 11, false));
            });
            (one.join().unwrap(), two.join().unwrap())
        });
        for cell in [one, two].iter().flatten().flatten() {
            assert!(cell.newest() >= 11, "the raise is lost");
        }
    }
}

#[test]
fn no_raise_is_lost_to_an_insertion_while_another_incarnation_begins() {
    explore(anew(Cells::begin_anew));
}

#[test]
fn other_cells_without_retiring_those_that_are_held_is_found() {
    fn wrong(cells: &Cells) {
        *write(&cells.root) = Arc::new(Cell::new(Tag::root()));
        for shard in &cells.shards {
            write(shard).clear();
        }
    }
    finds("the raise is lost", anew(wrong));
}

#[test]
fn counting_holders_before_the_lock_is_found() {
    fn wrong(cells: &Cells) {
        // Only where the tag is: each of the other shards would be two steps more to look in between.
        let shard = cells.shard(cells.hash(&Tag::from("a")));
        let idle = |cell: &&Arc<Cell>| Arc::strong_count(cell) == 1;
        let idle: Vec<_> = read(shard).iter().filter(idle).cloned().collect();
        write(shard).retain(|cell| !idle.iter().any(|i| Arc::ptr_eq(i, cell)));
    }
    finds("the raise is lost", held(Cells::attach, wrong));
}
