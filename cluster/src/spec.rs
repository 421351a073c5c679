//! From a collection's spec to what the engine and the router take, and what of
//! it is not done yet.

use crate::indexes::Indexes;
use quoit_crds::{
    HnswSpec, IndexParams, IndexSpec, IndexType, Metric, PartitioningType, Precision,
    VectorCollectionSpec, VectorSpec,
};
use quoit_engine::{HnswParams, Params, Tuning};
use quoit_filter::BadPath;
use quoit_ring::{BadVnodeCount, VnodeCount};
use quoit_router::{CollectionLimits, CollectionParams, CreateCollection, CreateVector, Hnsw};

/// Writes wait while more vectors of a shard than this are not in its graph.
pub const MAX_TAIL: u64 = 8192;

/// The candidate list that a search may ask for at most.
const MAX_HNSW_EF: u32 = 10_000;

/// What cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A partitioning by a field.
    #[error("spec.partitioning.type: Field is not supported yet; leave partitioning out")]
    FieldPartitioning,
    /// A field that is no path.
    #[error("spec.payloadIndexes: {0}")]
    PayloadIndexes(#[from] BadPath),
    /// It breaks the rules of a collection.
    #[error(transparent)]
    Invalid(#[from] quoit_crds::Invalid),
    /// A ring that cannot be.
    #[error("spec.ring.vnodes: {0}")]
    Vnodes(#[from] BadVnodeCount),
}

/// A spec as the parts of the system take it.
pub struct Resolved {
    /// For the engine of each shard.
    pub engine: Params,
    /// For the router.
    pub router: CollectionParams,
}

/// The ring's size.
///
/// # Errors
/// It is no power of two.
pub fn vnodes(spec: &VectorCollectionSpec) -> Result<VnodeCount, Error> {
    Ok(VnodeCount::new(spec.ring.vnodes)?)
}

/// What a spec comes to.
///
/// # Errors
/// See [`Error`].
pub fn resolve(spec: &VectorCollectionSpec) -> Result<Resolved, Error> {
    if spec.partitioning.kind == PartitioningType::Field {
        return Err(Error::FieldPartitioning);
    }
    Indexes::declared(spec).schema()?;
    let mut vectors = spec.resolved()?;
    // The data keeps them by their places: the same ones in whichever order a
    // later version of the spec lists them.
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    let engine = Params {
        vectors: vectors.iter().map(for_engine).collect(),
        vnodes: vnodes(spec)?,
    };
    let limits = &spec.limits;
    let router = CollectionParams {
        vectors: engine
            .vectors
            .iter()
            .zip(&vectors)
            .map(for_router)
            .collect(),
        replicas: spec.replicas,
        limits: CollectionLimits {
            max_payload_bytes: limits.max_payload_bytes as usize,
            max_batch_points: limits.max_batch_points as usize,
            max_request_bytes: limits.max_request_bytes as usize,
            max_search_limit: limits.max_search_limit as usize,
            max_batch_searches: limits.max_batch_searches as usize,
            max_hnsw_ef: MAX_HNSW_EF,
        },
    };
    Ok(Resolved { engine, router })
}

fn for_engine(vector: &quoit_crds::VectorParams) -> quoit_engine::VectorParams {
    let index = match vector.index {
        IndexParams::Hnsw(params) => Some(HnswParams {
            m: params.m as usize,
            ef_construction: params.ef_construction as usize,
            ef_search: params.ef_search as usize,
            precision: match params.precision {
                Precision::Bf16 => quoit_engine::Precision::Bf16,
                Precision::I8 => quoit_engine::Precision::I8,
                Precision::F32 => quoit_engine::Precision::F32,
            },
        }),
        IndexParams::Flat => None,
    };
    quoit_engine::VectorParams {
        name: vector.name.clone(),
        dimension: vector.dimension as usize,
        metric: engine_metric(vector.metric),
        index,
    }
}

fn for_router(
    (engine, vector): (&quoit_engine::VectorParams, &quoit_crds::VectorParams),
) -> quoit_router::VectorParams {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    quoit_router::VectorParams {
        name: vector.name.clone(),
        dimension: engine.dimension,
        metric: router_metric(vector.metric),
        hnsw: engine.index.map(|i| Hnsw {
            m: number(i.m),
            ef_construct: number(i.ef_construction),
        }),
    }
}

/// How a shard's engine is sized where several share one machine.
#[must_use]
pub fn tuning(shards: u32, payload_index_bytes: u64) -> Tuning {
    let share = u64::from(shards.clamp(1, 8));
    let all = Tuning::default();
    Tuning {
        cache_bytes: (16 << 20) / share,
        memtable_bytes: ((8 << 20) / share).max(1 << 20),
        payload_index_bytes: payload_index_bytes / u64::from(shards.max(1)),
        ..all
    }
}

/// The spec's name for a metric that a client named.
#[must_use]
pub fn spec_metric(metric: quoit_router::Metric) -> Metric {
    match metric {
        quoit_router::Metric::Cosine => Metric::Cosine,
        quoit_router::Metric::Dot => Metric::Dot,
        quoit_router::Metric::Euclid => Metric::Euclid,
        quoit_router::Metric::Manhattan => Metric::Manhattan,
    }
}

/// What a client asks for as a spec.
#[must_use]
pub fn wished(wish: &CreateCollection) -> VectorCollectionSpec {
    let mut spec = match wish.vectors.as_slice() {
        [one] if one.name.is_empty() => {
            let metric = spec_metric(one.metric);
            let mut spec = VectorCollectionSpec::unnamed(dimension(one), metric);
            spec.index = index(one);
            spec
        }
        named => VectorCollectionSpec::named(named.iter().map(vector).collect()),
    };
    if let Some(shards) = wish.shard_number {
        spec.shards = shards;
    }
    spec
}

fn vector(wish: &CreateVector) -> VectorSpec {
    VectorSpec {
        name: wish.name.clone(),
        dimension: dimension(wish),
        metric: spec_metric(wish.metric),
        index: index(wish).unwrap_or_default(),
    }
}

fn dimension(wish: &CreateVector) -> u32 {
    u32::try_from(wish.dimension).unwrap_or(u32::MAX)
}

fn index(wish: &CreateVector) -> Option<IndexSpec> {
    if wish.hnsw_m == Some(0) {
        return Some(IndexSpec {
            kind: IndexType::Flat,
            ..IndexSpec::default()
        });
    }
    if wish.hnsw_m.is_none() && wish.ef_construct.is_none() {
        return None;
    }
    let default = HnswSpec::default();
    let hnsw = HnswSpec {
        m: wish.hnsw_m.unwrap_or(default.m),
        ef_construction: wish.ef_construct.unwrap_or(default.ef_construction),
        ..default
    };
    Some(IndexSpec {
        hnsw: Some(hnsw),
        ..IndexSpec::default()
    })
}

/// How a collection that is there differs from one that is wished for, for people.
#[must_use]
pub fn differs(present: &VectorCollectionSpec, wished: &VectorCollectionSpec) -> Option<String> {
    let (present, wished) = (present.resolved().ok()?, wished.resolved().ok()?);
    let named = |name: &str| match name {
        "" => "its vectors have".to_owned(),
        name => format!("its vectors {name} have"),
    };
    let mut differences = Vec::new();
    for p in &present {
        let named = named(&p.name);
        let Some(w) = wished.iter().find(|w| w.name == p.name) else {
            let dimension = p.dimension;
            differences.push(format!("{named} size {dimension} and are not asked for"));
            continue;
        };
        if p.dimension != w.dimension {
            differences.push(format!(
                "{named} size {} and not {}",
                p.dimension, w.dimension
            ));
        }
        if p.metric != w.metric {
            let (is, asked) = (p.metric, w.metric);
            differences.push(format!("{named} distance {is:?} and not {asked:?}"));
        }
    }
    for w in &wished {
        if present.iter().all(|p| p.name != w.name) {
            differences.push(format!("it has no vectors {}", w.name));
        }
    }
    (!differences.is_empty()).then(|| differences.join(", "))
}

fn router_metric(metric: Metric) -> quoit_router::Metric {
    match metric {
        Metric::Cosine => quoit_router::Metric::Cosine,
        Metric::Dot => quoit_router::Metric::Dot,
        Metric::Euclid => quoit_router::Metric::Euclid,
        Metric::Manhattan => quoit_router::Metric::Manhattan,
    }
}

fn engine_metric(metric: Metric) -> quoit_engine::Metric {
    match metric {
        Metric::Cosine => quoit_engine::Metric::Cosine,
        Metric::Dot => quoit_engine::Metric::Dot,
        Metric::Euclid => quoit_engine::Metric::Euclid,
        Metric::Manhattan => quoit_engine::Metric::Manhattan,
    }
}
