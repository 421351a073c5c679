//! The store in a real etcd that is dead, silent, killed in the middle, or one of
//! several.

use std::time::{Duration, Instant};

use quoit_ring::{Election, RingStore, StoreError, SwapError, ValueName, Values};
use quoit_testkit_etcd::{Etcd as Server, free_ports};

use crate::support::{chain, epoch, item, read, ring, soon, store};

/// Where nothing listens.
fn dead() -> String {
    format!("http://{}", free_ports(1).unwrap()[0])
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
    for (next, member) in (2..).zip(&mut servers) {
        member.kill().unwrap();
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
        member.restart().unwrap();
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
    // The first of the two may have come in after the read before.
    let (_, now) = read(&ring_store).await.unwrap();
    assert!(
        now == epoch || (epoch, now) == (1, 2),
        "{now} after {epoch}"
    );
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
