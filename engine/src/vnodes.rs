//! The states of all vnodes, in pages that a view shares with the writer, and
//! the set of those that answer reads.

use crate::rows::VnodeState;
use quoit_ring::{Answers, Custody, Vnode, VnodeCount, VnodeSet};
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

    /// The vnodes that are held, with their states, in order.
    pub fn held(&self) -> impl Iterator<Item = (Vnode, VnodeState)> {
        let all = self.pages.iter().flat_map(|page| page.iter());
        let held = |state: &VnodeState| state.holding.custody != Custody::None;
        (0..)
            .zip(all)
            .filter(move |(_, state)| held(state))
            .map(|(v, state)| (Vnode(v), state.clone()))
    }

    /// Sets a vnode's state; past the last, nothing.
    pub fn set(&mut self, vnode: Vnode, state: VnodeState) {
        let (page, within) = place(vnode);
        let Some(page) = self.pages.get_mut(page) else {
            return;
        };
        self.founded = true;
        let answers = state.holding.custody.answers() > Answers::Nothing;
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

#[cfg(test)]
mod tests {
    use super::*;
    use quoit_ring::{Custody, Holding};

    fn owned(seq: u64) -> VnodeState {
        VnodeState {
            holding: Holding {
                custody: Custody::Owned,
                c: 1,
                ..Holding::default()
            },
            seq,
            ..VnodeState::default()
        }
    }

    #[test]
    fn a_clone_keeps_what_it_had_when_the_table_changes() {
        let count = VnodeCount::new(4096).unwrap();
        let mut table = VnodeTable::new(count, [(Vnode(0), owned(1)), (Vnode(4095), owned(2))]);
        let old = table.clone();
        table.set(Vnode(4095), owned(3));
        table.set(Vnode(300), owned(4));
        table.set(Vnode(0), VnodeState::default());
        assert_eq!(old.get(Vnode(4095)), owned(2));
        assert_eq!(old.get(Vnode(300)), VnodeState::default());
        assert!(old.readable().iter().eq([Vnode(0), Vnode(4095)]));
        assert_eq!(table.get(Vnode(4095)), owned(3));
        assert!(table.readable().iter().eq([Vnode(300), Vnode(4095)]));
    }

    #[test]
    fn a_vnode_past_the_last_is_not_held() {
        let mut table = VnodeTable::new(VnodeCount::new(16).unwrap(), []);
        table.set(Vnode(700), owned(1));
        assert_eq!(table.get(Vnode(700)), VnodeState::default());
        assert!(table.readable().is_empty());
    }

    #[test]
    fn a_table_is_founded_by_its_first_state_even_of_a_shard_without_vnodes() {
        let mut table = VnodeTable::new(VnodeCount::new(16).unwrap(), []);
        assert!(!table.is_founded());
        table.set(Vnode(3), VnodeState::default());
        assert!(table.is_founded());
    }
}
