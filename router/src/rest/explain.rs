//! How a search went, as people and `quoit explain` read it: for each step the
//! way that each shard took, why, and what it looked at.

use quoit_proto::v1::explanation::{Cost, Plan as Way, Why};
use quoit_proto::v1::{Explanation, ShardExplanation};
use serde::Serialize;
use utoipa::ToSchema;

use super::plan::{Goal, Plan, Step};
use super::run::Found;

/// A search.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explained<'a> {
    /// Its steps, those first whose results others need.
    steps: Vec<ExplainedStep<'a>>,
}

#[derive(Serialize, ToSchema)]
struct ExplainedStep<'a> {
    /// Where in the body it is asked for; empty for the query itself.
    place: &'a str,
    goal: &'static str,
    /// Empty for a step that is no search, and for one that had nothing to look at.
    shards: Vec<ExplainedShard<'a>>,
}

#[derive(Serialize, ToSchema)]
struct ExplainedShard<'a> {
    shard: u32,
    /// `scan`: every point that may be found was compared; `graph`: the graph
    /// proposed candidates; `walk`: its edges were followed.
    plan: &'static str,
    why: &'static str,
    vectors: u64,
    /// Vectors that the graph does not have yet.
    tail: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<ExplainedFilter<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_us: Option<Expected>,
    lists: Vec<ExplainedList>,
    compared: u64,
    payloads_read: u64,
}

#[derive(Serialize, ToSchema)]
struct ExplainedFilter<'a> {
    sure: u64,
    unsure: u64,
    estimate: u64,
    without_index: &'a [String],
}

/// In microseconds.
#[derive(Serialize, ToSchema)]
struct Expected {
    scan: f64,
    graph: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    walk: Option<f64>,
}

#[derive(Serialize, ToSchema)]
struct ExplainedList {
    asked: u64,
    passed: u64,
}

/// How a plan went.
pub(crate) fn explained<'a>(plan: &'a Plan, found: &'a Found) -> Explained<'a> {
    let steps = plan.steps.iter().zip(&found.steps);
    Explained {
        steps: steps.map(|(step, shards)| of_step(step, shards)).collect(),
    }
}

fn of_step<'a>(step: &'a Step, shards: &'a [ShardExplanation]) -> ExplainedStep<'a> {
    let goal = match &step.goal {
        Goal::Near(..) => "nearest",
        Goal::Like(_) => "by examples",
        Goal::Order => "in the order of ids",
        Goal::Sample => "random sample",
        Goal::OrderBy(_) => "in the order of a field",
        Goal::FusePlaces { .. } => "fusion by places",
        Goal::FuseScores => "fusion by scores",
    };
    let shards = shards.iter().filter_map(|explained| {
        let explanation = explained.explanation.as_ref()?;
        Some(of_shard(explained.shard, explanation))
    });
    ExplainedStep {
        place: &step.place,
        goal,
        shards: shards.collect(),
    }
}

fn of_shard(shard: u32, explanation: &Explanation) -> ExplainedShard<'_> {
    let lists = explanation.lists.iter();
    ExplainedShard {
        shard,
        plan: match explanation.plan() {
            Way::Scan => "scan",
            Way::Graph => "graph",
            Way::Walk => "walk",
            Way::Unspecified => "unknown",
        },
        why: why(explanation),
        vectors: explanation.vectors,
        tail: explanation.tail,
        filter: explanation.filter.as_ref().map(|filter| ExplainedFilter {
            sure: filter.sure,
            unsure: filter.unsure,
            estimate: filter.estimate,
            without_index: &filter.unindexed,
        }),
        expected_us: explanation.cost.as_ref().map(expected),
        lists: lists
            .map(|list| ExplainedList {
                asked: list.asked,
                passed: list.passed,
            })
            .collect(),
        compared: explanation.compared,
        payloads_read: explanation.payloads,
    }
}

fn why(explanation: &Explanation) -> &'static str {
    match (explanation.why(), explanation.plan()) {
        (Why::Asked, _) => "every point that may be found was to be compared",
        (Why::NoGraph, _) => "there is no graph: the index is flat, or not built yet",
        (Why::Few, _) => "so few points may be found that to compare them all is as quick",
        (Why::Cheaper, Way::Graph) => "to compare all that may be found would take longer",
        (Why::Cheaper, Way::Walk) => {
            "to compare all that may be found would take longer, and so would a list with enough of it"
        }
        (Why::Cheaper, _) => "so few meet the filter that the graph would take longer",
        (Why::ListsTooShort, _) => {
            "what meets the filter is not near the query: to find enough of it by the graph would take longer"
        }
        (Why::TooFewLeft, _) => {
            "payloads left too few of the graph's list; an index on the fields without one tells before"
        }
        (Why::NotBounded, _) => {
            "the graph does not bound what other points score by these examples"
        }
        (Why::Unspecified, _) => "the shard did not say",
    }
}

/// Of nanoseconds, to a tenth of a microsecond: they are estimates.
fn expected(cost: &Cost) -> Expected {
    let us = |ns: f64| (ns / 100.0).round() / 10.0;
    Expected {
        scan: us(cost.scan),
        graph: us(cost.graph),
        walk: cost.walk.map(us),
    }
}
