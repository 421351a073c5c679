//! The store in a real etcd that is killed, paused, restarted, compacted and set
//! back.

mod common;

use std::time::{Duration, Instant};

use common::{UID, chain, epoch, item, open, ring, shown, soon};
use etcd_client::{Client, Permission, PermissionType};
use quoit_ring::{Election, Revision, RingStore, StoreError, SwapError, ValueName, Values};
use quoit_store::{Etcd, EtcdOptions, EtcdRingStore, EtcdStore, User};
use quoit_testkit_etcd::{Etcd as Server, free_ports};

fn store(endpoints: &[String]) -> (EtcdStore, EtcdRingStore) {
    let values = open(endpoints).store(UID);
    (values.clone(), EtcdRingStore::new(values, UID))
}

async fn raw(server: &Server) -> Client {
    Client::connect([server.endpoint()], None).await.unwrap()
}

/// Where nothing listens.
fn dead() -> String {
    format!("http://{}", free_ports(1).unwrap()[0])
}

async fn read(store: &EtcdRingStore) -> Option<(Revision, u64)> {
    let content = store.read().await.unwrap();
    content.map(|content| (content.revision, content.value.epoch()))
}

/// Replaces the ring as everybody does: by what is there. A connection that was
/// lost meanwhile is noticed by reading, which does no harm.
async fn write(store: &EtcdRingStore, next: u64) -> Revision {
    let present = read(store).await.map(|(revision, _)| revision);
    store.swap(present, &ring(next)).await.unwrap()
}

