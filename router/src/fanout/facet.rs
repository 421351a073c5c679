//! How many points of a collection have each value of a field.

use std::cmp::Ordering;
use std::collections::HashMap;

use quoit_filter::{Filter, Path};
use quoit_proto::v1::FacetRequest;
use quoit_proto::v1::facet::Value;

use super::{Error, ask_all};
use crate::catalog::Collection;

/// Values that each shard is asked for. A value that is rare in one shard may
/// be frequent in all: counts are exact while no shard has more values than this.
const VALUES: u32 = 10_000;

/// The most frequent values, at most `limit`, and how many points have each;
/// those of one count in order.
pub(crate) async fn facet(
    collection: &Collection,
    path: &Path,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<(Value, u64)>, Error> {
    let answers = ask_all(collection, |target| {
        let request = FacetRequest {
            vnodes: target.bits.clone(),
            path: path.to_string(),
            filter: Some(filter.into()),
            limit: VALUES,
            freshness: collection.freshness(),
        };
        target.client.facet(request)
    })
    .await?;
    answers.check(collection, |answer| &answer.not_here)?;
    let mut counts: HashMap<Value, u64> = HashMap::new();
    for (target, answer) in answers.all {
        for facet in answer.facets {
            let value = facet.value.ok_or(Error::ReadAnswer {
                shard: target.shard,
                what: "a count without a value",
            })?;
            *counts.entry(value).or_default() += facet.points;
        }
    }
    let mut facets: Vec<_> = counts.into_iter().collect();
    facets.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| in_order(&a.0, &b.0)));
    facets.truncate(limit);
    Ok(facets)
}

/// The values of one field are of one type; of several, those of one come first.
fn in_order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Keyword(a), Value::Keyword(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Boolean(_), _) | (_, Value::Keyword(_)) => Ordering::Less,
        (Value::Keyword(_), _) | (_, Value::Boolean(_)) => Ordering::Greater,
    }
}
