//! Where in a payload a condition looks: `a.b`, `a[0].b`, `a[].b`, and with
//! quotes what is no plain word, `"a b".c`.

use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

use crate::edit::MAX_PAYLOAD_DEPTH;

/// Keys by which the JSON library marks values of its own among others. In a
/// payload, they would make it read something else than was written: no
/// payload has them, and no path leads to one.
pub const RESERVED_KEYS: &str = "$serde_json::private::";

/// A path to values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    first: String,
    rest: Vec<Step>,
}

/// What a path goes through after its outermost key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A value of an object.
    Key(String),
    /// An element of an array.
    Index(usize),
    /// Every element of an array.
    All,
}

/// A text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It is not written as one.
    #[error(
        "{0:?} is not a path to a field: write keys with dots between them, `a.b`, an array's elements as `a[].b` or \
         `a[0].b`, and a key that is not made of letters, digits, `_` and `-` in double quotes"
    )]
    Read(String),
    /// It goes on where no payload does.
    #[error(
        "a path of more than {MAX_PAYLOAD_DEPTH} steps leads nowhere: payloads are at most {MAX_PAYLOAD_DEPTH} deep"
    )]
    Follow,
}

/// As much of a text that is no path as is said of it.
const SHOWN: usize = 100;

impl FromStr for Path {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let path = parse(text).ok_or_else(|| BadPath::Read(text.chars().take(SHOWN).collect()))?;
        if path.depth() > MAX_PAYLOAD_DEPTH {
            return Err(BadPath::Follow);
        }
        Ok(path)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write_key(f, &self.first)?;
        for step in &self.rest {
            match step {
                Step::Key(key) => {
                    f.write_str(".")?;
                    write_key(f, key)?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::All => f.write_str("[]")?,
            }
        }
        Ok(())
    }
}

impl Path {
    /// The values at the path, arrays as they are.
    #[must_use]
    pub fn values<'a>(&self, payload: &'a Map<String, Value>) -> Vec<&'a Value> {
        let mut found = Vec::new();
        if let Some(value) = payload.get(&self.first) {
            walk(&self.rest, value, &mut found);
        }
        found
    }

    /// The outermost key.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.first
    }

    /// What follows the outermost key.
    #[must_use]
    pub fn rest(&self) -> &[Step] {
        &self.rest
    }

    /// How many objects and arrays lie around what is at this path.
    #[must_use]
    pub fn depth(&self) -> usize {
        1 + self.rest.len()
    }

    /// The same path without a `[]` at its end.
    #[must_use]
    pub fn to_array(&self) -> Self {
        let mut path = self.clone();
        path.rest.pop_if(|step| *step == Step::All);
        path
    }

    /// A path in each element of the array at this path: `a` and `b` make `a[].b`.
    #[must_use]
    pub fn each(&self, inner: &Self) -> Self {
        let mut path = self.to_array();
        path.rest
            .extend([Step::All, Step::Key(inner.first.clone())]);
        path.rest.extend(inner.rest.iter().cloned());
        path
    }
}

fn walk<'a>(steps: &[Step], value: &'a Value, found: &mut Vec<&'a Value>) {
    let Some((step, rest)) = steps.split_first() else {
        found.push(value);
        return;
    };
    match (step, value) {
        (Step::Key(key), Value::Object(object)) => {
            if let Some(value) = object.get(key) {
                walk(rest, value, found);
            }
        }
        (Step::Index(index), Value::Array(array)) => {
            if let Some(value) = array.get(*index) {
                walk(rest, value, found);
            }
        }
        (Step::All, Value::Array(array)) => {
            for value in array {
                walk(rest, value, found);
            }
        }
        _ => {}
    }
}

/// Reads a path, and no more of it than one step too many.
fn parse(text: &str) -> Option<Path> {
    let (first, mut left) = parse_key(text)?;
    let mut rest = Vec::new();
    while !left.is_empty() && rest.len() < MAX_PAYLOAD_DEPTH {
        let step = if let Some(after) = left.strip_prefix('.') {
            let (key, after) = parse_key(after)?;
            left = after;
            Step::Key(key)
        } else {
            let (inside, after) = left.strip_prefix('[')?.split_once(']')?;
            left = after;
            if inside.is_empty() {
                Step::All
            } else if inside.bytes().all(|b| b.is_ascii_digit()) {
                Step::Index(inside.parse().ok()?)
            } else {
                return None;
            }
        };
        rest.push(step);
    }
    Some(Path { first, rest })
}

