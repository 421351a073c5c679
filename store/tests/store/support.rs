//! What the tests of the stores share.

use std::error::Error;
use std::time::Duration;

use etcd_client::Client;
use futures::StreamExt;
use quoit_ring::{
    Revision, Ring, RingParts, RingStore, ShardId, Shown, StoreError, Table, Versioned, VnodeCount,
    Watch,
};
use quoit_store::{Etcd, EtcdOptions, EtcdRingStore, EtcdStore};
use quoit_testkit_etcd::Etcd as Server;
use uuid::Uuid;

pub const UID: Uuid = Uuid::from_u128(7);

/// A shard.
pub const SHARD: ShardId = ShardId(9);

/// A ring that can be told from others by its epoch.
pub fn ring_of(uid: Uuid, epoch: u64) -> Ring {
    let table = Table::owned_by(VnodeCount::new(64).unwrap(), ShardId(0));
    let first = Ring::first(uid, table, [ShardId(0)]).unwrap();
    Ring::from_parts(RingParts {
        epoch,
        ..first.into_parts()
    })
    .unwrap()
}

pub fn ring(epoch: u64) -> Ring {
    ring_of(UID, epoch)
}

/// An error with all its causes, as a log shows it.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What must happen at some time, and does soon on any machine.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(2), future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"))
}

/// What a watch shows next, with errors.
pub async fn item<T>(watch: &mut Watch<T>) -> Result<Shown<T>, StoreError> {
    soon("what a watch shows", watch.next()).await.unwrap()
}

/// What a watch shows next that is no outage.
pub async fn shown<T>(watch: &mut Watch<T>) -> Shown<T> {
    loop {
        match item(watch).await {
            Ok(shown) => return shown,
            Err(error) => assert!(error.may_retry(), "{}", chain(&error)),
        }
    }
}

/// The epoch of the ring that a watch shows next, and whether it is a reset.
pub async fn epoch(watch: &mut Watch<Option<Versioned<Ring>>>) -> (Option<u64>, bool) {
    let shown = shown(watch).await;
    (shown.now.map(|ring| ring.value.epoch()), shown.reset)
}

/// The etcd at these endpoints, whose calls take three seconds at most.
pub fn open(endpoints: &[String]) -> Etcd {
    let mut options = EtcdOptions::new(endpoints);
    options.deadline = Duration::from_secs(3);
    options.lease = Duration::from_secs(2);
    Etcd::open(options).unwrap()
}

/// Some revision that no store of a test comes to.
pub const NEVER: Revision = Revision(1 << 40);

pub fn store(endpoints: &[String]) -> (EtcdStore, EtcdRingStore) {
    let values = open(endpoints).store(UID);
    (values.clone(), EtcdRingStore::new(values, UID))
}

pub async fn raw(server: &Server) -> Client {
    Client::connect([server.endpoint()], None).await.unwrap()
}

pub async fn read(store: &dyn RingStore) -> Option<(Revision, u64)> {
    let content = store.read().await.unwrap();
    content.map(|content| (content.revision, content.value.epoch()))
}

/// Replaces the ring as everybody does: by what is there. A connection that was
/// lost meanwhile is noticed by reading, which does no harm.
pub async fn write(store: &EtcdRingStore, next: u64) -> Revision {
    let present = read(store).await.map(|(revision, _)| revision);
    store.swap(present, &ring(next)).await.unwrap()
}
