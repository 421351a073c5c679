//! Makes searches out of what clients ask for: a checked list of steps, those
//! first whose results others need. Decides what a query may ask for and how
//! much; asks no shard.

use std::collections::BTreeSet;

use quoit_filter::Filter;
use quoit_proto::v1::{self, OrderBy};
use quoit_proto::weight::weight;
use quoit_ring::PointId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::error::Error;
use super::likeness::{Likeness, Scoring};
use super::lookup::{LookupFrom, Source};
use super::order::JsonOrder;
use super::prefetch::{Prefetch, Prefetches};
use super::vectors::{Finite, Start};
use super::wish::{Fusion, Mmr, Recommend, Rrf, Strategy, Wish};
use crate::catalog::{Catalog, Collection};
use crate::check::{self, fitting, known, window};
use crate::fanout::read::With;
use crate::fuse::DEFAULT_K;
use crate::narrow;
use crate::spread::MAX_CANDIDATES;

/// How deep prefetches may lie in each other.
const MAX_DEPTH: usize = 4;

/// How many prefetches one query may have, at all depths together.
const MAX_PREFETCHES: usize = 32;

/// Of Qdrant's search parameters those that change an answer. What says how
/// quantized vectors or filters are searched has nothing to act on here.
#[derive(Debug, Deserialize, Default, Clone, Copy, ToSchema)]
pub(crate) struct SearchParams {
    hnsw_ef: Option<u64>,
    exact: Option<bool>,
    indexed_only: Option<bool>,
}

/// What a search asks for, whichever call it came by.
pub(crate) struct Ask {
    pub(crate) wish: Option<Wish>,
    pub(crate) prefetch: Prefetches,
    pub(crate) filter: Filter,
    pub(crate) params: Option<SearchParams>,
    pub(crate) score_threshold: Option<Finite>,
    pub(crate) offset: Option<u64>,
    pub(crate) limit: Option<u64>,
    /// The name of the points' vectors that are looked at; the empty one if
    /// nothing is said.
    pub(crate) using: Option<String>,
    /// Where points that are examples are, if not in the collection itself.
    pub(crate) lookup_from: Option<LookupFrom>,
    /// Where the wish is in the body.
    pub(crate) field: &'static str,
}

/// What one step does.
#[derive(Debug, Clone)]
pub(crate) enum Goal {
    /// Ranks by nearness.
    Near(Aim, Option<Spread>),
    /// Ranks by examples.
    Like(Likeness),
    /// Ranks nothing: points in the order of their ids.
    Order,
    /// Ranks nothing: any points.
    Sample,
    /// Points in the order of a field.
    OrderBy(OrderBy),
    /// Makes one list of the lists before it.
    FusePlaces { k: u64, weights: Vec<f32> },
    /// The same, by scores.
    FuseScores,
}

/// What to be near to: the mean of some examples, and as far on the other side
/// of it as the mean of the others is on this one.
#[derive(Debug, Clone)]
pub(crate) struct Aim {
    pub(crate) positive: Vec<Start>,
    pub(crate) negative: Vec<Start>,
    /// The place of the name whose vectors count.
    pub(crate) using: usize,
    /// Where it is in the body.
    pub(crate) field: String,
    /// Where the points are that are examples, if not in the collection itself.
    pub(crate) from: Option<Source>,
}

impl Aim {
    /// The points that are examples.
    pub(crate) fn points(&self) -> impl Iterator<Item = PointId> {
        let all = self.positive.iter().chain(&self.negative);
        all.filter_map(|start| match start {
            Start::Point(id) => Some(*id),
            Start::Vector(_) => None,
        })
    }
}

/// The points that are examples of a goal.
pub(crate) struct Named<'a> {
    pub(crate) points: Vec<PointId>,
    /// Where they are, if not in the collection itself.
    pub(crate) from: Option<&'a Source>,
    /// The place of the name whose vectors count, in the collection itself.
    pub(crate) using: usize,
    /// Where they are in the body.
    pub(crate) field: &'a str,
}

