//! The values of a column in order: how many slots have each, and which slots
//! come first by value.

use crate::column::{Column, Keys};
use crate::key::Key;
use crate::tree::{Entry, Tree};
use jiff::Timestamp;
use roaring::RoaringBitmap;
use std::sync::Arc;
use uuid::Uuid;

/// A value that a column holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// A text.
    Keyword(Arc<str>),
    /// A whole number.
    Integer(i64),
    /// A number; 7 and 7.0 are one.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A moment, however it was written.
    Datetime(Timestamp),
    /// A UUID.
    Uuid(Uuid),
}

/// Which values come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The least.
    Ascending,
    /// The greatest.
    Descending,
}

/// Values, and how many slots have each.
pub type Values<'a> = Box<dyn Iterator<Item = (Stored, u64)> + 'a>;

/// Slots in order of their values.
pub type Ordered<'a> = Box<dyn Iterator<Item = (Stored, u32)> + 'a>;

impl Column {
    /// See [`crate::Columns::values`].
    pub(crate) fn values<'a>(&'a self, universe: &'a RoaringBitmap) -> Option<Values<'a>> {
        Some(match &self.keys {
            Keys::Keyword(tree) => counts(tree, universe, |k| Stored::Keyword(Arc::clone(k))),
            Keys::Integer(tree) => counts(tree, universe, |k| Stored::Integer(*k)),
            Keys::Bool(tree) => counts(tree, universe, |k| Stored::Bool(*k)),
            Keys::Uuid(tree) => counts(tree, universe, |k| Stored::Uuid(Uuid::from_u128(*k))),
            Keys::Float(_) | Keys::Datetime(_) | Keys::Geo(_) | Keys::Text(..) => return None,
        })
    }

    /// See [`crate::Columns::ordered`].
    #[expect(clippy::cast_precision_loss)]
    pub(crate) fn ordered(
        &self,
        direction: Direction,
        from: Option<&Stored>,
    ) -> Option<Ordered<'_>> {
        match &self.keys {
            Keys::Integer(tree) => {
                let stored = |k: &i64| Stored::Integer(*k);
                match from {
                    None => Some(ordered(tree, direction, |_| None, stored)),
                    Some(Stored::Integer(n)) => {
                        Some(ordered(tree, direction, |k| Some(k.cmp(n)), stored))
                    }
                    Some(Stored::Float(x)) => {
                        let compare = |k: &i64| (*k as f64).partial_cmp(x);
                        Some(ordered(tree, direction, compare, stored))
                    }
                    Some(_) => None,
                }
            }
            Keys::Float(tree) => {
                let from = match from {
                    None => None,
                    Some(Stored::Integer(n)) => Some(*n as f64),
                    Some(Stored::Float(x)) => Some(*x),
                    Some(_) => return None,
                };
                let compare = |k: &crate::key::Number| k.get().partial_cmp(&from?);
                Some(ordered(tree, direction, compare, |k| {
                    Stored::Float(k.get())
                }))
            }
            Keys::Datetime(tree) => {
                let from = match from {
                    None => None,
                    Some(Stored::Datetime(moment)) => Some(*moment),
                    Some(_) => return None,
                };
                let compare = |k: &Timestamp| Some(k.cmp(&from?));
                Some(ordered(tree, direction, compare, |k| Stored::Datetime(*k)))
            }
            _ => None,
        }
    }
}

fn counts<'a, K: Key>(
    tree: &'a Tree<K>,
    universe: &'a RoaringBitmap,
    stored: impl Fn(&K) -> Stored + 'a,
) -> Values<'a> {
    let mut entries = tree.walk(|_| false).peekable();
    let next = move || {
        let first = entries.next()?;
        let mut count = first.slots.len_in(first.chunk, universe);
        while let Some(more) = entries.next_if(|e| e.key == first.key) {
            count += more.slots.len_in(more.chunk, universe);
        }
        Some((stored(&first.key), count))
    };
    Box::new(std::iter::from_fn(next).filter(|(_, count)| *count > 0))
}

/// Slots from a value on, which is itself among them.
fn ordered<'a, K: Key>(
    tree: &'a Tree<K>,
    direction: Direction,
    compare: impl Fn(&K) -> Option<std::cmp::Ordering>,
    stored: impl Fn(&K) -> Stored + 'a,
) -> Ordered<'a> {
    let pair = move |entry: &Entry<K>, slot| (stored(&entry.key), slot);
    match direction {
        Direction::Ascending => {
            let up = tree.walk(|k| compare(k).is_some_and(std::cmp::Ordering::is_lt));
            let slots = |e: &'a Entry<K>| e.slots.slots(e.chunk).map(move |slot| (e, slot));
            Box::new(up.flat_map(slots).map(move |(e, slot)| pair(e, slot)))
        }
        Direction::Descending => {
            let down = tree.back(|k| compare(k).is_some_and(std::cmp::Ordering::is_gt));
            let slots = |e: &'a Entry<K>| e.slots.slots(e.chunk).rev().map(move |slot| (e, slot));
            Box::new(down.flat_map(slots).map(move |(e, slot)| pair(e, slot)))
        }
    }
}
