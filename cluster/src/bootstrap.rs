//! The members that a shard's group begins with, as a value beside the ring. It
//! is written once, before any of them may begin: a group that is made of other
//! members a second time, of an empty disk, would have forgotten what the first
//! one acknowledged. Each member that it names begins with exactly these, so it
//! does not matter which of them stops in between.

use quoit_ring::Registration;
use serde::de::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The members, by their nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beginning {
    /// Where each was then.
    pub members: BTreeMap<u64, Registration>,
}

/// Bytes that name no members.
#[derive(Debug, thiserror::Error)]
#[error(
    "the members that the shard began with are not as Quoit writes them; put back what was there: it is never written anew for a shard that has data"
)]
pub struct BadBeginning(#[source] serde_json::Error);

impl Beginning {
    /// With the newest node of each place, if there is one for each of so many.
    #[must_use]
    pub fn of(registered: &BTreeMap<u64, Registration>, replicas: u32) -> Option<Self> {
        // Nodes come in the order of their ids: a later one takes the place.
        let newest: BTreeMap<u32, u64> = registered
            .iter()
            .map(|(node, registration)| (registration.ordinal, *node))
            .collect();
        let members: Option<BTreeMap<_, _>> = (0..replicas)
            .map(|ordinal| {
                let node = *newest.get(&ordinal)?;
                Some((node, registered.get(&node)?.clone()))
            })
            .collect();
        members.map(|members| Self { members })
    }

    /// The bytes to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers and texts: there is nothing that JSON lacks.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What was kept.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadBeginning> {
        let kept: Self = serde_json::from_slice(bytes).map_err(BadBeginning)?;
        if kept.members.is_empty() {
            // Each would wait to be taken in by one of the others.
            return Err(BadBeginning(serde_json::Error::custom("it names none")));
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(nodes: &[(u64, u32)]) -> BTreeMap<u64, Registration> {
        let registration = |(node, ordinal): &(u64, u32)| {
            let address = format!("127.0.0.1:{node}");
            let registration = Registration {
                address,
                zone: None,
                ordinal: *ordinal,
            };
            (*node, registration)
        };
        nodes.iter().map(registration).collect()
    }

    #[test]
    fn a_group_begins_with_the_newest_node_of_each_place_and_not_before_all_are_there() {
        let some = registered(&[(4, 0), (9, 2)]);
        assert_eq!(Beginning::of(&some, 3), None);
        let all = registered(&[(4, 0), (6, 1), (7, 1), (9, 2), (12, 3)]);
        let begins = Beginning::of(&all, 3).unwrap();
        assert_eq!(
            begins.members.keys().copied().collect::<Vec<_>>(),
            [4, 7, 9]
        );
        assert_eq!(Beginning::from_bytes(&begins.to_bytes()).unwrap(), begins);
    }

    #[test]
    fn what_names_no_members_is_no_beginning() {
        for bytes in [&b""[..], b"garbage", b"{}", br#"{"members":{}}"#] {
            let error = Beginning::from_bytes(bytes).unwrap_err().to_string();
            assert!(error.contains("put back what was there"), "{error}");
        }
    }
}
