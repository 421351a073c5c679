//! What the tests share: a model of a replica in plain maps, a rig of one
//! engine with the log that it is replayed from, and checks of a view against
//! the model. Nothing here uses the engine's own ideas of distance or digest.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod faulty;
pub mod journal;
pub mod model;
pub mod random;
pub mod sender;
pub mod snapshot;

use model::Model;
use quoit_disk::{Disk, RealDisk};
use quoit_engine::{
    Engine, Entry, HnswParams, Identity, IndexStep, Metric, Name, Names, Outcome, Params,
    Precision, Query, ReclaimStep, Record, Result, Tuning, VectorParams, View, Want,
};
use quoit_filter::Filter;
use quoit_ring::{PointId, Vnode, VnodeCount, VnodeSet};
use rand::rngs::StdRng;
use sender::Sender;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const ALL_METRICS: [Metric; 4] = [
    Metric::Cosine,
    Metric::Dot,
    Metric::Euclid,
    Metric::Manhattan,
];

/// Payload and all vectors of each point.
pub fn whole() -> Want {
    Want {
        payload: true,
        vectors: Names::first(16),
    }
}

pub fn params(metric: Metric, dimension: usize) -> Params {
    let vnodes = VnodeCount::new(16).unwrap();
    Params::unnamed(dimension, metric, Some(HnswParams::default()), vnodes)
}

/// A collection with several vectors a point.
pub fn several(vectors: &[(Metric, usize)]) -> Params {
    let vector = |(place, (metric, dimension)): (usize, &(Metric, usize))| VectorParams {
        name: format!("v{place}"),
        dimension: *dimension,
        metric: *metric,
        index: Some(HnswParams::default()),
    };
    Params {
        vectors: vectors.iter().enumerate().map(vector).collect(),
        vnodes: VnodeCount::new(16).unwrap(),
    }
}

pub fn with_precision(mut params: Params, precision: Precision) -> Params {
    for vector in &mut params.vectors {
        vector.index = vector.index.map(|p| HnswParams { precision, ..p });
    }
    params
}

/// A point's vector under the first name.
pub fn vector(record: &Record) -> &[f32] {
    assert_eq!(record.vectors[0].name, Name(0));
    &record.vectors[0].values
}

pub fn tuning() -> Tuning {
    Tuning {
        index_batch: 256,
        // What the library links side by side is not the same twice.
        index_threads: 1,
        cache_bytes: 1 << 20,
        // No table is written behind a test's back: the store syncs its journal
        // before it does so, and `journal` would cut what was synced.
        memtable_bytes: 64 << 20,
        payload_index_bytes: 1 << 30,
    }
}

pub fn vnodes(numbers: impl IntoIterator<Item = u16>) -> VnodeSet {
    numbers.into_iter().map(Vnode).collect()
}

/// One engine, what it should hold, and the log that brought it there.
pub struct Rig {
    pub dir: tempfile::TempDir,
    pub disk: Arc<dyn Disk>,
    pub params: Params,
    pub tuning: Tuning,
    pub log: Vec<Entry>,
    pub model: Model,
    sender: Sender,
    engine: Option<Engine>,
}

impl Rig {
    /// A new replica on the real disk that holds these vnodes.
    pub fn new(params: Params, held: &VnodeSet) -> Self {
        Self::on(
            Arc::new(RealDisk),
            tempfile::tempdir().unwrap(),
            params,
            held,
        )
    }

    /// A new replica on a disk; its folder is `replica` below `dir`.
    pub fn on(
        disk: Arc<dyn Disk>,
        dir: tempfile::TempDir,
        params: Params,
        held: &VnodeSet,
    ) -> Self {
        let mut rig = Self {
            dir,
            disk,
            model: Model::new(&params),
            params,
            tuning: tuning(),
            log: Vec::new(),
            sender: Sender::default(),
            engine: None,
        };
        rig.open().unwrap();
        rig.apply(Entry::Found(held.clone()));
        rig
    }

    /// A replica that is there, in `replica` below `dir`.
    pub fn found(
        disk: Arc<dyn Disk>,
        dir: tempfile::TempDir,
        params: Params,
        log: Vec<Entry>,
        model: Model,
    ) -> Self {
        let mut rig = Self {
            dir,
            disk,
            params,
            tuning: tuning(),
            log,
            model,
            sender: Sender::default(),
            engine: None,
        };
        rig.open().unwrap();
        rig
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("replica")
    }

