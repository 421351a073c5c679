//! The ring: the table vnode → shard with its custody numbers, its shards, its
//! moves and an epoch, as one value. It decides what a consistent ring is; no value
//! of [`Ring`] breaks one of these rules, wherever it was read from:
//!
//! - it has an identity, and its epoch is at least 1;
//! - every vnode has an owner and a custody number of at least 1;
//! - every owner is a shard of the ring that is not retired;
//! - a move is between two such shards, its number was given out, and a vnode is in
//!   one move at most.
//!
//! The ring is the plan and the record of what is so. It is not what decides
//! who answers for a vnode: that is custody, in each shard's log.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::custody::FIRST_CUSTODY_NUMBER;
use crate::handoff::{Handoff, HandoffId};
use crate::key::{ShardId, Vnode, VnodeCount};
use crate::table::Table;
use crate::vnodes::VnodeSet;

/// Where a shard is in its life. It only ever goes forward, except that one
/// that is leaving may become active again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShardState {
    /// It is there and is being given vnodes.
    Joining,
    /// It owns its share.
    Active,
    /// Its vnodes are being taken away, and it gets no new ones.
    Leaving,
    /// It owns nothing, and its number is never used again.
    Retired,
}

/// What is to become of a handoff. It only ever goes forward: to release or to cancel,
/// and from there to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The vnodes are copied, until the target owns them or the handoff is cancelled.
    Copy,
    /// It is given up, if it is not too late for that.
    Cancel,
    /// The target owns the vnodes, and the source is to let go of them.
    Release,
}

/// A handoff that the ring has not done with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Move {
    /// Which vnodes go from where to where.
    pub handoff: Handoff,
    /// What is to become of it.
    pub stage: Stage,
}

/// The parts of a ring, not yet checked against each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RingParts {
    /// The identity of the collection.
    pub uid: Uuid,
    /// How often the ring changed; for people and metrics.
    pub epoch: u64,
    /// The owner of each vnode.
    pub table: Table,
    /// The custody number of vnode 0, 1, 2 …
    pub custody_numbers: Vec<u64>,
    /// Every shard that is or was, with its state.
    pub shards: BTreeMap<ShardId, ShardState>,
    /// The newest wish that was acted on: an older one is not.
    pub wish: u64,
    /// The number that the next handoff gets, at least 1.
    pub next_handoff: u64,
    /// The handoffs that are under way.
    pub moves: BTreeMap<HandoffId, Move>,
}

/// The ring of one collection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ring {
    parts: RingParts,
}

/// What is wrong with the parts of a ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The nil UUID names no collection.
    #[error("the ring has no identity: its uid is nil")]
    NilUid,
    /// The first epoch is 1.
    #[error("the ring's epoch is 0, and the first is 1")]
    ZeroEpoch,
    /// One custody number for each vnode.
    #[error("the ring has {vnodes} vnodes and {numbers} custody numbers")]
    CustodyCount {
        /// The number of vnodes.
        vnodes: u32,
        /// The number of custody numbers.
        numbers: usize,
    },
    /// An owned vnode has a custody number of at least 1.
    #[error("vnode {0} has custody number 0, and the first is 1")]
    ZeroCustody(u16),
    /// The owner is not among the shards.
    #[error("vnode {vnode} belongs to shard {owner}, which the ring does not list")]
    UnknownOwner {
        /// The vnode.
        vnode: u16,
        /// Its owner.
        owner: ShardId,
    },
    /// A retired shard owns nothing.
    #[error("vnode {vnode} belongs to shard {owner}, which is retired")]
    RetiredOwner {
        /// The vnode.
        vnode: u16,
        /// Its owner.
        owner: ShardId,
    },
    /// The first handoff has number 1.
    #[error("the ring's next handoff has number 0, and the first is 1")]
    ZeroHandoff,
    /// A handoff with a number that was not given out, or under another's name.
    #[error("the ring has a move {0}, which is not one of its handoffs")]
    StrayMove(HandoffId),
    /// A handoff without vnodes, or with one that the ring does not have.
    #[error("move {0} is of no vnodes of the ring")]
    NoVnodes(HandoffId),
    /// A handoff to or from a shard that cannot have vnodes.
    #[error("move {id} needs shard {shard}, which the ring does not list as one of two that live")]
    MoveShard {
        /// The handoff.
        id: HandoffId,
        /// The shard.
        shard: ShardId,
    },
    /// A vnode goes to one place at a time.
    #[error("vnode {0} is in two moves")]
    MovedTwice(u16),
}

