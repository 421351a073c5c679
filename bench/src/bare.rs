//! The bare library: usearch by itself, with the parameters that Quoit gives it.

use crate::clock::process_cpu;
use crate::corpus::{Corpus, K};
use crate::error::{Error, Result};
use quoit_engine::{HnswParams, Metric};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

/// A graph of the bare library.
pub struct Bare(Index);

impl Bare {
    /// Builds the graph over a corpus with some threads, and says what processor
    /// time that took.
    pub fn build(corpus: &Corpus, threads: usize) -> Result<(Self, Duration)> {
        let params = HnswParams::default();
        let vectors = prepared(corpus);
        let started = process_cpu();
        let options = IndexOptions {
            dimensions: corpus.dimension(),
            metric: match corpus.metric() {
                Metric::Cosine | Metric::Dot => MetricKind::IP,
                Metric::Euclid | Metric::Manhattan => MetricKind::L2sq,
            },
            quantization: ScalarKind::BF16,
            connectivity: params.m,
            expansion_add: params.ef_construction,
            expansion_search: params.ef_search,
            multi: false,
        };
        let index = Index::new(&options).map_err(Error::bare)?;
        index
            .reserve_capacity_and_threads(vectors.len(), threads.max(2))
            .map_err(Error::bare)?;
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            loop {
                let row = next.fetch_add(1, Ordering::Relaxed);
                let Some(vector) = vectors.get(row) else {
                    return Ok(());
                };
                index.add(row as u64, vector).map_err(Error::bare)?;
            }
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mine = work();
            others.into_iter().fold(mine, |done, other| {
                let other = other.join();
                done.and(other.unwrap_or_else(|_| Err(Error::bare("a thread panicked"))))
            })
        })?;
        Ok((Self(index), process_cpu().saturating_sub(started)))
    }

    /// Makes all later searches use this candidate list.
    pub fn set_ef(&self, ef: usize) {
        self.0.change_expansion_search(ef);
    }

    /// The ids of the nearest points.
    pub fn search(&self, query: &[f32]) -> Result<Vec<u64>> {
        Ok(self.0.search(query, K).map_err(Error::bare)?.keys)
    }
}

/// The vectors as Quoit stores them, which is normalised for the cosine.
fn prepared(corpus: &Corpus) -> Vec<Vec<f32>> {
    let prepare = |vector: &[f32]| {
        let mut vector = vector.to_vec();
        corpus.metric().prepare(&mut vector);
        vector
    };
    corpus.vectors().map(prepare).collect()
}
