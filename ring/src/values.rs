//! The values beside the ring: what is wished, the schema, who has registered.
//! It decides their names and the contract of the store that keeps them: small
//! bytes by name, each replaced only by whoever knows what is there.
//!
//! ```text
//! ring  leader  wish  schema  node-ids
//! shards/N/bootstrapped        the members that a shard's group begins with
//! shards/N/nodes/NODE          see Registration
//! ```

use std::collections::BTreeMap;
use std::fmt;

use crate::election::Leader;
use crate::key::ShardId;
use crate::store::{Revision, StoreError, SwapError, Versioned, Watch};

/// The name of a value; it stands for itself and, where values are listed or
/// watched, for all whose names begin with it and a slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueName(String);

/// A text that names no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no value: a name has parts of a-z, 0-9 and -, with a slash between two, \
     and at most {MAX_NAME} characters"
)]
pub struct BadValueName(String);

const MAX_NAME: usize = 200;

impl ValueName {
    /// The value of this name.
    ///
    /// # Errors
    /// It is none.
    pub fn new(name: &str) -> Result<Self, BadValueName> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let part = |part: &str| !part.is_empty() && part.chars().all(good);
        if name.len() <= MAX_NAME && name.split('/').all(part) {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadValueName(name.to_owned()))
        }
    }

    /// The ring itself, packed.
    #[must_use]
    pub fn ring() -> Self {
        Self("ring".to_owned())
    }

    /// Who leads the balancers.
    #[must_use]
    pub fn leader() -> Self {
        Self("leader".to_owned())
    }

    /// How many shards, replicas and so on there are to be.
    #[must_use]
    pub fn wish() -> Self {
        Self("wish".to_owned())
    }

    /// Vectors, payload indexes and aliases, numbered.
    #[must_use]
    pub fn schema() -> Self {
        Self("schema".to_owned())
    }

    /// The highest node id that was given away: see [`crate::next_number`].
    #[must_use]
    pub fn node_ids() -> Self {
        Self("node-ids".to_owned())
    }

    /// What is below it is each shard's.
    #[must_use]
    pub fn shards() -> Self {
        Self("shards".to_owned())
    }

    /// The members that a shard's group begins with; it is not there before the
    /// first of them may begin.
    #[must_use]
    pub fn bootstrapped(shard: ShardId) -> Self {
        Self(format!("shards/{shard}/bootstrapped"))
    }

    /// The registrations of all nodes of a shard.
    #[must_use]
    pub fn nodes(shard: ShardId) -> Self {
        Self(format!("shards/{shard}/nodes"))
    }

    /// The registration of a node.
    #[must_use]
    pub fn node(shard: ShardId, node: u64) -> Self {
        Self(format!("shards/{shard}/nodes/{node}"))
    }

    /// The shard and the node whose registration has this name, if it is one's.
    #[must_use]
    pub fn as_node(&self) -> Option<(ShardId, u64)> {
        let (shard, node) = self.0.strip_prefix("shards/")?.split_once("/nodes/")?;
        let (shard, node) = (ShardId(shard.parse().ok()?), node.parse().ok()?);
        (*self == Self::node(shard, node)).then_some((shard, node))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the other is this one, or below it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let rest = other.0.strip_prefix(&self.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for ValueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Values by name.
pub type Named = BTreeMap<ValueName, Versioned<Vec<u8>>>;

/// A change of one value.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The value.
    pub name: &'a ValueName,
    /// The revision that it must be at; `None`: it must not be there.
    pub expected: Option<Revision>,
    /// What it becomes; `None`: it is removed.
    pub next: Option<&'a [u8]>,
    /// Who must lead at that moment, if anybody.
    pub leader: Option<&'a Leader>,
}

/// A store of values.
#[async_trait::async_trait]
pub trait Values: Send + Sync + 'static {
    /// A value; `None` when it is not there.
    ///
    /// # Errors
    /// The store cannot say. That is never the same as there being none.
    async fn get(&self, name: &ValueName) -> Result<Option<Versioned<Vec<u8>>>, StoreError>;

    /// The value of this name and all below it, as they are at one moment.
    ///
    /// # Errors
    /// The store cannot say.
    async fn list(&self, under: &ValueName) -> Result<Named, StoreError>;

    /// Makes a change, whole or not at all; gives the revision that it made. Once
    /// it returns one, the change is durable.
    ///
    /// # Errors
    /// It was not made, or may not have been: see [`SwapError`].
    async fn change(&self, change: Change<'_>) -> Result<Revision, SwapError>;

    /// Shows the value of this name and all below it.
    fn watch(&self, under: &ValueName) -> Watch<Named>;

    /// Where a value is kept, for people.
    fn place(&self, name: &ValueName) -> String;

    /// Replaces a value; see [`Change`].
    ///
    /// # Errors
    /// See [`Self::change`].
    async fn swap(
        &self,
        name: &ValueName,
        expected: Option<Revision>,
        next: &[u8],
    ) -> Result<Revision, SwapError> {
        self.change(Change {
            name,
            expected,
            next: Some(next),
            leader: None,
        })
        .await
    }

    /// Removes a value.
    ///
    /// # Errors
    /// See [`Self::change`].
    async fn remove(&self, name: &ValueName, expected: Revision) -> Result<Revision, SwapError> {
        self.change(Change {
            name,
            expected: Some(expected),
            next: None,
            leader: None,
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_reach_outside_its_place_is_refused() {
        for name in ["", "/", "a/", "/a", "a//b", "A", "..", "a b", "ä", "a\0"] {
            let error = ValueName::new(name).unwrap_err().to_string();
            assert!(error.contains("names no value"), "{error}");
        }
        assert!(ValueName::new(&"a".repeat(MAX_NAME)).is_ok());
        assert!(ValueName::new(&"a".repeat(MAX_NAME + 1)).is_err());
    }

    #[test]
    fn every_name_that_is_made_here_can_be_read_back() {
        let shard = ShardId(7);
        for name in [
            ValueName::ring(),
            ValueName::leader(),
            ValueName::wish(),
            ValueName::schema(),
            ValueName::node_ids(),
            ValueName::shards(),
            ValueName::bootstrapped(shard),
            ValueName::nodes(shard),
            ValueName::node(shard, u64::MAX),
        ] {
            assert_eq!(ValueName::new(name.as_str()), Ok(name));
        }
    }

    #[test]
    fn a_registration_is_known_by_its_name_alone() {
        let node = ValueName::node(ShardId(3), 12);
        assert_eq!(node.as_node(), Some((ShardId(3), 12)));
        for other in [
            "shards/3/nodes",
            "shards/3/nodes/012",
            "shards/3/bootstrapped",
            "wish",
        ] {
            let other = ValueName::new(other).unwrap();
            assert_eq!(other.as_node(), None, "{other}");
        }
    }

    #[test]
    fn a_name_covers_itself_and_what_is_below_it_alone() {
        let name = |name| ValueName::new(name).unwrap();
        assert!(name("a").covers(&name("a")));
        assert!(name("a").covers(&name("a/b/c")));
        for other in ["ab", "a-b", "b", "b/a"] {
            assert!(!name("a").covers(&name(other)), "{other}");
        }
        assert!(!name("a/b").covers(&name("a")));
    }
}
