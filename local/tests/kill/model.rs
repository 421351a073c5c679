//! What a writer knows of its points: what was acknowledged for each, and what
//! may be so because an answer never came.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Threads that write, each its own points, so that for each point there is an
/// order of changes.
pub const WRITERS: u64 = 4;

/// Points that each writes.
pub const POINTS: u64 = 220;

pub const DIMENSION: usize = 16;

/// What a point is: the number of the write that made it so; `None`: not there.
pub type State = Option<u64>;

/// What is known of one point.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What was acknowledged last.
    pub acked: State,
    /// What it may be instead: its last change was not answered.
    pub maybe: Option<State>,
    /// Its version when it was last looked at, and what it was then.
    pub version: Option<(u64, u64)>,
}

/// The points of one writer.
#[derive(Debug)]
pub struct Model {
    /// By number: see [`id_of`].
    pub points: BTreeMap<u64, Known>,
    pub acknowledged: u64,
    pub unknown: u64,
    next_stamp: u64,
}

impl Model {
    pub fn new(writer: u64) -> Self {
        let points = (0..POINTS)
            .map(|n| (n * WRITERS + writer, Known::default()))
            .collect();
        Self {
            points,
            acknowledged: 0,
            unknown: 0,
            next_stamp: writer + 1,
        }
    }

    /// A number that no other write has.
    pub fn stamp(&mut self) -> u64 {
        self.next_stamp += WRITERS;
        self.next_stamp
    }

    /// A change is about to be asked for.
    pub fn ask(&mut self, changes: &[(u64, State)]) {
        for (point, state) in changes {
            self.points.get_mut(point).unwrap().maybe = Some(*state);
        }
    }

    /// It was acknowledged.
    pub fn acknowledge(&mut self, changes: &[(u64, State)]) {
        for (point, state) in changes {
            let known = self.points.get_mut(point).unwrap();
            (known.acked, known.maybe) = (*state, None);
        }
        self.acknowledged += 1;
    }

    /// What a point was found to be is what it must be from now on.
    pub fn settle(&mut self, point: u64, found: State) {
        let known = self.points.get_mut(&point).unwrap();
        let may_be = known.acked == found || known.maybe == Some(found);
        assert!(
            may_be,
            "point {} is {found:?}, and this is known of it: {known:?}",
            id_of(point)
        );
        (known.acked, known.maybe) = (found, None);
    }
}

/// A point's id: most are numbers, some are UUIDs.
pub fn id_of(point: u64) -> Value {
    if point % 5 == 3 {
        json!(
            uuid::Uuid::from_u64_pair(point.wrapping_mul(0x9e37_79b9_7f4a_7c15), point).to_string()
        )
    } else {
        json!(point * 1_000_003)
    }
}

/// The vector of a write: small whole numbers, so that they come back as they
/// went, and different for each stamp.
pub fn vector_of(stamp: u64) -> Vec<f32> {
    let mut state = stamp;
    let components = (0..DIMENSION).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let bits = u16::try_from(state >> 52).unwrap();
        f32::from(bits) - 2048.0
    });
    components.collect()
}

/// The payload of a write, of a length that differs.
pub fn payload_of(stamp: u64) -> Value {
    let length = usize::try_from(stamp * 37 % 300).unwrap();
    json!({"stamp": stamp, "text": "é".repeat(length)})
}
