//! The promises of a claim, each as a property over tables and members.

use proptest::prelude::*;

use super::*;

fn count(n: u32) -> VnodeCount {
    VnodeCount::new(n).unwrap()
}

fn equal(ids: impl IntoIterator<Item = u32>) -> Vec<Member> {
    ids.into_iter()
        .map(|id| Member::equal(ShardId(id)))
        .collect()
}

/// How many vnodes each member has, also those that have none.
fn loads(table: &Table, members: &[Member]) -> Vec<u64> {
    let counts = table.counts();
    let load = |member: &Member| counts.get(&member.id).copied().unwrap_or(0);
    members.iter().map(load).collect()
}

fn spread(loads: &[u64]) -> u64 {
    loads.iter().max().unwrap() - loads.iter().min().unwrap()
}

fn moved(from: &Table, to: &Table) -> u64 {
    from.reassigned(to).count() as u64
}

/// The fewest moves, found by trying every way to round the shares.
fn least_by_trying_all(previous: &Table, members: &[Member]) -> u64 {
    let v = u64::from(previous.vnodes().get());
    let total: u64 = members.iter().map(|m| u64::from(m.weight)).sum();
    let have = loads(previous, members);
    let exact: Vec<u64> = members.iter().map(|m| v * u64::from(m.weight)).collect();
    let ways = 0_u32..1 << members.len();
    let kept = ways.filter_map(|way| {
        let quotas: Vec<u64> = (0..members.len())
            .map(|i| exact[i] / total + u64::from(way >> i & 1))
            .collect();
        let exact_is_not_rounded =
            (0..members.len()).all(|i| way >> i & 1 == 0 || !exact[i].is_multiple_of(total));
        let adds_up = quotas.iter().sum::<u64>() == v;
        (exact_is_not_rounded && adds_up)
            .then(|| (0..members.len()).map(|i| quotas[i].min(have[i])).sum())
    });
    v - kept.max().unwrap_or(0)
}

prop_compose! {
    fn vnodes(up_to: u32)(log2 in 0..=up_to) -> VnodeCount {
        count(1 << log2)
    }
}

/// Members with ids that overlap from one draw to the next, and weights of
/// which some are 0, but not all.
fn weighted(up_to: usize) -> impl Strategy<Value = Vec<Member>> {
    let weight = prop_oneof![
        4 => Just(1_u32),
        1 => Just(0),
        3 => 1_u32..8,
        1 => any::<u32>(),
    ];
    prop::collection::btree_map(0_u32..12, weight, 1..=up_to)
        .prop_filter("somebody has a weight", |members| {
            members.values().any(|weight| *weight > 0)
        })
        .prop_map(|members| {
            let member = |(id, weight)| Member {
                id: ShardId(id),
                weight,
            };
            members.into_iter().map(member).collect()
        })
}

/// Any table at all, also one that no claim would make.
fn any_table() -> impl Strategy<Value = Table> {
    vnodes(8).prop_flat_map(|v| {
        let owner = (0_u32..12).prop_map(ShardId);
        prop::collection::vec(owner, v.get() as usize)
            .prop_map(|owners| Table::new(owners).unwrap())
    })
}

/// A table after some claims, each with members of its own.
fn claimed_table() -> impl Strategy<Value = Table> {
    (vnodes(10), prop::collection::vec(weighted(8), 1..5)).prop_map(|(v, rounds)| {
        let first = first_table(v, &rounds[0]).unwrap();
        rounds[1..]
            .iter()
            .fold(first, |table, members| claim(&table, members).unwrap())
    })
}

fn table() -> impl Strategy<Value = Table> {
    prop_oneof![any_table(), claimed_table()]
}

