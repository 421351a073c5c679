//! How an import flows: in order, no faster than the shards, and with an
//! account of every point.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::stream::{self, Stream, StreamExt};
use prost::Message;
use quoit_proto::ErrorKind;
use quoit_proto::v1::{GetPointsRequest, ImportPointsRequest, ImportPointsResponse, PointInput};
use quoit_router::{CollectionLimits, ServerLimits};
use tonic::{Code, Status};

use crate::support::{LIMITS, Server};
use crate::{number, point, points};

fn batch(points: Vec<PointInput>) -> ImportPointsRequest {
    ImportPointsRequest {
        collection: "docs".to_owned(),
        points,
    }
}

/// A batch whose points are `from` to `from + count`, with this first coordinate.
fn points_from(from: u64, count: u64, x: f32) -> ImportPointsRequest {
    let points = (from..from + count).map(|id| point(id, &[x, 1.0, 1.0], ""));
    batch(points.collect())
}

async fn import(
    server: &Server,
    batches: impl Stream<Item = ImportPointsRequest> + Send + 'static,
) -> Result<ImportPointsResponse, Status> {
    let summary = points(server).import(batches).await;
    summary.map(tonic::Response::into_inner)
}

/// The summary in the details of an error.
fn summary_of(status: &Status) -> ImportPointsResponse {
    let rich = tonic_types::Status::decode(status.details()).unwrap();
    assert_eq!(rich.message, status.message());
    let detail = rich
        .details
        .iter()
        .find(|detail| detail.type_url == "type.googleapis.com/quoit.v1.ImportPointsResponse");
    ImportPointsResponse::decode(detail.unwrap().value.as_slice()).unwrap()
}

