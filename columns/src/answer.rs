//! What one column says of a condition: which slots meet it, which may, and how
//! many that will be.

use crate::column::{Column, Facts, Keys};
use crate::find::Sort;
use crate::key::Key;
use crate::plan::{Ask, Certain, Pick, Plan, Span, is_after, is_before};
use crate::posting::Union;
use crate::tree::{Entry, Totals, Tree};
use crate::{Estimate, Matches, plan};
use quoit_filter::{Range, Scalars, Test};
use roaring::RoaringBitmap;

/// How many entries may be walked for a slot in question. To check its payload
/// instead takes microseconds, and an entry about ten nanoseconds.
const WALK: u64 = 512;

/// How many times as long an entry takes whose value must be looked at.
const LOOK: u64 = 16;

/// From so many times as many slots on, some are looked up one by one rather
/// than all of them copied.
const LOOKUP: u64 = 1024;

/// How many values an estimate looks at.
const SAMPLE: usize = 256;

impl Column {
    /// The slots of the universe that meet a test at this path, and those that may.
    pub(crate) fn matches(&self, test: &Test, universe: &RoaringBitmap) -> Matches {
        let facts = &self.facts;
        let wished = |slots: RoaringBitmap, wish: bool| {
            Matches::sure(if wish { slots } else { universe - slots })
        };
        match test {
            Test::IsEmpty(wish) => wished(facts.filled(universe), !wish),
            Test::IsNull(wish) => wished(slots_in(&facts.null, &(), universe), *wish),
            Test::Count(range) => Matches::sure(facts.counted(range, universe)),
            Test::Except(scalars) => self.except(scalars, universe),
            test => self.ask(&Ask::of(test), universe),
        }
    }

    /// What has a value is none of these unless it has one of them; and even
    /// then if it has several values.
    fn except(&self, scalars: &Scalars, universe: &RoaringBitmap) -> Matches {
        let present = slots_in(&self.facts.present, &(), universe);
        let any = self.ask(&Ask::any(scalars), &present);
        let several = slots_in(&self.facts.several, &(), &any.sure);
        Matches {
            sure: present - (any.sure | &any.maybe),
            maybe: any.maybe | several,
        }
    }

    fn ask(&self, ask: &Ask, universe: &RoaringBitmap) -> Matches {
        let other = plan::others(self.kind, ask);
        let facts = &self.facts;
        match &self.keys {
            Keys::Keyword(tree) => facts.answer(tree, &plan::keyword(ask), other, universe),
            Keys::Integer(tree) => facts.answer(tree, &plan::integer(ask), other, universe),
            Keys::Float(tree) => facts.answer(tree, &plan::float(ask), other, universe),
            Keys::Bool(tree) => facts.answer(tree, &plan::boolean(ask), other, universe),
            Keys::Datetime(tree) => facts.answer(tree, &plan::datetime(ask), other, universe),
            Keys::Uuid(tree) => facts.answer(tree, &plan::uuid(ask), other, universe),
            Keys::Geo(tree) => facts.answer(tree, &plan::geo(ask), other, universe),
            Keys::Text(analyzer, tree) => {
                facts.answer(tree, &plan::text(*analyzer, ask), other, universe)
            }
        }
    }

    /// How many slots meet a test, of so many that are visible.
    pub(crate) fn estimate(&self, test: &Test, universe: u64) -> Estimate {
        let facts = &self.facts;
        let all = facts.slots.totals().slots;
        let filled = facts.present.totals().slots + facts.hollow.totals().slots;
        let exactly = |slots: u64, wish: bool| {
            Estimate::exactly(if wish {
                slots
            } else {
                all.saturating_sub(slots)
            })
        };
        let found = match test {
            Test::IsEmpty(wish) => exactly(filled, !wish),
            Test::IsNull(wish) => exactly(facts.null.totals().slots, *wish),
            Test::Count(range) => facts.count(range, filled),
            Test::Except(scalars) => {
                let any = self.foresee(&Ask::any(scalars));
                let present = facts.present.totals().slots;
                let several = facts.several.totals().slots;
                let without = |slots: u64| present.saturating_sub(slots);
                Estimate {
                    min: without(any.max),
                    likely: without(any.likely),
                    max: present.min(without(any.min).saturating_add(several)),
                }
            }
            test => self.foresee(&Ask::of(test)),
        };
        // Slots that are not visible may be those that were counted.
        let hidden = all.saturating_sub(universe);
        let visible = if all == 0 {
            1.0
        } else {
            share(universe, all).min(1.0)
        };
        Estimate {
            min: found.min.saturating_sub(hidden),
            likely: scale(found.likely, visible),
            max: found.max,
        }
        .within(universe)
    }

