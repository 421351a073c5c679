//! Which slots have which value: an ordered map from values to slots that
//! shares what its clones have in common. It is a B+ tree of counted nodes: a
//! clone is one pointer, a change copies the nodes of one path, and how many
//! slots lie between two values is known without a walk.
//!
//! An entry is one value in one chunk of 65,536 slots, so that a change of a
//! value that everything has copies one chunk and not the whole of its slots.

use crate::key::Key;
use crate::posting::{Posting, Union, halves};
use roaring::RoaringBitmap;
use std::cmp::Ordering;
use std::sync::Arc;

mod walk;

/// The most that a node has: a change after a clone copies so many entries.
const MOST: usize = 32;

/// An ordered map from values to slots.
#[derive(Clone, Debug)]
pub struct Tree<K> {
    root: Arc<Node<K>>,
    totals: Totals,
    /// Bytes outside the nodes.
    heap: usize,
}

/// How much is in a part of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Values, those in several chunks counted in each.
    pub entries: u64,
    /// Slots, those with several values counted in each.
    pub slots: u64,
}

#[derive(Clone, Debug)]
enum Node<K> {
    Leaf(Vec<Entry<K>>),
    Inner(Vec<Child<K>>),
}

/// The slots of one chunk that have a value.
#[derive(Clone, Debug)]
pub struct Entry<K> {
    /// The value.
    pub key: K,
    /// The upper half of the slots.
    pub chunk: u16,
    /// The slots.
    pub slots: Posting,
}

#[derive(Clone, Debug)]
struct Child<K> {
    /// Nothing in the child is before this, and nothing before it is not.
    key: K,
    chunk: u16,
    totals: Totals,
    node: Arc<Node<K>>,
}

/// What a change of a tree comes to.
struct Put<K> {
    added: Totals,
    split: Option<Child<K>>,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, more: Self) {
        self.entries += more.entries;
        self.slots += more.slots;
    }
}

impl std::ops::SubAssign for Totals {
    fn sub_assign(&mut self, less: Self) {
        self.entries -= less.entries;
        self.slots -= less.slots;
    }
}

impl std::ops::Sub for Totals {
    type Output = Self;

    /// Nothing less than nothing: bounds may lie the wrong way round.
    fn sub(self, less: Self) -> Self {
        Self {
            entries: self.entries.saturating_sub(less.entries),
            slots: self.slots.saturating_sub(less.slots),
        }
    }
}

impl<K> Default for Tree<K> {
    fn default() -> Self {
        Self {
            root: Arc::default(),
            totals: Totals::default(),
            heap: 0,
        }
    }
}

impl<K> Default for Node<K> {
    fn default() -> Self {
        Self::Leaf(Vec::new())
    }
}

impl<K: Key> Tree<K> {
    /// Gives a slot a value; says whether it is new to it.
    pub fn insert(&mut self, key: K, slot: u32) -> bool {
        let put = Arc::make_mut(&mut self.root).insert(key, slot, &mut self.heap);
        self.totals += put.added;
        if let Some(right) = put.split {
            let left = std::mem::take(&mut self.root);
            let totals = left.totals();
            let children: Vec<_> = Child::of(left, totals).into_iter().chain([right]).collect();
            self.root = Arc::new(Node::Inner(children));
        }
        put.added.slots > 0
    }

    /// Takes a value from a slot; says whether it had it.
    pub fn remove(&mut self, key: &K, slot: u32) -> bool {
        // Looked up first: what changes nothing must copy nothing.
        if !self.contains(key, slot) {
            return false;
        }
        self.totals -= Arc::make_mut(&mut self.root).remove(key, slot, &mut self.heap);
        while let Node::Inner(children) = &*self.root {
            let [only] = &children[..] else { break };
            self.root = Arc::clone(&only.node);
        }
        true
    }

    /// Whether a slot has a value.
    pub fn contains(&self, key: &K, slot: u32) -> bool {
        let chunk = halves(slot).0;
        let mut node = &*self.root;
        loop {
            match node {
                Node::Inner(children) => node = &children[child_of(children, key, chunk)].node,
                Node::Leaf(entries) => {
                    let entry = entries.get(place_of(entries, key, chunk));
                    let same = entry.filter(|e| e.cmp(key, chunk).is_eq());
                    return same.is_some_and(|e| e.slots.contains(slot));
                }
            }
        }
    }

