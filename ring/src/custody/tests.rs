use super::*;
use proptest::prelude::*;

fn count(n: u32) -> VnodeCount {
    VnodeCount::new(n).unwrap()
}

const H: HandoffId = HandoffId {
    number: 3,
    nonce: 9,
};

#[test]
fn the_owner_answers_all_and_takes_writes_and_a_frozen_vnode_answers_what_may_be_old() {
    let arriving = Custody::Arriving {
        handoff: H,
        cursor: 4,
    };
    let all = [
        (Custody::None, Answers::Nothing, false),
        (Custody::Owned, Answers::All, true),
        (Custody::Leaving(H), Answers::All, true),
        (Custody::Sealed(H), Answers::Old, false),
        (arriving, Answers::Nothing, false),
    ];
    for (custody, answers, writes) in all {
        assert_eq!(custody.answers(), answers, "{custody:?}");
        assert_eq!(custody.accepts_writes(), writes, "{custody:?}");
    }
}

#[test]
fn a_new_shard_takes_its_vnodes_with_number_one_and_no_other() {
    let own: VnodeSet = [Vnode(0), Vnode(3)].into_iter().collect();
    let holdings = found(0, count(4), &own).unwrap();
    let owned = Holding {
        custody: Custody::Owned,
        c: 1,
        ..Holding::default()
    };
    let none = Holding::default();
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

fn bytes(holding: Holding) -> Vec<u8> {
    let mut bytes = Vec::new();
    holding.write(&mut bytes);
    bytes
}

#[test]
fn a_vnode_that_never_moved_takes_nine_bytes() {
    let holding = Holding {
        custody: Custody::Owned,
        c: 7,
        ..Holding::default()
    };
    let owned = [1, 7, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(Holding::read(&mut &owned[..]), Ok(holding));
    assert_eq!(bytes(holding), owned);
    assert_eq!(bytes(Holding::default()), [0; 9]);
}

#[test]
fn bytes_that_are_no_holding_are_named() {
    let read = |mut bytes: &[u8]| Holding::read(&mut bytes);
    assert_eq!(read(&[1; 8]), Err(HoldingError::Ends));
    let unknown = [9, 1, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(read(&unknown), Err(HoldingError::State(9)));
    let without = [1, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        read(&without),
        Err(HoldingError::HeldWithoutNumber(Custody::Owned))
    );
    let unfenced = [&[FENCED][..], &[0; 16]].concat();
    assert_eq!(read(&unfenced), Err(HoldingError::NoFence));
}

fn any_holding() -> impl Strategy<Value = Holding> {
    let id = any::<(u64, u64)>().prop_map(|(number, nonce)| HandoffId { number, nonce });
    let custody = (id, any::<u64>(), 0..5).prop_map(|(id, cursor, state)| match state {
        0 => Custody::None,
        1 => Custody::Owned,
        2 => Custody::Leaving(id),
        3 => Custody::Sealed(id),
        _ => Custody::Arriving {
            handoff: id,
            cursor,
        },
    });
    let hint = any::<(u64, u32)>().prop_map(|(c, shard)| Hint {
        c,
        shard: ShardId(shard),
    });
    let rest = (1..=u64::MAX, prop_oneof![Just(0), any::<u64>()]);
    (custody, rest, proptest::option::of(hint)).prop_map(|(custody, (c, fence), went)| Holding {
        custody,
        c,
        fence,
        went,
    })
}

proptest! {
    #[test]
    fn any_bytes_are_a_holding_that_writes_the_same_bytes_or_an_error(
        first in 0_u8..0x40,
        rest in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let given = [&[first][..], &rest].concat();
        let mut left = &given[..];
        if let Ok(holding) = Holding::read(&mut left) {
            prop_assert_eq!(&bytes(holding)[..], &given[..given.len() - left.len()]);
        }
    }

    #[test]
    fn a_holding_survives_its_encoded_form_and_takes_no_byte_of_what_follows(
        holding in any_holding(),
        after in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let all = [bytes(holding), after.clone()].concat();
        let mut left = &all[..];
        prop_assert_eq!(Holding::read(&mut left), Ok(holding));
        prop_assert_eq!(left, after);
    }
}
