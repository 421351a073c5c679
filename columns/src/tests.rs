//! What columns say of filters, against what the payloads say.

mod vocabulary;

use super::*;
use proptest::prelude::*;
use proptest::sample::select;
use quoit_filter::{
    Analyzer, Condition, GeoBox, GeoPoint, Range, Scalar, Scalars, Test, Who, timestamp,
};
use quoit_ring::PointId;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use vocabulary::{PATHS, filters, kinds, payloads, tests, values};

type Payload = Map<String, Value>;
type Payloads = BTreeMap<u32, Payload>;

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

/// Slots in three chunks.
fn slot(number: u32) -> u32 {
    number + number % 3 * 65_536
}

fn id(slot: u32) -> PointId {
    PointId::Num(u64::from(slot % 65_536))
}

fn ids_of(payloads: &Payloads) -> impl Fn(&BTreeSet<PointId>) -> Option<RoaringBitmap> {
    // Sets of some sizes are not known, as if the ids were too many.
    |ids| (ids.len() % 2 == 0).then(|| payloads.keys().filter(|s| ids.contains(&id(**s))).collect())
}

fn has(slot: u32, name: &str) -> bool {
    slot.is_multiple_of(if name == "a" { 3 } else { 2 })
}

fn check(
    columns: &Columns,
    payloads: &Payloads,
    filter: &Filter,
) -> Result<Matches, TestCaseError> {
    let universe: RoaringBitmap = payloads.keys().collect();
    // Of one name it is known which slots have such a vector, of the other not.
    let with_a =
        |name: &str| (name == "a").then(|| universe.iter().filter(|s| has(*s, "a")).collect());
    let found = columns.resolve(filter, &universe, &ids_of(payloads), &with_a);
    prop_assert!(found.sure.is_disjoint(&found.maybe));
    prop_assert!(found.possible().is_subset(&universe));
    let meets = |slot: &u32| {
        let who = Who {
            id: id(*slot),
            has_vector: &|name| has(*slot, name),
        };
        filter.is_met(who, &payloads[slot])
    };
    for slot in &universe {
        let met = meets(&slot);
        let says = (found.sure.contains(slot), found.maybe.contains(slot));
        prop_assert!(
            says.1 || says.0 == met,
            "{:?} for {} meets: {}, said {:?}",
            filter,
            Value::from(payloads[&slot].clone()),
            met,
            says
        );
    }
    let truth = payloads.keys().filter(|slot| meets(slot)).count() as u64;
    let estimate = columns.estimate(filter, universe.len());
    let ordered = estimate.min <= estimate.likely && estimate.likely <= estimate.max;
    prop_assert!(ordered && estimate.max <= universe.len());
    prop_assert!(
        estimate.min <= truth && truth <= estimate.max,
        "{:?}: {:?} and not {}",
        filter,
        estimate,
        truth
    );
    Ok(found)
}

fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(400)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_is_left_of_a_restored_column_is_what_is_built_of_the_slots_that_stay(
        kind in kinds(),
        payloads in prop::collection::btree_map(0_u32..40, (payloads(), any::<bool>()), 0..40),
    ) {
        let schema = Schema {
            number: 1,
            fields: [(path("a"), kind)].into(),
        };
        let (mut all, mut some) = (Columns::default(), Columns::default());
        all.adopt(&schema);
        some.adopt(&schema);
        let mut keep = RoaringBitmap::new();
        for (number, (payload, stays)) in &payloads {
            all.insert(slot(*number), payload);
            if *stays {
                some.insert(slot(*number), payload);
                keep.insert(slot(*number));
            }
        }
        some.complete(&path("a"));
        let saved = all.iter().cloned().collect();
        let left = Columns::restored(&schema, saved, &keep, keep.len());
        let bytes = |columns: &Columns| columns.iter().map(Column::to_bytes).collect::<Vec<_>>();
        prop_assert_eq!(bytes(&left), bytes(&some));
        let one_more = Columns::restored(&schema, left.iter().cloned().collect(), &keep, keep.len() + 1);
        prop_assert!(one_more.iter().all(|column| !column.is_complete()));
        prop_assert!(keep.iter().all(|slot| one_more.is_filled(slot)));
        prop_assert!(!one_more.is_filled(slot(99)));
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn columns_agree_with_the_payloads_and_their_clones_never_change(
        kinds in prop::collection::vec((select(&PATHS[..]), kinds(), 0_u8..8), 1..8),
        steps in prop::collection::vec((0_u32..40, prop::option::weighted(0.8, payloads())), 1..80),
        pin_at in 0_usize..80,
        hide in prop::option::weighted(0.3, 0_u32..40),
        filters in prop::collection::vec(filters(), 1..12),
    ) {
        let mut columns = Columns::default();
        let mut now = Payloads::new();
        let mut pinned = None;
        for (at, kind, state) in &kinds {
            columns.add(path(at), *kind);
            // One in eight is never complete.
            if *state > 0 {
                columns.complete(&path(at));
            }
        }
        for (i, (number, payload)) in steps.iter().enumerate() {
            if i == pin_at {
                pinned = Some((columns.clone(), now.clone()));
            }
            let slot = slot(*number);
            if let Some(old) = now.remove(&slot) {
                columns.remove(slot, &old);
            }
            if let Some(payload) = payload {
                columns.insert(slot, payload);
                now.insert(slot, payload.clone());
            }
        }
        let mut again = Columns::default();
        for column in columns.iter() {
            let bytes = column.to_bytes();
            let read = Column::from_bytes(&bytes).unwrap();
            prop_assert_eq!(read.to_bytes(), bytes);
            // A bitmap that has become small is read as a few slots.
            prop_assert!(read.bytes() <= column.bytes());
            again.put(read);
        }
        // What a view does not see is in its columns nevertheless.
        let mut seen = now.clone();
        if let Some(number) = hide {
            seen.remove(&slot(number));
        }
        for filter in &filters {
            let found = check(&columns, &seen, filter)?;
            prop_assert_eq!(check(&again, &seen, filter)?, found);
            if let Some((columns, payloads)) = &pinned {
                check(columns, payloads, filter)?;
            }
        }
        for (slot, payload) in &now {
            columns.remove(*slot, payload);
        }
        for column in columns.iter() {
            let empty = Column::new(column.path().clone(), column.kind());
            prop_assert_eq!(column.bytes(), empty.bytes(), "nothing is left behind");
        }
    }

    #[test]
    fn one_test_on_one_column_agrees_with_the_payloads(
        kind in kinds(),
        all in prop::collection::vec(values(), 1..40),
        tests in prop::collection::vec(tests(), 1..40),
    ) {
        let (columns, payloads) = filled(kind, all);
        for test in tests {
            check(&columns, &payloads, &must(vec![field("a", test)]))?;
        }
    }

    #[test]
    fn bytes_that_are_cut_or_changed_do_no_harm(
        kind in kinds(),
        all in prop::collection::vec(values(), 1..20),
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        noise in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let (columns, payloads) = filled(kind, all);
        let bytes = columns.get(&path("a")).unwrap().to_bytes();
        let cut = &bytes[..cut.index(bytes.len())];
        prop_assert_eq!(Column::from_bytes(cut).err(), Some(BadColumn::Damaged));
        let mut longer = bytes.clone();
        longer.push(0);
        prop_assert_eq!(Column::from_bytes(&longer).err(), Some(BadColumn::Damaged));
        let mut changed = bytes.clone();
        for (at, byte) in changes {
            changed[at.index(bytes.len())] = byte;
        }
        // It may be read as another column; that one must be sound.
        if let Ok(column) = Column::from_bytes(&changed) {
            let mut columns = Columns::default();
            columns.put(column);
            for (slot, payload) in &payloads {
                columns.remove(*slot, payload);
                columns.insert(*slot, payload);
            }
        }
        drop(Column::from_bytes(&noise));
        let start = bytes.len().min(20);
        let mut spliced = bytes[..start].to_vec();
        spliced.extend(noise);
        drop(Column::from_bytes(&spliced));
    }
}

