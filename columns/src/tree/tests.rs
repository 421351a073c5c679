use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

type Plain = BTreeSet<(i64, u32)>;

/// Everything that a node promises of its children.
fn check(node: &Node<i64>) -> (usize, Totals) {
    match node {
        Node::Leaf(entries) => (0, leaf_totals(entries)),
        Node::Inner(children) => {
            let below: Vec<_> = children.iter().map(|c| check(&c.node)).collect();
            for (child, (depth, totals)) in children.iter().zip(&below) {
                assert_eq!(child.totals, *totals);
                assert_eq!(*depth, below[0].0, "leaves are equally deep");
            }
            assert!(children.len() <= MOST);
            (below[0].0 + 1, node.totals())
        }
    }
}

fn compare(tree: &Tree<i64>, plain: &Plain) {
    assert_eq!(check(&tree.root).1, tree.totals());
    assert_eq!(tree.totals().slots, plain.len() as u64);
    let pairs = |entry: &Entry<i64>| {
        let key = entry.key;
        let slots: Vec<_> = entry.slots.slots(entry.chunk).collect();
        slots.into_iter().map(move |slot| (key, slot))
    };
    let up: Vec<_> = tree.walk(|_| false).flat_map(pairs).collect();
    assert!(up.iter().copied().eq(plain.iter().copied()));
    for bound in [-3, 0, 7, 20, 55] {
        let up: Vec<_> = tree.walk(|k| *k < bound).flat_map(pairs).collect();
        assert!(up.iter().copied().eq(plain.range((bound, 0)..).copied()));
        let mut down: Vec<_> = tree.back(|k| *k >= bound).flat_map(pairs).collect();
        down.sort_unstable();
        assert!(down.iter().copied().eq(plain.range(..(bound, 0)).copied()));
        let count = plain.range(..(bound, 0)).count() as u64;
        assert_eq!(tree.before(|k| *k < bound).slots, count);
        let of: Vec<_> = plain
            .range((bound, 0)..(bound + 1, 0))
            .map(|(_, slot)| *slot)
            .collect();
        assert_eq!(tree.of(&bound).slots, of.len() as u64);
        assert!(tree.slots_of(&bound).iter().eq(of));
    }
    let entries = tree.walk(|_| false).cloned();
    let again = Tree::of_sorted(entries).unwrap();
    // A bitmap that has become small stays one; what was counted is what is there.
    let heap: usize = tree
        .walk(|_| false)
        .map(|e| e.key.heap() + e.slots.heap())
        .sum();
    assert_eq!((again.heap, tree.heap), (heap, heap));
    assert_eq!(
        (check(&again.root).1, again.totals()),
        (tree.totals(), tree.totals())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_tree_agrees_with_a_plain_set_and_its_clones_never_change(
        steps in proptest::collection::vec((0_u8..5, -5_i64..60, 0_u32..40, 0_u32..3), 1..3000),
        pin_at in 0_usize..3000,
        growing in any::<bool>(),
    ) {
        let mut tree = Tree::default();
        let mut plain = Plain::new();
        let mut pinned = None;
        for (i, (add, key, low, chunk)) in steps.iter().enumerate() {
            if i == pin_at {
                pinned = Some((tree.clone(), plain.clone()));
            }
            let slot = low + chunk * 65_536;
            let key = if growing { i64::try_from(i).unwrap() / 3 } else { *key };
            // First it grows, then it shrinks.
            if (*add > 0) == (i * 2 < steps.len()) {
                prop_assert_eq!(tree.insert(key, slot), plain.insert((key, slot)));
            } else {
                let (key, slot) = if growing {
                    plain.iter().nth(plain.len() / 2).copied().unwrap_or((key, slot))
                } else {
                    (key, slot)
                };
                prop_assert_eq!(tree.contains(&key, slot), plain.contains(&(key, slot)));
                prop_assert_eq!(tree.remove(&key, slot), plain.remove(&(key, slot)));
            }
        }
        for (tree, plain) in pinned.iter().chain([&(tree, plain)]) {
            compare(tree, plain);
        }
    }
}

#[test]
fn what_was_emptied_is_as_small_as_what_is_new() {
    let mut tree = Tree::default();
    for key in 0..5000 {
        tree.insert(key, 1);
    }
    let full = tree.bytes();
    for key in (0..5000).rev() {
        assert!(tree.remove(&key, 1));
    }
    compare(&tree, &Plain::new());
    assert!(full > 100_000 && tree.bytes() == Tree::<i64>::default().bytes());
}

fn leaves(node: &Node<i64>) -> usize {
    match node {
        Node::Leaf(_) => 1,
        Node::Inner(children) => children.iter().map(|c| leaves(&c.node)).sum(),
    }
}

#[test]
fn what_was_thinned_out_takes_fewer_nodes() {
    let mut tree = Tree::default();
    for key in 0..5000 {
        tree.insert(key, 1);
    }
    for key in (0..5000).filter(|key| key % 20 > 0) {
        tree.remove(&key, 1);
    }
    let leaves = leaves(&tree.root);
    assert!(tree.totals().entries == 250 && leaves < 50, "{leaves}");
}

#[test]
fn entries_out_of_order_are_no_tree() {
    let entry = |key: i64, chunk| Entry {
        key,
        chunk,
        slots: Posting::one(u32::from(chunk) << 16),
    };
    assert!(Tree::of_sorted([entry(1, 0), entry(1, 1), entry(2, 0)]).is_some());
    assert!(Tree::of_sorted([entry(1, 1), entry(1, 0)]).is_none());
    assert!(Tree::of_sorted([entry(1, 0), entry(1, 0)]).is_none());
}

#[test]
fn a_change_after_a_clone_copies_one_path_and_one_chunk() {
    let mut tree = Tree::default();
    for slot in 0..300_000 {
        tree.insert(i64::from(slot % 3), slot);
    }
    let pinned = tree.clone();
    tree.insert(0, 1);
    let bitmaps = |tree: &Tree<i64>| -> Vec<*const RoaringBitmap> {
        let walk = tree.walk(|_| false);
        let bitmap = |entry: &Entry<i64>| match &entry.slots {
            Posting::Many(bitmap) => Arc::as_ptr(bitmap),
            Posting::Few { .. } => panic!("100,000 slots are not few"),
        };
        walk.map(bitmap).collect()
    };
    let (new, old) = (bitmaps(&tree), bitmaps(&pinned));
    let copied = new.iter().zip(&old).filter(|(a, b)| a != b).count();
    assert_eq!((new.len(), copied), (15, 1));
}
