//! What clients are told when shards fail, when time runs out and when too much
//! is going on.

use std::time::Duration;

use futures::TryStreamExt;
use quoit_proto::ErrorKind;
use quoit_proto::v1::{CountPointsRequest, ScrollPointsRequest};
use quoit_router::ServerLimits;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use crate::support::{LIMITS, Server};
use crate::{filled, point, points, search, upsert};

#[tokio::test]
async fn a_vnode_that_is_elsewhere_fails_a_read_and_never_shortens_it() {
    let server = Server::docs(3, "Dot").await;
    filled(&server, 20).await;
    let shard = &server.catalog.shards("docs")[1];
    shard.lose(shard.first_vnode());
    let mut client = points(&server);
    let searched = client.search(search(&[1.0, 1.0, 1.0])).await.unwrap_err();
    let scroll = ScrollPointsRequest {
        collection: "docs".to_owned(),
        ..ScrollPointsRequest::default()
    };
    let pages = client.scroll(scroll).await.unwrap().into_inner();
    let scrolled = pages.try_collect::<Vec<_>>().await.unwrap_err();
    for status in [searched, scrolled] {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().contains("1 of 64 vnodes"), "{status}");
        let again = status.get_details_retry_info().and_then(|i| i.retry_delay);
        assert_eq!(again, Some(Duration::from_secs(1)));
    }
}

#[tokio::test]
async fn each_kind_of_failure_has_its_code_and_the_words_of_rest() {
    for (kind, code) in [
        (ErrorKind::Invalid, Code::InvalidArgument),
        (ErrorKind::Busy, Code::ResourceExhausted),
        (ErrorKind::DiskFull, Code::ResourceExhausted),
        (ErrorKind::Unavailable, Code::Unavailable),
        (ErrorKind::Unknown, Code::Unknown),
    ] {
        let server = Server::docs(2, "Dot").await;
        server.catalog.shards("docs")[0].fail(kind);
        let status = points(&server).search(search(&[1.0, 1.0, 1.0])).await;
        let status = status.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        let body = r#"{"query": [1, 1, 1]}"#;
        let rest = server
            .call("POST", "/collections/docs/points/query", body)
            .await;
        assert_eq!(status.message(), rest.error());
    }
}

#[tokio::test]
async fn the_clients_time_is_kept_and_a_write_that_outlasts_it_is_of_unknown_outcome() {
    let server = Server::docs(1, "Dot").await;
    server.catalog.shards("docs")[0].delay(Duration::from_mins(5));
    let mut client = points(&server);
    let mut request = Request::new(search(&[1.0, 1.0, 1.0]));
    request.set_timeout(Duration::from_millis(50));
    let status = client.search(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.message(), "The request took longer than 50 ms");

    let mut request = Request::new(upsert(vec![point(1, &[1.0, 1.0, 1.0], "")]));
    request.set_timeout(Duration::from_millis(50));
    let status = client.upsert(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(
        status
            .message()
            .contains("whether it took effect is unknown"),
        "{status}"
    );

    let scroll = ScrollPointsRequest {
        collection: "docs".to_owned(),
        ..ScrollPointsRequest::default()
    };
    let mut request = Request::new(scroll);
    request.set_timeout(Duration::from_millis(50));
    let pages = client.scroll(request).await.unwrap().into_inner();
    let status = pages.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

#[tokio::test]
async fn one_request_too_many_is_told_to_come_again() {
    let limits = ServerLimits {
        max_in_flight: 1,
        max_queued: 0,
        ..ServerLimits::default()
    };
    let server = Server::with(1, limits, LIMITS);
    server.create_docs("Dot").await;
    let shard = server.catalog.shards("docs").remove(0);
    shard.delay(Duration::from_hours(1));
    let mut first = points(&server);
    let busy = tokio::spawn(async move {
        first
            .upsert(upsert(vec![point(1, &[1.0, 1.0, 1.0], "")]))
            .await
    });
    while shard.writes() == 0 {
        tokio::task::yield_now().await;
    }
    let request = CountPointsRequest {
        collection: "docs".to_owned(),
        filter: None,
    };
    let status = points(&server).count(request).await.unwrap_err();
    busy.abort();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(
        status.message().starts_with("Too many requests"),
        "{status}"
    );
    assert_eq!(status.metadata().get("retry-after").unwrap(), "1");
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn an_id_that_the_client_gave_comes_back_and_one_without_gets_one() {
    let server = Server::docs(1, "Dot").await;
    let mut request = Request::new(search(&[1.0, 1.0, 1.0]));
    request
        .metadata_mut()
        .insert("x-request-id", "mine".parse().unwrap());
    let answer = points(&server).search(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "mine");
    let answer = points(&server)
        .search(search(&[1.0, 1.0, 1.0]))
        .await
        .unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap().len(), 36);
}
