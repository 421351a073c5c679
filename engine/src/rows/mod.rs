//! What is stored in rows, and under which keys: the point table, the change
//! feed, the vnodes' states and the replica's own state, all in one store so
//! that one batch changes them together.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `ids` | id bytes, vnode | slot, seq, log index of the vectors, whether edited since, which vectors |
//! | `feed` | vnode, seq | slot, id, content hash, payload |
//! | `vnodes` | vnode | holding, seq, count, digest, w |
//! | `ops` | vnode, last byte of a write's number | op id, seq, which operations left their point as it was |
//! | `meta` | `replica` | identity, applied index, next slot |
//! | `meta` | `schema` | the payload indexes |
//! | `meta` | `note` | what the log's keeper keeps with the applied index |
//!
//! `ids` is in the order in which clients page. A live point has exactly one
//! row in `feed`, at its latest seq, so a page of a handoff is one range scan.
//!
//! A write takes the place in `ops` of the one 256 before it; one without an op id
//! leaves that place empty. So the rows there are those of the last 256 numbers of
//! each vnode, for one change of a row a write.

mod codec;
mod copy;
mod tear;

use crate::Identity;
use crate::entry::OpId;
use crate::error::{Error, Result};
use crate::names::Names;
use crate::slots::Slot;
use codec::{
    decode_feed_row, decode_id_row, decode_op, decode_replica, decode_vnode, encode_feed_row,
    encode_id_row, encode_op, encode_replica, encode_vnode,
};
pub use copy::{KEYSPACES, RowsReader, is_open};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use quoit_columns::Schema;
use quoit_ring::{Holding, PointId, Vnode};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// A row of `ids`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRow {
    /// Where its vectors lie.
    pub slot: Slot,
    /// The seq of its last change: its row in the feed.
    pub seq: u64,
    /// The log index of the entry that brought the vectors, for replay.
    pub vector_index: u64,
    /// The point was changed since and its slot was not, so that the seq
    /// beside the vectors is not the point's.
    pub is_edited: bool,
    /// Which vectors it has.
    pub names: Names,
}

/// A row of `feed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRow {
    /// Where its vectors lie.
    pub slot: Slot,
    /// The point.
    pub id: PointId,
    /// xxh3-128 of vectors and payload.
    pub content: u128,
    /// A JSON object as text; empty for none.
    pub payload: Vec<u8>,
}

/// One vnode's state at this replica's applied index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VnodeState {
    /// Custody and its number.
    pub holding: Holding,
    /// +1 for each change of a point.
    pub seq: u64,
    /// Live points.
    pub count: u64,
    /// The sum, mod 2^128, of [`point_hash`] over the live points.
    pub digest: u128,
    /// +1 for each write that was accepted.
    pub w: u64,
}

/// What came of a write: a row of `ops`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpRow {
    /// Which write it was.
    pub op_id: OpId,
    /// The vnode's seq after it.
    pub seq: u64,
    /// Which operations, by their place, left their point as it was; in order.
    pub left: Vec<u32>,
}

/// The replica's own row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaRow {
    /// The log index up to which all rows are.
    pub applied: u64,
    /// The slot that the next vector gets.
    pub next_slot: u32,
}

/// The replica's own row as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnedReplicaRow {
    /// Whose rows these are.
    identity: Identity,
    replica: ReplicaRow,
}

/// A point's part in its vnode's digest.
#[must_use]
pub fn point_hash(id: PointId, seq: u64, content: u128) -> u128 {
    let mut bytes = Vec::with_capacity(48);
    bytes.extend_from_slice(&id.to_key());
    bytes.extend_from_slice(&seq.to_le_bytes());
    bytes.extend_from_slice(&content.to_le_bytes());
    xxhash_rust::xxh3::xxh3_128(&bytes)
}

/// What some vectors and a payload hash to.
#[must_use]
pub fn content_hash<'a>(
    names: Names,
    vectors: impl Iterator<Item = &'a [f32]>,
    payload: &[u8],
) -> u128 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hasher.update(&names.bits().to_le_bytes());
    for vector in vectors {
        hasher.update(bytemuck::cast_slice(vector));
    }
    hasher.update(payload);
    hasher.digest128()
}

