//! How fresh what a call reads must be, as its metadata say.

use futures::TryStreamExt;
use quoit_proto::v1::freshness::Kind;
use quoit_proto::v1::{
    CountPointsRequest, Eventual, Freshness, GetPointsRequest, ScrollPointsRequest,
    SearchPointsBatchRequest,
};
use tonic::{Code, Request, Status};

use crate::support::Server;
use crate::{filled, number, points, search};

/// A call with what it says of its freshness.
fn saying<T>(consistency: Option<&'static str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(words) = consistency {
        let metadata = request.metadata_mut();
        metadata.insert("consistency", words.parse().unwrap());
    }
    request
}

/// Reads in all ways.
async fn read(server: &Server, consistency: Option<&'static str>) -> Result<(), Status> {
    let collection = || "docs".to_owned();
    let one = search(&[1.0, 1.0, 1.0]);
    let batch = SearchPointsBatchRequest {
        collection: collection(),
        searches: vec![one.search.clone().unwrap()],
    };
    let get = GetPointsRequest {
        collection: collection(),
        ids: vec![number(1)],
        ..Default::default()
    };
    let scroll = ScrollPointsRequest {
        collection: collection(),
        ..Default::default()
    };
    let count = CountPointsRequest {
        collection: collection(),
        filter: None,
    };
    let mut client = points(server);
    client.search(saying(consistency, one)).await?;
    client.search_batch(saying(consistency, batch)).await?;
    client.get(saying(consistency, get)).await?;
    client.count(saying(consistency, count)).await?;
    let pages = client.scroll(saying(consistency, scroll)).await?;
    pages.into_inner().try_collect::<Vec<_>>().await?;
    Ok(())
}

#[tokio::test]
async fn every_read_is_as_fresh_as_the_metadata_say() {
    let server = Server::docs(3, "Dot").await;
    filled(&server, 30).await;
    let fresh = |kind| Some(Freshness { kind: Some(kind) });
    for (words, freshness) in [
        (None, None),
        (Some("strong"), None),
        (Some("eventual"), fresh(Kind::Eventual(Eventual {}))),
        (Some("bounded:40ms"), fresh(Kind::BoundedMs(40))),
    ] {
        read(&server, words).await.unwrap();
        let shards = server.catalog.shards("docs");
        let seen: Vec<_> = shards.iter().flat_map(|s| s.take_freshness()).collect();
        // Of four calls each shard hears, and of one that of a single point.
        assert_eq!(seen.len(), 13, "{words:?}");
        assert!(seen.iter().all(|seen| *seen == freshness), "{words:?}");
    }
}

#[tokio::test]
async fn what_is_no_freshness_is_refused() {
    let server = Server::docs(1, "Dot").await;
    for words in ["soon", "bounded:0ms"] {
        let error = read(&server, Some(words)).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains("consistency"), "{error}");
    }
}
