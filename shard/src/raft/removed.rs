//! Whether this member was told that it is none any more. Nobody sends anything to
//! who is removed, often not even the entry that removes it: left to itself it would
//! ask for votes for ever, and could not say why it is of no use. Those whom it asks
//! know, and then it is quiet, until a leader sends it something again.

use super::{LogId, StoredMembership};
use std::sync::Arc;
use tokio::sync::watch;

/// Whether this member was told so.
#[derive(Clone)]
pub struct Removed(Arc<watch::Sender<bool>>);

impl Default for Removed {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Removed {
    /// It is told.
    pub fn set(&self, removed: bool) {
        self.0
            .send_if_modified(|present| std::mem::replace(present, removed) != removed);
    }

    /// Whether it was.
    pub fn get(&self) -> bool {
        *self.0.borrow()
    }

    /// Shows each change.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}

/// Whether a candidate with a log up to `last` was removed, by members that were
/// agreed on. Only later ones than all that it has say so: to those before it may
/// have been added.
pub fn was_removed(agreed: &StoredMembership, candidate: u64, last: Option<LogId>) -> bool {
    *agreed.log_id() > last && agreed.membership().get_node(&candidate).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{Member, Membership, codec};
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn who_may_have_been_added_after_what_is_known_is_not_taken_for_removed() {
        let members: BTreeMap<u64, Member> = (1..=2).map(|n| (n, Member::default())).collect();
        let voters: BTreeSet<u64> = members.keys().copied().collect();
        let membership = Membership::new(vec![voters], members);
        let at = |term, index| Some(codec::id(term, index));
        let agreed = StoredMembership::new(at(2, 10), membership);
        assert!(was_removed(&agreed, 3, at(2, 9)));
        assert!(was_removed(&agreed, 3, at(1, 99)), "of an earlier term");
        assert!(was_removed(&agreed, 3, None));
        assert!(!was_removed(&agreed, 3, at(2, 10)));
        assert!(!was_removed(&agreed, 3, at(3, 1)));
        assert!(!was_removed(&agreed, 2, at(2, 9)), "it is a member");
        assert!(!was_removed(&StoredMembership::default(), 3, None));
    }
}
