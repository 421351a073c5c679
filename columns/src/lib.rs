//! The payload indexes of one replica: which slots meet a filter, which may and
//! must be checked, and which do not. Pure: a column is memory, and the caller
//! says what is in it.
//!
//! One column indexes one path by one kind. What comes of it is never less and
//! never more than what [`quoit_filter::Filter::is_met`] says of the payloads:
//! what a column cannot tell, it leaves to be checked.

mod answer;
mod bytes;
mod cells;
mod column;
mod counter;
mod estimate;
mod find;
mod key;
mod order;
mod plan;
mod posting;
mod resolve;
mod restore;
mod schema;
mod tree;
mod unindexed;

pub use bytes::BadColumn;
pub use column::{Column, Kind};
pub use order::{Direction, Ordered, Stored, Values};
pub use resolve::{Ids, Vectors};
pub use schema::Schema;

use column::Change;
use quoit_filter::{Analyzer, Filter, Path};
use roaring::RoaringBitmap;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The columns of a replica, one a path. A clone costs a pointer a column and
/// never changes; a change after it copies one path of a tree and at most one
/// chunk of slots for each value.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// In order of their paths.
    columns: Vec<Arc<Column>>,
}

/// Which slots meet a filter; no slot is in both sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches {
    /// These meet it.
    pub sure: RoaringBitmap,
    /// These may; their payloads must be checked.
    pub maybe: RoaringBitmap,
}

/// How many slots meet a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// At least so many.
    pub min: u64,
    /// About so many, if conditions are independent.
    pub likely: u64,
    /// At most so many.
    pub max: u64,
}

impl Matches {
    fn sure(sure: RoaringBitmap) -> Self {
        let maybe = RoaringBitmap::new();
        Self { sure, maybe }
    }

    fn maybe(maybe: RoaringBitmap) -> Self {
        let sure = RoaringBitmap::new();
        Self { sure, maybe }
    }

    fn possible(&self) -> RoaringBitmap {
        &self.sure | &self.maybe
    }

    fn into_possible(self) -> RoaringBitmap {
        self.sure | self.maybe
    }
}

impl Columns {
    /// Adds a column without slots, in place of another of the path. It answers
    /// nothing before [`Self::complete`]; until then slots that were there
    /// before are given to it by [`Self::fill`].
    pub fn add(&mut self, path: Path, kind: Kind) {
        self.put(Column::new(path, kind));
    }

    /// Adds a column that was built or read elsewhere, in place of another of
    /// its path.
    pub fn put(&mut self, column: Column) {
        match self.place(column.path()) {
            Ok(at) => self.columns[at] = Arc::new(column),
            Err(at) => self.columns.insert(at, Arc::new(column)),
        }
    }

    /// Drops the column of a path; says whether there was one.
    pub fn drop(&mut self, path: &Path) -> bool {
        let place = self.place(path);
        place.map(|at| self.columns.remove(at)).is_ok()
    }

