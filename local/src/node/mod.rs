//! The collections of this process: those of its data directory, those of the
//! files it was started with, and those that clients make.
//!
//! ```text
//! DIR/LOCK                          held while a process uses the directory
//! DIR/aliases                       other names of collections
//! DIR/collections/UID/
//!     record                        name, identity, spec, whether it is founded
//!     ring                          the ring
//!     shards/N/{stamp.json, log/, data/}
//! ```
//!
//! A collection is made in steps that can be gone on with: its folder with the
//! record, ring, shards, then the record says that it is founded. One that
//! cannot be opened does not keep the others from being served. It is deleted by renaming its record,
//! and what is left of it is removed after that or at the next start. No folder's
//! path is ever used twice: who still reads a deleted collection removes files
//! by their paths, and these must not be those of one made after it.

mod aliases;
mod files;
mod folders;
mod hosted;
mod record;

use aliases::Kept;
use folders::{Folder, lock, look_into, remove, remove_deleted};
use hosted::Hosted;
use quoit_cluster::indexes::{self, Indexes};
use quoit_cluster::spec;
use quoit_columns::Kind;
use quoit_crds::{CollectionName, VectorCollectionSpec};
use quoit_disk::{Disk, RealDisk};
use quoit_filter::Path;
use quoit_process::chain;
use quoit_router::{
    AliasAction, Aliases, Catalog, CatalogError, Collection, CreateCollection, NoCollection,
};
use quoit_shard::UpkeepOptions;
use quoit_shard::log::LogOptions;
use quoit_store::sealed;
use record::Record;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use uuid::Uuid;

/// Why the node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be used.
    #[error("--data-dir: cannot {action} {}", path.display())]
    Directory {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process has it.
    #[error("--data-dir: {} is in use by another quoit process; stop it, or give another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A folder in it is no collection.
    #[error("{} is not a collection's folder: its record is missing; restore it from a copy, or move it away", path.display())]
    NoRecord {
        /// The folder.
        path: PathBuf,
    },
    /// A folder is not where it was made.
    #[error("{} has the record of collection {uid}: give it back its name, {uid}, or move it away", path.display())]
    Misnamed {
        /// The folder.
        path: PathBuf,
        /// The collection in it.
        uid: Uuid,
    },
    /// Two folders have collections of one name.
    #[error("{} and {} both have a collection {name}: move one of them away", one.display(), other.display())]
    Twice {
        /// The name.
        name: String,
        /// A folder.
        one: PathBuf,
        /// Another.
        other: PathBuf,
    },
    /// It is not known which aliases there are.
    #[error("the aliases cannot be read")]
    Aliases(#[source] sealed::Error),
    /// A collection cannot be opened.
    #[error("collection {name} cannot be opened")]
    Open {
        /// Its name.
        name: String,
        /// Why.
        source: hosted::Error,
    },
    /// A file asks for what cannot be.
    #[error("collection {name}: {what}")]
    Refused {
        /// Its name.
        name: String,
        /// What cannot be, with the field and the remedy.
        what: String,
    },
}

fn directory(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Directory {
        action,
        path: path.to_owned(),
        source,
    }
}

/// What holds for every shard of this process.
#[derive(Clone, Copy, Debug)]
pub struct NodeOptions {
    /// When a shard makes checkpoints, and the room it keeps free.
    pub upkeep: UpkeepOptions,
    /// The size of one file of a shard's log.
    pub log_segment_bytes: u64,
    /// The memory that a collection's payload indexes may take.
    pub payload_index_bytes: u64,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            upkeep: UpkeepOptions::default(),
            log_segment_bytes: LogOptions::new(0, 0).segment_bytes,
            payload_index_bytes: 1 << 30,
        }
    }
}

/// The collections of this process. Clones are the same node.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    options: NodeOptions,
    disk: Arc<dyn Disk>,
    /// The data directory.
    root: PathBuf,
    /// That of the collections in it.
    dir: PathBuf,
    held: RwLock<BTreeMap<String, Held>>,
    /// Other names of them.
    aliases: RwLock<Kept>,
    /// Held while a collection or an alias is made or deleted: one at a time.
    changing: tokio::sync::Mutex<()>,
    /// Held open: the lock goes with it.
    _lock: File,
}

/// A collection of the data directory.
#[derive(Clone)]
enum Held {
    Open(Arc<Hosted>),
    /// What it is could be read, and what is in it not.
    Unopened {
        dir: PathBuf,
        uid: Uuid,
        why: String,
    },
}

impl Held {
    fn uid(&self) -> Uuid {
        match self {
            Self::Open(hosted) => hosted.record().uid,
            Self::Unopened { uid, .. } => *uid,
        }
    }

