//! `POST /collections/{c}/facet`: how many points have each value of a field.

use quoit_proto::v1::facet::Value as FacetValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use super::filter::{JsonFilter, JsonPath};
use super::not_yet::NotYet;
use super::openapi::shape::{any_of, flag, integer, shaped, text};
use crate::check::window;
use crate::fanout;

/// Which values are counted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FacetRequest)]
pub(crate) struct Body {
    key: JsonPath,
    limit: Option<u64>,
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    // A count is exact either way.
    #[serde(default, rename = "exact")]
    _exact: Option<bool>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// The values found, those of the most points first.
#[derive(Serialize, ToSchema)]
#[schema(as = FacetResponse)]
pub(crate) struct Found {
    hits: Vec<Hit>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FacetValueHit)]
struct Hit {
    #[schema(value_type = Counted)]
    value: Value,
    /// How many points have it.
    count: u64,
}

/// A value of a kind that can be counted.
enum Counted {}

shaped!(Counted as "FacetValue" => any_of([text(), integer(), flag()]));

/// Counts values.
pub(crate) async fn facet(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let body: Body = decode(&body)?;
    let (_, limit) = window(&collection, None, body.limit, "")?;
    let JsonPath(path) = body.key;
    let facets = fanout::facet::facet(&collection, &path, &body.filter.0, limit).await?;
    let hits = facets.into_iter().map(|(value, count)| {
        let value: Value = match value {
            FacetValue::Keyword(text) => text.into(),
            FacetValue::Integer(n) => n.into(),
            FacetValue::Boolean(yes) => yes.into(),
        };
        Hit { value, count }
    });
    Reply::of(&Found {
        hits: hits.collect(),
    })
}
