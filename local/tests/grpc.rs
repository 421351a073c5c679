//! The gRPC port of `quoit serve`, as clients with generated code use it over
//! TCP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod support;

use futures::{StreamExt, TryStreamExt, stream};
use quoit_proto::v1::collections_client::CollectionsClient;
use quoit_proto::v1::points_client::PointsClient;
use quoit_proto::v1::{
    CountPointsRequest, GetCollectionRequest, GetPointsRequest, ImportPointsRequest, PointId,
    PointInput, PointSearch, ScrollPointsRequest, SearchPointsBatchRequest, SearchPointsRequest,
    UpsertPointsRequest, point_id,
};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use support::{PATIENCE, Server, collection_dir, data_dir, wait_for};
use tokio::runtime::Runtime;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const BATCH: u64 = 100;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn connect(address: &str) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

fn create(server: &Server, name: &str, shards: u32) {
    let wish = json!({"vectors": {"size": 4, "distance": "Euclid"}, "shard_number": shards});
    let path = format!("/collections/{name}");
    assert_eq!(server.client().ok("PUT", &path, Some(&wish)), true);
}

fn number(n: u64) -> PointId {
    PointId {
        kind: Some(point_id::Kind::Num(n)),
    }
}

fn num(id: Option<&PointId>) -> u64 {
    match id.and_then(|id| id.kind.as_ref()) {
        Some(point_id::Kind::Num(n)) => *n,
        other => panic!("no number: {other:?}"),
    }
}

fn vector(id: u64) -> Vec<f32> {
    let part = |n: u64| f32::from(u16::try_from(id / n % 100).unwrap());
    vec![part(1), part(100), 0.0, 1.0]
}

fn points(from: u64, count: u64) -> Vec<PointInput> {
    let point = |id| PointInput {
        id: Some(number(id)),
        vector: vector(id),
        payload: format!("{{\"n\":{id}}}"),
        ..PointInput::default()
    };
    (from..from + count).map(point).collect()
}

fn batch(number: u64) -> ImportPointsRequest {
    ImportPointsRequest {
        collection: "docs".to_owned(),
        points: points(number * BATCH, BATCH),
    }
}

async fn count(client: &mut PointsClient<Channel>) -> u64 {
    let request = CountPointsRequest {
        collection: "docs".to_owned(),
        filter: None,
    };
    client.count(request).await.unwrap().into_inner().count
}

#[test]
fn what_came_by_grpc_is_found_by_grpc_and_by_rest_also_after_a_restart() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    create(&server, "docs", 3);
    let address = server.grpc.clone().unwrap();
    runtime().block_on(async {
        let mut client = PointsClient::new(connect(&address).await);
        let summary = client
            .import(stream::iter((0..20).map(batch)))
            .await
            .unwrap();
        let summary = summary.into_inner();
        assert_eq!((summary.received, summary.written), (2_000, 2_000));
        let upsert = UpsertPointsRequest {
            collection: "docs".to_owned(),
            points: points(2_000, 5),
            update_filter: None,
        };
        client.upsert(upsert).await.unwrap();
        assert_eq!(count(&mut client).await, 2_005);

        let wish = |id| PointSearch {
            vector: vector(id),
            limit: Some(1),
            ..PointSearch::default()
        };
        let request = SearchPointsBatchRequest {
            collection: "docs".to_owned(),
            searches: (0..64).map(|n| wish(n * 31)).collect(),
        };
        let found = client.search_batch(request).await.unwrap().into_inner();
        let found = found
            .results
            .iter()
            .map(|r| num(r.points[0].point.as_ref().unwrap().id.as_ref()));
        assert_eq!(
            found.collect::<Vec<_>>(),
            (0..64).map(|n| n * 31).collect::<Vec<_>>()
        );

        let all = ScrollPointsRequest {
            collection: "docs".to_owned(),
            ..ScrollPointsRequest::default()
        };
        let pages = client.scroll(all).await.unwrap().into_inner();
        let pages: Vec<_> = pages.try_collect().await.unwrap();
        let ids = pages
            .iter()
            .flat_map(|page| &page.points)
            .map(|p| num(p.id.as_ref()));
        assert_eq!(ids.collect::<Vec<_>>(), (0..2_005).collect::<Vec<_>>());
    });
    let found = server.client().ok(
        "POST",
        "/collections/docs/points/query",
        Some(&json!({"query": vector(1_234), "limit": 1, "with_payload": true})),
    );
    assert_eq!(found["points"][0]["payload"], json!({"n": 1_234}));
    server.stop();

    let server = Server::start(data.path(), &[]);
    let address = server.grpc.clone().unwrap();
    runtime().block_on(async {
        let channel = connect(&address).await;
        let request = GetPointsRequest {
            collection: "docs".to_owned(),
            ids: vec![number(2_004), number(0)],
            ..GetPointsRequest::default()
        };
        let got = PointsClient::new(channel.clone())
            .get(request)
            .await
            .unwrap()
            .into_inner();
        let payloads: Vec<_> = got.points.iter().map(|p| p.payload.as_str()).collect();
        assert_eq!(payloads, ["{\"n\":2004}", "{\"n\":0}"]);
        let request = GetCollectionRequest {
            collection: "docs".to_owned(),
        };
        let info = CollectionsClient::new(channel)
            .get(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!((info.points, info.shards), (2_005, 3));
    });
    server.stop();
}

