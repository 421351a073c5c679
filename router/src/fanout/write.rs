//! Groups the changes of one request by vnode and sends each shard its part,
//! all at once. Each vnode's part is done or refused as a whole, by the shard;
//! a request that is done in part says so.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use futures::future::join_all;
use quoit_proto::v1::operation::Kind;
use quoit_proto::v1::vnode_outcome::Kind as Outcome;
use quoit_proto::v1::{Operation, Upsert, VnodeWrite, WriteRequest, WriteResponse};
use quoit_proto::{ErrorKind, ShardError};
use quoit_ring::{PointId, Vnode};

use super::{Error, asked};
use crate::catalog::{Collection, Target};

/// A change of one point.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// Puts a point in the place of what was there.
    Upsert {
        id: PointId,
        vector: Vec<f32>,
        /// A JSON object, empty for none.
        payload: Bytes,
    },
    /// Takes a point away, if it is there.
    Delete(PointId),
}

impl Change {
    fn id(&self) -> PointId {
        match self {
            Self::Upsert { id, .. } | Self::Delete(id) => *id,
        }
    }

    fn into_operation(self) -> Operation {
        let kind = match self {
            Self::Upsert {
                id,
                vector,
                payload,
            } => Kind::Upsert(Upsert {
                id: Some(id.into()),
                vector,
                payload,
            }),
            Self::Delete(id) => Kind::Delete(id.into()),
        };
        Operation { kind: Some(kind) }
    }
}

/// Each vnode's changes, in their order; of several changes of one point the
/// last, which makes the earlier ones void.
fn group(
    changes: Vec<Change>,
    vnode_of: impl Fn(PointId) -> Vnode,
) -> BTreeMap<Vnode, Vec<Change>> {
    let mut groups: BTreeMap<Vnode, Vec<Change>> = BTreeMap::new();
    let mut seen = HashSet::with_capacity(changes.len());
    for change in changes.into_iter().rev() {
        let id = change.id();
        if seen.insert(id) {
            groups.entry(vnode_of(id)).or_default().push(change);
        }
    }
    for group in groups.values_mut() {
        group.reverse();
    }
    groups
}

/// What one shard's part came to: the points done, the highest seq, and what
/// stood in the way of the others.
struct Part {
    done: usize,
    seq: u64,
    error: Option<Error>,
}

/// Makes the changes durable and visible. Returns the highest number that a
/// vnode gave to its part.
pub(crate) async fn write(collection: &Collection, changes: Vec<Change>) -> Result<u64, Error> {
    let mut requests: BTreeMap<usize, WriteRequest> = BTreeMap::new();
    let mut all = 0;
    for (vnode, changes) in group(changes, |id| collection.vnode_of(id)) {
        all += changes.len();
        let request = requests.entry(collection.owner_of(vnode)).or_default();
        request.writes.push(VnodeWrite {
            vnode: u32::from(vnode.0),
            operations: changes.into_iter().map(Change::into_operation).collect(),
        });
    }
    // Every part is waited for, also after one has failed: to say what was
    // done, and because a part that was sent may yet take effect.
    let parts = join_all(requests.into_iter().map(|(index, request)| {
        let target = &collection.targets()[index];
        async move {
            let sizes: Vec<(u32, usize)> = request
                .writes
                .iter()
                .map(|w| (w.vnode, w.operations.len()))
                .collect();
            match target.client.write(request).await {
                Ok(response) => read(target, &sizes, &response),
                Err(error) => Part {
                    done: 0,
                    seq: 0,
                    error: Some(asked(target, error)),
                },
            }
        }
    }))
    .await;

    let done = parts.iter().map(|p| p.done).sum();
    let seq = parts.iter().map(|p| p.seq).max().unwrap_or(0);
    let errors = parts.into_iter().filter_map(|p| p.error);
    match errors.max_by_key(|e| gravity(e.kind())) {
        None => Ok(seq),
        Some(error) if done == 0 => Err(error),
        Some(error) => Err(Error::WriteAll {
            done,
            all,
            source: Box::new(error),
        }),
    }
}

/// Of several errors the client is told the one that binds it most: an unknown
/// outcome above all, and last what a little patience mends.
fn gravity(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Unknown => 4,
        ErrorKind::Invalid => 3,
        ErrorKind::DiskFull => 2,
        ErrorKind::Unavailable => 1,
        ErrorKind::Busy => 0,
    }
}

/// Reads one shard's outcomes against what it was sent.
fn read(target: &Target, sent: &[(u32, usize)], response: &WriteResponse) -> Part {
    let mut part = Part {
        done: 0,
        seq: 0,
        error: None,
    };
    let mut missing = 0;
    let mut first = None;
    for (i, (vnode, points)) in sent.iter().enumerate() {
        let outcome = response.outcomes.get(i).filter(|o| o.vnode == *vnode);
        match outcome.and_then(|o| o.kind.as_ref()) {
            Some(Outcome::Done(seq)) => {
                part.done += points;
                part.seq = part.seq.max(*seq);
            }
            Some(Outcome::NotHere(_)) => {
                missing += 1;
                first.get_or_insert(*vnode);
            }
            None => {
                let what = "it does not say what became of a part of the write";
                let source = ShardError::new(ErrorKind::Unknown, what);
                part.error = Some(asked(target, source));
            }
        }
    }
    if let Some(first) = first
        && part.error.is_none()
    {
        part.error = Some(Error::FindVnodes {
            missing,
            asked: sent.len(),
            first,
        });
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quoit_ring::VnodeCount;

    fn change() -> impl Strategy<Value = Change> {
        (0_u64..40, any::<Option<i8>>()).prop_map(|(id, x)| {
            let id = PointId::Num(id);
            match x {
                Some(x) => Change::Upsert {
                    id,
                    vector: vec![f32::from(x)],
                    payload: Bytes::new(),
                },
                None => Change::Delete(id),
            }
        })
    }

    proptest! {
        #[test]
        fn a_group_holds_the_last_change_of_each_of_its_points_in_order(
            changes in prop::collection::vec(change(), 0..80),
        ) {
            let ring = VnodeCount::new(8).expect("a power of two");
            let vnode_of = |id: PointId| ring.vnode_of(&id.to_key());
            let groups = group(changes.clone(), vnode_of);

            // The plain way: by hand, for each vnode, from the whole list.
            for v in ring.iter() {
                let want: Vec<_> = changes
                    .iter()
                    .enumerate()
                    .filter(|(i, c)| {
                        vnode_of(c.id()) == v && changes[i + 1..].iter().all(|d| d.id() != c.id())
                    })
                    .map(|(_, c)| c.clone())
                    .collect();
                prop_assert_eq!(groups.get(&v).cloned().unwrap_or_default(), want);
            }
        }
    }
}