impl Goal {
    /// The points that are examples of it.
    pub(crate) fn named(&self) -> Option<Named<'_>> {
        match self {
            Self::Near(aim, _) => Some(Named {
                points: aim.points().collect(),
                from: aim.from.as_ref(),
                using: aim.using,
                field: &aim.field,
            }),
            Self::Like(likeness) => Some(Named {
                points: likeness.points(),
                from: likeness.from.as_ref(),
                using: likeness.using,
                field: &likeness.field,
            }),
            _ => None,
        }
    }
}

/// How the answers of a search are to differ from each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) diversity: f32,
    pub(crate) candidates: usize,
}

/// One step of a search.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Where in the body it is asked for.
    pub(crate) place: String,
    pub(crate) goal: Goal,
    /// The steps before it whose points alone it looks at; none: at all points.
    pub(crate) sources: Vec<usize>,
    /// How many steps are to be done one after the other before it.
    pub(crate) height: usize,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
    pub(crate) score_threshold: Option<f32>,
    pub(crate) hnsw_ef: Option<u32>,
    pub(crate) exact: bool,
    /// Leave out what the index does not have yet.
    pub(crate) indexed_only: bool,
    pub(crate) filter: Filter,
    /// The points that are left out: the examples of this search and of those
    /// around it.
    pub(crate) exclude: BTreeSet<PointId>,
}

/// A search, checked: its steps, of which the last is the answer.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// What of each point of the answer is wanted.
    pub(crate) with: With,
    /// Say how its searches went.
    pub(crate) explain: bool,
    /// The memory of what its prefetches have from the searches around them.
    pub(crate) copies: usize,
}

impl Plan {
    /// Checks a search. `place` is where in the body it is.
    pub(crate) fn new(
        collection: &Collection,
        catalog: &dyn Catalog,
        ask: Ask,
        with: With,
        place: &str,
    ) -> Result<Self, Error> {
        let mut planner = Planner {
            collection,
            catalog,
            steps: Vec::new(),
            prefetches: 0,
            prefetched: 0,
            copies: 0,
            place,
        };
        planner.add(ask, place, 0, &Filter::default(), &BTreeSet::new())?;
        let Planner { steps, copies, .. } = planner;
        Ok(Self {
            steps,
            with,
            explain: false,
            copies,
        })
    }

    /// The same, saying how its searches went.
    pub(crate) fn explained(self, explain: bool) -> Self {
        Self { explain, ..self }
    }

    /// The step that makes the answer.
    pub(crate) fn last(&self) -> Option<&Step> {
        self.steps.last()
    }
}

/// Where a wish is, for texts that say what is wrong.
struct At<'a> {
    /// The wish in the body.
    field: &'a str,
    /// The search that it is of.
    place: &'a str,
    /// The name of the vectors that it is about.
    using: &'a str,
}

struct Planner<'a> {
    collection: &'a Collection,
    catalog: &'a dyn Catalog,
    steps: Vec<Step>,
    prefetches: usize,
    /// The limits of all prefetches together.
    prefetched: usize,
    /// The memory of all filters and examples that prefetches have from the
    /// searches around them.
    copies: usize,
    /// Where in the body the whole search is.
    place: &'a str,
}