    /// All that is in it.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What is before the first value for which this does not hold. It must
    /// hold for every value that is before one for which it holds.
    pub fn before(&self, before: impl Fn(&K) -> bool) -> Totals {
        let mut sum = Totals::default();
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let end = entries.partition_point(|e| before(&e.key));
                    sum += leaf_totals(&entries[..end]);
                    return sum;
                }
                Node::Inner(children) => {
                    let end = children.partition_point(|c| before(&c.key));
                    let Some(last) = end.checked_sub(1) else {
                        return sum;
                    };
                    for child in &children[..last] {
                        sum += child.totals;
                    }
                    node = &children[last].node;
                }
            }
        }
    }

    /// How many slots have a value.
    pub fn of(&self, key: &K) -> Totals {
        self.before(|k| k <= key) - self.before(|k| k < key)
    }

    /// The entries of one value.
    pub fn entries_of<'a>(&'a self, key: &'a K) -> impl Iterator<Item = &'a Entry<K>> {
        let from = self.walk(|k| k < key);
        from.take_while(move |entry| entry.key == *key)
    }

    /// The slots that have a value.
    pub fn slots_of(&self, key: &K) -> RoaringBitmap {
        let mut union = Union::default();
        for entry in self.entries_of(key) {
            union.add(entry.chunk, &entry.slots);
        }
        union.finish()
    }

    /// About how many bytes it takes, as if nothing of it were shared.
    pub fn bytes(&self) -> usize {
        // Nodes are about two thirds full, and an inner one is one in twenty.
        let entries = usize::try_from(self.totals.entries).unwrap_or(usize::MAX);
        entries.saturating_mul(size_of::<Entry<K>>() * 8 / 5) + self.heap
    }

    /// A tree of entries in order. `None` if they are not.
    pub fn of_sorted(entries: impl IntoIterator<Item = Entry<K>>) -> Option<Self> {
        let mut tree = Self::default();
        let mut leaves = Vec::new();
        let mut leaf: Vec<Entry<K>> = Vec::new();
        for entry in entries {
            if leaf
                .last()
                .is_some_and(|l| l.cmp(&entry.key, entry.chunk).is_ge())
            {
                return None;
            }
            tree.heap += entry.key.heap() + entry.slots.heap();
            if leaf.len() == MOST {
                let last = leaf.split_off(MOST - 1);
                leaves.push(Arc::new(Node::Leaf(leaf)));
                leaf = last;
            }
            leaf.push(entry);
        }
        leaves.push(Arc::new(Node::Leaf(leaf)));
        while leaves.len() > 1 {
            let mut above = Vec::new();
            for part in leaves.chunks(MOST) {
                let child = |n: &Arc<Node<K>>| Child::of(Arc::clone(n), n.totals());
                above.push(Arc::new(Node::Inner(
                    part.iter().filter_map(child).collect(),
                )));
            }
            leaves = above;
        }
        tree.root = leaves.pop()?;
        tree.totals = tree.root.totals();
        Some(tree)
    }
}

impl<K: Key> Entry<K> {
    fn cmp(&self, key: &K, chunk: u16) -> Ordering {
        self.key.cmp(key).then(self.chunk.cmp(&chunk))
    }
}

impl<K: Key> Child<K> {
    fn of(node: Arc<Node<K>>, totals: Totals) -> Option<Self> {
        let (key, chunk) = match &*node {
            Node::Leaf(entries) => entries.first().map(|e| (e.key.clone(), e.chunk))?,
            Node::Inner(children) => children.first().map(|c| (c.key.clone(), c.chunk))?,
        };
        Some(Self {
            key,
            chunk,
            totals,
            node,
        })
    }
}

fn leaf_totals<K>(entries: &[Entry<K>]) -> Totals {
    Totals {
        entries: entries.len() as u64,
        slots: entries.iter().map(|e| e.slots.len()).sum(),
    }
}

/// The first entry that is not before this one.
fn place_of<K: Key>(entries: &[Entry<K>], key: &K, chunk: u16) -> usize {
    entries.partition_point(|e| e.cmp(key, chunk).is_lt())
}

/// The child that has this one, if any does.
fn child_of<K: Key>(children: &[Child<K>], key: &K, chunk: u16) -> usize {
    let after = children.partition_point(|c| c.key.cmp(key).then(c.chunk.cmp(&chunk)).is_le());
    after.saturating_sub(1)
}

/// Where to cut a node that is too full: in its middle, or before what was put
/// at its end, since values that only grow would leave every node half empty.
fn cut(at: usize, len: usize) -> Option<usize> {
    (len > MOST).then_some(if at + 1 == len { at } else { len / 2 })
}

