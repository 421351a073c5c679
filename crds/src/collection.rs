//! The custom resource `VectorCollection`, `quoit.dev/v1alpha1`: its fields,
//! their defaults, and the rules that the API server applies. The
//! documentation here is what `kubectl explain` prints, so it speaks to users.
//!
//! A field whose absence has a meaning (`ring`, `partitioning`) always has a
//! default in the schema. That is what makes immutability tight: adding or
//! removing the field is then a change from or to that default, which a
//! transition rule (`self == oldSelf`) sees; the rule would not run for a field
//! that is absent on one side.

// Each of the limits says that it is a maximum.
#![allow(clippy::struct_field_names)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::index::{IndexSpec, Metric};
use crate::schema::tidy;
use crate::text::TextAnalysis;

/// The greatest dimension of a vector.
pub const MAX_DIMENSION: u32 = 65_536;
/// The greatest number of shards of a collection.
pub const MAX_SHARDS: u32 = 1024;
/// The greatest number of vectors of a collection.
pub const MAX_VECTORS: usize = 16;
/// The numbers of copies that a shard can have: odd, so that each copy adds to what may fail.
pub const REPLICA_COUNTS: [u32; 4] = [1, 3, 5, 7];

pub(crate) const MAX_VECTOR_NAME: usize = 128;
pub(crate) const MAX_FIELD_NAME: usize = 255;
pub(crate) const MAX_PAYLOAD_INDEXES: usize = 64;
pub(crate) const MAX_STORAGE_CLASS_NAME: usize = 253;
pub(crate) const MAX_STORAGE_SIZE: usize = 24;

/// What a collection holds, and how it is spread.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "quoit.dev",
    version = "v1alpha1",
    kind = "VectorCollection",
    plural = "vectorcollections",
    shortname = "vcol",
    namespaced,
    derive = "PartialEq",
    doc = "A collection of vectors with payloads, spread over shards that can be added and removed while it serves.",
    printcolumn(name = "Shards", type_ = "integer", json_path = ".spec.shards", description = "Shards asked for"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".spec.replicas", description = "Copies of each shard"),
    printcolumn(name = "Dimension", type_ = "integer", json_path = ".spec.dimension", description = "Numbers in a vector; empty where the collection names its vectors"),
    printcolumn(name = "Metric", type_ = "string", json_path = ".spec.metric", description = "How vectors are compared; empty where the collection names its vectors"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("the name must be 1 to 40 lowercase letters, digits and '-', starting with a letter and ending with a letter or digit: services and pods are named after it")
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = tidy)]
#[x_kube(validation = Rule::new("has(self.vectors) != has(self.dimension)")
    .message("give either vectors, or dimension and metric"))]
#[x_kube(validation = Rule::new("has(self.dimension) == has(self.metric)")
    .message("dimension and metric go together: give both, or put both under vectors"))]
#[x_kube(validation = Rule::new("!has(self.vectors) || !has(self.index)")
    .message("with vectors, each vector has its own index: move index under vectors")
    .field_path(".index"))]
#[x_kube(validation = Rule::new("has(self.vectors) \
        ? (has(oldSelf.vectors) \
            ? size(self.vectors) == size(oldSelf.vectors) && self.vectors.all(v, oldSelf.vectors.exists(o, o.name == v.name && o.dimension == v.dimension && o.metric == v.metric)) \
            : size(self.vectors) == 1 && self.vectors.all(v, v.name == '' && v.dimension == oldSelf.dimension && v.metric == oldSelf.metric)) \
        : (has(oldSelf.vectors) \
            ? size(oldSelf.vectors) == 1 && oldSelf.vectors.all(o, o.name == '' && o.dimension == self.dimension && o.metric == self.metric) \
            : self.dimension == oldSelf.dimension && self.metric == oldSelf.metric)")
    .message("the vectors of a collection can't change, in name, dimension or metric: make a new collection"))]
pub struct VectorCollectionSpec {
    /// The vectors that each point has, by name. Instead of this list, a collection with one
    /// unnamed vector can give dimension, metric and index right here in spec: one form, not
    /// both. From 1 to 16 vectors; names, dimensions and metrics can't change later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_VECTORS))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub vectors: Option<Vec<VectorSpec>>,

    /// The number of dimensions of the vector, as your embedding model gives them. From 1 to
    /// 65536. It can't change later. Short for an entry in vectors with the name "".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_DIMENSION))]
    pub dimension: Option<u32>,

    /// How vectors are compared: Cosine, Dot, Euclid or Manhattan. Use the one your embedding
    /// model was trained for, in most cases Cosine. It can't change later. Goes with dimension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,

    /// How the vector is indexed. Goes with dimension. Default: an HNSW graph in BF16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexSpec>,

    /// The number of shards over which the points are spread. It can change at any time; data
    /// moves while the collection serves. From 1 to 1024. Default: 1.
    #[serde(default = "default_shards")]
    #[schemars(range(min = 1, max = MAX_SHARDS))]
    pub shards: u32,

