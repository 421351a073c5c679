//! Between what travels and is logged (`quoit.v1`) and what the engine takes
//! and gives. A request is checked here, before it is proposed: what is in the
//! log must fit the collection.

use bytes::Bytes;
use prost::Message;
use quoit_engine::{
    Answer, Attempt, Change, Condition, Direction, Entry, Examples, Explanation, Facet, FacetValue,
    Found, Hit, Name, Names, Objective, OpId, Operation, OrderBy, OrderValue, Outcome, Pair,
    Params, PayloadIndex, Plan, Query, Record, StartFrom, Vector, View, VnodeState, VnodeWrite,
    Want, Why,
};
use quoit_filter::{BadEdit, BadPath, BadTime, Filter, timestamp};
use quoit_proto::v1::change::Kind as ChangeKind;
use quoit_proto::v1::operation::OnlyIf;
use quoit_proto::{BadFilter, BadSchema, v1};
use quoit_ring::{PointId, Vnode, VnodeSet};

/// A message that does not fit, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(pub(crate) String);

fn misfit<T>(what: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit(what.into()))
}

/// An entry as the log keeps it, as the engine takes it.
///
/// # Errors
/// It is none, or does not fit the collection.
pub fn decode(bytes: Bytes, params: &Params) -> Result<Entry, Misfit> {
    let logged = v1::LogEntry::decode(bytes).map_err(|e| Misfit(e.to_string()))?;
    entry(logged, params)
}

/// A logged entry as the engine takes it.
///
/// # Errors
/// It does not fit the collection.
pub fn entry(entry: v1::LogEntry, params: &Params) -> Result<Entry, Misfit> {
    match entry.kind {
        Some(v1::log_entry::Kind::Found(found)) => {
            Ok(Entry::Found(VnodeSet::from_bytes(&found.vnodes)))
        }
        Some(v1::log_entry::Kind::Write(request)) => write(request, params),
        Some(v1::log_entry::Kind::SetSchema(schema)) => {
            let schema = schema.try_into();
            let schema = schema.map_err(|e: BadSchema| Misfit(e.to_string()))?;
            Ok(Entry::SetSchema(schema))
        }
        None => misfit("a log entry of a kind that this version does not know"),
    }
}

/// A write request as the engine takes it.
///
/// # Errors
/// It does not fit the collection.
pub fn write(request: v1::WriteRequest, params: &Params) -> Result<Entry, Misfit> {
    let writes = request.writes.into_iter().map(|write| {
        let vnode = vnode(write.vnode, params)?;
        let attempt = attempt(vnode, &write.op_id, write.tried_since)?;
        let operations = write.operations.into_iter().map(|o| operation(o, params));
        Ok(VnodeWrite {
            vnode,
            operations: operations.collect::<Result<_, _>>()?,
            attempt,
        })
    });
    Ok(Entry::Write(writes.collect::<Result<_, _>>()?))
}

fn attempt(
    vnode: Vnode,
    op_id: &[u8],
    tried_since: Option<u64>,
) -> Result<Option<Attempt>, Misfit> {
    let vnode = vnode.0;
    match (<[u8; 16]>::try_from(op_id), tried_since) {
        (Ok(op_id), tried_since) => Ok(Some(Attempt {
            op_id: OpId(op_id),
            tried_since,
        })),
        (Err(_), None) if op_id.is_empty() => Ok(None),
        (Err(_), Some(_)) if op_id.is_empty() => misfit(format!(
            "the write to vnode {vnode} has tried_since and no op_id: send the op_id that it was tried with"
        )),
        (Err(_), _) => misfit(format!(
            "the op_id of the write to vnode {vnode} has {} bytes: send 16, chosen at random, or none",
            op_id.len()
        )),
    }
}

fn operation(operation: v1::Operation, params: &Params) -> Result<Operation, Misfit> {
    let id = point_id(operation.id.as_ref())?;
    let only_if = match operation.only_if {
        None => Condition::Always,
        Some(OnlyIf::UnchangedSince(seq)) => Condition::Unchanged { seq },
        Some(OnlyIf::MeetsOrMissing(wire)) => Condition::MeetsOrMissing(filter(Some(wire))?),
        Some(OnlyIf::Meets(wire)) => Condition::Meets(filter(Some(wire))?),
        Some(OnlyIf::Missing(v1::Missing {})) => Condition::Missing,
    };
    let change =
        change(operation.change, params).map_err(|e| Misfit(format!("point {id}: {e}")))?;
    Ok(Operation {
        id,
        only_if,
        change,
    })
}

