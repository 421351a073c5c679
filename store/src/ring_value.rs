//! A ring as one of a collection's values. It decides that only this
//! collection's rings are read and written, and that what is no ring is neither
//! taken for none nor replaced.

use futures::StreamExt;
use quoit_ring::{
    Change, Leader, Revision, Ring, RingStore, Shown, StoreError, SwapError, UnpackError,
    ValueName, Values, Versioned, Watch,
};
use uuid::Uuid;

/// Why a value is not the ring of this collection.
#[derive(Debug, thiserror::Error)]
pub enum NotOurRing {
    /// It is no ring, a damaged one, or one of a newer format.
    #[error(
        "it cannot be read as a ring; put back a ring from a backup, or remove it to begin anew from what the shards hold"
    )]
    Unpack(#[source] UnpackError),
    /// It is the ring of another collection.
    #[error(
        "it is the ring of collection {found}, and this is collection {expected}; \
         find out who wrote it there, and put back the right one"
    )]
    Foreign {
        /// Whose it is.
        found: Uuid,
        /// Whose it should be.
        expected: Uuid,
    },
}

/// The store of one collection's ring among its values.
#[derive(Clone)]
pub struct RingValue<V> {
    values: V,
    name: ValueName,
    uid: Uuid,
}

impl<V: Values> RingValue<V> {
    /// The store of the ring of collection `uid`, in that collection's values.
    pub fn new(values: V, uid: Uuid) -> Self {
        Self {
            values,
            name: ValueName::ring(),
            uid,
        }
    }

    async fn change(
        &self,
        leader: Option<&Leader>,
        expected: Option<Revision>,
        next: &Ring,
    ) -> Result<Revision, SwapError> {
        let place = self.values.place(&self.name);
        if next.uid() != self.uid {
            // Before it is written, because nobody could read it afterwards.
            return Err(SwapError::Failed(foreign(place, next.uid(), self.uid)));
        }
        let packed = next.to_bytes();
        let change = Change {
            name: &self.name,
            expected,
            next: Some(&packed),
            leader,
        };
        match self.values.change(change).await {
            Err(SwapError::Conflict {
                present: Some(present),
            }) => match self.read().await {
                // Nobody learns the revision of what is no ring, lest they
                // replace it.
                Err(damaged @ StoreError::Damaged { .. }) => Err(SwapError::Failed(damaged)),
                Ok(_) | Err(_) => Err(SwapError::Conflict {
                    present: Some(present),
                }),
            },
            made => made,
        }
    }
}

fn foreign(place: String, found: Uuid, expected: Uuid) -> StoreError {
    StoreError::Damaged {
        place,
        source: Box::new(NotOurRing::Foreign { found, expected }),
    }
}

fn unpack(
    place: &str,
    uid: Uuid,
    kept: &Versioned<Vec<u8>>,
) -> Result<Versioned<Ring>, StoreError> {
    let value = Ring::from_bytes(&kept.value).map_err(|error| StoreError::Damaged {
        place: place.to_owned(),
        source: Box::new(NotOurRing::Unpack(error)),
    })?;
    if value.uid() != uid {
        return Err(foreign(place.to_owned(), value.uid(), uid));
    }
    Ok(Versioned {
        revision: kept.revision,
        value,
    })
}

#[async_trait::async_trait]
impl<V: Values> RingStore for RingValue<V> {
    async fn read(&self) -> Result<Option<Versioned<Ring>>, StoreError> {
        let Some(kept) = self.values.get(&self.name).await? else {
            return Ok(None);
        };
        unpack(&self.values.place(&self.name), self.uid, &kept).map(Some)
    }

    async fn swap(&self, expected: Option<Revision>, next: &Ring) -> Result<Revision, SwapError> {
        self.change(None, expected, next).await
    }

    async fn swap_as(
        &self,
        leader: &Leader,
        expected: Option<Revision>,
        next: &Ring,
    ) -> Result<Revision, SwapError> {
        self.change(Some(leader), expected, next).await
    }

    fn watch(&self) -> Watch<Option<Versioned<Ring>>> {
        let place = self.values.place(&self.name);
        let (name, uid) = (self.name.clone(), self.uid);
        let mut epoch = 0;
        let shown = self.values.watch(&name);
        shown
            .map(move |shown| {
                let Shown { now, mut reset } = shown?;
                let kept = now.get(&name);
                let now = kept.map(|kept| unpack(&place, uid, kept)).transpose()?;
                if let Some(ring) = &now {
                    reset |= ring.value.epoch() < epoch;
                    epoch = ring.value.epoch();
                }
                Ok(Shown { now, reset })
            })
            .boxed()
    }
}
