//! A model of the protocol, explored exhaustively within budgets.
//!
//! It plays PROTOCOL step by step: each step atomic on one shard or within one process, in every order
//! that can happen. What decides is the engine's own code (`shelflife::protocol`): `validity`, `good_for`,
//! `Memory`, `Follower`. The engine carries out several steps in one script where one server has all the
//! keys; whatever holds for the steps holds for those.
//!
//! ```text
//! scenario.rs  small worlds, each with a budget
//! guard.rs     the guards of PROTOCOL §10, each a switch
//! rules.rs     a scenario and the guards that are off
//! world.rs     a state, and what can happen in it
//!   server.rs  Redis: control slot and the key's shard       read.rs    reads, and the promise
//!   process.rs memory, L1, window                            flight.rs  L2, lease, load, fill, L1
//!   tail.rs    log, beats, resync                            call.rs    invalidations, scans, sets, everywhere
//!   fault.rs   time, losses, failovers                       what.rs    the key, its tags, what names them
//! explore.rs   breadth first, the shortest counterexample
//! tell.rs      a trace in words
//! ```
//!
//! # The promise
//!
//! The source of the key has a version. A call writes the source, then tells the cache. A load finds the
//! version that the source has when the load begins. So "a value whose load began before the invalidation
//! was called" is one with a version below the call's. When a read begins, the calls that it must honour
//! are fixed; its answer must be at least as new as each of them (a stale answer, marked as such, need not
//! honour a soft one):
//!
//! - any read: what its process knows. Own calls that have returned, all that its tail has applied, all up
//!   to the position where it began to follow;
//! - any read: what is *due*. A call is due everywhere once Δ has passed since it returned, or when its
//!   `everywhere` has returned;
//! - strict: every call that has returned;
//! - session: every call up to the receipt.
//!
//! What Redis loses in a failover is excused until it has been repeated (PROTOCOL §9, 1).
//!
//! # Time
//!
//! One unit is Δ, and everything happens at a whole one: in between, order is all there is. A beat sent at
//! time *n* opens the window until *n* + 1, so when time moves on every window has closed, however long its
//! process was paused; a call that returned at *n* is due at *n* + 1. Server and processes share this
//! time, which the protocol needs only for lengths. Ticks are not time: the server's TIME may stand still,
//! so a tick is one more than the last, and that of a new inc is as low as it can be.
//!
//! # Left out
//!
//! Times to live (they only ever remove), schemas, codecs and foreign bytes, a Redis that is out of reach,
//! several keys, more than two processes, a member's own window length. Must not: decide anything that
//! the engine's pure rooms decide.

mod call;
mod explore;
mod fault;
mod flight;
mod guard;
mod process;
mod read;
mod rules;
mod scenario;
mod server;
mod tail;
mod tell;
mod what;
mod world;

pub use explore::{Counterexample, Explored, Progress, explore};
pub use guard::{Guard, Shown};
pub use scenario::{ALL as SCENARIOS, Scenario};
