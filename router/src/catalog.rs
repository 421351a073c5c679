//! What the router needs to know of the collections, and whom it asks: the
//! [`Catalog`] is told by whoever runs the router (local mode, or the ring's
//! watch on a cluster). A [`Collection`] is one immutable picture of a
//! collection's parameters and of the map from vnodes to shards; a change of
//! either is a new picture in the catalog, and a request keeps the one it
//! began with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use quoit_columns::Kind;
use quoit_filter::Path;
use quoit_proto::ShardClient;
use quoit_proto::v1::Freshness;
use quoit_ring::{PointId, ShardId, Vnode, VnodeCount, VnodeSet};

use crate::aliases::{AliasAction, Aliases, BadAliases};
use crate::merge::Order;
use crate::reading::Reading;

/// How the nearness of two vectors is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The cosine of their angle; higher is nearer.
    Cosine,
    /// Their dot product; higher is nearer.
    Dot,
    /// Their Euclidean distance; lower is nearer.
    Euclid,
    /// The sum of the differences of their coordinates; lower is nearer.
    Manhattan,
}

impl Metric {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "Cosine",
            Self::Dot => "Dot",
            Self::Euclid => "Euclid",
            Self::Manhattan => "Manhattan",
        }
    }

    /// Which scores come first.
    pub(crate) fn order(self) -> Order {
        match self {
            Self::Cosine | Self::Dot => Order::HigherFirst,
            Self::Euclid | Self::Manhattan => Order::LowerFirst,
        }
    }
}

/// The parameters of a graph index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hnsw {
    /// Edges a node.
    pub m: u32,
    /// The size of the candidate list while building.
    pub ef_construct: u32,
}

/// The bounds on one request to a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionLimits {
    /// The bytes of one point's payload as JSON text.
    pub max_payload_bytes: usize,
    /// The points of one upsert, and the ids of one retrieve or delete.
    pub max_batch_points: usize,
    /// The bytes of one request's body.
    pub max_request_bytes: usize,
    /// The points that one search or page may go through: `offset` and `limit` together.
    pub max_search_limit: usize,
    /// The searches of one batch.
    pub max_batch_searches: usize,
    /// The size of the candidate list that a search may ask for.
    pub max_hnsw_ef: u32,
}

impl Default for CollectionLimits {
    fn default() -> Self {
        Self {
            max_payload_bytes: 1 << 20,
            max_batch_points: 10_000,
            max_request_bytes: 32 << 20,
            max_search_limit: 10_000,
            max_batch_searches: 1_000,
            max_hnsw_ef: 10_000,
        }
    }
}

/// What a collection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionParams {
    /// The vectors that a point can have: 1 to 16.
    pub vectors: Vec<VectorParams>,
    /// The copies of each shard that the collection asks for.
    pub replicas: u32,
    /// The bounds on one request.
    pub limits: CollectionLimits,
}

/// What the vectors of one name are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorParams {
    /// The name; empty where the collection has but one and does not name it.
    pub name: String,
    /// The number of coordinates of each vector.
    pub dimension: usize,
    /// How nearness is measured.
    pub metric: Metric,
    /// The graph index, `None` for an exact (flat) one.
    pub hnsw: Option<Hnsw>,
}

impl CollectionParams {
    /// Whether points have but one vector, and that has no name.
    pub(crate) fn is_unnamed(&self) -> bool {
        matches!(self.vectors.as_slice(), [one] if one.name.is_empty())
    }

    /// The place of a name.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.vectors.iter().position(|v| v.name == name)
    }

    /// The names of some.
    pub(crate) fn names(&self, some: VectorSet) -> Vec<String> {
        let all = self.vectors.iter().enumerate();
        let some = all.filter(|(place, _)| some.contains(*place));
        some.map(|(_, v)| v.name.clone()).collect()
    }
}

/// Some of a collection's vectors, by their places in its parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VectorSet(u16);

impl VectorSet {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(u16::MAX);