/// A table of equal members after some of them came and went, and its members.
fn equal_table(up_to: u32) -> impl Strategy<Value = (Table, Vec<Member>)> {
    let sizes = prop::collection::vec(1..=up_to, 1..4);
    (vnodes(12), sizes).prop_map(|(v, sizes)| {
        let mut table = first_table(v, &equal(0..sizes[0])).unwrap();
        for size in &sizes[1..] {
            table = claim(&table, &equal(0..*size)).unwrap();
        }
        (table, equal(0..sizes[sizes.len() - 1]))
    })
}

proptest! {
    #[test]
    fn every_member_is_within_one_vnode_of_its_share(table in table(), members in weighted(8)) {
        let next = claim(&table, &members).unwrap();
        let total: u64 = members.iter().map(|m| u64::from(m.weight)).sum();
        let v = u64::from(table.vnodes().get());
        for (load, member) in loads(&next, &members).iter().zip(&members) {
            let off = (load * total).abs_diff(v * u64::from(member.weight));
            prop_assert!(off < total, "{} of {v} for {member:?} of {total}", load);
        }
        prop_assert_eq!(loads(&next, &members).iter().sum::<u64>(), v);
    }

    #[test]
    fn the_fewest_vnodes_move_whatever_changes(table in table(), members in weighted(8)) {
        let next = claim(&table, &members).unwrap();
        let least = least_by_trying_all(&table, &members);
        prop_assert_eq!(moved(&table, &next), least);
        prop_assert_eq!(least_moves(&table, &members), Ok(least));
    }

    #[test]
    fn claiming_again_changes_nothing(table in table(), members in weighted(8)) {
        let next = claim(&table, &members).unwrap();
        prop_assert_eq!(claim(&next, &members).unwrap(), next.clone());
        prop_assert_eq!(least_moves(&next, &members), Ok(0));
    }

    #[test]
    fn a_first_table_is_one_that_a_claim_leaves_as_it_is(v in vnodes(10), members in weighted(8)) {
        let first = first_table(v, &members).unwrap();
        prop_assert_eq!(claim(&first, &members).unwrap(), first);
    }

    #[test]
    fn the_order_of_the_members_does_not_matter(
        table in table(),
        members in weighted(8).prop_shuffle(),
    ) {
        let mut sorted = members.clone();
        sorted.sort_by_key(|m| m.id);
        prop_assert_eq!(claim(&table, &members), claim(&table, &sorted));
        let v = table.vnodes();
        prop_assert_eq!(first_table(v, &members), first_table(v, &sorted));
    }

    #[test]
    fn no_vnode_leaves_a_member_that_is_not_above_its_share(
        table in table(),
        members in weighted(8),
    ) {
        let next = claim(&table, &members).unwrap();
        let (before, after) = (table.counts(), next.counts());
        for change in table.reassigned(&next) {
            prop_assert!(after.get(&change.from) < before.get(&change.from));
            prop_assert!(after.get(&change.to) > before.get(&change.to));
        }
    }

    #[test]
    fn equal_members_differ_by_at_most_one_vnode((table, members) in equal_table(100)) {
        prop_assert!(spread(&loads(&table, &members)) <= 1);
    }

    #[test]
    fn a_join_takes_vnodes_only_to_the_newcomers(
        (table, mut members) in equal_table(100),
        newcomers in 1_u32..6,
    ) {
        let old = members.len() as u64;
        members.extend(equal(1000..1000 + newcomers));
        let next = claim(&table, &members).unwrap();
        for change in table.reassigned(&next) {
            prop_assert!(change.to >= ShardId(1000), "{change:?}");
        }
        // moved / V <= k / (N + k) + k / V, without a division.
        let (n, k) = (old + u64::from(newcomers), u64::from(newcomers));
        let v = u64::from(table.vnodes().get());
        prop_assert!(moved(&table, &next) * n <= k * v + k * n);
    }

    #[test]
    fn a_leave_takes_vnodes_only_from_the_leaver_and_spreads_them_evenly(
        (table, members) in equal_table(100),
        who: prop::sample::Index,
    ) {
        prop_assume!(members.len() > 1);
        let leaver = who.get(&members).id;
        let others: Vec<_> = members.iter().copied().filter(|m| m.id != leaver).collect();
        let next = claim(&table, &others).unwrap();
        for change in table.reassigned(&next) {
            prop_assert_eq!(change.from, leaver);
        }
        let had = table.counts().get(&leaver).copied().unwrap_or(0);
        prop_assert_eq!(moved(&table, &next), had);
        let (before, after) = (loads(&table, &others), loads(&next, &others));
        let gains: Vec<u64> = before.iter().zip(&after).map(|(b, a)| a - b).collect();
        prop_assert!(spread(&gains) <= 1, "{gains:?}");
    }

    #[test]
    fn a_newcomer_of_any_weight_takes_from_nobody_more_than_the_share_asks(
        v in vnodes(10),
        members in weighted(8),
        weight in 0_u32..8,
    ) {
        let table = first_table(v, &members).unwrap();
        let mut with = members.clone();
        with.push(Member { id: ShardId(99), weight });
        let next = claim(&table, &with).unwrap();
        let (before, after) = (loads(&table, &members), loads(&next, &members));
        for (b, a) in before.iter().zip(&after) {
            // Nobody's share grows, so nobody gains beyond being rounded up.
            prop_assert!(*a <= b + 1);
        }
    }

    #[test]
    fn a_member_of_weight_zero_is_drained(table in table(), members in weighted(8)) {
        let next = claim(&table, &members).unwrap();
        for (load, member) in loads(&next, &members).iter().zip(&members) {
            prop_assert!(member.weight > 0 || *load == 0);
        }
    }

    #[test]
    fn a_join_and_a_leave_of_the_same_member_restore_the_balance(
        (table, members) in equal_table(40),
    ) {
        let mut with = members.clone();
        with.push(Member::equal(ShardId(1000)));
        let there = claim(&table, &with).unwrap();
        let back = claim(&there, &members).unwrap();
        prop_assert!(spread(&loads(&back, &members)) <= 1);
        prop_assert_eq!(moved(&table, &there), moved(&there, &back));
    }
}

