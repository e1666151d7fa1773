//! The map of a cluster, as it is at one time: which nodes there are, and which of them has which slot.
//!
//! Must not: ask anybody, or change: another map takes its place.

use std::sync::Arc;

use super::Address;
use crate::redis::link::map::Known;
use crate::redis::link::node::Node;

/// Of a slot that no primary is known to have.
pub(super) const NOBODY: u16 = u16::MAX;

#[derive(Clone)]
pub(super) struct Map {
    /// The primaries, sorted by address.
    pub(super) nodes: Vec<(Address, Arc<Node>)>,
    /// Others to which somebody was sent: they may be primaries that are not known as such yet.
    pub(super) beside: Vec<(Address, Arc<Node>)>,
    /// By slot, which of the primaries; or `NOBODY`.
    pub(super) owner: Box<[u16]>,
    /// What a node told last.
    pub(super) told: Vec<Known>,
    /// Another one when the primaries or their slots were others meanwhile, though they may be the same again.
    pub(super) version: u64,
}

impl Map {
    pub(super) fn owner_of(&self, slot: u16) -> Option<&(Address, Arc<Node>)> {
        let at = *self.owner.get(usize::from(slot))?;
        self.nodes.get(usize::from(at))
    }

    /// Where primaries were that the others have given up, and whose slots nobody else has.
    pub(super) fn lost(&self) -> impl Iterator<Item = &Address> {
        let lost = |known: &&Known| !known.is_primary && !known.slots.is_empty();
        self.told.iter().filter(lost).map(|known| &known.place)
    }

    /// Whether every slot that was given to somebody has a primary. In those that nobody was given lies nothing.
    pub(super) fn is_whole(&self) -> bool {
        !self.nodes.is_empty() && self.lost().next().is_none()
    }

    /// The primaries that have slots.
    pub(super) fn with_slots(&self) -> impl Iterator<Item = &Arc<Node>> {
        let nodes = (0_u16..).zip(&self.nodes);
        let with = nodes.filter(|(at, _)| self.owner.contains(at));
        with.map(|(_, (_, node))| node)
    }

    pub(super) fn at(&self, address: &Address) -> Option<Arc<Node>> {
        let mut all = self.nodes.iter().chain(&self.beside);
        let found = all.find(|(other, _)| other == address);
        found.map(|(_, node)| node.clone())
    }

    pub(super) fn host_of(&self, node: &Arc<Node>) -> String {
        let mut all = self.nodes.iter().chain(&self.beside);
        let found = all.find(|(_, other)| Arc::ptr_eq(other, node));
        found.map(|((host, _), _)| host.clone()).unwrap_or_default()
    }

    /// As the map has it, by name or IP, where a node is told of by the other.
    pub(super) fn named(&self, address: Address) -> Address {
        let is_it = |known: &&Known| known.also.as_ref() == Some(&address);
        match self.told.iter().find(is_it) {
            Some(known) if self.at(&address).is_none() => known.place.clone(),
            _ => address,
        }
    }

    pub(super) fn close(&self) {
        for (_, node) in self.nodes.iter().chain(&self.beside) {
            node.close();
        }
    }
}
