//! Claim: from a table and weighted members, the next table.
//!
//! Each member's exact share is `V × weight ÷ total weight`, and its quota that
//! share rounded down or up: nobody is off by a whole vnode. Who is rounded up
//! is decided so that the fewest vnodes move, and ties go by what leaves the
//! parts most even, then by id. A member above its quota gives up the surplus,
//! picked evenly over what it has; one that is not a member, or has weight 0,
//! gives up all. What is given up is dealt out in turn to those below quota.
//! Nothing else moves.
//!
//! ```text
//! have   A 4  B 4   and C joins, all of equal weight
//! share  2.67 each
//! quota  A 3  B 3  C 2: rounding up A and B saves a move each
//! moves  one of A's to C, one of B's to C
//! ```
//!
//! Among members of equal weight, a join therefore takes vnodes only to the
//! newcomer, and a leave takes them only from the leaver. Among unequal weights
//! the same holds except where somebody would then be off by a whole vnode.
//!
//! The result is a function of the table and of the set of members (not of
//! their order), and claiming again changes nothing.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::key::{ShardId, Vnode, VnodeCount};
use crate::table::Table;

#[cfg(test)]
mod tests;

/// A shard that takes part in a claim, with its weight relative to the others.
/// A weight of 0 drains it: it stays a member and owns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The shard.
    pub id: ShardId,
    /// Its weight.
    pub weight: u32,
}

impl Member {
    /// A member of weight 1, as all are unless something else is asked for.
    #[must_use]
    pub fn equal(id: ShardId) -> Self {
        Self { id, weight: 1 }
    }
}

/// Members that cannot own a ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Nobody is there to own the vnodes.
    #[error("a ring needs at least one member, and the list of members is empty")]
    NoMembers,
    /// Everybody is drained.
    #[error("every member has weight 0; at least one needs more to own the vnodes")]
    AllDrained,
    /// A shard is listed twice, so its weight is not known.
    #[error("shard {0} is listed twice among the members")]
    ListedTwice(ShardId),
}

/// The first table of a ring: each member's vnodes evenly spread over it, so
/// that neighbours rarely have the same owner.
///
/// # Errors
/// The members cannot own a ring.
pub fn first_table(vnodes: VnodeCount, members: &[Member]) -> Result<Table, ClaimError> {
    let seats = seats(vnodes, members, &BTreeMap::new())?;
    let owners = interleave(seats.iter().map(|seat| (seat.id, seat.quota)));
    // The quotas add up to V, so nothing is left to whom it is given first.
    let mut table = Table::owned_by(vnodes, seats[0].id);
    table.assign(vnodes.iter().zip(owners));
    Ok(table)
}

/// The table that follows `previous` with these members.
///
/// # Errors
/// The members cannot own a ring.
pub fn claim(previous: &Table, members: &[Member]) -> Result<Table, ClaimError> {
    let seats = seats(previous.vnodes(), members, &previous.counts())?;
    let free = given_up(previous, &seats);
    let wanted = seats
        .iter()
        .map(|seat| (seat.id, seat.quota.saturating_sub(seat.have)));
    let takers = interleave(wanted);
    let mut next = previous.clone();
    next.assign(free.into_iter().zip(takers));
    Ok(next)
}

/// The fewest vnodes that any balanced table for these members must move.
/// [`claim`] moves exactly so many; this is computed without it, from the
/// shares alone, so that the one can be held against the other.
///
/// # Errors
/// The members cannot own a ring.
pub fn least_moves(previous: &Table, members: &[Member]) -> Result<u64, ClaimError> {
    let counts = previous.counts();
    let shares = shares(previous.vnodes(), members)?;
    let mut kept = 0;
    let mut left = u64::from(previous.vnodes().get());
    let mut would_keep_one_more = 0;
    for share in &shares {
        let have = counts.get(&share.id).copied().unwrap_or(0);
        kept += have.min(share.floor);
        left -= share.floor;
        would_keep_one_more += u64::from(have > share.floor && share.rest > 0);
    }
    kept += left.min(would_keep_one_more);
    Ok(u64::from(previous.vnodes().get()) - kept)
}

/// A member's exact share, as a whole number and what is left of it.
struct Share {
    id: ShardId,
    floor: u64,
    /// The numerator of the fraction; the denominator is the total weight.
    rest: u64,
}

