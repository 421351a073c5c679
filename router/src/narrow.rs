//! How the filters of a search and of the searches inside it become one. Pure.

use std::collections::BTreeSet;

use quoit_filter::{Condition, Filter, MinShould};
use quoit_ring::PointId;

/// A filter that an inner search gets from the one around it, together with
/// its own: clause by clause, as Qdrant does it. The `should` of both are
/// alternatives to each other, and of two `min_should` the larger count holds
/// for all of their conditions.
pub(crate) fn joined(outer: &Filter, inner: Filter) -> Filter {
    let both = |a: &[Condition], b: Vec<Condition>| a.iter().cloned().chain(b).collect();
    let min_should = match (&outer.min_should, inner.min_should) {
        (None, one) => one,
        (one, None) => one.clone(),
        (Some(a), Some(b)) => Some(MinShould {
            min_count: a.min_count.max(b.min_count),
            conditions: both(&a.conditions, b.conditions),
        }),
    };
    Filter {
        must: both(&outer.must, inner.must),
        should: both(&outer.should, inner.should),
        must_not: both(&outer.must_not, inner.must_not),
        min_should,
    }
}

/// The filter for these points alone.
pub(crate) fn among(mut filter: Filter, ids: BTreeSet<PointId>) -> Filter {
    filter.must.push(Condition::HasId(ids));
    filter
}

/// The filter for all but these points.
pub(crate) fn without(mut filter: Filter, ids: &BTreeSet<PointId>) -> Filter {
    if !ids.is_empty() {
        filter.must_not.push(Condition::HasId(ids.clone()));
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(id: u64) -> Condition {
        Condition::HasId([PointId::Num(id)].into())
    }

    fn at_least(min_count: usize, ids: &[u64]) -> MinShould {
        MinShould {
            conditions: ids.iter().map(|id| has(*id)).collect(),
            min_count,
        }
    }

    #[test]
    fn clauses_are_joined_one_by_one() {
        let outer = Filter {
            must: vec![has(1)],
            should: vec![has(2)],
            must_not: vec![has(3)],
            min_should: Some(at_least(2, &[4, 5])),
        };
        let inner = Filter {
            must: vec![has(6)],
            should: vec![has(7)],
            must_not: vec![has(8)],
            min_should: Some(at_least(1, &[9])),
        };
        let want = Filter {
            must: vec![has(1), has(6)],
            should: vec![has(2), has(7)],
            must_not: vec![has(3), has(8)],
            min_should: Some(at_least(2, &[4, 5, 9])),
        };
        assert_eq!(joined(&outer, inner), want);
    }

    #[test]
    fn nothing_joined_with_nothing_stays_a_filter_that_is_always_met() {
        assert!(joined(&Filter::default(), Filter::default()).is_always_met());
        assert!(without(Filter::default(), &BTreeSet::new()).is_always_met());
        assert!(!among(Filter::default(), BTreeSet::new()).is_always_met());
    }
}
