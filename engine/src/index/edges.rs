//! The edges of a graph's lowest layer, for who goes his own way along them. The
//! library must not be asked for them while vectors are added, so there are none
//! to be had then.

use super::{Graph, NO_KEY, slot_of};
use crate::slots::Slot;
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};

/// Edges of a node of the lowest layer, at most: a collection may have `m` of 128.
const MOST: usize = 2 * 128;

/// A node. One that was added a second time is another node of its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node(u64);

impl Node {
    /// The slot whose vector it is.
    pub fn slot(self) -> Option<Slot> {
        slot_of(self.0)
    }
}

impl From<Slot> for Node {
    fn from(slot: Slot) -> Self {
        Self(u64::from(slot.0))
    }
}

/// While it lives, vectors may be added and no edges can be had.
pub struct Adding<'a>(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'a, ()>);

/// The edges. While it lives, nothing is added.
pub struct Edges<'a> {
    _still: RwLockReadGuard<'a, ()>,
    index: RwLockReadGuard<'a, usearch::Index>,
    keys: Box<[u64; MOST]>,
}

impl Graph {
    /// Waits until nobody follows edges.
    pub fn adding(&self) -> Adding<'_> {
        Adding(self.still.write())
    }

    /// The edges; `None` while vectors are added.
    pub fn edges(&self) -> Option<Edges<'_>> {
        Some(Edges {
            _still: self.still.try_read()?,
            index: self.index.read(),
            keys: Box::new([NO_KEY; MOST]),
        })
    }
}

impl Edges<'_> {
    /// The nodes that a node has edges to.
    pub fn of(&mut self, node: Node) -> impl Iterator<Item = Node> {
        let count = self.index.neighbors(node.0, 0).drain_into(&mut *self.keys);
        self.keys.iter().take(count).map(|key| Node(*key))
    }
}
