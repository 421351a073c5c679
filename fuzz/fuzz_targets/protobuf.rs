//! Any bytes as any message of `quoit.v1`: refused, or decoded into something
//! of a bounded size that can be sent on; and as a call of the gRPC services,
//! answered without a failure of the server's own.
//!
//! An input is a byte that chooses, then the message.

#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's macros export C functions")]

use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target};
use prost::{Message, Name};
use quoit_filter::{Edit, Filter};
use quoit_fuzz::{doors, heap, wire};
use quoit_proto::v1;
use quoit_proto::weight::Request;
use quoit_ring::{PointId, VnodeSet};
use tonic::{Code, Status};

/// The head of a message says how long it is, and so much room is made for it;
/// the router has set that aside (32 MiB at most).
const ROOM: usize = 34 << 20;

/// What a message may take beyond a multiple of its bytes, with all that is made
/// of it: what its parts may (8 MiB), once as they were sent, once as they are
/// used, and again while a list grows.
const PARTS: usize = 32 << 20;

fn filter(filter: Option<v1::Filter>) {
    let Some(Ok(filter)) = filter.map(Filter::try_from) else {
        return;
    };
    let bytes = v1::Filter::from(&filter).encode_to_vec();
    let sent = v1::Filter::decode(bytes.as_slice()).expect("what is sent can be read");
    let sent = Filter::try_from(sent).expect("it is still a filter");
    // As bytes: a bound that is no number equals nothing, itself included.
    assert_eq!(v1::Filter::from(&sent).encode_to_vec(), bytes);
    let payload = serde_json::json!({"a": {"b": [1, "x", null]}});
    let who = quoit_filter::Who {
        id: PointId::Num(1),
        has_vector: &|name| name == "text",
    };
    let payload = payload.as_object().expect("it is one");
    assert_eq!(sent.is_met(who, payload), filter.is_met(who, payload));
}

fn change(change: Option<v1::Change>) {
    if let Some(v1::change::Kind::EditPayload(edit)) = change.and_then(|c| c.kind)
        && let Ok(edit) = Edit::try_from(edit)
    {
        let before = br#"{"a":{"b":[1,{"c":2}]},"d":null}"#;
        let after = edit.apply(before).expect("a checked edit can be applied");
        let again = edit.apply(&after).expect("to any payload");
        assert_eq!(again, after, "twice is as once: {edit:?}");
    }
}

fn write(request: v1::WriteRequest) {
    for operation in request.writes.into_iter().flat_map(|w| w.operations) {
        use v1::operation::OnlyIf;
        if let Some(id) = &operation.id {
            let _ = PointId::try_from(id);
        }
        if let Some(OnlyIf::Meets(f) | OnlyIf::MeetsOrMissing(f)) = operation.only_if {
            filter(Some(f));
        }
        change(operation.change);
    }
}

fn schema(schema: Option<v1::Schema>) {
    if let Some(Ok(schema)) = schema.map(quoit_columns::Schema::try_from) {
        let sent = quoit_columns::Schema::try_from(v1::Schema::from(&schema));
        assert_eq!(sent, Ok(schema));
    }
}

fn vnodes(bytes: &[u8]) {
    assert!(VnodeSet::from_bytes(bytes).iter().count() <= 8 * bytes.len());
}

/// Decodes, and shows that what came out is a message.
fn decoded<M: Message + Default>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let encoded = message.encode_to_vec();
    // The same depth as before, so it is within the decoder's bound again.
    let again = M::decode(encoded.as_slice()).expect("what is encoded can be decoded");
    assert_eq!(again.encode_to_vec(), encoded);
    Some(message)
}

/// Decodes what a client may send.
fn allowed<M: Message + Name + Default>(bytes: &[u8]) -> Option<M> {
    Request::named(&M::full_name())?.check(bytes).ok()?;
    decoded(bytes)
}

