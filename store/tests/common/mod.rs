//! What the tests of the stores share.

// Each test program uses its part.
#![allow(dead_code)]

use std::error::Error;
use std::time::Duration;

use futures::StreamExt;
use quoit_ring::{Revision, Ring, RingParts, ShardId, Shown, StoreError, Table, VnodeCount, Watch};
use quoit_store::{Etcd, EtcdOptions};
use uuid::Uuid;

pub const UID: Uuid = Uuid::from_u128(7);

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

/// The epoch of a ring that a watch shows, and whether it is a reset.
pub async fn epoch<R>(watch: &mut Watch<Option<R>>) -> (Option<u64>, bool)
where
    R: Epoch,
{
    let shown = shown(watch).await;
    (shown.now.map(|ring| ring.epoch()), shown.reset)
}

pub trait Epoch {
    fn epoch(&self) -> u64;
}

impl Epoch for quoit_ring::Versioned<Ring> {
    fn epoch(&self) -> u64 {
        self.value.epoch()
    }
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