    /// With one more.
    pub(crate) fn with(self, place: usize) -> Self {
        let bit = u32::try_from(place).ok().and_then(|n| 1_u16.checked_shl(n));
        Self(self.0 | bit.unwrap_or(0))
    }

    pub(crate) fn contains(self, place: usize) -> bool {
        self.with(place) == self
    }
}

/// One shard, and the vnodes that it is asked for.
pub(crate) struct Target {
    pub(crate) shard: ShardId,
    pub(crate) client: Arc<dyn ShardClient>,
    /// How many vnodes it is asked for.
    pub(crate) count: usize,
    /// Those vnodes as they go over the wire.
    pub(crate) bits: Vec<u8>,
}

/// One collection as a request sees it.
#[derive(Clone)]
pub struct Collection {
    picture: Arc<Picture>,
    /// How the request reads.
    reading: Reading,
}

/// What all requests see of it at a time.
struct Picture {
    name: String,
    params: CollectionParams,
    vnodes: VnodeCount,
    /// Each vnode's index into `targets`.
    owner: Vec<usize>,
    targets: Vec<Target>,
}

/// A map of vnodes that leaves some without a shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlacement {
    /// The map is not as long as the ring.
    #[error("the map names the owners of {named} vnodes; the ring has {vnodes}")]
    Length {
        /// The length of the map.
        named: usize,
        /// The number of vnodes.
        vnodes: u32,
    },
    /// An owner that cannot be reached.
    #[error("vnode {vnode} is owned by shard {shard}, which has no client")]
    NoClient {
        /// The vnode.
        vnode: u16,
        /// Its owner.
        shard: ShardId,
    },
}

impl Collection {
    /// A collection whose vnode `v` is held by shard `owner[v]`. Shards that
    /// own nothing are not asked.
    ///
    /// # Errors
    /// A vnode has no owner, or its owner no client.
    pub fn new(
        name: impl Into<String>,
        params: CollectionParams,
        vnodes: VnodeCount,
        owner: &[ShardId],
        shards: &BTreeMap<ShardId, Arc<dyn ShardClient>>,
    ) -> Result<Self, BadPlacement> {
        if u32::try_from(owner.len()) != Ok(vnodes.get()) {
            return Err(BadPlacement::Length {
                named: owner.len(),
                vnodes: vnodes.get(),
            });
        }
        let mut held: BTreeMap<ShardId, VnodeSet> = BTreeMap::new();
        for (v, shard) in vnodes.iter().zip(owner) {
            held.entry(*shard).or_default().insert(v);
        }
        let mut index = BTreeMap::new();
        let mut targets = Vec::with_capacity(held.len());
        for (shard, set) in held {
            let Some(client) = shards.get(&shard) else {
                let vnode = set.iter().next().map_or(0, |v| v.0);
                return Err(BadPlacement::NoClient { vnode, shard });
            };
            index.insert(shard, targets.len());
            targets.push(Target {
                shard,
                client: Arc::clone(client),
                count: set.len(),
                bits: set.to_bytes(),
            });
        }
        let owner = owner.iter().filter_map(|s| index.get(s).copied()).collect();
        Ok(Self {
            picture: Arc::new(Picture {
                name: name.into(),
                params,
                vnodes,
                owner,
                targets,
            }),
            reading: Reading::default(),
        })
    }

    /// The same, read in such a way.
    pub(crate) fn read_as(&self, reading: &Reading) -> Self {
        Self {
            picture: Arc::clone(&self.picture),
            reading: reading.clone(),
        }
    }

    /// How it is read.
    pub(crate) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// How fresh the shards' answers must be.
    pub(crate) fn freshness(&self) -> Option<Freshness> {
        self.reading.freshness.into()
    }

