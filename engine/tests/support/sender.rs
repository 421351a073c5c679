//! Who sends writes: gives them op ids, loses some on the way, and tries others again.

use super::model::Model;
use quoit_engine::{Attempt, Entry, OpId, Operation, VnodeWrite};
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;

/// A point that no write ever makes.
pub const NOBODY: PointId = PointId::Num(u64::MAX - 9);

#[derive(Clone, Default)]
pub struct Sender {
    tried: Vec<Tried>,
}

/// A write that may be tried again.
#[derive(Clone)]
struct Tried {
    write: VnodeWrite,
    op_id: OpId,
    /// The vnode's `w`, or less, before it was first tried.
    since: u64,
}

impl Sender {
    /// An entry as it is sent: most of its writes may be tried again, some never
    /// come, and others come again.
    pub fn sent(&mut self, entry: Entry, rng: &mut StdRng, model: &Model) -> Entry {
        let Entry::Write(writes) = entry else {
            return entry;
        };
        let mut sent = Vec::new();
        let burst = rng.random_bool(0.08);
        for write in writes {
            if burst {
                let many = 1..=rng.random_range(1..500);
                let nothing = many.map(|_| nothing(rng, write.vnode));
                sent.extend(nothing);
            }
            match rng.random_range(0..10) {
                0..3 => sent.push(write),
                3 => drop(self.first(write, rng, model)),
                _ => sent.push(self.first(write, rng, model)),
            }
        }
        if rng.random_bool(0.5) {
            for _ in 0..rng.random_range(1..6) {
                sent.extend(self.again(rng, model));
            }
        }
        Entry::Write(sent)
    }

    /// A write as it is first tried.
    fn first(&mut self, write: VnodeWrite, rng: &mut StdRng, model: &Model) -> VnodeWrite {
        let op_id = OpId(rng.random());
        let known = model.w(write.vnode);
        let since = known.saturating_sub([0, 0, 1, 7][rng.random_range(0..4)]);
        self.tried.push(Tried {
            write: write.clone(),
            op_id,
            since,
        });
        attempted(write, op_id, None)
    }

    /// A write that was sent, or never came: often one of which the vnode is just
    /// about to forget what it was.
    fn again(&self, rng: &mut StdRng, model: &Model) -> Option<VnodeWrite> {
        let is_near = |tried: &&Tried| {
            let since = model.w(tried.write.vnode) - tried.since;
            (250..262).contains(&since)
        };
        let near: Vec<&Tried> = self.tried.iter().filter(is_near).collect();
        let last = &self.tried[self.tried.len().saturating_sub(20)..];
        let tried = match rng.random_range(0..3) {
            0 => near.choose(rng).copied(),
            1 => last.choose(rng),
            _ => self.tried.choose(rng),
        };
        tried.map(
            |Tried {
                 write,
                 op_id,
                 since,
             }| attempted(write.clone(), *op_id, Some(*since)),
        )
    }
}

/// A write that changes nothing, and is counted all the same.
fn nothing(rng: &mut StdRng, vnode: Vnode) -> VnodeWrite {
    let write = VnodeWrite::once(vnode, vec![Operation::delete(NOBODY)]);
    if rng.random_bool(0.5) {
        attempted(write, OpId(rng.random()), None)
    } else {
        write
    }
}

pub fn attempted(mut write: VnodeWrite, op_id: OpId, tried_since: Option<u64>) -> VnodeWrite {
    write.attempt = Some(Attempt { op_id, tried_since });
    write
}
