//! Searches with filters that leave some part of all points: by comparing all
//! of these, through the graph, and the way that the engine itself goes.
//!
//! Each point has three numbers, each from 0 to 999 and each number on as many
//! points: `any`, which says nothing of its vector; `near`, the lower the nearer
//! it is to a certain point; and `far`, the other way round. The queries are the
//! ones nearest to that point, so that a filter on `near` leaves their
//! neighbours, and one on `far` what lies behind everything that the graph shows.

use crate::clock::{length, median};
use crate::corpus::{Corpus, K};
use crate::error::Result;
use crate::replica::{Replica, query};
use crate::report::{Section, Table};
use crate::setting::Setting;
use quoit_engine::{Metric, Plan, Query, View};
use quoit_filter::{Condition, Filter, Range, Test};
use std::time::{Duration, Instant};

/// Of a thousand points, how many meet the filter. Those between the ones that
/// are asked for show where one way gets cheaper than another.
const PARTS: [u32; 10] = [1, 10, 20, 50, 100, 200, 300, 500, 700, 900];

/// How the points that meet a filter lie to the queries.
const FIELDS: [&str; 3] = ["any", "near", "far"];

/// Queries of one measurement.
const QUERIES: usize = 100;

/// A round of searches by a way ends after so long, if it has had so many.
const ROUND: Duration = Duration::from_millis(100);
const LEAST: usize = 5;

/// What an answer must be worth, and what it may cost over the cheaper way.
const RECALL: f64 = 0.95;
const OVER_BEST: f64 = 1.2;

/// What a condition on an indexed field may cost, of what it costs without.
const INDEXED: f64 = 0.1;

/// Measures each data set.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("Searches with filters");
    section.text(
        "The ten nearest of the points that meet a range on an indexed field, in process, one thread, without payloads:\n\
         microseconds a search by each way. `any` is independent of the vectors, `near` leaves the points nearest to the\n\
         queries and `far` the farthest. Recall is against all matching points, compared by hand.",
    );
    one(setting, &setting.debian, &mut section)?;
    match setting.mnist()? {
        Ok(corpus) => one(setting, &corpus, &mut section)?,
        Err(why) => section.text(format!("{why}.")),
    }
    Ok(section)
}

/// A data set with its points' numbers.
struct Numbered<'a> {
    corpus: &'a Corpus,
    vectors: Vec<Vec<f32>>,
    queries: Vec<Vec<f32>>,
    /// Of each point: `any`, `near`, `far`.
    numbers: Vec<[u32; 3]>,
}

