//! What columns say of filters, against what the payloads say.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;
use quoit_filter::{
    Analyzer, Condition, GeoBox, GeoPoint, GeoPolygon, GeoRadius, MinShould, Range, Scalar,
    Scalars, Test, Tokenizer, timestamp,
};
use quoit_ring::PointId;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

type Payload = Map<String, Value>;
type Payloads = BTreeMap<u32, Payload>;

const TEXTS: [&str; 18] = [
    "",
    "a",
    "ab",
    "b",
    "Music player",
    "player of music",
    "the music",
    "music",
    "-, ",
    "2024-06-15",
    "2024-06-15T00:00:00Z",
    "2024-06-15 02:00:00+02:00",
    "2024-06-16",
    "1969-01-01T12:00:00.5Z",
    "550e8400-e29b-41d4-a716-446655440000",
    "550E8400-E29B-41D4-A716-446655440000",
    "550e8400e29b41d4a716446655440000",
    "550e8400-e29b-41d4-a716-446655440001",
];

const INTEGERS: [i64; 10] = [
    0,
    1,
    -1,
    7,
    8,
    i64::MIN,
    i64::MAX,
    i64::MAX - 1,
    1 << 53,
    (1 << 53) + 1,
];

const FLOATS: [f64; 9] = [
    0.0,
    -0.0,
    1.0,
    7.0,
    7.5,
    -1.5,
    9_007_199_254_740_992.0,
    9.223_372_036_854_776e18,
    1e300,
];

const LATS: [f64; 6] = [-90.0, -10.0, 0.0, 0.5, 45.0, 90.0];
const LONS: [f64; 8] = [-180.0, -179.5, -90.0, 0.0, 0.5, 10.0, 179.5, 180.0];
const PATHS: [&str; 10] = [
    "a",
    "b",
    "a[]",
    "o.x",
    "o",
    "list[].x",
    "list[].y[].x",
    "list[].y",
    "list",
    "a[0]",
];

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn scalars() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => select(&INTEGERS[..]).prop_map(Value::from),
        1 => Just(Value::from(u64::MAX)),
        3 => select(&FLOATS[..]).prop_map(Value::from),
        6 => select(&TEXTS[..]).prop_map(Value::from),
        3 => (select(&LATS[..]), select(&LONS[..])).prop_map(|(lat, lon)| json!({"lat": lat, "lon": lon})),
        1 => Just(json!({"lat": 0, "lon": 200})),
        1 => Just(json!({"lat": 100.5, "lon": 0.5})),
        1 => Just(json!({"x": 7})),
    ]
}

fn values() -> impl Strategy<Value = Value> + Clone {
    let few = prop::collection::vec(scalars(), 0..4);
    prop_oneof![
        5 => scalars(),
        3 => few.clone().prop_map(Value::Array),
        1 => Just(json!([[1, "a"], []])),
        1 => few.prop_map(|all| json!([all, null])),
    ]
}

fn payloads() -> impl Strategy<Value = Payload> {
    let field = || prop::option::of(values());
    let leaf = prop::collection::vec(prop::option::of(scalars()), 0..3);
    let object = (field(), leaf).prop_map(|(x, ys)| {
        let y: Vec<Value> = ys
            .into_iter()
            .map(|x| x.map_or(json!({}), |x| json!({"x": x})))
            .collect();
        let mut object = json!({ "y": y });
        if let Some(x) = x {
            object["x"] = x;
        }
        object
    });
    let list = prop::collection::vec(prop_oneof![4 => object.clone(), 1 => scalars()], 0..4);
    (field(), field(), object, list).prop_map(|(a, b, o, list)| {
        let mut payload = Payload::new();
        payload.extend(a.map(|a| ("a".to_owned(), a)));
        payload.extend(b.map(|b| ("b".to_owned(), b)));
        payload.insert("o".to_owned(), o);
        payload.insert("list".to_owned(), Value::Array(list));
        payload
    })
}

fn analyzers() -> impl Strategy<Value = Analyzer> {
    prop_oneof![
        3 => Just(Analyzer::default()),
        1 => Just(Analyzer { tokenizer: Tokenizer::Whitespace, lowercase: false, ..Analyzer::default() }),
        1 => Just(Analyzer { tokenizer: Tokenizer::Prefix { min: 1, max: 3 }, ..Analyzer::default() }),
        1 => Just(Analyzer { tokenizer: Tokenizer::Multilingual, max_token_len: 5, ..Analyzer::default() }),
    ]
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Keyword),
        Just(Kind::Integer),
        Just(Kind::Float),
        Just(Kind::Bool),
        Just(Kind::Datetime),
        Just(Kind::Uuid),
        Just(Kind::Geo),
        analyzers().prop_map(Kind::Text),
    ]
}