/// A complete column at `a` of such values.
fn filled(kind: Kind, all: Vec<Value>) -> (Columns, Payloads) {
    let mut columns = Columns::default();
    columns.add(path("a"), kind);
    columns.complete(&path("a"));
    let payloads: Payloads = (0..)
        .zip(all)
        .map(|(number, value)| (slot(number), Payload::from_iter([("a".to_owned(), value)])))
        .collect();
    for (slot, payload) in &payloads {
        columns.insert(*slot, payload);
    }
    (columns, payloads)
}

fn field(at: &str, test: Test) -> Condition {
    Condition::Field {
        path: path(at),
        test,
    }
}

fn must(must: Vec<Condition>) -> Filter {
    Filter {
        must,
        ..Filter::default()
    }
}

fn word(text: &str) -> Test {
    Test::Value(Scalar::Keyword(text.to_owned()))
}

fn at_least<T>(bound: T) -> Range<T> {
    Range {
        gte: Some(bound),
        ..Range::default()
    }
}

fn found(columns: &Columns, payloads: &Payloads, filter: &Filter) -> (u64, u64) {
    let found = check(columns, payloads, filter).unwrap();
    (found.sure.len(), found.maybe.len())
}

#[test]
fn an_index_leaves_nothing_to_be_checked_where_its_kind_holds_all_values() {
    let moment = |text| timestamp(text).unwrap();
    let place = |lat, lon| GeoPoint::new(lat, lon).unwrap();
    let near = GeoBox {
        top_left: place(11.0, -1.0),
        bottom_right: place(-1.0, 11.0),
    };
    let default = Kind::Text(Analyzer::default());
    let words = json!(["music", "player", "the music player", "a", ["a", "b"]]);
    let numbers = json!([1, 2, [3, 4], 5, 6]);
    let uuid = "550e8400-e29b-41d4-a716-446655440000";
    let texts = |all: [&str; 2]| Scalars::Keywords(all.map(str::to_owned).into());
    for (kind, values, test, sure) in [
        (Kind::Keyword, &words, word("a"), 2),
        (Kind::Keyword, &words, Test::Any(texts(["music", "b"])), 2),
        (Kind::Keyword, &words, Test::Prefix("m".into()), 1),
        (Kind::Keyword, &words, Test::Substring("usi".into()), 2),
        (Kind::Keyword, &words, Test::Text("player music".into()), 1),
        (Kind::Keyword, &words, Test::Count(at_least(2)), 1),
        (
            Kind::Keyword,
            &words,
            Test::Except(texts(["music", "player"])),
            3,
        ),
        (default, &words, Test::Text("player music".into()), 1),
        (default, &words, Test::TextAny("player music".into()), 3),
        (default, &words, Test::Phrase("player".into()), 2),
        (Kind::Integer, &numbers, Test::Value(Scalar::Integer(3)), 1),
        (Kind::Integer, &numbers, Test::Range(at_least(3.5)), 3),
        (
            Kind::Integer,
            &json!([1.5, 2, u64::MAX]),
            Test::Value(Scalar::Integer(2)),
            1,
        ),
        (
            Kind::Float,
            &json!([1, 2.5, 7, -1]),
            Test::Range(at_least(2.0)),
            2,
        ),
        (
            Kind::Bool,
            &json!([true, false, [true, false]]),
            Test::Value(Scalar::Bool(true)),
            2,
        ),
        (
            Kind::Datetime,
            &json!(["2024-06-15", "2024-06-15T01:00:00+02:00", "never"]),
            Test::Time(at_least(moment("2024-06-15"))),
            1,
        ),
        (
            Kind::Uuid,
            &json!([uuid, uuid.to_uppercase(), "x"]),
            word(uuid),
            1,
        ),
        (
            Kind::Geo,
            &json!([{"lat": 5, "lon": 5}, {"lat": -50, "lon": 5}, {"lat": 5, "lon": 170}]),
            Test::GeoBox(near),
            1,
        ),
        (
            Kind::Geo,
            &json!([null, [], [null, {"lat": 0, "lon": 0}], "x"]),
            Test::IsNull(true),
            2,
        ),
        (
            Kind::Geo,
            &json!([null, [], [null], "x"]),
            Test::IsEmpty(true),
            2,
        ),
    ] {
        let all = values.as_array().unwrap().clone();
        let (columns, payloads) = filled(kind, all);
        let filter = must(vec![field("a", test)]);
        assert_eq!(
            found(&columns, &payloads, &filter),
            (sure, 0),
            "{kind:?} {filter:?}"
        );
        let estimate = columns.estimate(&filter, payloads.len() as u64);
        assert!(estimate.max <= sure + 2, "{filter:?} {estimate:?}");
    }
}

