//! How a group keeps time: when a leader shows that it is alive, and how long a member waits
//! for that before it asks for votes.

use openraft::{Config, SnapshotPolicy};
use std::time::Duration;

/// How a group keeps time. A member that has heard nothing from a leader waits
/// twice before it asks for votes: as long as it promised not to vote for others,
/// and its own time, which no other member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A leader shows that it is alive each time this passes. A member looks at
    /// the time once in one and a half of it.
    pub heartbeat: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
        }
    }
}

impl Timing {
    /// The window that a member's time to wait is drawn from, once. Those of two
    /// members are two looks at the time apart: with equal times two candidates would
    /// split the votes in each election, without end.
    #[must_use]
    pub fn election_window(&self, ordinal: u32) -> (Duration, Duration) {
        let from = self.heartbeat * 5 / 2 + self.heartbeat * 3 * ordinal;
        (from, from + self.heartbeat / 2)
    }

    /// What openraft is told of it.
    pub(super) fn config(&self, ordinal: u32) -> Config {
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let (from, to) = self.election_window(ordinal);
        Config {
            cluster_name: "quoit".to_owned(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(from),
            election_timeout_max: millis(to),
            // A checkpoint is the shard's own affair; openraft is told of it.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: u64::MAX,
            // It bounds by entries, and reading does by bytes.
            max_payload_entries: 256,
            ..Config::default()
        }
    }
}
