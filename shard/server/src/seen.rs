//! What a replica has seen of its shard in etcd: the wish, the schema, who has
//! registered. What was seen last stays while etcd is away.

use quoit_cluster::{KeptSchema, Wish};
use quoit_ring::{Named, Registration, ValueName, Versioned};
use quoit_shard::{Member, Wished};
use std::collections::BTreeMap;

/// What was seen last.
#[derive(Debug, Default)]
pub struct Seen {
    /// What is wished for.
    pub wish: Option<Wish>,
    /// The payload indexes.
    pub schema: Option<KeptSchema>,
    /// The nodes of this shard, with what they say of themselves.
    pub nodes: Option<BTreeMap<u64, Versioned<Registration>>>,
}

/// What is there and cannot be understood; what was seen before it stays.
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
}

impl Seen {
    /// The value of the wish.
    ///
    /// # Errors
    /// It is none.
    pub fn see_wish(&mut self, named: &Named) -> Result<(), NotSeen> {
        if let Some(kept) = named.get(&ValueName::wish()) {
            self.wish = Some(Wish::from_bytes(&kept.value)?);
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

    /// The registrations of the shard. One that cannot be read is left out: the
    /// others are to be found all the same.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn see_nodes(&mut self, named: &Named) -> Result<(), NotSeen> {
        let mut nodes = BTreeMap::new();
        let mut outcome = Ok(());
        for (name, kept) in named {
            let Some((_, node)) = name.as_node() else {
                continue;
            };
            match Registration::from_bytes(&kept.value) {
                Ok(value) => {
                    let revision = kept.revision;
                    nodes.insert(node, Versioned { revision, value });
                }
                Err(source) => {
                    let name = name.clone();
                    outcome = outcome.and(Err(NotSeen::Node { name, source }));
                }
            }
        }
        self.nodes = Some(nodes);
        outcome
    }

    /// The members that the shard is to have, if all of that was seen.
    pub fn wished(&self) -> Option<Wished> {
        let (wish, nodes) = (self.wish.as_ref()?, self.nodes.as_ref()?);
        let nodes = nodes.iter();
        Some(Wished {
            generation: wish.generation,
            replicas: wish.spec.replicas,
            nodes: nodes.map(|(n, kept)| (*n, member(&kept.value))).collect(),
        })
    }

    /// Whether a node is not to be a member: its place is one too many, or has a
    /// newer node.
    pub fn is_superfluous(&self, node: u64, ordinal: u32) -> bool {
        let replicas = self.wish.as_ref().map(|wish| wish.spec.replicas);
        let mut newer = self.nodes.iter().flat_map(|nodes| nodes.range(node + 1..));
        replicas.is_some_and(|replicas| ordinal >= replicas)
            || newer.any(|(_, kept)| kept.value.ordinal == ordinal)
    }

    /// Registrations of nodes that are neither to be members, nor are any.
    pub fn superfluous(&self, members: impl Fn(u64) -> bool) -> Vec<(u64, quoit_ring::Revision)> {
        let nodes = self.nodes.iter().flatten();
        let superfluous = nodes.filter(|(node, kept)| {
            self.is_superfluous(**node, kept.value.ordinal) && !members(**node)
        });
        superfluous
            .map(|(node, kept)| (*node, kept.revision))
            .collect()
    }
}

/// A registered node as a member.
pub fn member(registration: &Registration) -> Member {
    Member {
        address: registration.address.clone(),
        ordinal: registration.ordinal,
        zone: registration.zone.clone().unwrap_or_default(),
        wish: 0,
    }
}
