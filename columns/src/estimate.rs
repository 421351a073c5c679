//! How many slots will meet a filter, for whoever plans a search: bounds that
//! hold, and a guess between them that takes conditions to be independent.

use crate::answer::{scale, share};
use crate::resolve::wants_a_value;
use crate::{Columns, Estimate};
use quoit_filter::{Condition, Filter, Path};

/// A part of a filter; all of them must hold.
pub enum Clause<'a> {
    One(&'a Condition),
    Not(&'a Condition),
    Any(&'a [Condition]),
    AtLeast(usize, &'a [Condition]),
}

/// With more steps than this a count's spread is not worked out.
const STEPS: usize = 1 << 16;

impl<'a> Clause<'a> {
    pub fn of(filter: &'a Filter) -> Vec<Self> {
        let must = filter.must.iter().map(Self::One);
        let must_not = filter.must_not.iter().map(Self::Not);
        let some = filter.min_should.iter();
        let some = some.map(|some| Self::AtLeast(some.min_count, &some.conditions));
        let should = Some(&filter.should[..]).filter(|all| !all.is_empty());
        let all = must.chain(must_not).chain(should.map(Self::Any));
        all.chain(some).collect()
    }

    pub fn conditions(&self) -> &'a [Condition] {
        match self {
            Self::One(condition) | Self::Not(condition) => std::slice::from_ref(*condition),
            Self::Any(conditions) | Self::AtLeast(_, conditions) => conditions,
        }
    }
}

impl Estimate {
    pub(crate) fn exactly(slots: u64) -> Self {
        Self {
            min: slots,
            likely: slots,
            max: slots,
        }
    }

    pub(crate) fn up_to(max: u64) -> Self {
        Self {
            min: 0,
            likely: max / 2,
            max,
        }
    }

    /// Of so many slots.
    pub(crate) fn within(self, universe: u64) -> Self {
        let max = self.max.min(universe);
        let min = self.min.min(max);
        Self {
            min,
            likely: self.likely.clamp(min, max),
            max,
        }
    }
}

impl Columns {
    pub(crate) fn estimate_filter(&self, filter: &Filter, universe: u64) -> Estimate {
        let mut all = Estimate::exactly(universe);
        let mut likely = 1.0;
        for clause in Clause::of(filter) {
            let one = self.estimate_clause(&clause, universe);
            // What both leave out may be all different.
            all.min = all.min.saturating_sub(universe - one.min);
            all.max = all.max.min(one.max);
            likely *= share(one.likely, universe);
        }
        all.likely = scale(universe, likely);
        all.within(universe)
    }

    pub(crate) fn estimate_clause(&self, clause: &Clause, universe: u64) -> Estimate {
        match clause {
            Clause::One(condition) => self.estimate_condition(condition, universe),
            Clause::Not(condition) => {
                let met = self.estimate_condition(condition, universe);
                Estimate {
                    min: universe - met.max,
                    likely: universe - met.likely,
                    max: universe - met.min,
                }
            }
            Clause::Any(conditions) => self.estimate_some(1, conditions, universe),
            Clause::AtLeast(count, conditions) => self.estimate_some(*count, conditions, universe),
        }
    }

    fn estimate_some(&self, count: usize, conditions: &[Condition], universe: u64) -> Estimate {
        if count == 0 {
            return Estimate::exactly(universe);
        }
        let Some(spare) = conditions.len().checked_sub(count) else {
            return Estimate::exactly(0);
        };
        let of = |c| self.estimate_condition(c, universe);
        let each: Vec<_> = conditions.iter().map(of).collect();
        let least: u64 = each.iter().map(|e| e.min).sum();
        let most: u64 = each.iter().map(|e| e.max).sum();
        let (count_64, spare) = (count as u64, spare as u64);
        // Each slot that meets enough takes all conditions of the least there
        // can be, and the others one too few.
        let rest = least.saturating_sub(universe.saturating_mul(count_64 - 1));
        let min = rest.div_ceil(spare + 1);
        let single = each.iter().map(|e| e.min).max().filter(|_| count == 1);
        Estimate {
            min: min.max(single.unwrap_or(0)),
            likely: likely(&each, count, universe),
            max: most / count_64,
        }
        .within(universe)
    }

    fn estimate_condition(&self, condition: &Condition, universe: u64) -> Estimate {
        match condition {
            Condition::Field { path, test } => match self.usable(path) {
                Some(column) => column.estimate(test, universe),
                None => Estimate::up_to(universe),
            },
            Condition::HasId(ids) => Estimate {
                min: 0,
                likely: ids.len() as u64,
                max: ids.len() as u64,
            }
            .within(universe),
            Condition::HasVector(_) => Estimate::up_to(universe),
            Condition::Slice(slice) => Estimate {
                min: 0,
                likely: universe / slice.total(),
                max: universe,
            },
            Condition::Nested { path, filter } => {
                Estimate::up_to(self.most_nested(path, filter, universe))
            }
            Condition::Filter(filter) => self.estimate_filter(filter, universe),
        }
    }

    /// How many slots at most have an object in an array that meets a filter.
    fn most_nested(&self, array: &Path, filter: &Filter, universe: u64) -> u64 {
        let most = |condition: &Condition| match condition {
            Condition::Field { path, test } if wants_a_value(test) => {
                let column = self.usable(&array.each(path));
                column.map_or(universe, |column| column.estimate(test, universe).max)
            }
            Condition::Field { .. } => universe,
            Condition::HasId(_) | Condition::Slice(_) | Condition::HasVector(_) => 0,
            Condition::Nested { path, filter } => {
                self.most_nested(&array.each(path), filter, universe)
            }
            Condition::Filter(filter) => self.most_nested(array, filter, universe),
        };
        let clauses = Clause::of(filter).into_iter().map(|clause| match clause {
            Clause::One(condition) => most(condition),
            Clause::Any(all) => all.iter().map(most).sum(),
            Clause::AtLeast(count @ 1.., all) => all.iter().map(most).sum::<u64>() / count as u64,
            Clause::AtLeast(0, _) | Clause::Not(_) => universe,
        });
        clauses.min().unwrap_or(universe).min(universe)
    }
}

/// How many slots meet so many of some conditions, if they are independent.
fn likely(each: &[Estimate], count: usize, universe: u64) -> u64 {
    let shares = each.iter().map(|e| share(e.likely, universe));
    if each.len().saturating_mul(count) > STEPS {
        let mean: f64 = shares.sum();
        let enough = mean / share(count as u64, 1);
        return scale(universe, enough.min(1.0));
    }
    // How likely it is that a slot meets this many so far, short of enough.
    let mut fewer = vec![0.0; count];
    fewer[0] = 1.0;
    for share in shares {
        for met in (0..count).rev() {
            let one_less = if met == 0 { 0.0 } else { fewer[met - 1] };
            fewer[met] = fewer[met] * (1.0 - share) + one_less * share;
        }
    }
    let too_few: f64 = fewer.iter().sum();
    scale(universe, 1.0 - too_few)
}
