//! Runs the steps of searches. What needs no other step comes first, for all
//! searches of a request at once: each level of prefetches is one request to
//! each shard, however many searches there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use futures::future::try_join_all;
use quoit_filter::Filter;
use quoit_proto::v1::{self, ShardExplanation};
use quoit_ring::PointId;

use super::error::Error;
use super::likeness::Likeness;
use super::lookup::Source;
use super::plan::{Aim, Goal, Plan, Spread, Step};
use super::sampled::sampled;
use super::vectors::Start;
use crate::catalog::{Collection, VectorSet};
use crate::check;
use crate::fanout::Row;
use crate::fanout::ordered::scroll_by;
use crate::fanout::read::{self, With};
use crate::fanout::search::{self, Nearest, Scored};
use crate::sample::Random;
use crate::{fanout, fuse, mean, narrow, spread};

/// Of a point whose place in a list is all that counts.
const NOTHING: With = With {
    payload: false,
    vectors: VectorSet::NONE,
};

/// What a plan found.
#[derive(Default)]
pub(crate) struct Found {
    /// The best first.
    pub(crate) hits: Vec<Scored>,
    /// How each of its steps went, if that was asked for; empty for those that
    /// were no search.
    pub(crate) steps: Vec<Vec<ShardExplanation>>,
}

/// Runs the plans; one answer for each.
pub(crate) async fn run(collection: &Collection, plans: &[Plan]) -> Result<Vec<Found>, Error> {
    let examples = examples(collection, plans).await?;
    let mut found: Vec<Vec<Vec<Scored>>> = plans
        .iter()
        .map(|plan| plan.steps.iter().map(|_| Vec::new()).collect())
        .collect();
    let mut explanations: Vec<Vec<Vec<ShardExplanation>>> = plans
        .iter()
        .map(|plan| plan.steps.iter().map(|_| Vec::new()).collect())
        .collect();
    let levels = plans.iter().filter_map(Plan::last).map(|s| s.height + 1);
    for level in 0..levels.max().unwrap_or(0) {
        let (mut searches, mut places_of_searches) = (Vec::new(), Vec::new());
        let (mut others, mut places_of_others) = (Vec::new(), Vec::new());
        for (p, (plan, found)) in plans.iter().zip(&found).enumerate() {
            for (s, step) in plan.steps.iter().enumerate() {
                if step.height != level {
                    continue;
                }
                let sources = step.sources.iter().filter_map(|at| found.get(*at));
                let sources: Vec<&[Scored]> = sources.map(Vec::as_slice).collect();
                if !sources.is_empty() && sources.iter().all(|list| list.is_empty()) {
                    continue;
                }
                let is_last = s + 1 == plan.steps.len();
                let with = if is_last { plan.with } else { NOTHING };
                let sought = match &step.goal {
                    Goal::Near(aim, spread) => {
                        let vector = vector(collection, aim, &examples)?;
                        Some((aim.using, vector, None, spread.as_ref()))
                    }
                    Goal::Like(likeness) => {
                        let objective = objective(collection, likeness, &examples)?;
                        Some((likeness.using, Vec::new(), Some(objective), None))
                    }
                    _ => None,
                };
                if let Some((using, vector, objective, spread)) = sought {
                    let search = nearest(step, (using, vector), spread, &sources, with);
                    searches.push(Nearest {
                        objective,
                        explain: plan.explain,
                        ..search
                    });
                    places_of_searches.push((p, s));
                } else {
                    others.push(unranked(collection, step, sources, with));
                    places_of_others.push((p, s));
                }
            }
        }
        let (answers, lists) =
            futures::try_join!(search::search(collection, &searches), try_join_all(others))?;
        for ((p, s), answer) in places_of_searches.into_iter().zip(answers) {
            let mut hits = answer.hits;
            explanations[p][s] = answer.explanations;
            let step = &plans[p].steps[s];
            if let Goal::Near(aim, Some(wish)) = &step.goal {
                hits = spread_out(collection, hits, aim.using, *wish, step).await?;
                if !plans[p].with.vectors.contains(aim.using) {
                    // It was wanted for the choice alone.
                    let name = &collection.params().vectors[aim.using].name;
                    for hit in &mut hits {
                        hit.row.point.vectors.retain(|v| v.name != *name);
                    }
                }
            }
            found[p][s] = hits;
        }
        for ((p, s), list) in places_of_others.into_iter().zip(lists) {
            found[p][s] = list;
        }
    }
    let answers = found.into_iter().zip(explanations);
    let answers = answers.map(|(mut found, steps)| Found {
        hits: found.pop().unwrap_or_default(),
        steps,
    });
    Ok(answers.collect())
}

