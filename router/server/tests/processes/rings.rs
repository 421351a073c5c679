//! A router whose etcd shows it what is no ring of its collection, or an old one:
//! it goes on with the last good one and says so, and none is never served by bad.

use crate::support::{Site, UID, until};
use quoit_ring::{Ring, ShardId, ShardState, Table, ValueName};
use uuid::Uuid;

/// The collection's ring as it would be with this epoch, and every vnode at a shard.
fn ring(present: &[u8], uid: Uuid, epoch: u64, shard: u32) -> Vec<u8> {
    let mut parts = Ring::from_bytes(present).unwrap().into_parts();
    parts.table = Table::owned_by(parts.table.vnodes(), ShardId(shard));
    parts.shards.insert(ShardId(shard), ShardState::Active);
    (parts.uid, parts.epoch) = (uid, epoch);
    Ring::from_parts(parts).unwrap().to_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_whose_ring_turns_bad_goes_on_with_the_last_good_one_and_says_so() {
    let site = Site::declared().await;
    let name = ValueName::ring();
    let first = site.kept(&name).await;
    let good = ring(&first, UID, 5, 0);
    site.set(&name, Some(&good)).await;
    let router = site.router();
    router.is_well().await;
    router.put(1).await;

    let foreign = ring(&first, Uuid::from_u128(8), 9, 1);
    let old = ring(&first, UID, 4, 1);
    let mut points = 1;
    for (bytes, says) in [
        (Some(&b"garbage"[..]), "put back a ring from a backup"),
        (
            Some(&good[..good.len() / 2]),
            "put back a ring from a backup",
        ),
        (
            Some(&foreign),
            "is the ring of collection 00000000-0000-0000-0000-000000000008",
        ),
        (
            Some(&old),
            "the ring of epoch 4, and that of epoch 5 was seen: was etcd set back",
        ),
        (None, "the ring is gone from etcd: put it back"),
    ] {
        site.set(&name, bytes).await;
        router.tells(200, says).await;
        assert!(router.said().contains(says), "{says}: {}", router.said());
        points += 1;
        router.put(points).await;
        router.has(points).await;
        site.set(&name, Some(&good)).await;
        router.is_well().await;
    }
    assert!(!router.said().contains("etcd is away"), "{}", router.said());

    // A later one is taken: its shard is asked, which nobody has registered for.
    let later = ring(&first, UID, 6, 1);
    site.set(&name, Some(&later)).await;
    until("the later ring to be served by", async || {
        let path = "/collections/docs/points/count";
        let (status, _) = router.ask("POST", path, "{}").await?;
        (status == 503).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_begins_with_a_bad_ring_is_not_ready_says_why_and_begins_when_it_is_mended() {
    let site = Site::new().await;
    let router = site.router();
    router
        .tells(503, "has it been declared, with this uid?")
        .await;
    site.declare().await;
    router.is_well().await;

    let name = ValueName::ring();
    let good = site.kept(&name).await;
    let foreign = ring(&good, Uuid::from_u128(8), 9, 0);
    for (bytes, says) in [
        (&b"garbage"[..], "put back a ring from a backup"),
        (&foreign, "find out who wrote it there"),
    ] {
        site.set(&name, Some(bytes)).await;
        let router = site.router();
        router.tells(503, says).await;
        assert!(router.said().contains(says), "{}", router.said());
        let path = "/collections/docs/points/count";
        let (status, said) = router.ask("POST", path, "{}").await.unwrap();
        assert_eq!(status, 404, "{said}");
        site.set(&name, Some(&good)).await;
        router.is_well().await;
        router.has(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_in_etcd_cannot_be_read_is_left_as_it_was_and_said_with_the_remedy() {
    let site = Site::declared().await;
    let router = site.router();
    router.is_well().await;
    router.put(1).await;
    let node = ValueName::node(ShardId(0), 77);
    for (name, bytes, says) in [
        (
            ValueName::wish(),
            Some(&b"[]"[..]),
            "apply the collection again",
        ),
        (ValueName::wish(), None, "the wish is gone from etcd: apply"),
        (
            ValueName::schema(),
            Some(b"[]"),
            "apply the collection again",
        ),
        (node, Some(b"[]"), "shards/0/nodes/77"),
    ] {
        let kept = quoit_ring::Values::get(&site.store(), &name).await.unwrap();
        site.set(&name, bytes).await;
        router.tells(200, says).await;
        assert!(router.said().contains(says), "{says}: {}", router.said());
        router.has(1).await;
        let kept = kept.map(|kept| kept.value);
        site.set(&name, kept.as_deref()).await;
        router.is_well().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_serves_without_etcd_what_it_has_seen_and_one_that_has_seen_nothing_waits_for_it()
{
    let mut site = Site::declared().await;
    let router = site.router();
    router.is_well().await;
    router.put(1).await;
    site.etcd.kill().unwrap();
    router.tells(200, "ready, but etcd is away").await;
    router.has(1).await;
    let late = site.router();
    late.tells(503, "etcd is away").await;
    router.put(2).await;
    site.etcd.restart().unwrap();
    late.is_well().await;
    late.has(2).await;
    router.is_well().await;
}
