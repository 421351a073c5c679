//! `points/search/matrix/pairs` and `…/offsets`: how near some random points
//! are to each other, each to the nearest of them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use quoit_filter::Filter;
use quoit_ring::PointId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use super::filter::JsonFilter;
use super::ids::JsonId;
use super::not_yet::NotYet;
use super::sampled::sampled;
use crate::catalog::VectorSet;
use crate::check::known;
use crate::fanout::read::{self, With};
use crate::fanout::search::{Nearest, Scored, search};
use crate::narrow;
use crate::sample::Random;

const DEFAULT_SAMPLE: u64 = 10;
const DEFAULT_LIMIT: u64 = 3;

/// Each of the sampled points is compared with all others.
const MAX_SAMPLE: usize = 1000;

/// Which points are compared, and with how many of the others.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SearchMatrixRequest)]
pub(crate) struct Body {
    sample: Option<u64>,
    limit: Option<u64>,
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    using: Option<String>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// Some points in the order of their ids, and of each those of the others that
/// are nearest to it.
struct Matrix {
    ids: Vec<PointId>,
    rows: Vec<Vec<Scored>>,
}

/// The matrix as pairs of points.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchMatrixPairsResponse)]
pub(crate) struct Pairs {
    pairs: Vec<Pair>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SearchMatrixPair)]
struct Pair {
    #[schema(value_type = JsonId)]
    a: Value,
    #[schema(value_type = JsonId)]
    b: Value,
    score: f32,
}

/// The matrix as lists of the same length, and the ids that the places in them
/// are of.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchMatrixOffsetsResponse)]
pub(crate) struct Columns {
    offsets_row: Vec<usize>,
    offsets_col: Vec<usize>,
    scores: Vec<f32>,
    #[schema(value_type = Vec<JsonId>)]
    ids: Vec<Value>,
}

/// `POST /collections/{c}/points/search/matrix/pairs`.
pub(crate) async fn pairs(call: Call) -> Result<Reply, Error> {
    let Matrix { ids, rows } = matrix(call).await?;
    let rows = ids.iter().zip(&rows);
    let pairs = rows.flat_map(|(a, row)| {
        row.iter().map(|hit| Pair {
            a: id(*a),
            b: id(hit.row.id),
            score: hit.score,
        })
    });
    Reply::of(&Pairs {
        pairs: pairs.collect(),
    })
}

/// `POST /collections/{c}/points/search/matrix/offsets`.
pub(crate) async fn offsets(call: Call) -> Result<Reply, Error> {
    let Matrix { ids, rows } = matrix(call).await?;
    let places: HashMap<PointId, usize> = ids.iter().zip(0..).map(|(id, at)| (*id, at)).collect();
    let (mut of_rows, mut of_columns, mut scores) = (Vec::new(), Vec::new(), Vec::new());
    for (row, hits) in rows.iter().enumerate() {
        for hit in hits {
            // Only sampled points are searched for.
            if let Some(column) = places.get(&hit.row.id) {
                of_rows.push(row);
                of_columns.push(*column);
                scores.push(hit.score);
            }
        }
    }
    Reply::of(&Columns {
        offsets_row: of_rows,
        offsets_col: of_columns,
        scores,
        ids: ids.into_iter().map(id).collect(),
    })
}

fn id(id: PointId) -> Value {
    match id {
        PointId::Num(n) => n.into(),
        PointId::Uuid(uuid) => uuid.hyphenated().to_string().into(),
    }
}

async fn matrix(mut call: Call) -> Result<Matrix, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let body: Body = decode(&body)?;
    let using = body.using.as_deref().unwrap_or_default();
    let using = known(&collection, using, || "using".to_owned())?;
    let limits = &collection.params().limits;
    let sample = body.sample.unwrap_or(DEFAULT_SAMPLE);
    let sample = bounded("sample", sample, 2, limits.max_search_limit.min(MAX_SAMPLE))?;
    let limit = body.limit.unwrap_or(DEFAULT_LIMIT);
    let limit = bounded("limit", limit, 1, limits.max_search_limit)?;

    // The standard library draws its keys from the system's randomness.
    let random = Random::new(RandomState::new().hash_one(sample));
    let chosen = sampled(&collection, &body.filter.0, sample, random).await?;
    let mut ids: Vec<PointId> = chosen.into_iter().map(|row| row.id).collect();
    ids.sort_unstable();
    let with = With {
        payload: false,
        vectors: VectorSet::NONE.with(using),
    };
    let mut points = read::retrieve(&collection, &ids, with).await?;
    // Those that lack the vector are near to none.
    points.retain(|row| !row.point.vectors.is_empty());
    // One alone is near to no other.
    if points.len() < 2 {
        return Ok(Matrix {
            ids: Vec::new(),
            rows: Vec::new(),
        });
    }
    let ids: Vec<PointId> = points.iter().map(|row| row.id).collect();
    let filter = narrow::among(Filter::default(), ids.iter().copied().collect());
    let searches = points.into_iter().map(|mut row| Nearest {
        vector: row
            .point
            .vectors
            .pop()
            .map(|v| v.values)
            .unwrap_or_default(),
        using,
        objective: None,
        offset: 0,
        limit: limit.min(ids.len() - 1),
        with: With {
            payload: false,
            vectors: VectorSet::NONE,
        },
        score_threshold: None,
        hnsw_ef: None,
        // The graph would look elsewhere for what is sought among few.
        exact: true,
        indexed_only: false,
        explain: false,
        filter: filter.clone(),
        exclude: [row.id].into(),
    });
    let searches: Vec<Nearest> = searches.collect();
    let mut rows = Vec::with_capacity(searches.len());
    for some in searches.chunks(limits.max_batch_searches.max(1)) {
        let found = search(&collection, some).await?;
        rows.extend(found.into_iter().map(|found| found.hits));
    }
    Ok(Matrix { ids, rows })
}

fn bounded(field: &str, value: u64, least: usize, most: usize) -> Result<usize, Error> {
    match usize::try_from(value) {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => {
            let message = format!("value {value} invalid, must be from {least} to {most}");
            Err(Error::validate(field, message))
        }
    }
}