/// The key of a row of `ids`.
#[must_use]
pub fn id_key(id: PointId, vnode: Vnode) -> Vec<u8> {
    let mut key = id.to_key().to_vec();
    key.extend_from_slice(&vnode.0.to_be_bytes());
    key
}

fn feed_key(vnode: Vnode, seq: u64) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&vnode.0.to_be_bytes());
    key[2..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The key of a row of `ops`.
#[must_use]
pub fn op_key(vnode: Vnode, number: u64) -> [u8; 3] {
    let [v0, v1] = vnode.0.to_be_bytes();
    let [last, ..] = number.to_le_bytes();
    [v0, v1, last]
}

/// How much memory the row store may take.
#[derive(Clone, Copy, Debug)]
pub struct RowsTuning {
    /// Bytes of cached blocks.
    pub cache_bytes: u64,
    /// Bytes of rows, in each keyspace, that wait in memory for their file.
    pub memtable_bytes: u64,
}

/// The store of rows.
#[derive(Clone)]
pub struct Rows {
    path: PathBuf,
    identity: Identity,
    db: Database,
    ids: Keyspace,
    feed: Keyspace,
    vnodes: Keyspace,
    ops: Keyspace,
    meta: Keyspace,
}

/// The rows as they were at one moment.
pub struct RowsView {
    rows: Rows,
    snapshot: Snapshot,
}

/// Changes that are made together or not at all.
pub struct RowsBatch<'a> {
    rows: &'a Rows,
    batch: fjall::OwnedWriteBatch,
}

/// Removes a row store, whole or begun. The library makes one in several
/// steps, and opens none whose making was cut short.
///
/// # Errors
/// It cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::file("remove", path)),
    }
}

impl Rows {
    /// Opens the store, creating it where it is new.
    ///
    /// # Errors
    /// The store is damaged or cannot be opened.
    pub fn open(path: &Path, identity: Identity, tuning: RowsTuning) -> Result<Self> {
        let failed = Error::rows;
        let open = || {
            Database::builder(path)
                .cache_size(tuning.cache_bytes)
                .worker_threads(1)
                // Batches need not even reach the kernel before `persist`: the
                // log brings back what a killed process leaves in its buffer.
                .manual_journal_persist(true)
                .open()
        };
        let mut opened = open();
        if matches!(opened, Err(fjall::Error::JournalRecovery(_)))
            && tear::cut_torn_batch(path).map_err(Error::file("repair the journal of", path))?
        {
            tracing::warn!(path = %path.display(), "a batch of rows was torn by a power cut; the log brings it again");
            opened = open();
        }
        let db = opened.map_err(failed("open"))?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(tuning.memtable_bytes);
        let keyspace = |name: &str| {
            db.keyspace(name, options)
                .map_err(failed("open a keyspace"))
        };
        Ok(Self {
            path: path.to_owned(),
            identity,
            ids: keyspace("ids")?,
            feed: keyspace("feed")?,
            vnodes: keyspace("vnodes")?,
            ops: keyspace("ops")?,
            meta: keyspace("meta")?,
            db,
        })
    }

    /// The rows as they are now.
    #[must_use]
    pub fn view(&self) -> RowsView {
        RowsView {
            rows: self.clone(),
            snapshot: self.db.snapshot(),
        }
    }