async fn wait_for(what: &str, mut state: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !state() {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "waited in vain for {what}"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn every_point_is_written_or_refused_with_its_position() {
    let server = Server::docs(3, "Dot").await;
    let bad_id = PointInput {
        id: None,
        ..point(0, &[1.0, 1.0, 1.0], "")
    };
    let mut later = points_from(20, 10, 1.0);
    later.collection = String::new();
    later.points.insert(4, point(77, &[1.0, f32::NAN, 1.0], ""));
    let batches = vec![
        points_from(0, 20, 1.0),
        batch(vec![
            bad_id,
            point(50, &[1.0], ""),
            point(51, &[1.0, 1.0, 1.0], "[]"),
        ]),
        later,
    ];
    let summary = import(&server, stream::iter(batches)).await.unwrap();
    assert_eq!(
        (
            summary.received,
            summary.written,
            summary.refused,
            summary.next_position
        ),
        (34, 30, 4, 34)
    );
    let refusals: Vec<_> = summary
        .refusals
        .iter()
        .map(|r| (r.position, r.id.clone(), r.reason.as_str()))
        .collect();
    assert_eq!(
        refusals,
        [
            (
                20,
                None,
                "id: it is missing: send `num`, an unsigned 64-bit integer, or `uuid`, 16 bytes"
            ),
            (
                21,
                Some(number(50)),
                "vector: Vector dimension error: expected dim: 3, got 1"
            ),
            (
                22,
                Some(number(51)),
                "payload: a payload is the text of a JSON object, or empty"
            ),
            (
                27,
                Some(number(77)),
                "vector[1]: NaN is not finite as a 32-bit number"
            ),
        ]
    );
}

#[tokio::test]
async fn a_point_with_a_condition_is_not_imported() {
    let server = Server::docs(1, "Dot").await;
    let conditional = PointInput {
        if_version: Some(1),
        ..point(1, &[1.0, 1.0, 1.0], "")
    };
    let summary = import(&server, stream::iter(vec![batch(vec![conditional])]))
        .await
        .unwrap();
    assert_eq!((summary.written, summary.refused), (0, 1));
    let words = "if_version: imports have no conditions: send the point by Upsert";
    assert_eq!(summary.refusals[0].reason, words);
}

#[tokio::test]
async fn of_many_refused_points_all_are_counted_and_ten_told_of() {
    let server = Server::docs(1, "Dot").await;
    let bad = (0..40).map(|id| point(id, &[1.0], "")).collect();
    let summary = import(&server, stream::iter(vec![batch(bad)]))
        .await
        .unwrap();
    assert_eq!((summary.refused, summary.refusals.len()), (40, 10));
}

#[tokio::test]
async fn of_a_point_that_comes_again_the_later_one_wins_however_slow_the_first_was() {
    let server = Server::docs(1, "Dot").await;
    let shard = server.catalog.shards("docs").remove(0);
    // The first batch is refused until the second has been read.
    shard.fail(ErrorKind::Busy);
    let mend = shard.clone();
    let batches = stream::iter(vec![points_from(0, 5, 1.0), points_from(5, 5, 1.0)])
        .chain(stream::once(async move {
            wait_for("two writes", || mend.writes() >= 2).await;
            points_from(0, 5, 2.0)
        }))
        .chain(stream::once(async move {
            shard.mend();
            points_from(0, 5, 3.0)
        }));
    let summary = import(&server, batches).await.unwrap();
    assert_eq!((summary.written, summary.next_position), (20, 20));
    let request = GetPointsRequest {
        collection: "docs".to_owned(),
        ids: (0..5).map(number).collect(),
        with_vectors: Some(quoit_proto::v1::VectorSelector {
            kind: Some(quoit_proto::v1::vector_selector::Kind::All(true)),
        }),
        ..GetPointsRequest::default()
    };
    let got = points(&server)
        .get(request)
        .await
        .unwrap()
        .into_inner()
        .points;
    assert!(got.iter().all(|p| p.vector == [3.0, 1.0, 1.0]), "{got:?}");
}

#[tokio::test]
async fn a_stalled_shard_bounds_what_is_taken_of_an_import() {
    const POINT_BYTES: usize = 20_000;
    let limits = CollectionLimits {
        max_payload_bytes: 1 << 20,
        max_request_bytes: 1 << 20,
        ..LIMITS
    };
    let server = Server::with(1, ServerLimits::default(), limits);
    server.create_docs("Dot").await;
    let shard = server.catalog.shards("docs").remove(0);
    shard.delay(Duration::from_hours(1));
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let batches = stream::iter(0..).map(move |id| {
        counted.fetch_add(1, Ordering::SeqCst);
        let payload = format!("{{\"text\": \"{}\"}}", "x".repeat(POINT_BYTES));
        batch(vec![point(id, &[1.0, 1.0, 1.0], &payload)])
    });
    let client = server.grpc.clone();
    let running = tokio::spawn(async move {
        let mut client = quoit_proto::v1::points_client::PointsClient::new(client);
        client.import(batches).await
    });
    wait_for("the first writes", || shard.writes() >= 4).await;
    // All that can happen now happens while nothing else does.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shard.writes(), 4, "batches on their way to the shard");
    let taken = taken.load(Ordering::SeqCst);
    assert!(taken <= 8, "{taken} batches were taken from the client");
    running.abort();
}

#[tokio::test]
async fn a_failure_says_how_far_the_import_came() {
    let server = Server::docs(1, "Dot").await;
    let shard = server.catalog.shards("docs").remove(0);
    let broken = shard.clone();
    let batches = stream::iter(vec![points_from(0, 30, 1.0), points_from(30, 30, 1.0)])
        .chain(stream::once(async move {
            wait_for("two writes", || broken.writes() >= 2).await;
            broken.fail(ErrorKind::DiskFull);
            points_from(60, 30, 1.0)
        }))
        .chain(stream::pending());
    let status = import(&server, batches).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let words = "of the 90 points that came, all before position 60 are durable or refused: go on from there";
    assert!(status.message().ends_with(words), "{status}");
    let summary = summary_of(&status);
    assert_eq!(
        (summary.received, summary.written, summary.next_position),
        (90, 60, 60)
    );
}

#[tokio::test]
async fn a_message_that_makes_no_sense_ends_the_import_and_what_came_before_is_durable() {
    let table: [(ImportPointsRequest, Code, &str); 3] = [
        (
            ImportPointsRequest {
                collection: "other".to_owned(),
                points: Vec::new(),
            },
            Code::InvalidArgument,
            "Wrong input: collection: \"other\", and the first message said \"docs\": \
             import into one collection after the other",
        ),
        (
            points_from(100, 51, 1.0),
            Code::InvalidArgument,
            "Wrong input: points: 51 points are more than the 50 of one batch: send several",
        ),
        (
            batch(vec![point(0, &[1.0, 1.0, 1.0], &" ".repeat(20_000))]),
            Code::ResourceExhausted,
            "The body of the request is larger than 16384 bytes: send fewer points in a request, \
             or raise the limit of the collection",
        ),
    ];
    for (wrong, code, words) in table {
        let server = Server::docs(2, "Dot").await;
        let batches = stream::iter(vec![points_from(0, 30, 1.0), wrong]);
        let status = import(&server, batches.chain(stream::pending()))
            .await
            .unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().starts_with(words), "{status}");
        let summary = summary_of(&status);
        assert_eq!((summary.written, summary.next_position), (30, 30));
    }
}

#[tokio::test]
async fn an_import_without_a_collection_is_refused_and_one_without_batches_is_empty() {
    let server = Server::docs(1, "Dot").await;
    let unnamed = ImportPointsRequest::default();
    let status = import(&server, stream::iter(vec![unnamed]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let summary = import(&server, stream::empty()).await.unwrap();
    assert_eq!(summary, ImportPointsResponse::default());
}

#[tokio::test]
async fn a_batch_that_was_begun_is_written_whole_though_the_client_is_gone() {
    let server = Server::docs(2, "Dot").await;
    let shards = server.catalog.shards("docs");
    shards[1].delay(Duration::from_millis(100));
    let batches = stream::iter(vec![points_from(0, 40, 1.0)]).chain(stream::pending());
    let client = server.grpc.clone();
    let running = tokio::spawn(async move {
        let mut client = quoit_proto::v1::points_client::PointsClient::new(client);
        client.import(batches).await
    });
    wait_for("the first write", || shards[0].points() > 0).await;
    assert_eq!(shards[1].points(), 0, "the other shard takes its time");
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    wait_for("the whole batch", || {
        shards[0].points() + shards[1].points() == 40
    })
    .await;
}