fn parse_key(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (key, rest) = quoted.split_once('"')?;
        let is_key = !key.contains('\\') && !key.starts_with(RESERVED_KEYS);
        return is_key.then(|| (key.to_owned(), rest));
    }
    let end = text.find(|c| !is_plain(c)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

fn write_key(f: &mut fmt::Formatter, key: &str) -> fmt::Result {
    if !key.is_empty() && key.chars().all(is_plain) {
        f.write_str(key)
    } else {
        write!(f, "\"{key}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn values(path: &str, payload: &Value) -> Vec<Value> {
        let path: Path = path.parse().unwrap();
        let found = path.values(payload.as_object().unwrap());
        found.into_iter().cloned().collect()
    }

    #[test]
    fn a_path_selects_what_it_names_and_nothing_of_another_shape() {
        let payload = json!({
            "a": {"b": [{"c": 1}, {"c": [2, 3]}, {"d": 4}]},
            "f": [[5], 6],
            "g h": {"": 7},
        });
        for (path, found) in [
            ("a.b[].c", json!([1, [2, 3]])),
            ("a.b[].c[]", json!([2, 3])),
            ("a.b[2].d", json!([4])),
            ("a.b[3]", json!([])),
            ("a.b.c", json!([])),
            ("a[]", json!([])),
            ("f", json!([[[5], 6]])),
            ("f[][]", json!([5])),
            ("\"g h\".\"\"", json!([7])),
            ("x.y", json!([])),
        ] {
            assert_eq!(json!(values(path, &payload)), found, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a[",
            "a]",
            "a[x]",
            "a[-1]",
            "a[+1]",
            "[0]",
            "a b",
            "a[0]b",
            "\"a",
            "a.\"b",
            "\"a\\\"b\"",
            "a[99999999999999999999]",
            "a.\"$serde_json::private::RawValue\"",
            "ä ö",
        ] {
            assert_eq!(text.parse::<Path>(), Err(BadPath::Read(text.into())));
        }
        assert!("Größe.straße_1-2".parse::<Path>().is_ok());
    }

    #[test]
    fn a_path_ends_where_every_payload_does() {
        let long = |steps: usize| vec!["a"; steps].join(".").parse::<Path>();
        assert_eq!(long(MAX_PAYLOAD_DEPTH).unwrap().depth(), MAX_PAYLOAD_DEPTH);
        assert_eq!(long(MAX_PAYLOAD_DEPTH + 1), Err(BadPath::Follow));
        assert_eq!(
            "a[0]".repeat(1000).parse::<Path>(),
            Err(BadPath::Read("a[0]".repeat(25)))
        );
    }

    #[test]
    fn a_path_goes_on_in_each_element_of_an_array() {
        for (array, inner, joined) in [
            ("a", "b", "a[].b"),
            ("a[]", "b[0].c", "a[].b[0].c"),
            ("a[][]", "b", "a[][].b"),
            ("a[1]", "\"b c\"[]", "a[1][].\"b c\"[]"),
        ] {
            let path = |text: &str| text.parse::<Path>().unwrap();
            assert_eq!(path(array).each(&path(inner)), path(joined));
        }
    }

    proptest! {
        #[test]
        fn a_path_is_read_back_from_how_it_is_shown(
            first in "[a-zä_. ]{1,5}",
            keys in prop::collection::vec(("[a-z\\[\\].-]{0,4}", 0_usize..12, 0_u8..3), 0..5),
        ) {
            let step = |(key, index, kind): (String, usize, u8)| match kind {
                0 => Step::Key(key),
                1 => Step::Index(index),
                _ => Step::All,
            };
            let path = Path { first, rest: keys.into_iter().map(step).collect() };
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z0-9\\[\\]\".\\\\ ]{0,12}") {
            drop(text.parse::<Path>());
        }
    }
}
