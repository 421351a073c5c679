//! The collections of this process: those of its data directory, those of the
//! files it was started with, and those that clients make.
//!
//! ```text
//! DIR/LOCK                          held while a process uses the directory
//! DIR/collections/UID/
//!     collection.json               name, identity, spec, whether it is founded
//!     ring                          the ring
//!     shards/N/{stamp.json, log/, data/}
//! ```
//!
//! A collection is made in steps that can be gone on with: record, ring, shards,
//! then the record says that it is founded. It is deleted by renaming its record,
//! and what is left of it is removed after that or at the next start. No folder's
//! path is ever used twice: who still reads a deleted collection removes files
//! by their paths, and these must not be those of one made after it.

mod hosted;
mod record;
mod spec;

use hosted::Hosted;
use quoit_crds::{CollectionName, VectorCollection, VectorCollectionSpec};
use quoit_disk::{Disk, RealDisk};
use quoit_router::{Catalog, CatalogError, Collection, CreateCollection};
use quoit_shard::UpkeepOptions;
use quoit_shard::log::LogOptions;
use record::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
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

fn directory(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
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
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            upkeep: UpkeepOptions::default(),
            log_segment_bytes: LogOptions::new(0).segment_bytes,
        }
    }
}

/// What the name of a deleted collection's folder starts with.
const DELETED: &str = ".deleted-";

/// The collections of this process. Clones are the same node.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    options: NodeOptions,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    hosted: RwLock<BTreeMap<String, Arc<Hosted>>>,
    /// Held while a collection is made or deleted: one at a time.
    changing: tokio::sync::Mutex<()>,
    /// Held open: the lock goes with it.
    _lock: File,
}

impl Node {
    /// Opens a data directory and every collection in it.
    ///
    /// # Errors
    /// It is in use, or something in it is damaged or lost.
    pub async fn open(dir: &Path, options: NodeOptions) -> Result<Self, Error> {
        let collections = dir.join("collections");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        for dir in [dir, &collections] {
            disk.create_dir_all(dir).map_err(directory("create", dir))?;
        }
        let lock = lock(dir)?;
        let mut hosted: BTreeMap<String, Arc<Hosted>> = BTreeMap::new();
        for path in disk
            .list(&collections)
            .map_err(directory("list", &collections))?
        {
            let Some((path, record)) = look_into(&*disk, path)? else {
                continue;
            };
            let name = record.name.clone();
            if let Some(other) = hosted.get(&name) {
                return Err(Error::Twice {
                    name,
                    one: other.dir().to_owned(),
                    other: path,
                });
            }
            let collection = Hosted::open(disk.clone(), &path, record, options).await;
            let collection = collection.map_err(|source| Error::Open {
                name: name.clone(),
                source,
            })?;
            tracing::info!(collection = name, "opened");
            hosted.insert(name, Arc::new(collection));
        }
        Ok(Self(Arc::new(Inner {
            options,
            disk,
            dir: collections,
            hosted: RwLock::new(hosted),
            changing: tokio::sync::Mutex::new(()),
            _lock: lock,
        })))
    }

    /// Makes collections what files say: all of them, or none if one cannot be.
    ///
    /// # Errors
    /// One asks for what cannot be, and nothing has changed; or one could not
    /// be made or opened.
    pub async fn apply(&self, wished: &[VectorCollection]) -> Result<(), Error> {
        let node = &self.0;
        let _changing = node.changing.lock().await;
        let mut names = BTreeSet::new();
        let mut steps = Vec::new();
        for VectorCollection { metadata, spec, .. } in wished {
            let name = metadata.name.clone().unwrap_or_default();
            let step = if names.insert(name.clone()) {
                node.step(&name, spec)
            } else {
                Err("it is given twice: keep one of the two".to_owned())
            };
            let refused = |what| Error::Refused {
                name: name.clone(),
                what,
            };
            let step = step.map_err(refused)?;
            steps.push((name, spec, step));
        }
        for (name, spec, step) in steps {
            let done = match step {
                Step::Nothing => Ok(()),
                Step::Make => node.make(&name, spec.clone()).await,
                Step::Change => node.change(&name, spec.clone()).await,
            };
            done.map_err(|source| Error::Open { name, source })?;
        }
        Ok(())
    }

    /// Stops every shard, each with a checkpoint. Blocks.
    pub fn stop(&self) {
        let all: Vec<_> = self.0.all().values().cloned().collect();
        std::thread::scope(|scope| {
            for collection in &all {
                scope.spawn(|| collection.stop());
            }
        });
    }
}

/// What it takes to make a collection what a file says.
enum Step {
    Nothing,
    Make,
    Change,
}

impl Inner {
    /// What is to be done for a spec, or why it cannot be.
    fn step(&self, name: &str, spec: &VectorCollectionSpec) -> Result<Step, String> {
        spec::resolve(spec).map_err(|e| e.to_string())?;
        let Some(present) = self.find(name) else {
            if spec.replicas > 1 {
                tracing::info!(
                    collection = name,
                    replicas = spec.replicas,
                    "local mode keeps one copy of each shard, whatever replicas says"
                );
            }
            return Ok(Step::Make);
        };
        let old = &present.record().spec;
        if old == spec {
            return Ok(Step::Nothing);
        }
        spec.validate_update(old).map_err(|e| e.to_string())?;
        if old.shards != spec.shards {
            return Err(format!(
                "spec.shards: it has {} and moving points to {} is not supported yet; set shards back to {}",
                old.shards, spec.shards, old.shards
            ));
        }
        Ok(Step::Change)
    }

