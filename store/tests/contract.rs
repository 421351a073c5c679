//! What every form of a store promises, asked of each form: a file, memory, and
//! a real etcd.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{NEVER, UID, chain, epoch, item, ring, ring_of, shown, soon};
use quoit_disk::RealDisk;
use quoit_ring::{
    Election, NumberError, Registration, Revision, RingStore, StoreError, SwapError, ValueName,
    Values, next_number,
};
use quoit_store::{EtcdRingStore, Fault, FileRingStore, MemoryStore, RingValue};
use quoit_testkit_etcd::Etcd as Server;
use tempfile::TempDir;
use uuid::Uuid;

/// One form of a store of a ring, with what keeps it there.
struct Form {
    name: &'static str,
    ring: Arc<dyn RingStore>,
    election: Arc<dyn Election>,
    _kept: (Option<TempDir>, Option<Server>),
}

fn forms() -> Vec<Form> {
    let dir = TempDir::new().unwrap();
    let file = FileRingStore::open(Arc::new(RealDisk), &dir.path().join("ring")).unwrap();
    let memory = MemoryStore::default();
    let server = Server::start().unwrap();
    let etcd = common::open(&[server.endpoint()]).store(UID);
    vec![
        Form {
            name: "file",
            election: Arc::new(file.election().clone()),
            ring: Arc::new(file),
            _kept: (Some(dir), None),
        },
        Form {
            name: "memory",
            ring: Arc::new(RingValue::new(memory.clone(), UID)),
            election: Arc::new(memory),
            _kept: (None, None),
        },
        Form {
            name: "etcd",
            ring: Arc::new(EtcdRingStore::new(etcd.clone(), UID)),
            election: Arc::new(etcd),
            _kept: (None, Some(server)),
        },
    ]
}

/// The forms of a store of values.
fn values() -> Vec<(&'static str, Arc<dyn Values>, Option<Server>)> {
    let server = Server::start().unwrap();
    let etcd = common::open(&[server.endpoint()]).store(UID);
    vec![
        ("memory", Arc::new(MemoryStore::default()), None),
        ("etcd", Arc::new(etcd), Some(server)),
    ]
}

async fn read(store: &dyn RingStore) -> Option<(Revision, u64)> {
    let content = store.read().await.unwrap();
    content.map(|content| (content.revision, content.value.epoch()))
}

fn name(name: &str) -> ValueName {
    ValueName::new(name).unwrap()
}

