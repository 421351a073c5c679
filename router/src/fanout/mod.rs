//! Which shards a request goes to, and whether their answers add up to the
//! whole collection. A read that lacks a single vnode is an error and never a
//! shorter answer.

pub(crate) mod facet;
pub(crate) mod ordered;
pub(crate) mod read;
pub(crate) mod search;
pub(crate) mod write;

use quoit_proto::v1::{NotHere, OrderValue, Point};
use quoit_proto::{ErrorKind, ShardError};
use quoit_ring::{PointId, ShardId};

use crate::catalog::{Collection, Target};

/// Why a request to the shards failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A shard failed.
    #[error("shard {shard}: {source}")]
    Ask { shard: ShardId, source: ShardError },
    /// A shard answered what the protocol does not allow.
    #[error("shard {shard} gave an answer that makes no sense: {what}")]
    ReadAnswer { shard: ShardId, what: &'static str },
    /// Some vnodes are not where the router looked for them.
    #[error(
        "{missing} of {asked} vnodes are not at the shards that were asked, vnode {first} among them: \
         they are moving; nothing was done for them, try again"
    )]
    FindVnodes {
        missing: usize,
        asked: usize,
        first: u32,
    },
    /// A part of a write was done.
    #[error(
        "{done} of {all} points are written and the others not, or it is unknown; \
         writing all of them again is safe: {source}"
    )]
    WriteAll {
        done: usize,
        all: usize,
        source: Box<Error>,
    },
    /// A part of a change by filter was done.
    #[error(
        "{changed} of the points that meet the filter are changed and the others not, or it is unknown; \
         sending it again is safe: {source}"
    )]
    WriteMatching { changed: u64, source: Box<Error> },
}

impl Error {
    /// What may be done about it.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Ask { source, .. } => source.kind,
            Self::ReadAnswer { .. } => ErrorKind::Unknown,
            Self::FindVnodes { .. } => ErrorKind::Unavailable,
            Self::WriteAll { source, .. } | Self::WriteMatching { source, .. } => source.kind(),
        }
    }
}

/// A point with its id decoded.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: PointId,
    pub(crate) point: Point,
    /// By which it is where it is, if it comes in the order of a field.
    pub(crate) order_value: Option<OrderValue>,
}

/// Counts a shard's failure and says which shard it was.
fn asked(target: &Target, source: ShardError) -> Error {
    let kind = match source.kind {
        ErrorKind::Invalid => "invalid",
        ErrorKind::Busy => "busy",
        ErrorKind::DiskFull => "disk_full",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::NotLeader { .. } => "not_leader",
        ErrorKind::Behind => "behind",
        ErrorKind::Unknown => "unknown",
    };
    metrics::counter!("quoit_router_shard_errors_total", "kind" => kind).increment(1);
    Error::Ask {
        shard: target.shard,
        source,
    }
}

/// Decodes a point's id.
fn row(shard: ShardId, point: Point) -> Result<Row, Error> {
    let id = point.id.as_ref().and_then(|id| PointId::try_from(id).ok());
    let id = id.ok_or(Error::ReadAnswer {
        shard,
        what: "a point without an id",
    })?;
    let order_value = None;
    Ok(Row {
        id,
        point,
        order_value,
    })
}

/// The vnodes that were answered for, summed over the shards. The sets that
/// the shards are asked for are disjoint and make up the ring, so that the sum
/// is the size of the ring exactly if no vnode is missing.
#[derive(Default)]
struct Coverage {
    answered: usize,
    first_missing: Option<u32>,
}

impl Coverage {
    fn add(&mut self, target: &Target, not_here: &[NotHere]) {
        self.answered += target.count.saturating_sub(not_here.len());
        let first = not_here.first().map(|n| n.vnode);
        self.first_missing = self.first_missing.or(first);
    }

    fn check(&self, collection: &Collection) -> Result<(), Error> {
        let asked = collection.vnodes().get() as usize;
        if self.answered == asked {
            return Ok(());
        }
        Err(Error::FindVnodes {
            missing: asked.saturating_sub(self.answered),
            asked,
            first: self.first_missing.unwrap_or(0),
        })
    }
}