/// A change as the engine takes it.
///
/// # Errors
/// It does not fit the collection.
pub fn change(change: Option<v1::Change>, params: &Params) -> Result<Change, Misfit> {
    match change.and_then(|change| change.kind) {
        Some(ChangeKind::Upsert(v1::Upsert { vectors, payload })) => Ok(Change::Upsert {
            vectors: fitting(vectors, params)?,
            payload: payload.into(),
        }),
        Some(ChangeKind::SetVectors(v1::Vectors { vectors })) => {
            Ok(Change::SetVectors(fitting(vectors, params)?))
        }
        Some(ChangeKind::RemoveVectors(v1::VectorNames { names })) => {
            Ok(Change::RemoveVectors(self::names(&names, params)?))
        }
        Some(ChangeKind::EditPayload(edit)) => {
            let edit = edit.try_into();
            let edit = edit.map_err(|e: BadEdit| Misfit(e.to_string()))?;
            Ok(Change::EditPayload(edit))
        }
        Some(ChangeKind::Delete(v1::Delete {})) => Ok(Change::Delete),
        None => misfit("a change of a kind that this version does not know"),
    }
}

fn fitting(vectors: Vec<v1::Vector>, params: &Params) -> Result<Vec<Vector>, Misfit> {
    let mut seen = Names::default();
    let fitting = vectors.into_iter().map(|v1::Vector { name, values }| {
        let place = self::name(&name, params)?;
        if seen.contains(place) {
            return misfit(format!("the vector {name:?} is there twice"));
        }
        seen = seen.with(place);
        let dimension = params.vectors[place.index()].dimension;
        if values.len() != dimension {
            return misfit(format!(
                "the vector has {} dimensions, the collection {dimension}",
                values.len(),
            ));
        }
        match values.iter().position(|x| !x.is_finite()) {
            Some(at) => misfit(format!(
                "component {at} of the vector is not a finite number"
            )),
            None => Ok(Vector {
                name: place,
                values,
            }),
        }
    });
    fitting.collect()
}

fn name(name: &str, params: &Params) -> Result<Name, Misfit> {
    let place = params.name(name);
    place.ok_or_else(|| Misfit(format!("the collection has no vector named {name:?}")))
}

fn names(names: &[String], params: &Params) -> Result<Names, Misfit> {
    names.iter().map(|one| name(one, params)).collect()
}

/// What is wanted of each point.
///
/// # Errors
/// The collection lacks a vector that is.
pub fn want(payload: bool, vectors: &[String], params: &Params) -> Result<Want, Misfit> {
    Ok(Want {
        payload,
        vectors: names(vectors, params)?,
    })
}

/// What came of a write.
pub fn write_response(vnodes: &[u32], outcomes: &[Outcome]) -> v1::WriteResponse {
    let outcome = |(vnode, outcome): (&u32, &Outcome)| {
        let kind = match outcome {
            Outcome::Done { seq, left, w } => v1::vnode_outcome::Kind::Done(v1::Done {
                seq: *seq,
                left: left.clone(),
                w: *w,
            }),
            Outcome::NotHere => v1::vnode_outcome::Kind::NotHere(v1::NotHere { vnode: *vnode }),
            Outcome::Forgotten => v1::vnode_outcome::Kind::Forgotten(v1::Forgotten {}),
        };
        v1::VnodeOutcome {
            vnode: *vnode,
            kind: Some(kind),
        }
    };
    v1::WriteResponse {
        outcomes: vnodes.iter().zip(outcomes).map(outcome).collect(),
    }
}

/// A query as the engine takes it.
///
/// # Errors
/// Its filter means nothing, or it asks for a vector that the collection lacks.
pub fn query(query: v1::Query, params: &Params) -> Result<Query, Misfit> {
    Ok(Query {
        using: name(&query.using, params)?,
        limit: query.limit as usize,
        ef: query.hnsw_ef.map(|ef| ef as usize),
        exact: query.exact,
        indexed_only: query.indexed_only,
        explain: query.explain,
        plan: None,
        threshold: query.score_threshold,
        want: want(query.with_payload, &query.with_vectors, params)?,
        filter: filter(query.filter)?,
        vector: query.vector,
        objective: query.objective.map(objective).transpose()?,
    })
}

fn objective(objective: v1::Objective) -> Result<Objective, Misfit> {
    use v1::objective::Kind;
    match objective.kind {
        Some(Kind::BestScore(all)) => Ok(Objective::BestScore(examples(all))),
        Some(Kind::SumScores(all)) => Ok(Objective::SumScores(examples(all))),
        Some(Kind::Discover(discover)) => Ok(Objective::Discover {
            target: discover.target.unwrap_or_default().values,
            context: pairs(discover.context),
        }),
        Some(Kind::Context(context)) => Ok(Objective::Context(pairs(context.pairs))),
        None => misfit("an objective of a kind that this version does not know"),
    }
}

