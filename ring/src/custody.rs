//! Custody: what a shard's own log says of a vnode, and what follows from it.
//! The ring plans and records; whether a shard may answer for a vnode is
//! decided by its custody alone, on replicated state, when an entry is applied.
//!
//! Each state answers two questions, may it be read and may it be written.
//! Every `match` here is exhaustive, so that a new state does not compile until
//! it has an answer to both and a byte of its own.

use crate::key::{Vnode, VnodeCount};
use crate::vnodes::VnodeSet;

/// What a shard is to a vnode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Custody {
    /// Nothing: it holds no point of the vnode and answers for none.
    #[default]
    None,
    /// The owner: it takes writes and answers reads.
    Owned,
}

impl Custody {
    /// Whether a read that names the vnode is answered from here. Otherwise
    /// the vnode is listed as not here, and the router asks elsewhere.
    #[must_use]
    pub fn answers_reads(self) -> bool {
        match self {
            Self::None => false,
            Self::Owned => true,
        }
    }

    /// Whether a write to the vnode is accepted here. A refusal is final: it
    /// never has an effect later.
    #[must_use]
    pub fn accepts_writes(self) -> bool {
        match self {
            Self::None => false,
            Self::Owned => true,
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Owned => 1,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::None),
            1 => Some(Self::Owned),
            _ => None,
        }
    }
}

/// The custody number that every vnode of a new ring begins with.
pub const FIRST_CUSTODY_NUMBER: u64 = 1;

/// A shard's custody of one vnode with its custody number. The number rises
/// with every change of owner, so of two claims the higher one is the newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holding {
    /// The custody.
    pub custody: Custody,
    /// The custody number; 0 for a vnode that was never held here.
    pub c: u64,
}

impl Holding {
    /// The length of the encoded form.
    pub const BYTES: usize = 9;

    /// The encoded form: the state in one byte, then the number, little-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = self.custody.to_byte();
        bytes[1..].copy_from_slice(&self.c.to_le_bytes());
        bytes
    }

    /// The holding of an encoded form.
    ///
    /// # Errors
    /// The bytes are not one that [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HoldingError> {
        let bytes: [u8; Self::BYTES] = bytes
            .try_into()
            .map_err(|_| HoldingError::Length(bytes.len()))?;
        let [state, c @ ..] = bytes;
        let custody = Custody::from_byte(state).ok_or(HoldingError::State(state))?;
        let c = u64::from_le_bytes(c);
        if custody != Custody::None && c < FIRST_CUSTODY_NUMBER {
            return Err(HoldingError::HeldWithoutNumber(custody));
        }
        Ok(Self { custody, c })
    }
}

/// Bytes that are no holding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldingError {
    /// Of another length.
    #[error("a holding is 9 bytes long, not {0}")]
    Length(usize),
    /// A state that this version does not know.
    #[error("custody state {0} is not known to this version; a newer one may have written it")]
    State(u8),
    /// A vnode that is held has a number of at least 1.
    #[error("a vnode is {0:?} with custody number 0")]
    HeldWithoutNumber(Custody),
}

/// Why a shard cannot be founded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoundError {
    /// The shard has a history. Founding it again would take vnodes that may
    /// be somebody else's by now.
    #[error(
        "the shard has applied {applied} entries already; only one with an empty log can be founded"
    )]
    NotEmpty {
        /// How many entries it has applied.
        applied: u64,
    },
    /// A vnode that the ring does not have.
    #[error("the ring has {count} vnodes, and {vnode} is not one of them")]
    NotInRing {
        /// The vnode that was named.
        vnode: u16,
        /// The number of vnodes of the ring.
        count: u32,
    },
}