#[tokio::test]
async fn without_etcd_every_call_ends_with_an_error_that_names_the_endpoints() {
    let endpoints = [dead(), dead()];
    let (values, ring_store) = store(&endpoints);
    let names_them = |error: &StoreError| {
        assert!(error.may_retry(), "{error:?}");
        let text = chain(error);
        for endpoint in &endpoints {
            // Once as what was tried, and once with what it said.
            assert_eq!(text.matches(endpoint).count(), 2, "{text}");
        }
        assert!(text.contains("refused"), "{text}");
    };
    soon("the end of every call", async {
        names_them(&ring_store.read().await.unwrap_err());
        names_them(&values.list(&ValueName::wish()).await.unwrap_err());
        match ring_store.swap(None, &ring(1)).await.unwrap_err() {
            // Nothing was sent to anybody.
            SwapError::Failed(error) => names_them(&error),
            error => panic!("{error:?}"),
        }
        let Err(error) = values.campaign("x").await else {
            panic!("elected by nobody");
        };
        names_them(&error);
        names_them(&item(&mut ring_store.watch()).await.unwrap_err());
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_is_dead_is_passed_over_for_one_that_lives() {
    let server = Server::start().unwrap();
    let (_, ring_store) = store(&[dead(), dead(), server.endpoint()]);
    let mut watch = ring_store.watch();
    assert_eq!(epoch(&mut watch).await, (None, false));
    let at = ring_store.swap(None, &ring(1)).await.unwrap();
    assert_eq!(read(&ring_store).await, Some((at, 1)));
    assert_eq!(epoch(&mut watch).await, (Some(1), false));
}

#[tokio::test]
async fn an_endpoint_that_is_silent_is_passed_over_for_reads() {
    let servers = Server::start_cluster(3).unwrap();
    let endpoints: Vec<_> = servers.iter().map(Server::endpoint).collect();
    let (_, ring_store) = store(&endpoints);
    let at = ring_store.swap(None, &ring(1)).await.unwrap();
    servers[0].pause().unwrap();
    soon("a read", async {
        // While the others choose a leader, if it was the paused one.
        while ring_store.read().await.is_err() {}
    })
    .await;
    assert_eq!(read(&ring_store).await, Some((at, 1)));
    // And a write is not sent to the silent one any more.
    ring_store.swap(Some(at), &ring(2)).await.unwrap();
    servers[0].resume().unwrap();
}

#[tokio::test]
async fn a_cluster_that_loses_any_one_member_goes_on_and_so_do_its_watches() {
    let mut servers = Server::start_cluster(3).unwrap();
    let endpoints: Vec<_> = servers.iter().map(Server::endpoint).collect();
    let (_, ring_store) = store(&endpoints);
    let mut at = ring_store.swap(None, &ring(1)).await.unwrap();
    let mut watch = ring_store.watch();
    assert_eq!(epoch(&mut watch).await, (Some(1), false));
    let mut next = 2;
    for lost in 0..3 {
        servers[lost].kill().unwrap();
        at = soon("a swap", async {
            loop {
                match ring_store.swap(Some(at), &ring(next)).await {
                    Ok(at) => break at,
                    Err(SwapError::Failed(_)) => {}
                    // While a leader is chosen: look what became of it.
                    Err(SwapError::Unknown(_) | SwapError::Conflict { .. }) => {
                        match ring_store.read().await {
                            Ok(Some(kept)) if kept.value.epoch() == next => break kept.revision,
                            Ok(_) | Err(_) => {}
                        }
                    }
                    Err(error) => panic!("{}", chain(&error)),
                }
            }
        })
        .await;
        // What was there may be shown again after an outage.
        while epoch(&mut watch).await != (Some(next), false) {}
        servers[lost].restart().unwrap();
        next += 1;
    }
}

#[tokio::test]
async fn a_swap_whose_answer_does_not_come_is_unknown_and_one_not_sent_has_failed() {
    let mut server = Server::start().unwrap();
    let (_, ring_store) = store(&[server.endpoint()]);
    let first = ring_store.swap(None, &ring(1)).await.unwrap();
    server.pause().unwrap();
    let began = Instant::now();
    let error = ring_store.swap(Some(first), &ring(2)).await.unwrap_err();
    assert!(matches!(error, SwapError::Unknown(_)), "{error:?}");
    assert!(
        chain(&error).contains(&server.endpoint()),
        "{}",
        chain(&error)
    );
    assert!(
        began.elapsed() < Duration::from_mins(1),
        "it waited without end"
    );
    server.resume().unwrap();
    let (at, epoch) = read(&ring_store).await.unwrap();
    assert!(epoch == 1 && at == first || epoch == 2 && at != first);

    server.kill().unwrap();
    ring_store.read().await.unwrap_err();
    let error = ring_store.swap(Some(at), &ring(3)).await.unwrap_err();
    assert!(matches!(error, SwapError::Failed(_)), "{error:?}");
    server.restart().unwrap();
    assert_eq!(read(&ring_store).await, Some((at, epoch)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_swaps_it_has_what_was_said_to_be_there() {
    let mut server = Server::start().unwrap();
    let (_, ring_store) = store(&[server.endpoint()]);
    ring_store.swap(None, &ring(1)).await.unwrap();
    for round in 0..5 {
        let writer = tokio::spawn({
            let ring_store = ring_store.clone();
            async move {
                let (mut at, mut epoch) = read(&ring_store).await.unwrap();
                loop {
                    match ring_store.swap(Some(at), &ring(epoch + 1)).await {
                        Ok(next) => (at, epoch) = (next, epoch + 1),
                        Err(SwapError::Failed(_)) => break (at, epoch, false),
                        Err(SwapError::Unknown(_)) => break (at, epoch, true),
                        Err(error) => panic!("{}", chain(&error)),
                    }
                }
            }
        });
        // Some of them are in it: how far the writer comes does not matter.
        tokio::time::sleep(Duration::from_millis(50 + 17 * round)).await;
        server.kill().unwrap();
        let (at, epoch, unknown) = soon("the end of the writer", writer).await.unwrap();
        server.restart().unwrap();
        let found = read(&ring_store).await.unwrap();
        let next_is_there = unknown && found.1 == epoch + 1;
        assert!(
            found == (at, epoch) || next_is_there,
            "{found:?} after {at} {epoch} {unknown}"
        );
    }
}

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
    let (_, ring_store) = store(&[server.endpoint()]);
    ring_store.swap(None, &ring(1)).await.unwrap();
    let mut watch = ring_store.watch();
    assert_eq!(epoch(&mut watch).await, (Some(1), false));
    server.kill().unwrap();
    let error = item(&mut watch).await.unwrap_err();
    assert!(chain(&error).contains(&server.endpoint()), "{error:?}");
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
async fn a_value_that_etcd_would_refuse_is_refused_with_its_size() {
    let server = Server::start().unwrap();
    let (values, _) = store(&[server.endpoint()]);
    let wish = ValueName::wish();
    let Err(SwapError::Failed(error)) = values.swap(&wish, None, &vec![7; 3 << 19]).await else {
        panic!("written");
    };
    assert!(!error.may_retry());
    let text = chain(&error);
    assert!(
        text.contains("has 1572864 bytes, and the most is 1556480"),
        "{text}"
    );
    let at = values.swap(&wish, None, &vec![7; 1_556_480]).await.unwrap();
    let kept = values.get(&wish).await.unwrap().unwrap();
    assert_eq!((kept.revision, kept.value.len()), (at, 1_556_480));
    // Some together are more than a client takes that is not told otherwise.
    for node in 0..4 {
        let name = ValueName::node(UID, node);
        values.swap(&name, None, &vec![7; 1_556_480]).await.unwrap();
    }
    assert_eq!(values.list(&ValueName::nodes(UID)).await.unwrap().len(), 4);
    let mut watch = values.watch(&ValueName::nodes(UID));
    assert_eq!(shown(&mut watch).await.now.len(), 4);
}

#[tokio::test]
async fn two_collections_in_one_etcd_do_not_see_each_other() {
    let server = Server::start().unwrap();
    let etcd = open(&[server.endpoint()]);
    let other = uuid::Uuid::from_u128(8);
    let (one, two) = (etcd.store(UID), etcd.store(other));
    one.swap(&ValueName::wish(), None, b"one").await.unwrap();
    assert_eq!(two.get(&ValueName::wish()).await.unwrap(), None);
    let (one, two) = (EtcdRingStore::new(one, UID), EtcdRingStore::new(two, other));
    let mut watch = two.watch();
    assert_eq!(epoch(&mut watch).await, (None, false));
    one.swap(None, &ring(1)).await.unwrap();
    two.swap(None, &common::ring_of(other, 7)).await.unwrap();
    assert_eq!(epoch(&mut watch).await, (Some(7), false));
    let kept = raw(&server)
        .await
        .get(format!("/quoit/{UID}/ring"), None)
        .await
        .unwrap();
    assert_eq!(kept.kvs()[0].value(), ring(1).to_bytes());
}

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

#[tokio::test]
async fn users_are_logged_in_and_what_they_lack_is_said() {
    let server = Server::start().unwrap();
    let mut admin = raw(&server).await;
    admin.user_add("root", "root", None).await.unwrap();
    admin.user_grant_role("root", "root").await.unwrap();
    admin.user_add("quoit", "right", None).await.unwrap();
    admin.role_add("quoit").await.unwrap();
    let mine = Permission::new(PermissionType::Readwrite, format!("/quoit/{UID}/")).with_prefix();
    admin.role_grant_permission("quoit", mine).await.unwrap();
    admin.user_grant_role("quoit", "quoit").await.unwrap();
    admin.auth_enable().await.unwrap();

    let with = |password: Option<&str>| {
        let mut options = EtcdOptions::new([server.endpoint()]);
        options.user = password.map(|password| User {
            name: "quoit".to_owned(),
            password: password.to_owned(),
        });
        Etcd::open(options).unwrap()
    };
    let wish = ValueName::wish();
    let mine = with(Some("right")).store(UID);
    mine.swap(&wish, None, b"wish").await.unwrap();
    assert_eq!(shown(&mut mine.watch(&wish)).await.now.len(), 1);

    let not_mine = with(Some("right")).store(uuid::Uuid::from_u128(8));
    for (store, says) in [
        (not_mine, "grant the user read and write"),
        (
            with(Some("wrong")).store(UID),
            "check the user and the password",
        ),
        (with(None).store(UID), "etcd demands a user"),
    ] {
        let text = chain(&store.get(&wish).await.unwrap_err());
        assert!(text.contains(says), "{text}");
        assert!(text.contains(&server.endpoint()), "{text}");
        let error = store.swap(&wish, None, b"").await.unwrap_err();
        assert!(matches!(error, SwapError::Failed(_)), "{error:?}");
        assert!(chain(&error).contains(says), "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_user_whose_token_etcd_has_forgotten_is_logged_in_again() {
    let mut server = Server::start().unwrap();
    let mut admin = raw(&server).await;
    admin.user_add("root", "root", None).await.unwrap();
    admin.user_grant_role("root", "root").await.unwrap();
    admin.auth_enable().await.unwrap();
    let mut options = EtcdOptions::new([server.endpoint()]);
    options.user = Some(User {
        name: "root".to_owned(),
        password: "root".to_owned(),
    });
    let values = Etcd::open(options).unwrap().store(UID);
    let wish = ValueName::wish();
    let mut watch = values.watch(&wish);
    assert!(shown(&mut watch).await.now.is_empty());
    // Tokens are in memory.
    server.kill().unwrap();
    server.restart().unwrap();
    assert_eq!(values.get(&wish).await.unwrap(), None);
    let at = values.swap(&wish, None, b"1").await.unwrap();
    assert_eq!(shown(&mut watch).await.now[&wish].revision, at);
}