#[test]
fn a_float_is_found_by_a_range_although_the_index_is_of_integers() {
    let (columns, payloads) = filled(Kind::Integer, vec![json!(7), json!(7.5), json!("x")]);
    let filter = must(vec![field("a", Test::Range(at_least(7.0)))]);
    assert_eq!(found(&columns, &payloads, &filter), (1, 1));
}

#[test]
fn many_slots_are_answered_counted_and_read_back_as_few_are() {
    let all: Vec<_> = (0..20_000)
        .map(|n| json!([if n % 50 == 0 { "rare" } else { "common" }, format!("v{n}")]))
        .collect();
    let (columns, payloads) = filled(Kind::Keyword, all);
    let bytes = columns.get(&path("a")).unwrap().to_bytes();
    let mut again = Columns::default();
    again.put(Column::from_bytes(&bytes).unwrap());
    let ask = |test| must(vec![field("a", test)]);
    let rare = || Scalars::Keywords(["rare".to_owned()].into());
    for (test, of_all, of_one) in [
        (word("common"), (19_600, 0), (1, 0)),
        (word("rare"), (400, 0), (0, 0)),
        (Test::Prefix("v1".into()), (11_111, 0), (0, 1)),
        (Test::Substring("v1".into()), (11_111, 0), (0, 1)),
        (Test::Except(rare()), (19_600, 400), (1, 0)),
        (Test::IsEmpty(false), (20_000, 0), (1, 0)),
        (Test::Count(at_least(2)), (20_000, 0), (1, 0)),
    ] {
        let filter = ask(test);
        // For one slot, walking all values is more work than its payload.
        let one = Payloads::from([(slot(1003), payloads[&slot(1003)].clone())]);
        for columns in [&columns, &again] {
            assert_eq!(found(columns, &payloads, &filter), of_all, "{filter:?}");
            assert_eq!(found(columns, &one, &filter), of_one, "{filter:?}");
        }
    }
}

#[test]
fn words_in_another_order_or_in_several_texts_are_checked() {
    let all = json!([
        "Music player",
        "player of music",
        ["music", "a player"],
        "music"
    ]);
    let kind = Kind::Text(Analyzer::default());
    let (columns, payloads) = filled(kind, all.as_array().unwrap().clone());
    let ask = |test| found(&columns, &payloads, &must(vec![field("a", test)]));
    assert_eq!(ask(Test::Text("music player".into())), (2, 1));
    assert_eq!(ask(Test::Phrase("music player".into())), (0, 3));
    assert_eq!(ask(Test::TextAny("player of".into())), (3, 0));
    assert_eq!(ask(word("music")), (0, 4));
}

#[test]
fn what_no_index_knows_is_checked_only_where_the_others_hold() {
    let all = (0..1000).map(|n| json!(n % 100)).collect();
    let (columns, payloads) = filled(Kind::Integer, all);
    let unknown = || field("b", word("x"));
    let known = |n| field("a", Test::Value(Scalar::Integer(n)));
    let filter = must(vec![unknown(), known(5)]);
    assert_eq!(found(&columns, &payloads, &filter), (0, 10));
    let filter = must(vec![unknown(), known(5), known(6)]);
    assert_eq!(found(&columns, &payloads, &filter), (0, 0));
    let filter = Filter {
        should: vec![unknown(), known(5)],
        ..Filter::default()
    };
    assert_eq!(found(&columns, &payloads, &filter), (10, 990));
    let filter = Filter {
        should: vec![known(5), known(5)],
        ..Filter::default()
    };
    assert_eq!(found(&columns, &payloads, &filter), (10, 0));
}

