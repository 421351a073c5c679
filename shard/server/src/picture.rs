//! The picture of its cluster that a replica shows to routers which cannot ask etcd,
//! and keeps, so that it can show it after a restart while etcd is away.
//!
//! ```text
//! kept by an earlier run ─┐
//!                         ├─▶ seen ─▶ shown ─▶ routers
//! etcd ───────────────────┘             └────▶ kept, a moment later
//! ```
//!
//! It is a help and no promise: one that cannot be read or written is told of, and
//! the replica serves all the same.

use crate::data::DataDir;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use quoit_cluster::{NotAPicture, NotSeen, Seen, of_picture, picture};
use quoit_process::chain;
use quoit_proto::v1::PictureResponse;
use quoit_ring::ValueName;
use quoit_shard::grpc::Picture;
use quoit_store::sealed::{self, Sealed};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// How long changes are gathered before they are kept: etcd shows a cluster in several
/// parts, and a ring changes with each step of a move.
const GATHER: Duration = Duration::from_secs(1);

/// A picture as a file: each value as it is in etcd, for people to read, but for the
/// ring, which is packed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    format: u32,
    ring: String,
    values: BTreeMap<String, Box<RawValue>>,
}

impl Sealed for Kept {
    const NAME: &str = "cluster";
    const FORMAT: u32 = 1;

    fn format(&self) -> u32 {
        self.format
    }
}