    fn foresee(&self, ask: &Ask) -> Estimate {
        let facts = &self.facts;
        let found = match &self.keys {
            Keys::Keyword(tree) => facts.foresee(tree, &plan::keyword(ask)),
            Keys::Integer(tree) => facts.foresee(tree, &plan::integer(ask)),
            Keys::Float(tree) => facts.foresee(tree, &plan::float(ask)),
            Keys::Bool(tree) => facts.foresee(tree, &plan::boolean(ask)),
            Keys::Datetime(tree) => facts.foresee(tree, &plan::datetime(ask)),
            Keys::Uuid(tree) => facts.foresee(tree, &plan::uuid(ask)),
            Keys::Geo(tree) => facts.foresee(tree, &plan::geo(ask)),
            Keys::Text(analyzer, tree) => facts.foresee(tree, &plan::text(*analyzer, ask)),
        };
        let other =
            plan::others(self.kind, ask).map_or(0, |s| facts.others[s as usize].totals().slots);
        Estimate {
            max: found.max.saturating_add(other),
            likely: found.likely.saturating_add(other / 2),
            ..found
        }
    }
}

impl Facts {
    fn filled(&self, universe: &RoaringBitmap) -> RoaringBitmap {
        slots_in(&self.present, &(), universe) | slots_in(&self.hollow, &(), universe)
    }

    fn counted(&self, range: &Range<u64>, universe: &RoaringBitmap) -> RoaringBitmap {
        let mut found = Union::default();
        let from = self.counts.walk(|n| !is_after(*n, range.gt, range.gte));
        for entry in from.take_while(|e| is_before(e.key, range.lt, range.lte)) {
            found.add(entry.chunk, &entry.slots);
        }
        let mut found = found.finish() & universe;
        if range.contains(&0) || range.contains(&1) {
            let filled = self.filled(universe);
            if range.contains(&0) {
                found |= universe - &filled;
            }
            if range.contains(&1) {
                found |= filled - slots_in(&self.uncommon, &(), universe);
            }
        }
        found
    }

    /// How many slots have a count within bounds, of so many that are not empty.
    fn count(&self, range: &Range<u64>, filled: u64) -> Estimate {
        let end = self.counts.before(|n| is_before(*n, range.lt, range.lte));
        let begin = self.counts.before(|n| !is_after(*n, range.gt, range.gte));
        let within = (end - begin).slots;
        let mut common = 0;
        if range.contains(&0) {
            common += self.slots.totals().slots.saturating_sub(filled);
        }
        let uncommon = self.uncommon.totals().slots;
        if range.contains(&1) {
            common += filled.saturating_sub(uncommon);
        }
        // A slot may have several counts, by a path to several values.
        let twice = self.counts.totals().slots.saturating_sub(uncommon);
        let max = common + within.min(uncommon);
        Estimate {
            min: common + within.saturating_sub(twice),
            likely: max,
            max,
        }
    }

    fn answer<K: Key>(
        &self,
        tree: &Tree<K>,
        plan: &Plan<K>,
        other: Option<Sort>,
        universe: &RoaringBitmap,
    ) -> Matches {
        let (picked, certain) = match &plan.pick {
            Pick::Groups(groups) => (of_groups(tree, groups, universe), plan.certain),
            Pick::Spans(spans) if is_worth(tree, spans, 1, universe) => {
                (of_spans(tree, spans, |_| true) & universe, plan.certain)
            }
            Pick::Checked(spans, check) if is_worth(tree, spans, LOOK, universe) => {
                (of_spans(tree, spans, check) & universe, plan.certain)
            }
            _ => (slots_in(&self.present, &(), universe), Certain::No),
        };
        let mut found = match certain {
            Certain::Yes => Matches::sure(picked),
            Certain::No => Matches::maybe(picked),
            Certain::UnlessSeveral => {
                let maybe = slots_in(&self.several, &(), &picked);
                Matches {
                    sure: picked - &maybe,
                    maybe,
                }
            }
        };
        if let Some(sort) = other {
            let others = slots_in(&self.others[sort as usize], &(), universe);
            found.maybe |= others - &found.sure;
        }
        found
    }

    fn foresee<K: Key>(&self, tree: &Tree<K>, plan: &Plan<K>) -> Estimate {
        let present = self.present.totals().slots;
        let mut found = match &plan.pick {
            Pick::Groups(groups) => self.foresee_groups(tree, groups),
            Pick::Spans(spans) => {
                let pairs = spans.iter().map(|s| within(tree, s).slots).sum();
                self.of_pairs(pairs, 0)
            }
            Pick::Checked(spans, check) => {
                let pairs: u64 = spans.iter().map(|s| within(tree, s).slots).sum();
                let (mut looked, mut held) = (0_u64, 0_u64);
                for span in spans {
                    for entry in entries(tree, span).take(SAMPLE / spans.len() + 1) {
                        let slots = entry.slots.len();
                        looked += slots;
                        held += if check(&entry.key) { slots } else { 0 };
                    }
                }
                let likely = if looked == 0 {
                    0
                } else {
                    scale(pairs, share(held, looked))
                };
                // What was found may have been one slot by several of its values.
                Estimate {
                    min: held.saturating_sub(self.extra),
                    likely,
                    max: pairs - (looked - held),
                }
            }
            Pick::Present => Estimate {
                min: 0,
                likely: present / 2,
                max: present,
            },
        };
        found.max = found.max.min(present);
        if plan.certain != Certain::Yes {
            found.min = 0;
        }
        found.likely = found.likely.clamp(found.min, found.max);
        found
    }

