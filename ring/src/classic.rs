//! The classic consistent-hash ring, to hold Quoit's table against: every
//! member has points on a circle of 64-bit hashes, and a key belongs to the
//! first point at or after its own hash, past the end to the first of all. It
//! decides nothing in Quoit; `quoit ring simulate --compare classic` shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// A ring of members with the same number of points each.
#[derive(Clone, Debug)]
pub struct ClassicRing {
    points_per_member: u32,
    members: BTreeSet<Arc<str>>,
    points: BTreeMap<u64, Arc<str>>,
    hash: fn(&str) -> u64,
}

impl ClassicRing {
    /// An empty ring whose members will have this many points; 80 is usual,
    /// 20 to 300 are sensible. A member without points owns nothing.
    #[must_use]
    pub fn new(points_per_member: u32) -> Self {
        Self {
            points_per_member,
            members: BTreeSet::new(),
            points: BTreeMap::new(),
            hash: sha256_64,
        }
    }

    /// Adds a member; says whether it is new. Adding it twice changes nothing.
    ///
    /// Its points are the hashes of `node:{id}#vnode:{v}` for each v from 0. One
    /// that is taken already is hashed again as `node:{id}#vnode:{v}#salt:{n}`
    /// with n from 1 until it is free, so that no member loses a point and the
    /// same calls always give the same ring.
    pub fn add(&mut self, id: &str) -> bool {
        let member: Arc<str> = id.into();
        if !self.members.insert(Arc::clone(&member)) {
            return false;
        }
        for v in 0..self.points_per_member {
            let name = format!("node:{id}#vnode:{v}");
            let mut point = (self.hash)(&name);
            let mut salt = 0_u64;
            while self.points.contains_key(&point) {
                salt += 1;
                point = (self.hash)(&format!("{name}#salt:{salt}"));
            }
            self.points.insert(point, Arc::clone(&member));
        }
        true
    }

    /// Removes a member with its points; says whether it was there. Removing
    /// one that is not changes nothing.
    pub fn remove(&mut self, id: &str) -> bool {
        if !self.members.remove(id) {
            return false;
        }
        self.points.retain(|_, member| &**member != id);
        true
    }

    /// The member that a key belongs to, by the hash of `key:{key}`; `None`
    /// when the ring has no points.
    #[must_use]
    pub fn owner(&self, key: &str) -> Option<&str> {
        let hash = (self.hash)(&format!("key:{key}"));
        let mut from_there = self.points.range(hash..);
        let point = from_there.next().or_else(|| self.points.first_key_value());
        point.map(|(_, member)| &**member)
    }

    /// The members, by their ids' bytes.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| &**member)
    }

    /// How many points a member has on the circle.
    #[must_use]
    pub fn points_of(&self, id: &str) -> u64 {
        self.points
            .values()
            .filter(|member| &***member == id)
            .count() as u64
    }
}

