//! The states of all vnodes, in pages that a view shares with the writer, and
//! the set of those that answer reads.

use crate::rows::VnodeState;
use quoit_ring::{Vnode, VnodeCount, VnodeSet};
use std::sync::Arc;

const PAGE: usize = 256;

/// A table with cheap clones: a clone shares all pages.
#[derive(Clone)]
pub struct VnodeTable {
    pages: Vec<Arc<Vec<VnodeState>>>,
    readable: Arc<VnodeSet>,
    /// Whether any state was ever set: the shard has been founded.
    founded: bool,
}

impl VnodeTable {
    /// A table of vnodes of which none is held, with the states given.
    pub fn new(vnodes: VnodeCount, states: impl IntoIterator<Item = (Vnode, VnodeState)>) -> Self {
        let pages = (vnodes.get() as usize).div_ceil(PAGE);
        let empty = Arc::new(vec![VnodeState::default(); PAGE]);
        let mut table = Self {
            pages: vec![empty; pages],
            readable: Arc::default(),
            founded: false,
        };
        for (vnode, state) in states {
            table.set(vnode, state);
        }
        table
    }

    /// A vnode's state; that of a vnode past the last is "not held".
    pub fn get(&self, vnode: Vnode) -> VnodeState {
        let (page, within) = place(vnode);
        self.pages
            .get(page)
            .map(|p| p[within].clone())
            .unwrap_or_default()
    }

    /// Sets a vnode's state; past the last, nothing.
    pub fn set(&mut self, vnode: Vnode, state: VnodeState) {
        let (page, within) = place(vnode);
        let Some(page) = self.pages.get_mut(page) else {
            return;
        };
        self.founded = true;
        let answers = state.holding.custody.answers_reads();
        if answers != self.readable.contains(vnode) {
            let readable = Arc::make_mut(&mut self.readable);
            if answers {
                readable.insert(vnode);
            } else {
                readable.remove(vnode);
            }
        }
        Arc::make_mut(page)[within] = state;
    }

    /// Whether the shard has been founded.
    pub fn is_founded(&self) -> bool {
        self.founded
    }

    /// The vnodes for which this replica answers.
    pub fn readable(&self) -> &VnodeSet {
        &self.readable
    }
}

fn place(vnode: Vnode) -> (usize, usize) {
    (usize::from(vnode.0) / PAGE, usize::from(vnode.0) % PAGE)
}
