//! Every filter arrives as it was sent, and no message makes a filter that is
//! past its bounds.

use super::*;
use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use prost::Message;

fn range<T: std::fmt::Debug + Clone + 'static>(
    bound: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Range<T>> {
    let some = || of(bound.clone());
    (some(), some(), some(), some()).prop_map(|(lt, lte, gt, gte)| Range { lt, lte, gt, gte })
}

fn place() -> impl Strategy<Value = GeoPoint> {
    (-90.0..=90.0, -180.0..=180.0).prop_map(|(lat, lon)| GeoPoint::new(lat, lon).unwrap())
}

fn ring() -> impl Strategy<Value = Vec<GeoPoint>> {
    vec(place(), 3..6).prop_map(|mut ring| {
        ring.push(ring[0]);
        ring
    })
}

fn scalars() -> impl Strategy<Value = Scalars> {
    prop_oneof![
        // One without values has no kind: it is the same filter.
        btree_set(any::<i64>(), 1..4).prop_map(Scalars::Integers),
        btree_set(".{0,3}", 0..4).prop_map(Scalars::Keywords),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let moment = (-60_000_000_000_i64..200_000_000_000, 0..1_000_000_000)
        .prop_map(|(s, n)| Timestamp::new(s, n).unwrap());
    prop_oneof![
        any::<bool>().prop_map(|b| Test::Value(Scalar::Bool(b))),
        any::<i64>().prop_map(|n| Test::Value(Scalar::Integer(n))),
        ".{0,3}".prop_map(|s| Test::Value(Scalar::Keyword(s))),
        scalars().prop_map(Test::Any),
        scalars().prop_map(Test::Except),
        (".{0,3}", 0..5).prop_map(|(s, kind)| match kind {
            0 => Test::Text(s.into()),
            1 => Test::TextAny(s.into()),
            2 => Test::Phrase(s.into()),
            3 => Test::Prefix(s),
            _ => Test::Substring(s),
        }),
        range(prop::num::f64::NORMAL).prop_map(Test::Range),
        range(moment).prop_map(Test::Time),
        (place(), place()).prop_map(|(top_left, bottom_right)| Test::GeoBox(GeoBox {
            top_left,
            bottom_right
        })),
        (place(), 0.0..1e7).prop_map(|(c, m)| Test::GeoRadius(GeoRadius::new(c, m).unwrap())),
        (ring(), vec(ring(), 0..2))
            .prop_map(|(e, i)| Test::GeoPolygon(GeoPolygon::new(e, i).unwrap())),
        range(any::<u64>()).prop_map(Test::Count),
        any::<bool>().prop_map(Test::IsEmpty),
        any::<bool>().prop_map(Test::IsNull),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let path = || "[a-z]{1,3}(\\[\\]|\\.b|\\[7\\])?".prop_map(|p| p.parse::<Path>().unwrap());
    let leaf = prop_oneof![
        4 => (path(), test()).prop_map(|(path, test)| Condition::Field { path, test }),
        1 => btree_set(any::<u64>().prop_map(PointId::Num), 0..4).prop_map(Condition::HasId),
        1 => "[a-c]?".prop_map(Condition::HasVector),
        1 => (0_u64..9).prop_map(|n| Condition::Slice(Slice::new(9, n).unwrap())),
    ];
    let condition = leaf.prop_recursive(3, 24, 4, move |inner| {
        let all = || vec(inner.clone(), 0..3);
        let filter = (all(), all(), all(), of((all(), 1_usize..4))).prop_map(
            |(must, should, must_not, some)| {
                Box::new(Filter {
                    must,
                    should,
                    must_not,
                    min_should: some.map(|(conditions, min_count)| MinShould {
                        conditions,
                        min_count,
                    }),
                })
            },
        );
        (filter, of(path())).prop_map(|(filter, path)| match path {
            Some(path) => Condition::Nested { path, filter },
            None => Condition::Filter(filter),
        })
    });
    vec(condition, 0..4).prop_map(|must| Filter {
        must,
        ..Filter::default()
    })
}

proptest! {
    #[test]
    fn a_filter_arrives_as_it_was_sent(filter in filter()) {
        let bytes = v1::Filter::from(&filter).encode_to_vec();
        let arrived = v1::Filter::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(Filter::try_from(arrived), Ok(filter));
    }
}

fn deep(depth: usize) -> v1::Filter {
    (1..depth).fold(v1::Filter::default(), |inner, _| v1::Filter {
        must: vec![v1::Condition {
            kind: Some(Kind::Filter(inner)),
        }],
        ..v1::Filter::default()
    })
}

#[test]
fn the_deepest_filter_that_is_allowed_arrives_and_a_deeper_one_is_refused() {
    let bytes = deep(MAX_DEPTH).encode_to_vec();
    let arrived = v1::Filter::decode(bytes.as_slice()).unwrap();
    assert!(Filter::try_from(arrived).is_ok());
    let error = Filter::try_from(deep(MAX_DEPTH + 1)).unwrap_err();
    assert!(error.what.contains("deep"), "{error}");
}

/// The filter that takes the most messages within each other: each level lies
/// in a nested condition of a `min_should`, and the last tests a polygon.
fn deepest() -> v1::Filter {
    let lone = |kind: Kind| v1::Filter {
        min_should: Some(v1::MinShould {
            conditions: vec![v1::Condition { kind: Some(kind) }],
            min_count: 1,
        }),
        ..v1::Filter::default()
    };
    let corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)];
    let ring = corners.map(|(lat, lon)| v1::GeoPoint { lat, lon });
    let last = lone(Kind::Field(v1::FieldCondition {
        path: "a".into(),
        test: Some(Wire::GeoPolygon(v1::GeoPolygon {
            exterior: Some(v1::GeoRing {
                points: ring.into(),
            }),
            interiors: vec![],
        })),
    }));
    (1..MAX_DEPTH).fold(last, |inner, _| {
        lone(Kind::Nested(v1::NestedCondition {
            path: "a".into(),
            filter: Some(inner),
        }))
    })
}

