//! What every form of a store of values promises, and the numbers that are given
//! away with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use quoit_ring::{
    NumberError, Registration, ShardId, StoreError, SwapError, ValueName, Values, next_number,
};
use quoit_store::{Fault, MemoryStore};
use quoit_testkit_etcd::Etcd as Server;

use crate::support::{NEVER, UID, open, shown};

/// The forms of a store of values.
fn values() -> Vec<(&'static str, Arc<dyn Values>, Option<Server>)> {
    let server = Server::start().unwrap();
    let etcd = open(&[server.endpoint()]).store(UID);
    vec![
        ("memory", Arc::new(MemoryStore::default()), None),
        ("etcd", Arc::new(etcd), Some(server)),
    ]
}

fn name(name: &str) -> ValueName {
    ValueName::new(name).unwrap()
}

#[tokio::test]
async fn values_are_told_apart_by_name_and_found_by_the_name_above() {
    for (form, store, _server) in &values() {
        let mut at = Vec::new();
        let names = [
            "wish",
            "groups/7",
            "groups/7/nodes/1",
            "groups/7/nodes/10",
            "groups/70",
            "groups/7-x",
        ];
        for text in names {
            let swapped = store.swap(&name(text), None, text.as_bytes()).await;
            at.push(swapped.unwrap());
        }
        for (text, revision) in names.iter().zip(&at) {
            let kept = store.get(&name(text)).await.unwrap().unwrap();
            assert_eq!(
                (kept.revision, &*kept.value),
                (*revision, text.as_bytes()),
                "{form}"
            );
        }
        let listed = store.list(&name("groups/7")).await.unwrap();
        let listed: Vec<_> = listed.keys().map(ValueName::as_str).collect();
        assert_eq!(
            listed,
            ["groups/7", "groups/7/nodes/1", "groups/7/nodes/10"],
            "{form}"
        );
        assert_eq!(store.get(&name("wishes")).await.unwrap(), None, "{form}");
        assert!(
            store.list(&name("group")).await.unwrap().is_empty(),
            "{form}"
        );

        let error = store.remove(&name("wish"), NEVER).await.unwrap_err();
        assert!(
            matches!(error, SwapError::Conflict { .. }),
            "{form}: {error:?}"
        );
        store.remove(&name("wish"), at[0]).await.unwrap();
        assert_eq!(store.get(&name("wish")).await.unwrap(), None, "{form}");
        let error = store.remove(&name("wish"), at[0]).await.unwrap_err();
        assert!(
            matches!(error, SwapError::Conflict { present: None }),
            "{form}: {error:?}"
        );
        let again = store.swap(&name("wish"), None, b"").await.unwrap();
        assert!(!at.contains(&again), "{form}: a revision came twice");
        assert_eq!(
            store.get(&name("wish")).await.unwrap().unwrap().value,
            b"",
            "{form}"
        );
    }
}

#[tokio::test]
async fn a_watch_of_nodes_shows_all_that_are_registered() {
    let shard = ShardId(9);
    let registration = |ordinal| Registration {
        address: format!("127.0.0.1:{ordinal}"),
        zone: Some("a".to_owned()),
        ordinal,
    };
    for (form, store, _server) in &values() {
        let mut watch = store.watch(&ValueName::nodes(shard));
        assert!(shown(&mut watch).await.now.is_empty(), "{form}");
        let (one, two) = (ValueName::node(shard, 1), ValueName::node(shard, 2));
        let elsewhere = ValueName::node(ShardId(10), 1);
        store
            .swap(&elsewhere, None, &registration(0).to_bytes())
            .await
            .unwrap();
        let at = store
            .swap(&one, None, &registration(1).to_bytes())
            .await
            .unwrap();
        let now = shown(&mut watch).await.now;
        assert_eq!(now.keys().collect::<Vec<_>>(), [&one], "{form}");
        let found = Registration::from_bytes(&now[&one].value).unwrap();
        assert_eq!((now[&one].revision, found), (at, registration(1)), "{form}");
        store
            .swap(&two, None, &registration(2).to_bytes())
            .await
            .unwrap();
        assert_eq!(shown(&mut watch).await.now.len(), 2, "{form}");
        store.remove(&one, at).await.unwrap();
        let now = shown(&mut watch).await.now;
        assert_eq!(now.keys().collect::<Vec<_>>(), [&two], "{form}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_number_is_given_away_twice() {
    for (form, store, _server) in values() {
        let takers: Vec<_> = (0..10)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut numbers = Vec::new();
                    for _ in 0..6 {
                        let number = next_number(&*store, &ValueName::node_ids(), 0).await;
                        numbers.push(number.unwrap());
                    }
                    numbers
                })
            })
            .collect();
        let mut given = BTreeSet::new();
        for taker in takers {
            for number in taker.await.unwrap() {
                assert!(given.insert(number), "{form}: {number} was given twice");
            }
        }
        assert_eq!(given, (1..=60).collect(), "{form}: none is wasted");
        // A node of number 100 is known, whatever the counter says.
        let next = next_number(&*store, &ValueName::node_ids(), 100)
            .await
            .unwrap();
        assert_eq!(next, 101, "{form}");
    }
}

#[tokio::test]
async fn a_number_whose_answer_was_lost_is_never_given_to_anybody() {
    let store = MemoryStore::default();
    let counter = ValueName::node_ids();
    let next = async || next_number(&store, &counter, 0).await;
    assert_eq!(next().await.unwrap(), 1);
    store.fail_write(Fault::AnswerLost);
    let error = next().await.unwrap_err();
    assert!(matches!(error, NumberError::Raise { .. }), "{error:?}");
    assert_eq!(next().await.unwrap(), 3, "2 may be in use");
    store.fail_write(Fault::Refused);
    next().await.unwrap_err();
    assert_eq!(next().await.unwrap(), 4);
}

#[tokio::test]
async fn a_counter_that_is_no_number_gives_none_and_stays() {
    for (form, store, _server) in &values() {
        for garbage in ["", "x", "+1", "01", "-1", "18446744073709551616"] {
            let counter = name("garbage");
            let present = store.get(&counter).await.unwrap().map(|kept| kept.revision);
            store
                .swap(&counter, present, garbage.as_bytes())
                .await
                .unwrap();
            let error = next_number(&**store, &counter, 0).await.unwrap_err();
            let damaged = matches!(
                &error,
                NumberError::Read {
                    source: StoreError::Damaged { .. },
                    ..
                }
            );
            assert!(damaged, "{form}: {error:?}");
            let kept = store.get(&counter).await.unwrap().unwrap();
            assert_eq!(kept.value, garbage.as_bytes(), "{form}");
        }
        let counter = name("full");
        store
            .swap(&counter, None, u64::MAX.to_string().as_bytes())
            .await
            .unwrap();
        let error = next_number(&**store, &counter, 0).await.unwrap_err();
        assert!(
            matches!(error, NumberError::Exhausted { .. }),
            "{form}: {error:?}"
        );
    }
}
