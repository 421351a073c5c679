//! Collections: made, listed and deleted.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use super::not_yet::NotYet;
use super::openapi::shape::{any_of, map, named, shaped, word};
use crate::catalog::{CreateCollection, CreateVector, Metric, NoCollection};

/// The largest dimension that Qdrant takes.
const MAX_DIMENSION: u64 = 65_536;
/// The shortest candidate list that Qdrant builds with.
pub(crate) const MIN_EF_CONSTRUCT: u32 = 4;

/// All collections.
#[derive(Serialize, ToSchema)]
#[schema(as = CollectionsResponse)]
pub(crate) struct Listed {
    collections: Vec<Name>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CollectionDescription)]
struct Name {
    name: String,
}

/// `GET /collections`.
pub(crate) async fn list(call: Call) -> Result<Reply, Error> {
    let names = call.app.catalog.names().into_iter();
    let collections = names.map(|name| Name { name }).collect();
    Reply::of(&Listed { collections })
}

/// Whether there is such a collection.
#[derive(Serialize, ToSchema)]
#[schema(as = CollectionExistence)]
pub(crate) struct Existence {
    exists: bool,
}

/// `GET /collections/{c}/exists`.
pub(crate) async fn exists(call: Call) -> Result<Reply, Error> {
    let found = call.app.catalog.get(call.path("c"));
    let exists = !matches!(found, Err(NoCollection::Unknown));
    Reply::of(&Existence { exists })
}

/// `DELETE /collections/{c}`.
pub(crate) async fn delete(call: Call) -> Result<Reply, Error> {
    let name = call.path("c").to_owned();
    match call.app.catalog.delete(&name).await {
        Ok(was_there) => Reply::of(&was_there),
        Err(source) => Err(Error::ChangeCollection { name, source }),
    }
}

/// What a collection is to be. What tunes parts that Quoit does not have is
/// ignored.
#[derive(Deserialize, ToSchema)]
#[schema(as = CreateCollection)]
pub(crate) struct CreateBody {
    #[schema(value_type = Vectors, required = true)]
    vectors: Option<Vectors>,
    #[schema(minimum = 1)]
    shard_number: Option<u32>,
    #[schema(minimum = 1)]
    replication_factor: Option<u32>,
    #[serde(default)]
    hnsw_config: Option<HnswConfig>,
    #[schema(value_type = Option<ShardingMethod>)]
    sharding_method: Option<String>,
    #[serde(default, rename = "sparse_vectors")]
    #[schema(ignore)]
    _sparse_vectors: NotYet,
    #[serde(default, rename = "quantization_config")]
    #[schema(ignore)]
    _quantization_config: NotYet,
    #[serde(default, rename = "init_from")]
    #[schema(ignore)]
    _init_from: NotYet,
    #[serde(default, rename = "strict_mode_config")]
    #[schema(ignore)]
    _strict_mode_config: NotYet,
    #[serde(default, rename = "metadata")]
    #[schema(ignore)]
    _metadata: NotYet,
}

/// The parameters of a graph that mean the same here; the others tune what
/// Quoit does not have.
#[derive(Deserialize, Default, Clone, Copy, ToSchema)]
#[schema(as = HnswConfigDiff)]
struct HnswConfig {
    m: Option<u32>,
    #[schema(minimum = 4)]
    ef_construct: Option<u32>,
}

/// The vectors of one name.
#[derive(Deserialize, ToSchema)]
struct VectorParams {
    #[schema(minimum = 1, maximum = 65536)]
    size: u64,
    distance: Distance,
    #[serde(default)]
    hnsw_config: Option<HnswConfig>,
    #[schema(value_type = Option<Datatype>)]
    datatype: Option<String>,
    #[serde(default, rename = "quantization_config")]
    #[schema(ignore)]
    _quantization_config: NotYet,
    #[serde(default, rename = "multivector_config")]
    #[schema(ignore)]
    _multivector_config: NotYet,
}

enum ShardingMethod {}

shaped!(ShardingMethod as "ShardingMethod" => word(["auto"]));

enum Datatype {}

shaped!(Datatype as "Datatype" => word(["float32"]));

/// How near is told.
#[derive(Deserialize, Clone, Copy, ToSchema)]
enum Distance {
    Cosine,
    Dot,
    Euclid,
    Manhattan,
}

