//! Changes of all points that meet a filter. Which these are is seen on one
//! view; what is logged names each point and the version that was seen, so that
//! every replica changes the same points. A point that something else changed
//! in between is looked at again: it may meet the filter no longer.

use crate::convert::{self, Misfit};
use crate::shard::Shard;
use quoit_engine::{Change, Outcome};
use quoit_filter::{Condition, Filter};
use quoit_proto::v1;
use quoit_proto::{ErrorKind, ShardError};
use quoit_ring::{PointId, Vnode, VnodeSet};
use std::collections::{BTreeMap, BTreeSet};

/// Points of one entry of the log, and bytes of what is set in them, at most:
/// other writes wait for no longer than these take.
const POINTS: usize = 1000;
const BYTES: usize = 4 << 20;

/// How often points that something else changes meanwhile are looked at again.
const ROUNDS: usize = 16;

/// What a change came to.
#[derive(Default)]
struct Progress {
    changed: u64,
    seq: u64,
    not_here: BTreeSet<Vnode>,
}

impl Progress {
    /// What is told of an error. Once points are changed it is no longer so that nothing
    /// was done, whatever the error says of the page that it met.
    fn broken_off_by(&self, error: ShardError) -> ShardError {
        if self.changed == 0 {
            return error;
        }
        let what = format!("{} points are changed: {error}", self.changed);
        ShardError::new(ErrorKind::Unknown, what)
    }
}

impl Shard {
    /// Changes the points of some vnodes that meet a filter.
    ///
    /// # Errors
    /// The request does not fit, or a write failed: then some points may be
    /// changed and others not.
    pub(crate) async fn change_matching(
        &self,
        request: v1::WriteMatchingRequest,
    ) -> Result<v1::WriteMatchingResponse, ShardError> {
        let misfit = |m: Misfit| ShardError::new(ErrorKind::Invalid, m.to_string());
        let wire = request.change.unwrap_or_default();
        let page = match convert::change(Some(wire.clone()), self.params()).map_err(misfit)? {
            Change::Upsert { .. } => {
                let what = "points that meet a filter cannot be made anew as a whole";
                return Err(misfit(Misfit(what.into())));
            }
            _ => (BYTES / prost::Message::encoded_len(&wire).max(1)).clamp(1, POINTS),
        };
        let filter = convert::filter(request.filter).map_err(misfit)?;
        let vnodes = VnodeSet::from_bytes(&request.vnodes);
        let mut progress = Progress::default();
        let done = self.rounds(&vnodes, &filter, page, &wire, &mut progress);
        done.await.map_err(|error| progress.broken_off_by(error))?;
        Ok(v1::WriteMatchingResponse {
            changed: progress.changed,
            seq: progress.seq,
            not_here: convert::not_here(&Vec::from_iter(progress.not_here)),
        })
    }

    /// Changes points until none is left that others changed meanwhile.
    async fn rounds(
        &self,
        vnodes: &VnodeSet,
        filter: &Filter,
        page: usize,
        wire: &v1::Change,
        progress: &mut Progress,
    ) -> Result<(), ShardError> {
        let mut left = self.round(vnodes, filter, page, wire, progress).await?;
        for _ in 1..ROUNDS {
            if left.is_empty() {
                return Ok(());
            }
            let of_these = Filter {
                must: vec![
                    Condition::HasId(left),
                    Condition::Filter(Box::new(filter.clone())),
                ],
                ..Filter::default()
            };
            left = self.round(vnodes, &of_these, page, wire, progress).await?;
        }
        let what = format!(
            "{} points were changed by others each time they were looked at: send it again",
            left.len()
        );
        Err(ShardError::new(ErrorKind::Unknown, what))
    }

    /// Changes all points that one view shows; says which of them were changed
    /// by others since.
    async fn round(
        &self,
        vnodes: &VnodeSet,
        filter: &Filter,
        page: usize,
        change: &v1::Change,
        progress: &mut Progress,
    ) -> Result<BTreeSet<PointId>, ShardError> {
        let view = self.strong_view().await?;
        let compared = view.comparisons_to_filter(filter);
        let mut left = BTreeSet::new();
        let mut after = None;
        loop {
            let (of_page, view, vnodes) = (filter.clone(), view.clone(), vnodes.clone());
            let seen = move || view.matching(&vnodes, &of_page, after, page);
            let answer = self.run(compared, seen).await?;
            progress.not_here.extend(answer.not_here);
            let is_last = answer.found.len() < page;
            after = answer.found.last().map(|(id, ..)| *id);
            if after.is_some() {
                left.extend(self.change_page(&answer.found, change, progress).await?);
            }
            if is_last {
                return Ok(left);
            }
        }
    }

    /// Changes points that are as they were seen; returns the others.
    async fn change_page(
        &self,
        page: &[(PointId, Vnode, u64)],
        change: &v1::Change,
        progress: &mut Progress,
    ) -> Result<Vec<PointId>, ShardError> {
        let mut seen: BTreeMap<Vnode, Vec<(PointId, u64)>> = BTreeMap::new();
        for (id, vnode, seq) in page {
            seen.entry(*vnode).or_default().push((*id, *seq));
        }
        let writes = seen.iter().map(|(vnode, points)| v1::VnodeWrite {
            vnode: u32::from(vnode.0),
            operations: points.iter().map(|point| as_seen(*point, change)).collect(),
            ..Default::default()
        });
        let writes = writes.collect();
        let outcomes = self.log(v1::WriteRequest { writes }).await?;
        let mut left = Vec::new();
        for ((vnode, points), outcome) in seen.iter().zip(outcomes) {
            match outcome {
                Outcome::Done {
                    seq, left: places, ..
                } => {
                    progress.seq = progress.seq.max(seq);
                    progress.changed += (points.len() - places.len()) as u64;
                    left.extend(places.iter().map(|place| points[*place as usize].0));
                }
                Outcome::NotHere => {
                    progress.not_here.insert(*vnode);
                }
                // Only what has an op id is; nothing was done now.
                Outcome::Forgotten => left.extend(points.iter().map(|(id, _)| *id)),
            }
        }
        Ok(left)
    }
}

/// The change of a point, if it is as it was seen.
fn as_seen((id, seq): (PointId, u64), change: &v1::Change) -> v1::Operation {
    v1::Operation {
        id: Some(id.into()),
        only_if: Some(v1::operation::OnlyIf::UnchangedSince(seq)),
        change: Some(change.clone()),
    }
}
