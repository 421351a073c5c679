//! How a shard's folder becomes a running shard: it is this shard's, nothing in
//! it is lost or damaged, what the checkpoint lacks comes from the log, and then
//! its group begins. Nothing is served before all of that is so.

use crate::convert::{self, Misfit};
use crate::health::Health;
use crate::log::{self, LogError, LogOptions, LogReader};
use crate::raft::{
    self, Alone, Group, GroupOptions, Member, Peers, TakingOptions, Timing, VoteError, VoteFile,
};
use crate::replication::{Proposal, ProposeError, Replication};
use crate::shard::Shard;
use crate::stamp::{self, MemberId, Stamp, StampError};
use crate::upkeep::{Bell, Upkeep, UpkeepOptions};
use bytes::Bytes;
use prost::Message;
use quoit_disk::Disk;
use quoit_engine::{Engine, Entry, Params, SnapshotError, Tuning};
use quoit_proto::v1;
use quoit_ring::VnodeSet;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a shard is opened with.
#[derive(Clone)]
pub struct ShardOptions {
    /// Where its folder is.
    pub disk: Arc<dyn Disk>,
    /// Its folder.
    pub dir: PathBuf,
    /// Whose folder it must be.
    pub stamp: Stamp,
    /// The vnodes that it takes when it is born, which for one of several members
    /// are none; `None` for one that was opened before, whose empty folder is lost
    /// data and not a new shard.
    pub birth: Option<VnodeSet>,
    /// The collection's parameters.
    pub params: Params,
    /// Sizes and threads of the engine.
    pub tuning: Tuning,
    /// When upkeep does what.
    pub upkeep: UpkeepOptions,
    /// How the log lays out its files.
    pub log: LogOptions,
    /// Its group.
    pub membership: Membership,
    /// Writes wait while more vectors than this are not in the graph yet, so
    /// that searches, which scan them, stay quick.
    pub max_tail: u64,
}

/// Which member of its group a shard's replica is.
#[derive(Clone)]
pub enum Membership {
    /// The only one.
    Alone,
    /// One of several.
    Member {
        /// Its place among the shard's replicas.
        ordinal: u32,
        /// How the others are reached.
        peers: Arc<dyn Peers>,
        /// How the group keeps time; the same for all of it.
        timing: Timing,
    },
}

/// How long a member that is alone may take to lead.
const LEAD_PATIENCE: Duration = Duration::from_mins(5);

/// A shard whose log has no more than so many entries, and no checkpoint, can be
/// made anew from its log alone.
const BEGUN: u64 = 64;

/// The file that says that a copy of a leader's data takes the place of this
/// replica's, and that the log may end before it.
const ADOPTING: &str = "adopting";

/// How much of the log a replay reads at once, in bytes.
const REPLAY_BYTES: u64 = 16 << 20;