/// The first eight bytes of SHA-256, big-endian.
fn sha256_64(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The literal values here were computed with Python's hashlib and bisect.

    fn ring(members: u32, points: u32) -> ClassicRing {
        let mut ring = ClassicRing::new(points);
        for i in 0..members {
            ring.add(&format!("node-{i}"));
        }
        ring
    }

    /// Keys `0` to `5999` of each member.
    fn loads(ring: &ClassicRing) -> BTreeMap<String, u32> {
        let mut loads = BTreeMap::new();
        for key in 0..6000 {
            let owner = ring.owner(&key.to_string()).unwrap();
            *loads.entry(owner.to_owned()).or_default() += 1;
        }
        loads
    }

    fn named<const N: usize>(loads: [(&str, u32); N]) -> BTreeMap<String, u32> {
        loads.map(|(id, n)| (id.to_owned(), n)).into()
    }

    #[test]
    fn the_hash_is_the_first_eight_bytes_of_sha256() {
        assert_eq!(sha256_64("node:node-0#vnode:0"), 0x203b_7e5e_9e46_d077);
        assert_eq!(sha256_64("node:node-0#vnode:1"), 0x7a2f_6363_b959_232b);
        assert_eq!(sha256_64("key:0"), 0x4888_ffe8_2a7d_2964);
        assert_eq!(sha256_64("key:1"), 0xbd24_723a_b694_a02d);
    }

    #[test]
    fn the_points_are_where_the_golden_ring_has_them() {
        let ring = ring(4, 80);
        assert_eq!(ring.points.len(), 320);
        let (first, member) = ring.points.first_key_value().unwrap();
        assert_eq!((*first, &**member), (34_943_152_995_920_412, "node-3"));
        let (last, member) = ring.points.last_key_value().unwrap();
        assert_eq!((*last, &**member), (18_437_612_312_072_610_020, "node-3"));
        assert_eq!(ring.points_of("node-2"), 80);
    }

    #[test]
    fn keys_belong_to_whom_the_golden_ring_gives_them() {
        let ring = ring(4, 80);
        let owners: Vec<_> = (0..12)
            .map(|key| ring.owner(&key.to_string()).unwrap())
            .collect();
        let digits = [2, 1, 2, 3, 0, 1, 2, 1, 3, 3, 3, 1];
        assert_eq!(owners, digits.map(|i| format!("node-{i}")));
        assert_eq!(ring.owner("α/β"), Some("node-0"));
        assert_eq!(ring.owner(""), Some("node-3"));
    }

    #[test]
    fn a_join_and_a_leave_give_the_golden_loads() {
        let mut ring = ring(4, 80);
        let four = [
            ("node-0", 1544),
            ("node-1", 1451),
            ("node-2", 1325),
            ("node-3", 1680),
        ];
        assert_eq!(loads(&ring), named(four));
        ring.add("node-4");
        let five = [
            ("node-0", 1065),
            ("node-1", 1148),
            ("node-2", 1157),
            ("node-3", 1232),
            ("node-4", 1398),
        ];
        assert_eq!(loads(&ring), named(five));
        ring.remove("node-4");
        ring.remove("node-1");
        let three = [("node-0", 1953), ("node-2", 1690), ("node-3", 2357)];
        assert_eq!(loads(&ring), named(three));
    }

    #[test]
    fn a_key_past_the_last_point_wraps_to_the_first() {
        // node-0 is at 0x203b…, node-1 at 0xa1e3….
        let ring = ring(2, 1);
        assert_eq!(ring.owner("4"), Some("node-0"), "0x18b6…, before both");
        assert_eq!(ring.owner("0"), Some("node-1"), "0x4888…, between them");
        assert_eq!(ring.owner("3"), Some("node-0"), "0xf8ff…, after both");
    }

    #[test]
    fn a_key_at_a_point_belongs_to_that_point() {
        let mut ring = ClassicRing::new(1);
        ring.hash = |text| if text == "node:b#vnode:0" { 9 } else { 5 };
        ring.add("a");
        ring.add("b");
        assert_eq!(ring.owner("any"), Some("a"), "point and key are both at 5");
    }

    #[test]
    fn an_empty_ring_owns_nothing_and_is_harmless() {
        let mut ring = ClassicRing::new(80);
        assert_eq!(ring.owner("0"), None);
        assert!(!ring.remove("node-0"));
        assert_eq!(ring.members().count(), 0);
        assert_eq!(ring.points_of("node-0"), 0);
        ring.add("node-0");
        ring.remove("node-0");
        assert_eq!(ring.owner("0"), None);
    }

    #[test]
    fn adding_twice_and_removing_the_absent_change_nothing() {
        let mut ring = ring(4, 80);
        let before = ring.points.clone();
        assert!(!ring.add("node-2"));
        assert!(!ring.remove("node-9"));
        assert_eq!(ring.points, before);
        assert!(ring.remove("node-2"));
        assert!(ring.add("node-2"));
        assert_eq!(ring.points, before);
    }

    #[test]
    fn a_taken_point_is_salted_and_each_member_keeps_its_number_of_points() {
        // Every plain point collides with every other, and so do the first
        // salted ones: only the number of the salt tells them apart.
        let hash = |text: &str| match text.split_once("#salt:") {
            None => 1,
            Some((_, n)) => n.parse::<u64>().unwrap() / 2 + 1,
        };
        let build = || {
            let mut ring = ClassicRing::new(3);
            ring.hash = hash;
            ring.add("a");
            ring.add("b");
            ring
        };
        let ring = build();
        assert_eq!(ring.points_of("a"), 3);
        assert_eq!(ring.points_of("b"), 3);
        assert_eq!(ring.points, build().points);

        let mut without = ring.clone();
        without.remove("a");
        assert_eq!(without.points_of("b"), 3);
        assert_eq!(without.points_of("a"), 0);
    }
}