#[test]
fn a_nested_filter_is_checked_only_where_some_objects_have_its_values() {
    let mut columns = Columns::default();
    let mut payloads = Payloads::new();
    columns.add(path("parts[].name"), Kind::Keyword);
    columns.complete(&path("parts[].name"));
    for slot in 0..100 {
        let parts = json!({"parts": [{"name": format!("n{}", slot % 10), "size": slot}]});
        payloads.insert(slot, parts.as_object().unwrap().clone());
        columns.insert(slot, &payloads[&slot]);
    }
    let nested = |test| Condition::Nested {
        path: path("parts"),
        filter: Box::new(must(vec![
            field("name", test),
            field("size", Test::Range(at_least(50.0))),
        ])),
    };
    assert_eq!(
        found(&columns, &payloads, &must(vec![nested(word("n3"))])),
        (0, 10)
    );
    assert_eq!(
        found(&columns, &payloads, &must(vec![nested(word("x"))])),
        (0, 0)
    );
}

#[test]
fn what_one_object_lacks_may_be_had_by_another_of_its_array() {
    let mut columns = Columns::default();
    columns.add(path("parts[].name"), Kind::Keyword);
    columns.complete(&path("parts[].name"));
    let parts = json!({"parts": [{"name": null}, {}, {"name": ["a", "b"]}]});
    let payloads = Payloads::from([(0, parts.as_object().unwrap().clone())]);
    columns.insert(0, &payloads[&0]);
    let none = Range {
        lte: Some(0),
        ..Range::default()
    };
    for test in [
        Test::IsNull(false),
        Test::IsNull(true),
        Test::IsEmpty(true),
        Test::IsEmpty(false),
        Test::Count(none),
        Test::Count(at_least(2)),
        Test::Except(Scalars::Keywords(["a".to_owned()].into())),
    ] {
        let nested = Condition::Nested {
            path: path("parts"),
            filter: Box::new(must(vec![field("name", test)])),
        };
        assert_eq!(found(&columns, &payloads, &must(vec![nested])), (0, 1));
    }
}

#[test]
fn a_slot_with_several_counts_is_estimated_as_one() {
    let mut columns = Columns::default();
    columns.add(path("list[].y"), Kind::Integer);
    columns.complete(&path("list[].y"));
    let mut payloads = Payloads::new();
    for (slot, list) in (0..).zip([json!([{"y": []}, {"y": [1, 2]}]), json!([{"y": [1, 2, 3]}])]) {
        payloads.insert(slot, Payload::from_iter([("list".to_owned(), list)]));
        columns.insert(slot, &payloads[&slot]);
    }
    let few = Range {
        lt: Some(3),
        ..Range::default()
    };
    let filter = must(vec![field("list[].y", Test::Count(few))]);
    assert_eq!(found(&columns, &payloads, &filter), (1, 0));
}

#[test]
fn a_column_that_is_filled_behind_answers_when_it_is_complete_and_keeps_what_is_new() {
    let payload = |n: i64| Payload::from_iter([("a".to_owned(), json!(n))]);
    let (at, mut columns) = (path("a"), Columns::default());
    columns.add(at.clone(), Kind::Integer);
    // One that was there before it changes before it is filled.
    columns.remove(1, &payload(1));
    columns.insert(1, &payload(2));
    let payloads = Payloads::from([(0, payload(1)), (1, payload(2))]);
    let filter = must(vec![field("a", Test::Value(Scalar::Integer(2)))]);
    assert_eq!(found(&columns, &payloads, &filter), (0, 2));
    assert!(columns.ordered(&at, Direction::Ascending, None).is_none());
    columns.fill(&at, 0, &payload(1));
    columns.fill(&at, 1, &payload(2));
    columns.complete(&at);
    assert_eq!(found(&columns, &payloads, &filter), (1, 0));
    assert_eq!(columns.get(&at).unwrap().slots(), 2);
    assert!(columns.drop(&at) && !columns.drop(&at));
    assert_eq!(found(&columns, &payloads, &filter), (0, 2));
}