impl Ring {
    /// A ring as it begins: epoch 1, every custody number 1, and the shards
    /// active. A shard may own nothing, when there are more than vnodes.
    ///
    /// # Errors
    /// The uid is nil, or the table names a shard that is not listed.
    pub fn first(
        uid: Uuid,
        table: Table,
        shards: impl IntoIterator<Item = ShardId>,
    ) -> Result<Self, RingError> {
        let custody_numbers = table
            .vnodes()
            .iter()
            .map(|_| FIRST_CUSTODY_NUMBER)
            .collect();
        let active = |id| (id, ShardState::Active);
        Self::from_parts(RingParts {
            uid,
            epoch: 1,
            table,
            custody_numbers,
            shards: shards.into_iter().map(active).collect(),
            wish: 0,
            next_handoff: 1,
            moves: BTreeMap::new(),
        })
    }

    /// A ring of these parts.
    ///
    /// # Errors
    /// They do not fit together; the first thing that is wrong.
    pub fn from_parts(parts: RingParts) -> Result<Self, RingError> {
        // Without `..`: a new part must be checked, or be said to need none.
        let RingParts {
            uid,
            epoch,
            table,
            custody_numbers,
            shards,
            // An older or a newer one than there are wishes is met where wishes are.
            wish: _,
            next_handoff,
            moves,
        } = &parts;
        if uid.is_nil() {
            return Err(RingError::NilUid);
        }
        if *epoch == 0 {
            return Err(RingError::ZeroEpoch);
        }
        if custody_numbers.len() != table.owners().len() {
            return Err(RingError::CustodyCount {
                vnodes: table.vnodes().get(),
                numbers: custody_numbers.len(),
            });
        }
        for ((Vnode(vnode), owner), c) in table.iter().zip(custody_numbers) {
            if *c < FIRST_CUSTODY_NUMBER {
                return Err(RingError::ZeroCustody(vnode));
            }
            match shards.get(&owner) {
                None => return Err(RingError::UnknownOwner { vnode, owner }),
                Some(ShardState::Retired) => return Err(RingError::RetiredOwner { vnode, owner }),
                Some(ShardState::Joining | ShardState::Active | ShardState::Leaving) => {}
            }
        }
        if *next_handoff == 0 {
            return Err(RingError::ZeroHandoff);
        }
        let mut moved = VnodeSet::new();
        for (id, Move { handoff, .. }) in moves {
            let id = *id;
            if handoff.id != id || !(1..*next_handoff).contains(&id.number) {
                return Err(RingError::StrayMove(id));
            }
            for shard in [handoff.from, handoff.to] {
                let state = shards.get(&shard);
                if handoff.from == handoff.to
                    || state.is_none_or(|state| *state == ShardState::Retired)
                {
                    return Err(RingError::MoveShard { id, shard });
                }
            }
            let is_in_ring = |vnode: &Vnode| u32::from(vnode.0) < table.vnodes().get();
            if handoff.vnodes.is_empty() || !handoff.vnodes.keys().all(is_in_ring) {
                return Err(RingError::NoVnodes(id));
            }
            for vnode in handoff.vnodes.keys() {
                if !moved.insert(*vnode) {
                    return Err(RingError::MovedTwice(vnode.0));
                }
            }
        }
        Ok(Self { parts })
    }

