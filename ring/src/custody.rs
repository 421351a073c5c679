//! Custody: what a shard's own log says of a vnode, and what follows from it.
//! The ring plans and records; whether a shard may answer for a vnode is
//! decided by its custody alone, on replicated state, when an entry is applied.
//!
//! Each state answers two questions, may it be read and may it be written.
//! Every `match` here is exhaustive, so that a new state does not compile until
//! it has an answer to both and a byte of its own.

use crate::handoff::HandoffId;
use crate::key::{ShardId, Vnode, VnodeCount};
use crate::vnodes::VnodeSet;

#[cfg(test)]
mod tests;

/// What a shard is to a vnode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Custody {
    /// Nothing: it holds no point of the vnode and answers for none.
    #[default]
    None,
    /// The owner: it takes writes and answers reads.
    Owned,
    /// The owner still, while the vnode is copied.
    Leaving(HandoffId),
    /// Frozen: whether it is another's is decided there.
    Sealed(HandoffId),
    /// It is being copied to here, and nobody sees it.
    Arriving {
        /// By which handoff.
        handoff: HandoffId,
        /// Up to which change of the source it is here.
        cursor: u64,
    },
}

/// Which reads of a vnode a shard answers. Otherwise the vnode is listed as not
/// here, and the router asks elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answers {
    /// None.
    Nothing,
    /// Those that need not show the newest writes: another may take them by now.
    Old,
    /// All.
    All,
}

impl Custody {
    /// Which reads that name the vnode are answered from here.
    #[must_use]
    pub fn answers(self) -> Answers {
        match self {
            Self::None | Self::Arriving { .. } => Answers::Nothing,
            Self::Sealed(_) => Answers::Old,
            Self::Owned | Self::Leaving(_) => Answers::All,
        }
    }

    /// Whether a write to the vnode is accepted here. A refusal is final: it
    /// never has an effect later.
    #[must_use]
    pub fn accepts_writes(self) -> bool {
        match self {
            Self::None | Self::Sealed(_) | Self::Arriving { .. } => false,
            Self::Owned | Self::Leaving(_) => true,
        }
    }
}

/// The custody number that every vnode of a new ring begins with.
pub const FIRST_CUSTODY_NUMBER: u64 = 1;

/// Where a vnode is said to be. Of two hints the one with the higher custody number
/// is the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hint {
    /// The custody number that it has there.
    pub c: u64,
    /// The shard.
    pub shard: ShardId,
}

/// A shard's custody of one vnode with its custody number. The number rises
/// with every change of owner, so of two claims the higher one is the newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holding {
    /// The custody.
    pub custody: Custody,
    /// The custody number; 0 for a vnode that was never held here.
    pub c: u64,
    /// The highest number of a handoff that was opened, prepared or ended here; 0 for
    /// none. Only a later one begins.
    pub fence: u64,
    /// Where the vnode went when it was last let go of.
    pub went: Option<Hint>,
}

const FENCED: u8 = 0x10;
const WENT: u8 = 0x20;

impl Holding {
    /// Appends the encoded form: one byte with the state and what follows, the custody
    /// number, and then the handoff, the cursor, the fence, and where it went, as far as
    /// they are there; numbers little-endian.
    pub fn write(self, out: &mut Vec<u8>) {
        let Self {
            custody,
            c,
            fence,
            went,
        } = self;
        let (state, handoff, cursor) = match custody {
            Custody::None => (0, None, None),
            Custody::Owned => (1, None, None),
            Custody::Leaving(id) => (2, Some(id), None),
            Custody::Sealed(id) => (3, Some(id), None),
            Custody::Arriving { handoff, cursor } => (4, Some(handoff), Some(cursor)),
        };
        let fenced = if fence > 0 { FENCED } else { 0 };
        let gone = if went.is_some() { WENT } else { 0 };
        out.push(state | fenced | gone);
        out.extend(c.to_le_bytes());
        if let Some(id) = handoff {
            out.extend(id.number.to_le_bytes());
            out.extend(id.nonce.to_le_bytes());
        }
        if let Some(cursor) = cursor {
            out.extend(cursor.to_le_bytes());
        }
        if fence > 0 {
            out.extend(fence.to_le_bytes());
        }
        if let Some(hint) = went {
            out.extend(hint.shard.0.to_le_bytes());
            out.extend(hint.c.to_le_bytes());
        }
    }

    /// Reads an encoded form off the beginning of some bytes.
    ///
    /// # Errors
    /// The bytes do not begin with one that [`Self::write`] wrote.
    pub fn read(bytes: &mut &[u8]) -> Result<Self, HoldingError> {
        let [first] = take(bytes)?;
        let c = number(bytes)?;
        let mut id = || -> Result<_, HoldingError> {
            Ok(HandoffId {
                number: number(bytes)?,
                nonce: number(bytes)?,
            })
        };
        let custody = match first & !(FENCED | WENT) {
            0 => Custody::None,
            1 => Custody::Owned,
            2 => Custody::Leaving(id()?),
            3 => Custody::Sealed(id()?),
            4 => Custody::Arriving {
                handoff: id()?,
                cursor: number(bytes)?,
            },
            state => return Err(HoldingError::State(state)),
        };
        let fence = if first & FENCED == 0 {
            0
        } else {
            number(bytes)?
        };
        let went = if first & WENT == 0 {
            None
        } else {
            let shard = ShardId(u32::from_le_bytes(take(bytes)?));
            let c = number(bytes)?;
            Some(Hint { c, shard })
        };
        if first & FENCED != 0 && fence == 0 {
            return Err(HoldingError::NoFence);
        }
        if custody.answers() > Answers::Nothing && c < FIRST_CUSTODY_NUMBER {
            return Err(HoldingError::HeldWithoutNumber(custody));
        }
        Ok(Self {
            custody,
            c,
            fence,
            went,
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], HoldingError> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(HoldingError::Ends)?;
    *bytes = rest;
    Ok(*taken)
}

fn number(bytes: &mut &[u8]) -> Result<u64, HoldingError> {
    take(bytes).map(u64::from_le_bytes)
}

/// Bytes that are no holding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldingError {
    /// They end within it.
    #[error("the bytes end within a holding")]
    Ends,
    /// A state that this version does not know.
    #[error("custody state {0} is not known to this version; a newer one may have written it")]
    State(u8),
    /// A vnode that is held has a number of at least 1.
    #[error("a vnode is {0:?} with custody number 0")]
    HeldWithoutNumber(Custody),
    /// A fence is a handoff's number, and the first is 1.
    #[error("a vnode has a fence of 0")]
    NoFence,
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
                ..Holding::default()
            }
        } else {
            Holding::default()
        }
    };
    Ok(count.iter().map(holding).collect())
}
