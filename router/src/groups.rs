//! Points by a value of their payload, in the order in which they rank: which
//! groups a point is in, and which points a group keeps. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use quoit_filter::{Condition, Path, Scalar, Test};
use quoit_ring::PointId;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::rest::openapi::shape::{any_of, integer, shaped, text};

/// What the points of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub(crate) enum GroupId {
    /// A whole number.
    Integer(i64),
    /// A whole number beyond those.
    Large(u64),
    /// A text.
    Text(String),
}

shaped!(GroupId as "GroupId" => any_of([text(), integer()]));

impl GroupId {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Number(number) => {
                let integer = number.as_i64().map(Self::Integer);
                integer.or_else(|| number.as_u64().map(Self::Large))
            }
            _ => None,
        }
    }

    /// The point of another collection that the group is named after.
    pub(crate) fn point(&self) -> Option<PointId> {
        match self {
            Self::Integer(number) => u64::try_from(*number).ok().map(PointId::Num),
            Self::Large(number) => Some(PointId::Num(*number)),
            Self::Text(text) => Uuid::try_parse(text).ok().map(PointId::Uuid),
        }
    }

    /// What holds for the points of the group; no condition tells numbers
    /// beyond 63 bits.
    pub(crate) fn condition(&self, path: &Path) -> Option<Condition> {
        let scalar = match self {
            Self::Integer(number) => Scalar::Integer(*number),
            Self::Text(text) => Scalar::Keyword(text.clone()),
            Self::Large(_) => return None,
        };
        Some(Condition::Field {
            path: path.clone(),
            test: Test::Value(scalar),
        })
    }
}

/// The groups that a payload puts its point in, each once: one for each value
/// at the path, the elements of an array being values too. A point with a
/// value that is neither text nor a whole number is in none.
pub(crate) fn groups_of(payload: &[u8], path: &Path) -> Result<Vec<GroupId>, serde_json::Error> {
    let payload: Map<String, Value> = match payload {
        [] => Map::new(),
        text => serde_json::from_slice(text)?,
    };
    let mut ids = Vec::new();
    for value in path.values(&payload) {
        let values = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            match GroupId::of(value) {
                None => return Ok(Vec::new()),
                Some(id) if ids.contains(&id) => {}
                Some(id) => ids.push(id),
            }
        }
    }
    Ok(ids)
}

/// One group.
#[derive(Debug, Clone)]
pub(crate) struct Group<T> {
    pub(crate) id: GroupId,
    pub(crate) hits: Vec<T>,
}

/// The first groups of ranked points, and the first points of each.
pub(crate) struct Groups<T> {
    limit: usize,
    size: usize,
    places: HashMap<GroupId, usize>,
    pub(crate) all: Vec<Group<T>>,
}

impl<T: Clone> Groups<T> {
    /// None yet, of up to `limit` of up to `size` points.
    pub(crate) fn new(limit: usize, size: usize) -> Self {
        Self {
            limit,
            size,
            places: HashMap::new(),
            all: Vec::new(),
        }
    }

    /// Puts the next best point where it belongs.
    pub(crate) fn add(&mut self, ids: Vec<GroupId>, hit: &T) {
        for id in ids {
            match self.places.entry(id) {
                Entry::Occupied(place) => {
                    let group = self.all.get_mut(*place.get());
                    if let Some(group) = group.filter(|group| group.hits.len() < self.size) {
                        group.hits.push(hit.clone());
                    }
                }
                Entry::Vacant(_) if self.all.len() == self.limit => {}
                Entry::Vacant(place) => {
                    let id = place.key().clone();
                    place.insert(self.all.len());
                    let hits = vec![hit.clone()];
                    self.all.push(Group { id, hits });
                }
            }
        }
    }

    /// Whether all groups that are wanted are known.
    pub(crate) fn are_found(&self) -> bool {
        self.all.len() == self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(payload: &Value, path: &str) -> Vec<Value> {
        let text = payload.to_string();
        let ids = groups_of(text.as_bytes(), &path.parse().unwrap()).unwrap();
        ids.iter()
            .map(|id| serde_json::to_value(id).unwrap())
            .collect()
    }

    #[test]
    fn texts_and_whole_numbers_group_and_a_point_with_anything_else_is_in_no_group() {
        for (payload, path, want) in [
            (json!({"a": "x"}), "a", json!(["x"])),
            (json!({"a": -3}), "a", json!([-3])),
            (json!({"a": u64::MAX}), "a", json!([u64::MAX])),
            (json!({"a": ["x", 1, "x"]}), "a", json!(["x", 1])),
            (json!({"a": ["x", 1]}), "a[]", json!(["x", 1])),
            (json!({"a": [["x"], "y"]}), "a[]", json!(["x", "y"])),
            (
                json!({"a": [{"b": 1}, {"b": 2}, {"c": 3}]}),
                "a[].b",
                json!([1, 2]),
            ),
            (json!({"a": {"b": "x"}}), "a.b", json!(["x"])),
            (json!({"a": "1"}), "a", json!(["1"])),
            (json!({"a": 1.0}), "a", json!([])),
            (json!({"a": true}), "a", json!([])),
            (json!({"a": null}), "a", json!([])),
            (json!({"a": ["x", true]}), "a", json!([])),
            (json!({"a": [["x"]]}), "a", json!([])),
            (json!({"a": []}), "a", json!([])),
            (json!({}), "a", json!([])),
        ] {
            assert_eq!(json!(of(&payload, path)), want, "{payload} {path}");
        }
        assert_eq!(groups_of(b"", &"a".parse().unwrap()).unwrap(), []);
    }

    #[test]
    fn groups_come_in_the_order_of_their_best_points() {
        let mut groups = Groups::new(2, 2);
        let id = GroupId::Integer;
        for (ids, hit) in [
            (vec![1], 10),
            (vec![2, 1], 11),
            (vec![3], 12),
            (vec![1, 2], 13),
            (vec![2], 14),
        ] {
            groups.add(ids.into_iter().map(id).collect(), &hit);
        }
        let all: Vec<_> = groups
            .all
            .iter()
            .map(|g| (g.id.clone(), g.hits.clone()))
            .collect();
        assert_eq!(all, [(id(1), vec![10, 11]), (id(2), vec![11, 13])]);
        assert!(groups.are_found());
    }
}
