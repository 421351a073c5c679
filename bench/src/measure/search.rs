//! Searches in process, through the engine and by the bare library, at equal
//! recall. The two are not equally exact with the same candidate list, since
//! the engine compares its candidates again on full precision; so each is
//! measured with many lists, and the rates are read off at the same recall.

pub mod curve;

use crate::bare::Bare;
use crate::clock::{length, median, process_cpu};
use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::replica::{Replica, query};
use crate::report::{Section, Table};
use crate::setting::Setting;
use curve::{Curve, Point};
use quoit_engine::{Query, View};
use std::sync::Arc;
use std::time::Instant;

/// Candidate lists that both are measured with.
const LISTS: [usize; 10] = [10, 14, 20, 28, 40, 64, 96, 128, 192, 256];

/// Where the rates are compared.
const RECALLS: [f64; 4] = [0.95, 0.98, 0.99, 0.995];

/// Graphs are built with this many threads.
const BUILDERS: usize = 2;

/// The least part of the bare library's rate.
const GOAL: f64 = 0.9;

/// One of the two that are compared.
trait Contender: Sync {
    /// Prepares for this candidate list.
    fn set_ef(&mut self, ef: usize);
    /// The answer to the query of this number.
    fn answer(&self, query: usize) -> Result<Vec<u64>>;
}

struct Ours<'a> {
    replica: &'a Replica,
    view: Arc<View>,
    queries: Vec<Query>,
}

impl Contender for Ours<'_> {
    fn set_ef(&mut self, ef: usize) {
        for query in &mut self.queries {
            query.ef = Some(ef);
        }
    }

    fn answer(&self, query: usize) -> Result<Vec<u64>> {
        self.replica.search(&self.view, &self.queries[query])
    }
}

struct Theirs<'a> {
    bare: Bare,
    queries: Vec<&'a [f32]>,
}

impl Contender for Theirs<'_> {
    fn set_ef(&mut self, ef: usize) {
        self.bare.set_ef(ef);
    }

    fn answer(&self, query: usize) -> Result<Vec<u64>> {
        self.bare.search(self.queries[query])
    }
}

/// What several graphs, built anew, came to.
struct Compared {
    threads: usize,
    /// For each recall, the engine's rate over the bare library's, graph by graph.
    rates: Vec<Vec<f64>>,
    /// The same, by processor time and not by the clock on the wall.
    by_cpu: Vec<Vec<f64>>,
}

/// Measures rates and compares them.
pub fn run(setting: &Setting) -> Result<Section> {
    let corpus = &setting.debian;
    let mut compared: Vec<Compared> = [1, 2]
        .map(|threads| Compared {
            threads,
            rates: vec![Vec::new(); RECALLS.len()],
            by_cpu: vec![Vec::new(); RECALLS.len()],
        })
        .into();
    let mut lists = Table::new(&[
        "hnsw_ef",
        "recall, Quoit",
        "recall, bare",
        "Quoit's rate over the bare one's",
    ]);
    for graph in 0..setting.rounds(3, 1) {
        let replica = Replica::load(setting, corpus)?;
        let queries: Vec<&[f32]> = corpus.queries();
        let mut ours = Ours {
            view: replica.view(),
            queries: queries.iter().map(|q| query(q, None, false)).collect(),
            replica: &replica,
        };
        let mut theirs = Theirs {
            bare: Bare::build(corpus, BUILDERS)?.0,
            queries,
        };
        for one in &mut compared {
            let rounds = setting.rounds(5, 3);
            let (our, their) = curves(corpus, one.threads, rounds, &mut ours, &mut theirs)?;
            for (i, recall) in RECALLS.iter().enumerate() {
                if let (Some(our), Some(their)) = (our.at(*recall), their.at(*recall)) {
                    one.rates[i].push(our.rate / their.rate);
                    one.by_cpu[i].push(our.rate_by_cpu / their.rate_by_cpu);
                }
            }
            if graph == 0 && one.threads == 1 {
                for (ef, (our, their)) in LISTS.iter().zip(our.points().zip(their.points())) {
                    lists.row([
                        ef.to_string(),
                        format!("{:.4}", our.recall),
                        format!("{:.4}", their.recall),
                        format!("{:.2}", our.rate / their.rate),
                    ]);
                }
            }
        }
    }
    Ok(section(&compared, lists))
}