    async fn make(&self, name: &str, spec: VectorCollectionSpec) -> Result<(), hosted::Error> {
        let record = Record {
            format: record::FORMAT,
            name: name.to_owned(),
            uid: Uuid::new_v4(),
            founded: false,
            spec,
        };
        let dir = self.dir.join(record.uid.to_string());
        let made = async {
            record::write(&*self.disk, &dir, &record)?;
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

    /// Opens a collection anew, with another spec. For the start: requests in
    /// flight would keep its files open.
    async fn change(&self, name: &str, spec: VectorCollectionSpec) -> Result<(), hosted::Error> {
        let Some(present) = self.hosted_mut().remove(name) else {
            return Ok(());
        };
        present.stop();
        let dir = present.dir().to_owned();
        let record = Record {
            spec,
            ..present.record().clone()
        };
        // The files can be opened once at a time.
        drop(present);
        record::write(&*self.disk, &dir, &record)?;
        let collection = Hosted::open(self.disk.clone(), &dir, record, self.options).await?;
        self.put(name, collection);
        Ok(())
    }

    fn put(&self, name: &str, collection: Hosted) {
        self.hosted_mut()
            .insert(name.to_owned(), Arc::new(collection));
    }

    fn hosted_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Arc<Hosted>>> {
        // One who panicked with the lock left a map that is whole.
        self.hosted
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn find(&self, name: &str) -> Option<Arc<Hosted>> {
        self.all().get(name).cloned()
    }

    fn all(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Arc<Hosted>>> {
        self.hosted
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn create(&self, name: &str, spec: VectorCollectionSpec) -> Result<(), CatalogError> {
        let _changing = self.changing.lock().await;
        if let Some(present) = self.find(name) {
            return Err(CatalogError::AlreadyExists {
                differs: spec::differs(&present.record().spec, &spec),
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

    async fn delete(&self, name: &str) -> Result<bool, CatalogError> {
        let _changing = self.changing.lock().await;
        let Some(collection) = self.find(name) else {
            return Ok(false);
        };
        let dir = collection.dir().to_owned();
        // First: if it cannot be, the collection is served as before.
        record::mark_deleted(&*self.disk, &dir).map_err(|error| not_deleted(&error))?;
        // From here on it takes no write, whatever happens to the rest: the
        // next start may find the mark.
        self.hosted_mut().remove(name);
        let disk = self.disk.clone();
        let removed = tokio::task::spawn_blocking(move || {
            // Its threads must not find their files gone.
            collection.discard();
            drop(collection);
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
    fn get(&self, name: &str) -> Option<Arc<Collection>> {
        self.0.all().get(name).map(|h| h.picture())
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

    fn ready(&self) -> bool {
        self.0.all().values().all(|collection| collection.ready())
    }
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("LOCK");
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path);
    let file = file.map_err(directory("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: dir.to_owned(),
        }),
        Err(TryLockError::Error(e)) => Err(directory("lock", &path)(e)),
    }
}

/// What an entry of the folder of collections is: a collection's record, or
/// nothing that is to be opened.
fn look_into(disk: &dyn Disk, path: PathBuf) -> Result<Option<(PathBuf, Record)>, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with(DELETED) || record::is_marked_deleted(&path) {
        if let Err(error) = remove_deleted(&path) {
            tracing::warn!(path = %path.display(), %error, "a deleted collection's files could not all be removed");
        }
        return Ok(None);
    }
    if !path.is_dir() {
        tracing::warn!(path = %path.display(), "not a collection's folder: left alone");
        return Ok(None);
    }
    let record = record::read(disk, &path).map_err(|source| Error::Open {
        name: name.clone().into_owned(),
        source: source.into(),
    })?;
    let Some(record) = record else {
        // Its making may have been cut short before its record was there. What
        // holds anything else is not removed, and not served as empty.
        remove_file(&path.join(record::UNFINISHED)).map_err(directory("empty", &path))?;
        return match std::fs::remove_dir(&path) {
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Err(Error::NoRecord { path }),
            other => other.map(|()| None).map_err(directory("remove", &path)),
        };
    };
    if name == record.uid.to_string() {
        Ok(Some((path, record)))
    } else {
        let uid = record.uid;
        Err(Error::Misnamed { path, uid })
    }
}

/// Removes a deleted collection's folder. It is renamed first: its mark may be
/// the first of it that goes, and what is left would be no collection's.
fn remove_deleted(dir: &Path) -> io::Result<()> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with(DELETED) {
        return remove(dir);
    }
    let gone = dir.with_file_name(format!("{DELETED}{name}"));
    std::fs::rename(dir, &gone)?;
    remove(&gone)
}

fn remove_file(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn remove(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