/// The name that no collection has, for the one that is searched.
const OWN: &str = "";

/// The vectors of points, by collection.
type Examples = HashMap<String, HashMap<PointId, Vec<v1::Vector>>>;

/// Points of one collection, and which of their vectors are wanted.
struct Wanted<'a> {
    collection: &'a Collection,
    points: BTreeSet<PointId>,
    vectors: VectorSet,
}

/// The vectors of the points that searches start from.
async fn examples(collection: &Collection, plans: &[Plan]) -> Result<Examples, Error> {
    let steps = plans.iter().flat_map(|plan| &plan.steps);
    let mut wanted: BTreeMap<&str, Wanted> = BTreeMap::new();
    let mut count = 0;
    for named in steps.filter_map(|step| step.goal.named()) {
        let (name, from, using) = match named.from {
            None => (OWN, collection, named.using),
            Some(other) => (other.collection.name(), &*other.collection, other.using),
        };
        let wanted = wanted.entry(name).or_insert(Wanted {
            collection: from,
            points: BTreeSet::new(),
            vectors: VectorSet::NONE,
        });
        count -= wanted.points.len();
        wanted.points.extend(named.points);
        wanted.vectors = wanted.vectors.with(using);
        count += wanted.points.len();
        check::examples(collection, count, named.field)?;
    }
    let reads = wanted.into_iter().filter(|(_, w)| !w.points.is_empty());
    let reads = reads.map(|(name, wanted)| async move {
        let ids: Vec<PointId> = wanted.points.into_iter().collect();
        let with = With {
            payload: false,
            vectors: wanted.vectors,
        };
        let rows = read::retrieve(wanted.collection, &ids, with).await?;
        let vectors: HashMap<_, _> = rows.into_iter().map(|r| (r.id, r.point.vectors)).collect();
        match ids.iter().find(|id| !vectors.contains_key(id)) {
            Some(id) => Err(Error::FindPoint(*id)),
            None => Ok((name.to_owned(), vectors)),
        }
    });
    Ok(try_join_all(reads).await?.into_iter().collect())
}

/// What the shards score points by, with a vector for each example.
fn objective(
    collection: &Collection,
    likeness: &Likeness,
    examples: &Examples,
) -> Result<v1::Objective, Error> {
    let of = Known {
        collection,
        examples,
        from: likeness.from.as_ref(),
        using: likeness.using,
        field: &likeness.field,
    };
    likeness
        .scoring
        .objective(|start| of.vector(start).map(<[f32]>::to_vec))
}

/// The vectors that examples stand for.
struct Known<'a> {
    collection: &'a Collection,
    examples: &'a Examples,
    /// Where points are, if not in the collection itself.
    from: Option<&'a Source>,
    /// The place of the name whose vectors count.
    using: usize,
    /// Where the examples are in the body.
    field: &'a str,
}

