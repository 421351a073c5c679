//! A catalog of collections whose shards are in memory.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use quoit_columns::Kind;
use quoit_filter::Path;
use quoit_proto::ShardClient;
use quoit_ring::{ShardId, VnodeCount};
use quoit_router::{
    AliasAction, Aliases, Catalog, CatalogError, Collection, CollectionLimits, CollectionParams,
    CreateCollection, CreateVector, Hnsw, NoCollection, VectorParams, changed_aliases,
};

use super::{FakeShard, State, VNODES};

/// A collection and its shards.
type Made = (Arc<Collection>, Vec<Arc<FakeShard>>);

/// The collections as they were at some time, without their indexes.
pub struct Saved {
    all: BTreeMap<String, Made>,
    states: Vec<Vec<State>>,
}

/// The collections of a test.
pub struct FakeCatalog {
    shard_count: u32,
    limits: CollectionLimits,
    all: Mutex<BTreeMap<String, Made>>,
    indexes: Mutex<BTreeMap<String, Kind>>,
    aliases: Mutex<Aliases>,
}

impl FakeCatalog {
    /// One without collections, which get so many shards.
    pub fn new(shard_count: u32, limits: CollectionLimits) -> Self {
        Self {
            shard_count,
            limits,
            all: Mutex::default(),
            indexes: Mutex::default(),
            aliases: Mutex::default(),
        }
    }

    /// The shards of a collection.
    pub fn shards(&self, name: &str) -> Vec<Arc<FakeShard>> {
        self.all.lock().unwrap()[name].1.clone()
    }

    /// What is there now.
    pub fn save(&self) -> Saved {
        let all = self.all.lock().unwrap().clone();
        let states = |(_, shards): &Made| shards.iter().map(|s| s.state().clone()).collect();
        Saved {
            states: all.values().map(states).collect(),
            all,
        }
    }

    /// From now on there is what was there then, without indexes and aliases.
    pub fn restore(&self, saved: &Saved) {
        for ((_, shards), states) in saved.all.values().zip(&saved.states) {
            for (shard, state) in shards.iter().zip(states) {
                shard.state().clone_from(state);
            }
        }
        self.all.lock().unwrap().clone_from(&saved.all);
        self.indexes.lock().unwrap().clear();
        self.aliases.lock().unwrap().clear();
    }

    /// The indexed fields, of all collections.
    pub fn indexes(&self) -> BTreeMap<String, Kind> {
        self.indexes.lock().unwrap().clone()
    }

    /// Everything that is stored, as text to compare.
    pub fn dump(&self) -> String {
        let mut text = format!("{:?} {:?}", self.indexes(), self.aliases());
        for (name, (collection, shards)) in &*self.all.lock().unwrap() {
            writeln!(text, "{name} {:?}", collection.params()).unwrap();
            for shard in shards {
                writeln!(text, "{:?}", shard.state().points).unwrap();
            }
        }
        text
    }
}

#[async_trait::async_trait]
impl Catalog for FakeCatalog {
    fn get(&self, name: &str) -> Result<Arc<Collection>, NoCollection> {
        let all = self.all.lock().unwrap();
        let aliases = self.aliases.lock().unwrap();
        let found = all.get(name).or_else(|| all.get(aliases.get(name)?));
        let found = found.map(|c| Arc::clone(&c.0));
        found.ok_or(NoCollection::Unknown)
    }

    fn names(&self) -> Vec<String> {
        self.all.lock().unwrap().keys().cloned().collect()
    }

    async fn create(&self, name: &str, wish: CreateCollection) -> Result<(), CatalogError> {
        let mut all = self.all.lock().unwrap();
        if let Some((there, _)) = all.get(name) {
            let (a, b) = (
                there.params().vectors[0].dimension,
                wish.vectors[0].dimension,
            );
            let differs = (a != b).then(|| format!("its dimension is {a} and not {b}"));
            return Err(CatalogError::AlreadyExists { differs });
        }
        if name.contains('/') {
            return Err(CatalogError::Invalid {
                field: "collection_name".to_owned(),
                message: "leave out the slash".to_owned(),
            });
        }
        let count = wish.shard_number.unwrap_or(self.shard_count);
        if count > VNODES {
            return Err(CatalogError::Invalid {
                field: "shard_number".to_owned(),
                message: format!("make it {VNODES} at most"),
            });
        }
        let vnodes = VnodeCount::new(VNODES).unwrap();
        let map: Vec<ShardId> = (0..VNODES).map(|v| ShardId(v % count)).collect();
        let metrics = wish.vectors.iter().map(|v| (v.name.clone(), v.metric));
        let metrics: BTreeMap<_, _> = metrics.collect();
        let shards: Vec<Arc<FakeShard>> = (0..count)
            .map(|s| {
                let owned = vnodes.iter().filter(|v| u32::from(v.0) % count == s);
                Arc::new(FakeShard::new(owned.collect(), metrics.clone()))
            })
            .collect();
        let clients = shards.iter().zip(0..).map(|(shard, s)| {
            let client: Arc<dyn ShardClient> = shard.clone();
            (ShardId(s), client)
        });
        let params = CollectionParams {
            vectors: wish.vectors.iter().map(created).collect(),
            replicas: 1,
            limits: self.limits,
        };
        let collection = Collection::new(name, params, vnodes, &map, &clients.collect()).unwrap();
        all.insert(name.to_owned(), (Arc::new(collection), shards));
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<bool, CatalogError> {
        Ok(self.all.lock().unwrap().remove(name).is_some())
    }

    async fn create_index(&self, _: &str, path: Path, kind: Kind) -> Result<(), CatalogError> {
        if path.first() == "declared" {
            return Err(CatalogError::Declared("it is declared".to_owned()));
        }
        self.indexes.lock().unwrap().insert(path.to_string(), kind);
        Ok(())
    }

    async fn drop_index(&self, _: &str, path: Path) -> Result<(), CatalogError> {
        self.indexes.lock().unwrap().remove(&path.to_string());
        Ok(())
    }

    fn aliases(&self) -> Aliases {
        self.aliases.lock().unwrap().clone()
    }

    async fn change_aliases(&self, actions: Vec<AliasAction>) -> Result<(), CatalogError> {
        let all = self.all.lock().unwrap();
        let mut aliases = self.aliases.lock().unwrap();
        *aliases = changed_aliases(&aliases, &actions, |name| all.contains_key(name))?;
        Ok(())
    }

    fn ready(&self) -> bool {
        true
    }
}

fn created(wish: &CreateVector) -> VectorParams {
    VectorParams {
        name: wish.name.clone(),
        dimension: wish.dimension,
        metric: wish.metric,
        hnsw: Some(Hnsw {
            m: wish.hnsw_m.unwrap_or(16),
            ef_construct: wish.ef_construct.unwrap_or(128),
        }),
    }
}
