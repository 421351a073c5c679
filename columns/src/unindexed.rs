//! The fields of a filter that have no index: what a user may want to make one on.

use crate::Columns;
use crate::estimate::Clause;
use quoit_filter::{Condition, Filter, Path};
use std::collections::BTreeSet;

/// Adds the fields of a filter that no column answers; `array` is where the
/// objects are that the filter is about.
pub fn add(
    columns: &Columns,
    filter: &Filter,
    array: Option<&Path>,
    fields: &mut BTreeSet<String>,
) {
    let at = |path: &Path| array.map_or_else(|| path.clone(), |array| array.each(path));
    for clause in Clause::of(filter) {
        for condition in clause.conditions() {
            match condition {
                Condition::Field { path, .. } => {
                    let path = at(path);
                    if columns.usable(&path).is_none() {
                        fields.insert(path.to_string());
                    }
                }
                Condition::Nested { path, filter } => {
                    add(columns, filter, Some(&at(path)), fields);
                }
                Condition::Filter(filter) => add(columns, filter, array, fields),
                Condition::HasId(_) | Condition::HasVector(_) | Condition::Slice(_) => {}
            }
        }
    }
}
