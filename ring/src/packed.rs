//! The packed form of a ring: the bytes that a store keeps. It decides the
//! format, and that nothing which is not a whole, undamaged and consistent ring
//! is ever taken for one.
//!
//! ```text
//! "QUOITRG"  format (1)  uid (16)  epoch (8)  log2 V (1)
//! shards:  how many, then each by ascending id: id, state (1)
//! owners:  for each vnode the place of its owner in that list
//! custody: for each vnode its custody number
//! wish, next handoff
//! moves:   how many, then each by ascending name: number, nonce (8), stage (1), the
//!          places of source and target in the list of shards, how many vnodes, then
//!          each by ascending number: how far behind the one before, custody number
//! xxh3 of all that precedes (8)
//! ```
//!
//! Fixed numbers are little-endian. The others are varints (LEB128) in their
//! shortest form, so that a ring has exactly one packed form and equal bytes
//! mean equal rings. 4,096 vnodes on a hundred shards are 8 KB while the custody
//! numbers are small, and stay under 35 KB until they pass 2^35.

use std::collections::BTreeMap;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::handoff::{Handoff, HandoffId};
use crate::key::{BadVnodeCount, ShardId, Vnode, VnodeCount};
use crate::ring::{Move, Ring, RingError, RingParts, ShardState, Stage};
use crate::table::Table;

#[cfg(test)]
mod tests;

const MAGIC: [u8; 7] = *b"QUOITRG";
const FORMAT: u8 = 1;
const CHECKSUM: usize = 8;

/// Bytes that are no ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// They do not begin as a ring does.
    #[error("these bytes are not a packed ring")]
    NotARing,
    /// A newer version wrote them.
    #[error(
        "the ring is packed in format {0}, and this version reads format {FORMAT}; \
         use the version of Quoit that wrote it, or a newer one"
    )]
    UnknownFormat(u8),
    /// Some of the bytes are not those that were written.
    #[error(
        "the packed ring is damaged: its checksum is {stored:016x}, its bytes have {computed:016x}"
    )]
    Damaged {
        /// The checksum it carries.
        stored: u64,
        /// The checksum of its bytes.
        computed: u64,
    },
    /// The bytes end before the ring does.
    #[error("the packed ring ends within its {0}")]
    Ends(&'static str),
    /// A number that is not in its shortest form or does not fit.
    #[error("the packed ring has a number among its {0} that is malformed or too large")]
    Number(&'static str),
    /// A number of vnodes that no ring has.
    #[error("the packed ring's number of vnodes is 2^{0}, and the largest is 2^16")]
    VnodeCount(u8),
    /// A state that this version does not know.
    #[error("the packed ring has shard {shard} in state {state}, which this version does not know")]
    ShardState {
        /// The shard.
        shard: ShardId,
        /// The state.
        state: u8,
    },
    /// The shards are listed by ascending id.
    #[error("the packed ring lists shard {0} out of order or twice")]
    ShardOrder(ShardId),
    /// A shard that is not in the list of shards.
    #[error(
        "the packed ring names entry {entry} of a list of {shards} shards, in number {nth} of its {what}"
    )]
    NoSuchShard {
        /// Among what.
        what: &'static str,
        /// The how manieth of them, from 0.
        nth: usize,
        /// The place in the list of shards.
        entry: u64,
        /// The length of that list.
        shards: usize,
    },
    /// A stage that this version does not know.
    #[error("the packed ring has move {id} in stage {stage}, which this version does not know")]
    Stage {
        /// The move.
        id: HandoffId,
        /// The stage.
        stage: u8,
    },
    /// The moves are listed by ascending name.
    #[error("the packed ring lists move {0} out of order or twice")]
    MoveOrder(HandoffId),
    /// There is more than a ring.
    #[error("the packed ring is followed by {0} bytes that are not part of it")]
    Trailing(usize),
    /// It can be read and makes no sense.
    #[error("the packed ring is inconsistent")]
    Inconsistent(#[source] RingError),
}

impl Ring {
    /// The packed form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + 3 * self.table().owners().len());
        out.extend(MAGIC);
        out.push(FORMAT);
        out.extend(self.uid().as_bytes());
        out.extend(self.epoch().to_le_bytes());
        // The logarithm of a number of vnodes is at most 16.
        #[allow(clippy::cast_possible_truncation)]
        out.push(self.vnodes().get().trailing_zeros() as u8);

