//! One column: the values at one path of the payloads of all slots, by one
//! kind, and what of those payloads it cannot hold.

use crate::find::{self, Found, SORTS, find};
use crate::key::{Key, Number, Place};
use crate::tree::Tree;
use jiff::Timestamp;
use quoit_filter::{Analyzer, Path};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What a column makes of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Texts, whole.
    Keyword,
    /// Whole numbers of 64 bits.
    Integer,
    /// All numbers.
    Float,
    /// True and false.
    Bool,
    /// Texts that name a moment.
    Datetime,
    /// Texts that are a UUID in lower case with hyphens; a UUID in another form
    /// is another text, and is not held.
    Uuid,
    /// Objects with a latitude and a longitude.
    Geo,
    /// Texts by their words. Conditions on the field take words as it does
    /// ([`crate::Columns::analyzed`]).
    Text(Analyzer),
}

/// The index of one path. Clones are cheap and never change.
#[derive(Clone, Debug)]
pub struct Column {
    pub(crate) path: Arc<Path>,
    pub(crate) kind: Kind,
    pub(crate) complete: bool,
    /// It takes no slots and answers nothing.
    pub(crate) closed: bool,
    pub(crate) facts: Facts,
    pub(crate) keys: Keys,
}

/// A set of slots.
pub type Set = Tree<()>;

/// What is known of slots beside their values.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// All slots of the column.
    pub slots: Set,
    /// Those with a value that is not null.
    pub present: Set,
    /// Those with nulls only, that are not empty: `[null]`.
    pub hollow: Set,
    /// Those with a null.
    pub null: Set,
    /// Those with more than one value that is not null.
    pub several: Set,
    /// Those with values that the column cannot hold, by sort.
    pub others: [Set; SORTS.len()],
    /// Those that are not empty and do not have exactly one value at the path,
    /// by how many they have.
    pub counts: Tree<u64>,
    /// All of `counts`.
    pub uncommon: Set,
    /// By how much the entries of values exceed the slots that have some.
    pub extra: u64,
}

/// The values, by kind.
#[derive(Clone, Debug)]
pub enum Keys {
    Keyword(Tree<Arc<str>>),
    Integer(Tree<i64>),
    Float(Tree<Number>),
    Bool(Tree<bool>),
    Datetime(Tree<Timestamp>),
    Uuid(Tree<u128>),
    Geo(Tree<Place>),
    Text(Analyzer, Tree<Arc<str>>),
}

/// The same for the tree of any kind.
macro_rules! each_kind {
    ($keys:expr, $tree:ident => $then:expr) => {
        match $keys {
            $crate::column::Keys::Keyword($tree) | $crate::column::Keys::Text(_, $tree) => $then,
            $crate::column::Keys::Integer($tree) => $then,
            $crate::column::Keys::Float($tree) => $then,
            $crate::column::Keys::Bool($tree) => $then,
            $crate::column::Keys::Datetime($tree) => $then,
            $crate::column::Keys::Uuid($tree) => $then,
            $crate::column::Keys::Geo($tree) => $then,
        }
    };
}
pub(crate) use each_kind;

impl Keys {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Keyword => Self::Keyword(Tree::default()),
            Kind::Integer => Self::Integer(Tree::default()),
            Kind::Float => Self::Float(Tree::default()),
            Kind::Bool => Self::Bool(Tree::default()),
            Kind::Datetime => Self::Datetime(Tree::default()),
            Kind::Uuid => Self::Uuid(Tree::default()),
            Kind::Geo => Self::Geo(Tree::default()),
            Kind::Text(analyzer) => Self::Text(analyzer, Tree::default()),
        }
    }
}

/// Whether a slot comes or goes.
#[derive(Clone, Copy, PartialEq)]
pub enum Change {
    Insert,
    Remove,
}