/// Why a shard could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is another's, or lost.
    #[error("the shard's folder cannot be used")]
    Stamp(#[from] StampError),
    /// The data is damaged or cannot be read.
    #[error("the shard's data cannot be opened")]
    Engine(#[from] quoit_engine::Error),
    /// The log is damaged or cannot be read.
    #[error("the shard's log cannot be opened")]
    Log(#[from] LogError),
    /// A shard that was founded before has an empty log.
    #[error(
        "the log in {} is empty, and this shard had data: it is not empty but lost; restore the folder from a copy", dir.display()
    )]
    LogLost {
        /// The shard's folder.
        dir: PathBuf,
    },
    /// Entries that the data needs are not in the log.
    #[error(
        "the data needs the log from entry {needed} on, and it begins at {first}: restore both from one copy"
    )]
    Gap {
        /// The first entry to be replayed.
        needed: u64,
        /// The first that is there.
        first: u64,
    },
    /// The log ends before what is applied.
    #[error(
        "the data has entry {applied} applied, and the log ends at {last}: restore both from one copy"
    )]
    LogBehind {
        /// The last entry applied.
        applied: u64,
        /// The last in the log.
        last: u64,
    },
    /// An entry of the log does not decode.
    #[error("entry {index} of the log does not decode")]
    Decode {
        /// Its index.
        index: u64,
        /// Why not.
        source: Misfit,
    },
    /// The shard could not take its first vnodes.
    #[error("the shard could not be founded")]
    Found(#[source] ProposeError),
    /// A copy of the leader's data could not take the place of this replica's.
    #[error("the copy of the leader's data could not be put in place")]
    Snapshot(#[from] SnapshotError),
    /// The same, of the note of it.
    #[error("that a copy of the leader's data is put in place could not be noted")]
    Adopt {
        /// What the disk said.
        source: io::Error,
    },
    /// Its vote is damaged or cannot be read.
    #[error("the shard's vote cannot be used")]
    Vote(#[from] VoteError),
    /// It has a log, and its vote is not there.
    #[error(
        "the vote in {} is not there, and this shard has a log, so it cannot know what it promised: if it has other replicas, remove this one's folder, and it comes back as a new one; if it is the only one, restore the folder from a copy", dir.display()
    )]
    VoteLost {
        /// The shard's folder.
        dir: PathBuf,
    },
    /// Its group could not be started.
    #[error("the shard's Raft group could not be started")]
    Group(#[from] raft::StartError),
    /// No thread could be had.
    #[error("a thread of the shard could not be started")]
    Thread(#[source] io::Error),
}

impl Shard {
    /// Opens a shard's folder, replays its log and starts it.
    ///
    /// # Errors
    /// Something is damaged, lost, or another's. Nothing is served then.
    pub async fn open(options: ShardOptions) -> Result<Self, OpenError> {
        let ShardOptions {
            disk,
            dir,
            stamp,
            birth,
            params,
            tuning,
            upkeep,
            log,
            membership,
            max_tail,
        } = options;
        stamp::check(&*disk, &dir, &stamp, birth.is_some())?;
        let identity = stamp.identity();
        let found_log = log::find(disk.clone(), &dir.join("log"), log)?;
        let last = found_log.last().index;
        // A member's log is empty until it hears from a leader, and then it is there.
        let is_alone = matches!(membership, Membership::Alone);
        if birth.is_none() && (found_log.is_new() || is_alone && last == 0) {
            return Err(OpenError::LogLost { dir });
        }
        let vote = VoteFile::new(disk.clone(), &dir, stamp.own_identity());
        // The first entry makes the group, before anyone can vote; all others are a leader's.
        if last > 1 && vote.read()?.is_none() {
            return Err(OpenError::VoteLost { dir });
        }
        let data = dir.join("data");
        if birth.is_some() && last <= BEGUN {
            quoit_engine::remove_unfinished(&data)?;
        }
        let adopting = dir.join(ADOPTING);
        let is_adopted = adopt(&*disk, &dir, &data, &adopting)?;
        let engine = Engine::open(disk.clone(), &data, identity, params, tuning)?;
        let engine = Arc::new(engine);
        let in_log = raft::stored_index(engine.applied());
        // Of data that was taken in the log is made to begin behind it, as the group begins.
        if engine.applied() > 0 && last < in_log && !is_adopted {
            return Err(OpenError::LogBehind {
                applied: engine.applied(),
                last: raft::index(last),
            });
        }
        let opened = found_log.settle()?;
        if let Some(torn) = opened.writer.torn_tail() {
            tracing::info!(
                ?torn,
                "the log's torn tail was cut: a write that nobody was told of"
            );
        }
        replay(&engine, &opened.reader)?;
        engine.probe()?;
        let health = Arc::new(Health::default());
        let bell = Arc::new(Bell::default());
        let params = engine.params().clone();
        let decode = Box::new(move |bytes| convert::decode(bytes, &params));
        let taking = TakingOptions {
            disk: disk.clone(),
            data,
            identity,
            tuning,
            spare: upkeep.watermark.stop_below,
        };
        let group_options = membership.options(stamp.member, taking, upkeep.copy_bytes_per_second);
        let group = Group::start(
            group_options,
            opened,
            vote,
            engine.clone(),
            health.clone(),
            decode,
        );
        let group = Arc::new(group.await?);
        if is_adopted {
            // The log begins behind the data now.
            disk.remove(&adopting)
                .map_err(|source| OpenError::Adopt { source })?;
        }
        if is_alone {
            let led = lead_alone(&group, &engine, stamp.member.node, birth).await;
            if let Err(error) = led {
                group.stop();
                return Err(OpenError::Found(error));
            }
        }
        let upkeep = Upkeep {
            engine: engine.clone(),
            group: group.clone(),
            health: health.clone(),
            bell: bell.clone(),
            options: upkeep,
            max_tail,
        };
        let upkeep = std::thread::Builder::new()
            .name("upkeep".into())
            .spawn(move || upkeep.run())
            .map_err(OpenError::Thread)?;
        Ok(Self::new(engine, group, health, bell, max_tail, upkeep))
    }
}

impl Membership {
    fn options(&self, me: MemberId, taking: TakingOptions, copy_rate: u64) -> GroupOptions {
        match self {
            Self::Alone => GroupOptions {
                me,
                ordinal: 0,
                peers: Arc::new(Alone),
                timing: Timing::default(),
                is_alone: true,
                taking,
                copy_rate,
            },
            Self::Member {
                ordinal,
                peers,
                timing,
            } => GroupOptions {
                me,
                ordinal: *ordinal,
                peers: peers.clone(),
                timing: *timing,
                is_alone: false,
                taking,
                copy_rate,
            },
        }
    }
}

/// Brings what rows had before the last stop, and vectors may have lost. What was
/// never applied is the group's to decide: the log's end may be replaced.
fn replay(engine: &Engine, log: &LogReader) -> Result<(), OpenError> {
    let applied = engine.applied();
    let from = raft::stored_index(engine.replay_from());
    let (first, end) = (log.first_index(), raft::stored_index(applied) + 1);
    if from < first {
        return Err(OpenError::Gap {
            needed: raft::index(from),
            first: raft::index(first),
        });
    }
    let mut next = from;
    while next < end {
        let entries = log.read_up_to(next..end, REPLAY_BYTES)?;
        if entries.is_empty() {
            return Err(OpenError::Gap {
                needed: raft::index(next),
                first: raft::index(first),
            });
        }
        for log::Entry { index, payload, .. } in entries {
            let undecoded = |source| OpenError::Decode {
                index: raft::index(index),
                source,
            };
            for command in
                raft::commands_of(payload).map_err(|e| undecoded(Misfit(e.to_string())))?
            {
                let command = convert::decode(command, engine.params()).map_err(undecoded)?;
                engine.replay(raft::index(index), command)?;
            }
            next = index + 1;
        }
    }
    Ok(())
}

/// Waits until the only member leads, and gives a new shard its vnodes.
async fn lead_alone(
    group: &Group,
    engine: &Engine,
    node: u64,
    birth: Option<VnodeSet>,
) -> Result<(), ProposeError> {
    if birth.is_some() {
        let members = BTreeMap::from([(node, Member::default())]);
        group.initialize(members).await?;
    } else {
        group.elect().await?;
    }
    group.lead(LEAD_PATIENCE).await?;
    match birth {
        Some(vnodes) if !engine.is_founded() => found(group, &vnodes).await,
        _ => Ok(()),
    }
}

/// Has a copy of a leader's data that is there whole take the place of this replica's.
/// Says whether one did, and the log may end before it: also one whose log was not yet
/// made to begin behind it when the process ended.
fn adopt(disk: &dyn Disk, dir: &Path, data: &Path, adopting: &Path) -> Result<bool, OpenError> {
    if quoit_engine::has_arrived(disk, data)? {
        mark(disk, dir, adopting).map_err(|source| OpenError::Adopt { source })?;
        quoit_engine::adopt(disk, data)?;
    }
    match disk.read(adopting) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(OpenError::Adopt { source }),
    }
}

/// Makes an empty file, durably.
fn mark(disk: &dyn Disk, dir: &Path, file: &Path) -> io::Result<()> {
    disk.open(file)?.sync_data()?;
    disk.sync_dir(dir)
}

async fn found(group: &Group, vnodes: &VnodeSet) -> Result<(), ProposeError> {
    let kind = v1::log_entry::Kind::Found(v1::Found {
        vnodes: vnodes.to_bytes(),
    });
    let bytes = Bytes::from(v1::LogEntry { kind: Some(kind) }.encode_to_vec());
    let entry = Entry::Found(vnodes.clone());
    group.propose(Proposal { bytes, entry }).await.map(drop)
}
