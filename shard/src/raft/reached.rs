//! Which other members were not reached, and why: told when that begins, when the
//! reason changes, and when it ends, since they are tried many times a second.

use super::log_thread::chain;
use super::peer::PeerError;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was told last of each.
#[derive(Clone, Default)]
pub struct Reached(Arc<Mutex<BTreeMap<u64, String>>>);

impl Reached {
    /// What came of a message to a member.
    pub fn note<T>(&self, node: u64, answer: Result<T, PeerError>) -> Result<T, PeerError> {
        let why = answer.as_ref().err().map(|error| chain(error));
        let mut told = self.0.lock();
        if told.get(&node) != why.as_ref() {
            if let Some(error) = why {
                tracing::warn!(node, error, "another member of the shard does not answer");
                told.insert(node, error);
            } else {
                tracing::info!(node, "the other member of the shard answers again");
                told.remove(&node);
            }
        }
        answer
    }
}