    /// A batch of changes.
    #[must_use]
    pub fn batch(&self) -> RowsBatch<'_> {
        RowsBatch {
            rows: self,
            batch: self.db.batch(),
        }
    }

    /// Makes all rows durable.
    ///
    /// # Errors
    /// The disk could not; the store refuses writes from then on.
    pub fn persist(&self) -> Result<()> {
        self.db
            .persist(PersistMode::SyncAll)
            .map_err(Error::rows("make rows durable"))
    }

    /// A row of `ids`.
    ///
    /// # Errors
    /// The row cannot be read or is damaged.
    pub fn id_row(&self, key: &[u8]) -> Result<Option<IdRow>> {
        let row = self.ids.get(key).map_err(Error::rows("read an id"))?;
        row.map(|r| decode_id_row(&r).ok_or_else(|| self.damage("an id row")))
            .transpose()
    }

    /// A row of the feed that a row of `ids` names.
    ///
    /// # Errors
    /// The row cannot be read, is damaged or is not there.
    pub fn feed_row(&self, vnode: Vnode, seq: u64) -> Result<FeedRow> {
        let row = self
            .feed
            .get(feed_key(vnode, seq))
            .map_err(Error::rows("read the feed"))?;
        let row = row.as_deref().and_then(decode_feed_row);
        row.ok_or_else(|| self.damage("a row of the feed"))
    }

    /// A row of `ops`.
    ///
    /// # Errors
    /// The row cannot be read or is damaged.
    pub fn op(&self, key: [u8; 3]) -> Result<Option<OpRow>> {
        let row = self.ops.get(key);
        let row = row.map_err(Error::rows("read an op"))?;
        row.map(|r| decode_op(&r).ok_or_else(|| self.damage("a row of an op")))
            .transpose()
    }

    /// The states of all vnodes that have one.
    ///
    /// # Errors
    /// A row cannot be read or is damaged.
    pub fn vnode_states(&self) -> Result<Vec<(Vnode, VnodeState)>> {
        let mut states = Vec::new();
        for guard in self.vnodes.iter() {
            let (key, value) = guard.into_inner().map_err(Error::rows("read a vnode"))?;
            let vnode: Option<[u8; 2]> = (*key).try_into().ok();
            let state = decode_vnode(&value);
            let (Some(vnode), Some(state)) = (vnode, state) else {
                return Err(self.damage("a vnode's row"));
            };
            states.push((Vnode(u16::from_be_bytes(vnode)), state));
        }
        Ok(states)
    }

    /// The replica's row; all zero where nothing was applied yet.
    ///
    /// # Errors
    /// The row cannot be read, is damaged or is another replica's.
    pub fn replica(&self) -> Result<ReplicaRow> {
        let row = self
            .meta
            .get("replica")
            .map_err(Error::rows("read the replica's state"))?;
        let Some(row) = row else {
            return Ok(ReplicaRow::default());
        };
        let row = decode_replica(&row).ok_or_else(|| self.damage("the replica's row"))?;
        if row.identity == self.identity {
            Ok(row.replica)
        } else {
            let what = "these rows are another replica's: restore the folder from a copy";
            Err(Error::damaged(&self.path, what))
        }
    }

    /// Which payload indexes there are to be.
    ///
    /// # Errors
    /// The row cannot be read or is damaged.
    pub fn schema(&self) -> Result<Schema> {
        let row = self.meta.get("schema");
        let row = row.map_err(Error::rows("read the schema"))?;
        let schema = row.map_or_else(|| Some(Schema::default()), |r| Schema::from_bytes(&r));
        schema.ok_or_else(|| self.damage("the schema"))
    }

    /// What the log's keeper noted; empty where nothing was.
    ///
    /// # Errors
    /// The row cannot be read.
    pub fn note(&self) -> Result<Vec<u8>> {
        let row = self
            .meta
            .get("note")
            .map_err(Error::rows("read the note"))?;
        Ok(row.map(|r| r.to_vec()).unwrap_or_default())
    }

    /// A point's payload, read.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn object(&self, id: PointId, payload: &[u8]) -> Result<Map<String, Value>> {
        match payload {
            [] => Ok(Map::new()),
            text => serde_json::from_slice(text).map_err(|e| self.bad_payload(id, &e)),
        }
    }

    /// The error of a payload that is no JSON object.
    pub fn bad_payload(&self, id: PointId, error: &serde_json::Error) -> Error {
        let what = format!("the payload of point {id} is no JSON object: {error}");
        Error::damaged(&self.path, what)
    }

    fn damage(&self, what: &str) -> Error {
        Error::damaged(&self.path, format!("{what} does not decode"))
    }
}

