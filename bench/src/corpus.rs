//! A data set as the parts of Quoit and the bare library take it.

use crate::error::{Error, Result};
use prost::Message;
use quoit_dataset::{Dataset, Measure};
use quoit_engine::{HnswParams, Metric, Params};
use quoit_proto::v1;
use quoit_ring::{PointId, Vnode, VnodeCount, VnodeSet};

/// The answers to one query that are judged.
pub const K: usize = 10;

/// The vnodes of a collection by default.
pub const VNODES: u32 = 4096;

/// The candidate list of a search by default.
pub fn default_ef() -> usize {
    HnswParams::default().ef_search
}

/// Points, queries and what is right.
pub struct Corpus {
    /// What it is called in the document.
    pub name: &'static str,
    data: Dataset,
}

impl Corpus {
    /// A data set under a name.
    pub fn new(name: &'static str, data: Dataset) -> Self {
        Self { name, data }
    }

    /// The number of points; the id of each is its row.
    pub fn len(&self) -> usize {
        self.data.points.vectors.rows()
    }

    /// The number of components of each vector.
    pub fn dimension(&self) -> usize {
        self.data.points.vectors.columns()
    }

    /// How the vectors are compared.
    pub fn metric(&self) -> Metric {
        match self.data.measure {
            Measure::Cosine => Metric::Cosine,
            Measure::Euclid => Metric::Euclid,
        }
    }

    /// A collection for these points, with default settings.
    pub fn params(&self) -> Result<Params> {
        let index = Some(HnswParams::default());
        let (dimension, metric) = (self.dimension(), self.metric());
        Ok(Params::unnamed(dimension, metric, index, vnode_count()?))
    }

    /// The points' vectors, in the order of their ids.
    pub fn vectors(&self) -> impl Iterator<Item = &[f32]> {
        self.data.points.vectors.iter()
    }

    /// The vector of a point of a larger set made of this one: the first are its own, and behind
    /// them come all of them again and again, each time turned by another component.
    pub fn turned(&self, id: usize) -> Vec<f32> {
        let (turns, row) = (id / self.len(), id % self.len());
        let mut vector = self
            .data
            .points
            .vectors
            .row(row)
            .unwrap_or_default()
            .to_vec();
        let by = turns % vector.len().max(1);
        vector.rotate_left(by);
        vector
    }

    /// The queries' vectors.
    pub fn queries(&self) -> Vec<&[f32]> {
        self.data.queries.vectors.iter().collect()
    }

    /// The payload of a point, or nothing where the data set has none.
    pub fn payload(&self, row: usize) -> &str {
        self.data
            .points
            .payloads
            .get(row)
            .map_or("", String::as_str)
    }

    /// The points in requests of `size` points each, in the order of their ids.
    pub fn write_requests(&self, size: usize) -> Result<Vec<v1::WriteRequest>> {
        let vnodes = vnode_count()?;
        let points: Vec<(usize, &[f32])> = self.vectors().enumerate().collect();
        let batches = points.chunks(size).map(|batch| {
            let writes = batch
                .iter()
                .map(|(row, vector)| self.upsert(vnodes, *row, vector));
            v1::WriteRequest {
                writes: writes.collect(),
            }
        });
        Ok(batches.collect())
    }

    fn upsert(&self, vnodes: VnodeCount, row: usize, vector: &[f32]) -> v1::VnodeWrite {
        let id = PointId::Num(row as u64);
        let upsert = v1::Upsert {
            vectors: vec![v1::Vector {
                name: String::new(),
                values: vector.to_vec(),
            }],
            payload: self.payload(row).to_owned().into_bytes().into(),
        };
        v1::VnodeWrite {
            vnode: u32::from(vnodes.vnode_of(&id.to_key()).0),
            operations: vec![v1::Operation {
                id: Some(id.into()),
                only_if: None,
                change: Some(v1::Change {
                    kind: Some(v1::change::Kind::Upsert(upsert)),
                }),
            }],
            ..Default::default()
        }
    }

    /// A search of all vnodes for the points nearest to one query.
    pub fn search_request(&self, query: usize) -> Result<v1::SearchRequest> {
        let vector = self.data.queries.vectors.row(query).unwrap_or_default();
        Ok(v1::SearchRequest {
            vnodes: all_vnodes()?.to_bytes(),
            queries: vec![v1::Query {
                vector: vector.to_vec(),
                limit: 10,
                ..v1::Query::default()
            }],
            ..Default::default()
        })
    }

    /// The mean recall of the answers to all queries, in their order.
    pub fn recall(&self, answers: &[Vec<u64>]) -> Result<f64> {
        let recall = self.data.truth().mean_recall(K, answers);
        recall.ok_or_else(|| {
            let (answered, asked) = (answers.len(), self.data.queries.vectors.rows());
            Error::unexpected(format!("{answered} answers to {asked} queries"))
        })
    }

    /// Whether nearly all answers to one query are right, as those of a whole
    /// collection are.
    pub fn is_right(&self, query: usize, answer: &[u64]) -> bool {
        let recall = self.data.truth().recall(query, K, answer);
        recall.is_some_and(|recall| recall >= 0.9)
    }

    /// The bytes of the vectors as 32-bit floats.
    pub fn raw_bytes(&self) -> u64 {
        (self.len() * self.dimension() * size_of::<f32>()) as u64
    }
}

/// The ring's size by default.
pub fn vnode_count() -> Result<VnodeCount> {
    VnodeCount::new(VNODES).map_err(|e| Error::unexpected(e.to_string()))
}

/// All vnodes of the ring.
pub fn all_vnodes() -> Result<VnodeSet> {
    Ok(vnode_count()?.iter().collect())
}

/// The vnode of a point with this number.
pub fn vnode_of(id: u64) -> Result<Vnode> {
    Ok(vnode_count()?.vnode_of(&PointId::Num(id).to_key()))
}

/// The ids of the points that a shard found for its first query.
pub fn ids_found(response: &v1::SearchResponse) -> Vec<u64> {
    let hits = response.results.iter().take(1).flat_map(|r| &r.hits);
    let ids = hits.filter_map(|hit| hit.point.as_ref()?.id.as_ref()?.kind.clone());
    ids.filter_map(|kind| match kind {
        v1::point_id::Kind::Num(n) => Some(n),
        v1::point_id::Kind::Uuid(_) => None,
    })
    .collect()
}

/// A message as bytes.
pub fn bytes(message: &impl Message) -> Vec<u8> {
    message.encode_to_vec()
}
