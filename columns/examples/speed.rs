//! How long a change and an answer take, and what a column weighs.
//!
//! ```text
//! cargo run --release -p quoit-columns --example speed
//! ```

use quoit_columns::{Columns, Kind};
use quoit_filter::{
    Analyzer, Condition, Filter, GeoPoint, GeoRadius, Range, Scalar, Test, timestamp,
};
use roaring::RoaringBitmap;
use serde_json::{Map, Value, json};
use std::error::Error;
use std::time::Instant;

const POINTS: u32 = 300_000;
const ASKED: u32 = 100_000;

/// Numbers that look like chance and are the same each time.
fn mix(n: u32) -> u64 {
    let n = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (n ^ n >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

fn payload(n: u32) -> Map<String, Value> {
    let (x, hour) = (mix(n), mix(n) % 700_000);
    let degrees = |part: u64, of: i32| {
        f64::from(u32::try_from(part % 100_000).unwrap_or(0)) / 1e5 * f64::from(of)
    };
    let second = jiff::Timestamp::from_second(i64::try_from(hour).unwrap_or(0) * 3600);
    let fields = json!({
        "color": format!("color {}", x % 100),
        "uuid": uuid::Uuid::from_u128(u128::from(x) << 64 | u128::from(n)).to_string(),
        "number": x % 1_000_000,
        "price": degrees(x, 1000),
        "yes": x & 1 == 0,
        "when": second.map(|s| s.to_string()).unwrap_or_default(),
        "place": {"lat": degrees(x, 180) - 90.0, "lon": degrees(x / 100_000, 360) - 180.0},
        "text": format!("the {} brown fox {} jumps over {} dogs", x % 97, x % 1009, x % 10_007),
        "tags": [format!("tag {}", x % 50), format!("tag {}", x % 61)],
    });
    fields.as_object().cloned().unwrap_or_default()
}

fn main() -> Result<(), Box<dyn Error>> {
    let payloads: Vec<_> = (0..POINTS).map(payload).collect();
    changes(&payloads)?;
    answers(&payloads)
}

fn changes(payloads: &[Map<String, Value>]) -> Result<(), Box<dyn Error>> {
    for (path, kind) in [
        ("missing", Kind::Keyword),
        ("color", Kind::Keyword),
        ("uuid", Kind::Keyword),
        ("uuid", Kind::Uuid),
        ("number", Kind::Integer),
        ("price", Kind::Float),
        ("yes", Kind::Bool),
        ("when", Kind::Datetime),
        ("place", Kind::Geo),
        ("tags", Kind::Keyword),
        ("text", Kind::Text(Analyzer::default())),
    ] {
        for pin_each in [u32::MAX, 200] {
            let mut columns = Columns::default();
            columns.add(path.parse()?, kind);
            let mut pinned = columns.clone();
            let start = Instant::now();
            for (slot, payload) in (0..).zip(payloads) {
                if slot % pin_each == 0 {
                    pinned = columns.clone();
                }
                columns.insert(slot, payload);
            }
            let insert = start.elapsed() / POINTS;
            drop(pinned);
            let bytes = columns.bytes() / 1024;
            let start = Instant::now();
            for (slot, payload) in (0..).zip(payloads).filter(|(slot, _)| slot % 7 == 0) {
                columns.remove(slot, payload);
            }
            let remove = start.elapsed() / (POINTS / 7);
            println!(
                "{path:8} {kind:?}, a clone each {pin_each}: insert {insert:?}, remove {remove:?}, {bytes} KiB"
            );
        }
    }
    Ok(())
}

fn answers(payloads: &[Map<String, Value>]) -> Result<(), Box<dyn Error>> {
    let mut columns = Columns::default();
    for (path, kind) in [
        ("color", Kind::Keyword),
        ("uuid", Kind::Keyword),
        ("number", Kind::Integer),
        ("when", Kind::Datetime),
        ("place", Kind::Geo),
        ("text", Kind::Text(Analyzer::default())),
    ] {
        columns.add(path.parse()?, kind);
        columns.complete(&path.parse()?);
    }
    for (slot, payload) in (0..ASKED).zip(payloads) {
        columns.insert(slot, payload);
    }
    let universe: RoaringBitmap = (0..ASKED).collect();
    let field = |path: &str, test| -> Result<Condition, Box<dyn Error>> {
        let path = path.parse()?;
        Ok(Condition::Field { path, test })
    };
    let color = field("color", Test::Value(Scalar::Keyword("color 7".into())))?;
    let range = |lt| {
        Test::Range(Range {
            lt: Some(lt),
            ..Range::default()
        })
    };
    let before = timestamp("1978-01-01")?;
    let until = Range {
        lt: Some(before),
        ..Range::default()
    };
    let near = GeoRadius::new(GeoPoint::new(50.0, 10.0)?, 1_000_000.0)?;
    for (name, must) in [
        ("keyword", vec![color.clone()]),
        ("range of 10%", vec![field("number", range(100_000.0))?]),
        ("range of all", vec![field("number", range(1e9))?]),
        ("moments", vec![field("when", Test::Time(until))?]),
        ("circle", vec![field("place", Test::GeoRadius(near))?]),
        (
            "words",
            vec![field("text", Test::Text("the fox 5".into()))?],
        ),
        (
            "substring",
            vec![field("uuid", Test::Substring("abcd".into()))?],
        ),
        (
            "keyword and no index",
            vec![color.clone(), field("price", range(5.0))?],
        ),
        ("no index", vec![field("price", range(5.0))?]),
        (
            "keyword and range of all",
            vec![color, field("number", range(1e9))?],
        ),
    ] {
        let filter = Filter {
            must,
            ..Filter::default()
        };
        let start = Instant::now();
        let mut found = columns.resolve(&filter, &universe, &|_| None, &|_| None);
        for _ in 1..20 {
            found = columns.resolve(&filter, &universe, &|_| None, &|_| None);
        }
        let resolve = start.elapsed() / 20;
        let start = Instant::now();
        let estimate = columns.estimate(&filter, universe.len());
        let took = start.elapsed();
        let (sure, maybe) = (found.sure.len(), found.maybe.len());
        println!("{name}: {resolve:?}, {sure} sure, {maybe} maybe; {estimate:?} in {took:?}");
    }
    Ok(())
}
