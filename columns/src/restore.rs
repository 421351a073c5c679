//! Columns of a checkpoint, brought to what is there now: what they have of slots
//! that are gone or were changed since is taken out of them, and those that lack
//! a slot are filled again before they answer.

use crate::column::{Column, Facts, Keys};
use crate::key::Key;
use crate::posting::Posting;
use crate::tree::{Entry, Tree};
use crate::{Columns, Schema};
use roaring::RoaringBitmap;

impl Columns {
    /// The columns of a schema: those of a checkpoint that it still has, with what
    /// they have of the slots in `keep`, and the others without slots. Those that
    /// have all of the `present` slots are complete. A slot in `keep` must have the
    /// payload that it had when the checkpoint was made.
    #[must_use]
    pub fn restored(
        schema: &Schema,
        saved: Vec<Column>,
        keep: &RoaringBitmap,
        present: u64,
    ) -> Self {
        let mut columns = Self::default();
        for mut column in saved {
            if schema.fields.get(column.path()) == Some(&column.kind()) {
                column.retain(keep);
                column.complete = column.slots() == present;
                columns.put(column);
            }
        }
        columns.adopt(schema);
        columns
    }

    /// Whether a slot is in all columns that are to be filled.
    #[must_use]
    pub fn is_filled(&self, slot: u32) -> bool {
        let mut open = self.iter().filter(|column| column.is_to_be_filled());
        open.all(|column| column.facts.slots.contains(&(), slot))
    }
}

impl Column {
    /// Whether it does not have all slots yet, and is to have them.
    #[must_use]
    pub fn is_to_be_filled(&self) -> bool {
        !self.complete && !self.closed
    }

    fn retain(&mut self, keep: &RoaringBitmap) {
        if self.facts.slots.slots_of(&()).is_subset(keep) {
            return;
        }
        let facts = &self.facts;
        let set = |tree: &Tree<()>| retained(tree, keep);
        self.facts = Facts {
            slots: set(&facts.slots),
            present: set(&facts.present),
            hollow: set(&facts.hollow),
            null: set(&facts.null),
            several: set(&facts.several),
            others: facts.others.each_ref().map(set),
            counts: retained(&facts.counts, keep),
            uncommon: set(&facts.uncommon),
            extra: 0,
        };
        self.facts.extra = match &mut self.keys {
            Keys::Keyword(tree) | Keys::Text(_, tree) => cut(tree, keep),
            Keys::Integer(tree) => cut(tree, keep),
            Keys::Float(tree) => cut(tree, keep),
            Keys::Bool(tree) => cut(tree, keep),
            Keys::Datetime(tree) => cut(tree, keep),
            Keys::Uuid(tree) => cut(tree, keep),
            Keys::Geo(tree) => cut(tree, keep),
        };
    }
}

/// Leaves those slots; says by how much the entries exceed the slots that have
/// some.
fn cut<K: Key>(tree: &mut Tree<K>, keep: &RoaringBitmap) -> u64 {
    *tree = retained(tree, keep);
    let mut slots = RoaringBitmap::new();
    for entry in tree.walk(|_| false) {
        slots.extend(entry.slots.slots(entry.chunk));
    }
    tree.totals().slots - slots.len()
}

fn retained<K: Key>(tree: &Tree<K>, keep: &RoaringBitmap) -> Tree<K> {
    let entries = tree.walk(|_| false).filter_map(|entry| {
        let slots: RoaringBitmap = entry.slots.slots(entry.chunk).collect();
        let slots = slots & keep;
        (!slots.is_empty()).then(|| Entry {
            key: entry.key.clone(),
            chunk: entry.chunk,
            slots: Posting::of(slots),
        })
    });
    // They come in order: they are of a tree.
    Tree::of_sorted(entries).unwrap_or_default()
}