impl<'a> Known<'a> {
    fn vector<'s>(&self, start: &'s Start) -> Result<&'s [f32], Error>
    where
        'a: 's,
    {
        let id = match start {
            Start::Vector(vector) => return Ok(vector),
            Start::Point(id) => *id,
        };
        let (key, from, using) = match self.from {
            None => (OWN, self.collection, self.using),
            Some(other) => (other.collection.name(), &*other.collection, other.using),
        };
        let found = self.examples.get(key).and_then(|points| points.get(&id));
        let vectors = found.ok_or(Error::FindPoint(id))?;
        let name = &from.params().vectors[using].name;
        let vector = vectors.iter().find(|vector| vector.name == *name);
        vector.map(|v| v.values.as_slice()).ok_or_else(|| {
            let message = format!("point {id} has no vector {name:?} to start from");
            Error::fit(self.field, message)
        })
    }

    fn vectors(&self, starts: &'a [Start]) -> Result<Vec<&'a [f32]>, Error> {
        starts.iter().map(|start| self.vector(start)).collect()
    }
}

fn vector(collection: &Collection, aim: &Aim, examples: &Examples) -> Result<Vec<f32>, Error> {
    let of = Known {
        collection,
        examples,
        from: aim.from.as_ref(),
        using: aim.using,
        field: &aim.field,
    };
    let aimed = mean::aim(&of.vectors(&aim.positive)?, &of.vectors(&aim.negative)?);
    aimed.ok_or_else(|| {
        let message =
            "the mean of the examples is out of the range of 32-bit floats: scale them down";
        Error::fit(&aim.field, message)
    })
}

/// The filter of a step that looks at what others found.
fn filter_of(step: &Step, sources: &[&[Scored]]) -> Filter {
    let filter = narrow::without(step.filter.clone(), &step.exclude);
    if step.sources.is_empty() {
        return filter;
    }
    let ids = sources.iter().flat_map(|list| list.iter());
    narrow::among(filter, ids.map(|hit| hit.row.id).collect())
}

fn nearest(
    step: &Step,
    (using, vector): (usize, Vec<f32>),
    spread: Option<&Spread>,
    sources: &[&[Scored]],
    with: With,
) -> Nearest {
    let (filter, exclude) = if step.sources.is_empty() {
        (step.filter.clone(), step.exclude.clone())
    } else {
        (filter_of(step, sources), BTreeSet::new())
    };
    // Points are spread out by their vectors, and before any are skipped.
    let (offset, limit) = match spread {
        Some(spread) => (0, spread.candidates),
        None => (step.offset, step.limit),
    };
    Nearest {
        vector,
        using,
        objective: None,
        offset,
        limit,
        with: With {
            payload: with.payload,
            vectors: match spread {
                Some(_) => with.vectors.with(using),
                None => with.vectors,
            },
        },
        score_threshold: step.score_threshold,
        hnsw_ef: step.hnsw_ef,
        // The graph would look elsewhere for what is sought among few.
        exact: step.exact || !step.sources.is_empty(),
        indexed_only: step.indexed_only,
        explain: false,
        filter,
        exclude,
    }
}

async fn spread_out(
    collection: &Collection,
    hits: Vec<Scored>,
    using: usize,
    wish: Spread,
    step: &Step,
) -> Result<Vec<Scored>, Error> {
    let params = &collection.params().vectors[using];
    let candidates: Vec<spread::Candidate> = hits
        .iter()
        .map(|hit| {
            let vectors = &hit.row.point.vectors;
            let vector = vectors.iter().find(|vector| vector.name == params.name);
            spread::Candidate {
                score: hit.score,
                vector: vector.map(|v| v.values.clone()).unwrap_or_default(),
            }
        })
        .collect();
    let metric = params.metric;
    let last = step.offset + step.limit;
    // Many candidates keep a core busy for long: other requests go on.
    let choose = move || spread::spread(metric, &candidates, wish.diversity, last);
    let order = tokio::task::spawn_blocking(choose).await?;
    let taken = order.into_iter().skip(step.offset);
    Ok(taken.filter_map(|at| hits.get(at).cloned()).collect())
}

