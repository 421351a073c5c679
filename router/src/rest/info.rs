//! `GET /collections/{c}`: what Qdrant's clients expect to be told of a
//! collection. What tunes a part that Quoit does not have is told as a constant.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::call::Call;
use super::collections::MIN_EF_CONSTRUCT;
use super::envelope::Reply;
use super::error::Error;
use super::indexes::{self, IndexInfo};
use super::openapi::shape::{any_of, map, named, null, only, shaped, text, word};
use crate::catalog::Collection;
use crate::condition::{Condition, Health};

/// A collection.
#[derive(Serialize, ToSchema)]
#[schema(as = CollectionInfo)]
pub(crate) struct Info {
    status: Status,
    #[schema(value_type = OptimizerStatus)]
    optimizer_status: Optimizer,
    /// What is slower than it was meant to be.
    warnings: Vec<Warning>,
    indexed_vectors_count: u64,
    points_count: u64,
    segments_count: u64,
    config: Settings,
    payload_schema: BTreeMap<String, IndexInfo>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CollectionWarning)]
struct Warning {
    message: String,
}

/// Red: a shard is silent or refuses writes. Yellow: indexing goes on, or
/// something is slower than it was meant to be.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CollectionStatus)]
enum Status {
    Green,
    Yellow,
    Red,
}

/// Whether all is well, or what is not.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Optimizer {
    Ok,
    Error(String),
}

enum OptimizerStatus {}

shaped!(OptimizerStatus as "OptimizersStatus" => any_of([
    word(["ok"]),
    only(&[("error", text())], &[]),
]));

#[derive(Serialize, ToSchema)]
#[schema(as = CollectionConfig)]
struct Settings {
    params: Params,
    hnsw_config: Hnsw,
    optimizer_config: OptimizerConfig,
    #[schema(value_type = Nothing)]
    wal_config: (),
    #[schema(value_type = Nothing)]
    quantization_config: (),
}

/// What there is nothing to tell of.
enum Nothing {}

shaped!(Nothing as "Nothing" => null());

#[derive(Serialize, ToSchema)]
#[schema(as = CollectionParams)]
struct Params {
    vectors: Vectors,
    shard_number: usize,
    replication_factor: u32,
    write_consistency_factor: u32,
    on_disk_payload: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vectors {
    One(Vector),
    Named(BTreeMap<String, Vector>),
}

shaped!(Vectors as "VectorsInfo" of Vector => any_of([
    named::<Vector>(),
    map(named::<Vector>()),
]));

#[derive(Serialize, ToSchema)]
#[schema(as = VectorInfo)]
struct Vector {
    size: usize,
    distance: &'static str,
    /// Where it is another than the collection's.
    #[serde(skip_serializing_if = "Option::is_none")]
    hnsw_config: Option<Graph>,
}

/// Edges and candidates. A vector without a graph has one of no edges, as
/// Qdrant writes it.
#[derive(Serialize, ToSchema, Clone, Copy, PartialEq, Eq)]
#[schema(as = HnswInfo)]
struct Graph {
    m: u32,
    ef_construct: u32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HnswConfig)]
struct Hnsw {
    m: u32,
    ef_construct: u32,
    full_scan_threshold: u64,
    max_indexing_threads: u64,
    on_disk: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OptimizersConfig)]
struct OptimizerConfig {
    deleted_threshold: f64,
    vacuum_min_vector_number: u64,
    default_segment_number: u64,
    flush_interval_sec: u64,
}

/// Describes a collection.
pub(crate) async fn info(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let condition = Condition::of(&collection).await;
    Reply::of(&described(&collection, condition))
}

fn described(collection: &Collection, condition: Condition) -> Info {
    let params = collection.params();
    // Those of the first stand for all, as far as no vector says otherwise.
    let graph = graph(params.vectors.first().and_then(|v| v.hnsw));
    let vector = |vector: &crate::VectorParams| {
        let own = self::graph(vector.hnsw);
        Vector {
            size: vector.dimension,
            distance: vector.metric.name(),
            hnsw_config: (own != graph).then_some(own),
        }
    };
    let vectors = match params.vectors.as_slice() {
        [one] if one.name.is_empty() => Vectors::One(vector(one)),
        named => Vectors::Named(named.iter().map(|v| (v.name.clone(), vector(v))).collect()),
    };
    Info {
        status: match condition.health() {
            Health::Red => Status::Red,
            Health::Yellow => Status::Yellow,
            Health::Green => Status::Green,
        },
        optimizer_status: if condition.troubles.is_empty() {
            Optimizer::Ok
        } else {
            Optimizer::Error(condition.troubles.join("; "))
        },
        warnings: condition
            .warnings
            .into_iter()
            .map(|message| Warning { message })
            .collect(),
        indexed_vectors_count: condition.indexed,
        points_count: condition.points,
        segments_count: condition.segments,
        config: Settings {
            params: Params {
                vectors,
                shard_number: collection.targets().len(),
                replication_factor: params.replicas,
                write_consistency_factor: params.replicas / 2 + 1,
                on_disk_payload: true,
            },
            hnsw_config: Hnsw {
                m: graph.m,
                ef_construct: graph.ef_construct,
                full_scan_threshold: 0,
                max_indexing_threads: 0,
                on_disk: false,
            },
            optimizer_config: OptimizerConfig {
                deleted_threshold: 0.25,
                vacuum_min_vector_number: 1,
                default_segment_number: 1,
                flush_interval_sec: 0,
            },
            wal_config: (),
            quantization_config: (),
        },
        payload_schema: indexes::describe(condition.payload_indexes),
    }
}

fn graph(hnsw: Option<crate::Hnsw>) -> Graph {
    let (m, ef_construct) = hnsw.map_or((0, MIN_EF_CONSTRUCT), |h| (h.m, h.ef_construct));
    Graph { m, ef_construct }
}