impl Planner<'_> {
    /// Adds the steps of a search, and returns the place of its last one.
    fn add(
        &mut self,
        ask: Ask,
        place: &str,
        depth: usize,
        outer: &Filter,
        excluded: &BTreeSet<PointId>,
    ) -> Result<usize, Error> {
        if ask.wish.is_none() && !ask.prefetch.all.is_empty() {
            let message = "prefetches need a query that ranks or fuses what they find";
            return Err(Error::fit(format!("{place}query"), message));
        }
        if ask.wish.is_none() && ask.score_threshold.is_some() {
            let message = "without a query there are no scores: leave it out, or send a query";
            return Err(Error::fit(format!("{place}score_threshold"), message));
        }
        if matches!(ask.wish, Some(Wish::OrderBy(_))) && ask.score_threshold.is_some() {
            let message = "in the order of a field there are no scores: leave it out, or start from a value by \
                           `order_by.start_from`";
            return Err(Error::fit(format!("{place}score_threshold"), message));
        }
        let (offset, limit) = window(self.collection, ask.offset, ask.limit, place)?;
        let params = ask.params.unwrap_or_default();
        let hnsw_ef = check::hnsw_ef(self.collection, params.hnsw_ef, || {
            format!("{place}params.hnsw_ef")
        })?;
        let goal = match ask.wish {
            None => Goal::Order,
            Some(wish) => {
                let field = format!("{place}{}", ask.field);
                let at = At {
                    field: &field,
                    place,
                    using: ask.using.as_deref().unwrap_or_default(),
                };
                self.goal(wish, &at, offset + limit, ask.prefetch.all.len())?
            }
        };
        let goal = self.with_lookup(goal, ask.lookup_from.as_ref(), place)?;
        if let Some(named) = goal.named() {
            check::examples(self.collection, named.points.len(), named.field)?;
        }
        if depth > 0 {
            let candidates = match &goal {
                Goal::Near(_, Some(spread)) => spread.candidates,
                _ => 0,
            };
            self.count_prefetched(limit.max(candidates))?;
        }
        // Each prefetch has a copy of what the search around it has.
        if depth > 0 {
            let named = excluded.len() * size_of::<PointId>();
            let filter = weight(&v1::Filter::from(outer));
            self.copies = self.copies.saturating_add(filter).saturating_add(named);
            check::copies(self.collection, self.copies, &format!("{place}filter"))?;
        }
        let filter = narrow::joined(outer, ask.filter);
        let size = filter.check_size();
        size.map_err(|e| Error::validate(format!("{place}filter"), e.to_string()))?;
        let mut exclude = excluded.clone();
        if let Some(named) = goal.named().filter(|named| named.from.is_none()) {
            exclude.extend(named.points);
        }
        let Prefetches { all, is_list } = ask.prefetch;
        let mut sources = Vec::with_capacity(all.len());
        for (i, inner) in all.into_iter().enumerate() {
            let place = if is_list {
                format!("{place}prefetch[{i}].")
            } else {
                format!("{place}prefetch.")
            };
            sources.push(self.add_prefetch(inner, &place, depth + 1, &filter, &exclude)?);
        }
        let before = sources.iter().filter_map(|at| self.steps.get(*at));
        let height = before.map(|step| step.height + 1).max().unwrap_or(0);
        self.steps.push(Step {
            place: place.trim_end_matches('.').to_owned(),
            goal,
            sources,
            height,
            offset,
            limit,
            score_threshold: ask.score_threshold.map(|t| t.0),
            hnsw_ef,
            exact: params.exact.unwrap_or(false),
            indexed_only: params.indexed_only.unwrap_or(false),
            filter,
            exclude,
        });
        Ok(self.steps.len() - 1)
    }

    fn add_prefetch(
        &mut self,
        inner: Prefetch,
        place: &str,
        depth: usize,
        outer: &Filter,
        excluded: &BTreeSet<PointId>,
    ) -> Result<usize, Error> {
        let field = place.trim_end_matches('.');
        if depth > MAX_DEPTH {
            let message = format!("prefetches lie more than {MAX_DEPTH} deep: make it flatter");
            return Err(Error::validate(field, message));
        }
        self.prefetches += 1;
        if self.prefetches > MAX_PREFETCHES {
            let message = format!("more than {MAX_PREFETCHES} prefetches: send several queries");
            return Err(Error::validate(field, message));
        }
        self.add(inner.into_ask(), place, depth, outer, excluded)
    }

    /// Each prefetch keeps so many points until the query is done: the bound
    /// on one search holds for all of them together.
    fn count_prefetched(&mut self, limit: usize) -> Result<(), Error> {
        let max = self.collection.params().limits.max_search_limit;
        self.prefetched = self.prefetched.saturating_add(limit);
        if self.prefetched <= max {
            return Ok(());
        }
        let message = format!(
            "the limits of all prefetches, or their candidates, are together more than {max}: ask for fewer points"
        );
        Err(Error::validate(format!("{}prefetch", self.place), message))
    }

    fn goal(&self, wish: Wish, at: &At<'_>, last: usize, sources: usize) -> Result<Goal, Error> {
        let field = at.field;
        match wish {
            Wish::Nearest { start, mmr } => {
                let spread = mmr.map(|mmr| self.spread(mmr, field, last)).transpose()?;
                let using = self.using(at)?;
                self.fitting(&start, at, field)?;
                let aim = Aim {
                    positive: vec![start],
                    negative: Vec::new(),
                    using,
                    field: field.to_owned(),
                    from: None,
                };
                Ok(Goal::Near(aim, spread))
            }
            Wish::Recommend(examples) => self.recommend(examples, at),
            Wish::Discover(discover) => {
                self.like(Scoring::Discover(discover), at, &within(field, "discover"))
            }
            Wish::Context(pairs) if pairs.all.is_empty() => {
                let message = "at least one pair is needed: {\"positive\": …, \"negative\": …}";
                Err(Error::fit(
                    within(field, "context").trim_end_matches('.'),
                    message,
                ))
            }
            Wish::Context(pairs) => {
                self.like(Scoring::Context(pairs), at, &within(field, "context"))
            }
            Wish::Sample => Ok(Goal::Sample),
            Wish::OrderBy(JsonOrder(order)) => Ok(Goal::OrderBy(order)),
            Wish::Fuse(_) if sources == 0 => {
                let message = "there is nothing to fuse: send the lists to fuse as `prefetch`";
                Err(Error::fit(field, message))
            }
            Wish::Fuse(Fusion::Dbsf) => Ok(Goal::FuseScores),
            Wish::Fuse(Fusion::Rrf(Rrf { k, weights })) => {
                if k == Some(0) {
                    let message = "value 0 invalid, must be 1 or larger";
                    return Err(Error::validate(format!("{field}.rrf.k"), message));
                }
                let weights: Vec<f32> = weights.unwrap_or_default().iter().map(|w| w.0).collect();
                let at = format!("{field}.rrf.weights");
                if !weights.is_empty() && weights.len() != sources {
                    let message = format!(
                        "{} weights for {sources} prefetches: send one for each, or none",
                        weights.len()
                    );
                    return Err(Error::fit(at, message));
                }
                if let Some(bad) = weights.iter().find(|weight| **weight < 0.0) {
                    let message = format!("value {bad} invalid, must be 0 or larger");
                    return Err(Error::validate(at, message));
                }
                let k = k.unwrap_or(DEFAULT_K);
                Ok(Goal::FusePlaces { k, weights })
            }
        }
    }

    fn spread(&self, mmr: Mmr, field: &str, last: usize) -> Result<Spread, Error> {
        let diversity = mmr.diversity.map_or(0.5, |d| d.0);
        if !(0.0..=1.0).contains(&diversity) {
            let message = format!("value {diversity} invalid, must be from 0 to 1");
            return Err(Error::validate(format!("{field}.mmr.diversity"), message));
        }
        let max = self.collection.params().limits.max_search_limit;
        let max = max.min(MAX_CANDIDATES);
        let wanted = mmr.candidates_limit.unwrap_or(last as u64);
        let candidates = usize::try_from(wanted).unwrap_or(usize::MAX);
        if (1..=max).contains(&candidates) {
            return Ok(Spread {
                diversity,
                candidates,
            });
        }
        let message = format!(
            "value {wanted} invalid, must be from 1 to {max}; left out, it is offset and limit together"
        );
        let at = format!("{field}.mmr.candidates_limit");
        Err(Error::validate(at, message))
    }

    /// The same with its examples in another collection.
    fn with_lookup(
        &self,
        mut goal: Goal,
        lookup: Option<&LookupFrom>,
        place: &str,
    ) -> Result<Goal, Error> {
        let source = |using| {
            let source = lookup.map(|l| l.resolve(self.collection, using, self.catalog, place));
            Ok::<_, Error>(source.transpose()?.flatten())
        };
        match &mut goal {
            Goal::Near(aim, _) => aim.from = source(aim.using)?,
            Goal::Like(likeness) => likeness.from = source(likeness.using)?,
            // It changes nothing, and still it must be one that there is.
            _ => lookup.map_or(Ok(()), |lookup| lookup.check(self.catalog))?,
        }
        Ok(goal)
    }

    fn using(&self, at: &At<'_>) -> Result<usize, Error> {
        known(self.collection, at.using, || match at.field {
            // The older search names it beside the numbers.
            field if field.ends_with("vector") => format!("{field}.name"),
            _ => format!("{}using", at.place),
        })
    }

    /// A scoring whose examples fit the collection. `at` is where they are.
    fn like(&self, scoring: Scoring, of: &At<'_>, at: &str) -> Result<Goal, Error> {
        let using = self.using(of)?;
        for (name, start) in scoring.starts() {
            let at = if name.starts_with('[') {
                at.trim_end_matches('.')
            } else {
                at
            };
            self.fitting(start, of, &format!("{at}{name}"))?;
        }
        Ok(Goal::Like(Likeness {
            scoring,
            using,
            field: at.trim_end_matches('.').to_owned(),
            from: None,
        }))
    }

    fn recommend(&self, wanted: Recommend, of: &At<'_>) -> Result<Goal, Error> {
        let at = within(of.field, "recommend");
        let strategy = wanted.strategy.unwrap_or_default();
        if strategy == Strategy::AverageVector {
            return Ok(Goal::Near(self.examples(wanted, of, &at)?, None));
        }
        let (positive, negative) = (
            wanted.positive.unwrap_or_default(),
            wanted.negative.unwrap_or_default(),
        );
        if positive.is_empty() && negative.is_empty() {
            let message =
                "at least one positive or negative example is needed: a point id or a vector";
            return Err(Error::fit(format!("{at}positive"), message));
        }
        let scoring = if strategy == Strategy::BestScore {
            Scoring::BestScore { positive, negative }
        } else {
            Scoring::SumScores { positive, negative }
        };
        self.like(scoring, of, &at)
    }

    fn examples(&self, wanted: Recommend, of: &At<'_>, at: &str) -> Result<Aim, Error> {
        let using = self.using(of)?;
        let (positive, negative) = (
            wanted.positive.unwrap_or_default(),
            wanted.negative.unwrap_or_default(),
        );
        if positive.is_empty() {
            let message = "at least one positive example is needed: a point id or a vector";
            return Err(Error::fit(format!("{at}positive"), message));
        }
        for (name, list) in [("positive", &positive), ("negative", &negative)] {
            for (i, start) in list.iter().enumerate() {
                self.fitting(start, of, &format!("{at}{name}[{i}]"))?;
            }
        }
        Ok(Aim {
            positive,
            negative,
            using,
            field: format!("{at}positive"),
            from: None,
        })
    }

    fn fitting(&self, start: &Start, of: &At<'_>, field: &str) -> Result<(), Error> {
        if let Start::Vector(vector) = start {
            fitting(self.collection, of.using, vector, || field.to_owned())?;
        }
        Ok(())
    }
}

/// The place of what is inside a query of a kind; the older calls have it in
/// their body itself.
fn within(field: &str, kind: &str) -> String {
    match field {
        "" => String::new(),
        field if field.ends_with('.') => field.to_owned(),
        field => format!("{field}.{kind}."),
    }
}