fn ranges<T: Copy + std::fmt::Debug>(
    bound: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Range<T>> {
    let bound = move || prop::option::weighted(0.3, bound.clone());
    (bound(), bound(), bound(), bound()).prop_map(|(lt, lte, gt, gte)| Range { lt, lte, gt, gte })
}

fn some_of() -> impl Strategy<Value = Scalars> {
    let integers = prop::collection::btree_set(select(&INTEGERS[..]), 0..4);
    let texts = prop::collection::btree_set(select(&TEXTS[..]).prop_map(str::to_owned), 0..4);
    prop_oneof![
        integers.prop_map(Scalars::Integers),
        texts.prop_map(Scalars::Keywords)
    ]
}

fn places() -> impl Strategy<Value = GeoPoint> + Clone {
    (select(&LATS[..]), select(&LONS[..]), -1.0..1.0, -1.0..1.0).prop_map(
        |(lat, lon, up, right)| {
            let (lat, lon): (f64, f64) = (lat + up, lon + right);
            GeoPoint::new(lat.clamp(-90.0, 90.0), lon.clamp(-180.0, 180.0)).unwrap()
        },
    )
}

fn tests() -> impl Strategy<Value = Test> {
    let text = || select(&TEXTS[..]).prop_map(str::to_owned);
    let words = || {
        prop_oneof![
            text(),
            Just("MUSIC".to_owned()),
            Just("a music the".to_owned())
        ]
    };
    let moment = select(&TEXTS[9..14]).prop_map(|s| timestamp(s).unwrap());
    let number = prop_oneof![
        select(&FLOATS[..]),
        Just(f64::NAN),
        Just(6.9),
        Just(f64::INFINITY),
    ];
    let value = prop_oneof![
        any::<bool>().prop_map(Scalar::Bool),
        select(&INTEGERS[..]).prop_map(Scalar::Integer),
        text().prop_map(Scalar::Keyword),
    ];
    let boxes = (places(), places()).prop_map(|(top_left, bottom_right)| GeoBox {
        top_left,
        bottom_right,
    });
    let circles = (places(), prop_oneof![0.0..200_000.0, 0.0..3e7]);
    let corners = (places(), places(), places());
    prop_oneof![
        4 => value.prop_map(Test::Value),
        2 => some_of().prop_map(Test::Any),
        2 => some_of().prop_map(Test::Except),
        1 => words().prop_map(Test::Text),
        1 => words().prop_map(Test::TextAny),
        1 => words().prop_map(Test::Phrase),
        1 => prop_oneof![text(), Just("5".to_owned())].prop_map(Test::Prefix),
        1 => prop_oneof![text(), Just("4".to_owned())].prop_map(Test::Substring),
        3 => ranges(number).prop_map(Test::Range),
        2 => ranges(moment).prop_map(Test::Time),
        1 => boxes.prop_map(Test::GeoBox),
        1 => circles.prop_map(|(c, metres)| Test::GeoRadius(GeoRadius::new(c, metres).unwrap())),
        1 => corners.prop_map(|(a, b, c)| Test::GeoPolygon(GeoPolygon::new(vec![a, b, c, a], vec![]).unwrap())),
        2 => ranges(0_u64..4).prop_map(Test::Count),
        1 => any::<bool>().prop_map(Test::IsEmpty),
        1 => any::<bool>().prop_map(Test::IsNull),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    let ids = prop::collection::btree_set((0_u64..60).prop_map(PointId::Num), 0..30);
    let field = |paths: &'static [&'static str]| {
        (select(paths), tests()).prop_map(|(at, test)| Condition::Field {
            path: path(at),
            test,
        })
    };
    let leaf = prop_oneof![
        8 => field(&PATHS),
        2 => field(&["x", "y", "y[].x"]),
        1 => ids.prop_map(Condition::HasId),
    ];
    let join = |condition: BoxedStrategy<Condition>| {
        let some = move |most: usize| prop::collection::vec(condition.clone(), 0..most);
        let counted = (some(4), 0_usize..4).prop_map(|(conditions, min_count)| MinShould {
            conditions,
            min_count,
        });
        let clauses = (
            some(3),
            some(3),
            some(2),
            prop::option::weighted(0.3, counted),
        );
        clauses.prop_map(|(must, should, must_not, min_should)| Filter {
            must,
            should,
            must_not,
            min_should,
        })
    };
    let deeper = leaf.prop_recursive(3, 12, 4, move |inner| {
        let arrays = select(&["list", "list[]", "y", "a"][..]);
        let single = (field(&["x", "y[].x"]), arrays.clone()).prop_map(|(condition, at)| {
            let must = vec![condition];
            let filter = Box::new(Filter {
                must,
                ..Filter::default()
            });
            Condition::Nested {
                path: path(at),
                filter,
            }
        });
        let joined = join(inner).prop_map(Box::new);
        prop_oneof![
            joined.clone().prop_map(Condition::Filter),
            (joined, arrays).prop_map(|(filter, at)| Condition::Nested {
                path: path(at),
                filter
            }),
            single,
        ]
    });
    prop_oneof![
        1 => deeper.clone().prop_map(|only| Filter { must: vec![only], ..Filter::default() }),
        2 => join(deeper.boxed()),
    ]
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

fn check(
    columns: &Columns,
    payloads: &Payloads,
    filter: &Filter,
) -> Result<Matches, TestCaseError> {
    let universe: RoaringBitmap = payloads.keys().collect();
    let found = columns.resolve(filter, &universe, &ids_of(payloads));
    prop_assert!(found.sure.is_disjoint(&found.maybe));
    prop_assert!(found.possible().is_subset(&universe));
    let meets = |slot: &u32| filter.is_met(id(*slot), &payloads[slot]);
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
    let wrong = Stored::Bool(true);
    assert!(
        columns
            .ordered(&path("a"), Direction::Ascending, Some(&wrong))
            .is_none()
    );
}