/// Why a picture is not read or not kept.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    File(#[from] sealed::Error),
    #[error("its ring is no Base64")]
    Ring(#[from] base64::DecodeError),
    #[error("a value of it is no JSON")]
    Value(#[from] serde_json::Error),
    #[error("it is no picture of this cluster")]
    Picture(#[from] NotAPicture),
}

impl Kept {
    fn of(picture: &PictureResponse) -> Result<Self, KeepError> {
        let mut kept = Self {
            format: Self::FORMAT,
            ring: String::new(),
            values: BTreeMap::new(),
        };
        for (name, bytes) in &picture.values {
            if name == ValueName::ring().as_str() {
                kept.ring = BASE64_STANDARD.encode(bytes);
            } else {
                let value = serde_json::from_slice::<&RawValue>(bytes)?.to_owned();
                kept.values.insert(name.clone(), value);
            }
        }
        Ok(kept)
    }

    fn picture(self) -> Result<PictureResponse, KeepError> {
        let value = |(name, value): (String, Box<RawValue>)| (name, value.get().into());
        let mut values: BTreeMap<String, Vec<u8>> = self.values.into_iter().map(value).collect();
        let ring = BASE64_STANDARD.decode(&self.ring)?;
        values.insert(ValueName::ring().as_str().to_owned(), ring);
        Ok(PictureResponse { values })
    }
}

/// What is shown, as it follows what is seen.
pub struct Showing {
    seen: Seen,
    shown: watch::Sender<Option<PictureResponse>>,
}

impl Showing {
    /// Begins with what was kept, if there is something that can be read.
    pub fn begin(data: &DataDir, collection: Uuid) -> (Self, Picture) {
        let read = || -> Result<Option<Seen>, KeepError> {
            let Some(kept) = data.picture()? else {
                return Ok(None);
            };
            Ok(Some(of_picture(kept.picture()?, collection)?))
        };
        let seen = read().unwrap_or_else(|error| {
            let error = chain(&error);
            tracing::warn!(
                error,
                "what this replica saw of its cluster before cannot be read: routers are shown nothing until it has seen it in etcd, and then it is kept anew"
            );
            None
        });
        let seen = seen.unwrap_or_default();
        let (shown, picture) = watch::channel(picture(&seen));
        (Self { seen, shown }, picture)
    }

    /// Has something seen, and shows it.
    ///
    /// # Errors
    /// What cannot be taken; then what was shown before still is.
    pub fn see(
        &mut self,
        take: impl FnOnce(&mut Seen) -> Result<(), NotSeen>,
    ) -> Result<(), NotSeen> {
        let outcome = take(&mut self.seen);
        let now = picture(&self.seen);
        self.shown.send_if_modified(|shown| {
            let is_new = *shown != now;
            *shown = now;
            is_new
        });
        outcome
    }
}

/// Keeps what is shown, each time that it has changed; until nobody shows any more.
pub async fn keep(data: Arc<DataDir>, mut shown: Picture) {
    while shown.changed().await.is_ok() {
        tokio::time::sleep(GATHER).await;
        let Some(picture) = shown.borrow_and_update().clone() else {
            continue;
        };
        let data = data.clone();
        let keep = move || Ok::<_, KeepError>(data.set_picture(&Kept::of(&picture)?)?);
        // Who is cancelled stops with the process.
        let Ok(kept) = tokio::task::spawn_blocking(keep).await else {
            return;
        };
        if let Err(error) = kept {
            let error = chain(&error);
            tracing::warn!(
                error,
                "what this replica sees of its cluster is not kept: after a restart without etcd routers are shown what was kept before"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quoit_cluster::{KeptSchema, Wish};
    use quoit_crds::{Metric, VectorCollectionSpec};
    use quoit_ring::{
        Member, Named, Registration, Revision, Ring, ShardId, Versioned, VnodeCount, first_table,
    };
    use std::fs;

    const UID: Uuid = Uuid::from_u128(7);

    fn ring(epoch: u64) -> Ring {
        let shards = [ShardId(0)];
        let members = shards.map(Member::equal);
        let table = first_table(VnodeCount::new(16).unwrap(), &members).unwrap();
        let mut parts = Ring::first(UID, table, shards).unwrap().into_parts();
        parts.epoch = epoch;
        Ring::from_parts(parts).unwrap()
    }

    fn named(name: ValueName, value: Vec<u8>) -> Named {
        let revision = Revision(1);
        Named::from([(name, Versioned { revision, value })])
    }

    fn see_all(showing: &mut Showing, epoch: u64) {
        let wish = Wish {
            generation: 2,
            name: "docs".to_owned(),
            spec: VectorCollectionSpec::unnamed(3, Metric::Cosine),
        };
        let node = Registration {
            address: "127.0.0.1:7".to_owned(),
            zone: Some("a".to_owned()),
            ordinal: 0,
        };
        let node = named(ValueName::node(ShardId(0), 4), node.to_bytes());
        let wish = named(ValueName::wish(), wish.to_bytes());
        let schema = named(ValueName::schema(), KeptSchema::default().to_bytes());
        showing
            .see(|seen| {
                seen.see_wish(&wish)?;
                seen.see_schema(&schema)?;
                seen.see_nodes(&node)?;
                seen.see_ring(Some(ring(epoch)))
            })
            .unwrap();
    }

    #[test]
    fn what_was_kept_is_shown_again_and_an_older_ring_never_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let (mut first, shown) = Showing::begin(&data, UID);
        assert_eq!(*shown.borrow(), None);
        see_all(&mut first, 5);
        let before = shown.borrow().clone().unwrap();
        data.set_picture(&Kept::of(&before).unwrap()).unwrap();

        let (mut second, shown) = Showing::begin(&data, UID);
        let epoch = || {
            let picture = shown.borrow().clone().unwrap();
            of_picture(picture, UID).unwrap().ring().unwrap().epoch()
        };
        assert_eq!(shown.borrow().clone().unwrap(), before);
        second.see(|seen| seen.see_ring(Some(ring(4)))).unwrap_err();
        assert_eq!(epoch(), 5);
        second.see(|seen| seen.see_ring(Some(ring(6)))).unwrap();
        assert_eq!(epoch(), 6);
    }

    #[test]
    fn only_what_has_changed_is_shown_as_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let (mut showing, mut shown) = Showing::begin(&data, UID);
        see_all(&mut showing, 5);
        assert!(shown.has_changed().unwrap());
        shown.borrow_and_update();
        see_all(&mut showing, 5);
        assert!(!shown.has_changed().unwrap());
    }

    #[test]
    fn what_was_kept_and_is_no_picture_is_left_aside() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let (mut showing, shown) = Showing::begin(&data, UID);
        see_all(&mut showing, 5);
        let picture = shown.borrow().clone().unwrap();
        let good = || Kept::of(&picture).unwrap();
        for bad in [
            Kept {
                ring: "?".to_owned(),
                ..good()
            },
            Kept {
                values: BTreeMap::new(),
                ..good()
            },
            Kept {
                format: 2,
                ..good()
            },
        ] {
            data.set_picture(&bad).unwrap();
            let (_, shown) = Showing::begin(&data, UID);
            assert_eq!(*shown.borrow(), None, "{bad:?}");
        }
        data.set_picture(&good()).unwrap();
        let (_, of_another) = Showing::begin(&data, Uuid::from_u128(8));
        assert_eq!(*of_another.borrow(), None);
        fs::write(dir.path().join("cluster"), "garbage").unwrap();
        assert_eq!(*Showing::begin(&data, UID).1.borrow(), None);
    }
}
