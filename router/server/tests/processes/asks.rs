//! A router that starts while etcd is away: it asks shards what they saw, serves by
//! that, and by etcd when that is back.

use crate::support::{Site, UID, until};
use quoit_ring::{Ring, ValueName};
use quoit_testkit_etcd::free_ports;
use uuid::Uuid;

/// The picture's ring, as it would be with this epoch.
fn ring(picture: &[u8], uid: Uuid, epoch: u64) -> Vec<u8> {
    let mut parts = Ring::from_bytes(picture).unwrap().into_parts();
    (parts.uid, parts.epoch) = (uid, epoch);
    Ring::from_parts(parts).unwrap().to_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_starts_without_etcd_serves_by_what_a_shard_saw_and_then_by_etcd() {
    let mut site = Site::declared().await;
    site.shows.send_replace(Some(site.picture().await));
    site.etcd.kill().unwrap();
    let nobody = free_ports(1).unwrap()[0].to_string();
    let router = site.router_asking(&[&nobody, &site.shard]);
    let says = format!("served by what the shard at {} saw of it", site.shard);
    router.tells(200, &says).await;
    assert!(router.said().contains(&says), "{}", router.said());
    router.put(1).await;
    router.has(1).await;
    // What is written to etcd waits for it.
    let (status, said) = router.name("other").await;
    assert_eq!(status, 500, "{said}");

    site.etcd.restart().unwrap();
    router.is_well().await;
    router.has(1).await;
    // Another router's change is seen.
    let (status, said) = site.router_that_is_well().await.name("other").await;
    assert_eq!(status, 200, "{said}");
    until("the other name to be known", async || {
        let path = "/collections/other/points/count";
        let (status, _) = router.ask("POST", path, "{}").await?;
        (status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_ring_of_etcd_does_not_take_the_place_of_one_that_a_shard_saw() {
    let mut site = Site::declared().await;
    let mut picture = site.picture().await;
    let later = ring(&picture.values["ring"], UID, 9);
    picture.values.insert("ring".to_owned(), later.clone());
    site.shows.send_replace(Some(picture));
    site.etcd.kill().unwrap();
    let router = site.router_asking(&[&site.shard]);
    router.tells(200, "served by what the shard").await;
    site.etcd.restart().unwrap();
    router.tells(200, "that of epoch 9 was seen").await;
    router.put(1).await;
    site.set(&ValueName::ring(), Some(&later)).await;
    router.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_that_show_nothing_or_another_collection_are_named_and_asked_again() {
    let mut site = Site::declared().await;
    let good = site.picture().await;
    site.etcd.kill().unwrap();
    let without = site.router();
    without.tells(503, "--shards HOST:PORT").await;
    let router = site.router_asking(&[&site.shard]);
    let says = format!("{}: this replica has not seen its cluster", site.shard);
    router.tells(503, &says).await;

    let mut foreign = good.clone();
    let other = Uuid::from_u128(8);
    let of_another = ring(&good.values["ring"], other, 1);
    foreign.values.insert("ring".to_owned(), of_another);
    site.shows.send_replace(Some(foreign));
    router
        .tells(503, &format!("it is of collection {other}"))
        .await;

    site.shows.send_replace(Some(good));
    router.tells(200, "served by what the shard").await;
    router.put(1).await;
    site.etcd.restart().unwrap();
    router.is_well().await;
    without.is_well().await;
}
