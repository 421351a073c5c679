//! The one collection that a router of a cluster serves, as etcd shows it. Clients
//! make and delete no collections here: their owner declares them. Payload indexes
//! and other names are theirs to change, in the schema beside the ring.

use crate::asked::Asked;
use crate::shards::Shards;
use crate::sight::{Sight, Watched};
use crate::troubles::Troubles;
use futures::StreamExt;
use parking_lot::RwLock;
use quoit_cluster::{KeptSchema, NotSeen, Seen, check_aliases, indexes, spec};
use quoit_columns::Kind;
use quoit_filter::Path;
use quoit_process::chain;
use quoit_proto::v1::SetSchemaRequest;
use quoit_proto::{ErrorKind, ShardClient};
use quoit_ring::{RingStore, ShardId, Shown, StoreError, SwapError, ValueName, Values, Watch};
use quoit_router::{
    AliasAction, Aliases, Catalog, CatalogError, Collection, CreateCollection, NoCollection,
    changed_aliases,
};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;

/// The collection, once it is seen.
#[derive(Default)]
struct Picture {
    collection: Option<Arc<Collection>>,
    clients: BTreeMap<ShardId, Arc<dyn ShardClient>>,
    aliases: BTreeSet<String>,
    spec: Option<quoit_crds::VectorCollectionSpec>,
}

/// Why etcd shows a router nothing to serve.
const LACKS: &str = "the collection is not in etcd: has it been declared, with this uid?";

/// What a router of a cluster serves.
pub struct ClusterCatalog {
    picture: RwLock<Picture>,
    troubles: Troubles,
    values: Arc<dyn Values>,
}

const DECLARED: &str = "on a cluster a collection is declared: apply a VectorCollection with kubectl, or edit or delete that of this one";

impl ClusterCatalog {
    /// Of a collection that is not seen yet.
    pub fn new(values: Arc<dyn Values>) -> Self {
        Self {
            picture: RwLock::default(),
            troubles: Troubles::default(),
            values,
        }
    }

    /// Follows what etcd shows, or shards while it shows nothing; never ends.
    pub async fn follow(&self, rings: Arc<dyn RingStore>, mut shards: Shards, asked: Asked) {
        let mut wish = self.values.watch(&ValueName::wish());
        let mut schema = self.values.watch(&ValueName::schema());
        let mut nodes = self.values.watch(&ValueName::shards());
        let mut ring = rings.watch();
        let mut rounds = asked.rounds();
        let mut sight = Sight::default();
        loop {
            tokio::select! {
                shown = next(&mut wish) => self.see(&mut sight, Watched::Wish, shown, |seen, named| {
                    seen.see_wish(&named)
                }),
                shown = next(&mut schema) => self.see(&mut sight, Watched::Schema, shown, |seen, named| {
                    seen.see_schema(&named)
                }),
                shown = next(&mut nodes) => self.see(&mut sight, Watched::Nodes, shown, |seen, named| {
                    seen.see_nodes(&named)
                }),
                shown = next(&mut ring) => self.see(&mut sight, Watched::Ring, shown, |seen, ring| {
                    seen.see_ring(ring.map(|kept| kept.value))
                }),
                Some(round) = rounds.next(), if sight.needs_shards() => sight.asked(round),
            }
            self.troubles.note("shards", sight.trouble());
            let served = self.show(sight.seen(), &mut shards);
            self.troubles
                .note("collection", served.err().map(|e| chain(&*e)));
        }
    }

    /// Takes what a watch shows, and notes why it cannot be taken.
    fn see<T>(
        &self,
        sight: &mut Sight,
        watched: Watched,
        shown: Result<Shown<T>, StoreError>,
        take: impl FnOnce(&mut Seen, T) -> Result<(), NotSeen>,
    ) {
        let is_away = shown.as_ref().is_err_and(StoreError::may_retry);
        let trouble = match shown {
            Ok(shown) => {
                let taken = take(sight.seen_mut(), shown.now);
                taken.err().map(|error| chain(&error))
            }
            Err(error) if is_away => Some(format!(
                "etcd is away, so changes of the cluster are not seen: {}",
                chain(&error)
            )),
            Err(error) => Some(chain(&error)),
        };
        sight.etcd_answers(watched, !is_away);
        self.troubles.note(watched.name(), trouble);
    }

    fn show(&self, seen: &Seen, shards: &mut Shards) -> Result<(), Box<dyn Error>> {
        let (Some(wish), Some(ring)) = (seen.wish(), seen.ring()) else {
            return Ok(());
        };
        let mut replicas = seen.replicas();
        for (shard, _) in ring.shards() {
            // One of which nobody has registered is asked all the same, and says so.
            replicas.entry(shard).or_default();
        }
        shards.set(&replicas);
        let clients = shards.clients();
        let resolved = spec::resolve(&wish.spec)?;
        let owners = ring.table().owners();
        let collection = Collection::new(
            wish.name.clone(),
            resolved.router,
            ring.vnodes(),
            owners,
            &clients,
        )?;
        let aliases = seen.schema().map(|schema| schema.aliases.clone());
        *self.picture.write() = Picture {
            collection: Some(Arc::new(collection)),
            clients,
            aliases: aliases.unwrap_or_default(),
            spec: Some(wish.spec.clone()),
        };
        Ok(())
    }

    /// Its own name, and its spec.
    fn own(&self, name: &str) -> Result<quoit_crds::VectorCollectionSpec, CatalogError> {
        let picture = self.picture.read();
        let is_it = |c: &Arc<Collection>| c.name() == name;
        let spec = picture.spec.clone();
        let spec = spec.filter(|_| picture.collection.as_ref().is_some_and(is_it));
        spec.ok_or_else(|| CatalogError::Unsupported(DECLARED.to_owned()))
    }