    fn foresee_groups<K: Key>(&self, tree: &Tree<K>, groups: &[Vec<K>]) -> Estimate {
        let present = self.present.totals().slots;
        let (mut pairs, mut most, mut likely, mut is_pairs) = (0_u64, 0, 0_u64, true);
        for group in groups.iter().take(SAMPLE) {
            let counts: Vec<u64> = group.iter().map(|key| tree.of(key).slots).collect();
            let least = counts.iter().copied().min().unwrap_or(0);
            is_pairs &= group.len() == 1;
            pairs = pairs.saturating_add(least);
            most = most.max(least);
            let shares = counts.iter().map(|n| share(*n, present));
            likely = likely.saturating_add(scale(present, shares.product()));
        }
        if groups.len() > SAMPLE {
            let times = share(groups.len() as u64, SAMPLE as u64);
            return Estimate {
                min: if is_pairs { most } else { 0 },
                likely: scale(likely, times),
                max: present,
            };
        }
        if is_pairs {
            self.of_pairs(pairs, most)
        } else {
            Estimate {
                min: 0,
                likely,
                max: pairs,
            }
        }
    }

    /// How many slots so many pairs of a value and a slot are of, if one value
    /// alone has the most.
    fn of_pairs(&self, pairs: u64, most: u64) -> Estimate {
        Estimate {
            min: most.max(pairs.saturating_sub(self.extra)),
            likely: pairs,
            max: pairs,
        }
    }
}

/// The slots of a set that have a value.
pub fn slots_in<K: Key>(tree: &Tree<K>, key: &K, set: &RoaringBitmap) -> RoaringBitmap {
    let all = tree.of(key).slots;
    if set.is_empty() || all == 0 {
        return RoaringBitmap::new();
    }
    if set.len().saturating_mul(LOOKUP) < all {
        return set
            .iter()
            .filter(|slot| tree.contains(key, *slot))
            .collect();
    }
    tree.slots_of(key) & set
}

fn of_groups<K: Key>(tree: &Tree<K>, groups: &[Vec<K>], set: &RoaringBitmap) -> RoaringBitmap {
    let mut found = RoaringBitmap::new();
    let mut single = Union::default();
    for group in groups {
        if let [key] = &group[..]
            && tree.of(key).slots <= set.len().saturating_mul(LOOKUP)
        {
            for entry in tree.entries_of(key) {
                single.add(entry.chunk, &entry.slots);
            }
            continue;
        }
        let mut keys: Vec<_> = group.iter().map(|key| (tree.of(key).slots, key)).collect();
        keys.sort_unstable();
        let mut left = None;
        for (_, key) in keys {
            left = Some(slots_in(tree, key, left.as_ref().unwrap_or(set)));
        }
        found |= left.unwrap_or_default();
    }
    found | (single.finish() & set)
}

fn within<K: Key>(tree: &Tree<K>, span: &Span<K>) -> Totals {
    tree.before(|k| !(span.after)(k)) - tree.before(&span.before)
}

fn entries<'a, K: Key>(tree: &'a Tree<K>, span: &'a Span<K>) -> impl Iterator<Item = &'a Entry<K>> {
    // Counted first: to compare each entry with the bound takes longer.
    let count = usize::try_from(within(tree, span).entries).unwrap_or(usize::MAX);
    tree.walk(&span.before).take(count)
}

/// Whether walking these spans is less work than checking what is asked for.
fn is_worth<K: Key>(tree: &Tree<K>, spans: &[Span<K>], times: u64, set: &RoaringBitmap) -> bool {
    let entries: u64 = spans.iter().map(|s| within(tree, s).entries).sum();
    entries.saturating_mul(times) <= set.len().saturating_mul(WALK)
}

fn of_spans<K: Key>(
    tree: &Tree<K>,
    spans: &[Span<K>],
    check: impl Fn(&K) -> bool,
) -> RoaringBitmap {
    let mut found = Union::default();
    for span in spans {
        let mut last: Option<(&K, bool)> = None;
        for entry in entries(tree, span) {
            // A value in several chunks is looked at once.
            let holds = match last {
                Some((key, holds)) if *key == entry.key => holds,
                _ => check(&entry.key),
            };
            last = Some((&entry.key, holds));
            if holds {
                found.add(entry.chunk, &entry.slots);
            }
        }
    }
    found.finish()
}

/// One as a part of another.
#[expect(clippy::cast_precision_loss)]
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// So many times as much; the cast takes what is too large to the largest.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
pub fn scale(whole: u64, times: f64) -> u64 {
    (whole as f64 * times).round() as u64
}