/// A member with what it has and what it shall have.
struct Seat {
    id: ShardId,
    have: u64,
    quota: u64,
    /// Where in its own vnodes it begins to pick what it gives up; below
    /// `have`, and another for each member.
    phase: u64,
}

impl Seat {
    /// Whether the `nth` of the vnodes it has is among those it gives up:
    /// `have - quota` of them, at even distances. Were they a run, or every
    /// donor's last, a range of neighbouring vnodes would end up on one shard.
    fn gives_up(&self, nth: u64) -> bool {
        let surplus = self.have.saturating_sub(self.quota);
        let picked_before = |nth: u64| (nth * surplus + self.phase) / self.have;
        picked_before(nth + 1) > picked_before(nth)
    }
}

/// The exact shares, by ascending id.
fn shares(vnodes: VnodeCount, members: &[Member]) -> Result<Vec<Share>, ClaimError> {
    if members.is_empty() {
        return Err(ClaimError::NoMembers);
    }
    let total: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
    if total == 0 {
        return Err(ClaimError::AllDrained);
    }
    let mut weights = BTreeMap::new();
    for member in members {
        if weights.insert(member.id, member.weight).is_some() {
            return Err(ClaimError::ListedTwice(member.id));
        }
    }
    let share = |(id, weight)| {
        // At most 2^16 vnodes times a weight below 2^32: it cannot overflow.
        let exact = u64::from(vnodes.get()) * u64::from(weight);
        Share {
            id,
            floor: exact / total,
            rest: exact % total,
        }
    };
    Ok(weights.into_iter().map(share).collect())
}

/// Quotas for the members, by ascending id; they add up to the number of
/// vnodes.
fn seats(
    vnodes: VnodeCount,
    members: &[Member],
    counts: &BTreeMap<ShardId, u64>,
) -> Result<Vec<Seat>, ClaimError> {
    let shares = shares(vnodes, members)?;
    let have = |share: &Share| counts.get(&share.id).copied().unwrap_or(0);
    let left = u64::from(vnodes.get()) - shares.iter().map(|share| share.floor).sum::<u64>();

    // Who is rounded up. First whoever has more than the whole part already:
    // each such choice saves a move, and as claim leaves exactly these, it
    // chooses the same again. Then the larger rest, which is nearest to the
    // exact share. Then who has more, so that all grow by as nearly the same
    // number as possible. A share without a rest is exact and never rounded.
    let mut upwards: Vec<&Share> = shares.iter().filter(|share| share.rest > 0).collect();
    upwards.sort_by_key(|share| {
        let have = have(share);
        let saves_a_move = have > share.floor;
        (
            Reverse(saves_a_move),
            Reverse(share.rest),
            Reverse(have),
            share.id,
        )
    });
    let mut quotas: BTreeMap<ShardId, u64> =
        shares.iter().map(|share| (share.id, share.floor)).collect();
    for (share, _) in upwards.into_iter().zip(0..left) {
        quotas.insert(share.id, share.floor + 1);
    }

    let members = shares.len() as u64;
    let seat = |(nth, share): (u64, &Share)| Seat {
        id: share.id,
        have: have(share),
        quota: quotas.get(&share.id).copied().unwrap_or(share.floor),
        phase: have(share) * nth / members,
    };
    Ok((0..).zip(&shares).map(seat).collect())
}

/// The vnodes that change hands, in order.
fn given_up(previous: &Table, seats: &[Seat]) -> Vec<Vnode> {
    let mut seen: BTreeMap<ShardId, (&Seat, u64)> =
        seats.iter().map(|seat| (seat.id, (seat, 0))).collect();
    let mut free = Vec::new();
    for (vnode, owner) in previous.iter() {
        let freed = match seen.get_mut(&owner) {
            None => true,
            Some((seat, nth)) => {
                let freed = seat.gives_up(*nth);
                *nth += 1;
                freed
            }
        };
        if freed {
            free.push(vnode);
        }
    }
    free
}

/// Each shard as often as it is asked for, all of them spread evenly: the j-th
/// of n stands at (j + ½) ÷ n of the way, in whole numbers so that every
/// machine puts them in the same order.
fn interleave(shares: impl Iterator<Item = (ShardId, u64)>) -> Vec<ShardId> {
    let mut places: Vec<(u64, ShardId)> = shares
        .flat_map(|(id, n)| (0..n).map(move |j| (((2 * j + 1) << 40) / (2 * n), id)))
        .collect();
    places.sort_unstable();
    places.into_iter().map(|(_, id)| id).collect()
}
