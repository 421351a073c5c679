//! The collections of this process: those of its data directory, those of the
//! files it was started with, and those that clients make.
//!
//! ```text
//! DIR/LOCK                          held while a process uses the directory
//! DIR/collections/NAME/
//!     collection.json               identity, spec, whether it is founded
//!     ring                          the ring
//!     shards/N/{stamp.json, log/, data/}
//! ```
//!
//! A collection is made in steps that can be gone on with: record, ring, shards,
//! then the record says that it is founded. It is deleted by one rename, and
//! what is left of it is removed after that or at the next start.

mod hosted;
mod record;
mod spec;

use hosted::Hosted;
use quoit_crds::{CollectionName, HnswSpec, IndexSpec, VectorCollection, VectorCollectionSpec};
use quoit_disk::{Disk, RealDisk};
use quoit_router::{Catalog, CatalogError, Collection, CreateCollection};
use record::Record;
use std::collections::BTreeMap;
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

/// The collections of this process.
pub struct Node {
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
    pub async fn open(dir: &Path) -> Result<Self, Error> {
        let collections = dir.join("collections");
        std::fs::create_dir_all(&collections).map_err(directory("create", &collections))?;
        let lock = lock(dir)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut hosted = BTreeMap::new();
        for path in disk
            .list(&collections)
            .map_err(directory("list", &collections))?
        {
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default()
                .to_owned();
            if name.starts_with(".deleted-") {
                std::fs::remove_dir_all(&path).map_err(directory("remove", &path))?;
                continue;
            }
            let opened = |source| Error::Open {
                name: name.clone(),
                source,
            };
            let record = record::read(&*disk, &path).map_err(|e| opened(e.into()))?;
            let Some(record) = record else {
                if is_empty(&path) {
                    // Its making was cut short before its record was there.
                    std::fs::remove_dir_all(&path).map_err(directory("remove", &path))?;
                    continue;
                }
                return Err(Error::NoRecord { path });
            };
            let collection = Hosted::open(disk.clone(), &path, &name, record)
                .await
                .map_err(opened)?;
            tracing::info!(collection = name, "opened");
            hosted.insert(name, Arc::new(collection));
        }
        Ok(Self {
            disk,
            dir: collections,
            hosted: RwLock::new(hosted),
            changing: tokio::sync::Mutex::new(()),
            _lock: lock,
        })
    }

    /// Makes a file's collection what the file says.
    ///
    /// # Errors
    /// It asks for what cannot be; the collection stays as it was.
    pub async fn apply(&self, wished: &VectorCollection) -> Result<(), Error> {
        let name = wished.metadata.name.clone().unwrap_or_default();
        let refused = |what: String| Error::Refused {
            name: name.clone(),
            what,
        };
        let spec = &wished.spec;
        spec::resolve(spec).map_err(|e| refused(e.to_string()))?;
        let _changing = self.changing.lock().await;
        let present = self.find(&name);
        let Some(present) = present else {
            if spec.replicas > 1 {
                tracing::info!(
                    collection = name,
                    replicas = spec.replicas,
                    "local mode keeps one copy of each shard, whatever replicas says"
                );
            }
            return self
                .make(&name, spec.clone())
                .await
                .map_err(|source| Error::Open { name, source });
        };
        let record = present.record().clone();
        if record.spec == *spec {
            return Ok(());
        }
        spec.validate_update(&record.spec)
            .map_err(|e| refused(e.to_string()))?;
        if record.spec.shards != spec.shards {
            return Err(refused(format!(
                "spec.shards: it has {} and moving points to {} is not supported yet; set shards back to {}",
                record.spec.shards, spec.shards, record.spec.shards
            )));
        }
        self.reopen(
            &name,
            &present,
            Record {
                spec: spec.clone(),
                ..record
            },
        )
        .await
        .map_err(|source| Error::Open { name, source })
    }

