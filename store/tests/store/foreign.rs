//! What is under a ring's key and is not the ring: asked of the forms that keep
//! it beside other values.

use std::sync::Arc;

use quoit_ring::{RingStore, StoreError, SwapError, ValueName, Values};
use quoit_store::{MemoryStore, RingValue};
use quoit_testkit_etcd::Etcd as Server;
use uuid::Uuid;

use crate::support::{UID, chain, epoch, item, open, read, ring, ring_of};

/// A ring of values, and the values.
type Beside = (
    &'static str,
    Arc<dyn RingStore>,
    Arc<dyn Values>,
    Option<Server>,
);

fn rings_of_values() -> Vec<Beside> {
    let server = Server::start().unwrap();
    let etcd = open(&[server.endpoint()]).store(UID);
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
