//! Mutations of JSON that keep it JSON: bytes that are changed at random rarely
//! come past the parser. An input is lines; those that are JSON are changed as
//! such, and now and then all of it as bytes.

use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Map, Value, json};

use crate::dice::Dice;

/// The words of the decoders, in libFuzzer's form: one in quotes a line.
const NAMES: &str = include_str!("../dictionaries/json.dict");

/// Deeper than any parser goes.
const DEPTH: usize = 160;

/// For `fuzz_mutator!`: changes `data[..size]`, answers the new size.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice::new(seed);
    if dice.below(5) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    match changed(&data[..size], &mut dice) {
        Some(new) if new.len() <= max_size => {
            data[..new.len()].copy_from_slice(&new);
            new.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
}

/// For `fuzz_crossover!`: puts a part of one input into another.
pub fn cross(one: &[u8], other: &[u8], out: &mut [u8], seed: u32) -> usize {
    let mut dice = Dice::new(seed);
    let new = crossed(one, other, &mut dice).filter(|new| new.len() <= out.len());
    let new = new.unwrap_or_else(|| one[..one.len().min(out.len())].to_vec());
    out[..new.len()].copy_from_slice(&new);
    new.len()
}

/// The lines, and which of them are JSON.
fn lines(input: &[u8]) -> Option<(Vec<&[u8]>, Vec<(usize, Value)>)> {
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let parsed = lines.iter().enumerate();
    let parsed = parsed.filter_map(|(at, line)| Some((at, serde_json::from_slice(line).ok()?)));
    let parsed: Vec<(usize, Value)> = parsed.collect();
    (!parsed.is_empty()).then_some((lines, parsed))
}

fn with_line(lines: &[&[u8]], at: usize, value: &Value) -> Vec<u8> {
    let text = value.to_string();
    let mut lines = lines.to_vec();
    lines[at] = text.as_bytes();
    lines.join(&b'\n')
}

fn changed(input: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let (lines, mut parsed) = lines(input)?;
    let chosen = dice.below(parsed.len());
    let (at, value) = &mut parsed[chosen];
    for _ in 0..=dice.below(3) {
        change(value, dice);
    }
    Some(with_line(&lines, *at, value))
}

fn crossed(one: &[u8], other: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let ((lines, mut parsed), (_, mut others)) = (lines(one)?, lines(other)?);
    let chosen = dice.below(others.len());
    let part = any(&mut others[chosen].1, dice).clone();
    let chosen = dice.below(parsed.len());
    let (at, value) = &mut parsed[chosen];
    put(any(value, dice), part, dice);
    Some(with_line(&lines, *at, value))
}

fn change(root: &mut Value, dice: &mut Dice) {
    let part = match dice.below(3) {
        0 => any(root, dice).clone(),
        _ => some_value(dice),
    };
    let here = any(root, dice);
    if dice.below(8) == 0 {
        return match dice.below(3) {
            0 => *here = part,
            1 => *here = json!([here.take()]),
            _ => *here = json!({ (some_name(dice)): here.take() }),
        };
    }
    // Mostly of the same kind as before: another kind is refused at once.
    match here {
        Value::Null => *here = part,
        Value::Bool(yes) => *yes = !*yes,
        Value::Number(_) => *here = some_number(dice),
        Value::String(_) => *here = some_text(dice),
        Value::Array(_) | Value::Object(_) => match dice.below(8) {
            0 => take_away(here, dice),
            1 => rename(here, dice),
            2 | 3 => put(here, part, dice),
            4 | 5 => repeat(here, dice),
            _ => deepen(here, dice),
        },
    }
}

/// Beside what is there, or in its place.
fn put(here: &mut Value, part: Value, dice: &mut Dice) {
    match here {
        Value::Object(fields) => {
            let name = match dice.below(3) {
                0 if !fields.is_empty() => key_of(fields, dice),
                _ => some_name(dice),
            };
            fields.insert(name, part);
        }
        Value::Array(items) => {
            let at = dice.below(items.len() + 1);
            items.insert(at, part);
        }
        other => *other = part,
    }
}

fn take_away(here: &mut Value, dice: &mut Dice) {
    match here {
        Value::Object(fields) if !fields.is_empty() => {
            let name = key_of(fields, dice);
            fields.remove(&name);
        }
        Value::Array(items) if !items.is_empty() => {
            items.remove(dice.below(items.len()));
        }
        other => *other = Value::Null,
    }
}

fn rename(here: &mut Value, dice: &mut Dice) {
    match here {
        Value::Object(fields) if !fields.is_empty() => {
            let old = key_of(fields, dice);
            if let Some(value) = fields.remove(&old) {
                fields.insert(some_name(dice), value);
            }
        }
        other => *other = some_value(dice),
    }
}

/// Puts a value into a place inside itself, again and again.
fn deepen(here: &mut Value, dice: &mut Dice) {
    let pattern = here.clone();
    let place = dice.below(count(here));
    let times = dice.times(7);
    let mut depth = depth_of(&pattern);
    for _ in 0..times {
        depth += depth_of(&pattern);
        if depth > DEPTH || count(here) > 10_000 {
            break;
        }
        let inner = std::mem::replace(here, pattern.clone());
        *at(here, place) = inner;
    }
}

/// Some element once more, or many times.
fn repeat(here: &mut Value, dice: &mut Dice) {
    let times = dice.times(9);
    match here {
        Value::Array(items) if !items.is_empty() => {
            let one = items[dice.below(items.len())].clone();
            if count(&one) * times < 5_000 {
                items.extend(std::iter::repeat_n(one, times));
            }
        }
        other if count(other) * times < 5_000 => {
            let item = other.take();
            *other = Value::Array(vec![item; times]);
        }
        _ => {}
    }
}

fn key_of(fields: &Map<String, Value>, dice: &mut Dice) -> String {
    let at = dice.below(fields.len());
    fields.keys().nth(at).cloned().unwrap_or_default()
}

fn some_name(dice: &mut Dice) -> String {
    let names: Vec<&str> = NAMES.lines().filter(|line| line.starts_with('"')).collect();
    dice.pick(&names).trim_matches('"').to_owned()
}

fn some_number(dice: &mut Dice) -> Value {
    if dice.below(2) == 0 {
        return json!(dice.below(12));
    }
    let all = [
        json!(-1),
        json!(1.5),
        json!(-0.0),
        json!(1e-40),
        json!(1e39),
        json!(1e308),
        json!(u32::MAX),
        json!(1_u64 << 53),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
    ];
    dice.pick(&all).clone()
}

fn some_text(dice: &mut Dice) -> Value {
    let all = [
        "",
        "a",
        "text",
        "docs",
        "two",
        "a.b",
        "a[]",
        "a[0].b",
        "a[].b[]",
        "\"c d\".e",
        "a[4294967296]",
        "[",
        "a b",
        "2024-02-29T23:59:60Z",
        "-009999-01-01",
        "5c56c793-69f3-4fbf-87e6-c4bf54c28c26",
        "$serde_json::private::RawValue",
        "\u{1f980}\u{200d}\u{301}",
    ];
    match dice.below(3) {
        0 => json!(some_name(dice)),
        _ => json!(dice.pick(&all)),
    }
}

fn some_value(dice: &mut Dice) -> Value {
    match dice.below(6) {
        0 => Value::Null,
        1 => Value::Bool(dice.below(2) == 0),
        2 => some_number(dice),
        3 => some_text(dice),
        4 => json!([]),
        _ => json!({}),
    }
}

/// A part of a value, or all of it.
fn any<'a>(root: &'a mut Value, dice: &mut Dice) -> &'a mut Value {
    let place = dice.below(count(root));
    at(root, place)
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

fn depth_of(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(depth_of).max().unwrap_or(0),
        Value::Object(fields) => fields.values().map(depth_of).max().unwrap_or(0),
        _ => 0,
    }
}

/// The part at a place, counted from the outside; the value itself is at 0.
fn at(value: &mut Value, place: usize) -> &mut Value {
    let Some(mut rest) = place.checked_sub(1) else {
        return value;
    };
    // Found by number first: a borrow that is handed on cannot be tried.
    let inner: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => unreachable!("places are counted"),
    };
    for one in inner {
        let size = count(one);
        if rest < size {
            return at(one, rest);
        }
        rest -= size;
    }
    unreachable!("places are counted")
}
