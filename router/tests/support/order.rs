//! Pages of a shard in memory in the order of a field.

// Numbers of tests are small.
#![allow(clippy::cast_precision_loss)]

use quoit_filter::{Path, timestamp};
use quoit_proto::v1::order_value::Kind;
use quoit_proto::v1::{OrderBy, OrderValue, ScrollRequest, ScrollResponse, order_by};
use quoit_proto::{ErrorKind, ShardError};
use serde_json::Value;

use super::{FakeShard, meets, shown};

impl FakeShard {
    /// A page in the order of a field: of all its numbers and moments, since no
    /// index says of which type they are.
    pub(super) fn ordered(
        &self,
        request: &ScrollRequest,
        order: &OrderBy,
    ) -> Result<ScrollResponse, ShardError> {
        if order.path == "unindexed" {
            let what = "no index orders points by `unindexed`";
            return Err(ShardError::new(ErrorKind::Invalid, what));
        }
        let (here, not_here) = self.split(&request.vnodes);
        let path: Path = order.path.parse().unwrap();
        let first = order.start_from.as_ref().map(|start| match start {
            order_by::StartFrom::Integer(n) => *n as f64,
            order_by::StartFrom::Float(x) => *x,
            order_by::StartFrom::Moment(text) => timestamp(text).unwrap().as_microsecond() as f64,
        });
        let mut places = Vec::new();
        for (id, stored) in &self.state().points {
            if here.contains(&stored.vnode) && meets(request.filter.as_ref(), *id, stored) {
                let payload = serde_json::from_slice(&stored.payload).unwrap_or_default();
                for (number, kind) in order_values(&path, &payload) {
                    if first.is_none_or(|f| {
                        if order.descending {
                            number <= f
                        } else {
                            number >= f
                        }
                    }) {
                        let point = shown(*id, stored, request.with_payload, &request.with_vectors);
                        places.push((number, *id, kind, point));
                    }
                }
            }
        }
        places.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        places.dedup_by(|a, b| (a.0, a.1) == (b.0, b.1));
        if order.descending {
            places.reverse();
        }
        places.truncate(request.limit as usize);
        let value = |(_, _, kind, point)| (OrderValue { kind: Some(kind) }, point);
        let (values, points) = places.into_iter().map(value).unzip();
        Ok(ScrollResponse {
            points,
            not_here,
            values,
        })
    }
}

fn order_values(path: &Path, payload: &serde_json::Map<String, Value>) -> Vec<(f64, Kind)> {
    let mut found = Vec::new();
    for value in path.values(payload) {
        let values = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            if let Some(n) = value.as_i64() {
                found.push((n as f64, Kind::Integer(n)));
            } else if let Some(x) = value.as_f64() {
                found.push((x, Kind::Float(x)));
            } else if let Some(Ok(moment)) = value.as_str().map(timestamp) {
                let n = moment.as_microsecond();
                found.push((n as f64, Kind::Integer(n)));
            }
        }
    }
    found
}
