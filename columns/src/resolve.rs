//! Which slots meet a filter, from what the columns say of its conditions. The
//! most selective clause is asked first, and the others only about what it left.

use crate::counter::Counter;
use crate::estimate::Clause;
use crate::{Columns, Matches};
use quoit_filter::{Condition, Filter, Path, Test};
use quoit_ring::PointId;
use roaring::RoaringBitmap;
use std::collections::BTreeSet;

/// The slots of ids, if they can be known without a look at payloads.
pub type Ids<'a> = &'a dyn Fn(&BTreeSet<PointId>) -> Option<RoaringBitmap>;

/// The slots that have a vector of a name, if that is known.
pub type Vectors<'a> = &'a dyn Fn(&str) -> Option<RoaringBitmap>;

pub struct Resolver<'a> {
    pub columns: &'a Columns,
    pub ids: Ids<'a>,
    pub vectors: Vectors<'a>,
}

impl Resolver<'_> {
    pub fn filter(&self, filter: &Filter, universe: &RoaringBitmap) -> Matches {
        let mut clauses = Clause::of(filter);
        if clauses.len() > 1 {
            clauses.sort_by_cached_key(|clause| {
                let most = self.columns.estimate_clause(clause, universe.len()).max;
                (!self.knows_clause(clause), most)
            });
        }
        let mut left: Option<Matches> = None;
        for clause in clauses {
            let Some(before) = left.take() else {
                left = Some(self.clause(&clause, universe));
                continue;
            };
            left = Some(if self.knows_clause(&clause) {
                let asked = before.possible();
                if asked.is_empty() {
                    return Matches::default();
                }
                let now = self.clause(&clause, &asked);
                let sure = before.sure & &now.sure;
                let maybe = now.into_possible() - &sure;
                Matches { sure, maybe }
            } else {
                Matches::maybe(before.into_possible())
            });
        }
        left.unwrap_or_else(|| Matches::sure(universe.clone()))
    }

    fn clause(&self, clause: &Clause, universe: &RoaringBitmap) -> Matches {
        match clause {
            Clause::One(condition) => self.condition(condition, universe),
            Clause::Not(condition) => {
                let met = self.condition(condition, universe);
                Matches {
                    sure: universe - met.sure - &met.maybe,
                    maybe: met.maybe,
                }
            }
            Clause::AtLeast(0, _) => Matches::sure(universe.clone()),
            Clause::Any(all) | Clause::AtLeast(1, all) => self.any(all, universe),
            Clause::AtLeast(count, conditions) => {
                let (mut sure, mut possible) = (Counter::default(), Counter::default());
                for condition in *conditions {
                    let met = self.condition(condition, universe);
                    possible.add(met.possible());
                    sure.add(met.sure);
                }
                let sure = sure.at_least(*count, universe);
                let maybe = possible.at_least(*count, universe) - &sure;
                Matches { sure, maybe }
            }
        }
    }

    fn any(&self, conditions: &[Condition], universe: &RoaringBitmap) -> Matches {
        let mut found = Matches::default();
        let (known, unknown): (Vec<_>, Vec<_>) = conditions.iter().partition(|c| self.knows(c));
        for condition in known {
            let met = self.condition(condition, universe);
            found.sure |= met.sure;
            found.maybe |= met.maybe;
        }
        if unknown.is_empty() {
            found.maybe -= &found.sure;
        } else {
            found.maybe = universe - &found.sure;
        }
        found
    }

    fn condition(&self, condition: &Condition, universe: &RoaringBitmap) -> Matches {
        match condition {
            Condition::Field { path, test } => match self.columns.usable(path) {
                Some(column) => column.matches(test, universe),
                None => Matches::maybe(universe.clone()),
            },
            Condition::HasId(ids) => match (self.ids)(ids) {
                Some(slots) => Matches::sure(slots & universe),
                None => Matches::maybe(universe.clone()),
            },
            Condition::Slice(_) => Matches::maybe(universe.clone()),
            Condition::HasVector(name) => match (self.vectors)(name) {
                Some(slots) => Matches::sure(slots & universe),
                None => Matches::maybe(universe.clone()),
            },
            Condition::Nested { path, filter } => {
                let possible = self.nested(path, filter, universe);
                Matches::maybe(possible.unwrap_or_else(|| universe.clone()))
            }
            Condition::Filter(filter) => self.filter(filter, universe),
        }
    }

    /// Whether anything is known of a condition without payloads.
    fn knows(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Field { path, .. } => self.columns.usable(path).is_some(),
            Condition::HasId(_) | Condition::HasVector(_) => true,
            Condition::Slice(_) => false,
            Condition::Nested { path, filter } => {
                self.nested(path, filter, &RoaringBitmap::new()).is_some()
            }
            Condition::Filter(filter) => {
                let clauses = Clause::of(filter);
                clauses.is_empty() || clauses.iter().any(|c| self.knows_clause(c))
            }
        }
    }

    fn knows_clause(&self, clause: &Clause) -> bool {
        match clause {
            Clause::One(condition) | Clause::Not(condition) => self.knows(condition),
            Clause::AtLeast(0, _) | Clause::AtLeast(_, []) => true,
            Clause::Any(all) | Clause::AtLeast(_, all) => all.iter().any(|c| self.knows(c)),
        }
    }

    /// Where an object in the array at a path may meet a filter. An object's
    /// values are among those of all objects, which a column at `array[].x` has;
    /// whether they are of one object it does not know. `None` if no column
    /// says anything.
    fn nested(
        &self,
        array: &Path,
        filter: &Filter,
        universe: &RoaringBitmap,
    ) -> Option<RoaringBitmap> {
        let mut left: Option<RoaringBitmap> = None;
        for clause in Clause::of(filter) {
            let asked = left.as_ref().unwrap_or(universe);
            let of = |condition| self.nested_condition(array, condition, asked);
            let (count, conditions) = match clause {
                Clause::One(condition) => (1, std::slice::from_ref(condition)),
                Clause::Any(conditions) => (1, conditions),
                Clause::AtLeast(count, conditions) => (count, conditions),
                // That one object does not meet it says nothing of the others.
                Clause::Not(_) => continue,
            };
            // What nothing is known of may be met anywhere.
            let known: Vec<_> = conditions.iter().filter_map(of).collect();
            let unknown = conditions.len() - known.len();
            let Some(count) = count.checked_sub(unknown).filter(|count| *count > 0) else {
                continue;
            };
            let mut counter = Counter::default();
            for slots in known {
                counter.add(slots);
            }
            left = Some(counter.at_least(count, asked));
        }
        left
    }

    fn nested_condition(
        &self,
        array: &Path,
        condition: &Condition,
        universe: &RoaringBitmap,
    ) -> Option<RoaringBitmap> {
        match condition {
            Condition::Field { path, test } if wants_a_value(test) => {
                let column = self.columns.usable(&array.each(path))?;
                Some(column.matches(test, universe).into_possible())
            }
            Condition::Field { .. } => None,
            // An object in an array has no id and no vectors.
            Condition::HasId(_) | Condition::Slice(_) | Condition::HasVector(_) => {
                Some(RoaringBitmap::new())
            }
            Condition::Nested { path, filter } => self.nested(&array.each(path), filter, universe),
            Condition::Filter(filter) => self.nested(array, filter, universe),
        }
    }
}

/// Whether a test that holds for some values holds for more of them too.
pub fn wants_a_value(test: &Test) -> bool {
    match test {
        Test::IsEmpty(wish) => !wish,
        Test::IsNull(wish) => *wish,
        Test::Count(range) => !range.contains(&0),
        _ => true,
    }
}
