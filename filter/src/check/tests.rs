//! The meaning of each test, on payloads of every shape.

use super::*;
use crate::{GeoBox, MinShould, Range};
use quoit_ring::PointId;
use serde_json::json;

fn payload() -> Payload {
    let payload = json!({
        "name": "Music-player for the terminal",
        "n": 7, "x": 7.0, "big": u64::MAX, "yes": true, "null": null,
        "tags": ["a", "b", null], "none": [], "deep": [["a"]],
        "when": "2024-06-15T12:00:00+02:00", "place": {"lat": 52.5, "lon": 13.4},
        "parts": [{"name": "one", "size": 1}, {"name": "two", "size": 2}, 3],
        "one": {"name": "one", "size": 1},
    });
    payload.as_object().unwrap().clone()
}

fn field(path: &str, test: Test) -> Condition {
    Condition::Field {
        path: path.parse().unwrap(),
        test,
    }
}

fn holds(path: &str, test: Test) -> bool {
    field(path, test).holds(Some(who(1)), &payload())
}

fn word(text: &str) -> Test {
    Test::Value(Scalar::Keyword(text.into()))
}

fn words<const N: usize>(texts: [&str; N]) -> Scalars {
    Scalars::Keywords(texts.map(str::to_owned).into())
}

fn number(n: i64) -> Test {
    Test::Value(Scalar::Integer(n))
}

fn at_least<T: Copy>(bound: T) -> Range<T> {
    Range {
        gte: Some(bound),
        ..Range::default()
    }
}

#[test]
fn values_are_equal_only_to_values_of_their_kind() {
    assert!(holds("n", number(7)) && !holds("x", number(7)) && !holds("yes", number(1)));
    assert!(holds("yes", Test::Value(Scalar::Bool(true))));
    assert!(!holds("n", word("7")) && !holds("big", number(-1)));
    assert!(!holds("missing", number(0)) && !holds("null", number(0)));
}

#[test]
fn an_array_meets_a_test_if_an_element_does_and_one_level_is_looked_into() {
    assert!(holds("tags", word("b")) && holds("tags[]", word("b")) && holds("tags[1]", word("b")));
    assert!(!holds("tags", word("c")) && !holds("none", word("a")));
    assert!(!holds("deep", word("a")) && holds("deep[]", word("a")));
    assert!(holds("parts[].name", word("two")) && !holds("parts.name", word("two")));
}

#[test]
fn any_wants_one_of_some_and_except_something_that_is_none_of_them() {
    assert!(holds("tags", Test::Any(words(["x", "b"]))) && !holds("n", Test::Any(words(["7"]))));
    assert!(!holds("tags", Test::Any(words([]))));
    assert!(
        holds("tags", Test::Except(words(["a"]))),
        "b is none of them"
    );
    assert!(
        !holds("tags", Test::Except(words(["a", "b"]))),
        "null is nothing"
    );
    assert!(holds("n", Test::Except(words(["7"]))) && holds("tags", Test::Except(words([]))));
    assert!(holds("x", Test::Except(Scalars::Integers([7].into()))));
    for nothing in ["missing", "null", "none"] {
        assert!(!holds(nothing, Test::Except(words(["a"]))), "{nothing}");
    }
}

#[test]
fn texts_are_compared_by_words_and_by_bytes() {
    assert!(holds("name", Test::Text("terminal MUSIC".into())));
    assert!(holds("name", Test::TextAny("video music".into())));
    assert!(holds("name", Test::Phrase("the terminal".into())));
    assert!(
        holds("name", Test::Prefix("Music-".into()))
            && !holds("name", Test::Prefix("music".into()))
    );
    assert!(
        holds("name", Test::Substring("the term".into()))
            && !holds("n", Test::Substring(String::new()))
    );
}

#[test]
fn ranges_are_of_numbers_and_of_moments() {
    assert!(holds("n", Test::Range(at_least(7.0))) && holds("x", Test::Range(at_least(7.0))));
    assert!(
        holds("big", Test::Range(at_least(1e19))) && !holds("yes", Test::Range(Range::default()))
    );
    let between = Range {
        gt: Some(6.0),
        lt: Some(7.0),
        ..Range::default()
    };
    assert!(!holds("n", Test::Range(between)));
    let ten = timestamp("2024-06-15T10:00:00Z").unwrap();
    assert!(
        holds("when", Test::Time(at_least(ten)))
            && holds(
                "when",
                Test::Time(Range {
                    lte: Some(ten),
                    ..Range::default()
                })
            )
    );
    assert!(!holds(
        "when",
        Test::Time(Range {
            gt: Some(ten),
            ..Range::default()
        })
    ));
    assert!(
        !holds("name", Test::Time(Range::default()))
            && !holds("when", Test::Range(Range::default()))
    );
}

#[test]
fn places_are_objects_with_a_latitude_and_a_longitude() {
    let corner = |lat, lon| GeoPoint::new(lat, lon).unwrap();
    let area = GeoBox {
        top_left: corner(53.0, 13.0),
        bottom_right: corner(52.0, 14.0),
    };
    assert!(holds("place", Test::GeoBox(area)) && !holds("one", Test::GeoBox(area)));
    assert!(!holds("place.lat", Test::GeoBox(area)));
}

