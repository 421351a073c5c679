//! The packed form read back, read from an old version, and read from damage.

use proptest::prelude::*;

use super::*;
use crate::claim::{Member, first_table};

fn golden_move() -> (HandoffId, Move) {
    let id = HandoffId {
        number: 129,
        nonce: 0x0102_0304_0506_0708,
    };
    let handoff = Handoff {
        id,
        from: ShardId(300),
        to: ShardId(0),
        vnodes: [(Vnode(1), 2), (Vnode(2), 128)].into(),
    };
    let stage = Stage::Release;
    (id, Move { handoff, stage })
}

/// A small ring, and the bytes that format 1 has for it: written out by hand
/// and not by this code, so that a change of the format shows.
fn golden() -> (Ring, Vec<u8>) {
    let ring = Ring::from_parts(RingParts {
        uid: Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
        epoch: 300,
        table: Table::new([0, 300, 300, 0].map(ShardId).to_vec()).unwrap(),
        custody_numbers: vec![1, 2, 128, 3],
        shards: BTreeMap::from([
            (ShardId(0), ShardState::Active),
            (ShardId(300), ShardState::Leaving),
            (ShardId(301), ShardState::Retired),
        ]),
        wish: 7,
        next_handoff: 130,
        moves: [golden_move()].into(),
    });
    let hex = "51554f49545247010102030405060708090a0b0c0d0e0f10\
               2c010000000000000203\
               0001ac0202ad020300010100010280\
               0103\
               0782010181010807060504030201020100020102008001\
               2e8912bfd968a29c";
    let bytes = (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap());
    (ring.unwrap(), bytes.collect())
}

/// Puts the right checksum at the end, so that a change reaches what is behind
/// the checksum's check.
fn seal(mut content: Vec<u8>) -> Vec<u8> {
    let checksum = xxh3_64(&content);
    content.extend(checksum.to_le_bytes());
    content
}

fn any_ring() -> impl Strategy<Value = Ring> {
    let state = prop_oneof![
        Just(ShardState::Joining),
        Just(ShardState::Active),
        Just(ShardState::Leaving),
    ];
    let shards = prop::collection::btree_map(any::<u32>().prop_map(ShardId), state, 1..20);
    let c = prop_oneof![1_u64..300, 1..=u64::MAX];
    (0_u32..=8, shards).prop_flat_map(move |(log2, shards)| {
        let ids: Vec<ShardId> = shards.keys().copied().collect();
        let v = 1_usize << log2;
        (
            1..=u128::MAX,
            1..=u64::MAX,
            prop::collection::vec(prop::sample::select(ids), v),
            prop::collection::vec(c.clone(), v),
            any_moves(v, shards.keys().copied().collect()),
            Just(shards),
            prop::collection::vec(any::<u32>(), 0..3),
        )
            .prop_map(
                |(uid, epoch, owners, custody_numbers, moves, mut shards, retired)| {
                    let (wish, next_handoff, moves) = moves;
                    for id in retired {
                        shards.entry(ShardId(id)).or_insert(ShardState::Retired);
                    }
                    Ring::from_parts(RingParts {
                        uid: Uuid::from_u128(uid),
                        epoch,
                        table: Table::new(owners).unwrap(),
                        custody_numbers,
                        shards,
                        wish,
                        next_handoff,
                        moves,
                    })
                    .unwrap()
                },
            )
    })
}

type Moves = (u64, u64, BTreeMap<HandoffId, Move>);

/// Moves of some of so many vnodes among these shards.
fn any_moves(vnodes: usize, ids: Vec<ShardId>) -> impl Strategy<Value = Moves> {
    let stage = prop_oneof![Just(Stage::Copy), Just(Stage::Cancel), Just(Stage::Release)];
    let one = (any::<u64>(), stage, any::<prop::sample::Index>());
    let many = prop::collection::vec(one, 0..4);
    let of = prop::collection::vec((0_usize..6, any::<u64>()), vnodes);
    (any::<u64>(), many, of).prop_map(move |(wish, many, of)| {
        let mut moves = BTreeMap::new();
        for (nth, (nonce, stage, place)) in many.into_iter().enumerate() {
            let id = HandoffId {
                number: 1 + nth as u64 * 200,
                nonce,
            };
            let from = place.index(ids.len());
            let to = (from + 1) % ids.len();
            let own = (0_u16..).zip(&of).filter(|(_, (of, _))| *of == nth);
            let handoff = Handoff {
                id,
                from: ids[from],
                to: ids[to],
                vnodes: own.map(|(v, (_, c))| (Vnode(v), *c)).collect(),
            };
            if from != to && !handoff.vnodes.is_empty() {
                moves.insert(id, Move { handoff, stage });
            }
        }
        (wish, 1000, moves)
    })
}