    /// Changes the schema, if there is something to be changed.
    async fn change(
        &self,
        change: impl Fn(&KeptSchema) -> Result<KeptSchema, CatalogError>,
    ) -> Result<KeptSchema, CatalogError> {
        let name = ValueName::schema();
        let failed = |error: &dyn Error| CatalogError::Internal(chain(error));
        loop {
            let kept = self.values.get(&name).await.map_err(|e| failed(&e))?;
            let Some(kept) = kept else {
                let what = "the collection's schema is not in etcd: apply the collection again";
                return Err(CatalogError::Internal(what.to_owned()));
            };
            let present = KeptSchema::from_bytes(&kept.value).map_err(|e| failed(&e))?;
            let next = change(&present)?;
            if next == present {
                return Ok(present);
            }
            let bytes = next.to_bytes();
            match self.values.swap(&name, Some(kept.revision), &bytes).await {
                Ok(_) => return Ok(next),
                // Somebody else changed it: both changes are to be there.
                Err(SwapError::Conflict { .. }) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
    }

    /// Has every shard take the schema's indexes; each is asked, also after one has
    /// failed. One that has not taken them yet does when its leader sees them.
    async fn send(&self, schema: &KeptSchema) -> Result<(), CatalogError> {
        let indexes = schema.indexes.schema();
        let indexes = indexes.map_err(|e| CatalogError::Internal(e.to_string()))?;
        let clients = self.picture.read().clients.clone();
        let asked = clients.iter().map(|(shard, client)| {
            let schema = Some((&indexes).into());
            async move { (shard, client.set_schema(SetSchemaRequest { schema }).await) }
        });
        for (shard, answer) in futures::future::join_all(asked).await {
            if let Err(error) = answer {
                let text = format!(
                    "shard {shard} has not taken the change yet, which is noted and reaches it by itself: {}",
                    error.message
                );
                return Err(match error.kind {
                    ErrorKind::DiskFull => CatalogError::DiskFull(text),
                    _ => CatalogError::Internal(text),
                });
            }
        }
        Ok(())
    }
}

/// A watch of etcd never ends.
async fn next<T>(watch: &mut Watch<T>) -> Result<Shown<T>, StoreError> {
    match watch.next().await {
        Some(shown) => shown,
        None => std::future::pending().await,
    }
}

#[async_trait::async_trait]
impl Catalog for ClusterCatalog {
    fn get(&self, name: &str) -> Result<Arc<Collection>, NoCollection> {
        let picture = self.picture.read();
        let is_it = |c: &&Arc<Collection>| c.name() == name || picture.aliases.contains(name);
        let collection = picture.collection.as_ref().filter(is_it);
        collection.cloned().ok_or(NoCollection::Unknown)
    }

    fn names(&self) -> Vec<String> {
        let picture = self.picture.read();
        let names = picture.collection.iter().map(|c| c.name().to_owned());
        names.collect()
    }

    async fn create(&self, name: &str, wish: CreateCollection) -> Result<(), CatalogError> {
        let present = self.own(name)?;
        let differs = spec::differs(&present, &spec::wished(&wish));
        Err(CatalogError::AlreadyExists { differs })
    }

    async fn delete(&self, _: &str) -> Result<bool, CatalogError> {
        Err(CatalogError::Unsupported(DECLARED.to_owned()))
    }

    async fn create_index(&self, name: &str, path: Path, kind: Kind) -> Result<(), CatalogError> {
        let spec = self.own(name)?;
        let with = |schema: &KeptSchema| {
            let indexes = indexes::with_index(&spec, &schema.indexes, &path, kind)?;
            let aliases = schema.aliases.clone();
            Ok(KeptSchema { indexes, aliases })
        };
        let schema = self.change(with).await?;
        self.send(&schema).await
    }

    async fn drop_index(&self, name: &str, path: Path) -> Result<(), CatalogError> {
        let spec = self.own(name)?;
        let without = |schema: &KeptSchema| {
            let indexes = indexes::without_index(&spec, &schema.indexes, &path)?;
            let aliases = schema.aliases.clone();
            Ok(KeptSchema { indexes, aliases })
        };
        let schema = self.change(without).await?;
        self.send(&schema).await
    }

    fn aliases(&self) -> Aliases {
        let picture = self.picture.read();
        let Some(collection) = &picture.collection else {
            return Aliases::new();
        };
        let of = |alias: &String| (alias.clone(), collection.name().to_owned());
        picture.aliases.iter().map(of).collect()
    }

    async fn change_aliases(&self, actions: Vec<AliasAction>) -> Result<(), CatalogError> {
        check_aliases(&actions)?;
        let names = self.names();
        let changed = |schema: &KeptSchema| {
            let own = names.first().cloned().unwrap_or_default();
            let before = schema.aliases.iter().map(|a| (a.clone(), own.clone()));
            let is_it = |name: &str| names.iter().any(|own| own == name);
            let after = changed_aliases(&before.collect(), &actions, is_it)?;
            Ok(KeptSchema {
                indexes: schema.indexes.clone(),
                aliases: after.into_keys().collect(),
            })
        };
        let schema = self.change(changed).await?;
        // Who made the change sees it with the next request; other routers soon.
        self.picture.write().aliases = schema.aliases;
        Ok(())
    }

    fn ready(&self) -> bool {
        // A shard that is away must not take the router away from the others.
        self.picture.read().collection.is_some()
    }

    fn trouble(&self) -> Option<String> {
        let lacks = || (!self.ready()).then(|| LACKS.to_owned());
        self.troubles.text().or_else(lacks)
    }
}
