//! Groups the changes of one request by vnode and sends each shard its part,
//! all at once; a change of all points that meet a filter goes to every shard.
//! Each vnode's part is done or refused as a whole, by the shard; a request
//! that is done in part says so.

use std::collections::{BTreeMap, HashSet};

use futures::future::join_all;
use quoit_filter::Filter;
use quoit_proto::v1::change::Kind;
use quoit_proto::v1::operation::OnlyIf;
use quoit_proto::v1::vnode_outcome::Kind as Outcome;
use quoit_proto::v1::{
    self, Operation, VnodeWrite, WriteMatchingRequest, WriteRequest, WriteResponse,
};
use quoit_proto::{ErrorKind, ShardError};
use quoit_ring::{PointId, Vnode};

use super::{Coverage, Error, asked};
use crate::catalog::{Collection, Target};

/// A change of one point.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) id: PointId,
    /// When it is changed; in any case if unset.
    pub(crate) only_if: Option<OnlyIf>,
    pub(crate) kind: Kind,
}

impl Change {
    /// Whether the point is the same after it, whatever it was before.
    fn replaces(&self) -> bool {
        let whole = matches!(self.kind, Kind::Upsert(_) | Kind::Delete(_));
        whole && self.only_if.is_none()
    }

    fn into_operation(self) -> Operation {
        Operation {
            id: Some(self.id.into()),
            only_if: self.only_if,
            change: Some(v1::Change {
                kind: Some(self.kind),
            }),
        }
    }
}

/// What came of a write.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The highest number that a vnode gave to its part.
    pub(crate) seq: u64,
    /// Which changes, by their place, left their point as it is: it was not
    /// there to be changed, or did not meet the condition.
    pub(crate) left: Vec<usize>,
}

/// Each vnode's changes with their places, in order, without those that the
/// next change of the same point makes void.
fn group(
    changes: Vec<Change>,
    vnode_of: impl Fn(PointId) -> Vnode,
) -> BTreeMap<Vnode, Vec<(usize, Change)>> {
    let mut groups: BTreeMap<Vnode, Vec<(usize, Change)>> = BTreeMap::new();
    let mut replaced = HashSet::with_capacity(changes.len());
    for (place, change) in changes.into_iter().enumerate().rev() {
        if change.replaces() {
            if !replaced.insert(change.id) {
                continue;
            }
        } else {
            // What comes before decides what this one finds.
            replaced.remove(&change.id);
        }
        let vnode = vnode_of(change.id);
        groups.entry(vnode).or_default().push((place, change));
    }
    for group in groups.values_mut() {
        group.reverse();
    }
    groups
}

/// One shard's part of a write.
#[derive(Default)]
struct Part {
    request: WriteRequest,
    /// The place of each operation among all changes, by vnode.
    places: Vec<Vec<usize>>,
}

/// What one shard's part came to: the points done, and what stood in the way
/// of the others.
#[derive(Default)]
struct PartDone {
    points: usize,
    written: Written,
    error: Option<Error>,
}

/// Makes the changes durable and visible.
pub(crate) async fn write(collection: &Collection, changes: Vec<Change>) -> Result<Written, Error> {
    let mut parts: BTreeMap<usize, Part> = BTreeMap::new();
    let mut all = 0;
    for (vnode, changes) in group(changes, |id| collection.vnode_of(id)) {
        all += changes.len();
        let part = parts.entry(collection.owner_of(vnode)).or_default();
        let (places, operations) = changes
            .into_iter()
            .map(|(place, change)| (place, change.into_operation()))
            .unzip();
        part.places.push(places);
        part.request.writes.push(VnodeWrite {
            vnode: u32::from(vnode.0),
            operations,
            ..Default::default()
        });
    }
    // Every part is waited for, also after one has failed: to say what was
    // done, and because a part that was sent may yet take effect.
    let parts = join_all(parts.into_iter().map(|(index, part)| {
        let target = &collection.targets()[index];
        async move {
            let vnodes: Vec<u32> = part.request.writes.iter().map(|w| w.vnode).collect();
            match target.client.write(part.request).await {
                Ok(response) => read(target, &vnodes, &part.places, &response),
                Err(error) => PartDone {
                    error: Some(asked(target, error)),
                    ..PartDone::default()
                },
            }
        }
    }))
    .await;

    let mut written = Written::default();
    let mut done = 0;
    let mut errors = Vec::new();
    for part in parts {
        done += part.points;
        written.seq = written.seq.max(part.written.seq);
        written.left.extend(part.written.left);
        errors.extend(part.error);
    }
    match gravest(errors) {
        None => Ok(written),
        Some(error) if done == 0 => Err(error),
        Some(error) => Err(Error::WriteAll {
            done,
            all,
            source: Box::new(error),
        }),
    }
}

/// Changes all points that meet a filter, durably and visibly. Returns the
/// highest number that a vnode gave to a change.
pub(crate) async fn write_matching(
    collection: &Collection,
    filter: &Filter,
    kind: &Kind,
) -> Result<u64, Error> {
    let answers = join_all(collection.targets().iter().map(|target| {
        let request = WriteMatchingRequest {
            vnodes: target.bits.clone(),
            filter: Some(filter.into()),
            change: Some(v1::Change {
                kind: Some(kind.clone()),
            }),
        };
        async move { (target, target.client.write_matching(request).await) }
    }))
    .await;

    let (mut seq, mut changed) = (0, 0);
    let mut coverage = Coverage::default();
    let mut errors = Vec::new();
    for (target, answer) in answers {
        match answer {
            Ok(answer) => {
                coverage.add(target, &answer.not_here);
                seq = seq.max(answer.seq);
                changed += answer.changed;
            }
            Err(error) => errors.push(asked(target, error)),
        }
    }
    if errors.is_empty() {
        errors.extend(coverage.check(collection).err());
    }
    match gravest(errors) {
        None => Ok(seq),
        Some(error) if changed == 0 => Err(error),
        Some(error) => Err(Error::WriteMatching {
            changed,
            source: Box::new(error),
        }),
    }
}