proptest! {
    #[test]
    fn a_ring_survives_its_packed_form(ring in any_ring()) {
        prop_assert_eq!(Ring::from_bytes(&ring.to_bytes()), Ok(ring));
    }

    #[test]
    fn any_bytes_are_an_error_and_no_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(Ring::from_bytes(&bytes).is_err());
    }

    #[test]
    fn any_content_in_a_sound_envelope_is_a_ring_that_packs_the_same_or_an_error(
        content in prop::collection::vec(prop_oneof![0_u8..5, any::<u8>()], 0..80),
    ) {
        let mut bytes = MAGIC.to_vec();
        bytes.push(FORMAT);
        bytes.extend(content);
        let bytes = seal(bytes);
        if let Ok(ring) = Ring::from_bytes(&bytes) {
            prop_assert_eq!(ring.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_changed_byte_is_always_noticed(
        ring in any_ring(),
        at: prop::sample::Index,
        flip in 1_u8..,
    ) {
        let mut bytes = ring.to_bytes();
        *at.get_mut(&mut bytes) ^= flip;
        prop_assert!(Ring::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_ring_cut_short_or_with_more_behind_it_is_always_noticed(
        ring in any_ring(),
        at: prop::sample::Index,
        more in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let bytes = ring.to_bytes();
        prop_assert!(Ring::from_bytes(&bytes[..at.index(bytes.len())]).is_err());
        prop_assert!(Ring::from_bytes(&[bytes, more].concat()).is_err());
    }

    #[test]
    fn a_change_under_a_right_checksum_is_a_ring_that_packs_the_same_or_an_error(
        ring in any_ring(),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![0_u8..5, any::<u8>()]),
            1..4,
        ),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut content = ring.to_bytes();
        content.truncate(content.len() - CHECKSUM);
        for (at, byte) in changes {
            let at = at.index(content.len());
            // Before the content the envelope is checked, elsewhere than here.
            content[at.max(MAGIC.len() + 1)] = byte;
        }
        if let Some(cut) = cut {
            content.truncate(cut.index(content.len()).max(MAGIC.len() + 1));
        }
        let bytes = seal(content);
        if let Ok(ring) = Ring::from_bytes(&bytes) {
            prop_assert_eq!(ring.to_bytes(), bytes);
        }
    }
}

#[test]
fn a_ring_packed_by_the_first_version_is_still_read() {
    let (ring, bytes) = golden();
    assert_eq!(Ring::from_bytes(&bytes).as_ref(), Ok(&ring));
    assert_eq!(ring.to_bytes(), bytes);
}

#[test]
fn a_ring_of_4096_vnodes_is_small() {
    let members: Vec<Member> = (0..200).map(|id| Member::equal(ShardId(id))).collect();
    let vnodes = VnodeCount::new(4096).unwrap();
    let table = first_table(vnodes, &members).unwrap();
    let ring = Ring::first(Uuid::from_u128(1), table, members.iter().map(|m| m.id)).unwrap();
    assert!(ring.to_bytes().len() < 12_000);

    // After more changes of owner than a ring will ever see.
    let mut parts = ring.into_parts();
    parts.epoch = u64::MAX;
    parts.custody_numbers = vec![(1 << 35) - 1; 4096];
    let ring = Ring::from_parts(parts).unwrap();
    assert!(ring.to_bytes().len() < 35_000);
}

/// What is wrong with the golden ring once the byte at a place is replaced by
/// others, under a right checksum.
fn changed(at: usize, with: &[u8]) -> UnpackError {
    let (_, mut content) = golden();
    content.truncate(content.len() - CHECKSUM);
    content.splice(at..=at, with.iter().copied());
    Ring::from_bytes(&seal(content)).unwrap_err()
}

// Where things are in the golden ring.
const UID: usize = 8;
const EPOCH: usize = 24;
const LOG2: usize = 32;
const SHARDS: usize = 33;
const OWNERS: usize = 42;
const CUSTODY: usize = 46;
const MOVES: usize = 55;
const STAGE: usize = 65;

#[test]
fn an_envelope_that_is_not_of_a_ring_is_named() {
    let (_, bytes) = golden();
    assert_eq!(Ring::from_bytes(b""), Err(UnpackError::NotARing));
    assert_eq!(
        Ring::from_bytes(b"{\"uid\": 1}"),
        Err(UnpackError::NotARing)
    );
    assert_eq!(
        Ring::from_bytes(b"QUOITRG"),
        Err(UnpackError::Ends("format"))
    );
    assert_eq!(
        Ring::from_bytes(b"QUOITRG\x02"),
        Err(UnpackError::UnknownFormat(2))
    );
    assert!(matches!(
        Ring::from_bytes(&bytes[..bytes.len() - 1]),
        Err(UnpackError::Damaged { .. })
    ));
    // Eight bytes are all header and all checksum at once.
    assert!(matches!(
        Ring::from_bytes(b"QUOITRG\x01"),
        Err(UnpackError::Damaged { .. })
    ));
}

#[test]
fn numbers_that_no_ring_has_are_named() {
    assert_eq!(changed(LOG2, &[17]), UnpackError::VnodeCount(17));
    assert_eq!(changed(LOG2, &[255]), UnpackError::VnodeCount(255));
    assert_eq!(
        changed(LOG2, &[3]),
        UnpackError::NoSuchShard {
            what: "owners",
            nth: 6,
            entry: 128,
            shards: 3
        }
    );
    assert_eq!(
        changed(SHARDS, &[0]),
        UnpackError::NoSuchShard {
            what: "owners",
            nth: 0,
            entry: 0,
            shards: 0
        }
    );
    assert_eq!(
        changed(SHARDS, &[0xff, 0xff, 0xff, 0xff, 0x7f]),
        UnpackError::ShardOrder(ShardId(0))
    );
    assert_eq!(
        changed(SHARDS + 1, &[0x80, 0x00]),
        UnpackError::Number("shards")
    );
    assert_eq!(
        changed(SHARDS + 1, &[0xff, 0xff, 0xff, 0xff, 0x1f]),
        UnpackError::Number("shards")
    );
    assert_eq!(
        changed(SHARDS + 1, &[0xac, 0x02]),
        UnpackError::ShardOrder(ShardId(300))
    );
    assert_eq!(
        changed(SHARDS + 2, &[4]),
        UnpackError::ShardState {
            shard: ShardId(0),
            state: 4
        }
    );
    let eleven = [[0x80; 10].as_slice(), &[1]].concat();
    assert_eq!(
        changed(CUSTODY, &eleven),
        UnpackError::Number("custody numbers")
    );
    let too_large = [[0xff; 9].as_slice(), &[2]].concat();
    assert_eq!(
        changed(CUSTODY, &too_large),
        UnpackError::Number("custody numbers")
    );
    let (_, mut content) = golden();
    content.truncate(CUSTODY + 2);
    let error = Ring::from_bytes(&seal(content)).unwrap_err();
    assert_eq!(error, UnpackError::Ends("custody numbers"));
}

#[test]
fn moves_that_cannot_be_read_are_named() {
    let (id, _) = golden_move();
    let stage = changed(STAGE, &[3]);
    assert_eq!(stage, UnpackError::Stage { id, stage: 3 });
    assert_eq!(
        changed(STAGE + 1, &[9]),
        UnpackError::NoSuchShard {
            what: "moves",
            nth: 0,
            entry: 9,
            shards: 3
        }
    );
    // The vnodes go past the last that there can be.
    let far = changed(STAGE + 6, &[0xff, 0xff, 0x03]);
    assert_eq!(far, UnpackError::Number("moves"));
    let (_, content) = golden();
    let one = &content[MOVES..content.len() - CHECKSUM];
    let twice = [&content[..MOVES - 1], &[2], one, one].concat();
    let error = Ring::from_bytes(&seal(twice)).unwrap_err();
    assert_eq!(error, UnpackError::MoveOrder(id));
    let short = content[..content.len() - CHECKSUM - 1].to_vec();
    let error = Ring::from_bytes(&seal(short)).unwrap_err();
    assert_eq!(error, UnpackError::Ends("moves"));
    let long = [&content[..content.len() - CHECKSUM], &[0]].concat();
    let error = Ring::from_bytes(&seal(long)).unwrap_err();
    assert_eq!(error, UnpackError::Trailing(1));
}

#[test]
fn parts_that_contradict_each_other_are_named() {
    assert_eq!(
        changed(OWNERS, &[3]),
        UnpackError::NoSuchShard {
            what: "owners",
            nth: 0,
            entry: 3,
            shards: 3
        }
    );
    assert_eq!(
        changed(OWNERS, &[2]),
        UnpackError::Inconsistent(RingError::RetiredOwner {
            vnode: 0,
            owner: ShardId(301)
        })
    );
    assert_eq!(
        changed(CUSTODY, &[0]),
        UnpackError::Inconsistent(RingError::ZeroCustody(0))
    );
    let (_, mut content) = golden();
    content.truncate(content.len() - CHECKSUM);
    content[UID..EPOCH].fill(0);
    assert_eq!(
        Ring::from_bytes(&seal(content)),
        Err(UnpackError::Inconsistent(RingError::NilUid))
    );
}
