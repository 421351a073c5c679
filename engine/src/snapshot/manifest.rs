//! What an export says of itself: whose it is, up to where, and which parts it has.
//!
//! Which parts there are follows from the checkpoint in it. A manifest that lists
//! others is refused, so that no name of a file ever comes from it.

use crate::checkpoint;
use crate::rows::KEYSPACES;
use crate::slots::SLOTS_PER_SEGMENT;
use crate::vectors::{Layout, file_len, stride};
use crate::{Identity, Params};
use serde::{Deserialize, Serialize};

use super::SnapshotError;

/// What an export says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// No other export has this number.
    pub export: u64,
    /// Whose data it is.
    pub identity: u64,
    /// What the data is made for.
    pub shape: Shape,
    /// The manifest of the folder that an install makes.
    pub checkpoint: checkpoint::Manifest,
    /// The numbers of the segments, in order: those with visible slots, and those of
    /// which a graph or the payload indexes know dead ones.
    pub segments: Vec<u32>,
    /// In the order in which they are taken.
    pub parts: Vec<Part>,
}

/// A collection's parameters that its data cannot be read without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    vnodes: u32,
    vectors: Vec<(String, usize, String)>,
}

impl Shape {
    /// That of a collection.
    pub fn of(params: &Params) -> Self {
        let vectors = params.vectors.iter();
        let vectors = vectors.map(|v| (v.name.clone(), v.dimension, format!("{:?}", v.metric)));
        Self {
            vnodes: params.vnodes.get(),
            vectors: vectors.collect(),
        }
    }
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// All rows of a keyspace.
    Rows(String),
    /// The visible slots, in order, each with its number before it.
    Vectors,
    /// The graph's file of the vectors at a place among the collection's.
    Graph(usize),
    /// The file of slots beside it.
    Slots(usize),
    /// The file of the payload indexes.
    Columns,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// How long it is.
    pub bytes: u64,
    /// xxh3 of all of it. Vectors have none: each slot has its own.
    pub hash: Option<u64>,
}

/// The bytes of a slot in the part of vectors.
pub fn record_len(numbers: usize) -> usize {
    4 + stride(numbers)
}

/// The parts that belong to a checkpoint, with the checksums that it knows.
pub fn kinds(checkpoint: &checkpoint::Manifest) -> Vec<(Kind, Option<u64>)> {
    let rows = KEYSPACES.map(|name| (Kind::Rows(name.to_owned()), None));
    let mut kinds = Vec::from(rows);
    kinds.push((Kind::Vectors, None));
    for (place, graph) in checkpoint.graphs.iter().enumerate() {
        if let Some(graph) = graph {
            kinds.push((Kind::Graph(place), Some(graph.graph_hash)));
            kinds.push((Kind::Slots(place), Some(graph.slots_hash)));
        }
    }
    let columns = checkpoint.columns.iter();
    kinds.extend(columns.map(|c| (Kind::Columns, Some(c.hash))));
    kinds
}

impl Manifest {
    /// As bytes.
    ///
    /// # Errors
    /// None that is known of.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SnapshotError> {
        let text = checkpoint::sealed(self, 0);
        text.map(String::into_bytes)
            .map_err(|_| SnapshotError::Manifest("it cannot be written"))
    }

    /// Of bytes that are to be a manifest of one's own group and collection.
    ///
    /// # Errors
    /// They are no manifest, or another's.
    pub fn from_bytes(
        bytes: &[u8],
        identity: Identity,
        params: &Params,
    ) -> Result<Self, SnapshotError> {
        let damaged = SnapshotError::Manifest;
        let manifest: Self = checkpoint::unsealed(bytes, 0)
            .ok_or(damaged("its checksum does not fit its content"))?;
        if manifest.identity != identity.0 {
            let (theirs, ours) = (manifest.identity, identity.0);
            let what = format!("it is of identity {theirs:016x}, which is {ours:016x} here");
            return Err(SnapshotError::Foreign(what));
        }
        let (theirs, ours) = (&manifest.shape, Shape::of(params));
        if *theirs != ours {
            let what = format!("it is made for {theirs:?}, and the collection is {ours:?}");
            return Err(SnapshotError::Foreign(what));
        }
        manifest.check(params).map_err(damaged)?;
        Ok(manifest)
    }

    fn check(&self, params: &Params) -> Result<(), &'static str> {
        if self.checkpoint.graphs.len() > params.vectors.len() {
            return Err("it has more graphs than there are vectors");
        }
        let kinds = kinds(&self.checkpoint);
        let is_listed = |(part, (kind, hash)): (&Part, &(Kind, Option<u64>))| {
            let known = hash.is_none() || part.hash == *hash;
            let checked = part.hash.is_some() != (part.kind == Kind::Vectors);
            part.kind == *kind && known && checked
        };
        if kinds.len() != self.parts.len() || !self.parts.iter().zip(&kinds).all(is_listed) {
            return Err("its parts are not those of its checkpoint");
        }
        if !self.segments.is_sorted_by(|a, b| a < b) {
            return Err("its segments are not in order");
        }
        let last = self.segments.last().copied().unwrap_or(0);
        if last >= u32::MAX / SLOTS_PER_SEGMENT {
            return Err("it has a segment behind the last");
        }
        let record = record_len(Layout::new(&params.vectors).len()) as u64;
        let room = record * u64::from(SLOTS_PER_SEGMENT) * self.segments.len() as u64;
        let vectors = self.parts.iter().find(|part| part.kind == Kind::Vectors);
        let vectors = vectors.map_or(0, |part| part.bytes);
        if vectors > room || !vectors.is_multiple_of(record) {
            return Err("its segments cannot have its vectors");
        }
        Ok(())
    }

    /// The bytes of the disk that an install takes, at its peak.
    pub fn needed(&self, params: &Params) -> u64 {
        let numbers = Layout::new(&params.vectors).len();
        let segments = file_len(numbers).saturating_mul(self.segments.len() as u64);
        let files = self.parts.iter().map(|part| match part.kind {
            // Once in the store's journal, and once in its tables.
            Kind::Rows(_) => part.bytes.saturating_mul(2),
            Kind::Vectors => 0,
            Kind::Graph(_) | Kind::Slots(_) | Kind::Columns => part.bytes,
        });
        files.fold(segments, u64::saturating_add)
    }
}
