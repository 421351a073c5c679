//! How a request reads: how fresh its answers must be, and whether shards that do not
//! answer may be left out. A request's pictures of its collections carry it, so that all
//! of its reads are alike, whatever step they are of.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quoit_proto::v1;
use quoit_proto::v1::freshness::Kind;
use quoit_ring::ShardId;
use tokio::time::Instant;

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It has every write that was acknowledged before the read.
    #[default]
    Strong,
    /// It has every write that was acknowledged so many milliseconds before.
    Bounded(u64),
    /// As a replica has it.
    Eventual,
}

/// A text that is no freshness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadFreshness {
    /// A number that must not be 0 is.
    Zero,
    /// None of the words.
    Unreadable,
}

impl BadFreshness {
    pub(crate) const EXPECTED: &str = "one of strong, eventual, bounded:Nms (N milliseconds), majority, quorum, all, \
                                       or a number of replicas";
}

impl FromStr for Freshness {
    type Err = BadFreshness;

    /// Of Qdrant's words each that asks for more than one replica is strong: one alone
    /// answers as if it had asked a majority.
    fn from_str(text: &str) -> Result<Self, BadFreshness> {
        let number = |text: &str| match text.parse() {
            Ok(0) => Err(BadFreshness::Zero),
            Ok(number) => Ok(number),
            Err(_) => Err(BadFreshness::Unreadable),
        };
        match text {
            "" | "strong" | "majority" | "quorum" | "all" => Ok(Self::Strong),
            "eventual" => Ok(Self::Eventual),
            text => match text.strip_prefix("bounded:") {
                Some(bound) => {
                    let millis = bound.strip_suffix("ms").ok_or(BadFreshness::Unreadable)?;
                    number(millis).map(Self::Bounded)
                }
                None if number(text)? == 1 => Ok(Self::Eventual),
                None => Ok(Self::Strong),
            },
        }
    }
}

impl From<Freshness> for Option<v1::Freshness> {
    fn from(freshness: Freshness) -> Self {
        let kind = match freshness {
            Freshness::Strong => return None,
            Freshness::Bounded(millis) => Kind::BoundedMs(millis),
            Freshness::Eventual => Kind::Eventual(v1::Eventual {}),
        };
        Some(v1::Freshness { kind: Some(kind) })
    }
}

/// How a request reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) freshness: Freshness,
    /// What is left out, where anything may be.
    pub(crate) partial: Option<Arc<Partial>>,
}

impl Reading {
    /// The same where nothing may be left out.
    pub(crate) fn whole(&self) -> Self {
        Self {
            partial: None,
            ..self.clone()
        }
    }
}

/// The shards that an answer is without.
#[derive(Debug)]
pub(crate) struct Partial {
    /// When the client waits no longer.
    due: Instant,
    missing: Mutex<BTreeSet<ShardId>>,
}

impl Partial {
    /// Of an answer that is whole yet, and due at a time.
    pub(crate) fn new(due: Instant) -> Self {
        Self {
            due,
            missing: Mutex::default(),
        }
    }

    fn shards(&self) -> MutexGuard<'_, BTreeSet<ShardId>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a shard is waited for now. Half of what is left: other steps may follow,
    /// and what the others answered must still be told.
    pub(crate) fn patience(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now()) / 2
    }

    /// A shard is left out, now and in all steps that follow.
    pub(crate) fn leave_out(&self, shard: ShardId) {
        self.shards().insert(shard);
    }

    /// Whether a shard is left out.
    pub(crate) fn is_without(&self, shard: ShardId) -> bool {
        self.shards().contains(&shard)
    }

    /// The shards that are left out.
    pub(crate) fn missing(&self) -> Vec<ShardId> {
        self.shards().iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_several_replicas_is_strong_and_what_asks_for_one_is_not() {
        for text in [
            "",
            "strong",
            "majority",
            "quorum",
            "all",
            "2",
            "3",
            "18446744073709551615",
        ] {
            assert_eq!(text.parse(), Ok(Freshness::Strong), "{text}");
        }
        for text in ["1", "eventual"] {
            assert_eq!(text.parse(), Ok(Freshness::Eventual), "{text}");
        }
        assert_eq!("bounded:2500ms".parse(), Ok(Freshness::Bounded(2500)));
    }

    #[test]
    fn what_is_none_of_the_words_is_refused() {
        for text in ["0", "bounded:0ms"] {
            assert_eq!(text.parse::<Freshness>(), Err(BadFreshness::Zero), "{text}");
        }
        for text in [
            "-1",
            "1.5",
            "Strong",
            "bounded",
            "bounded:",
            "bounded:2s",
            "bounded:ms",
            "bounded:2500",
            "bounded:-1ms",
            "x",
        ] {
            let read = text.parse::<Freshness>();
            assert_eq!(read, Err(BadFreshness::Unreadable), "{text}");
        }
    }
}
