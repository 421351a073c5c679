//! Which shards a request goes to, and whether their answers add up to the
//! whole collection. A read that lacks a single vnode is an error and never a
//! shorter answer.

pub(crate) mod facet;
pub(crate) mod ordered;
pub(crate) mod read;
pub(crate) mod search;
pub(crate) mod write;

use std::time::Duration;

use futures::future::{join_all, try_join_all};
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

/// What shards answered, and the vnodes that they answered for. The sets that they are
/// asked for are disjoint and make up the ring, so that the sum is the size of the ring
/// exactly if no vnode is missing.
struct Answers<'a, T> {
    /// By the shards that gave them.
    all: Vec<(&'a Target, T)>,
    /// The vnodes of shards that are left out, and named in the answer.
    left_out: usize,
}

/// Asks all shards at once. One that does not answer fails the request, unless the client
/// would rather go without it; and without any there is no answer.
async fn ask_all<'a, T, F>(
    collection: &'a Collection,
    ask: impl Fn(&'a Target) -> F,
) -> Result<Answers<'a, T>, Error>
where
    F: Future<Output = Result<T, ShardError>>,
{
    let targets = collection.targets();
    let Some(partial) = &collection.reading().partial else {
        let answers = targets.iter().map(|target| {
            let answer = ask(target);
            async move { Ok((target, answer.await.map_err(|e| asked(target, e))?)) }
        });
        return Ok(Answers {
            all: try_join_all(answers).await?,
            left_out: 0,
        });
    };
    let patience = partial.patience();
    let (out, there): (Vec<_>, Vec<_>) = targets.iter().partition(|t| partial.is_without(t.shard));
    let mut left_out: usize = out.iter().map(|target| target.count).sum();
    let answers = there.into_iter().map(|target| {
        let answer = tokio::time::timeout(patience, ask(target));
        async move {
            (
                target,
                answer.await.unwrap_or_else(|_| Err(silent(patience))),
            )
        }
    });
    let (mut all, mut failed) = (Vec::new(), None);
    for (target, answer) in join_all(answers).await {
        match answer {
            Ok(answer) => all.push((target, answer)),
            // What is wrong with the request is not mended by leaving shards out.
            Err(error) if error.kind == ErrorKind::Invalid => return Err(asked(target, error)),
            Err(error) => {
                partial.leave_out(target.shard);
                left_out += target.count;
                failed = Some(asked(target, error));
            }
        }
    }
    match failed {
        Some(error) if all.is_empty() => Err(error),
        _ => Ok(Answers { all, left_out }),
    }
}

fn silent(patience: Duration) -> ShardError {
    let why = format!("it did not answer within {:.1} s", patience.as_secs_f64());
    ShardError::new(ErrorKind::Unavailable, why)
}

impl<T> Answers<'_, T> {
    /// Whether no vnode is missing but those of shards that are left out.
    fn check<'b>(
        &'b self,
        collection: &Collection,
        not_here: impl Fn(&'b T) -> &'b [NotHere],
    ) -> Result<(), Error> {
        let mut coverage = Coverage {
            answered: self.left_out,
            first_missing: None,
        };
        for (target, answer) in &self.all {
            coverage.add(target, not_here(answer));
        }
        coverage.check(collection)
    }
}

/// The vnodes that were answered for, summed over the shards.
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
