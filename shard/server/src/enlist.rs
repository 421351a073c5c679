//! How a replica with an empty disk comes to be one: it waits for its collection,
//! and gets a number that nobody ever had. It never takes the number of the one
//! before it, whose promises it does not know.

use crate::args::Args;
use crate::data::{FORMAT, Record};
use quoit_cluster::{BadWish, Wish};
use quoit_process::chain;
use quoit_ring::{
    NumberError, Ring, RingStore, ShardId, ShardState, StoreError, ValueName, Values, next_number,
};
use std::time::Duration;

/// How often it is looked whether the collection is there.
const LOOK: Duration = Duration::from_millis(500);

/// Looks between two lines that say what is waited for.
const TOLD_EVERY: u32 = 20;

/// Why a replica cannot come to be.
#[derive(Debug, thiserror::Error)]
pub enum EnlistError {
    /// What is in the store is not what belongs there.
    #[error("the collection cannot be read from etcd")]
    Read(#[source] StoreError),
    /// The wish is none.
    #[error("the collection in etcd cannot be read")]
    Wish(#[from] BadWish),
    /// The ring does not know the shard.
    #[error("--shard {shard}: {what}; the ring has the shards {known:?}")]
    Shard {
        /// The shard.
        shard: u32,
        /// What is wrong.
        what: &'static str,
        /// Those of the ring.
        known: Vec<u32>,
    },
    /// The place is one too many.
    #[error(
        "--ordinal {ordinal}: the collection asks for {replicas} replicas, so the places are 0 to {}", replicas - 1
    )]
    Ordinal {
        /// The place.
        ordinal: u32,
        /// How many there are to be.
        replicas: u32,
    },
    /// No number could be had.
    #[error("no number could be had for this replica")]
    Number(#[from] NumberError),
}

/// What is there of the collection, or what it lacks.
enum Look {
    There(Box<(Wish, Ring)>),
    Lacks(&'static str),
}

async fn look(values: &dyn Values, rings: &dyn RingStore) -> Result<Look, LookError> {
    let Some(wish) = values.get(&ValueName::wish()).await? else {
        return Ok(Look::Lacks("the collection is not in etcd"));
    };
    let wish = Wish::from_bytes(&wish.value)?;
    let Some(ring) = rings.read().await? else {
        return Ok(Look::Lacks("the collection has no ring yet"));
    };
    Ok(Look::There(Box::new((wish, ring.value))))
}

#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Read(#[from] StoreError),
    #[error(transparent)]
    Wish(#[from] BadWish),
}

/// Waits for the collection, and makes this replica's record.
///
/// # Errors
/// See [`EnlistError`]; that etcd is away, or the collection not there yet, is waited out.
pub async fn enlist(
    args: &Args,
    values: &dyn Values,
    rings: &dyn RingStore,
) -> Result<Record, EnlistError> {
    let mut looks = 0;
    let (wish, ring) = loop {
        let waits_for = match look(values, rings).await {
            Ok(Look::There(there)) => break *there,
            Ok(Look::Lacks(what)) => what.to_owned(),
            Err(LookError::Wish(error)) => return Err(error.into()),
            Err(LookError::Read(error)) if error.may_retry() => chain(&error),
            Err(LookError::Read(error)) => return Err(EnlistError::Read(error)),
        };
        if looks % TOLD_EVERY == 0 {
            tracing::info!(why = waits_for, "this new replica waits for its collection");
        }
        looks += 1;
        tokio::time::sleep(LOOK).await;
    };
    let known = || ring.shards().map(|(id, _)| id.0).collect();
    let refused = |what| EnlistError::Shard {
        shard: args.shard,
        what,
        known: known(),
    };
    match ring.state(ShardId(args.shard)) {
        None => return Err(refused("there is no such shard")),
        Some(ShardState::Retired) => {
            return Err(refused("it is retired, and no shard has its number again"));
        }
        Some(ShardState::Joining | ShardState::Active | ShardState::Leaving) => {}
    }
    let replicas = wish.spec.replicas;
    if args.ordinal >= replicas {
        return Err(EnlistError::Ordinal {
            ordinal: args.ordinal,
            replicas,
        });
    }
    // Who is registered has a number: a store that was set back has forgotten what
    // it gave.
    let registered = values.list(&ValueName::shards()).await;
    let registered = registered.map_err(EnlistError::Read)?;
    let highest = registered.keys().filter_map(ValueName::as_node);
    let highest = highest.map(|(_, node)| node).max().unwrap_or(0);
    let node = next_number(values, &ValueName::node_ids(), highest).await?;
    tracing::info!(node, "this is a new replica");
    Ok(Record {
        format: FORMAT,
        collection: args.cluster.collection,
        shard: args.shard,
        ordinal: args.ordinal,
        node,
        is_begun: false,
        spec: wish.spec,
    })
}