impl<K: Key> Node<K> {
    fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Inner(children) => children.len(),
        }
    }

    fn totals(&self) -> Totals {
        match self {
            Self::Leaf(entries) => leaf_totals(entries),
            Self::Inner(children) => children.iter().fold(Totals::default(), |mut sum, c| {
                sum += c.totals;
                sum
            }),
        }
    }

    fn insert(&mut self, key: K, slot: u32, heap: &mut usize) -> Put<K> {
        let chunk = halves(slot).0;
        match self {
            Self::Leaf(entries) => {
                let at = place_of(entries, &key, chunk);
                let there = entries.get_mut(at);
                if let Some(entry) = there.filter(|e| e.cmp(&key, chunk).is_eq()) {
                    *heap -= entry.slots.heap();
                    let slots = u64::from(entry.slots.insert(slot));
                    *heap += entry.slots.heap();
                    let added = Totals { entries: 0, slots };
                    return Put { added, split: None };
                }
                *heap += key.heap();
                let slots = Posting::one(slot);
                entries.insert(at, Entry { key, chunk, slots });
                let right = cut(at, entries.len()).map(|cut| Self::Leaf(entries.split_off(cut)));
                Put::new(1, right)
            }
            Self::Inner(children) => {
                let at = child_of(children, &key, chunk);
                let child = &mut children[at];
                if child.key.cmp(&key).then(child.chunk.cmp(&chunk)).is_gt() {
                    (child.key, child.chunk) = (key.clone(), chunk);
                }
                let put = Arc::make_mut(&mut child.node).insert(key, slot, heap);
                child.totals += put.added;
                let Some(right) = put.split else { return put };
                child.totals -= right.totals;
                children.insert(at + 1, right);
                let cut = cut(at + 1, children.len());
                let right = cut.map(|cut| Self::Inner(children.split_off(cut)));
                let split = Put::new(0, right).split;
                Put { split, ..put }
            }
        }
    }

    /// Takes out what is there.
    fn remove(&mut self, key: &K, slot: u32, heap: &mut usize) -> Totals {
        let chunk = halves(slot).0;
        match self {
            Self::Leaf(entries) => {
                let at = place_of(entries, key, chunk);
                let posting = &mut entries[at].slots;
                *heap -= posting.heap();
                let slots = u64::from(posting.remove(slot));
                *heap += posting.heap();
                let gone = posting.len() == 0;
                if gone {
                    *heap -= entries.remove(at).key.heap();
                }
                Totals {
                    entries: u64::from(gone),
                    slots,
                }
            }
            Self::Inner(children) => {
                let at = child_of(children, key, chunk);
                let child = &mut children[at];
                let removed = Arc::make_mut(&mut child.node).remove(key, slot, heap);
                child.totals -= removed;
                match child.node.len() {
                    0 => drop(children.remove(at)),
                    len if len < MOST / 4 => merge(children, at),
                    _ => {}
                }
                removed
            }
        }
    }

    fn append(&mut self, right: Self) {
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(right)) => left.extend(right),
            (Self::Inner(left), Self::Inner(right)) => left.extend(right),
            // All leaves of a tree are equally deep.
            _ => {}
        }
    }
}

/// Joins a child that has become small with one beside it, if both have room
/// in one.
fn merge<K: Key>(children: &mut Vec<Child<K>>, at: usize) {
    let mut pairs = [at.checked_sub(1), Some(at)].into_iter().flatten();
    let fits = |left: &usize| {
        let both = children.get(*left..left + 2);
        let len: Option<usize> = both.map(|both| both.iter().map(|c| c.node.len()).sum());
        len.is_some_and(|len| len <= MOST * 3 / 4)
    };
    if let Some(left) = pairs.find(fits) {
        let right = children.remove(left + 1);
        let left = &mut children[left];
        left.totals += right.totals;
        Arc::make_mut(&mut left.node).append(Arc::unwrap_or_clone(right.node));
    }
}

impl<K: Key> Put<K> {
    /// What one value came to that was new, and the node that was cut off.
    fn new(added: u64, right: Option<Node<K>>) -> Self {
        let split = right.and_then(|right| {
            let totals = right.totals();
            Child::of(Arc::new(right), totals)
        });
        let added = Totals {
            entries: added,
            slots: added,
        };
        Self { added, split }
    }
}

#[cfg(test)]
mod tests;