    fn dir(&self) -> &std::path::Path {
        match self {
            Self::Open(hosted) => hosted.dir(),
            Self::Unopened { dir, .. } => dir,
        }
    }
}

impl Node {
    /// Opens a data directory and every collection in it. One that cannot be
    /// opened is told of, and the others are served.
    ///
    /// # Errors
    /// It is in use, or it is not known which collections are in it.
    pub async fn open(dir: &std::path::Path, options: NodeOptions) -> Result<Self, Error> {
        let collections = dir.join("collections");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        for dir in [dir, &collections] {
            disk.create_dir_all(dir).map_err(directory("create", dir))?;
        }
        let lock = lock(dir)?;
        let aliases = Kept::read(&*disk, dir).map_err(Error::Aliases)?;
        let mut held: BTreeMap<String, Held> = BTreeMap::new();
        for path in disk
            .list(&collections)
            .map_err(directory("list", &collections))?
        {
            let Some(Folder { path, record }) = look_into(&*disk, path)? else {
                continue;
            };
            let name = record.name.clone();
            if let Some(other) = held.get(&name) {
                return Err(Error::Twice {
                    name,
                    one: other.dir().to_owned(),
                    other: path,
                });
            }
            let uid = record.uid;
            let collection = Hosted::open(disk.clone(), &path, record, options).await;
            let collection = match collection {
                Ok(collection) => {
                    tracing::info!(collection = name, "opened");
                    Held::Open(Arc::new(collection))
                }
                Err(error) => {
                    let why = chain(&error);
                    tracing::error!(
                        collection = name,
                        folder = %path.display(),
                        error = why,
                        "cannot be opened: its requests are refused, the other collections are served"
                    );
                    Held::Unopened {
                        dir: path,
                        uid,
                        why,
                    }
                }
            };
            held.insert(name, collection);
        }
        Ok(Self(Arc::new(Inner {
            options,
            disk,
            root: dir.to_owned(),
            dir: collections,
            held: RwLock::new(held),
            aliases: RwLock::new(aliases),
            changing: tokio::sync::Mutex::new(()),
            _lock: lock,
        })))
    }

    /// Stops every shard, each with a checkpoint. Blocks.
    pub fn stop(&self) {
        let all: Vec<_> = self.0.all().values().cloned().collect();
        std::thread::scope(|scope| {
            for held in &all {
                if let Held::Open(collection) = held {
                    scope.spawn(|| collection.stop());
                }
            }
        });
    }
}

impl Inner {
    async fn make(&self, name: &str, spec: VectorCollectionSpec) -> Result<(), hosted::Error> {
        let record = Record {
            format: record::FORMAT,
            name: name.to_owned(),
            uid: Uuid::new_v4(),
            founded: false,
            indexes: Indexes::declared(&spec),
            spec,
        };
        let dir = self.dir.join(record.uid.to_string());
        let made = async {
            folders::make(&*self.disk, &dir, &record)?;
            Hosted::open(self.disk.clone(), &dir, record, self.options).await
        };
        match made.await {
            Ok(collection) => {
                self.put(name, collection);
                Ok(())
            }
            Err(error) => {
                // Nobody was told that it is there.
                if let Err(left) = remove(&dir) {
                    tracing::warn!(collection = name, error = %left, "what was made of it could not be removed");
                }
                Err(error)
            }
        }
    }

    fn put(&self, name: &str, collection: Hosted) {
        self.all_mut()
            .insert(name.to_owned(), Held::Open(Arc::new(collection)));
    }

