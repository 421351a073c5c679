//! A shard as one state machine: what its log has applied, and what is in its vnodes.

use quoit_ring::handoff::{Contents, HandoffId, Kept, Ledger, Transition};
use quoit_ring::{Custody, Holding, ShardId, Vnode};
use std::collections::BTreeMap;

/// What is written: the number of a write, a point, and whether it is there afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Write {
    /// Which write it is: the operation's id, and what the point has then.
    pub number: u8,
    /// To which vnode.
    pub vnode: Vnode,
    /// To which point.
    pub point: u8,
    /// Whether it puts the point there, or deletes it.
    pub is_put: bool,
}

/// A point, or what is left of one that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// The change that made it so.
    pub seq: u64,
    /// The write, of one that is there.
    pub written: Option<u8>,
}

/// What a shard has of a vnode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Data {
    /// The points, and those deleted since the vnode began to leave or to arrive.
    pub items: BTreeMap<u8, Item>,
    /// Changes so far.
    pub seq: u64,
    /// The writes accepted so far.
    pub ops: Vec<u8>,
}

impl Data {
    /// What clients can find.
    #[must_use]
    pub fn live(&self) -> BTreeMap<u8, u8> {
        let live = |(point, item): (&u8, &Item)| Some((*point, item.written?));
        self.items.iter().filter_map(live).collect()
    }

    fn take(&mut self, write: Write, keeps_traces: bool) {
        self.seq += 1;
        self.ops.push(write.number);
        let written = write.is_put.then_some(write.number);
        let item = Item {
            seq: self.seq,
            written,
        };
        if write.is_put || keeps_traces {
            self.items.insert(write.point, item);
        } else {
            self.items.remove(&write.point);
        }
    }

    /// Changes after one and up to the last.
    #[must_use]
    pub fn since(&self, from: u64) -> Page {
        let items = self.items.iter().filter(|(_, item)| item.seq > from);
        Page {
            from,
            to: self.seq,
            items: items.map(|(point, item)| (*point, *item)).collect(),
            ops: self.ops.clone(),
        }
    }
}

/// A piece of a vnode's changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Page {
    /// They are those after this one …
    pub from: u64,
    /// … up to this one.
    pub to: u64,
    /// The points that changed, as they are.
    pub items: BTreeMap<u8, Item>,
    /// The writes accepted by then.
    pub ops: Vec<u8>,
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.seq, self.written).cmp(&(other.seq, other.written))
    }
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Which.
    pub id: ShardId,
    /// What it is to its vnodes.
    pub holdings: BTreeMap<Vnode, Holding>,
    /// What it has of them.
    pub data: BTreeMap<Vnode, Data>,
    /// The handoffs that it has not done with.
    pub kept: BTreeMap<HandoffId, Kept>,
    /// Whether it is retired.
    pub is_retired: bool,
}

impl Shard {
    /// One without vnodes.
    #[must_use]
    pub fn new(id: ShardId) -> Self {
        Self {
            id,
            holdings: BTreeMap::new(),
            data: BTreeMap::new(),
            kept: BTreeMap::new(),
            is_retired: false,
        }
    }

    /// What it has of a vnode.
    #[must_use]
    pub fn data(&self, vnode: Vnode) -> Data {
        self.data.get(&vnode).cloned().unwrap_or_default()
    }

    /// Applies what was decided.
    pub fn apply(&mut self, transition: Transition) {
        for vnode in transition.dropped {
            self.data.remove(&vnode);
        }
        for (vnode, holding) in transition.holdings {
            if holding.custody == Custody::Owned
                && let Some(data) = self.data.get_mut(&vnode)
            {
                // Traces of what was deleted are kept while a vnode moves, and no longer.
                data.items.retain(|_, item| item.written.is_some());
            }
            self.holdings.insert(vnode, holding);
        }
        match transition.kept {
            Some((id, Some(kept))) => drop(self.kept.insert(id, kept)),
            Some((id, None)) => drop(self.kept.remove(&id)),
            None => {}
        }
    }

    /// Applies a write that is accepted; says whether it is a new one.
    pub fn write(&mut self, write: Write) -> bool {
        let is_leaving = matches!(self.holding(write.vnode).custody, Custody::Leaving(_));
        let data = self.data.entry(write.vnode).or_default();
        if data.ops.contains(&write.number) {
            return false;
        }
        data.take(write, is_leaving);
        true
    }

    /// Takes a page in: of two states of a point the later one counts.
    pub fn ingest(&mut self, vnode: Vnode, holding: Holding, page: &Page, takes_any: bool) {
        let data = self.data.entry(vnode).or_default();
        for (point, item) in &page.items {
            let is_later = data.items.get(point).is_none_or(|it| it.seq < item.seq);
            if is_later || takes_any {
                data.items.insert(*point, *item);
            }
        }
        data.seq = page.to;
        data.ops.clone_from(&page.ops);
        self.holdings.insert(vnode, holding);
    }
}

impl Ledger for Shard {
    fn shard(&self) -> ShardId {
        self.id
    }

    fn is_retired(&self) -> bool {
        self.is_retired
    }

    fn schema(&self) -> u64 {
        0
    }

    fn holding(&self, vnode: Vnode) -> Holding {
        self.holdings.get(&vnode).copied().unwrap_or_default()
    }

    fn contents(&self, vnode: Vnode) -> Contents {
        let data = self.data(vnode);
        let hash = |point: u8, item: &Item| {
            let written = item.written.unwrap_or_default();
            u128::from(point) << 16 | u128::from(item.seq) << 8 | u128::from(written)
        };
        let live = data.items.iter().filter(|(_, it)| it.written.is_some());
        Contents {
            seq: data.seq,
            count: live.clone().count() as u64,
            digest: live.fold(1, |all, (point, item)| all << 24 | hash(*point, item)),
            w: data.ops.len() as u64,
            ops: data
                .ops
                .iter()
                .fold(1, |all, op| all << 8 | u128::from(*op)),
        }
    }

    fn kept(&self, id: HandoffId) -> Option<&Kept> {
        self.kept.get(&id)
    }
}