fn examples(examples: v1::Examples) -> Examples {
    let values = |vectors: Vec<v1::Vector>| vectors.into_iter().map(|v| v.values).collect();
    Examples {
        positive: values(examples.positive),
        negative: values(examples.negative),
    }
}

/// A vector that is not there is one without dimensions, which no search takes.
fn pairs(pairs: Vec<v1::Pair>) -> Vec<Pair> {
    let pair = |pair: v1::Pair| Pair {
        positive: pair.positive.unwrap_or_default().values,
        negative: pair.negative.unwrap_or_default().values,
    };
    pairs.into_iter().map(pair).collect()
}

/// A filter as the engine takes it; every point meets one that is not there.
///
/// # Errors
/// It means nothing.
pub fn filter(filter: Option<v1::Filter>) -> Result<Filter, Misfit> {
    let read = filter.unwrap_or_default().try_into();
    read.map_err(|e: BadFilter| Misfit(e.to_string()))
}

/// What a search found.
pub fn search_response(answer: Answer<Vec<Found>>, params: &Params) -> v1::SearchResponse {
    let hit = |hit: Hit| v1::Hit {
        point: Some(point(hit.record, params)),
        score: hit.score,
    };
    let hits = |found: Found| v1::Hits {
        hits: found.hits.into_iter().map(hit).collect(),
        explanation: found.explanation.map(explanation),
    };
    v1::SearchResponse {
        results: answer.found.into_iter().map(hits).collect(),
        not_here: not_here(&answer.not_here),
    }
}

fn explanation(explanation: Explanation) -> v1::Explanation {
    use v1::explanation as to;
    let plan = match explanation.plan {
        Plan::Scan => to::Plan::Scan,
        Plan::Graph => to::Plan::Graph,
        Plan::Walk => to::Plan::Walk,
    };
    let why = match explanation.why {
        Why::Asked => to::Why::Asked,
        Why::NoGraph => to::Why::NoGraph,
        Why::Few => to::Why::Few,
        Why::Cheaper => to::Why::Cheaper,
        Why::ListsTooShort => to::Why::ListsTooShort,
        Why::TooFewLeft => to::Why::TooFewLeft,
        Why::NotBounded => to::Why::NotBounded,
    };
    let lists = explanation.lists.into_iter();
    v1::Explanation {
        plan: plan.into(),
        why: why.into(),
        vectors: explanation.vectors,
        tail: explanation.tail,
        filter: explanation.filter.map(|filter| to::Filtered {
            sure: filter.sure,
            unsure: filter.unsure,
            estimate: filter.estimate,
            unindexed: filter.unindexed,
        }),
        cost: explanation.cost.map(|cost| to::Cost {
            scan: cost.scan,
            graph: cost.graph,
            walk: cost.walk,
        }),
        lists: lists
            .map(|list| to::CandidateList {
                asked: list.asked,
                passed: list.passed,
            })
            .collect(),
        compared: explanation.compared,
        payloads: explanation.payloads,
    }
}

/// Points as they travel.
pub fn points(records: Vec<Record>, params: &Params) -> Vec<v1::Point> {
    records.into_iter().map(|r| point(r, params)).collect()
}

/// A point as it travels.
pub fn point(record: Record, params: &Params) -> v1::Point {
    let vector = |Vector { name, values }: Vector| {
        let params = params.vectors.get(name.index());
        let name = params.map_or_else(String::new, |p| p.name.clone());
        v1::Vector { name, values }
    };
    v1::Point {
        id: Some(record.id.into()),
        version: record.version,
        payload: record.payload.into(),
        vectors: record.vectors.into_iter().map(vector).collect(),
    }
}

/// An order as the engine takes it.
///
/// # Errors
/// Its path is none, or what it starts from is no number or moment.
pub fn order_by(order: v1::OrderBy) -> Result<OrderBy, Misfit> {
    let start_from = match order.start_from {
        None => None,
        Some(v1::order_by::StartFrom::Integer(n)) => Some(StartFrom::Integer(n)),
        Some(v1::order_by::StartFrom::Float(x)) if x.is_finite() => Some(StartFrom::Float(x)),
        Some(v1::order_by::StartFrom::Float(x)) => {
            return misfit(format!(
                "an order cannot start from {x}: send a finite number"
            ));
        }
        Some(v1::order_by::StartFrom::Moment(text)) => {
            let moment = timestamp(&text).map_err(|e: BadTime| Misfit(e.to_string()))?;
            Some(StartFrom::Moment(moment))
        }
    };
    let path = order.path.parse();
    Ok(OrderBy {
        path: path.map_err(|e: BadPath| Misfit(e.to_string()))?,
        direction: if order.descending {
            Direction::Descending
        } else {
            Direction::Ascending
        },
        start_from,
    })
}