/// A shard's birth: one that has applied nothing so far takes the vnodes that
/// the first ring gives it, each with custody number 1, and holds none of the
/// others. Gives the holding of every vnode of the ring, in order.
///
/// The birth is an entry of the shard's log like any other. `applied` is how
/// many entries that change its state came before.
///
/// # Errors
/// Something was applied before, or a vnode is not of this ring. Nothing
/// changes then.
pub fn found(
    applied: u64,
    count: VnodeCount,
    vnodes: &VnodeSet,
) -> Result<Vec<Holding>, FoundError> {
    if applied > 0 {
        return Err(FoundError::NotEmpty { applied });
    }
    let outside = |vnode: &Vnode| u32::from(vnode.0) >= count.get();
    if let Some(vnode) = vnodes.iter().find(outside) {
        return Err(FoundError::NotInRing {
            vnode: vnode.0,
            count: count.get(),
        });
    }
    let holding = |vnode| {
        if vnodes.contains(vnode) {
            Holding {
                custody: Custody::Owned,
                c: FIRST_CUSTODY_NUMBER,
            }
        } else {
            Holding::default()
        }
    };
    Ok(count.iter().map(holding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(n: u32) -> VnodeCount {
        VnodeCount::new(n).unwrap()
    }

    #[test]
    fn only_the_owner_answers_reads_and_accepts_writes() {
        assert!(Custody::Owned.answers_reads() && Custody::Owned.accepts_writes());
        assert!(!Custody::None.answers_reads() && !Custody::None.accepts_writes());
    }

    #[test]
    fn a_new_shard_takes_its_vnodes_with_number_one_and_no_other() {
        let own: VnodeSet = [Vnode(0), Vnode(3)].into_iter().collect();
        let holdings = found(0, count(4), &own).unwrap();
        let owned = Holding {
            custody: Custody::Owned,
            c: 1,
        };
        let none = Holding {
            custody: Custody::None,
            c: 0,
        };
        assert_eq!(holdings, [owned, none, none, owned]);
    }

    #[test]
    fn a_shard_without_vnodes_can_be_founded() {
        let holdings = found(0, count(4), &VnodeSet::new()).unwrap();
        assert_eq!(holdings, [Holding::default(); 4]);
    }

    #[test]
    fn a_shard_with_a_history_is_not_founded_again() {
        let own: VnodeSet = [Vnode(0)].into_iter().collect();
        assert_eq!(
            found(1, count(4), &own),
            Err(FoundError::NotEmpty { applied: 1 })
        );
    }

    #[test]
    fn a_shard_is_not_founded_with_a_vnode_outside_the_ring() {
        let own: VnodeSet = [Vnode(1), Vnode(4)].into_iter().collect();
        assert_eq!(
            found(0, count(4), &own),
            Err(FoundError::NotInRing { vnode: 4, count: 4 })
        );
    }

    #[test]
    fn holdings_written_by_the_first_version_are_still_read() {
        let owned = [1, 7, 0, 0, 0, 0, 0, 0, 0];
        let holding = Holding {
            custody: Custody::Owned,
            c: 7,
        };
        assert_eq!(Holding::from_bytes(&owned), Ok(holding));
        assert_eq!(holding.to_bytes(), owned);
        assert_eq!(Holding::default().to_bytes(), [0; 9]);
    }

    #[test]
    fn bytes_that_are_no_holding_are_named() {
        assert_eq!(Holding::from_bytes(&[1; 8]), Err(HoldingError::Length(8)));
        let unknown = [9, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Holding::from_bytes(&unknown), Err(HoldingError::State(9)));
        let without = [1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            Holding::from_bytes(&without),
            Err(HoldingError::HeldWithoutNumber(Custody::Owned))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_holding_that_writes_the_same_bytes_or_an_error(
            bytes in prop::collection::vec(prop_oneof![0_u8..3, any::<u8>()], 0..12),
        ) {
            if let Ok(holding) = Holding::from_bytes(&bytes) {
                prop_assert_eq!(holding.to_bytes().to_vec(), bytes);
            }
        }

        #[test]
        fn a_holding_survives_its_encoded_form(owned: bool, c: u64) {
            let custody = if owned { Custody::Owned } else { Custody::None };
            let c = if owned { c.max(1) } else { c };
            let holding = Holding { custody, c };
            prop_assert_eq!(Holding::from_bytes(&holding.to_bytes()), Ok(holding));
        }
    }
}
