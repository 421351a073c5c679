//! The values of rows as bytes, numbers little-endian. Decoding takes any
//! bytes: what no encoder wrote is `None` and never a panic.

use super::{FeedRow, IdRow, OpRow, OwnedReplicaRow, ReplicaRow, VnodeState};
use crate::Identity;
use crate::entry::OpId;
use crate::names::Names;
use crate::slots::Slot;
use quoit_ring::{Holding, PointId};

pub fn encode_id_row(row: IdRow) -> [u8; 23] {
    let mut value = [0_u8; 23];
    value[..4].copy_from_slice(&row.slot.0.to_le_bytes());
    value[4..12].copy_from_slice(&row.seq.to_le_bytes());
    value[12..20].copy_from_slice(&row.vector_index.to_le_bytes());
    value[20] = u8::from(row.is_edited);
    value[21..].copy_from_slice(&row.names.bits().to_le_bytes());
    value
}

pub fn encode_feed_row(row: &FeedRow) -> Vec<u8> {
    let id = row.id.to_key();
    let mut value = Vec::with_capacity(21 + id.len() + row.payload.len());
    value.extend_from_slice(&row.slot.0.to_le_bytes());
    value.extend_from_slice(&row.content.to_le_bytes());
    value.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
    value.extend_from_slice(&id);
    value.extend_from_slice(&row.payload);
    value
}

pub fn encode_vnode(state: &VnodeState) -> Vec<u8> {
    let VnodeState {
        holding,
        seq,
        count,
        digest,
        w,
    } = state;
    let mut value = Vec::with_capacity(64);
    holding.write(&mut value);
    value.extend_from_slice(&seq.to_le_bytes());
    value.extend_from_slice(&count.to_le_bytes());
    value.extend_from_slice(&digest.to_le_bytes());
    value.extend_from_slice(&w.to_le_bytes());
    value
}

/// Which operations left their point is a bit string, as long as the last of them
/// needs: most often empty, and an eighth of a byte for each operation at most.
pub fn encode_op(row: &OpRow) -> Vec<u8> {
    let OpRow { op_id, seq, left } = row;
    let mut value = op_id.0.to_vec();
    value.extend_from_slice(&seq.to_le_bytes());
    let start = value.len();
    for place in left {
        let byte = start + (place / 8) as usize;
        if value.len() <= byte {
            value.resize(byte + 1, 0);
        }
        value[byte] |= 1 << (place % 8);
    }
    value
}

pub fn encode_replica(row: OwnedReplicaRow) -> Vec<u8> {
    let ReplicaRow { applied, next_slot } = row.replica;
    let mut value = row.identity.0.to_le_bytes().to_vec();
    value.extend_from_slice(&applied.to_le_bytes());
    value.extend_from_slice(&next_slot.to_le_bytes());
    value
}

pub fn decode_replica(mut bytes: &[u8]) -> Option<OwnedReplicaRow> {
    let bytes = &mut bytes;
    let row = OwnedReplicaRow {
        identity: Identity(u64_of(bytes)?),
        replica: ReplicaRow {
            applied: u64_of(bytes)?,
            next_slot: u32_of(bytes)?,
        },
    };
    bytes.is_empty().then_some(row)
}

fn u16_of(bytes: &mut &[u8]) -> Option<u16> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    Some(u16::from_le_bytes(*head))
}

fn u32_of(bytes: &mut &[u8]) -> Option<u32> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*head))
}

fn bool_of(bytes: &mut &[u8]) -> Option<bool> {
    let (head, rest) = bytes.split_first()?;
    *bytes = rest;
    [false, true].get(usize::from(*head)).copied()
}

fn u64_of(bytes: &mut &[u8]) -> Option<u64> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*head))
}

fn u128_of(bytes: &mut &[u8]) -> Option<u128> {
    let (head, rest) = bytes.split_first_chunk::<16>()?;
    *bytes = rest;
    Some(u128::from_le_bytes(*head))
}

pub fn decode_id_row(mut bytes: &[u8]) -> Option<IdRow> {
    let bytes = &mut bytes;
    let row = IdRow {
        slot: Slot(u32_of(bytes)?),
        seq: u64_of(bytes)?,
        vector_index: u64_of(bytes)?,
        is_edited: bool_of(bytes)?,
        names: Names::from_bits(u16_of(bytes)?),
    };
    bytes.is_empty().then_some(row)
}

pub fn decode_feed_row(mut bytes: &[u8]) -> Option<FeedRow> {
    let bytes = &mut bytes;
    let slot = Slot(u32_of(bytes)?);
    let content = u128_of(bytes)?;
    let (len, rest) = bytes.split_first()?;
    let (id, payload) = rest.split_at_checked(usize::from(*len))?;
    let id = PointId::from_key(id).ok()?;
    Some(FeedRow {
        slot,
        id,
        content,
        payload: payload.to_vec(),
    })
}