    async fn make(&self, name: &str, spec: VectorCollectionSpec) -> Result<(), hosted::Error> {
        let dir = self.dir.join(name);
        let record = Record {
            format: record::FORMAT,
            uid: Uuid::new_v4(),
            founded: false,
            spec,
        };
        let made = async {
            record::write(&*self.disk, &dir, &record)?;
            Hosted::open(self.disk.clone(), &dir, name, record).await
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

    async fn reopen(
        &self,
        name: &str,
        present: &Arc<Hosted>,
        record: Record,
    ) -> Result<(), hosted::Error> {
        let dir = present.dir().to_owned();
        present.stop();
        self.hosted_mut().remove(name);
        record::write(&*self.disk, &dir, &record)?;
        let collection = Hosted::open(self.disk.clone(), &dir, name, record).await?;
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

    /// Stops every shard, each with a checkpoint. Blocks.
    pub fn stop(&self) {
        let all: Vec<_> = self.all().values().cloned().collect();
        std::thread::scope(|scope| {
            for collection in &all {
                scope.spawn(|| collection.stop());
            }
        });
    }
}

#[async_trait::async_trait]
impl Catalog for Node {
    fn get(&self, name: &str) -> Option<Arc<Collection>> {
        self.all().get(name).map(|h| h.picture())
    }

    fn names(&self) -> Vec<String> {
        self.all().keys().cloned().collect()
    }

    async fn create(&self, name: &str, wish: CreateCollection) -> Result<(), CatalogError> {
        CollectionName::new(name).map_err(|e| CatalogError::Invalid {
            field: "collection_name".into(),
            message: e.to_string(),
        })?;
        let spec = wished_spec(&wish);
        spec.validate().map_err(|e| CatalogError::Invalid {
            field: "vectors".into(),
            message: e.to_string(),
        })?;
        let _changing = self.changing.lock().await;
        if let Some(present) = self.find(name) {
            return Err(CatalogError::AlreadyExists {
                differs: differs(&present.record().spec, &spec),
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
        let failed = |e: io::Error| {
            CatalogError::Internal(format!("the collection's folder could not be removed: {e}"))
        };
        let gone = self
            .dir
            .join(format!(".deleted-{}", collection.record().uid));
        // From here on it is deleted, whatever happens to the rest.
        self.disk.rename(collection.dir(), &gone).map_err(failed)?;
        self.disk.sync_dir(&self.dir).map_err(failed)?;
        self.hosted_mut().remove(name);
        let stopped = tokio::task::spawn_blocking(move || {
            collection.stop();
            drop(collection);
            std::fs::remove_dir_all(&gone)
        });
        if let Ok(Err(error)) = stopped.await {
            tracing::warn!(collection = name, %error, "the deleted collection's files could not all be removed; tried again at the next start");
        }
        Ok(true)
    }

    fn ready(&self) -> bool {
        self.all().values().all(|collection| collection.ready())
    }
}

fn wished_spec(wish: &CreateCollection) -> VectorCollectionSpec {
    let dimension = u32::try_from(wish.dimension).unwrap_or(u32::MAX);
    let mut spec = VectorCollectionSpec::unnamed(dimension, spec::spec_metric(wish.metric));
    if let Some(shards) = wish.shard_number {
        spec.shards = shards;
    }
    if wish.hnsw_m == Some(0) {
        spec.index = Some(IndexSpec {
            kind: quoit_crds::IndexType::Flat,
            ..IndexSpec::default()
        });
    } else if wish.hnsw_m.is_some() || wish.ef_construct.is_some() {
        let default = HnswSpec::default();
        let hnsw = HnswSpec {
            m: wish.hnsw_m.unwrap_or(default.m),
            ef_construction: wish.ef_construct.unwrap_or(default.ef_construction),
            ..default
        };
        spec.index = Some(IndexSpec {
            hnsw: Some(hnsw),
            ..IndexSpec::default()
        });
    }
    spec
}

fn differs(present: &VectorCollectionSpec, wished: &VectorCollectionSpec) -> Option<String> {
    let (present, wished) = (present.resolved().ok()?, wished.resolved().ok()?);
    let (p, w) = (present.first()?, wished.first()?);
    let mut differences = Vec::new();
    if p.dimension != w.dimension {
        differences.push(format!(
            "its vectors have size {} and not {}",
            p.dimension, w.dimension
        ));
    }
    if p.metric != w.metric {
        differences.push(format!(
            "its distance is {:?} and not {:?}",
            p.metric, w.metric
        ));
    }
    (!differences.is_empty()).then(|| differences.join(", "))
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

fn is_empty(dir: &Path) -> bool {
    let record = |name: &std::ffi::OsStr| name == "collection.new";
    std::fs::read_dir(dir).is_ok_and(|entries| entries.flatten().all(|e| record(&e.file_name())))
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
