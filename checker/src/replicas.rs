//! The replicas of a shard: what has applied the same entries has the same
//! points.

use std::collections::BTreeMap;

use crate::record::{ReplicaDigests, ShardDigests, VnodeDigest};

/// What contradicts, and what cannot be compared, in one answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Replicas that should have the same and do not.
    pub wrong: Vec<String>,
    /// Replicas that are not as far as others.
    pub behind: Vec<String>,
}

/// Compares the replicas of each shard.
#[must_use]
pub fn compare(shards: &[ShardDigests]) -> Compared {
    let mut compared = Compared::default();
    for shard in shards {
        let Some((first, others)) = shard.replicas.split_first() else {
            let what = format!("shard {} tells of no replica", shard.id);
            compared.behind.push(what);
            continue;
        };
        let own = by_vnode(first);
        for other in others {
            let what = |what| {
                format!(
                    "shard {}: nodes {} and {} {what}",
                    shard.id, first.node, other.node
                )
            };
            if first.applied != other.applied {
                let applied = format!("have applied {} and {}", first.applied, other.applied);
                compared.behind.push(what(applied));
            }
            let others = by_vnode(other);
            let held = |vnodes: &BTreeMap<u32, &VnodeDigest>| -> Vec<u32> {
                vnodes.keys().copied().collect()
            };
            if first.applied == other.applied && held(&own) != held(&others) {
                let held = "have applied the same and do not hold the same vnodes";
                compared.wrong.push(what(held.to_owned()));
            }
            for (vnode, a) in &own {
                let Some(b) = others.get(vnode) else {
                    continue;
                };
                let as_far = first.applied == other.applied || (a.c, a.seq) == (b.c, b.seq);
                if as_far && a != b {
                    compared.wrong.push(what(format!(
                        "differ in vnode {vnode}: {} and {}",
                        told(a),
                        told(b)
                    )));
                }
            }
        }
    }
    compared
}

fn by_vnode(replica: &ReplicaDigests) -> BTreeMap<u32, &VnodeDigest> {
    replica.vnodes.iter().map(|v| (v.vnode, v)).collect()
}

fn told(vnode: &VnodeDigest) -> String {
    format!(
        "c {}, seq {}, {} points, digest {}",
        vnode.c, vnode.seq, vnode.count, vnode.digest
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(node: u64, applied: u64, seq: u64, count: u64, digest: &str) -> ReplicaDigests {
        let vnode = VnodeDigest {
            vnode: 7,
            c: 1,
            seq,
            count,
            digest: digest.to_owned(),
        };
        ReplicaDigests {
            node,
            applied,
            vnodes: vec![vnode],
        }
    }

    fn compared(replicas: Vec<ReplicaDigests>) -> (usize, usize) {
        let compared = compare(&[ShardDigests { id: 0, replicas }]);
        (compared.wrong.len(), compared.behind.len())
    }

    #[test]
    fn replicas_that_have_the_same_are_right() {
        let three = (1..=3).map(|node| replica(node, 9, 5, 2, "ab")).collect();
        assert_eq!(compared(three), (0, 0));
    }

    #[test]
    fn a_replica_with_another_digest_or_count_is_wrong() {
        let first = || replica(1, 9, 5, 2, "ab");
        for other in [
            replica(2, 9, 5, 2, "ac"),
            replica(2, 9, 5, 3, "ab"),
            replica(2, 9, 6, 2, "ab"),
        ] {
            assert_eq!(compared(vec![first(), other]), (1, 0));
        }
        let mut empty = first();
        empty.vnodes.clear();
        assert_eq!(compared(vec![first(), empty]), (1, 0));
    }

    #[test]
    fn a_replica_that_is_behind_is_no_contradiction_but_where_it_has_as_many_changes() {
        let first = || replica(1, 9, 5, 2, "ab");
        assert_eq!(compared(vec![first(), replica(2, 8, 4, 1, "cd")]), (0, 1));
        assert_eq!(compared(vec![first(), replica(2, 8, 5, 2, "cd")]), (1, 1));
        assert_eq!(compared(Vec::new()), (0, 1));
    }
}