fn section(compared: &[Compared], lists: Table) -> Section {
    let mut section = Section::new("Search in process");
    section.text(
        "The ten nearest on debian-20k, without payloads: a view of the engine against usearch by itself (inner product of\n\
         normalised vectors, bf16, the same M and ef_construction). Both run turn by turn with each candidate list, on several\n\
         graphs built anew; rates are medians, read off at the same recall. The second figure counts processor time and is\n\
         blind to other work on the machine.",
    );
    let mut table = Table::new(&[
        "threads",
        "at recall",
        "rate, Quoit / bare",
        "by processor time",
    ]);
    for one in compared {
        let mut worst = f64::INFINITY;
        for (i, recall) in RECALLS.iter().enumerate() {
            if one.rates[i].is_empty() {
                continue;
            }
            let rate = median(one.rates[i].iter().copied());
            let by_cpu = median(one.by_cpu[i].iter().copied());
            worst = worst.min(rate);
            table.row([
                one.threads.to_string(),
                recall.to_string(),
                format!("{rate:.2}"),
                format!("{by_cpu:.2}"),
            ]);
        }
        section.goal(
            format!(
                "rate of searches, {} thread(s), at the worst of these recalls",
                one.threads
            ),
            format!("≥ {GOAL} × bare"),
            format!("{worst:.2} ×"),
            worst >= GOAL && worst.is_finite(),
        );
    }
    section.table(table);
    section.text(
        "Where the lists are short the engine is behind, and what bounds it is memory: the walk through the graph measures as\n\
         many distances as the bare one's, and then each of the ten and more best is read again at full precision, 1.5 KiB\n\
         from another place than the graph, which is in no near cache, and which drives some of the graph out. Faster\n\
         kernels change nothing there and prefetching a hundredth; what would is a graph that keeps the full precision\n\
         beside its own, or scores that are not exact. The exact scores are what wins at the recalls that are asked for\n\
         in earnest.",
    );
    section.text("With the same candidate list, one thread, one graph:");
    section.table(lists);
    section
}

fn curves(
    corpus: &Corpus,
    threads: usize,
    rounds: usize,
    ours: &mut Ours<'_>,
    theirs: &mut Theirs<'_>,
) -> Result<(Curve, Curve)> {
    let queries = ours.queries.len();
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for ef in LISTS {
        ours.set_ef(ef);
        theirs.set_ef(ef);
        let recalls = (recall(corpus, ours)?, recall(corpus, theirs)?);
        let (mut a, mut b) = (Samples::default(), Samples::default());
        for _ in 0..rounds {
            a.add(threads, queries, ours)?;
            b.add(threads, queries, theirs)?;
        }
        our.push(a.point(recalls.0));
        their.push(b.point(recalls.1));
    }
    Ok((Curve::new(our), Curve::new(their)))
}

fn recall(corpus: &Corpus, contender: &impl Contender) -> Result<f64> {
    let answers = (0..corpus.queries().len()).map(|q| contender.answer(q));
    corpus.recall(&answers.collect::<Result<Vec<_>>>()?)
}

/// Rates measured again and again.
#[derive(Default)]
struct Samples {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Samples {
    /// Each thread asks all queries once, after the caches have been filled by
    /// asking them all unmeasured: before, they were full of the other's.
    fn add(&mut self, threads: usize, queries: usize, contender: &impl Contender) -> Result<()> {
        for query in 0..queries {
            std::hint::black_box(contender.answer(query)?);
        }
        let (started, cpu) = (Instant::now(), process_cpu());
        let work = |first: usize| -> Result<()> {
            for i in 0..queries {
                std::hint::black_box(contender.answer((first + i) % queries)?);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let work = &work;
            let others: Vec<_> = (1..threads)
                .map(|t| scope.spawn(move || work(t * queries / threads)))
                .collect();
            let mine = work(0);
            others.into_iter().fold(mine, |done, other| {
                let other = other.join();
                done.and(other.unwrap_or_else(|_| Err(Error::unexpected("a thread panicked"))))
            })
        })?;
        let asked = length(queries * threads);
        self.wall.push(asked / started.elapsed().as_secs_f64());
        self.cpu
            .push(asked / process_cpu().saturating_sub(cpu).as_secs_f64());
        Ok(())
    }

    fn point(self, recall: f64) -> Point {
        Point {
            recall,
            rate: median(self.wall),
            rate_by_cpu: median(self.cpu),
        }
    }
}