/// Of several errors the client is told the one that binds it most: an unknown
/// outcome above all, and last what a little patience mends.
fn gravest(errors: Vec<Error>) -> Option<Error> {
    errors.into_iter().max_by_key(|e| match e.kind() {
        ErrorKind::Unknown => 4,
        ErrorKind::Invalid => 3,
        ErrorKind::DiskFull => 2,
        ErrorKind::Unavailable | ErrorKind::Behind | ErrorKind::NotLeader { .. } => 1,
        ErrorKind::Busy => 0,
    })
}

/// Reads one shard's outcomes against what it was sent.
fn read(
    target: &Target,
    vnodes: &[u32],
    places: &[Vec<usize>],
    response: &WriteResponse,
) -> PartDone {
    let mut part = PartDone::default();
    let mut missing = 0;
    let mut first = None;
    let forgotten = || {
        let what = "it may have taken a part of the write when it was tried before, and cannot tell any more";
        asked(target, ShardError::new(ErrorKind::Unknown, what))
    };
    let nonsense = || {
        let what = "it does not say what became of a part of the write";
        Some(asked(target, ShardError::new(ErrorKind::Unknown, what)))
    };
    for (i, (vnode, places)) in vnodes.iter().zip(places).enumerate() {
        let outcome = response.outcomes.get(i).filter(|o| o.vnode == *vnode);
        match outcome.and_then(|o| o.kind.as_ref()) {
            Some(Outcome::Done(done)) => {
                part.points += places.len();
                part.written.seq = part.written.seq.max(done.seq);
                for left in &done.left {
                    match places.get(*left as usize) {
                        Some(place) => part.written.left.push(*place),
                        None => part.error = nonsense(),
                    }
                }
            }
            Some(Outcome::Forgotten(_)) => {
                part.error.get_or_insert_with(forgotten);
            }
            Some(Outcome::NotHere(_)) => {
                missing += 1;
                first.get_or_insert(*vnode);
            }
            None => part.error = nonsense(),
        }
    }
    if let Some(first) = first
        && part.error.is_none()
    {
        part.error = Some(Error::FindVnodes {
            missing,
            asked: vnodes.len(),
            first,
        });
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quoit_proto::v1::{Delete, Upsert, Vector, Vectors};
    use quoit_ring::VnodeCount;

    fn change() -> impl Strategy<Value = Change> {
        (0_u64..12, any::<i8>(), 0_u8..4, any::<bool>()).prop_map(|(id, x, kind, conditional)| {
            // Of the names `a` and `b` one alone: what is set leaves the other.
            let vectors = vec![Vector {
                name: if x % 2 == 0 { "a" } else { "b" }.to_owned(),
                values: vec![f32::from(x)],
            }];
            let payload = Vec::new().into();
            Change {
                id: PointId::Num(id),
                only_if: conditional.then(|| OnlyIf::MeetsOrMissing(v1::Filter::default())),
                kind: match kind {
                    0 => Kind::Delete(Delete {}),
                    1 => Kind::SetVectors(Vectors { vectors }),
                    _ => Kind::Upsert(Upsert { vectors, payload }),
                },
            }
        })
    }

    /// What a shard makes of changes of one point: what becomes of the point, and
    /// the places of the changes that left it. No condition here is ever met.
    fn outcome(changes: &[(usize, Change)]) -> (Option<BTreeMap<String, Vec<f32>>>, Vec<usize>) {
        let by_name = |vectors: &[Vector]| -> Vec<_> {
            let vectors = vectors.iter();
            vectors
                .map(|v| (v.name.clone(), v.values.clone()))
                .collect()
        };
        let mut point = Some(BTreeMap::new());
        let mut left = Vec::new();
        for (place, change) in changes {
            match (&change.kind, &mut point) {
                (_, Some(_)) if change.only_if.is_some() => left.push(*place),
                (Kind::Upsert(upsert), point) => {
                    *point = Some(by_name(&upsert.vectors).into_iter().collect());
                }
                (Kind::SetVectors(set), Some(there)) => there.extend(by_name(&set.vectors)),
                (Kind::Delete(_), point) => *point = None,
                _ => left.push(*place),
            }
        }
        (point, left)
    }

    proptest! {
        #[test]
        fn a_group_does_to_each_point_what_all_changes_do_and_replaces_none_twice(
            changes in prop::collection::vec(change(), 0..80),
        ) {
            let ring = VnodeCount::new(8).expect("a power of two");
            let vnode_of = |id: PointId| ring.vnode_of(&id.to_key());
            let groups = group(changes.clone(), vnode_of);

            for id in (0..12).map(PointId::Num) {
                let of_point = |(_, c): &(usize, Change)| c.id == id;
                let all: Vec<_> = changes.iter().cloned().enumerate().filter(of_point).collect();
                let sent = groups.get(&vnode_of(id)).cloned().unwrap_or_default();
                let sent: Vec<_> = sent.into_iter().filter(of_point).collect();
                prop_assert_eq!(outcome(&sent), outcome(&all));
                let twice = sent.windows(2).any(|w| w[0].1.replaces() && w[1].1.replaces());
                prop_assert!(!twice);
            }
            let sent: usize = groups.values().map(Vec::len).sum();
            prop_assert!(sent <= changes.len());
        }
    }
}
