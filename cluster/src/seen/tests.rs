//! What follows what; and how others make what was seen.

use super::*;
use quoit_crds::{Metric, VectorCollectionSpec};
use quoit_ring::{Member, Revision, VnodeCount, first_table};
use uuid::Uuid;

pub(crate) const UID: Uuid = Uuid::from_u128(7);

pub(crate) fn ring(epoch: u64) -> Ring {
    let shards = [0, 1].map(ShardId);
    let members = shards.map(Member::equal);
    let table = first_table(VnodeCount::new(16).unwrap(), &members).unwrap();
    let mut parts = Ring::first(UID, table, shards).unwrap().into_parts();
    parts.epoch = epoch;
    Ring::from_parts(parts).unwrap()
}

pub(crate) fn named(name: &ValueName, bytes: &[u8]) -> Named {
    let kept = Versioned {
        revision: Revision(1),
        value: bytes.to_vec(),
    };
    Named::from([(name.clone(), kept)])
}

pub(crate) fn wish(generation: u64) -> Named {
    let wish = Wish {
        generation,
        name: "docs".to_owned(),
        spec: VectorCollectionSpec::unnamed(3, Metric::Cosine),
    };
    named(&ValueName::wish(), &wish.to_bytes())
}

/// Registrations: shard, node, place.
pub(crate) fn nodes(nodes: &[(u32, u64, u32)]) -> Named {
    let one = |(shard, node, ordinal): &(u32, u64, u32)| {
        let registration = Registration {
            address: format!("127.0.0.1:{node}"),
            zone: None,
            ordinal: *ordinal,
        };
        named(
            &ValueName::node(ShardId(*shard), *node),
            &registration.to_bytes(),
        )
    };
    nodes.iter().flat_map(one).collect()
}

#[test]
fn of_several_nodes_at_one_place_the_newest_is_asked() {
    let mut seen = Seen::default();
    seen.see_nodes(&nodes(&[(0, 9, 0), (0, 10, 0), (0, 2, 1), (1, 3, 0)]))
        .unwrap();
    let replicas = seen.replicas();
    let nodes = |shard| replicas[&ShardId(shard)].keys().copied();
    assert_eq!(nodes(0).collect::<Vec<_>>(), [2, 10]);
    assert_eq!(nodes(1).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_registration_that_cannot_be_read_hides_no_other_and_not_what_its_node_said_before() {
    let garbage = |node| named(&ValueName::node(ShardId(0), node), b"?");
    let mut seen = Seen::default();
    let mut all = nodes(&[(0, 1, 0), (0, 2, 1)]);
    all.extend(garbage(3));
    let error = seen.see_nodes(&all).unwrap_err().to_string();
    assert!(error.contains("shards/0/nodes/3"), "{error}");
    assert_eq!(seen.replicas()[&ShardId(0)].len(), 2);

    let before = seen.clone();
    let mut all = nodes(&[(0, 2, 1)]);
    all.extend(garbage(1));
    seen.see_nodes(&all).unwrap_err();
    assert_eq!(seen, before);

    // One that is gone is gone.
    seen.see_nodes(&nodes(&[(0, 2, 1)])).unwrap();
    assert_eq!(seen.replicas()[&ShardId(0)].len(), 1);
    assert_eq!(seen.bytes().len(), 1);
}

#[test]
fn an_earlier_ring_never_takes_the_place_of_a_later_one() {
    let mut seen = Seen::default();
    seen.see_ring(Some(ring(5))).unwrap();
    let error = seen.see_ring(Some(ring(4))).unwrap_err().to_string();
    assert!(error.contains("epoch 4") && error.contains("epoch 5"));
    assert_eq!(seen.ring().unwrap().epoch(), 5);
    assert_eq!(seen.bytes()[&ValueName::ring()], ring(5).to_bytes());
    seen.see_ring(Some(ring(6))).unwrap();
    assert_eq!(seen.ring().unwrap().epoch(), 6);
    assert_eq!(seen.bytes()[&ValueName::ring()], ring(6).to_bytes());
}

#[test]
fn what_is_gone_or_cannot_be_understood_leaves_what_was_seen_before() {
    let schema = KeptSchema::default().to_bytes();
    let mut seen = Seen::default();
    seen.see_ring(Some(ring(5))).unwrap();
    seen.see_wish(&wish(2)).unwrap();
    seen.see_schema(&named(&ValueName::schema(), &schema))
        .unwrap();
    let before = seen.clone();
    assert!(matches!(seen.see_ring(None), Err(NotSeen::Gone { .. })));
    for bytes in [None, Some(b"[]")] {
        let of = |name: ValueName| bytes.map_or_else(Named::new, |b| named(&name, b));
        seen.see_wish(&of(ValueName::wish())).unwrap_err();
        seen.see_schema(&of(ValueName::schema())).unwrap_err();
    }
    assert_eq!(seen, before);
    // Before it was there, that there is none is no trouble.
    let mut nothing = Seen::default();
    nothing.see_ring(None).unwrap();
    nothing.see_wish(&Named::new()).unwrap();
    nothing.see_schema(&Named::new()).unwrap();
    assert_eq!(nothing, Seen::default());
}

#[test]
fn of_another_only_what_was_not_seen_is_taken() {
    let mut other = Seen::default();
    other.see_ring(Some(ring(5))).unwrap();
    other.see_wish(&wish(1)).unwrap();
    other.see_nodes(&nodes(&[(0, 1, 0)])).unwrap();

    let mut nothing = Seen::default();
    nothing.fill(other.clone());
    assert_eq!(nothing, other);

    let mut some = Seen::default();
    some.see_wish(&wish(2)).unwrap();
    some.see_nodes(&nodes(&[(0, 2, 0)])).unwrap();
    some.fill(other);
    assert_eq!(some.ring().unwrap().epoch(), 5);
    assert_eq!(some.wish().unwrap().generation, 2);
    assert!(some.replicas()[&ShardId(0)].contains_key(&2));
    let names: Vec<_> = some.bytes().keys().map(ValueName::as_str).collect();
    assert_eq!(names, ["ring", "shards/0/nodes/2", "wish"]);
    assert_eq!(
        some.bytes()[&ValueName::wish()],
        wish(2)[&ValueName::wish()].value
    );
}