/// `vectors` as clients write it: the parameters, or an object with those of
/// each name.
struct Vectors(Vec<(String, VectorParams)>);

shaped!(Vectors as "VectorsConfig" of VectorParams => any_of([
    named::<VectorParams>(),
    map(named::<VectorParams>()),
]));

impl<'de> Deserialize<'de> for Vectors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(VectorsVisitor)
    }
}

/// So many names are read: that there may be fewer is said of them together.
const NAMED: usize = 256;

struct VectorsVisitor;

impl<'de> Visitor<'de> for VectorsVisitor {
    type Value = Vectors;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("{\"size\": …, \"distance\": …}, or these by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vectors, A::Error> {
        let (mut size, mut distance, mut hnsw_config, mut datatype) = (None, None, None, None);
        let mut named: Vec<(String, VectorParams)> = Vec::new();
        let mut is_unnamed = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            // What the parameters are called, no vector can be.
            is_unnamed |= FIELDS.contains(&key.as_ref());
            match key.as_ref() {
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
                name => {
                    let name = name.to_owned();
                    if named.iter().any(|(other, _)| *other == name) {
                        let what = format_args!("the vector {name:?} is there twice");
                        return Err(de::Error::custom(what));
                    }
                    if named.len() == NAMED {
                        let what = format_args!(
                            "more than {NAMED} vectors of a point: a collection has 16 at most"
                        );
                        return Err(de::Error::custom(what));
                    }
                    named.push((name, map.next_value()?));
                }
            }
        }
        match (size, distance) {
            _ if is_unnamed && !named.is_empty() => Err(de::Error::custom(
                "the parameters of one vector beside named ones: put each under its name",
            )),
            _ if !named.is_empty() => Ok(Vectors(named)),
            (Some(size), Some(distance)) => Ok(Vectors(vec![(
                String::new(),
                VectorParams {
                    size,
                    distance,
                    hnsw_config,
                    datatype,
                    _quantization_config: NotYet,
                    _multivector_config: NotYet,
                },
            )])),
            (None, _) if is_unnamed => Err(de::Error::missing_field("size")),
            (Some(_), None) => Err(de::Error::missing_field("distance")),
            (None, _) => Err(de::Error::custom(
                "a collection without vectors is not supported yet",
            )),
        }
    }
}

/// The names of the parameters of one vector.
const FIELDS: [&str; 8] = [
    "size",
    "distance",
    "hnsw_config",
    "datatype",
    "quantization_config",
    "multivector_config",
    "on_disk",
    "memory",
];

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
    at_least(
        "hnsw_config.ef_construct",
        all.ef_construct,
        MIN_EF_CONSTRUCT,
    )?;
    let vectors = vectors.into_iter();
    let vectors = vectors.map(|(name, params)| vector(name, &params, all));
    Ok(CreateCollection {
        vectors: vectors.collect::<Result<_, _>>()?,
        shard_number: body.shard_number,
        replication_factor: body.replication_factor,
    })
}

fn vector(name: String, params: &VectorParams, all: HnswConfig) -> Result<CreateVector, Error> {
    let at = match name.as_str() {
        "" => "vectors".to_owned(),
        name => format!("vectors.{name}"),
    };
    let dimension = match usize::try_from(params.size) {
        Ok(size) if (1..=MAX_DIMENSION).contains(&params.size) => size,
        _ => {
            let size = params.size;
            let message = format!("value {size} invalid, must be from 1 to {MAX_DIMENSION}");
            return Err(Error::validate(format!("{at}.size"), message));
        }
    };
    match params.datatype.as_deref() {
        None | Some("float32") => {}
        Some(other) => return Err(Error::NotYet(format!("{at}.datatype {other:?}"))),
    }
    let own = params.hnsw_config.unwrap_or_default();
    at_least(
        &format!("{at}.hnsw_config.ef_construct"),
        own.ef_construct,
        MIN_EF_CONSTRUCT,
    )?;
    Ok(CreateVector {
        name,
        dimension,
        metric: match params.distance {
            Distance::Cosine => Metric::Cosine,
            Distance::Dot => Metric::Dot,
            Distance::Euclid => Metric::Euclid,
            Distance::Manhattan => Metric::Manhattan,
        },
        hnsw_m: own.m.or(all.m),
        ef_construct: own.ef_construct.or(all.ef_construct),
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