/// Passes so many bytes on to a server and no more, and cuts the connection when
/// it is told to.
fn cut_after(bytes: usize, server: String) -> (String, mpsc::Sender<()>) {
    let (cut, told) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(server).unwrap();
        let (mut back, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut back, &mut to));
        let mut left = bytes;
        let mut piece = [0; 4096];
        while left > 0 {
            let read = client.read(&mut piece[..left.min(4096)]).unwrap();
            assert!(read > 0, "the client was done too early");
            server.write_all(&piece[..read]).unwrap();
            left -= read;
        }
        told.recv().unwrap();
        for end in [&server, &client] {
            drop(end.shutdown(std::net::Shutdown::Both));
        }
    });
    (address, cut)
}

#[test]
fn a_connection_that_is_cut_in_the_middle_of_an_import_leaves_whole_batches() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    create(&server, "docs", 3);
    let address = server.grpc.clone().unwrap();
    let size = prost::Message::encoded_len(&batch(0));
    let batches = || stream::iter(0_u64..).map(batch);
    runtime().block_on(async {
        // Clients send several batches in a frame, and half a frame is nothing.
        let (through, cut) = cut_after(size * 51 / 2, address.clone());
        let mut importing = PointsClient::new(connect(&through).await);
        let import = tokio::spawn(async move { importing.import(batches()).await });
        let mut client = PointsClient::new(connect(&address).await);
        let begun = std::time::Instant::now();
        while count(&mut client).await == 0 {
            assert!(begun.elapsed() < PATIENCE, "nothing was written");
        }
        cut.send(()).unwrap();
        let status = import.await.unwrap().unwrap_err();
        assert_ne!(status.code(), Code::Ok);
        let mut ids = BTreeSet::new();
        let begun = std::time::Instant::now();
        // Batches that were begun come to their end, in any order.
        let is_whole = |ids: &BTreeSet<u64>| {
            let count = ids.len() as u64;
            count > 0 && count.is_multiple_of(BATCH) && ids.iter().copied().eq(0..count)
        };
        while !is_whole(&ids) {
            assert!(begun.elapsed() < PATIENCE, "no whole batches: {ids:?}");
            let all = ScrollPointsRequest {
                collection: "docs".to_owned(),
                ..ScrollPointsRequest::default()
            };
            let pages = client.scroll(all).await.unwrap().into_inner();
            let pages: Vec<_> = pages.try_collect().await.unwrap();
            let points = pages.iter().flat_map(|page| &page.points);
            ids = points.map(|p| num(p.id.as_ref())).collect();
        }
        assert!(
            ids.len() as u64 <= 25 * BATCH,
            "{} came of 25 batches and a half",
            ids.len()
        );
    });
    server.stop();
}

