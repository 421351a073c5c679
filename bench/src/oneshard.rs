//! One shard in this process, as `quoit serve` runs each of its shards.

use crate::corpus::all_vnodes;
use crate::error::{Error, Result};
use quoit_disk::RealDisk;
use quoit_engine::{Params, Tuning};
use quoit_proto::{ErrorKind, ShardClient, v1};
use quoit_ring::ShardId;
use quoit_shard::log::LogOptions;
use quoit_shard::{MemberId, Membership, Shard, ShardOptions, Stamp, UpkeepOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Writes wait while more vectors than this are not in the graph.
pub const MAX_TAIL: u64 = 8192;

/// How often it is looked whether all is indexed.
const LOOK: Duration = Duration::from_millis(2);

/// A runtime with a thread for each core.
///
/// # Errors
/// No thread can be had.
pub fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .enable_all()
        .build()
        .map_err(Error::io("start a runtime"))
}

/// Opens a shard that holds all vnodes, founding it where the folder is new.
///
/// # Errors
/// It does not open.
pub async fn open(dir: &Path, params: Params) -> Result<Arc<Shard>> {
    let birth = if dir.exists() {
        None
    } else {
        Some(all_vnodes()?)
    };
    let options = ShardOptions {
        disk: Arc::new(RealDisk),
        dir: dir.to_owned(),
        stamp: Stamp::new(
            MemberId::alone(Uuid::nil(), ShardId(0)),
            ShardId(0),
            &params,
        ),
        birth,
        params,
        tuning: Tuning::default(),
        upkeep: UpkeepOptions::default(),
        log: LogOptions::new(0, Uuid::new_v4().as_u64_pair().0),
        membership: Membership::Alone,
        max_tail: MAX_TAIL,
    };
    Ok(Arc::new(Shard::open(options).await?))
}

/// Writes a batch, again while the shard is too busy to take it.
///
/// # Errors
/// It refuses for another reason, or does not hold a vnode.
pub async fn write(shard: &Shard, request: v1::WriteRequest) -> Result<()> {
    let response = loop {
        match shard.write(request.clone()).await {
            Err(error) if error.kind == ErrorKind::Busy => tokio::time::sleep(LOOK).await,
            other => break other?,
        }
    };
    let done = |o: &v1::VnodeOutcome| matches!(o.kind, Some(v1::vnode_outcome::Kind::Done(_)));
    if response.outcomes.iter().all(done) {
        Ok(())
    } else {
        Err(Error::unexpected("a shard does not hold all vnodes"))
    }
}

/// Waits until the graph has every point.
///
/// # Errors
/// The shard has stopped.
pub async fn wait_indexed(shard: &Shard) -> Result<()> {
    loop {
        let status = shard.status().await?;
        if status.tail == 0 {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}