fn set<K: Key>(tree: &mut Tree<K>, key: &K, slot: u32, change: Change) -> bool {
    match change {
        Change::Insert => tree.insert(key.clone(), slot),
        Change::Remove => tree.remove(key, slot),
    }
}

impl Column {
    pub(crate) fn new(path: Path, kind: Kind) -> Self {
        Self {
            path: Arc::new(path),
            kind,
            complete: false,
            closed: false,
            facts: Facts::default(),
            keys: Keys::new(kind),
        }
    }

    /// Without slots, and never to have any.
    pub(crate) fn close(&mut self) {
        self.complete = false;
        self.closed = true;
        self.facts = Facts::default();
        self.keys = Keys::new(self.kind);
    }

    /// Whether it was closed: it takes no slots and answers nothing.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Where its values are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it makes of them.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it has all slots, and may answer.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How many slots it has.
    #[must_use]
    pub fn slots(&self) -> u64 {
        self.facts.slots.totals().slots
    }

    /// About how many bytes it takes, as if nothing of it were shared with clones.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let facts = &self.facts;
        let sets = [
            &facts.slots,
            &facts.present,
            &facts.hollow,
            &facts.null,
            &facts.several,
            &facts.uncommon,
        ];
        let sets: usize = sets.into_iter().chain(&facts.others).map(Tree::bytes).sum();
        let keys = each_kind!(&self.keys, tree => tree.bytes());
        size_of::<Self>() + sets + facts.counts.bytes() + keys
    }

    pub(crate) fn change(&mut self, slot: u32, payload: &Map<String, Value>, change: Change) {
        if self.closed {
            return;
        }
        // A slot that is there already, or is not yet there, is left alone: a
        // column that is filled behind meets slots twice and early.
        if !set(&mut self.facts.slots, &(), slot, change) {
            return;
        }
        let (path, facts) = (&*self.path, &mut self.facts);
        match &mut self.keys {
            Keys::Keyword(tree) => {
                facts.change(tree, find(path, payload, find::keyword), slot, change);
            }
            Keys::Integer(tree) => {
                facts.change(tree, find(path, payload, find::integer), slot, change);
            }
            Keys::Float(tree) => facts.change(tree, find(path, payload, find::float), slot, change),
            Keys::Bool(tree) => {
                facts.change(tree, find(path, payload, find::boolean), slot, change);
            }
            Keys::Datetime(tree) => {
                facts.change(tree, find(path, payload, find::datetime), slot, change);
            }
            Keys::Uuid(tree) => facts.change(tree, find(path, payload, find::uuid), slot, change),
            Keys::Geo(tree) => facts.change(tree, find(path, payload, find::place), slot, change),
            Keys::Text(analyzer, tree) => {
                let words = |value: &Value, keys: &mut Vec<_>| find::words(*analyzer, value, keys);
                facts.change(tree, find(path, payload, words), slot, change);
            }
        }
    }
}

impl Facts {
    fn change<K: Key>(&mut self, tree: &mut Tree<K>, found: Found<K>, slot: u32, change: Change) {
        let uncommon = found.filled && found.counts != [1];
        for (set_of, is_in) in [
            (&mut self.present, found.values > 0),
            (&mut self.hollow, found.filled && found.values == 0),
            (&mut self.null, found.null),
            (&mut self.several, found.values > 1),
            (&mut self.uncommon, uncommon),
        ]
        .into_iter()
        .chain(self.others.iter_mut().zip(found.others))
        {
            if is_in {
                set(set_of, &(), slot, change);
            }
        }
        for count in found.counts.iter().filter(|_| uncommon) {
            set(&mut self.counts, count, slot, change);
        }
        let extra = (found.keys.len() as u64).saturating_sub(1);
        match change {
            Change::Insert => self.extra += extra,
            Change::Remove => self.extra = self.extra.saturating_sub(extra),
        }
        for key in found.keys {
            match change {
                Change::Insert => tree.insert(key, slot),
                Change::Remove => tree.remove(&key, slot),
            };
        }
    }
}
