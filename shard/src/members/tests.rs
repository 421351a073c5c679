use super::*;
use proptest::prelude::*;

fn member(node: u64, ordinal: u32) -> Member {
    Member {
        address: format!("127.0.0.1:{node}"),
        ordinal,
        zone: String::new(),
        wish: 1,
    }
}

fn members(nodes: &[(u64, u32)]) -> BTreeMap<u64, Member> {
    nodes.iter().map(|(n, o)| (*n, member(*n, *o))).collect()
}

fn three() -> Present {
    Present {
        voters: [1, 2, 3].into(),
        members: members(&[(1, 0), (2, 1), (3, 2)]),
        near: [1, 2, 3].into(),
        is_changing: false,
    }
}

fn wished(nodes: &[(u64, u32)]) -> Wished {
    Wished {
        generation: 1,
        replicas: 3,
        nodes: members(nodes),
    }
}

/// Does what a group does with a step.
fn take(present: &mut Present, step: Step) {
    match step {
        Step::Learn(node, member) => {
            present.members.insert(node, member);
        }
        Step::Describe(members) => present.members.extend(members),
        Step::Vote(voters) => {
            let gone: Vec<u64> = present.voters.difference(&voters).copied().collect();
            for node in gone {
                present.members.remove(&node);
                present.near.remove(&node);
            }
            present.voters = voters;
            present.is_changing = false;
        }
        Step::Forget(nodes) => present.members.retain(|node, _| !nodes.contains(node)),
    }
}

#[test]
fn nothing_is_done_where_all_is_as_wished() {
    let wished = wished(&[(1, 0), (2, 1), (3, 2)]);
    assert_eq!(next(&three(), &wished), None);
}

#[test]
fn a_node_that_lost_its_disk_comes_back_as_a_new_one_that_learns_before_it_votes() {
    let mut present = three();
    let wished = wished(&[(1, 0), (2, 1), (3, 2), (4, 2)]);
    assert_eq!(next(&present, &wished), Some(Step::Learn(4, member(4, 2))));
    present.members.insert(4, member(4, 2));
    assert_eq!(next(&present, &wished), None, "it has not caught up");
    present.near.insert(4);
    assert_eq!(next(&present, &wished), Some(Step::Vote([1, 2, 4].into())));
}

#[test]
fn a_store_of_registrations_that_was_set_back_brings_no_old_node_back() {
    let mut present = three();
    present.voters = [1, 2, 4].into();
    present.members = members(&[(1, 0), (2, 1), (4, 2)]);
    assert_eq!(next(&present, &wished(&[(1, 0), (2, 1), (3, 2)])), None);
}

#[test]
fn a_wish_that_is_older_than_one_that_was_acted_on_is_not_acted_on() {
    let mut present = three();
    for node in [4, 5] {
        present.voters.insert(node);
        let ordinal = u32::try_from(node).unwrap() - 1;
        let newer = Member {
            wish: 2,
            ..member(node, ordinal)
        };
        present.members.insert(node, newer);
    }
    let old = wished(&[(1, 0), (2, 1), (3, 2)]);
    assert_eq!(next(&present, &old), None);
    let newer = Wished {
        generation: 3,
        ..old
    };
    let step = next(&present, &newer).unwrap();
    assert!(matches!(&step, Step::Describe(m) if m.values().all(|m| m.wish == 3)));
    take(&mut present, step);
    assert_eq!(next(&present, &newer), Some(Step::Vote([1, 2, 3].into())));
}

#[test]
fn a_member_that_is_elsewhere_now_is_described_anew() {
    let mut wished = wished(&[(1, 0), (2, 1), (3, 2)]);
    wished.nodes.get_mut(&2).unwrap().address = "10.0.0.9:1".to_owned();
    let step = next(&three(), &wished).unwrap();
    assert!(matches!(&step, Step::Describe(m) if m[&2].address == "10.0.0.9:1" && m.len() == 1));
}

#[test]
fn a_change_of_voters_that_was_cut_short_is_ended() {
    let mut present = three();
    present.is_changing = true;
    let wished = wished(&[(1, 0), (2, 1), (3, 2)]);
    assert_eq!(next(&present, &wished), Some(Step::Vote([1, 2, 3].into())));
}

#[test]
fn those_at_places_that_are_too_many_stay_until_all_that_are_to_stay_are_there() {
    let nodes = [(1, 0), (6, 1), (3, 2), (4, 3), (5, 4)];
    let mut present = Present {
        voters: [1, 3, 4, 5].into(),
        members: members(&nodes),
        near: [1, 3, 4, 5].into(),
        is_changing: false,
    };
    let wished = wished(&nodes);
    assert_eq!(next(&present, &wished), None, "6 has not caught up");
    present.near.insert(6);
    assert_eq!(next(&present, &wished), Some(Step::Vote([1, 3, 6].into())));
}

proptest! {
    /// Whatever there is and whoever registers, the steps come to an end, none makes
    /// a voter of a node that has not caught up, none leaves the group without
    /// voters, and no place gets an older node than it had.
    #[test]
    fn steps_come_to_the_wish_and_are_safe_on_the_way(
        replicas in 1_u32..5,
        begins in 1_u64..5,
        registered in prop::collection::btree_map(1_u64..12, 0_u32..5, 0..8),
        catches_up in any::<u16>(),
    ) {
        let first: Vec<(u64, u32)> = (1..=begins).map(|n| (n, u32::try_from(n).unwrap() - 1)).collect();
        let mut present = Present {
            voters: (1..=begins).collect(),
            members: members(&first),
            near: (1..=begins).collect(),
            is_changing: false,
        };
        let registered = registered.into_iter().filter(|(n, _)| *n > begins);
        let nodes: Vec<(u64, u32)> = registered.chain(first).collect();
        let wished = Wished { generation: 2, replicas, nodes: members(&nodes) };
        let mut steps = 0;
        while let Some(step) = next(&present, &wished) {
            if let Step::Vote(voters) = &step {
                prop_assert!(!voters.is_empty());
                prop_assert!(voters.iter().all(|v| present.near.contains(v)), "{:?}", step);
                let places: BTreeSet<u32> = voters.iter().map(|v| present.members[v].ordinal).collect();
                prop_assert_eq!(places.len(), voters.len(), "two at one place");
            }
            take(&mut present, step);
            for node in present.members.keys() {
                if catches_up & (1 << (node % 16)) != 0 {
                    present.near.insert(*node);
                }
            }
            steps += 1;
            prop_assert!(steps < 40, "it never ends");
        }
        for ordinal in 0..replicas {
            let newest = nodes.iter().filter(|(_, o)| *o == ordinal).map(|(n, _)| *n).max();
            if let Some(newest) = newest && present.near.contains(&newest) {
                prop_assert!(present.voters.contains(&newest));
            }
        }
    }
}
