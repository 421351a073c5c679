//! How a collection is, made of what its shards say of themselves.

use std::collections::BTreeSet;
use std::time::Duration;

use quoit_proto::v1::PayloadIndex;

use crate::catalog::Collection;
use crate::fanout::read;

/// How long it waits for the shards.
const PATIENCE: Duration = Duration::from_secs(5);

/// In short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// Everything is indexed.
    Green,
    /// Indexing goes on, or something is slower than it was meant to be.
    Yellow,
    /// A shard is silent or refuses writes.
    Red,
}

/// What the shards say, together.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    pub(crate) points: u64,
    pub(crate) indexed: u64,
    /// Vectors that are to be in a graph and are not yet.
    tail: u64,
    pub(crate) segments: u64,
    /// The payload indexes of all shards: each field as often as there are shards.
    pub(crate) payload_indexes: Vec<PayloadIndex>,
    /// Why it is not well, for people.
    pub(crate) troubles: Vec<String>,
    /// What is slower than it was meant to be, for people.
    pub(crate) warnings: BTreeSet<String>,
}

impl Condition {
    /// Asks the shards.
    pub(crate) async fn of(collection: &Collection) -> Self {
        let statuses = tokio::time::timeout(PATIENCE, read::status(collection)).await;
        let mut all = Self::default();
        let Ok(statuses) = statuses else {
            all.troubles
                .push("the shards do not say how they are".to_owned());
            return all;
        };
        for status in statuses {
            match status {
                Ok(status) => {
                    let given_up = status.payload_indexes.iter().filter(|i| i.is_given_up);
                    let paths = given_up.filter_map(|i| Some(&i.field.as_ref()?.path));
                    all.warnings.extend(paths.map(|path| given_up_text(path)));
                    all.payload_indexes.extend(status.payload_indexes);
                    all.points += status.points;
                    all.indexed += status.indexed;
                    all.segments += status.segments;
                    // A vector without a graph has no tail.
                    all.tail += status.tail;
                    if !status.writes_stopped.is_empty() {
                        let trouble = format!("writes are refused: {}", status.writes_stopped);
                        all.troubles.push(trouble);
                    }
                }
                Err(error) => all.troubles.push(error.to_string()),
            }
        }
        all
    }

    /// In short.
    pub(crate) fn health(&self) -> Health {
        match self {
            _ if !self.troubles.is_empty() => Health::Red,
            _ if self.tail > 0 || !self.warnings.is_empty() => Health::Yellow,
            _ => Health::Green,
        }
    }
}

fn given_up_text(path: &str) -> String {
    format!(
        "the index of {path} is given up, since the payload indexes would take more memory than they may: filters on it read payloads; drop an index, or give them more memory"
    )
}
