//! What there is in the collection during a run: the points at rest, which are
//! loaded first and never touched, and those that clients change. All of it
//! follows from a few numbers, so that the proof knows every right answer.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::record::Stamp;

/// The numbers that a run follows from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Of all that is random.
    pub seed: u64,
    /// Of the vectors.
    pub dimension: usize,
    /// Points at rest; their ids are 1 and so on.
    pub rest: u64,
    /// Groups that the points at rest are in, by turns.
    pub groups: u64,
    /// Points that clients change; their keys are 0 and so on.
    pub keys: u64,
    /// Clients at work.
    pub clients: u32,
    /// How many points a search asks for.
    pub limit: usize,
    /// How many points are on a page.
    pub page: usize,
}

/// The id of the first point that clients change: far above those at rest.
const MOVING: u64 = 1 << 40;

/// Two vectors whose components differ by more than this are not the same one,
/// rounded.
const ROUNDING: f32 = 1e-3;

impl Plan {
    /// The number under which is recorded what is read after all clients have ended.
    #[must_use]
    pub fn closer(&self) -> u32 {
        self.clients
    }

    /// The id of a point that clients change.
    #[must_use]
    pub fn id_of(&self, key: u64) -> u64 {
        MOVING + key
    }

    /// The key of a point that clients change.
    #[must_use]
    pub fn key_of(&self, id: u64) -> Option<u64> {
        id.checked_sub(MOVING).filter(|key| *key < self.keys)
    }

    /// The group of a point at rest.
    #[must_use]
    pub fn group_of(&self, id: u64) -> u64 {
        id % self.groups
    }

    /// How many points at rest are in a group, or in all of them.
    #[must_use]
    pub fn count(&self, group: Option<u64>) -> u64 {
        let is_in = |id: &u64| group.is_none_or(|group| self.group_of(*id) == group);
        (1..=self.rest).filter(is_in).count() as u64
    }

    /// The vector of a point at rest: of length 1, and no further from any
    /// other at rest than at a right angle.
    #[must_use]
    pub fn vector_at_rest(&self, id: u64) -> Vec<f32> {
        self.vector(1.0, 1.0, [1, id])
    }

    /// The vector that an upsert gives: of length 1, and further than a right
    /// angle from all points at rest, so that no search for these finds it.
    #[must_use]
    pub fn vector_of(&self, stamp: Stamp) -> Vec<f32> {
        let client = u64::from(stamp.client);
        self.vector(-1.0, 0.2, [2 + client, stamp.counter])
    }

    /// Whether a vector is the one that an upsert gave.
    #[must_use]
    pub fn is_vector_of(&self, stamp: Stamp, vector: &[f32]) -> bool {
        let expected = self.vector_of(stamp);
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < ROUNDING;
        expected.len() == vector.len() && expected.iter().zip(vector).all(near)
    }

    /// A vector with this first component, and a random rest of this length,
    /// brought to length 1.
    fn vector(&self, first: f32, others: f32, of: [u64; 2]) -> Vec<f32> {
        let mut random = self.random(of);
        let mut vector: Vec<f32> = (1..self.dimension)
            .map(|_| random.random_range(-1.0..1.0))
            .collect();
        let scale = others / length(&vector).max(f32::MIN_POSITIVE);
        for x in &mut vector {
            *x *= scale;
        }
        vector.insert(0, first);
        let whole = length(&vector);
        for x in &mut vector {
            *x /= whole;
        }
        vector
    }

    /// Randomness of one purpose.
    pub(crate) fn random(&self, of: [u64; 2]) -> StdRng {
        let mut seed = [0; 32];
        let parts = [self.seed, of[0], of[1], 0];
        for (bytes, part) in seed.chunks_exact_mut(8).zip(parts) {
            bytes.copy_from_slice(&part.to_le_bytes());
        }
        StdRng::from_seed(seed)
    }
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

/// How alike two vectors of length 1 are.
pub(crate) fn likeness(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            seed: 7,
            dimension: 16,
            rest: 200,
            groups: 8,
            keys: 10,
            clients: 4,
            limit: 10,
            page: 50,
        }
    }

    #[test]
    fn no_point_that_changes_is_as_near_to_one_at_rest_as_another_at_rest() {
        let plan = plan();
        let rest: Vec<_> = (1..=plan.rest).map(|id| plan.vector_at_rest(id)).collect();
        for counter in 0..100 {
            let stamp = Stamp { client: 3, counter };
            let moving = plan.vector_of(stamp);
            assert!((length(&moving) - 1.0).abs() < 1e-5);
            for a in &rest {
                assert!(likeness(a, &moving) < -0.1);
                assert!(rest.iter().all(|b| likeness(a, b) > -1e-5));
            }
        }
    }

    #[test]
    fn a_vector_is_told_from_that_of_another_upsert() {
        let plan = plan();
        let stamp = |counter| Stamp { client: 0, counter };
        let mut vector = plan.vector_of(stamp(1));
        assert!(!plan.is_vector_of(stamp(2), &vector));
        vector[3] += 1e-4;
        assert!(plan.is_vector_of(stamp(1), &vector));
        vector.pop();
        assert!(!plan.is_vector_of(stamp(1), &vector));
    }

    #[test]
    fn groups_add_up() {
        let plan = plan();
        let sum: u64 = (0..plan.groups).map(|g| plan.count(Some(g))).sum();
        assert_eq!(sum, plan.count(None));
        assert_eq!(plan.count(None), plan.rest);
    }
}
