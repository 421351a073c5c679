//! Columns of a checkpoint, brought to what is there now: what they have of slots
//! that are gone or were changed since is taken out of them, and those that lack
//! a slot are filled again before they answer.

use crate::column::{Column, Keys};
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
            let is_wanted = schema.fields.get(column.path()) == Some(&column.kind());
            // One that cannot be cut is built from nothing, as one that is new.
            if is_wanted && column.retain(keep).is_some() {
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

    /// Leaves what it has of some slots; `None` if that makes no column, and what is
    /// left of it must not be used.
    fn retain(&mut self, keep: &RoaringBitmap) -> Option<()> {
        if self.facts.slots.slots_of(&()).is_subset(keep) {
            return Some(());
        }
        let facts = &mut self.facts;
        let sets = [
            &mut facts.slots,
            &mut facts.present,
            &mut facts.hollow,
            &mut facts.null,
            &mut facts.several,
            &mut facts.uncommon,
        ];
        for set in sets.into_iter().chain(&mut facts.others) {
            *set = retained(set, keep)?;
        }
        facts.counts = retained(&facts.counts, keep)?;
        facts.extra = match &mut self.keys {
            Keys::Keyword(tree) | Keys::Text(_, tree) => cut(tree, keep),
            Keys::Integer(tree) => cut(tree, keep),
            Keys::Float(tree) => cut(tree, keep),
            Keys::Bool(tree) => cut(tree, keep),
            Keys::Datetime(tree) => cut(tree, keep),
            Keys::Uuid(tree) => cut(tree, keep),
            Keys::Geo(tree) => cut(tree, keep),
        }?;
        Some(())
    }
}

/// Leaves those slots; says by how much the entries exceed the slots that have
/// some.
fn cut<K: Key>(tree: &mut Tree<K>, keep: &RoaringBitmap) -> Option<u64> {
    *tree = retained(tree, keep)?;
    let mut slots = RoaringBitmap::new();
    for entry in tree.walk(|_| false) {
        slots.extend(entry.slots.slots(entry.chunk));
    }
    tree.totals().slots.checked_sub(slots.len())
}

/// `None` if the entries are in no order: then they were of no tree.
fn retained<K: Key>(tree: &Tree<K>, keep: &RoaringBitmap) -> Option<Tree<K>> {
    let entries = tree.walk(|_| false).filter_map(|entry| {
        let slots: RoaringBitmap = entry.slots.slots(entry.chunk).collect();
        let slots = slots & keep;
        (!slots.is_empty()).then(|| Entry {
            key: entry.key.clone(),
            chunk: entry.chunk,
            slots: Posting::of(slots),
        })
    });
    Tree::of_sorted(entries)
}