    fn all_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Held>> {
        // One who panicked with the lock left a map that is whole.
        self.held
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn find(&self, name: &str) -> Option<Held> {
        self.all().get(name).cloned()
    }

    fn all(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Held>> {
        self.held
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn create(&self, name: &str, spec: VectorCollectionSpec) -> Result<(), CatalogError> {
        let _changing = self.changing.lock().await;
        if let Some(present) = self.find(name) {
            let differs = match present {
                Held::Open(hosted) => spec::differs(&hosted.record().spec, &spec),
                Held::Unopened { why, .. } => Some(format!("it cannot be opened: {why}")),
            };
            return Err(CatalogError::AlreadyExists { differs });
        }
        if let Some(collection) = self.aliased(name) {
            let differs = format!("it is an alias of {collection}; delete the alias first");
            return Err(CatalogError::AlreadyExists {
                differs: Some(differs),
            });
        }
        self.make(name, spec).await.map_err(|error| {
            let text = chain(&error);
            if error.is_disk_full() {
                CatalogError::DiskFull(text)
            } else {
                CatalogError::Internal(text)
            }
        })
    }

    /// Gives a collection other payload indexes, durably and in every shard.
    async fn reindex(
        &self,
        name: &str,
        change: impl FnOnce(&Record) -> Result<Indexes, CatalogError>,
    ) -> Result<(), CatalogError> {
        let _changing = self.changing.lock().await;
        let Some(Held::Open(collection)) = self.find(name) else {
            let what = format!("collection {name} was deleted meanwhile");
            return Err(CatalogError::Unsupported(what));
        };
        let indexes = change(&collection.record())?;
        collection.reindex(&*self.disk, indexes).await
    }

    async fn delete(&self, name: &str) -> Result<bool, CatalogError> {
        let _changing = self.changing.lock().await;
        let Some(collection) = self.find(name) else {
            return Ok(false);
        };
        let dir = collection.dir().to_owned();
        let uid = collection.uid();
        // First: if it cannot be, the collection is served as before.
        record::mark_deleted(&*self.disk, &dir).map_err(|error| not_deleted(&error))?;
        // From here on it takes no write, whatever happens to the rest: the
        // next start may find the mark.
        self.all_mut().remove(name);
        self.forget_aliases(uid);
        let disk = self.disk.clone();
        let removed = tokio::task::spawn_blocking(move || {
            // Its threads must not find their files gone.
            if let Held::Open(collection) = collection {
                collection.discard();
            }
            // Nor must a power cut take the mark back and leave the files gone.
            disk.sync_dir(&dir)?;
            remove_deleted(&dir)
        });
        match removed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(collection = name, %error, "the deleted collection's files could not all be removed; tried again at the next start");
            }
            Err(_) => tracing::error!(collection = name, "a shard panicked while it stopped"),
        }
        Ok(true)
    }
}

fn not_deleted(error: &io::Error) -> CatalogError {
    let why = format!("the collection could not be marked as deleted, nothing is: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ReadOnlyFilesystem => CatalogError::DiskFull(why),
        _ => CatalogError::Internal(why),
    }
}

/// Does something to its end also if nobody waits for it any more: a client
/// that hangs up must not leave a collection half made.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, CatalogError>> + Send + 'static,
) -> Result<T, CatalogError> {
    let cut_short = |e: tokio::task::JoinError| CatalogError::Internal(e.to_string());
    tokio::spawn(work).await.map_err(cut_short)?
}

#[async_trait::async_trait]
impl Catalog for Node {
    fn get(&self, name: &str) -> Result<Arc<Collection>, NoCollection> {
        match self.0.find(name).or_else(|| self.0.find_aliased(name)) {
            None => Err(NoCollection::Unknown),
            Some(Held::Open(hosted)) => Ok(hosted.picture()),
            Some(Held::Unopened { why, .. }) => Err(NoCollection::Unopened(why)),
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.all().keys().cloned().collect()
    }

    async fn create(&self, name: &str, wish: CreateCollection) -> Result<(), CatalogError> {
        CollectionName::new(name).map_err(|e| CatalogError::Invalid {
            field: "collection_name".into(),
            message: e.to_string(),
        })?;
        let spec = spec::wished(&wish);
        spec.validate().map_err(|e| CatalogError::Invalid {
            field: "vectors".into(),
            message: e.to_string(),
        })?;
        let (node, name) = (self.0.clone(), name.to_owned());
        to_its_end(async move { node.create(&name, spec).await }).await
    }

    async fn delete(&self, name: &str) -> Result<bool, CatalogError> {
        let (node, name) = (self.0.clone(), name.to_owned());
        to_its_end(async move { node.delete(&name).await }).await
    }

    async fn create_index(&self, name: &str, path: Path, kind: Kind) -> Result<(), CatalogError> {
        let (node, name) = (self.0.clone(), name.to_owned());
        let change = move |r: &Record| indexes::with_index(&r.spec, &r.indexes, &path, kind);
        to_its_end(async move { node.reindex(&name, change).await }).await
    }

    async fn drop_index(&self, name: &str, path: Path) -> Result<(), CatalogError> {
        let (node, name) = (self.0.clone(), name.to_owned());
        let change = move |r: &Record| indexes::without_index(&r.spec, &r.indexes, &path);
        to_its_end(async move { node.reindex(&name, change).await }).await
    }

    fn aliases(&self) -> Aliases {
        self.0.named_aliases()
    }

    async fn change_aliases(&self, actions: Vec<AliasAction>) -> Result<(), CatalogError> {
        let node = self.0.clone();
        to_its_end(async move { node.change_aliases(&actions).await }).await
    }

    fn ready(&self) -> bool {
        let serves = |held: &Held| matches!(held, Held::Open(hosted) if hosted.ready());
        self.0.all().values().all(serves)
    }
}