    /// The parts, to make the next ring of.
    #[must_use]
    pub fn into_parts(self) -> RingParts {
        self.parts
    }

    /// The identity of the collection.
    #[must_use]
    pub fn uid(&self) -> Uuid {
        self.parts.uid
    }

    /// How often the ring changed. For people and metrics: no answer depends
    /// on it.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.parts.epoch
    }

    /// The number of vnodes.
    #[must_use]
    pub fn vnodes(&self) -> VnodeCount {
        self.parts.table.vnodes()
    }

    /// The vnode that a key falls into.
    #[must_use]
    pub fn vnode_of(&self, key: &[u8]) -> Vnode {
        self.vnodes().vnode_of(key)
    }

    /// The owner of each vnode.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.parts.table
    }

    /// The owner of a vnode with its custody number; `None` when the ring has
    /// no such vnode.
    #[must_use]
    pub fn owner(&self, vnode: Vnode) -> Option<(ShardId, u64)> {
        let owner = self.parts.table.owner(vnode)?;
        let c = self.parts.custody_numbers.get(usize::from(vnode.0))?;
        Some((owner, *c))
    }

    /// The custody number of vnode 0, 1, 2 …
    #[must_use]
    pub fn custody_numbers(&self) -> &[u64] {
        &self.parts.custody_numbers
    }

    /// The vnodes that a shard owns.
    #[must_use]
    pub fn vnodes_of(&self, shard: ShardId) -> VnodeSet {
        self.parts.table.vnodes_of(shard)
    }

    /// Every shard that is or was, by ascending id.
    pub fn shards(&self) -> impl Iterator<Item = (ShardId, ShardState)> + '_ {
        self.parts.shards.iter().map(|(id, state)| (*id, *state))
    }

    /// The newest wish that was acted on.
    #[must_use]
    pub fn wish(&self) -> u64 {
        self.parts.wish
    }

    /// The number that the next handoff gets.
    #[must_use]
    pub fn next_handoff(&self) -> u64 {
        self.parts.next_handoff
    }

    /// The handoffs that are under way, the first begun first.
    #[must_use]
    pub fn moves(&self) -> &BTreeMap<HandoffId, Move> {
        &self.parts.moves
    }

    /// The state of a shard; `None` for one the ring never had.
    #[must_use]
    pub fn state(&self, shard: ShardId) -> Option<ShardState> {
        self.parts.shards.get(&shard).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::{Member, first_table};

    fn parts() -> RingParts {
        let members = [Member::equal(ShardId(0)), Member::equal(ShardId(1))];
        let table = first_table(VnodeCount::new(4).unwrap(), &members).unwrap();
        let ring = Ring::first(Uuid::from_u128(7), table, members.map(|m| m.id)).unwrap();
        ring.into_parts()
    }

    #[test]
    fn a_new_ring_is_at_epoch_one_with_custody_numbers_of_one() {
        let ring = Ring::from_parts(parts()).unwrap();
        assert_eq!(ring.uid(), Uuid::from_u128(7));
        assert_eq!(ring.epoch(), 1);
        assert_eq!(ring.custody_numbers(), [1; 4]);
        assert_eq!(ring.owner(Vnode(3)), Some((ShardId(1), 1)));
        assert_eq!(ring.owner(Vnode(4)), None);
        assert_eq!(ring.vnodes_of(ShardId(0)).len(), 2);
        let shards: Vec<_> = ring.shards().collect();
        assert_eq!(
            shards,
            [
                (ShardId(0), ShardState::Active),
                (ShardId(1), ShardState::Active)
            ]
        );
        assert_eq!(ring.state(ShardId(2)), None);
    }

    #[test]
    fn a_ring_may_have_a_shard_that_owns_nothing() {
        let table = Table::owned_by(VnodeCount::new(1).unwrap(), ShardId(0));
        let ring = Ring::first(Uuid::from_u128(7), table, [ShardId(0), ShardId(1)]).unwrap();
        assert_eq!(ring.state(ShardId(1)), Some(ShardState::Active));
        assert!(ring.vnodes_of(ShardId(1)).is_empty());
    }

    #[test]
    fn parts_that_do_not_fit_together_are_named() {
        type Break = fn(&mut RingParts);
        let cases: [(Break, RingError); 6] = [
            (|p| p.uid = Uuid::nil(), RingError::NilUid),
            (|p| p.epoch = 0, RingError::ZeroEpoch),
            (
                |p| p.custody_numbers.truncate(3),
                RingError::CustodyCount {
                    vnodes: 4,
                    numbers: 3,
                },
            ),
            (|p| p.custody_numbers[2] = 0, RingError::ZeroCustody(2)),
            (
                |p| {
                    p.shards.remove(&ShardId(1));
                },
                RingError::UnknownOwner {
                    vnode: 1,
                    owner: ShardId(1),
                },
            ),
            (
                |p| {
                    p.shards.insert(ShardId(0), ShardState::Retired);
                },
                RingError::RetiredOwner {
                    vnode: 0,
                    owner: ShardId(0),
                },
            ),
        ];
        for (breaks, error) in cases {
            let mut parts = parts();
            breaks(&mut parts);
            assert_eq!(Ring::from_parts(parts), Err(error));
        }
    }

    fn moving(number: u64, vnodes: &[u16]) -> (HandoffId, Move) {
        let id = HandoffId { number, nonce: 5 };
        let handoff = Handoff {
            id,
            from: ShardId(0),
            to: ShardId(1),
            vnodes: vnodes.iter().map(|v| (Vnode(*v), 1)).collect(),
        };
        let stage = Stage::Copy;
        (id, Move { handoff, stage })
    }

    #[test]
    fn moves_that_do_not_fit_the_ring_are_named() {
        let good = || {
            let mut parts = parts();
            parts.next_handoff = 3;
            parts.moves = [moving(1, &[0]), moving(2, &[2])].into();
            parts
        };
        let id = HandoffId {
            number: 2,
            nonce: 5,
        };
        assert_eq!(Ring::from_parts(good()).unwrap().moves().len(), 2);
        let broken = |breaks: &dyn Fn(&mut Handoff)| {
            let mut parts = good();
            breaks(&mut parts.moves.get_mut(&id).unwrap().handoff);
            Ring::from_parts(parts).unwrap_err()
        };
        assert_eq!(
            broken(&|it| it.id.number = 1),
            RingError::StrayMove(id),
            "under another's name"
        );
        for shard in [ShardId(0), ShardId(7)] {
            let other = if shard == ShardId(0) {
                ShardId(0)
            } else {
                shard
            };
            assert_eq!(
                broken(&|it| it.to = other),
                RingError::MoveShard { id, shard }
            );
        }
        assert_eq!(broken(&|it| it.vnodes.clear()), RingError::NoVnodes(id));
        let outside = |it: &mut Handoff| it.vnodes = [(Vnode(4), 1)].into();
        assert_eq!(broken(&outside), RingError::NoVnodes(id));
        let twice = |it: &mut Handoff| it.vnodes = [(Vnode(0), 1)].into();
        assert_eq!(broken(&twice), RingError::MovedTwice(0));
        let mut parts = good();
        parts.next_handoff = 2;
        assert_eq!(Ring::from_parts(parts), Err(RingError::StrayMove(id)));
        let mut parts = good();
        parts.next_handoff = 0;
        assert_eq!(Ring::from_parts(parts), Err(RingError::ZeroHandoff));
    }

    #[test]
    fn a_retired_shard_without_vnodes_is_remembered() {
        let mut parts = parts();
        parts.shards.insert(ShardId(9), ShardState::Retired);
        let ring = Ring::from_parts(parts).unwrap();
        assert_eq!(ring.state(ShardId(9)), Some(ShardState::Retired));
    }
}
