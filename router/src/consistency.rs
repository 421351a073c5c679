//! How fresh what is read must be, as clients say it and as shards are asked. A read
//! that may be a little old is served by any replica at once, also while its shard has
//! no leader.

use std::time::Duration;

use quoit_proto::v1;

/// How fresh what is read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// It has every write that was acknowledged before the read came.
    #[default]
    Strong,
    /// It has every write that was acknowledged so long before.
    Bounded(Duration),
    /// It is what a replica has.
    Eventual,
}

/// What a text may be that says it.
pub(crate) const WORDS: &str = "strong, bounded:NUMBERms, eventual, \
     a number of replicas, or one of majority, quorum, all";

impl Consistency {
    /// Reads it as the dialect's clients say it, or in words of its own; `None` if it
    /// is neither. More than one replica is a majority, and that is a strong read.
    pub(crate) fn read(text: &str) -> Option<Self> {
        match text {
            "" | "strong" | "majority" | "quorum" | "all" => return Some(Self::Strong),
            "eventual" => return Some(Self::Eventual),
            _ => {}
        }
        if let Some(bound) = text.strip_prefix("bounded:") {
            let millis = bound.strip_suffix("ms")?.parse().ok()?;
            return Some(Self::Bounded(Duration::from_millis(millis)));
        }
        match text.parse::<u64>().ok()? {
            0 => None,
            1 => Some(Self::Eventual),
            _ => Some(Self::Strong),
        }
    }

    /// As shards are asked.
    pub(crate) fn freshness(self) -> Option<v1::Freshness> {
        let kind = match self {
            Self::Strong => return None,
            Self::Bounded(most) => {
                let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
                v1::freshness::Kind::BoundedMs(millis)
            }
            Self::Eventual => v1::freshness::Kind::Eventual(v1::Eventual {}),
        };
        Some(v1::Freshness { kind: Some(kind) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_dialect_and_of_quoit_are_told_apart_from_all_others() {
        let bounded = |millis| Some(Consistency::Bounded(Duration::from_millis(millis)));
        for (text, right) in [
            ("", Some(Consistency::Strong)),
            ("strong", Some(Consistency::Strong)),
            ("majority", Some(Consistency::Strong)),
            ("2", Some(Consistency::Strong)),
            ("1", Some(Consistency::Eventual)),
            ("eventual", Some(Consistency::Eventual)),
            ("bounded:2500ms", bounded(2500)),
            ("bounded:0ms", bounded(0)),
            ("0", None),
            ("bounded", None),
            ("bounded:3", None),
            ("bounded:-3ms", None),
            ("some", None),
        ] {
            assert_eq!(Consistency::read(text), right, "{text:?}");
        }
    }
}
