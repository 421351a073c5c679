//! `POST /collections/{c}/facet`: how many points have each value of a field.

use quoit_proto::v1::facet::Value as FacetValue;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use super::filter::{JsonFilter, JsonPath};
use super::not_yet::NotYet;
use crate::check::window;
use crate::fanout;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    key: JsonPath,
    limit: Option<u64>,
    #[serde(default)]
    filter: JsonFilter,
    // A count is exact either way.
    #[serde(default, rename = "exact")]
    _exact: Option<bool>,
    #[serde(default, rename = "shard_key")]
    _shard_key: NotYet,
}

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
        json!({"value": value, "count": count})
    });
    Reply::of(&json!({"hits": hits.collect::<Vec<_>>()}))
}
