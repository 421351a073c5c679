//! No message makes the shard panic, and what is taken fits the collection.

use super::*;
use proptest::prelude::*;
use prost::Message;
use quoit_engine::{Metric, VectorParams};
use quoit_ring::VnodeCount;

fn params() -> Params {
    let vector = |name: &str, dimension| VectorParams {
        name: name.to_owned(),
        dimension,
        metric: Metric::Dot,
        index: None,
    };
    Params {
        vectors: vec![vector("", 2), vector("b", 1)],
        vnodes: VnodeCount::new(64).unwrap(),
    }
}

fn vector(name: &str, values: &[f32]) -> v1::Vector {
    v1::Vector {
        name: name.to_owned(),
        values: values.to_vec(),
    }
}

/// A write with every kind of change and of condition.
fn log_entry() -> v1::LogEntry {
    let both = || vec![vector("", &[1.0, 2.0]), vector("b", &[3.0])];
    let names = vec!["b".to_owned()];
    let edit = v1::PayloadEdit {
        kind: Some(v1::payload_edit::Kind::Replace("{\"a\":1}".into())),
    };
    let changes = [
        ChangeKind::Upsert(v1::Upsert {
            vectors: both(),
            payload: "{}".into(),
        }),
        ChangeKind::SetVectors(v1::Vectors { vectors: both() }),
        ChangeKind::RemoveVectors(v1::VectorNames { names }),
        ChangeKind::EditPayload(edit),
        ChangeKind::Delete(v1::Delete {}),
    ];
    let only_if = [
        None,
        Some(OnlyIf::UnchangedSince(7)),
        Some(OnlyIf::MeetsOrMissing(v1::Filter::default())),
        Some(OnlyIf::Meets(v1::Filter::default())),
        Some(OnlyIf::Missing(v1::Missing {})),
    ];
    let operations = changes.into_iter().zip(only_if).map(|(kind, only_if)| {
        let change = Some(v1::Change { kind: Some(kind) });
        let id = Some(PointId::Num(5).into());
        v1::Operation {
            id,
            only_if,
            change,
        }
    });
    let write = v1::VnodeWrite {
        vnode: 9,
        operations: operations.collect(),
        op_id: vec![7; 16],
        tried_since: Some(3),
    };
    let request = v1::WriteRequest {
        writes: vec![write],
    };
    v1::LogEntry {
        kind: Some(v1::log_entry::Kind::Write(request)),
    }
}

/// A search by every kind of objective.
fn search() -> v1::SearchRequest {
    use v1::objective::Kind;
    let examples = || v1::Examples {
        positive: vec![vector("", &[1.0, 2.0])],
        negative: vec![vector("", &[2.0, 1.0])],
    };
    let pairs = || {
        let pair = v1::Pair {
            positive: Some(vector("", &[1.0, 0.0])),
            negative: Some(vector("", &[0.0, 1.0])),
        };
        vec![pair]
    };
    let kinds = [
        Kind::BestScore(examples()),
        Kind::SumScores(examples()),
        Kind::Discover(v1::Discover {
            target: Some(vector("", &[1.0, 1.0])),
            context: pairs(),
        }),
        Kind::Context(v1::Context { pairs: pairs() }),
    ];
    let queries = kinds.into_iter().map(|kind| v1::Query {
        limit: 3,
        with_vectors: vec!["b".to_owned()],
        objective: Some(v1::Objective { kind: Some(kind) }),
        ..v1::Query::default()
    });
    v1::SearchRequest {
        vnodes: vec![255],
        queries: queries.collect(),
        ..Default::default()
    }
}

fn fits(vectors: &[Vector], params: &Params) {
    let mut seen = Names::default();
    for Vector { name, values } in vectors {
        assert!(!seen.contains(*name));
        seen = seen.with(*name);
        assert_eq!(values.len(), params.vectors[name.index()].dimension);
        assert!(values.iter().all(|x| x.is_finite()));
    }
}

fn read(bytes: &[u8]) {
    let params = params();
    if let Ok(message) = v1::LogEntry::decode(bytes)
        && let Ok(Entry::Write(writes)) = entry(message, &params)
    {
        for write in writes {
            assert!(u32::from(write.vnode.0) < params.vnodes.get());
            for operation in write.operations {
                match operation.change {
                    Change::Upsert { vectors, .. } | Change::SetVectors(vectors) => {
                        fits(&vectors, &params);
                    }
                    Change::RemoveVectors(_) | Change::EditPayload(_) | Change::Delete => {}
                }
            }
        }
    }
    if let Ok(message) = v1::SearchRequest::decode(bytes) {
        for one in message.queries {
            if let Ok(query) = query(one, &params) {
                assert!(query.using.index() < params.vectors.len());
            }
        }
    }
    if let Ok(message) = v1::ScrollRequest::decode(bytes) {
        drop(message.order_by.map(order_by));
        drop(want(message.with_payload, &message.with_vectors, &params));
    }
    if let Ok(message) = v1::WriteMatchingRequest::decode(bytes) {
        drop(change(message.change, &params));
        drop(filter(message.filter));
    }
}

#[test]
fn the_messages_that_are_broken_here_are_right_as_they_are() {
    assert!(entry(log_entry(), &params()).is_ok());
    for one in search().queries {
        assert!(query(one, &params()).is_ok());
    }
}

#[test]
fn an_op_id_has_16_bytes_and_what_was_tried_before_has_one() {
    let attempt = |op_id: &[u8], tried_since| {
        let write = v1::VnodeWrite {
            vnode: 9,
            op_id: op_id.to_vec(),
            tried_since,
            ..Default::default()
        };
        let writes = vec![write];
        match super::write(v1::WriteRequest { writes }, &params())? {
            Entry::Write(mut writes) => Ok(writes.remove(0).attempt),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(attempt(&[], None), Ok(None));
    for tried_since in [None, Some(0), Some(u64::MAX)] {
        let op_id = OpId([3; 16]);
        let expected = Attempt { op_id, tried_since };
        assert_eq!(attempt(&[3; 16], tried_since), Ok(Some(expected)));
        for len in [1, 15, 17, 1000] {
            let Misfit(what) = attempt(&vec![3; len], tried_since).unwrap_err();
            let expected = format!("the op_id of the write to vnode 9 has {len} bytes: send 16");
            assert!(what.contains(&expected), "{what}");
        }
    }
    let Misfit(what) = attempt(&[], Some(0)).unwrap_err();
    assert!(
        what.contains("tried_since and no op_id: send the op_id"),
        "{what}"
    );
}

/// Often those that make an infinity of a number, or one too many of a count.
fn odd_bytes() -> impl Strategy<Value = [u8; 2]> {
    prop_oneof![
        any::<[u8; 2]>(),
        Just([0x80, 0x7f]),
        Just([64, 0]),
        Just([0, 0])
    ]
}

proptest! {
    // Few of them still are messages.
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_bytes_are_refused_or_fit_the_collection(bytes in any::<Vec<u8>>()) {
        read(&bytes);
    }

    #[test]
    fn broken_messages_are_refused_or_fit_the_collection(
        is_search in any::<bool>(),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize, odd_bytes()), 1..4),
    ) {
        let mut bytes = if is_search { search().encode_to_vec() } else { log_entry().encode_to_vec() };
        for (at, with, new) in breaks {
            let at = at.index(bytes.len());
            // As many as were there: the lengths around it stay right.
            let end = (at + with).min(bytes.len());
            bytes.splice(at..end, new.into_iter().take(end - at));
        }
        read(&bytes);
    }
}
