//! Payloads, kinds of columns and filters that have values in common, so that
//! what is asked for is often there.

use super::{Payload, path};
use crate::Kind;
use proptest::prelude::*;
use proptest::sample::select;
use quoit_filter::{
    Analyzer, Condition, Filter, GeoBox, GeoPoint, GeoPolygon, GeoRadius, MinShould, Range, Scalar,
    Scalars, Slice, Test, Tokenizer, Words, timestamp,
};
use quoit_ring::PointId;
use serde_json::{Value, json};

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
pub const PATHS: [&str; 10] = [
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

pub fn values() -> impl Strategy<Value = Value> + Clone {
    let few = prop::collection::vec(scalars(), 0..4);
    prop_oneof![
        5 => scalars(),
        3 => few.clone().prop_map(Value::Array),
        1 => Just(json!([[1, "a"], []])),
        1 => few.prop_map(|all| json!([all, null])),
    ]
}

pub fn payloads() -> impl Strategy<Value = Payload> {
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
        1 => Just(Analyzer { tokenizer: Tokenizer::Prefix, max_token_len: 3, ..Analyzer::default() }),
        1 => Just(Analyzer { tokenizer: Tokenizer::Multilingual, max_token_len: 5, ..Analyzer::default() }),
    ]
}

pub fn kinds() -> impl Strategy<Value = Kind> {
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

pub fn tests() -> impl Strategy<Value = Test> {
    let text = || select(&TEXTS[..]).prop_map(str::to_owned);
    let phrases: &[&str] = &[
        "MUSIC",
        "music player",
        "player music",
        "a the music",
        "a player",
    ];
    // Of any analyzer, which may be that of the column.
    let words = || {
        let text = prop_oneof![text(), select(phrases).prop_map(str::to_owned)];
        (text, analyzers()).prop_map(|(text, analyzer)| Words { text, analyzer })
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
        2 => words().prop_map(Test::Text),
        1 => words().prop_map(Test::TextAny),
        2 => words().prop_map(Test::Phrase),
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

pub fn filters() -> impl Strategy<Value = Filter> {
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
        1 => "[ab]".prop_map(Condition::HasVector),
        1 => (0_u64..3).prop_map(|n| Condition::Slice(Slice::new(3, n).unwrap())),
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