fn one(setting: &Setting, corpus: &Corpus, section: &mut Section) -> Result<()> {
    let numbered = Numbered::new(corpus);
    let replica = Replica::load_with(setting, corpus, |row| {
        let [any, near, far] = numbered.numbers[row];
        format!(r#"{{"any":{any},"near":{near},"far":{far}}}"#)
    })?;
    let rounds = setting.rounds(5, 3);
    let view = replica.view();
    let [without] = numbered.times(&replica, &view, rounds, (0, 10), [None])?;
    replica.index_fields(&FIELDS)?;
    let view = replica.view();
    let [with] = numbered.times(&replica, &view, rounds, (0, 10), [None])?;
    section.goal(
        format!("a condition on an indexed field, {}, 1 %", corpus.name),
        format!("≤ {INDEXED} × without the index"),
        format!("{:.3} ×", with / without),
        with / without <= INDEXED,
    );

    let mut table = Table::new(&[
        "data",
        "field",
        "matching",
        "recall@10",
        "the scan, µs",
        "the graph, µs",
        "a walk, µs",
        "as chosen, µs",
        "over the cheapest",
    ]);
    let (mut worst_recall, mut worst_cost) = (1.0_f64, 0.0_f64);
    for (field, name) in FIELDS.iter().enumerate() {
        for part in PARTS {
            let ways = [Some(Plan::Scan), Some(Plan::Graph), Some(Plan::Walk), None];
            let times = numbered.times(&replica, &view, rounds, (field, part), ways)?;
            let [scan, graph, walk, chosen] = times;
            let recall = numbered.recall(&replica, &view, field, part)?;
            worst_recall = worst_recall.min(recall);
            let cost = chosen / scan.min(graph).min(walk);
            worst_cost = worst_cost.max(cost);
            table.row([
                corpus.name.to_owned(),
                (*name).to_owned(),
                format!("{} %", f64::from(part) / 10.0),
                format!("{recall:.4}"),
                format!("{:.0}", scan * 1e6),
                format!("{:.0}", graph * 1e6),
                format!("{:.0}", walk * 1e6),
                format!("{:.0}", chosen * 1e6),
                format!("{cost:.2}"),
            ]);
        }
    }
    section.goal(
        format!("recall@10 with a filter, {}, at the worst", corpus.name),
        format!("≥ {RECALL}"),
        format!("{worst_recall:.4}"),
        worst_recall >= RECALL,
    );
    section.goal(
        format!(
            "cost of a search with a filter, {}, at the worst",
            corpus.name
        ),
        format!("≤ {OVER_BEST} × the cheapest way"),
        format!("{worst_cost:.2} ×"),
        worst_cost <= OVER_BEST,
    );
    section.table(table);
    Ok(())
}

impl<'a> Numbered<'a> {
    fn new(corpus: &'a Corpus) -> Self {
        let metric = corpus.metric();
        let prepared = |vector: &[f32]| {
            let mut vector = vector.to_vec();
            metric.prepare(&mut vector);
            vector
        };
        let vectors: Vec<Vec<f32>> = corpus.vectors().map(prepared).collect();
        let centre = vectors[vectors.len() / 2].clone();
        let mut queries: Vec<Vec<f32>> = corpus.queries().into_iter().map(prepared).collect();
        queries.sort_by(|a, b| by_distance(metric, &centre, a, b));
        queries.truncate(QUERIES);

        let mut order: Vec<usize> = (0..vectors.len()).collect();
        order.sort_by(|a, b| by_distance(metric, &centre, &vectors[*a], &vectors[*b]));
        let mut numbers = vec![[0; 3]; vectors.len()];
        let permille = |place: usize| u32::try_from(place * 1000 / order.len()).unwrap_or(999);
        for (place, row) in order.iter().enumerate() {
            // A multiple of an odd number comes to each place once.
            let any = permille(row * 7919 % order.len());
            let near = permille(place);
            numbers[*row] = [any, near, 999 - near];
        }
        Self {
            corpus,
            vectors,
            queries,
            numbers,
        }
    }

    fn filtered(&self, number: usize, field: usize, part: u32, plan: Option<Plan>) -> Query {
        let range = Range {
            lt: Some(f64::from(part)),
            ..Range::default()
        };
        let conditions = FIELDS[field].parse().map(|path| Condition::Field {
            path,
            test: Test::Range(range),
        });
        Query {
            filter: Filter {
                must: conditions.into_iter().collect(),
                ..Filter::default()
            },
            plan,
            ..query(&self.queries[number], None, false)
        }
    }

    /// Seconds a search by each way, the median of some rounds. The ways take
    /// turns: what disturbs the machine for a while disturbs all of them.
    fn times<const N: usize>(
        &self,
        replica: &Replica,
        view: &View,
        rounds: usize,
        (field, part): (usize, u32),
        ways: [Option<Plan>; N],
    ) -> Result<[f64; N]> {
        let queries = |plan| -> Vec<Query> {
            let all = 0..self.queries.len();
            all.map(|number| self.filtered(number, field, part, plan))
                .collect()
        };
        let mut times = ways.map(|plan| (queries(plan), Vec::new()));
        for round in 0..=rounds {
            for (queries, times) in &mut times {
                let started = Instant::now();
                let mut done = 0;
                for query in queries.iter() {
                    std::hint::black_box(replica.search(view, query)?);
                    done += 1;
                    // To look for very few through the graph takes very long.
                    if done >= LEAST && started.elapsed() > ROUND {
                        break;
                    }
                }
                // The first fills the caches.
                if round > 0 {
                    times.push(started.elapsed().as_secs_f64() / length(done));
                }
            }
        }
        Ok(times.map(|(_, times)| median(times)))
    }

    fn recall(&self, replica: &Replica, view: &View, field: usize, part: u32) -> Result<f64> {
        let metric = self.corpus.metric();
        let mut right = 0;
        let mut all = 0;
        for (number, query) in self.queries.iter().enumerate() {
            let distance = |row: usize| metric.distance(query, &self.vectors[row]);
            let meeting = (0..self.vectors.len()).filter(|row| self.numbers[*row][field] < part);
            let mut distances: Vec<f32> = meeting.map(distance).collect();
            distances.sort_by(f32::total_cmp);
            let Some(last) = distances.get(K.min(distances.len()).saturating_sub(1)) else {
                continue;
            };
            let found = replica.search(view, &self.filtered(number, field, part, None))?;
            let rows = found.iter().filter_map(|id| usize::try_from(*id).ok());
            let near =
                |row: &usize| self.numbers[*row][field] < part && distance(*row) <= last + 1e-6;
            right += rows.filter(near).count().min(K);
            all += K.min(distances.len());
        }
        Ok(length(right) / length(all))
    }
}

fn by_distance(metric: Metric, from: &[f32], a: &[f32], b: &[f32]) -> std::cmp::Ordering {
    metric
        .distance(from, a)
        .total_cmp(&metric.distance(from, b))
}