#[test]
fn values_are_counted_where_they_are_visible() {
    let all = vec![
        json!("b"),
        json!(["a", "b", "b"]),
        json!("a"),
        json!(7),
        json!("c"),
    ];
    let (columns, payloads) = filled(Kind::Keyword, all);
    let mut universe: RoaringBitmap = payloads.keys().collect();
    universe.remove(slot(4));
    let counts = columns.values(&path("a"), &universe).unwrap();
    let keyword = |text: &str| Stored::Keyword(text.into());
    assert!(counts.eq([(keyword("a"), 2), (keyword("b"), 2)]));
    let many = (0..50_000).map(|n| json!(n % 2)).collect();
    let (columns, payloads) = filled(Kind::Integer, many);
    let universe: RoaringBitmap = payloads.keys().filter(|s| *s % 4 == 0).collect();
    let counts: u64 = columns
        .values(&path("a"), &universe)
        .unwrap()
        .map(|(_, n)| n)
        .sum();
    assert_eq!(counts, universe.len());
    assert!(
        filled(Kind::Geo, vec![])
            .0
            .values(&path("a"), &universe)
            .is_none()
    );
}

#[test]
fn slots_come_in_order_of_their_values_from_any_of_them() {
    let all = vec![json!(3), json!([1, 5]), json!(3), json!("x"), json!(-2)];
    let (columns, _) = filled(Kind::Integer, all);
    let order = |direction, from: Option<Stored>| -> Vec<(i64, u32)> {
        let all = columns
            .ordered(&path("a"), direction, from.as_ref())
            .unwrap();
        let number = |(stored, slot)| match stored {
            Stored::Integer(n) => (n, slot),
            other => panic!("{other:?}"),
        };
        all.map(number).collect()
    };
    let [s0, s1, s2, s4] = [0, 1, 2, 4].map(slot);
    let up = [(-2, s4), (1, s1), (3, s0), (3, s2), (5, s1)];
    assert_eq!(order(Direction::Ascending, None), up);
    assert_eq!(
        order(Direction::Ascending, Some(Stored::Integer(3))),
        up[2..]
    );
    assert_eq!(
        order(Direction::Ascending, Some(Stored::Float(3.5))),
        up[4..]
    );
    let down: Vec<_> = up.iter().rev().copied().collect();
    assert_eq!(order(Direction::Descending, None), down);
    assert_eq!(
        order(Direction::Descending, Some(Stored::Integer(3))),
        down[1..]
    );
    assert_eq!(order(Direction::Descending, Some(Stored::Integer(-3))), []);
    let moments = vec![json!("2024-06-16"), json!("2024-06-15T01:00:00Z")];
    let (columns, _) = filled(Kind::Datetime, moments);
    let from = Stored::Datetime(timestamp("2024-06-15T02:00:00Z").unwrap());
    let up = columns.ordered(&path("a"), Direction::Ascending, Some(&from));
    assert_eq!(
        up.unwrap().map(|(_, slot)| slot).collect::<Vec<_>>(),
        [slot(0)]
    );
    let zeros = vec![json!(0.0), json!(-0.0), json!(0), json!(-1)];
    let (columns, _) = filled(Kind::Float, zeros);
    let up = columns.ordered(&path("a"), Direction::Ascending, None);
    let slots: Vec<_> = up.unwrap().map(|(_, slot)| slot).collect();
    assert_eq!(slots, [3, 0, 1, 2].map(slot), "both zeros are one value");
    let wrong = Stored::Bool(true);
    assert!(
        columns
            .ordered(&path("a"), Direction::Ascending, Some(&wrong))
            .is_none()
    );
}