    /// The number of copies of each shard, one a pod: 1, 3, 5 or 7. A shard serves while more
    /// than half of its copies do. In local mode there is one copy whatever is said here.
    /// Default: 3.
    #[serde(default = "default_replicas")]
    #[schemars(extend("enum" = REPLICA_COUNTS))]
    pub replicas: u32,

    /// How finely the points are divided for spreading.
    #[serde(default)]
    pub ring: Ring,

    /// Which points are kept together on a shard. It can't change later. Default: each point
    /// goes by its id.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("partitioning can't change: make a new collection"))]
    pub partitioning: Partitioning,

    /// Payload fields that are indexed, so that filters on them are fast. One entry a field, at
    /// most 64. Default: none.
    #[serde(default)]
    #[schemars(length(max = MAX_PAYLOAD_INDEXES))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["field"]))]
    pub payload_indexes: Vec<PayloadIndex>,

    /// The disk of each copy of a shard.
    #[serde(default)]
    pub storage: Storage,

    /// What a single request may ask for. A request over a limit is refused with a message that
    /// names the limit.
    #[serde(default)]
    pub limits: Limits,
}

impl VectorCollectionSpec {
    /// A collection with one unnamed vector, all else by default.
    #[must_use]
    pub fn unnamed(dimension: u32, metric: Metric) -> Self {
        Self {
            dimension: Some(dimension),
            metric: Some(metric),
            ..Self::bare()
        }
    }

    /// A collection with named vectors, all else by default.
    #[must_use]
    pub fn named(vectors: Vec<VectorSpec>) -> Self {
        Self {
            vectors: Some(vectors),
            ..Self::bare()
        }
    }

    // Not a public `Default`: without a vector it breaks the rules.
    fn bare() -> Self {
        Self {
            vectors: None,
            dimension: None,
            metric: None,
            index: None,
            shards: default_shards(),
            replicas: default_replicas(),
            ring: Ring::default(),
            partitioning: Partitioning::default(),
            payload_indexes: Vec::new(),
            storage: Storage::default(),
            limits: Limits::default(),
        }
    }
}

/// One vector of a point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = tidy)]
pub struct VectorSpec {
    /// The name by which requests choose this vector: at most 128 letters, digits, '_', '-' and
    /// '.', starting with none of '-' and '.'. The name "" is the vector that requests mean when
    /// they name none.
    #[schemars(length(max = MAX_VECTOR_NAME), regex(pattern = r"^([A-Za-z0-9_][A-Za-z0-9_.-]*)?$"))]
    pub name: String,

    /// The number of dimensions, as your embedding model gives them. From 1 to 65536. It can't
    /// change later.
    #[schemars(range(min = 1, max = MAX_DIMENSION))]
    pub dimension: u32,

    /// How vectors are compared: Cosine, Dot, Euclid or Manhattan. It can't change later.
    pub metric: Metric,

    /// How this vector is indexed. Default: an HNSW graph in BF16.
    #[serde(default)]
    pub index: IndexSpec,
}

/// How finely the points are divided for spreading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = tidy)]
pub struct Ring {
    /// The number of equal ranges (vnodes) that the points are divided into. Whole vnodes move
    /// between shards, so it bounds how evenly they can be spread. A power of two from 64 to
    /// 65536. It can't change later. Default: 4096, right for up to some hundred shards.
    #[serde(default = "default_vnodes")]
    #[schemars(range(min = Ring::VNODES.0, max = Ring::VNODES.1))]
    #[x_kube(validation = Rule::new("self in [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]")
        .message("vnodes must be a power of two from 64 to 65536"))]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("vnodes can't change: make a new collection"))]
    pub vnodes: u32,
}

impl Ring {
    /// Least and greatest number of vnodes.
    pub const VNODES: (u32, u32) = (64, 65_536);
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            vnodes: default_vnodes(),
        }
    }
}

/// Which points are kept together on a shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = tidy)]
#[x_kube(validation = Rule::new("(self.type == 'Field') == has(self.field)")
    .message("field goes with type Field: give both, or neither"))]
pub struct Partitioning {
    /// Id spreads points by their ids. Field keeps the points together that have the same value
    /// in a payload field, such as a tenant's; searches that name the value then ask one shard
    /// only. Default: Id.
    #[serde(rename = "type", default)]
    pub kind: PartitioningType,

    /// The payload field to go by, with type Field. Each point must have it, and its value can't
    /// change while the point exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_FIELD_NAME))]
    pub field: Option<String>,
}

/// What a point's place is computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PartitioningType {
    /// The point's id.
    #[default]
    Id,
    /// The value of a payload field.
    Field,
}

/// One indexed payload field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = tidy)]
#[x_kube(validation = Rule::new("self.type == 'text' || !has(self.text)")
    .message("text is for type text: remove text, or set type to text")
    .field_path(".text"))]
pub struct PayloadIndex {
    /// The payload field, with dots for nested ones: author.name. At most 255 characters.
    #[schemars(length(min = 1, max = MAX_FIELD_NAME))]
    pub field: String,

    /// The type of its values: keyword, integer, float, bool, datetime, uuid, geo, or text for
    /// search in words.
    #[serde(rename = "type")]
    pub kind: PayloadIndexType,

