//! What is recorded of each call: when, what was asked, and what came. Nothing
//! is judged here; the proof has only this to go by.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

use crate::plan::Plan;

/// Whose change of a point it was: no two changes of a run have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The client that made it.
    pub client: u32,
    /// The how-manieth of its changes it was.
    pub counter: u64,
}

/// What a point that clients change looked like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The upsert that put it there.
    pub put: Stamp,
    /// Its last change: the upsert, or a later edit of its payload.
    pub change: Stamp,
    /// Whether its vector is the one of that upsert; unset where it was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<bool>,
    /// Its version, where that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// Put a point in, whatever is there.
    Put {
        /// The point.
        key: u64,
        /// What is written into it.
        stamp: Stamp,
    },
    /// Put a point in if its last change is a certain one.
    PutIf {
        /// The point.
        key: u64,
        /// What is written into it.
        stamp: Stamp,
        /// The last change that it must have.
        expected: Stamp,
        /// The version that this change was said to have.
        version: u64,
    },
    /// Set a key of a point's payload.
    Edit {
        /// The point.
        key: u64,
        /// What is written into it.
        stamp: Stamp,
    },
    /// Delete a point.
    Delete {
        /// The point.
        key: u64,
    },
    /// Read a point by its id.
    Get {
        /// The point.
        key: u64,
    },
    /// Find a point by a search among its id alone.
    Look {
        /// The point.
        key: u64,
    },
    /// List all points that clients change.
    Scan,
    /// Find the points at rest that are nearest to one of them.
    Search {
        /// That one.
        near: u64,
        /// Whether every vector was to be compared.
        exact: bool,
    },
    /// List a page of the points at rest.
    Page {
        /// The first id of it.
        from: Option<u64>,
    },
    /// Count the points at rest, all or those of a group.
    Count {
        /// The group.
        group: Option<u64>,
    },
    /// Ask what each replica has of each vnode.
    Digests,
}

/// The kinds of calls, as they are counted and named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "they are those of Call")]
pub enum Kind {
    Put,
    PutIf,
    Edit,
    Delete,
    Get,
    Look,
    Scan,
    Search,
    Page,
    Count,
    Digests,
}

impl Kind {
    /// Those that clients make without pause.
    pub const WORK: [Self; 10] = [
        Self::Put,
        Self::PutIf,
        Self::Edit,
        Self::Delete,
        Self::Get,
        Self::Look,
        Self::Scan,
        Self::Search,
        Self::Page,
        Self::Count,
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::PutIf => "put-if",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::Get => "get",
            Self::Look => "look",
            Self::Scan => "scan",
            Self::Search => "search",
            Self::Page => "page",
            Self::Count => "count",
            Self::Digests => "digests",
        }
    }

    /// Whether it changes a point.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::Put | Self::PutIf | Self::Edit | Self::Delete)
    }
}

impl Call {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Put { .. } => Kind::Put,
            Self::PutIf { .. } => Kind::PutIf,
            Self::Edit { .. } => Kind::Edit,
            Self::Delete { .. } => Kind::Delete,
            Self::Get { .. } => Kind::Get,
            Self::Look { .. } => Kind::Look,
            Self::Scan => Kind::Scan,
            Self::Search { .. } => Kind::Search,
            Self::Page { .. } => Kind::Page,
            Self::Count { .. } => Kind::Count,
            Self::Digests => Kind::Digests,
        }
    }

    /// The point that it is about, if it is about one that clients change.
    #[must_use]
    pub fn key(&self) -> Option<u64> {
        match self {
            Self::Put { key, .. }
            | Self::PutIf { key, .. }
            | Self::Edit { key, .. }
            | Self::Delete { key }
            | Self::Get { key }
            | Self::Look { key } => Some(*key),
            _ => None,
        }
    }

    /// What it writes into its point.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Put { stamp, .. } | Self::PutIf { stamp, .. } | Self::Edit { stamp, .. } => {
                Some(*stamp)
            }
            _ => None,
        }
    }
}

/// What a call that was served was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The change is made.
    Changed {
        /// The version that it gave the point.
        version: u64,
    },
    /// The point that was to be edited is not there.
    NotThere,
    /// The point that was to be of a version is not.
    OtherVersion,
    /// The point, if it is there.
    Point(Option<Seen>),
    /// All points that clients change and that are there, by their keys.
    Points(Vec<(u64, Seen)>),
    /// The ids of what was found, best first.
    Found(Vec<u64>),
    /// A page.
    Page {
        /// Its ids.
        ids: Vec<u64>,
        /// The first of the next page.
        next: Option<u64>,
    },
    /// So many.
    Counted(u64),
    /// What each replica has.
    Digests(Vec<ShardDigests>),
    /// What makes no sense as an answer to such a call.
    Nonsense(String),
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was served.
    Done(Answer),
    /// It was not done and never will be.
    Refused(String),
    /// It may take effect at any time from its start on, or never.
    Unknown(String),
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Who made it; [`Plan::closer`] for what is read after all clients have ended.
    pub client: u32,
    /// When, in nanoseconds since the run began.
    pub start: u64,
    /// When its outcome was there.
    pub end: u64,
    /// What was asked.
    pub call: Call,
    /// What came.
    pub outcome: Outcome,
}

/// All calls of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    /// What the run was to do.
    pub plan: Plan,
    /// In the order in which they ended.
    pub calls: Vec<Record>,
}

/// A shard's replicas, as `/digests` tells of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardDigests {
    /// The shard.
    pub id: u32,
    /// Its replicas.
    pub replicas: Vec<ReplicaDigests>,
}

/// What one replica has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaDigests {
    /// The replica.
    pub node: u64,
    /// The log index up to which all entries are in it.
    pub applied: u64,
    /// The vnodes that its shard holds.
    pub vnodes: Vec<VnodeDigest>,
}

/// What a replica has of one vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnodeDigest {
    /// The vnode.
    pub vnode: u32,
    /// The custody number.
    pub c: u64,
    /// How many changes of its points there were.
    pub seq: u64,
    /// Its points.
    pub count: u64,
    /// The sum of its points' hashes.
    pub digest: String,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.client, self.counter)
    }
}

/// A text that is no stamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no stamp: a client and a counter with a hyphen between them")]
pub struct NoStamp(String);

impl FromStr for Stamp {
    type Err = NoStamp;

    fn from_str(text: &str) -> Result<Self, NoStamp> {
        let read = || {
            let (client, counter) = text.split_once('-')?;
            Some(Self {
                client: client.parse().ok()?,
                counter: counter.parse().ok()?,
            })
        };
        read().ok_or_else(|| NoStamp(text.to_owned()))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
