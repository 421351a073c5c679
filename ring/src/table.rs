//! The table vnode → shard: which shard each vnode is placed on. It decides
//! nothing; it holds one owner for each vnode and counts them. What the next
//! table is, [`crate::claim`] decides.

use std::collections::BTreeMap;

use crate::key::{BadVnodeCount, ShardId, Vnode, VnodeCount};
use crate::vnodes::VnodeSet;

/// One owner for each vnode of a ring. Owners are total: there is no vnode
/// without one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    vnodes: VnodeCount,
    owners: Vec<ShardId>,
}

/// A vnode whose owner differs between two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reassigned {
    /// The vnode.
    pub vnode: Vnode,
    /// Its owner in the earlier table.
    pub from: ShardId,
    /// Its owner in the later table.
    pub to: ShardId,
}

impl Table {
    /// A table of the owners of vnode 0, 1, 2 …
    ///
    /// # Errors
    /// The number of owners is not a number of vnodes that a ring can have.
    pub fn new(owners: Vec<ShardId>) -> Result<Self, BadVnodeCount> {
        let count = u32::try_from(owners.len()).map_err(|_| BadVnodeCount(u32::MAX))?;
        let vnodes = VnodeCount::new(count)?;
        Ok(Self { vnodes, owners })
    }

    /// A table in which one shard owns everything.
    #[must_use]
    pub fn owned_by(vnodes: VnodeCount, shard: ShardId) -> Self {
        let owners = vnodes.iter().map(|_| shard).collect();
        Self { vnodes, owners }
    }

    /// The number of vnodes.
    #[must_use]
    pub fn vnodes(&self) -> VnodeCount {
        self.vnodes
    }

    /// The owner of a vnode; `None` when the ring has no such vnode.
    #[must_use]
    pub fn owner(&self, vnode: Vnode) -> Option<ShardId> {
        self.owners.get(usize::from(vnode.0)).copied()
    }

    /// The owners of vnode 0, 1, 2 …
    #[must_use]
    pub fn owners(&self) -> &[ShardId] {
        &self.owners
    }

    /// Each vnode with its owner, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Vnode, ShardId)> + '_ {
        self.vnodes.iter().zip(self.owners.iter().copied())
    }

    /// The vnodes that a shard owns.
    #[must_use]
    pub fn vnodes_of(&self, shard: ShardId) -> VnodeSet {
        let own = self.iter().filter(|(_, owner)| *owner == shard);
        own.map(|(vnode, _)| vnode).collect()
    }

    /// How many vnodes each owner has; a shard without any is not listed.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<ShardId, u64> {
        let mut counts = BTreeMap::new();
        for owner in &self.owners {
            *counts.entry(*owner).or_default() += 1;
        }
        counts
    }

    /// The vnodes that have another owner in a later table of the same ring,
    /// in order. A ring never changes its number of vnodes; where two tables
    /// differ in it, only the vnodes that both have are compared.
    pub fn reassigned<'a>(&'a self, later: &'a Self) -> impl Iterator<Item = Reassigned> + 'a {
        self.iter()
            .zip(&later.owners)
            .filter(|((_, from), to)| from != *to)
            .map(|((vnode, from), to)| Reassigned {
                vnode,
                from,
                to: *to,
            })
    }

    /// Gives vnodes to new owners. Vnodes that the ring does not have are
    /// passed over: a table only ever has the vnodes it began with.
    pub(crate) fn assign(&mut self, owners: impl IntoIterator<Item = (Vnode, ShardId)>) {
        for (vnode, owner) in owners {
            if let Some(slot) = self.owners.get_mut(usize::from(vnode.0)) {
                *slot = owner;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(owners: &[u32]) -> Table {
        Table::new(owners.iter().map(|id| ShardId(*id)).collect()).unwrap()
    }

    #[test]
    fn a_table_has_a_power_of_two_of_vnodes() {
        for bad in [0, 3, 6, 65_537] {
            let owners = vec![ShardId(0); bad];
            let error = Table::new(owners).unwrap_err();
            assert_eq!(error, BadVnodeCount(u32::try_from(bad).unwrap()));
        }
        for good in [1, 2, 4096, 65_536] {
            assert_eq!(
                Table::new(vec![ShardId(0); good]).unwrap().owners().len(),
                good
            );
        }
    }

    #[test]
    fn a_vnode_the_ring_does_not_have_has_no_owner() {
        let table = table(&[7, 8]);
        assert_eq!(table.owner(Vnode(1)), Some(ShardId(8)));
        assert_eq!(table.owner(Vnode(2)), None);
    }

    #[test]
    fn counts_and_sets_add_up_to_the_table() {
        let table = table(&[1, 2, 1, 1]);
        assert_eq!(
            table.counts(),
            BTreeMap::from([(ShardId(1), 3), (ShardId(2), 1)])
        );
        assert_eq!(
            table.vnodes_of(ShardId(1)),
            [Vnode(0), Vnode(2), Vnode(3)].into_iter().collect()
        );
        assert!(table.vnodes_of(ShardId(9)).is_empty());
    }

    #[test]
    fn reassigned_names_each_vnode_that_changes_and_no_other() {
        let moved: Vec<_> = table(&[1, 2, 1, 1])
            .reassigned(&table(&[1, 3, 1, 2]))
            .collect();
        let one = |vnode, from, to| Reassigned {
            vnode: Vnode(vnode),
            from: ShardId(from),
            to: ShardId(to),
        };
        assert_eq!(moved, [one(1, 2, 3), one(3, 1, 2)]);
    }
}
