//! How many points have each value of an indexed field.

use crate::error::{Error, Result};
use crate::view::{Answer, View};
use quoit_columns::{Columns, Stored};
use quoit_filter::{Filter, Path};
use quoit_ring::VnodeSet;
use roaring::RoaringBitmap;
use std::sync::Arc;

/// A value of a field, and how many points have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// The value.
    pub value: FacetValue,
    /// Points that have it, each once.
    pub points: u64,
}

/// A value that points can be counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FacetValue {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text, or a UUID in lower case with hyphens.
    Keyword(Arc<str>),
}

impl View {
    /// The values at a path of the points of some vnodes that meet a filter: the
    /// most frequent first, those of one count in order, at most `limit`.
    ///
    /// # Errors
    /// The field has no index of keywords, integers, booleans or UUIDs, or stored
    /// data is damaged.
    pub fn facets(
        &self,
        vnodes: &VnodeSet,
        path: &Path,
        filter: &Filter,
        limit: usize,
    ) -> Result<Answer<Vec<Facet>>> {
        let Some(column) = self.columns.get(path) else {
            return Err(not_indexed(path));
        };
        let points = self.points_that_meet(vnodes, filter)?;
        let values = if column.is_complete() {
            self.columns.values(path, &points).map(Iterator::collect)
        } else {
            // It is being built: what it will say of these points is found out
            // from their payloads.
            let mut own = Columns::default();
            own.add(path.clone(), column.kind());
            for slot in &points {
                let slot = crate::slots::Slot(slot);
                let owner = self.segments.owner(slot)?;
                let seq = self.seq_of(owner, slot)?;
                let payload = self.rows.feed_row(owner.vnode, seq)?.payload;
                own.insert(slot.0, &self.rows.object(owner.id, &payload)?);
            }
            own.complete(path);
            own.values(path, &points).map(Iterator::collect)
        };
        let values: Vec<(Stored, u64)> = values.ok_or_else(|| not_indexed(path))?;
        let facet = |(value, points): (Stored, u64)| Facet {
            value: match value {
                Stored::Keyword(text) => FacetValue::Keyword(text),
                Stored::Integer(n) => FacetValue::Integer(n),
                Stored::Bool(yes) => FacetValue::Bool(yes),
                Stored::Uuid(uuid) => FacetValue::Keyword(uuid.to_string().into()),
                // No column of these has values to count by.
                Stored::Float(x) => FacetValue::Keyword(x.to_string().into()),
                Stored::Datetime(moment) => FacetValue::Keyword(moment.to_string().into()),
            },
            points,
        };
        let mut facets: Vec<Facet> = values.into_iter().map(facet).collect();
        facets.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| a.value.cmp(&b.value)));
        facets.truncate(limit);
        Ok(self.answer(vnodes, facets))
    }

    fn points_that_meet(&self, vnodes: &VnodeSet, filter: &Filter) -> Result<RoaringBitmap> {
        let selection = self.select(filter);
        let mut points = RoaringBitmap::new();
        for slot in selection.slots() {
            let owner = self.segments.owner(slot)?;
            if vnodes.contains(owner.vnode)
                && self.readable().contains(owner.vnode)
                && selection.contains(owner, slot)?
            {
                points.insert(slot.0);
            }
        }
        Ok(points)
    }
}

fn not_indexed(path: &Path) -> Error {
    Error::BadQuery(format!(
        "{path} has no index to count values by: make one of type keyword, integer, bool or uuid"
    ))
}
