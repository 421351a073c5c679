//! Watches of a real etcd that is restarted, compacted and set back.

use std::time::Duration;

use futures::StreamExt;
use quoit_ring::{RingStore, ValueName, Values};
use quoit_store::{Etcd, EtcdOptions, EtcdRingStore};
use quoit_testkit_etcd::Etcd as Server;

use crate::support::{UID, chain, epoch, item, raw, read, ring, soon, store, write};

#[tokio::test]
async fn a_watch_goes_on_after_a_kill_and_shows_every_later_change() {
    let mut server = Server::start().unwrap();
    let (_, ring_store) = store(&[server.endpoint()]);
    write(&ring_store, 1).await;
    let mut watch = ring_store.watch();
    assert_eq!(epoch(&mut watch).await, (Some(1), false));
    for round in 0..3 {
        server.kill().unwrap();
        server.restart().unwrap();
        // Before the watch has noticed anything.
        for next in [2, 3] {
            write(&ring_store, 2 * round + next).await;
        }
        for next in [2, 3] {
            assert_eq!(epoch(&mut watch).await, (Some(2 * round + next), false));
        }
    }
}

#[tokio::test]
async fn a_watch_reports_an_outage_once_and_then_what_is_there() {
    let mut server = Server::start().unwrap();
    let mut options = EtcdOptions::new([server.endpoint()]);
    options.deadline = Duration::from_millis(500);
    let ring_store = EtcdRingStore::new(Etcd::open(options).unwrap().store(UID), UID);
    ring_store.swap(None, &ring(1)).await.unwrap();
    let mut watch = ring_store.watch();
    assert_eq!(epoch(&mut watch).await, (Some(1), false));
    server.kill().unwrap();
    let error = item(&mut watch).await.unwrap_err();
    assert!(chain(&error).contains(&server.endpoint()), "{error:?}");
    // For longer than several of its tries take.
    let second = tokio::time::timeout(Duration::from_secs(4), watch.next()).await;
    assert!(second.is_err(), "{second:?}");
    let next = tokio::spawn(async move { item(&mut watch).await });
    server.restart().unwrap();
    let next = soon("what is there", next).await.unwrap().unwrap();
    assert_eq!(
        next.now.map(|ring| ring.value),
        Some(ring(1)),
        "also if nothing changed"
    );
}

#[tokio::test]
async fn a_watch_that_missed_what_is_compacted_shows_what_is_there() {
    let mut server = Server::start().unwrap();
    let (values, ring_store) = store(&[server.endpoint()]);
    let mut at = write(&ring_store, 1).await;
    let mut watch = ring_store.watch();
    assert_eq!(epoch(&mut watch).await, (Some(1), false));
    // Its connection is gone, and it does not look meanwhile.
    server.kill().unwrap();
    server.restart().unwrap();
    for next in 2..6 {
        at = write(&ring_store, next).await;
    }
    let revision = i64::try_from(at.0).unwrap();
    raw(&server).await.compact(revision, None).await.unwrap();
    assert_eq!(epoch(&mut watch).await, (Some(5), false));
    write(&ring_store, 6).await;
    assert_eq!(epoch(&mut watch).await, (Some(6), false));

    // The same, with nothing there any more.
    server.kill().unwrap();
    server.restart().unwrap();
    let (at, _) = read(&ring_store).await.unwrap();
    let at = values.remove(&ValueName::ring(), at).await.unwrap();
    let revision = i64::try_from(at.0).unwrap();
    raw(&server).await.compact(revision, None).await.unwrap();
    assert_eq!(epoch(&mut watch).await, (None, false));
}

#[tokio::test]
async fn a_restore_from_a_backup_is_shown_as_a_reset_and_then_followed() {
    let mut server = Server::start().unwrap();
    let (_, ring_store) = store(&[server.endpoint()]);
    let first = ring_store.swap(None, &ring(1)).await.unwrap();
    ring_store.swap(Some(first), &ring(2)).await.unwrap();
    server.kill().unwrap();
    server.back_up("early").unwrap();
    server.restart().unwrap();
    let mut watch = ring_store.watch();
    assert_eq!(epoch(&mut watch).await, (Some(2), false));
    for next in 3..6 {
        write(&ring_store, next).await;
        assert_eq!(epoch(&mut watch).await, (Some(next), false));
    }
    server.kill().unwrap();
    server.set_back("early").unwrap();
    server.restart().unwrap();
    assert_eq!(epoch(&mut watch).await, (Some(2), true), "back");
    write(&ring_store, 3).await;
    assert_eq!(epoch(&mut watch).await, (Some(3), false), "followed");
}

#[tokio::test]
async fn a_restore_is_noticed_though_etcd_has_counted_on_meanwhile() {
    let mut server = Server::start().unwrap();
    let (values, ring_store) = store(&[server.endpoint()]);
    ring_store.swap(None, &ring(1)).await.unwrap();
    server.kill().unwrap();
    server.back_up("early").unwrap();
    server.restart().unwrap();
    let second = write(&ring_store, 2).await;
    let mut watch = ring_store.watch();
    assert_eq!(epoch(&mut watch).await, (Some(2), false));
    server.kill().unwrap();
    server.set_back("early").unwrap();
    server.restart().unwrap();
    // Another ring than was shown, at the very revision; and more after it.
    assert_eq!(write(&ring_store, 9).await, second);
    for _ in 0..3 {
        let wish = ValueName::wish();
        let present = values.get(&wish).await.unwrap().map(|kept| kept.revision);
        values.swap(&wish, present, b"more").await.unwrap();
    }
    assert_eq!(epoch(&mut watch).await, (Some(9), true));
}

#[tokio::test]
async fn an_etcd_that_lost_everything_is_shown_as_a_reset_to_nothing() {
    let mut server = Server::start().unwrap();
    let (_, ring_store) = store(&[server.endpoint()]);
    server.kill().unwrap();
    server.back_up("empty").unwrap();
    server.restart().unwrap();
    write(&ring_store, 1).await;
    write(&ring_store, 2).await;
    let mut watch = ring_store.watch();
    assert_eq!(epoch(&mut watch).await, (Some(2), false));
    server.kill().unwrap();
    server.set_back("empty").unwrap();
    server.restart().unwrap();
    assert_eq!(epoch(&mut watch).await, (None, true));
    write(&ring_store, 3).await;
    assert_eq!(epoch(&mut watch).await, (Some(3), false));
}
