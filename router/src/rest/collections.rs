//! Collections: made, listed, described and deleted.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use super::indexes;
use super::not_yet::{NotYet, named};
use crate::catalog::{Collection, CreateCollection, Metric, NoCollection};
use crate::condition::{Condition, Health};

/// The largest dimension that Qdrant takes.
const MAX_DIMENSION: u64 = 65_536;
/// The shortest candidate list that Qdrant builds with.
const MIN_EF_CONSTRUCT: u32 = 4;

/// `GET /collections`.
pub(crate) async fn list(call: Call) -> Result<Reply, Error> {
    let names = call.app.catalog.names();
    let collections: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    Reply::of(&json!({"collections": collections}))
}

/// `GET /collections/{c}/exists`.
pub(crate) async fn exists(call: Call) -> Result<Reply, Error> {
    let found = call.app.catalog.get(call.path("c"));
    let exists = !matches!(found, Err(NoCollection::Unknown));
    Reply::of(&json!({"exists": exists}))
}

/// `DELETE /collections/{c}`.
pub(crate) async fn delete(call: Call) -> Result<Reply, Error> {
    let name = call.path("c").to_owned();
    match call.app.catalog.delete(&name).await {
        Ok(was_there) => Reply::of(&was_there),
        Err(source) => Err(Error::ChangeCollection { name, source }),
    }
}

#[derive(Deserialize)]
struct CreateBody {
    vectors: Option<Vectors>,
    shard_number: Option<u32>,
    replication_factor: Option<u32>,
    #[serde(default)]
    hnsw_config: Option<HnswConfig>,
    sharding_method: Option<String>,
    #[serde(default, rename = "sparse_vectors")]
    _sparse_vectors: NotYet,
    #[serde(default, rename = "quantization_config")]
    _quantization_config: NotYet,
    #[serde(default, rename = "init_from")]
    _init_from: NotYet,
    #[serde(default, rename = "strict_mode_config")]
    _strict_mode_config: NotYet,
    #[serde(default, rename = "metadata")]
    _metadata: NotYet,
}

/// The parameters of a graph that mean the same here; the others tune what
/// Quoit does not have.
#[derive(Deserialize, Default, Clone, Copy)]
struct HnswConfig {
    m: Option<u32>,
    ef_construct: Option<u32>,
}

#[derive(Deserialize)]
struct VectorParams {
    size: u64,
    distance: Distance,
    #[serde(default)]
    hnsw_config: Option<HnswConfig>,
    datatype: Option<String>,
    #[serde(default, rename = "quantization_config")]
    _quantization_config: NotYet,
    #[serde(default, rename = "multivector_config")]
    _multivector_config: NotYet,
}

#[derive(Deserialize, Clone, Copy)]
enum Distance {
    Cosine,
    Dot,
    Euclid,
    Manhattan,
}

/// `vectors` as clients write it: the parameters, or the same under the empty
/// name.
struct Vectors(VectorParams);

impl<'de> Deserialize<'de> for Vectors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(VectorsVisitor)
    }
}

struct VectorsVisitor;

impl<'de> Visitor<'de> for VectorsVisitor {
    type Value = Vectors;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("{\"size\": …, \"distance\": …}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vectors, A::Error> {
        let (mut size, mut distance, mut hnsw_config, mut datatype) = (None, None, None, None);
        let mut unnamed: Option<VectorParams> = None;
        let mut any = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            any = true;
            match key.as_ref() {
                "" => unnamed = Some(map.next_value()?),
                "size" => size = Some(map.next_value()?),
                "distance" => distance = Some(map.next_value()?),
                "hnsw_config" => hnsw_config = map.next_value()?,
                "datatype" => datatype = map.next_value()?,
                "quantization_config" | "multivector_config" => {
                    map.next_value::<NotYet>()?;
                }
                "on_disk" | "memory" => {
                    map.next_value::<IgnoredAny>()?;
                }
                name => return Err(de::Error::custom(named(name))),
            }
        }
        match (unnamed, size, distance) {
            (Some(params), None, None) => Ok(Vectors(params)),
            (Some(_), _, _) => Err(de::Error::custom(
                "the parameters are there twice: leave out the empty name or what is beside it",
            )),
            (None, Some(size), Some(distance)) => Ok(Vectors(VectorParams {
                size,
                distance,
                hnsw_config,
                datatype,
                _quantization_config: NotYet,
                _multivector_config: NotYet,
            })),
            (None, None, _) if any => Err(de::Error::missing_field("size")),
            (None, Some(_), None) => Err(de::Error::missing_field("distance")),
            (None, None, _) => Err(de::Error::custom(
                "a collection without vectors is not supported yet",
            )),
        }
    }
}

