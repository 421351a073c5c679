//! Points in the order of a field's values. Each shard has a page of its own;
//! the first of all of them are the first of the collection.

use std::cmp::{Ordering, Reverse};

use quoit_filter::Filter;
use quoit_proto::v1::order_value::Kind;
use quoit_proto::v1::{OrderBy, OrderValue, ScrollRequest};

use super::read::With;
use super::{Error, Row, ask_all, row};
use crate::catalog::Collection;
use crate::merge::merge;

/// A value, in order. Those of one field are of one kind; of several kinds,
/// those of one come first.
#[derive(Clone, Copy, Debug)]
struct Place(Kind);

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Kind::Integer(a), Kind::Integer(b)) => a.cmp(&b),
            (Kind::Float(a), Kind::Float(b)) => a.total_cmp(&b),
            (Kind::Integer(_), Kind::Float(_)) => Ordering::Less,
            (Kind::Float(_), Kind::Integer(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Place {}

/// The points that meet a filter, in an order: `limit` of them after the first
/// `skip`, each once for every value it has.
pub(crate) async fn scroll_by(
    collection: &Collection,
    filter: &Filter,
    order: &OrderBy,
    (skip, limit): (usize, usize),
    with: With,
) -> Result<Vec<Row>, Error> {
    // Any shard may have all of the first.
    let all = skip.saturating_add(limit);
    let answers = ask_all(collection, |target| {
        let request = ScrollRequest {
            vnodes: target.bits.clone(),
            from: None,
            limit: u32::try_from(all).unwrap_or(u32::MAX),
            with_payload: with.payload,
            with_vectors: collection.params().names(with.vectors),
            filter: Some(filter.into()),
            order_by: Some(order.clone()),
            freshness: collection.freshness(),
        };
        target.client.scroll(request)
    })
    .await?;
    answers.check(collection, |answer| &answer.not_here)?;
    let mut lists = Vec::with_capacity(answers.all.len());
    for (target, answer) in answers.all {
        let misread = |what| Error::ReadAnswer {
            shard: target.shard,
            what,
        };
        if answer.values.len() != answer.points.len() {
            return Err(misread("not one value for each point"));
        }
        let places = answer.points.into_iter().zip(answer.values);
        let list = places.map(|(point, value)| {
            let value = value.kind.ok_or(misread("a place without a value"))?;
            Ok((Place(value), row(target.shard, point)?))
        });
        lists.push(list.collect::<Result<Vec<_>, Error>>()?);
    }
    let first = if order.descending {
        merge(lists, |(place, row)| Reverse((*place, row.id)), skip, limit)
    } else {
        merge(lists, |(place, row)| (*place, row.id), skip, limit)
    };
    let valued = first.into_iter().map(|(Place(kind), row)| Row {
        order_value: Some(OrderValue { kind: Some(kind) }),
        ..row
    });
    Ok(valued.collect())
}