    pub fn is_open(&self) -> bool {
        self.engine.is_some()
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub fn view(&self) -> Arc<View> {
        self.engine().view()
    }

    /// Opens the engine and replays the log from where it asks.
    pub fn open(&mut self) -> Result<()> {
        let engine = open(&self.disk, &self.path(), &self.params, self.tuning)?;
        for index in engine.replay_from()..=self.log.len() as u64 {
            engine.replay(index, self.log[usize::try_from(index).unwrap() - 1].clone())?;
        }
        assert_eq!(engine.applied(), self.log.len() as u64);
        self.engine = Some(engine);
        Ok(())
    }

    pub fn close(&mut self) {
        self.engine = None;
    }

    pub fn reopen(&mut self) {
        self.close();
        self.open().unwrap();
    }

    pub fn apply(&mut self, entry: Entry) -> Vec<Outcome> {
        self.apply_all(vec![entry]).pop().unwrap()
    }

    /// Applies entries in one batch; the engine and the model must answer alike.
    pub fn apply_all(&mut self, entries: Vec<Entry>) -> Vec<Vec<Outcome>> {
        let from = self.log.len() as u64 + 1;
        let outcomes = self.engine().apply((from..).zip(entries.clone()).collect());
        let outcomes = outcomes.unwrap();
        let expected: Vec<_> = entries.iter().map(|e| self.model.apply(e)).collect();
        assert_eq!(outcomes, expected);
        self.log.extend(entries);
        outcomes
    }

    /// Random entries as they are sent.
    pub fn random(&mut self, rng: &mut StdRng, ids: u64, count: usize) -> Vec<Entry> {
        let entries = (0..count).map(|_| {
            let entry = random::entry(rng, ids, &self.params);
            self.sender.sent(entry, rng, &self.model)
        });
        entries.collect()
    }

    /// The engine knows what came of the last writes, and of no others.
    pub fn check_ops(&mut self) {
        let again = self.model.all_again();
        self.apply(again);
        self.check();
    }

    /// Tries entries that the engine is to refuse.
    pub fn try_apply(&self, entries: Vec<Entry>) -> Result<Vec<Vec<Outcome>>> {
        let from = self.log.len() as u64 + 1;
        self.engine().apply((from..).zip(entries).collect())
    }

    pub fn index_all(&self) {
        while self.engine().index_step().unwrap() != IndexStep::Idle {}
        assert_eq!(self.view().tail(), 0);
    }

    pub fn reclaim_all(&self) -> usize {
        let mut removed = 0;
        loop {
            match self.engine().reclaim_step().unwrap() {
                ReclaimStep::Idle => return removed,
                ReclaimStep::Moved(_) => {}
                ReclaimStep::Removed(n) => removed += n,
            }
        }
    }

    /// The engine shows exactly the model.
    pub fn check(&self) {
        let view = self.view();
        self.model.check(&view);
        for vnode in self.params.vnodes.iter() {
            let state = self.engine().vnode_state(vnode);
            let kept = (state.seq, state.count, state.digest, state.w);
            assert_eq!(kept, self.model.state(vnode), "vnode {}", vnode.0);
        }
    }

    pub fn segment_files(&self) -> Vec<PathBuf> {
        files(&self.path().join("vectors"))
    }
}

pub fn open(disk: &Arc<dyn Disk>, path: &Path, params: &Params, tuning: Tuning) -> Result<Engine> {
    Engine::open(disk.clone(), path, Identity(7), params.clone(), tuning)
}

pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    files
}

/// The ids of a query's hits, nearest first.
pub fn ids(view: &View, vnodes: &VnodeSet, query: Query) -> Vec<PointId> {
    let found = view.search(vnodes, &[query]).unwrap().found;
    found[0].hits.iter().map(|hit| hit.record.id).collect()
}

/// Every point of a view, page by page.
pub fn scroll_all(view: &View, vnodes: &VnodeSet, page: usize) -> Vec<quoit_engine::Record> {
    let mut all: Vec<quoit_engine::Record> = Vec::new();
    let mut from = None;
    loop {
        let found = view
            .scroll(vnodes, &Filter::default(), from, page, whole())
            .unwrap()
            .found;
        let more = found.len() >= page;
        let last = found.last().map(|r| r.id);
        all.extend(found);
        match (more, last) {
            (true, Some(PointId::Num(n))) => from = Some(PointId::Num(n + 1)),
            (true, Some(PointId::Uuid(u))) => {
                from = Some(PointId::Uuid(uuid_after(u)));
            }
            _ => return all,
        }
    }
}

fn uuid_after(id: uuid::Uuid) -> uuid::Uuid {
    uuid::Uuid::from_u128(id.as_u128() + 1)
}