        let mut places = BTreeMap::new();
        for (place, (id, _)) in (0_u64..).zip(self.shards()) {
            places.insert(id, place);
        }
        put_varint(&mut out, places.len() as u64);
        for (id, state) in self.shards() {
            put_varint(&mut out, u64::from(id.0));
            out.push(state_to_byte(state));
        }
        for owner in self.table().owners() {
            // Every owner is listed: a ring is checked when it is made. Were
            // one not, this entry is none of the list and reading it fails.
            let place = places.get(owner).copied().unwrap_or(u64::MAX);
            put_varint(&mut out, place);
        }
        for c in self.custody_numbers() {
            put_varint(&mut out, *c);
        }
        put_varint(&mut out, self.wish());
        put_varint(&mut out, self.next_handoff());
        put_varint(&mut out, self.moves().len() as u64);
        for (id, Move { handoff, stage }) in self.moves() {
            put_varint(&mut out, id.number);
            out.extend(id.nonce.to_le_bytes());
            out.push(stage_to_byte(*stage));
            for shard in [handoff.from, handoff.to] {
                put_varint(&mut out, places.get(&shard).copied().unwrap_or(u64::MAX));
            }
            put_varint(&mut out, handoff.vnodes.len() as u64);
            let mut next = 0;
            for (vnode, c) in &handoff.vnodes {
                put_varint(&mut out, u64::from(vnode.0) - next);
                put_varint(&mut out, *c);
                next = u64::from(vnode.0) + 1;
            }
        }
        let checksum = xxh3_64(&out);
        out.extend(checksum.to_le_bytes());
        out
    }

    /// The ring of a packed form.
    ///
    /// # Errors
    /// The bytes are not exactly what [`Self::to_bytes`] gives for some ring;
    /// the first thing that is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, UnpackError> {
        let mut input = Input(bytes.strip_prefix(&MAGIC).ok_or(UnpackError::NotARing)?);
        // Before the checksum: another format may have it elsewhere.
        let [format] = input.take("format")?;
        if format != FORMAT {
            return Err(UnpackError::UnknownFormat(format));
        }
        let (content, checksum) = bytes
            .split_last_chunk::<CHECKSUM>()
            .ok_or(UnpackError::Ends("checksum"))?;
        let stored = u64::from_le_bytes(*checksum);
        let computed = xxh3_64(content);
        if stored != computed {
            return Err(UnpackError::Damaged { stored, computed });
        }
        input.0 = content
            .get(MAGIC.len() + 1..)
            .ok_or(UnpackError::Ends("header"))?;

        let uid = Uuid::from_bytes(input.take("uid")?);
        let epoch = u64::from_le_bytes(input.take("epoch")?);
        let vnodes = input.vnodes()?;
        let shards = input.shards()?;
        let table = input.table(vnodes, &shards)?;
        let custody_numbers = vnodes
            .iter()
            .map(|_| input.varint("custody numbers"))
            .collect::<Result<_, _>>()?;
        let wish = input.varint("wish")?;
        let next_handoff = input.varint("next handoff")?;
        let moves = input.moves(&shards)?;
        if !input.0.is_empty() {
            return Err(UnpackError::Trailing(input.0.len()));
        }
        Self::from_parts(RingParts {
            uid,
            epoch,
            table,
            custody_numbers,
            shards: shards.into_iter().collect(),
            wish,
            next_handoff,
            moves,
        })
        .map_err(UnpackError::Inconsistent)
    }
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], UnpackError> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(UnpackError::Ends(what))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// A varint in its shortest form.
    fn varint(&mut self, what: &'static str) -> Result<u64, UnpackError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take(what)?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit only.
            if bits << shift >> shift != bits {
                return Err(UnpackError::Number(what));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // A last byte of 0 adds nothing: a shorter form exists.
                let shortest = byte != 0 || shift == 0;
                return shortest.then_some(value).ok_or(UnpackError::Number(what));
            }
        }
        Err(UnpackError::Number(what))
    }

    fn vnodes(&mut self) -> Result<VnodeCount, UnpackError> {
        let [log2] = self.take("number of vnodes")?;
        1_u32
            .checked_shl(u32::from(log2))
            .and_then(|count| VnodeCount::new(count).ok())
            .ok_or(UnpackError::VnodeCount(log2))
    }

    /// The shards, by ascending id.
    fn shards(&mut self) -> Result<Vec<(ShardId, ShardState)>, UnpackError> {
        const WHAT: &str = "shards";
        // Not reserved up front: the number is not to be believed before that
        // many have been read.
        let mut shards: Vec<(ShardId, ShardState)> = Vec::new();
        for _ in 0..self.varint(WHAT)? {
            let id = u32::try_from(self.varint(WHAT)?).map_err(|_| UnpackError::Number(WHAT))?;
            let shard = ShardId(id);
            let [state] = self.take(WHAT)?;
            let known = state_from_byte(state).ok_or(UnpackError::ShardState { shard, state })?;
            if shards.last().is_some_and(|(last, _)| *last >= shard) {
                return Err(UnpackError::ShardOrder(shard));
            }
            shards.push((shard, known));
        }
        Ok(shards)
    }

    fn table(
        &mut self,
        vnodes: VnodeCount,
        shards: &[(ShardId, ShardState)],
    ) -> Result<Table, UnpackError> {
        let mut owners = Vec::new();
        for vnode in 0..vnodes.get() as usize {
            owners.push(self.shard("owners", shards, vnode)?);
        }
        // As many owners as vnodes, which is a number that a ring can have.
        Table::new(owners).map_err(|BadVnodeCount(_)| UnpackError::Ends("owners"))
    }

    /// A shard, by its place in the list of all.
    fn shard(
        &mut self,
        what: &'static str,
        shards: &[(ShardId, ShardState)],
        nth: usize,
    ) -> Result<ShardId, UnpackError> {
        let entry = self.varint(what)?;
        let shard = usize::try_from(entry).ok().and_then(|at| shards.get(at));
        let shard = shard.map(|(shard, _)| *shard);
        shard.ok_or(UnpackError::NoSuchShard {
            what,
            nth,
            entry,
            shards: shards.len(),
        })
    }

    fn moves(
        &mut self,
        shards: &[(ShardId, ShardState)],
    ) -> Result<BTreeMap<HandoffId, Move>, UnpackError> {
        const WHAT: &str = "moves";
        let mut moves: BTreeMap<HandoffId, Move> = BTreeMap::new();
        let count = self.varint(WHAT)?;
        for nth in (0..count).map(|nth| usize::try_from(nth).unwrap_or(usize::MAX)) {
            let id = HandoffId {
                number: self.varint(WHAT)?,
                nonce: u64::from_le_bytes(self.take(WHAT)?),
            };
            let [byte] = self.take(WHAT)?;
            let stage = stage_from_byte(byte).ok_or(UnpackError::Stage { id, stage: byte })?;
            let from = self.shard(WHAT, shards, nth)?;
            let to = self.shard(WHAT, shards, nth)?;
            let mut vnodes = BTreeMap::new();
            let mut next = 0_u64;
            for _ in 0..self.varint(WHAT)? {
                let vnode = next.checked_add(self.varint(WHAT)?);
                let vnode = vnode.and_then(|vnode| u16::try_from(vnode).ok());
                let vnode = vnode.ok_or(UnpackError::Number(WHAT))?;
                vnodes.insert(Vnode(vnode), self.varint(WHAT)?);
                next = u64::from(vnode) + 1;
            }
            if moves.last_key_value().is_some_and(|(last, _)| *last >= id) {
                return Err(UnpackError::MoveOrder(id));
            }
            let handoff = Handoff {
                id,
                from,
                to,
                vnodes,
            };
            moves.insert(id, Move { handoff, stage });
        }
        Ok(moves)
    }
}

fn stage_to_byte(stage: Stage) -> u8 {
    match stage {
        Stage::Copy => 0,
        Stage::Cancel => 1,
        Stage::Release => 2,
    }
}

fn stage_from_byte(byte: u8) -> Option<Stage> {
    match byte {
        0 => Some(Stage::Copy),
        1 => Some(Stage::Cancel),
        2 => Some(Stage::Release),
        _ => None,
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits, and a sign that more follows.
        #[allow(clippy::cast_possible_truncation)]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[allow(clippy::cast_possible_truncation)]
    out.push(value as u8);
}

fn state_to_byte(state: ShardState) -> u8 {
    match state {
        ShardState::Joining => 0,
        ShardState::Active => 1,
        ShardState::Leaving => 2,
        ShardState::Retired => 3,
    }
}

fn state_from_byte(byte: u8) -> Option<ShardState> {
    match byte {
        0 => Some(ShardState::Joining),
        1 => Some(ShardState::Active),
        2 => Some(ShardState::Leaving),
        3 => Some(ShardState::Retired),
        _ => None,
    }
}
