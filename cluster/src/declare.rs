//! How a collection comes to be in a store, or to be wished otherwise: its ring,
//! its wish and its schema are written where they lack or differ. Done twice, or
//! by two at once, it comes to the same.

use crate::schema::{BadSchema, KeptSchema};
use crate::spec;
use crate::wish::{BadWish, Wish};
use quoit_crds::VectorCollectionSpec;
use quoit_ring::{
    ClaimError, Member, Ring, RingError, RingStore, ShardId, StoreError, SwapError, ValueName,
    Values, first_table,
};
use uuid::Uuid;

/// Why a collection is not as it was declared.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// Its spec cannot be served.
    #[error(transparent)]
    Spec(#[from] spec::Error),
    /// No ring can be made of it.
    #[error("no ring could be made of it")]
    Claim(#[from] ClaimError),
    /// The same.
    #[error("no ring could be made of it")]
    Ring(#[from] RingError),
    /// The store cannot say what is there.
    #[error("what is there could not be read")]
    Read(#[from] StoreError),
    /// It was not written.
    #[error("{what} could not be written")]
    Write {
        /// What.
        what: &'static str,
        /// Why.
        source: SwapError,
    },
    /// The wish that is there is none.
    #[error(transparent)]
    Wish(#[from] BadWish),
    /// The schema that is there is none.
    #[error(transparent)]
    Schema(#[from] BadSchema),
    /// What cannot be changed is to be changed.
    #[error("the collection is there, and {0}: this cannot be changed; declare another collection")]
    Differs(String),
}

/// Writes what lacks of a collection, and its wish if it is another than before.
///
/// # Errors
/// See [`DeclareError`]. What was written stays, and the next try goes on.
pub async fn declare(
    values: &dyn Values,
    rings: &dyn RingStore,
    uid: Uuid,
    name: &str,
    spec: &VectorCollectionSpec,
) -> Result<(), DeclareError> {
    spec::resolve(spec)?;
    // The wish first: shards take up nothing before they have read it, and what
    // cannot be changed is seen before anything is.
    let before = declare_wish(values, name, spec).await?;
    declare_schema(values, before.as_ref(), spec).await?;
    declare_ring(rings, uid, spec).await
}

/// Another was first, who may have wished the same: it is looked at again.
fn lost(error: &SwapError) -> bool {
    matches!(error, SwapError::Conflict { .. })
}

async fn declare_wish(
    values: &dyn Values,
    name: &str,
    spec: &VectorCollectionSpec,
) -> Result<Option<VectorCollectionSpec>, DeclareError> {
    let at = ValueName::wish();
    loop {
        let present = values.get(&at).await?;
        let (revision, before) = match &present {
            Some(kept) => (Some(kept.revision), Some(Wish::from_bytes(&kept.value)?)),
            None => (None, None),
        };
        if let Some(before) = &before {
            if before.name == name && before.spec == *spec {
                return Ok(Some(before.spec.clone()));
            }
            if let Some(how) = spec::differs(&before.spec, spec) {
                return Err(DeclareError::Differs(how));
            }
            if before.spec.ring.vnodes != spec.ring.vnodes {
                let how = format!("its ring has {} vnodes", before.spec.ring.vnodes);
                return Err(DeclareError::Differs(how));
            }
        }
        let wish = Wish {
            generation: before.as_ref().map_or(1, |before| before.generation + 1),
            name: name.to_owned(),
            spec: spec.clone(),
        };
        match values.swap(&at, revision, &wish.to_bytes()).await {
            Ok(_) => return Ok(before.map(|before| before.spec)),
            Err(error) if lost(&error) => {}
            Err(source) => {
                let what = "the wish";
                return Err(DeclareError::Write { what, source });
            }
        }
    }
}

async fn declare_schema(
    values: &dyn Values,
    before: Option<&VectorCollectionSpec>,
    spec: &VectorCollectionSpec,
) -> Result<(), DeclareError> {
    let at = ValueName::schema();
    loop {
        let present = values.get(&at).await?;
        let (revision, next) = match &present {
            None => (None, KeptSchema::declared(spec)),
            Some(kept) => {
                let present = KeptSchema::from_bytes(&kept.value)?;
                let indexes = present.indexes.redeclared(before.unwrap_or(spec), spec);
                if indexes == present.indexes {
                    return Ok(());
                }
                (Some(kept.revision), KeptSchema { indexes, ..present })
            }
        };
        match values.swap(&at, revision, &next.to_bytes()).await {
            Ok(_) => return Ok(()),
            Err(error) if lost(&error) => {}
            Err(source) => {
                let what = "the schema";
                return Err(DeclareError::Write { what, source });
            }
        }
    }
}

async fn declare_ring(
    rings: &dyn RingStore,
    uid: Uuid,
    spec: &VectorCollectionSpec,
) -> Result<(), DeclareError> {
    if rings.read().await?.is_some() {
        return Ok(());
    }
    let members: Vec<Member> = (0..spec.shards)
        .map(|n| Member::equal(ShardId(n)))
        .collect();
    let table = first_table(spec::vnodes(spec)?, &members)?;
    let ring = Ring::first(uid, table, members.iter().map(|m| m.id))?;
    match rings.swap(None, &ring).await {
        Ok(_) => Ok(()),
        // The first ring of a collection is one, whoever makes it.
        Err(error) if lost(&error) => Ok(()),
        Err(source) => {
            let what = "the ring";
            Err(DeclareError::Write { what, source })
        }
    }
}