    /// Which words a text has, with type text only. Default: runs of letters and digits, in lower
    /// case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextAnalysis>,
}

/// The type of an indexed payload field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PayloadIndexType {
    /// A string, matched whole.
    Keyword,
    /// A 64-bit integer.
    Integer,
    /// A 64-bit floating-point number.
    Float,
    /// True or false.
    Bool,
    /// A date and time as RFC 3339 has it.
    Datetime,
    /// A UUID.
    Uuid,
    /// A longitude and a latitude.
    Geo,
    /// A text, searched by its words.
    Text,
}

/// The disk of each copy of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = tidy)]
pub struct Storage {
    /// The size of the volume, in bytes or with a unit: k, M, G, T, P, E (thousands) or Ki, Mi,
    /// Gi, Ti, Pi, Ei (powers of 1024). Local mode does not use it. Default: 10Gi.
    #[serde(default = "default_size")]
    #[schemars(length(max = MAX_STORAGE_SIZE))]
    #[schemars(regex(
        pattern = r"^([1-9][0-9]*([.][0-9]+)?|0[.][0-9]*[1-9][0-9]*)([kMGTPE]|[KMGTPE]i)?$"
    ))]
    pub size: String,

    /// The Kubernetes storage class of the volume; "" for volumes that are made by hand. Local
    /// mode does not use it. Default: that of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_STORAGE_CLASS_NAME), regex(pattern = r"^([a-z0-9]([-.a-z0-9]*[a-z0-9])?)?$"))]
    pub storage_class_name: Option<String>,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            size: default_size(),
            storage_class_name: None,
        }
    }
}

/// What a single request may ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = tidy)]
#[x_kube(validation = Rule::new("self.maxPayloadBytes <= self.maxRequestBytes")
    .message("maxPayloadBytes can't be over maxRequestBytes: no request could carry such a payload")
    .field_path(".maxPayloadBytes"))]
pub struct Limits {
    /// The greatest size of a request's body, in bytes, from 65536 (64 KiB) to 268435456
    /// (256 MiB). Default: 33554432 (32 MiB).
    #[serde(default = "default_max_request_bytes")]
    #[schemars(range(min = Limits::REQUEST_BYTES.0, max = Limits::REQUEST_BYTES.1))]
    pub max_request_bytes: u32,

    /// The greatest size of a point's payload, in bytes of JSON, from 1024 (1 KiB) to 16777216
    /// (16 MiB). Default: 1048576 (1 MiB).
    #[serde(default = "default_max_payload_bytes")]
    #[schemars(range(min = Limits::PAYLOAD_BYTES.0, max = Limits::PAYLOAD_BYTES.1))]
    pub max_payload_bytes: u32,

    /// The greatest number of points that one write may carry, from 1 to 100000. Default: 10000.
    #[serde(default = "default_max_batch_points")]
    #[schemars(range(min = Limits::BATCH_POINTS.0, max = Limits::BATCH_POINTS.1))]
    pub max_batch_points: u32,

    /// The greatest number of searches in one batch, from 1 to 10000. Default: 1000.
    #[serde(default = "default_max_batch_searches")]
    #[schemars(range(min = Limits::BATCH_SEARCHES.0, max = Limits::BATCH_SEARCHES.1))]
    pub max_batch_searches: u32,

    /// The greatest number of points that a search, a scroll or a lookup may ask for, from 1 to
    /// 100000; for a search, its offset and limit together. Default: 10000.
    #[serde(default = "default_max_search_limit")]
    #[schemars(range(min = Limits::SEARCH_LIMIT.0, max = Limits::SEARCH_LIMIT.1))]
    pub max_search_limit: u32,
}

impl Limits {
    /// Least and greatest `maxRequestBytes`.
    pub const REQUEST_BYTES: (u32, u32) = (64 << 10, 256 << 20);
    /// Least and greatest `maxPayloadBytes`.
    pub const PAYLOAD_BYTES: (u32, u32) = (1 << 10, 16 << 20);
    /// Least and greatest `maxBatchPoints`.
    pub const BATCH_POINTS: (u32, u32) = (1, 100_000);
    /// Least and greatest `maxBatchSearches`.
    pub const BATCH_SEARCHES: (u32, u32) = (1, 10_000);
    /// Least and greatest `maxSearchLimit`.
    pub const SEARCH_LIMIT: (u32, u32) = (1, 100_000);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_bytes: default_max_request_bytes(),
            max_payload_bytes: default_max_payload_bytes(),
            max_batch_points: default_max_batch_points(),
            max_batch_searches: default_max_batch_searches(),
            max_search_limit: default_max_search_limit(),
        }
    }
}

fn default_shards() -> u32 {
    1
}

fn default_replicas() -> u32 {
    3
}

fn default_vnodes() -> u32 {
    4096
}

fn default_size() -> String {
    "10Gi".to_owned()
}

fn default_max_request_bytes() -> u32 {
    32 << 20
}

fn default_max_payload_bytes() -> u32 {
    1 << 20
}

fn default_max_batch_points() -> u32 {
    10_000
}

fn default_max_batch_searches() -> u32 {
    1000
}

fn default_max_search_limit() -> u32 {
    10_000
}