impl RowsBatch<'_> {
    /// Sets a row of `ids`.
    pub fn set_id(&mut self, key: &[u8], row: IdRow) {
        self.batch
            .insert(&self.rows.ids, key, encode_id_row(row).as_slice());
    }

    /// Removes a row of `ids`.
    pub fn remove_id(&mut self, key: &[u8]) {
        self.batch.remove(&self.rows.ids, key);
    }

    /// Sets a row of the feed.
    pub fn set_feed(&mut self, vnode: Vnode, seq: u64, row: &FeedRow) {
        let key = feed_key(vnode, seq);
        self.batch
            .insert(&self.rows.feed, key.as_slice(), encode_feed_row(row));
    }

    /// Removes a row of the feed.
    pub fn remove_feed(&mut self, vnode: Vnode, seq: u64) {
        self.batch
            .remove(&self.rows.feed, feed_key(vnode, seq).as_slice());
    }

    /// Sets a vnode's state.
    pub fn set_vnode(&mut self, vnode: Vnode, state: &VnodeState) {
        let key = vnode.0.to_be_bytes();
        self.batch
            .insert(&self.rows.vnodes, key.as_slice(), encode_vnode(state));
    }

    /// Sets a row of `ops`, or removes it.
    pub fn set_op(&mut self, key: [u8; 3], row: Option<&OpRow>) {
        let (batch, ops) = (&mut self.batch, &self.rows.ops);
        match row {
            Some(row) => batch.insert(ops, key.as_slice(), encode_op(row)),
            None => batch.remove(ops, key.as_slice()),
        }
    }

    /// Sets which payload indexes there are to be.
    pub fn set_schema(&mut self, schema: &Schema) {
        let value = schema.to_bytes();
        self.batch.insert(&self.rows.meta, "schema", value);
    }

    /// Sets what the log's keeper notes.
    pub fn set_note(&mut self, note: &[u8]) {
        self.batch.insert(&self.rows.meta, "note", note);
    }

    /// Makes the changes, with the replica's row.
    ///
    /// # Errors
    /// The store failed; it refuses all further writes.
    pub fn commit(mut self, replica: ReplicaRow) -> Result<()> {
        let identity = self.rows.identity;
        let value = encode_replica(OwnedReplicaRow { identity, replica });
        self.batch.insert(&self.rows.meta, "replica", value);
        self.batch.commit().map_err(Error::rows("write a batch"))
    }
}

impl RowsView {
    /// The error of a row that is not what was written.
    pub fn damaged(&self, what: String) -> Error {
        Error::damaged(&self.rows.path, what)
    }

    /// As [`Rows::object`].
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn object(&self, id: PointId, payload: &[u8]) -> Result<Map<String, Value>> {
        self.rows.object(id, payload)
    }

    /// A row of `ids`.
    ///
    /// # Errors
    /// The row cannot be read or is damaged.
    pub fn id_row(&self, key: &[u8]) -> Result<Option<IdRow>> {
        let row = self
            .snapshot
            .get(&self.rows.ids, key)
            .map_err(Error::rows("read an id"))?;
        row.map(|r| decode_id_row(&r).ok_or_else(|| self.rows.damage("an id row")))
            .transpose()
    }

    /// A row of the feed that a row of `ids` names.
    ///
    /// # Errors
    /// The row cannot be read, is damaged or is not there.
    pub fn feed_row(&self, vnode: Vnode, seq: u64) -> Result<FeedRow> {
        let row = self.snapshot.get(&self.rows.feed, feed_key(vnode, seq));
        let row = row.map_err(Error::rows("read the feed"))?;
        row.as_deref()
            .and_then(decode_feed_row)
            .ok_or_else(|| self.rows.damage("a row of the feed"))
    }

    /// The rows of `ids` from an id on, in the order of the ids.
    pub fn ids_from(
        &self,
        from: Option<PointId>,
    ) -> impl Iterator<Item = Result<(PointId, Vnode, IdRow)>> + '_ {
        let start = from.map(|id| id.to_key().to_vec()).unwrap_or_default();
        self.snapshot.range(&self.rows.ids, start..).map(|guard| {
            let (key, value) = guard.into_inner().map_err(Error::rows("read ids"))?;
            let parts = key.split_last_chunk::<2>().and_then(|(id, vnode)| {
                let id = PointId::from_key(id).ok()?;
                Some((
                    id,
                    Vnode(u16::from_be_bytes(*vnode)),
                    decode_id_row(&value)?,
                ))
            });
            parts.ok_or_else(|| self.rows.damage("an id row"))
        })
    }
}
