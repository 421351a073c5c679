//! What the router has seen of its collection in etcd. What was seen last stays
//! while etcd is away, and where what is there cannot be understood.

use quoit_cluster::{KeptSchema, Wish};
use quoit_ring::{Named, Registration, Ring, ShardId, ValueName};
use std::collections::BTreeMap;

/// What was seen last.
#[derive(Debug, Default)]
pub struct Seen {
    /// What is wished for.
    pub wish: Option<Wish>,
    /// The payload indexes and aliases.
    pub schema: Option<KeptSchema>,
    /// The ring.
    pub ring: Option<Ring>,
    /// The replicas of each shard: the newest at each place.
    pub replicas: BTreeMap<ShardId, BTreeMap<u64, Registration>>,
}

/// What is there and cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum NotSeen {
    /// The wish.
    #[error(transparent)]
    Wish(#[from] quoit_cluster::BadWish),
    /// The schema.
    #[error(transparent)]
    Schema(#[from] quoit_cluster::BadSchema),
    /// A registration.
    #[error("{name}")]
    Node {
        /// Its name.
        name: ValueName,
        /// What is wrong with it.
        source: quoit_ring::BadRegistration,
    },
    /// An earlier ring than one that was seen.
    #[error(
        "etcd shows the ring of epoch {shown}, and that of epoch {seen} was seen: was etcd set back to a backup? Put back a ring of epoch {seen} or a later one"
    )]
    OldRing {
        /// Its epoch.
        shown: u64,
        /// The epoch of the newest one that was seen.
        seen: u64,
    },
    /// What was seen is there no more.
    #[error("the {what} is gone from etcd: {remedy}")]
    Gone {
        /// What.
        what: &'static str,
        /// How it comes back.
        remedy: &'static str,
    },
}

impl Seen {
    /// The value of the wish.
    ///
    /// # Errors
    /// It is none.
    pub fn see_wish(&mut self, named: &Named) -> Result<(), NotSeen> {
        if let Some(kept) = named.get(&ValueName::wish()) {
            self.wish = Some(Wish::from_bytes(&kept.value)?);
        } else if self.wish.is_some() {
            let (what, remedy) = ("wish", "apply the collection again");
            return Err(NotSeen::Gone { what, remedy });
        }
        Ok(())
    }

    /// The value of the schema.
    ///
    /// # Errors
    /// It is none.
    pub fn see_schema(&mut self, named: &Named) -> Result<(), NotSeen> {
        if let Some(kept) = named.get(&ValueName::schema()) {
            self.schema = Some(KeptSchema::from_bytes(&kept.value)?);
        }
        Ok(())
    }

    /// The ring. One of an earlier epoch is not taken: vnodes have moved since, and
    /// who asks the shards that had them then asks in vain.
    ///
    /// # Errors
    /// It is older than the one before, or there is none any more.
    pub fn see_ring(&mut self, ring: Option<Ring>) -> Result<(), NotSeen> {
        let seen = self.ring.as_ref().map(Ring::epoch);
        match (ring, seen) {
            (None, None) => {}
            (None, Some(_)) => {
                let (what, remedy) = ("ring", "put it back from a backup");
                return Err(NotSeen::Gone { what, remedy });
            }
            (Some(ring), Some(seen)) if ring.epoch() < seen => {
                let shown = ring.epoch();
                return Err(NotSeen::OldRing { shown, seen });
            }
            (Some(ring), _) => self.ring = Some(ring),
        }
        Ok(())
    }

    /// The registrations of all nodes.
    ///
    /// # Errors
    /// The first that cannot be read; the others are seen.
    pub fn see_nodes(&mut self, named: &Named) -> Result<(), NotSeen> {
        let mut places: BTreeMap<(ShardId, u32), (u64, Registration)> = BTreeMap::new();
        let mut outcome = Ok(());
        for (name, kept) in named {
            let Some((shard, node)) = name.as_node() else {
                continue;
            };
            match Registration::from_bytes(&kept.value) {
                Ok(registration) => {
                    let place = (shard, registration.ordinal);
                    // Names are in the order of their texts, where 10 is before 9.
                    if places.get(&place).is_none_or(|(known, _)| *known < node) {
                        places.insert(place, (node, registration));
                    }
                }
                Err(source) => {
                    let name = name.clone();
                    outcome = outcome.and(Err(NotSeen::Node { name, source }));
                }
            }
        }
        self.replicas = BTreeMap::new();
        for ((shard, _), (node, registration)) in places {
            let replicas = self.replicas.entry(shard).or_default();
            replicas.insert(node, registration);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quoit_ring::{Revision, Versioned};

    fn named(nodes: &[(u32, u64, u32)]) -> Named {
        let one = |(shard, node, ordinal): &(u32, u64, u32)| {
            let registration = Registration {
                address: format!("127.0.0.1:{node}"),
                zone: None,
                ordinal: *ordinal,
            };
            let kept = Versioned {
                revision: Revision(1),
                value: registration.to_bytes(),
            };
            (ValueName::node(ShardId(*shard), *node), kept)
        };
        nodes.iter().map(one).collect()
    }

    #[test]
    fn of_several_nodes_at_one_place_the_newest_is_asked() {
        let mut seen = Seen::default();
        seen.see_nodes(&named(&[(0, 9, 0), (0, 10, 0), (0, 2, 1), (1, 3, 0)]))
            .unwrap();
        let nodes = |shard| {
            seen.replicas[&ShardId(shard)]
                .keys()
                .copied()
                .collect::<Vec<_>>()
        };
        assert_eq!(nodes(0), [2, 10]);
        assert_eq!(nodes(1), [3]);
    }

    #[test]
    fn a_registration_that_cannot_be_read_hides_no_other() {
        let mut all = named(&[(0, 1, 0), (0, 2, 1)]);
        all.get_mut(&ValueName::node(ShardId(0), 1)).unwrap().value = b"?".to_vec();
        let mut seen = Seen::default();
        let error = seen.see_nodes(&all).unwrap_err().to_string();
        assert!(error.contains("shards/0/nodes/1"), "{error}");
        assert_eq!(seen.replicas[&ShardId(0)].len(), 1);
    }
}
