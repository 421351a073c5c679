//! What a program has seen of its collection in etcd: the ring, the wish, the
//! schema, who has registered. It decides what takes the place of what was seen
//! before: nothing that is gone, that cannot be understood, or, of rings, that is
//! of an earlier epoch. So what was seen last stays, also while etcd is away.
//!
//! Each is also kept as the bytes that it was in etcd, to be shown to others
//! ([`crate::picture`]): a newer version may have written what this one reads past.

use crate::{KeptSchema, Wish};
use quoit_ring::{Named, Registration, Ring, ShardId, ValueName, Versioned};
use std::collections::BTreeMap;

/// Nodes with what they say of themselves.
pub type Nodes = BTreeMap<(ShardId, u64), Versioned<Registration>>;

/// What was seen last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    ring: Option<Ring>,
    wish: Option<Wish>,
    schema: Option<KeptSchema>,
    nodes: Option<Nodes>,
    bytes: BTreeMap<ValueName, Vec<u8>>,
}

/// What is there and cannot be taken; what was seen before it stays.
#[derive(Debug, thiserror::Error)]
pub enum NotSeen {
    /// The wish.
    #[error(transparent)]
    Wish(#[from] crate::BadWish),
    /// The schema.
    #[error(transparent)]
    Schema(#[from] crate::BadSchema),
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
    /// The ring, once it was seen.
    #[must_use]
    pub fn ring(&self) -> Option<&Ring> {
        self.ring.as_ref()
    }

    /// What is wished for, once it was seen.
    #[must_use]
    pub fn wish(&self) -> Option<&Wish> {
        self.wish.as_ref()
    }

    /// The payload indexes and aliases, once they were seen.
    #[must_use]
    pub fn schema(&self) -> Option<&KeptSchema> {
        self.schema.as_ref()
    }

    /// The nodes of all shards; `None` before it was seen whether there are any.
    #[must_use]
    pub fn nodes(&self) -> Option<&Nodes> {
        self.nodes.as_ref()
    }

    /// Each value as it was in etcd.
    pub(crate) fn bytes(&self) -> &BTreeMap<ValueName, Vec<u8>> {
        &self.bytes
    }

    /// The value of the wish.
    ///
    /// # Errors
    /// It is none, or is gone.
    pub fn see_wish(&mut self, named: &Named) -> Result<(), NotSeen> {
        let name = ValueName::wish();
        if let Some(kept) = named.get(&name) {
            self.wish = Some(Wish::from_bytes(&kept.value)?);
            self.bytes.insert(name, kept.value.clone());
        } else if self.wish.is_some() {
            let (what, remedy) = ("wish", "apply the collection again");
            return Err(NotSeen::Gone { what, remedy });
        }
        Ok(())
    }

    /// The value of the schema.
    ///
    /// # Errors
    /// It is none, or is gone.
    pub fn see_schema(&mut self, named: &Named) -> Result<(), NotSeen> {
        let name = ValueName::schema();
        if let Some(kept) = named.get(&name) {
            self.schema = Some(KeptSchema::from_bytes(&kept.value)?);
            self.bytes.insert(name, kept.value.clone());
        } else if self.schema.is_some() {
            let (what, remedy) = ("schema", "apply the collection again");
            return Err(NotSeen::Gone { what, remedy });
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
            (Some(ring), _) => {
                self.bytes.insert(ValueName::ring(), ring.to_bytes());
                self.ring = Some(ring);
            }
        }
        Ok(())
    }

    /// The registrations of all nodes. A node whose registration is gone is gone: a
    /// leader removed it. Of one whose registration cannot be read, what it said
    /// before stays.
    ///
    /// # Errors
    /// The first that cannot be read; the others are seen.
    pub fn see_nodes(&mut self, named: &Named) -> Result<(), NotSeen> {
        let mut before = self.nodes.take().unwrap_or_default();
        let mut nodes = Nodes::new();
        let mut bytes = BTreeMap::new();
        let mut outcome = Ok(());
        for (name, kept) in named {
            let Some(key) = name.as_node() else {
                continue;
            };
            match Registration::from_bytes(&kept.value) {
                Ok(value) => {
                    let revision = kept.revision;
                    nodes.insert(key, Versioned { revision, value });
                    bytes.insert(name.clone(), kept.value.clone());
                }
                Err(source) => {
                    let known = before.remove(&key).zip(self.bytes.remove(name));
                    if let Some((known, was)) = known {
                        nodes.insert(key, known);
                        bytes.insert(name.clone(), was);
                    }
                    let name = name.clone();
                    outcome = outcome.and(Err(NotSeen::Node { name, source }));
                }
            }
        }
        self.bytes.retain(|name, _| name.as_node().is_none());
        self.bytes.append(&mut bytes);
        self.nodes = Some(nodes);
        outcome
    }

    /// Takes from another what it has not seen itself.
    pub fn fill(&mut self, other: Self) {
        let Self {
            ring,
            wish,
            schema,
            nodes,
            bytes,
        } = other;
        let is_lacking = |name: &ValueName| match name.as_node() {
            Some(_) => self.nodes.is_none(),
            None => !self.bytes.contains_key(name),
        };
        let lacking: BTreeMap<_, _> = bytes.into_iter().filter(|(n, _)| is_lacking(n)).collect();
        self.bytes.extend(lacking);
        self.ring = self.ring.take().or(ring);
        self.wish = self.wish.take().or(wish);
        self.schema = self.schema.take().or(schema);
        self.nodes = self.nodes.take().or(nodes);
    }

    /// The replicas of each shard that are to be asked: the newest at each place.
    #[must_use]
    pub fn replicas(&self) -> BTreeMap<ShardId, BTreeMap<u64, Registration>> {
        let mut places: BTreeMap<(ShardId, u32), (u64, &Registration)> = BTreeMap::new();
        // Nodes come in the order of their ids: a later one takes the place.
        for ((shard, node), kept) in self.nodes.iter().flatten() {
            places.insert((*shard, kept.value.ordinal), (*node, &kept.value));
        }
        let mut replicas: BTreeMap<ShardId, BTreeMap<u64, Registration>> = BTreeMap::new();
        for ((shard, _), (node, registration)) in places {
            let replicas = replicas.entry(shard).or_default();
            replicas.insert(node, registration.clone());
        }
        replicas
    }
}

#[cfg(test)]
pub(crate) mod tests;