#[test]
fn reflection_lists_the_services_and_knows_what_their_messages_are() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let address = server.grpc.clone().unwrap();
    runtime().block_on(async {
        let mut client = ServerReflectionClient::new(connect(&address).await);
        let ask = |wish| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(wish),
        };
        let asked = [
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol(
                "quoit.v1.Points".to_owned(),
            )),
            ask(MessageRequest::FileContainingSymbol(
                "quoit.v1.Shard".to_owned(),
            )),
        ];
        let answers = client
            .server_reflection_info(stream::iter(asked))
            .await
            .unwrap();
        let mut answers = answers.into_inner();
        let services = answers.message().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(services)) = services.message_response
        else {
            panic!("{services:?}");
        };
        let services: BTreeSet<_> = services.service.into_iter().map(|s| s.name).collect();
        for service in [
            "quoit.v1.Points",
            "quoit.v1.Collections",
            "grpc.health.v1.Health",
        ] {
            assert!(services.contains(service), "{services:?}");
        }
        assert!(
            !services.iter().any(|s| s.contains("Shard")),
            "{services:?}"
        );
        let file = answers.message().await.unwrap().unwrap();
        let Some(MessageResponse::FileDescriptorResponse(file)) = file.message_response else {
            panic!("{file:?}");
        };
        assert!(!file.file_descriptor_proto.is_empty());
        // The shards' own service is no client's business.
        let hidden = answers.message().await;
        assert_eq!(hidden.unwrap_err().code(), Code::NotFound);
    });
    server.stop();
}

async fn health(client: &mut HealthClient<Channel>, service: &str) -> Result<ServingStatus, Code> {
    let service = service.to_owned();
    let answer = client.check(HealthCheckRequest { service }).await;
    answer
        .map(|a| a.into_inner().status())
        .map_err(|s| s.code())
}

const SERVICES: [&str; 3] = ["", "quoit.v1.Points", "quoit.v1.Collections"];

#[test]
fn each_service_is_as_healthy_as_the_collections() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    create(&server, "docs", 1);
    create(&server, "other", 1);
    let address = server.grpc.clone().unwrap();
    let runtime = runtime();
    let mut client = runtime.block_on(async { HealthClient::new(connect(&address).await) });
    for service in SERVICES {
        wait_for("health", || {
            let status = runtime.block_on(health(&mut client, service));
            (status == Ok(ServingStatus::Serving)).then_some(())
        });
    }
    let unknown = runtime.block_on(health(&mut client, "quoit.v1.Shard"));
    assert_eq!(unknown, Err(Code::NotFound));
    drop(client);
    server.stop();

    let stamp = collection_dir(data.path(), "docs").join("shards/0/stamp.json");
    fs::write(stamp, "{}").unwrap();
    let server = Server::start_unready(data.path(), &[]);
    let address = server.grpc.clone().unwrap();
    let channel = runtime.block_on(connect(&address));
    let mut client = HealthClient::new(channel.clone());
    for service in SERVICES {
        wait_for("no health", || {
            let status = runtime.block_on(health(&mut client, service));
            (status == Ok(ServingStatus::NotServing)).then_some(())
        });
    }
    // The collection that cannot be opened says why, and the other is served.
    let search = |name: &str| SearchPointsRequest {
        collection: name.to_owned(),
        search: Some(PointSearch {
            vector: vector(1),
            ..PointSearch::default()
        }),
    };
    let mut points = PointsClient::new(channel);
    let status = runtime.block_on(points.search(search("docs"))).unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("could not be opened"), "{status}");
    assert!(runtime.block_on(points.search(search("other"))).is_ok());
    server.stop_with_errors();
}

#[test]
fn calls_are_counted_by_method_and_code() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    create(&server, "docs", 1);
    let address = server.grpc.clone().unwrap();
    runtime().block_on(async {
        let mut client = PointsClient::new(connect(&address).await);
        assert_eq!(count(&mut client).await, 0);
        let nowhere = CountPointsRequest {
            collection: "nowhere".to_owned(),
            filter: None,
        };
        client.count(nowhere).await.unwrap_err();
    });
    let metrics = server.client().call("GET", "/metrics", None).unwrap();
    let metrics = String::from_utf8(metrics.body).unwrap();
    for line in [
        "quoit_grpc_requests_total{method=\"/quoit.v1.Points/Count\",code=\"Ok\"} 1",
        "quoit_grpc_requests_total{method=\"/quoit.v1.Points/Count\",code=\"NotFound\"} 1",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    server.stop();
}
