//! One collection of this process: its ring and its shards, opened from its
//! folder or made there, and the router's picture of it.

use super::NodeOptions;
use super::record::Record;
use parking_lot::Mutex;
use quoit_cluster::indexes::Indexes;
use quoit_cluster::spec;
use quoit_disk::Disk;
use quoit_proto::v1::SetSchemaRequest;
use quoit_proto::{ErrorKind, ShardClient, ShardError};
use quoit_ring::{Member, Ring, RingStore, ShardId, StoreError, SwapError, VnodeSet};
use quoit_router::{BadPlacement, CatalogError, Collection};
use quoit_shard::log::LogOptions;
use quoit_shard::{Keeper, MemberId, Membership, OpenError, ShardOptions, Stamp};
use quoit_store::FileRingStore;
use quoit_store::sealed;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a collection cannot be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its record.
    #[error("its record could not be read or written")]
    Record(#[from] sealed::Error),
    /// Its spec asks for what local mode does not do.
    #[error(transparent)]
    Spec(#[from] spec::Error),
    /// Its ring.
    #[error("its ring could not be read")]
    ReadRing(#[source] StoreError),
    /// Its ring.
    #[error("its ring could not be written")]
    WriteRing(#[source] SwapError),
    /// The ring's file is gone.
    #[error("its ring is not there, and the collection had one: restore the folder {} from a copy", dir.display())]
    RingLost {
        /// The collection's folder.
        dir: PathBuf,
    },
    /// The ring is another collection's.
    #[error("the ring in {} is another collection's: restore the folder from a copy", dir.display())]
    ForeignRing {
        /// The collection's folder.
        dir: PathBuf,
    },
    /// The first ring could not be made.
    #[error("its ring could not be made: {0}")]
    MakeRing(String),
    /// A shard.
    #[error("shard {shard} could not be opened")]
    Shard {
        /// Which.
        shard: ShardId,
        /// Why.
        source: Box<OpenError>,
    },
    /// The ring names a shard that is not there.
    #[error("its ring and its shards do not fit")]
    Placement(#[from] BadPlacement),
}

impl Error {
    /// Whether the disk has no room.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Record(e) => e.is_disk_full(),
            Self::Shard { source, .. } => {
                let mut cause: Option<&dyn std::error::Error> = Some(&**source);
                while let Some(e) = cause {
                    let io = e.downcast_ref::<std::io::Error>();
                    if io.is_some_and(|e| e.kind() == std::io::ErrorKind::StorageFull) {
                        return true;
                    }
                    cause = e.source();
                }
                false
            }
            _ => false,
        }
    }
}

/// A collection whose shards run in this process.
pub struct Hosted {
    dir: PathBuf,
    record: Mutex<Record>,
    shards: Vec<Arc<Keeper>>,
    picture: Arc<Collection>,
}

impl Hosted {
    /// Opens a collection's folder. A collection whose making was cut short is
    /// made to the end.
    ///
    /// # Errors
    /// Something is damaged or lost. Nothing of the collection is served then.
    pub async fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        mut record: Record,
        options: NodeOptions,
    ) -> Result<Self, Error> {
        let resolved = spec::resolve(&record.spec)?;
        let ring = ring(disk.clone(), dir, &record).await?;
        let mut shards = Vec::new();
        let mut clients: BTreeMap<ShardId, Arc<dyn ShardClient>> = BTreeMap::new();
        for (shard, _) in ring.shards() {
            let birth = (!record.founded).then(|| ring.vnodes_of(shard));
            let options =
                shard_options(disk.clone(), dir, &record, &resolved, shard, birth, options);
            let opened = Keeper::open(options).await;
            let opened = opened.map_err(|source| Error::Shard {
                shard,
                source: Box::new(source),
            })?;
            let opened = Arc::new(opened);
            shards.push(opened.clone());
            clients.insert(shard, opened);
        }
        let picture = picture(&record.name, &resolved, &ring, &clients)?;
        if !record.founded {
            record.founded = true;
            sealed::write(&*disk, dir, &record)?;
        }
        let opened = Self {
            dir: dir.to_owned(),
            record: Mutex::new(record),
            shards,
            picture,
        };
        if let Err(error) = opened.send_schema().await {
            // Reads are right without an index, only slower.
            tracing::warn!(
                collection = opened.picture.name(),
                error = error.to_string(),
                "a shard could not take the payload indexes: they come with the next start or change"
            );
        }
        Ok(opened)
    }

    /// Writes other payload indexes down and has every shard take them.
    pub async fn reindex(&self, disk: &dyn Disk, indexes: Indexes) -> Result<(), CatalogError> {
        let mut record = self.record();
        if record.indexes != indexes {
            record.indexes = indexes;
            sealed::write(disk, &self.dir, &record).map_err(|error| {
                let text = super::chain(&error);
                if error.is_disk_full() {
                    CatalogError::DiskFull(text)
                } else {
                    CatalogError::Internal(text)
                }
            })?;
            *self.record.lock() = record;
        }
        self.send_schema().await.map_err(|error| {
            let text = format!(
                "not every shard has taken the change yet, send it again: {}",
                error.message
            );
            match error.kind {
                ErrorKind::DiskFull => CatalogError::DiskFull(text),
                _ => CatalogError::Internal(text),
            }
        })
    }

    /// Has every shard take the newest schema; each shard is asked, also after
    /// one has failed.
    async fn send_schema(&self) -> Result<(), ShardError> {
        let schema = self.record().indexes.schema();
        let schema = schema.map_err(|e| ShardError::new(ErrorKind::Invalid, e.to_string()))?;
        if schema.number == 0 {
            return Ok(());
        }
        let mut outcome = Ok(());
        for shard in &self.shards {
            let schema = Some((&schema).into());
            let sent = shard.set_schema(SetSchemaRequest { schema }).await;
            outcome = outcome.and(sent.map(drop));
        }
        outcome
    }

    /// The router's picture.
    pub fn picture(&self) -> Arc<Collection> {
        self.picture.clone()
    }

    /// What its owner asked for.
    pub fn record(&self) -> Record {
        self.record.lock().clone()
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether every shard serves.
    pub fn ready(&self) -> bool {
        self.shards.iter().all(|s| s.serves())
    }

    /// Stops its shards and keeps nothing for another start. Blocks.
    pub fn discard(&self) {
        for shard in &self.shards {
            shard.discard();
        }
    }

    /// Stops its shards, each with a checkpoint. Blocks.
    pub fn stop(&self) {
        for shard in &self.shards {
            shard.stop();
        }
    }
}

async fn ring(disk: Arc<dyn Disk>, dir: &Path, record: &Record) -> Result<Ring, Error> {
    let store = FileRingStore::open(disk, &dir.join("ring")).map_err(Error::ReadRing)?;
    if let Some(found) = store.read().await.map_err(Error::ReadRing)? {
        if found.value.uid() == record.uid {
            return Ok(found.value);
        }
        return Err(Error::ForeignRing {
            dir: dir.to_owned(),
        });
    }
    if record.founded {
        return Err(Error::RingLost {
            dir: dir.to_owned(),
        });
    }
    let vnodes = spec::vnodes(&record.spec)?;
    let members: Vec<Member> = (0..record.spec.shards)
        .map(|n| Member::equal(ShardId(n)))
        .collect();
    let table =
        quoit_ring::first_table(vnodes, &members).map_err(|e| Error::MakeRing(e.to_string()))?;
    let ring = Ring::first(record.uid, table, members.iter().map(|m| m.id))
        .map_err(|e| Error::MakeRing(e.to_string()))?;
    store.swap(None, &ring).await.map_err(Error::WriteRing)?;
    Ok(ring)
}

fn shard_options(
    disk: Arc<dyn Disk>,
    dir: &Path,
    record: &Record,
    resolved: &spec::Resolved,
    shard: ShardId,
    birth: Option<VnodeSet>,
    options: NodeOptions,
) -> ShardOptions {
    let stamp = Stamp::new(MemberId::alone(record.uid, shard), shard, &resolved.engine);
    let salt = uuid::Uuid::new_v4().as_u64_pair().0;
    ShardOptions {
        disk,
        dir: dir.join("shards").join(shard.to_string()),
        birth,
        params: resolved.engine.clone(),
        tuning: spec::tuning(record.spec.shards, options.payload_index_bytes),
        upkeep: options.upkeep,
        log: LogOptions {
            segment_bytes: options.log_segment_bytes,
            ..LogOptions::new(stamp.own_identity().0, salt)
        },
        stamp,
        membership: Membership::Alone,
        max_tail: spec::MAX_TAIL,
    }
}

fn picture(
    name: &str,
    resolved: &spec::Resolved,
    ring: &Ring,
    clients: &BTreeMap<ShardId, Arc<dyn ShardClient>>,
) -> Result<Arc<Collection>, Error> {
    let owners = ring.table().owners();
    let picture = Collection::new(
        name,
        resolved.router.clone(),
        ring.vnodes(),
        owners,
        clients,
    )?;
    Ok(Arc::new(picture))
}