    /// The column of a path, complete or not.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&Column> {
        let at = self.place(path).ok()?;
        Some(&self.columns[at])
    }

    /// All columns, in order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().map(AsRef::as_ref)
    }

    /// Gives all columns a slot. One that they have already stays as it is: it
    /// must be removed first.
    pub fn insert(&mut self, slot: u32, payload: &Map<String, Value>) {
        for column in &mut self.columns {
            Arc::make_mut(column).change(slot, payload, Change::Insert);
        }
    }

    /// Takes a slot from all columns that have it, with the payload that it was
    /// inserted with.
    pub fn remove(&mut self, slot: u32, payload: &Map<String, Value>) {
        for column in &mut self.columns {
            Arc::make_mut(column).change(slot, payload, Change::Remove);
        }
    }

    /// Gives one column a slot that was there before it. The slot must be there
    /// still, with this payload; if the column has it already, it stays.
    pub fn fill(&mut self, path: &Path, slot: u32, payload: &Map<String, Value>) {
        if let Ok(at) = self.place(path) {
            Arc::make_mut(&mut self.columns[at]).change(slot, payload, Change::Insert);
        }
    }

    /// Closes the largest columns until all together take no more than so many
    /// bytes; says which.
    pub fn close_beyond(&mut self, bytes: usize) -> Vec<Path> {
        let mut closed = Vec::new();
        while self.bytes() > bytes {
            let open = self.columns.iter_mut().filter(|column| !column.is_closed());
            let Some(largest) = open.max_by_key(|column| column.bytes()) else {
                break;
            };
            closed.push(largest.path().clone());
            Arc::make_mut(largest).close();
        }
        closed
    }

    /// Opens the columns that were closed; they are to be filled from nothing.
    pub fn reopen(&mut self) {
        for column in self.columns.iter_mut().filter(|column| column.is_closed()) {
            Arc::make_mut(column).closed = false;
        }
    }

    /// Says that a column has all slots, and may answer.
    pub fn complete(&mut self, path: &Path) {
        if let Ok(at) = self.place(path) {
            let column = Arc::make_mut(&mut self.columns[at]);
            column.complete = !column.closed;
        }
    }

    /// Which of the visible slots meet a filter. `ids` has the slots of ids;
    /// `None` if they are not known either.
    #[must_use]
    pub fn resolve(
        &self,
        filter: &Filter,
        universe: &RoaringBitmap,
        ids: Ids,
        vectors: Vectors,
    ) -> Matches {
        let resolver = resolve::Resolver {
            columns: self,
            ids,
            vectors,
        };
        resolver.filter(filter, universe)
    }

    /// A filter with its words as the columns of their fields take them, complete
    /// or not: what a condition means does not change when a column is built.
    #[must_use]
    pub fn analyzed<'a>(&self, filter: &'a Filter) -> Cow<'a, Filter> {
        let of = |path: &Path| match self.get(path)?.kind() {
            Kind::Text(analyzer) => Some(analyzer),
            _ => None,
        };
        let is_other = |column: &Column| match column.kind() {
            Kind::Text(analyzer) => analyzer != Analyzer::default(),
            _ => false,
        };
        if self.iter().any(is_other) {
            Cow::Owned(filter.analyzed(&of))
        } else {
            Cow::Borrowed(filter)
        }
    }

    /// The fields with conditions that no column answers, in order.
    #[must_use]
    pub fn unindexed(&self, filter: &Filter) -> Vec<String> {
        let mut fields = BTreeSet::new();
        unindexed::add(self, filter, None, &mut fields);
        fields.into_iter().collect()
    }

    /// How many of so many visible slots meet a filter.
    #[must_use]
    pub fn estimate(&self, filter: &Filter, universe_len: u64) -> Estimate {
        self.estimate_filter(filter, universe_len)
    }

    /// The values at a path in ascending order, and how many of the visible
    /// slots have each. Values that the column cannot hold are not among them.
    /// `None` without a complete column of keywords, integers, booleans or
    /// UUIDs.
    #[must_use]
    pub fn values<'a>(&'a self, path: &Path, universe: &'a RoaringBitmap) -> Option<Values<'a>> {
        self.usable(path)?.values(universe)
    }

    /// Slots in order of their values at a path, from a value on, visible or
    /// not; once for each value of a slot. Slots of equal values are in order
    /// too, in the same direction. `None` without a complete column of integers,
    /// floats or moments, or if `from` is no such value.
    #[must_use]
    pub fn ordered(
        &self,
        path: &Path,
        direction: Direction,
        from: Option<&Stored>,
    ) -> Option<Ordered<'_>> {
        self.usable(path)?.ordered(direction, from)
    }

    /// About how many bytes the columns take, as if nothing were shared with
    /// clones.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.iter().map(Column::bytes).sum()
    }

    fn place(&self, path: &Path) -> Result<usize, usize> {
        self.columns.binary_search_by(|c| c.path().cmp(path))
    }

    fn usable(&self, path: &Path) -> Option<&Column> {
        self.get(path).filter(|column| column.is_complete())
    }
}

#[cfg(test)]
mod tests;