#[tokio::test]
async fn a_ring_is_read_as_it_was_written() {
    for Form {
        name, ring: store, ..
    } in &forms()
    {
        assert_eq!(read(&**store).await, None, "{name}");
        let first = store.swap(None, &ring(1)).await.unwrap();
        assert_eq!(read(&**store).await, Some((first, 1)), "{name}");
        let second = store.swap(Some(first), &ring(2)).await.unwrap();
        assert_ne!(first, second, "{name}");
        let content = store.read().await.unwrap().unwrap();
        assert_eq!(
            (content.revision, content.value),
            (second, ring(2)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_ring_is_replaced_only_by_who_knows_what_is_there() {
    for Form {
        name, ring: store, ..
    } in &forms()
    {
        let conflicts = async |expected, present| {
            let error = store.swap(expected, &ring(9)).await.unwrap_err();
            let found = matches!(error, SwapError::Conflict { present: p } if p == present);
            assert!(found, "{name}: {error:?}");
        };
        conflicts(Some(NEVER), None).await;
        conflicts(Some(Revision(0)), None).await;
        let first = store.swap(None, &ring(1)).await.unwrap();
        conflicts(None, Some(first)).await;
        conflicts(Some(NEVER), Some(first)).await;
        let second = store.swap(Some(first), &ring(2)).await.unwrap();
        conflicts(Some(first), Some(second)).await;
        assert_eq!(read(&**store).await, Some((second, 2)), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_at_once_exactly_one_replaces_each_revision() {
    const WRITERS: u64 = 12;
    const EACH: u64 = 5;
    for Form {
        name, ring: store, ..
    } in forms()
    {
        store.swap(None, &ring(1)).await.unwrap();
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut replaced = Vec::new();
                    while replaced.len() < usize::try_from(EACH).unwrap() {
                        let (revision, epoch) = read(&*store).await.unwrap();
                        match store.swap(Some(revision), &ring(epoch + 1)).await {
                            Ok(_) => replaced.push(revision),
                            Err(SwapError::Conflict { .. }) => {}
                            Err(error) => panic!("{}", chain(&error)),
                        }
                    }
                    replaced
                })
            })
            .collect();
        let mut replaced = BTreeSet::new();
        for writer in writers {
            for revision in writer.await.unwrap() {
                assert!(
                    replaced.insert(revision.0),
                    "{name}: {revision} was replaced twice"
                );
            }
        }
        let total = WRITERS * EACH;
        assert_eq!(replaced.len() as u64, total, "{name}");
        assert_eq!(read(&*store).await.unwrap().1, 1 + total, "{name}");
    }
}

#[tokio::test]
async fn a_watch_shows_what_is_there_and_then_what_changes() {
    for Form {
        name, ring: store, ..
    } in &forms()
    {
        let mut watch = store.watch();
        assert_eq!(epoch(&mut watch).await, (None, false), "{name}");
        let mut at = store.swap(None, &ring(1)).await.unwrap();
        assert_eq!(epoch(&mut watch).await, (Some(1), false), "{name}");
        for next in 2..5 {
            at = store.swap(Some(at), &ring(next)).await.unwrap();
            let now = shown(&mut watch).await.now.unwrap();
            assert_eq!((now.revision, now.value), (at, ring(next)), "{name}");
        }
        let mut late = store.watch();
        assert_eq!(epoch(&mut late).await, (Some(4), false), "{name}");
        // Somebody, a person say, puts an older ring there.
        store.swap(Some(at), &ring(3)).await.unwrap();
        for watch in [&mut watch, &mut late] {
            assert_eq!(epoch(watch).await, (Some(3), true), "{name}");
        }
    }
}

#[tokio::test]
async fn only_who_leads_replaces_a_ring_as_the_leader() {
    for Form {
        name,
        ring: store,
        election,
        ..
    } in forms()
    {
        assert_eq!(election.leader().await.unwrap(), None, "{name}");
        let first = soon("an election", election.campaign("first"))
            .await
            .unwrap();
        assert_eq!(
            election.leader().await.unwrap().as_deref(),
            Some("first"),
            "{name}"
        );
        let at = store.swap_as(first.leader(), None, &ring(1)).await.unwrap();
        let stale = store
            .swap_as(first.leader(), None, &ring(2))
            .await
            .unwrap_err();
        let conflict = matches!(stale, SwapError::Conflict { present } if present == Some(at));
        assert!(conflict, "{name}: {stale:?}");

        let waiting = tokio::spawn({
            let election = Arc::clone(&election);
            async move { election.campaign("second").await }
        });
        let deposed = first.leader().clone();
        first.resign().await.unwrap();
        let second = soon("the next election", waiting).await.unwrap().unwrap();
        assert_eq!(second.leader().who, "second", "{name}");

        // It knows what is there, and has not heard that it does not lead.
        let error = store
            .swap_as(&deposed, Some(at), &ring(2))
            .await
            .unwrap_err();
        let refused = matches!(&error, SwapError::NotLeader { who } if who == "first");
        assert!(refused, "{name}: {error:?}");
        assert_eq!(read(&*store).await, Some((at, 1)), "{name}");
        store
            .swap_as(second.leader(), Some(at), &ring(2))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn of_many_candidates_one_leads_at_a_time() {
    for Form {
        name,
        ring: store,
        election,
        ..
    } in forms()
    {
        store.swap(None, &ring(1)).await.unwrap();
        let candidates: Vec<_> = (0..6)
            .map(|candidate| {
                let (store, election) = (Arc::clone(&store), Arc::clone(&election));
                tokio::spawn(async move {
                    let who = candidate.to_string();
                    let leadership = election.campaign(&who).await.unwrap();
                    let (at, epoch) = read(&*store).await.unwrap();
                    // Nobody else writes, so this cannot meet a conflict.
                    let next = ring(epoch + 1);
                    store
                        .swap_as(leadership.leader(), Some(at), &next)
                        .await
                        .unwrap();
                    leadership.resign().await.unwrap();
                })
            })
            .collect();
        for candidate in candidates {
            soon("an election", candidate).await.unwrap();
        }
        assert_eq!(read(&*store).await.unwrap().1, 7, "{name}");
    }
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
    let gid = Uuid::from_u128(9);
    let registration = |ordinal| Registration {
        address: format!("127.0.0.1:{ordinal}"),
        zone: Some("a".to_owned()),
        ordinal,
    };
    for (form, store, _server) in &values() {
        let mut watch = store.watch(&ValueName::nodes(gid));
        assert!(shown(&mut watch).await.now.is_empty(), "{form}");
        let (one, two) = (ValueName::node(gid, 1), ValueName::node(gid, 2));
        let elsewhere = ValueName::node(Uuid::from_u128(10), 1);
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

/// A ring of values, and the values.
type Beside = (
    &'static str,
    Arc<dyn RingStore>,
    Arc<dyn Values>,
    Option<Server>,
);

fn rings_of_values() -> Vec<Beside> {
    let server = Server::start().unwrap();
    let etcd = common::open(&[server.endpoint()]).store(UID);
    let memory = MemoryStore::default();
    vec![
        (
            "memory",
            Arc::new(RingValue::new(memory.clone(), UID)),
            Arc::new(memory),
            None,
        ),
        (
            "etcd",
            Arc::new(RingValue::new(etcd.clone(), UID)),
            Arc::new(etcd),
            Some(server),
        ),
    ]
}

#[tokio::test]
async fn what_is_no_ring_of_this_collection_is_neither_none_nor_replaced() {
    for (form, store, values, _server) in &rings_of_values() {
        let mut at = store.swap(None, &ring(1)).await.unwrap();
        let good = ring(1).to_bytes();
        let mut newer = good.clone();
        newer[7] = 2;
        let mut torn = good.clone();
        torn.truncate(good.len() / 2);
        let mut flipped = good.clone();
        flipped[40] ^= 1;
        let cases = [
            (Vec::new(), "cannot be read as a ring"),
            (b"{}".to_vec(), "cannot be read as a ring"),
            (torn, "put back a ring from a backup"),
            (flipped, "is damaged"),
            (newer, "format 2, and this version reads format 1"),
            (
                ring_of(Uuid::from_u128(8), 1).to_bytes(),
                "is the ring of collection 00000000-0000-0000-0000-000000000008",
            ),
        ];
        let mut watch = store.watch();
        item(&mut watch).await.unwrap();
        for (bytes, says) in cases {
            let there = values
                .swap(&ValueName::ring(), Some(at), &bytes)
                .await
                .unwrap();
            let error = store.read().await.unwrap_err();
            assert!(
                matches!(error, StoreError::Damaged { .. }),
                "{form}: {error:?}"
            );
            let text = chain(&error);
            assert!(text.contains(says), "{form}: {text}");
            assert!(
                text.contains(&values.place(&ValueName::ring())),
                "{form}: {text}"
            );
            for expected in [None, Some(at)] {
                let error = store.swap(expected, &ring(2)).await.unwrap_err();
                let damaged = matches!(error, SwapError::Failed(StoreError::Damaged { .. }));
                assert!(damaged, "{form}: {error:?}");
            }
            let kept = values.get(&ValueName::ring()).await.unwrap().unwrap();
            assert_eq!(kept.value, bytes, "{form}");
            let seen = item(&mut watch).await.unwrap_err();
            assert!(chain(&seen).contains(says), "{form}: {seen:?}");
            // A person mends it.
            at = values
                .swap(&ValueName::ring(), Some(there), &good)
                .await
                .unwrap();
            assert_eq!(read(&**store).await, Some((at, 1)), "{form}");
            assert_eq!(epoch(&mut watch).await, (Some(1), false), "{form}");
        }
    }
}

#[tokio::test]
async fn a_ring_of_another_collection_is_not_written() {
    for (form, store, _values, _server) in &rings_of_values() {
        let foreign = ring_of(Uuid::from_u128(8), 1);
        let error = store.swap(None, &foreign).await.unwrap_err();
        assert!(matches!(error, SwapError::Failed(_)), "{form}: {error:?}");
        assert_eq!(read(&**store).await, None, "{form}");
    }
}
