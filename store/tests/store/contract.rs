//! What every form of a store of a ring promises, asked of each form: a file,
//! memory, and a real etcd.

use std::collections::BTreeSet;
use std::sync::Arc;

use quoit_disk::RealDisk;
use quoit_ring::{Election, Revision, RingStore, SwapError};
use quoit_store::{EtcdRingStore, FileRingStore, MemoryStore, RingValue};
use quoit_testkit_etcd::Etcd as Server;
use tempfile::TempDir;

use crate::support::{NEVER, UID, chain, epoch, open, read, ring, shown, soon};

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
    let etcd = open(&[server.endpoint()]).store(UID);
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