#[test]
fn two_to_a_hundred_members_differ_by_at_most_one_vnode_as_they_come_and_go() {
    let v = count(4096);
    let mut table = first_table(v, &equal(0..1)).unwrap();
    for n in (2..=100).chain((2..100).rev()) {
        let members = equal(0..n);
        let next = claim(&table, &members).unwrap();
        assert!(spread(&loads(&next, &members)) <= 1, "{n} members");
        assert_eq!(moved(&table, &next), least_moves(&table, &members).unwrap());
        table = next;
    }
}

#[test]
fn the_load_of_the_fullest_member_is_near_the_mean() {
    let max_over_mean = |n: u32| {
        let members = equal(0..n);
        let loads = loads(&first_table(count(4096), &members).unwrap(), &members);
        let max = u32::try_from(*loads.iter().max().unwrap()).unwrap();
        f64::from(max) * f64::from(n) / 4096.0
    };
    assert!(max_over_mean(10) <= 1.002, "{}", max_over_mean(10));
    assert!(max_over_mean(100) <= 1.03, "{}", max_over_mean(100));
}

#[test]
fn more_members_than_vnodes_leaves_some_without_and_none_with_two() {
    let members = equal(0..10);
    let first = first_table(count(4), &members).unwrap();
    let mut loads_of = loads(&first, &members);
    loads_of.sort_unstable();
    assert_eq!(loads_of, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
    // Those that have one keep it, whoever comes.
    assert_eq!(claim(&first, &equal(0..50)).unwrap(), first);
}

#[test]
fn members_that_cannot_own_a_ring_are_refused() {
    let table = Table::owned_by(count(4), ShardId(1));
    let drained = [
        Member {
            id: ShardId(1),
            weight: 0,
        },
        Member {
            id: ShardId(2),
            weight: 0,
        },
    ];
    let twice = equal([3, 1, 3]);
    let cases = [
        (&[][..], ClaimError::NoMembers),
        (&drained[..], ClaimError::AllDrained),
        (&twice[..], ClaimError::ListedTwice(ShardId(3))),
    ];
    for (members, error) in cases {
        assert_eq!(claim(&table, members), Err(error.clone()));
        assert_eq!(first_table(count(4), members), Err(error.clone()));
        assert_eq!(least_moves(&table, members), Err(error));
    }
}

#[test]
fn a_share_that_is_a_whole_number_is_met_exactly_though_rounding_it_up_would_save_a_move() {
    let member = |id, weight| Member {
        id: ShardId(id),
        weight,
    };
    // Of 8 vnodes 4, 2.5 and 1.5.
    let members = [member(0, 8), member(1, 5), member(2, 3)];
    let next = claim(&Table::owned_by(count(8), ShardId(0)), &members).unwrap();
    assert_eq!(loads(&next, &members), [4, 3, 1]);
}

#[test]
fn weights_at_the_limit_do_not_overflow() {
    let heavy = |id| Member {
        id: ShardId(id),
        weight: u32::MAX,
    };
    let members: Vec<Member> = (0..100).map(heavy).collect();
    let table = first_table(count(65_536), &members).unwrap();
    assert!(spread(&loads(&table, &members)) <= 1);
}

#[test]
fn a_first_table_alternates_between_the_members() {
    let table = first_table(count(4096), &equal(0..7)).unwrap();
    let same_neighbours = table
        .owners()
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .count();
    assert_eq!(same_neighbours, 0);
}

#[test]
fn what_a_donor_gives_up_is_spread_over_all_it_has() {
    let table = Table::owned_by(count(4096), ShardId(0));
    let next = claim(&table, &equal(0..4)).unwrap();
    let taken: Vec<u16> = table.reassigned(&next).map(|c| c.vnode.0).collect();
    assert_eq!(taken.len(), 3072);
    // Each quarter of the ring gives the same.
    for quarter in 0..4_u16 {
        let range = quarter * 1024..(quarter + 1) * 1024;
        assert_eq!(taken.iter().filter(|v| range.contains(v)).count(), 768);
    }
}

#[test]
fn many_donors_do_not_all_give_up_their_vnodes_at_the_same_place() {
    let table = first_table(count(4096), &equal(0..64)).unwrap();
    let next = claim(&table, &equal(0..65)).unwrap();
    let taken: Vec<u16> = table.reassigned(&next).map(|c| c.vnode.0).collect();
    assert_eq!(taken.len(), 63);
    for quarter in 0..4_u16 {
        let range = quarter * 1024..(quarter + 1) * 1024;
        let here = taken.iter().filter(|v| range.contains(v)).count();
        assert!((12..=20).contains(&here), "{here} in {range:?}");
    }
}

/// Shards and their tools compute claims apart from each other, in different
/// versions: what a claim gives is part of the format.
#[test]
fn a_claim_gives_what_earlier_versions_gave() {
    let ids = |table: &Table| table.owners().iter().map(|id| id.0).collect::<Vec<_>>();
    let first = first_table(count(16), &equal(0..3)).unwrap();
    assert_eq!(
        ids(&first),
        [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    );
    let joined = claim(&first, &equal(0..4)).unwrap();
    assert_eq!(
        ids(&joined),
        [0, 1, 2, 0, 1, 2, 3, 1, 3, 0, 3, 2, 0, 1, 2, 3]
    );
    let left = claim(&joined, &equal([0, 2, 3])).unwrap();
    assert_eq!(ids(&left), [0, 0, 2, 0, 2, 2, 3, 3, 3, 0, 3, 2, 0, 0, 2, 3]);
    let heavy = [
        Member {
            id: ShardId(0),
            weight: 3,
        },
        Member::equal(ShardId(2)),
    ];
    assert_eq!(
        ids(&claim(&left, &heavy).unwrap()),
        [0, 0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 2, 0, 0, 2, 0]
    );
}