#[test]
fn counts_are_of_elements_and_what_is_missing_or_null_has_none() {
    for (path, count) in [
        ("tags", 3),
        ("none", 0),
        ("null", 0),
        ("missing", 0),
        ("n", 1),
        ("place", 1),
        ("deep", 1),
    ] {
        assert!(
            holds(
                path,
                Test::Count(Range {
                    lte: Some(count),
                    gte: Some(count),
                    ..Range::default()
                })
            ),
            "{path}"
        );
        assert!(!holds(path, Test::Count(at_least(count + 1))), "{path}");
    }
}

#[test]
fn empty_is_missing_null_or_without_elements_and_null_is_only_what_is_there() {
    for (path, empty, null) in [
        ("missing", true, false),
        ("null", true, true),
        ("none", true, false),
        ("tags", false, true),
        ("n", false, false),
        ("deep", false, false),
        ("parts[].weight", true, false),
    ] {
        assert_eq!(holds(path, Test::IsEmpty(true)), empty, "{path}");
        assert_eq!(holds(path, Test::IsEmpty(false)), !empty, "{path}");
        assert_eq!(holds(path, Test::IsNull(true)), null, "{path}");
        assert_eq!(holds(path, Test::IsNull(false)), !null, "{path}");
    }
}

#[test]
fn a_nested_filter_holds_for_one_object_by_itself() {
    let nested = |path: &str, name: &str, size| Condition::Nested {
        path: path.parse().unwrap(),
        filter: Box::new(Filter {
            must: vec![field("name", word(name)), field("size", number(size))],
            ..Filter::default()
        }),
    };
    let meets = |c: Condition| c.holds(Some(who(1)), &payload());
    assert!(meets(nested("parts", "two", 2)) && meets(nested("parts[]", "one", 1)));
    assert!(!meets(nested("parts", "one", 2)), "of two objects");
    assert!(!meets(nested("one", "one", 1)), "no array");
    let by_id = Condition::Nested {
        path: "parts".parse().unwrap(),
        filter: Box::new(Filter {
            must: vec![Condition::HasId([PointId::Num(1)].into())],
            ..Filter::default()
        }),
    };
    assert!(!meets(by_id), "an object in a payload has no id");
}

#[test]
fn clauses_are_joined_as_their_names_say() {
    let (yes, no) = (field("n", number(7)), field("n", number(8)));
    let some = |must: &[&Condition], should: &[&Condition], must_not: &[&Condition]| {
        let own = |all: &[&Condition]| all.iter().map(|c| (*c).clone()).collect();
        let filter = Filter {
            must: own(must),
            should: own(should),
            must_not: own(must_not),
            min_should: None,
        };
        filter.is_met(who(1), &payload())
    };
    assert!(some(&[], &[], &[]) && some(&[&yes, &yes], &[], &[]) && !some(&[&yes, &no], &[], &[]));
    assert!(some(&[], &[&no, &yes], &[]) && !some(&[], &[&no], &[]));
    assert!(some(&[], &[], &[&no]) && !some(&[], &[], &[&no, &yes]));
    assert!(!some(&[&yes], &[&no], &[]) && !some(&[&yes], &[&yes], &[&yes]));
    let at_least = |min_count, conditions: &[&Condition]| {
        let conditions = conditions.iter().map(|c| (*c).clone()).collect();
        let filter = Filter {
            min_should: Some(MinShould {
                conditions,
                min_count,
            }),
            ..Filter::default()
        };
        Condition::Filter(Box::new(filter)).holds(None, &payload())
    };
    assert!(at_least(2, &[&yes, &no, &yes]) && !at_least(3, &[&yes, &no, &yes]));
    assert!(at_least(1, &[&yes, &yes]) && !at_least(1, &[]));
}

#[test]
fn an_id_is_one_of_some() {
    let filter = Filter {
        must: vec![Condition::HasId([PointId::Num(1), PointId::Num(5)].into())],
        ..Filter::default()
    };
    assert!(filter.is_met(who(5), &payload()) && !filter.is_met(who(6), &payload()));
}

/// A point with the one vector `title`.
fn who(id: u64) -> Who<'static> {
    Who {
        id: PointId::Num(id),
        has_vector: &|name| name == "title",
    }
}

#[test]
fn a_point_has_the_vectors_that_it_has_and_an_object_in_it_has_none() {
    let has = |name: &str| Condition::HasVector(name.to_owned());
    let of = |condition| Filter {
        must: vec![condition],
        ..Filter::default()
    };
    let meets = |filter: &Filter| filter.is_met(who(1), &payload());
    assert!(meets(&of(has("title"))) && !meets(&of(has("body"))) && !meets(&of(has(""))));
    let inside = Condition::Nested {
        path: "parts".parse().unwrap(),
        filter: Box::new(of(has("title"))),
    };
    assert!(!meets(&of(inside)));
}