/// A decoder takes no more than a hundred messages within each other. What is
/// acknowledged and cannot be decoded would keep a shard from ever starting.
#[test]
fn every_filter_that_is_allowed_can_be_read_from_the_log() {
    let filter = deepest();
    assert!(Filter::try_from(filter.clone()).is_ok());
    let operation = v1::Operation {
        id: Some(PointId::Num(1).into()),
        only_if: Some(v1::operation::OnlyIf::MeetsOrMissing(filter)),
        change: Some(v1::Change {
            kind: Some(v1::change::Kind::Delete(v1::Delete {})),
        }),
    };
    let write = v1::VnodeWrite {
        vnode: 0,
        operations: vec![operation],
        ..Default::default()
    };
    let entry = v1::LogEntry {
        kind: Some(v1::log_entry::Kind::Write(v1::WriteRequest {
            writes: vec![write],
        })),
    };
    let read = v1::LogEntry::decode(entry.encode_to_vec().as_slice());
    assert_eq!(read, Ok(entry));
}

#[test]
fn what_means_nothing_is_refused_and_its_place_is_named() {
    let field = |path: &str, test: Option<Wire>| v1::Condition {
        kind: Some(Kind::Field(v1::FieldCondition {
            path: path.into(),
            test,
        })),
    };
    let time = |text: &str| {
        Wire::Time(v1::TimeRange {
            gt: Some(text.into()),
            ..v1::TimeRange::default()
        })
    };
    for (condition, what) in [
        (v1::Condition { kind: None }, "kind"),
        (field("a", None), "tests nothing"),
        (field("a..b", Some(Wire::IsNull(true))), "\"a..b\""),
        (field("a", Some(time("yesterday"))), "\"yesterday\""),
        (
            field(
                "a",
                Some(Wire::GeoBox(v1::GeoBox {
                    top_left: Some(v1::GeoPoint {
                        lat: 91.0,
                        lon: 0.0,
                    }),
                    bottom_right: None,
                })),
            ),
            "latitude 91",
        ),
        (
            field(
                "a",
                Some(Wire::Any(v1::Scalars {
                    integers: vec![1],
                    keywords: vec!["a".into()],
                })),
            ),
            "all integers or all keywords",
        ),
    ] {
        let inner = v1::Filter {
            should: vec![field("a", Some(Wire::IsNull(true))), condition],
            ..v1::Filter::default()
        };
        let outer = v1::Filter {
            must_not: vec![v1::Condition {
                kind: Some(Kind::Filter(inner)),
            }],
            ..v1::Filter::default()
        };
        let error = Filter::try_from(outer).unwrap_err();
        assert!(
            error.place.starts_with("filter.must_not[0].should[1]"),
            "{error}"
        );
        assert!(error.what.contains(what), "{error}");
    }
    let none = v1::Filter {
        min_should: Some(v1::MinShould {
            conditions: vec![],
            min_count: 0,
        }),
        ..v1::Filter::default()
    };
    assert_eq!(
        Filter::try_from(none).unwrap_err().place,
        "filter.min_should"
    );
}