/// What a step finds that is no search.
async fn unranked(
    collection: &Collection,
    step: &Step,
    sources: Vec<&[Scored]>,
    with: With,
) -> Result<Vec<Scored>, fanout::Error> {
    match &step.goal {
        Goal::FusePlaces { k, weights } => {
            let lists = lists(&sources);
            fused(
                collection,
                step,
                fuse::by_places(&lists, *k, weights),
                &sources,
                with,
            )
            .await
        }
        Goal::FuseScores => {
            let lists = lists(&sources);
            fused(collection, step, fuse::by_scores(&lists), &sources, with).await
        }
        Goal::Sample => {
            let filter = filter_of(step, &sources);
            any(collection, step, &filter, with).await
        }
        Goal::OrderBy(order) => {
            let filter = filter_of(step, &sources);
            let part = (step.offset, step.limit);
            let rows = scroll_by(collection, &filter, order, part, with).await?;
            Ok(rows.into_iter().map(unscored).collect())
        }
        // What is near is searched for with all others of its level.
        Goal::Order | Goal::Near(..) | Goal::Like(_) => {
            let filter = filter_of(step, &sources);
            in_order(collection, step, &filter, with).await
        }
    }
}

fn lists(sources: &[&[Scored]]) -> Vec<Vec<(PointId, f32)>> {
    let list = |list: &&[Scored]| list.iter().map(|hit| (hit.row.id, hit.score)).collect();
    sources.iter().map(list).collect()
}

/// The part of a fused list that is asked for.
async fn fused(
    collection: &Collection,
    step: &Step,
    ranked: Vec<(PointId, f32)>,
    sources: &[&[Scored]],
    with: With,
) -> Result<Vec<Scored>, fanout::Error> {
    let hits = sources.iter().flat_map(|list| list.iter());
    let mut rows: HashMap<_, _> = hits.map(|hit| (hit.row.id, &hit.row)).collect();
    let near = |score: f32| step.score_threshold.is_none_or(|least| score >= least);
    let ranked = ranked.into_iter().filter(|(_, score)| near(*score));
    let ranked = ranked.skip(step.offset).take(step.limit);
    let hits = ranked.filter_map(|(id, score)| {
        let row = Row {
            // Its place is that of its score now.
            order_value: None,
            ..rows.remove(&id)?.clone()
        };
        Some(Scored { row, score })
    });
    complete(collection, hits.collect(), with).await
}

/// Any points, each with the score 1 as where they are in order.
async fn any(
    collection: &Collection,
    step: &Step,
    filter: &Filter,
    with: With,
) -> Result<Vec<Scored>, fanout::Error> {
    // The standard library draws its keys from the system's randomness.
    let random = Random::new(RandomState::new().hash_one(step.limit));
    let rows = sampled(collection, filter, step.offset + step.limit, random).await?;
    let rows = rows.into_iter().skip(step.offset);
    let hits = rows.map(unscored);
    complete(collection, hits.collect(), with).await
}

/// The same points with what is wanted of them; one that is deleted meanwhile
/// is left out.
async fn complete(
    collection: &Collection,
    hits: Vec<Scored>,
    with: With,
) -> Result<Vec<Scored>, fanout::Error> {
    if !with.payload && with.vectors == VectorSet::NONE {
        return Ok(hits);
    }
    let ids: Vec<PointId> = hits.iter().map(|hit| hit.row.id).collect();
    let rows = read::retrieve(collection, &ids, with).await?;
    let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
    let hits = hits.into_iter().filter_map(|hit| {
        let row = rows.remove(&hit.row.id)?;
        Some(Scored { row, ..hit })
    });
    Ok(hits.collect())
}

/// The points in the order of their ids, each with the score 1, which is what
/// Qdrant answers where nothing is ranked.
async fn in_order(
    collection: &Collection,
    step: &Step,
    filter: &Filter,
    with: With,
) -> Result<Vec<Scored>, fanout::Error> {
    let all = step.offset + step.limit;
    let page = read::scroll(collection, filter, None, all, with).await?;
    let rows = page.rows.into_iter().skip(step.offset);
    Ok(rows.map(unscored).collect())
}

/// A point that is not ranked, with the score that Qdrant gives to it.
fn unscored(row: Row) -> Scored {
    Scored { row, score: 1.0 }
}