pub fn decode_vnode(bytes: &[u8]) -> Option<VnodeState> {
    let rest = &mut &*bytes;
    let state = VnodeState {
        holding: Holding::read(rest).ok()?,
        seq: u64_of(rest)?,
        count: u64_of(rest)?,
        digest: u128_of(rest)?,
        w: u64_of(rest)?,
    };
    rest.is_empty().then_some(state)
}

pub fn decode_op(bytes: &[u8]) -> Option<OpRow> {
    let (op_id, mut rest) = bytes.split_first_chunk::<16>()?;
    let seq = u64_of(&mut rest)?;
    // No encoder writes a last byte without a bit.
    if rest.last() == Some(&0) {
        return None;
    }
    let bytes = (0..).step_by(8).zip(rest);
    let left = bytes.flat_map(|(first, byte)| {
        let is_set = move |bit: &u32| byte >> bit & 1 == 1;
        (0..8).filter(is_set).map(move |bit| first + bit)
    });
    Some(OpRow {
        op_id: OpId(*op_id),
        seq,
        left: left.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> impl Strategy<Value = PointId> {
        prop_oneof![
            any::<u64>().prop_map(PointId::Num),
            any::<u128>()
                .prop_map(|u| PointId::from_key(&[&[1][..], &u.to_be_bytes()].concat()).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn every_row_survives_its_bytes(
            slot in any::<u32>(),
            (seq, index, count) in any::<(u64, u64, u64)>(),
            (content, digest) in any::<(u128, u128)>(),
            id in id(),
            payload in any::<Vec<u8>>(),
            (op_id, left) in (any::<[u8; 16]>(), prop::collection::btree_set(0_u32..300, 0..20)),
        ) {
            let is_edited = seq % 2 == 0;
            let names = Names::from_bits(u16::try_from(count % 65_536).unwrap());
            let row = IdRow { slot: Slot(slot), seq, vector_index: index, is_edited, names };
            prop_assert_eq!(decode_id_row(&encode_id_row(row)), Some(row));
            let row = FeedRow { slot: Slot(slot), id, content, payload };
            prop_assert_eq!(decode_feed_row(&encode_feed_row(&row)), Some(row));
            let state = VnodeState { holding: Holding::default(), seq, count, digest, w: index };
            prop_assert_eq!(decode_vnode(&encode_vnode(&state)), Some(state));
            let row = OpRow { op_id: OpId(op_id), seq, left: left.into_iter().collect() };
            prop_assert_eq!(decode_op(&encode_op(&row)), Some(row));
            let replica = ReplicaRow { applied: index, next_slot: slot };
            let row = OwnedReplicaRow { identity: Identity(seq), replica };
            prop_assert_eq!(decode_replica(&encode_replica(row)), Some(row));
        }

        #[test]
        fn any_bytes_are_a_row_that_writes_the_same_bytes_or_none(
            bytes in prop::collection::vec(prop_oneof![0_u8..3, 8_u8..18, any::<u8>()], 0..64),
        ) {
            if let Some(row) = decode_id_row(&bytes) {
                prop_assert_eq!(&encode_id_row(row)[..], &bytes[..]);
            }
            if let Some(row) = decode_feed_row(&bytes) {
                prop_assert_eq!(&encode_feed_row(&row), &bytes);
            }
            if let Some(state) = decode_vnode(&bytes) {
                prop_assert_eq!(&encode_vnode(&state), &bytes);
            }
            if let Some(row) = decode_op(&bytes) {
                prop_assert_eq!(&encode_op(&row), &bytes);
            }
            if let Some(row) = decode_replica(&bytes) {
                prop_assert_eq!(&encode_replica(row), &bytes);
            }
        }
    }

    #[test]
    fn rows_written_by_the_first_version_are_still_read() {
        let row = [
            3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 6, 0,
        ];
        let expected = IdRow {
            slot: Slot(3),
            seq: 4,
            vector_index: 5,
            is_edited: true,
            names: Names::from_bits(6),
        };
        assert_eq!(decode_id_row(&row), Some(expected));
        let mut row = vec![3, 0, 0, 0];
        row.extend_from_slice(&7_u128.to_le_bytes());
        row.extend_from_slice(&[9, 0, 0, 0, 0, 0, 0, 0, 0, 8, b'{', b'}']);
        let expected = FeedRow {
            slot: Slot(3),
            id: PointId::Num(8),
            content: 7,
            payload: b"{}".to_vec(),
        };
        assert_eq!(decode_feed_row(&row), Some(expected));
        let mut row = vec![7; 16];
        row.extend_from_slice(&[9, 0, 0, 0, 0, 0, 0, 0, 0b1000_0001, 0b10]);
        let expected = OpRow {
            op_id: OpId([7; 16]),
            seq: 9,
            left: vec![0, 7, 9],
        };
        assert_eq!(decode_op(&row), Some(expected));
    }
}
