//! Leaders by a lease of a real etcd.

use std::time::Duration;

use quoit_ring::{Election, RingStore, SwapError, ValueName, Values};
use quoit_testkit_etcd::Etcd as Server;

use crate::support::{raw, ring, soon, store};

#[tokio::test]
async fn a_leader_whose_lease_is_gone_writes_nothing_before_and_after_it_hears_of_it() {
    let server = Server::start().unwrap();
    let (values, ring_store) = store(&[server.endpoint()]);
    let at = ring_store.swap(None, &ring(1)).await.unwrap();
    let first = values.campaign("first").await.unwrap();
    // As if it had stood still for longer than its lease.
    let lease = first.leader().session;
    raw(&server).await.lease_revoke(lease).await.unwrap();
    let error = ring_store
        .swap_as(first.leader(), Some(at), &ring(2))
        .await
        .unwrap_err();
    assert!(matches!(error, SwapError::NotLeader { .. }), "{error:?}");

    let second = soon("an election", values.campaign("second"))
        .await
        .unwrap();
    let at = ring_store
        .swap_as(second.leader(), Some(at), &ring(3))
        .await
        .unwrap();
    let error = ring_store
        .swap_as(first.leader(), Some(at), &ring(4))
        .await
        .unwrap_err();
    assert!(matches!(error, SwapError::NotLeader { .. }), "{error:?}");
    soon("the news", first.lost()).await;
    // It gives up what is no longer its own, and harms nobody.
    first.resign().await.unwrap();
    ring_store
        .swap_as(second.leader(), Some(at), &ring(4))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_leader_that_renews_leads_on_and_one_that_stops_is_followed_by_another() {
    let server = Server::start().unwrap();
    let (values, _) = store(&[server.endpoint()]);
    let first = values.campaign("first").await.unwrap();
    let mut waiting = tokio::spawn({
        let values = values.clone();
        async move { values.campaign("second").await }
    });
    // Three times its lease.
    let patience = tokio::time::timeout(Duration::from_secs(6), &mut waiting);
    assert!(patience.await.is_err(), "the first leader was deposed");
    assert_eq!(values.leader().await.unwrap().as_deref(), Some("first"));
    // As when its process ends.
    drop(first);
    let second = soon("an election", waiting).await.unwrap().unwrap();
    assert_eq!(second.leader().who, "second");
}

#[tokio::test]
async fn a_leader_that_cannot_reach_etcd_for_its_lease_takes_itself_for_deposed() {
    let mut server = Server::start().unwrap();
    let (values, _) = store(&[server.endpoint()]);
    let leadership = values.campaign("first").await.unwrap();
    server.kill().unwrap();
    soon("the end", leadership.lost()).await;
}

#[tokio::test]
async fn a_leader_whose_key_was_removed_hears_of_it() {
    let server = Server::start().unwrap();
    let (values, _) = store(&[server.endpoint()]);
    let leadership = values.campaign("first").await.unwrap();
    let since = leadership.leader().since;
    values.remove(&ValueName::leader(), since).await.unwrap();
    soon("the end", leadership.lost()).await;
}
