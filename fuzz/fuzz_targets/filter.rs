//! Any filter in JSON is refused or means the same for ever: evaluated as it
//! was read, as it travels to a shard, and as it comes out of a shard's log.
//!
//! An input is a line with the filter, then a payload.

#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's macros export C functions")]

use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target};
use prost::Message;
use quoit_filter::{Condition, Filter, MAX_CONDITIONS, MAX_DEPTH, Who};
use quoit_fuzz::{heap, json};
use quoit_proto::v1;
use quoit_ring::PointId;
use serde_json::{Map, Value};

/// How deep it is, and how many conditions it has, counted apart from the
/// decoder's own count.
fn size(filter: &Filter) -> (usize, usize) {
    let counted = filter.min_should.iter().flat_map(|m| &m.conditions);
    let others = filter.must.iter().chain(&filter.should);
    let all = others.chain(&filter.must_not).chain(counted);
    all.fold((1, 0), |(depth, many), condition| match condition {
        Condition::Filter(inner) | Condition::Nested { filter: inner, .. } => {
            let (inner_depth, inner_many) = size(inner);
            (depth.max(inner_depth + 1), many + inner_many + 1)
        }
        _ => (depth, many + 1),
    })
}

fn logged(filter: &Filter) -> v1::LogEntry {
    let operation = v1::Operation {
        id: Some(PointId::Num(1).into()),
        only_if: Some(v1::operation::OnlyIf::Meets(filter.into())),
        change: None,
    };
    let write = v1::VnodeWrite {
        vnode: 0,
        operations: vec![operation],
        ..Default::default()
    };
    let request = v1::WriteRequest {
        writes: vec![write],
    };
    v1::LogEntry {
        kind: Some(v1::log_entry::Kind::Write(request)),
    }
}

fn from_log(entry: v1::LogEntry) -> Option<v1::Filter> {
    let Some(v1::log_entry::Kind::Write(request)) = entry.kind else {
        return None;
    };
    let mut operations = request.writes.into_iter().flat_map(|w| w.operations);
    match operations.next()?.only_if? {
        v1::operation::OnlyIf::Meets(filter) => Some(filter),
        _ => None,
    }
}

fn check(text: &[u8], payload: &[u8]) {
    let Ok(filter) = quoit_router::filter_from_json(text) else {
        return;
    };
    let (depth, conditions) = size(&filter);
    assert!(depth <= MAX_DEPTH && conditions <= MAX_CONDITIONS);

    let bytes = logged(&filter).encode_to_vec();
    let read = v1::LogEntry::decode(bytes.as_slice()).expect("what is logged can be read");
    let wire = from_log(read).expect("the filter is there");
    let read = Filter::try_from(wire).expect("it is still a filter");
    // A count that is larger than any number of conditions may become another.
    assert_eq!(v1::Filter::from(&read), v1::Filter::from(&filter));

    let payload: Map<String, Value> = serde_json::from_slice(payload).unwrap_or_default();
    for id in [
        PointId::Num(1),
        PointId::Num(u64::MAX),
        PointId::from_key(&[1; 17]).expect("a UUID's key"),
    ] {
        let who = Who {
            id,
            has_vector: &|name| name.is_empty(),
        };
        assert_eq!(filter.is_met(who, &payload), read.is_met(who, &payload));
    }
}

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n');
    let (filter, payload) = input.split_at(end.unwrap_or(input.len()));
    heap::bounded(input.len(), 32, 16 << 20, || check(filter, payload));
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    json::mutate(data, size, max_size, seed)
});

fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    json::cross(one, other, out, seed)
});