    /// The collection's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.picture.name
    }

    /// What the collection is.
    #[must_use]
    pub fn params(&self) -> &CollectionParams {
        &self.picture.params
    }

    /// The size of the ring.
    #[must_use]
    pub fn vnodes(&self) -> VnodeCount {
        self.picture.vnodes
    }

    /// The shards that own something, in the order of their numbers.
    pub(crate) fn targets(&self) -> &[Target] {
        &self.picture.targets
    }

    /// The vnode of a point.
    pub(crate) fn vnode_of(&self, id: PointId) -> Vnode {
        self.picture.vnodes.vnode_of(&id.to_key())
    }

    /// The index in [`Self::targets`] of a vnode's owner.
    pub(crate) fn owner_of(&self, v: Vnode) -> usize {
        self.picture.owner[usize::from(v.0)]
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("name", &self.picture.name)
            .field("params", &self.picture.params)
            .field("vnodes", &self.picture.vnodes)
            .field("shards", &self.picture.targets.len())
            .finish_non_exhaustive()
    }
}

/// A client's wish for a new collection; what it left out is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateCollection {
    /// The vectors that a point can have, at least one, each name once.
    pub vectors: Vec<CreateVector>,
    /// The number of shards, at least 1.
    pub shard_number: Option<u32>,
    /// Copies of each shard, at least 1.
    pub replication_factor: Option<u32>,
}

/// The vectors of one name in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateVector {
    /// The name; empty for one that is not named.
    pub name: String,
    /// The number of coordinates, 1 to 65,536.
    pub dimension: usize,
    /// How nearness is measured.
    pub metric: Metric,
    /// Edges a node; 0 asks for no graph.
    pub hnsw_m: Option<u32>,
    /// The size of the candidate list while building, at least 4.
    pub ef_construct: Option<u32>,
}

/// Why a name stands for no collection that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCollection {
    /// There is none of that name.
    Unknown,
    /// There is one, and it could not be opened; says why.
    Unopened(String),
}

/// Why a collection was not created, changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// There is one of that name.
    #[error("collection exists{}", differs.as_ref().map(|d| format!(": {d}")).unwrap_or_default())]
    AlreadyExists {
        /// How the one that is there differs from the wish, for people.
        differs: Option<String>,
    },
    /// A field of the wish is out of range.
    #[error("{field}: {message}")]
    Invalid {
        /// The field, as the client wrote it.
        field: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// This deployment does not do that.
    #[error("{0}")]
    Unsupported(String),
    /// What the collection's owner declared is not for clients to change.
    #[error("{0}")]
    Declared(String),
    /// The aliases cannot be as they were to be.
    #[error(transparent)]
    Aliases(#[from] BadAliases),
    /// The disk has no room.
    #[error("{0}")]
    DiskFull(String),
    /// It failed for a reason that is not the client's.
    #[error("{0}")]
    Internal(String),
}

/// The collections that a router serves.
#[async_trait::async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// The collection of that name or alias, as it is now.
    ///
    /// # Errors
    /// There is none that can be served.
    fn get(&self, name: &str) -> Result<Arc<Collection>, NoCollection>;
    /// The names of all, in order.
    fn names(&self) -> Vec<String>;
    /// Makes a collection; returns when requests for it can be served. Also
    /// decides whether a wish for one that exists is granted or refused.
    async fn create(&self, name: &str, wish: CreateCollection) -> Result<(), CatalogError>;
    /// Deletes a collection, by its own name, with its aliases; says whether it
    /// was there.
    async fn delete(&self, name: &str) -> Result<bool, CatalogError>;
    /// Indexes a field of a collection's payloads; returns when every shard
    /// builds the index or has it. One of another kind is replaced.
    async fn create_index(&self, name: &str, path: Path, kind: Kind) -> Result<(), CatalogError>;
    /// Drops the index of a field, if there is one.
    async fn drop_index(&self, name: &str, path: Path) -> Result<(), CatalogError>;
    /// Other names of collections.
    fn aliases(&self) -> Aliases;
    /// Changes them: all that is asked for, at once, or nothing.
    async fn change_aliases(&self, actions: Vec<AliasAction>) -> Result<(), CatalogError>;
    /// Whether every shard can serve.
    fn ready(&self) -> bool;
    /// Why not, or what is wrong although they do: for people who look after it.
    fn trouble(&self) -> Option<String> {
        None
    }
}