/// A page in the order of a field's values.
pub fn ordered_response(
    answer: Answer<Vec<(OrderValue, Record)>>,
    params: &Params,
) -> v1::ScrollResponse {
    let (values, points) = answer
        .found
        .into_iter()
        .map(|(value, record)| {
            let kind = match value {
                OrderValue::Integer(n) => v1::order_value::Kind::Integer(n),
                OrderValue::Float(x) => v1::order_value::Kind::Float(x),
            };
            (v1::OrderValue { kind: Some(kind) }, point(record, params))
        })
        .unzip();
    v1::ScrollResponse {
        points,
        not_here: not_here(&answer.not_here),
        values,
    }
}

/// How many points have each value.
pub fn facet_response(answer: Answer<Vec<Facet>>) -> v1::FacetResponse {
    let facet = |Facet { value, points }| v1::Facet {
        value: Some(match value {
            FacetValue::Keyword(text) => v1::facet::Value::Keyword(text.as_ref().into()),
            FacetValue::Integer(n) => v1::facet::Value::Integer(n),
            FacetValue::Bool(yes) => v1::facet::Value::Boolean(yes),
        }),
        points,
    };
    v1::FacetResponse {
        facets: answer.found.into_iter().map(facet).collect(),
        not_here: not_here(&answer.not_here),
    }
}

/// Payload indexes as they are told of.
pub fn payload_indexes(indexes: Vec<PayloadIndex>) -> Vec<v1::PayloadIndex> {
    let index = |index: PayloadIndex| v1::PayloadIndex {
        field: Some((&index.path, index.kind).into()),
        points: index.points,
        is_complete: index.is_complete,
        is_given_up: index.is_given_up,
    };
    indexes.into_iter().map(index).collect()
}

/// What a replica has of the vnodes that it holds.
pub fn replica_digests(node: u64, view: &View) -> v1::ReplicaDigests {
    let digest = |(vnode, state): (Vnode, VnodeState)| v1::VnodeDigest {
        vnode: u32::from(vnode.0),
        c: state.holding.c,
        seq: state.seq,
        count: state.count,
        digest: state.digest.to_le_bytes().to_vec(),
    };
    v1::ReplicaDigests {
        node,
        applied: view.applied(),
        vnodes: view.held().map(digest).collect(),
    }
}

/// How many writes those of some vnodes have taken that a replica answers for.
pub fn operation_counts(vnodes: &VnodeSet, view: &View) -> v1::OperationCountsResponse {
    let is_asked = |vnode| vnodes.contains(vnode) && view.readable().contains(vnode);
    let asked = view.held().filter(|(vnode, _)| is_asked(*vnode));
    let count = |(vnode, state): (Vnode, VnodeState)| v1::OperationCount {
        vnode: u32::from(vnode.0),
        w: state.w,
    };
    v1::OperationCountsResponse {
        counts: asked.map(count).collect(),
    }
}

/// Vnodes that were asked for and are not held.
pub fn not_here(vnodes: &[Vnode]) -> Vec<v1::NotHere> {
    vnodes
        .iter()
        .map(|v| v1::NotHere {
            vnode: u32::from(v.0),
        })
        .collect()
}

/// A point's id.
///
/// # Errors
/// There is none, or it is neither a number nor a UUID.
pub fn point_id(id: Option<&v1::PointId>) -> Result<PointId, Misfit> {
    let id = id.and_then(|id| PointId::try_from(id).ok());
    id.ok_or_else(|| {
        Misfit("a point without an id, or with one that is neither a number nor a UUID".into())
    })
}

/// A vnode of this ring.
///
/// # Errors
/// The ring does not have it.
pub fn vnode(vnode: u32, params: &Params) -> Result<Vnode, Misfit> {
    match u16::try_from(vnode) {
        Ok(v) if vnode < params.vnodes.get() => Ok(Vnode(v)),
        _ => misfit(format!(
            "the ring has {} vnodes, and {vnode} is not one of them",
            params.vnodes.get()
        )),
    }
}

#[cfg(test)]
mod tests;