/// What shards say to each other and what is in the log.
fn inside(choice: u8, bytes: &[u8]) {
    match choice {
        0 => {
            if let Some(entry) = decoded::<v1::LogEntry>(bytes) {
                match entry.kind {
                    Some(v1::log_entry::Kind::Write(request)) => write(request),
                    Some(v1::log_entry::Kind::SetSchema(s)) => schema(Some(s)),
                    Some(v1::log_entry::Kind::Found(found)) => vnodes(&found.vnodes),
                    None => {}
                }
            }
        }
        1 => drop(decoded(bytes).map(write)),
        2 => drop(decoded(bytes).map(|m: v1::WriteMatchingRequest| {
            vnodes(&m.vnodes);
            filter(m.filter);
            change(m.change);
        })),
        3 => drop(decoded(bytes).map(|m: v1::SearchRequest| {
            vnodes(&m.vnodes);
            m.queries.into_iter().for_each(|q| filter(q.filter));
        })),
        4 => drop(decoded(bytes).map(|m: v1::ScrollRequest| {
            vnodes(&m.vnodes);
            filter(m.filter);
        })),
        5 => drop(decoded(bytes).map(|m: v1::FacetRequest| filter(m.filter))),
        6 => drop(decoded(bytes).map(|m: v1::SetSchemaRequest| schema(m.schema))),
        7 => drop(decoded::<v1::SearchResponse>(bytes)),
        8 => drop(decoded::<v1::ScrollResponse>(bytes)),
        9 => drop(decoded::<v1::WriteResponse>(bytes)),
        10 => drop(decoded::<v1::StatusResponse>(bytes)),
        _ => drop(decoded::<v1::RetrieveRequest>(bytes)),
    }
}

fn well<T>(answer: Result<T, Status>) {
    let ours = [
        Code::Internal,
        Code::Unknown,
        Code::DataLoss,
        Code::DeadlineExceeded,
    ];
    if let Err(status) = answer {
        assert!(!ours.contains(&status.code()), "{status:?}");
        assert!(!status.message().is_empty());
    }
}

/// A call of a client that sends this message.
fn call(choice: u8, bytes: &[u8]) {
    macro_rules! send {
        ($doors:ident, $method:ident, $request:ident) => {
            if let Some(message) = allowed::<v1::$request>(bytes) {
                $doors.run(async { well($doors.grpc().$method(message).await) });
            }
        };
    }
    doors::fresh(|doors| {
        match choice {
            0 => send!(doors, upsert, UpsertPointsRequest),
            1 => send!(doors, delete, DeletePointsRequest),
            2 => send!(doors, edit_payload, EditPayloadRequest),
            3 => send!(doors, set_vectors, SetVectorsRequest),
            4 => send!(doors, search, SearchPointsRequest),
            5 => send!(doors, search_batch, SearchPointsBatchRequest),
            6 => send!(doors, get, GetPointsRequest),
            7 => send!(doors, count, CountPointsRequest),
            8 => {
                if let Some(message) = allowed::<v1::ScrollPointsRequest>(bytes) {
                    doors.run(async {
                        match doors.grpc().scroll(message).await {
                            Err(status) => well::<()>(Err(status)),
                            Ok(answer) => {
                                let mut pages = answer.into_inner();
                                while let Some(page) = pages.message().await.transpose() {
                                    well(page);
                                }
                            }
                        }
                    });
                }
            }
            // Two messages of one stream.
            _ => {
                if let Some(message) = allowed::<v1::ImportPointsRequest>(bytes) {
                    let both = tokio_stream::iter([message.clone(), message]);
                    doors.run(async { well(doors.grpc().import(both).await) });
                }
            }
        }
        if matches!(choice, 0..=3 | 9..) {
            doors.all_can_be_read();
        }
    });
}

const PATHS: [&str; 4] = [
    "/quoit.v1.Points/Upsert",
    "/quoit.v1.Points/Import",
    "/quoit.v1.Points/Scroll",
    "/quoit.v1.Collections/Get",
];

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    let choice = choice % 32;
    // What shards send each other is not weighed: they keep what clients sent
    // within bounds.
    let (times, fixed) = match choice {
        0..=11 => (1000, 1 << 20),
        12..=27 => (16, PARTS),
        _ => (16, PARTS + ROOM),
    };
    heap::bounded(input.len(), times, fixed, || match choice {
        0..=11 => inside(choice, bytes),
        12..=27 => call(choice - 12, bytes),
        raw => doors::fresh(|doors| doors.grpc_bytes(PATHS[usize::from(raw - 28)], bytes.to_vec())),
    });
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    wire::mutate(data, size, max_size, seed)
});

fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    wire::cross(one, other, out, seed)
});
