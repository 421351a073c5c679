//! An engine with a corpus in it, all indexed: what is measured in process.

use crate::corpus::{Corpus, all_vnodes, vnode_of};
use crate::error::{Error, Result};
use crate::setting::Setting;
use quoit_columns::{Kind, Schema};
use quoit_disk::RealDisk;
use quoit_engine::{
    Engine, Entry, FillStep, Identity, IndexStep, Operation, Outcome, Query, Tuning, View,
    VnodeWrite, Want,
};
use quoit_ring::{PointId, VnodeSet};
use std::sync::Arc;

/// Points an entry of the log has, as a loading client sends them.
const BATCH: usize = 100;

/// An engine that holds a corpus.
pub struct Replica {
    // Before the folder, so that it is closed when the folder is removed.
    engine: Engine,
    vnodes: VnodeSet,
    _dir: tempfile::TempDir,
}

impl Replica {
    /// Loads a corpus into a new engine and indexes it.
    pub fn load(setting: &Setting, corpus: &Corpus) -> Result<Self> {
        Self::load_with(setting, corpus, |row| corpus.payload(row).to_owned())
    }

    /// The same with other payloads, by row.
    pub fn load_with(
        setting: &Setting,
        corpus: &Corpus,
        payload: impl Fn(usize) -> String,
    ) -> Result<Self> {
        let dir = setting.scratch_dir()?;
        let engine = Engine::open(
            Arc::new(RealDisk),
            &dir.path().join("data"),
            Identity(1),
            corpus.params()?,
            Tuning::default(),
        )?;
        let vnodes = all_vnodes()?;
        engine.apply(vec![(1, Entry::Found(vnodes.clone()))])?;
        let points: Vec<(usize, &[f32])> = corpus.vectors().enumerate().collect();
        for (index, batch) in (2..).zip(points.chunks(BATCH)) {
            let writes = batch
                .iter()
                .map(|(row, vector)| upsert(*row, vector, payload(*row)));
            let entry = Entry::Write(writes.collect::<Result<_>>()?);
            let outcomes = engine.apply(vec![(index, entry)])?;
            if outcomes.iter().flatten().any(|o| *o == Outcome::NotHere) {
                return Err(Error::unexpected("the engine does not hold all vnodes"));
            }
        }
        while engine.index_step()? != IndexStep::Idle {}
        Ok(Self {
            engine,
            vnodes,
            _dir: dir,
        })
    }

    /// Indexes fields of payloads, as integers; to the end.
    pub fn index_fields(&self, fields: &[&str]) -> Result<()> {
        let fields: Vec<_> = fields.iter().map(|field| (*field, Kind::Integer)).collect();
        self.begin_indexes(&fields)?;
        while self.fill()? {}
        Ok(())
    }

    /// Drops all payload indexes, and begins others.
    pub fn begin_indexes(&self, fields: &[(&str, Kind)]) -> Result<()> {
        let paths = fields.iter().map(|(field, kind)| {
            let path = field.parse::<quoit_filter::Path>();
            let path = path.map_err(|e| Error::unexpected(e.to_string()))?;
            Ok((path, *kind))
        });
        let index = self.engine.applied() + 1;
        let schema = Schema {
            number: index,
            fields: paths.collect::<Result<_>>()?,
        };
        self.engine.apply(vec![(index, Entry::SetSchema(schema))])?;
        Ok(())
    }

    /// Brings the indexes that were begun a step further; says whether there was one.
    pub fn fill(&self) -> Result<bool> {
        Ok(self.engine.fill_step()? != FillStep::Idle)
    }

    /// Points that the payload indexes have, all together.
    pub fn indexed_points(&self) -> u64 {
        let indexes = self.view().payload_indexes();
        indexes.iter().map(|index| index.points).sum()
    }

    /// The newest view.
    pub fn view(&self) -> Arc<View> {
        self.engine.view()
    }

    /// One search of all vnodes, on a view.
    pub fn search(&self, view: &View, query: &Query) -> Result<Vec<u64>> {
        let answer = view.search(&self.vnodes, std::slice::from_ref(query))?;
        let hits = answer.found.into_iter().flat_map(|found| found.hits);
        Ok(hits
            .filter_map(|hit| match hit.record.id {
                PointId::Num(n) => Some(n),
                PointId::Uuid(_) => None,
            })
            .collect())
    }
}

/// A query for the ten nearest, as clients ask it.
pub fn query(vector: &[f32], ef: Option<usize>, payload: bool) -> Query {
    Query {
        vector: vector.to_vec(),
        limit: crate::corpus::K,
        ef,
        want: Want {
            payload,
            ..Want::default()
        },
        ..Query::default()
    }
}

fn upsert(row: usize, vector: &[f32], payload: String) -> Result<VnodeWrite> {
    let id = row as u64;
    Ok(VnodeWrite::once(
        vnode_of(id)?,
        vec![Operation::upsert(
            PointId::Num(id),
            vector.to_vec(),
            payload.into_bytes(),
        )],
    ))
}