/// `PUT /collections/{c}`.
pub(crate) async fn create(mut call: Call) -> Result<Reply, Error> {
    let body = call.body(call.app.limits.max_request_bytes).await?;
    let wish = wish(decode(&body)?)?;
    let name = call.path("c").to_owned();
    match call.app.catalog.create(&name, wish).await {
        Ok(()) => Reply::of(&true),
        Err(source) => Err(Error::ChangeCollection { name, source }),
    }
}

fn wish(body: CreateBody) -> Result<CreateCollection, Error> {
    let Some(Vectors(vectors)) = body.vectors else {
        return Err(Error::NotYet(
            "vectors: a collection without vectors".to_owned(),
        ));
    };
    let dimension = match usize::try_from(vectors.size) {
        Ok(size) if (1..=MAX_DIMENSION).contains(&vectors.size) => size,
        _ => {
            let size = vectors.size;
            let message = format!("value {size} invalid, must be from 1 to {MAX_DIMENSION}");
            return Err(Error::validate("vectors.size", message));
        }
    };
    match vectors.datatype.as_deref() {
        None | Some("float32") => {}
        Some(other) => return Err(Error::NotYet(format!("vectors.datatype {other:?}"))),
    }
    match body.sharding_method.as_deref() {
        None | Some("auto") => {}
        Some(other) => return Err(Error::NotYet(format!("sharding_method {other:?}"))),
    }
    for (field, value, least) in [
        ("shard_number", body.shard_number, 1),
        ("replication_factor", body.replication_factor, 1),
    ] {
        at_least(field, value, least)?;
    }
    let all = body.hnsw_config.unwrap_or_default();
    let own = vectors.hnsw_config.unwrap_or_default();
    at_least(
        "hnsw_config.ef_construct",
        all.ef_construct,
        MIN_EF_CONSTRUCT,
    )?;
    at_least(
        "vectors.hnsw_config.ef_construct",
        own.ef_construct,
        MIN_EF_CONSTRUCT,
    )?;
    Ok(CreateCollection {
        dimension,
        metric: match vectors.distance {
            Distance::Cosine => Metric::Cosine,
            Distance::Dot => Metric::Dot,
            Distance::Euclid => Metric::Euclid,
            Distance::Manhattan => Metric::Manhattan,
        },
        hnsw_m: own.m.or(all.m),
        ef_construct: own.ef_construct.or(all.ef_construct),
        shard_number: body.shard_number,
        replication_factor: body.replication_factor,
    })
}

fn at_least(field: &str, value: Option<u32>, least: u32) -> Result<(), Error> {
    match value {
        Some(value) if value < least => {
            let message = format!("value {value} invalid, must be {least} or larger");
            Err(Error::validate(field, message))
        }
        _ => Ok(()),
    }
}

/// `GET /collections/{c}`.
pub(crate) async fn info(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let condition = Condition::of(&collection).await;
    Reply::of(&describe(&collection, condition))
}

/// What Qdrant's clients expect to be told of a collection.
fn describe(collection: &Collection, condition: Condition) -> Value {
    let params = collection.params();
    let status = match condition.health() {
        Health::Red => "red",
        Health::Yellow => "yellow",
        Health::Green => "green",
    };
    let payload_schema = indexes::describe(condition.payload_indexes);
    let optimizer = if condition.troubles.is_empty() {
        json!("ok")
    } else {
        json!({"error": condition.troubles.join("; ")})
    };
    // A collection without a graph has one of no edges, as Qdrant writes it.
    let (m, ef_construct) = params
        .hnsw
        .map_or((0, MIN_EF_CONSTRUCT), |h| (h.m, h.ef_construct));
    json!({
        "status": status,
        "optimizer_status": optimizer,
        "indexed_vectors_count": condition.indexed,
        "points_count": condition.points,
        "segments_count": condition.segments,
        "config": {
            "params": {
                "vectors": {"size": params.dimension, "distance": params.metric.name()},
                "shard_number": collection.targets().len(),
                "replication_factor": params.replicas,
                "write_consistency_factor": params.replicas / 2 + 1,
                "on_disk_payload": true,
            },
            "hnsw_config": {
                "m": m,
                "ef_construct": ef_construct,
                "full_scan_threshold": 0,
                "max_indexing_threads": 0,
                "on_disk": false,
            },
            "optimizer_config": {
                "deleted_threshold": 0.25,
                "vacuum_min_vector_number": 1,
                "default_segment_number": 1,
                "flush_interval_sec": 0,
            },
            "wal_config": null,
            "quantization_config": null,
        },
        "payload_schema": payload_schema,
    })
}
