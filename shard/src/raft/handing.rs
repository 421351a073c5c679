//! Giving a copy of this member's data to one that is too far behind: taken once,
//! sent in chunks, gone on with after a lost connection, and no quicker than the
//! others can bear.

use super::peer::{Peer, PeerError};
use super::{Handed, LogId, Note, Vote, codec};
use crate::stamp::MemberId;
use parking_lot::Mutex;
use quoit_engine::{Export, Place, SaveGraph, SnapshotError};
use quoit_proto::v1;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of one chunk.
const CHUNK_SIZE: u32 = 1 << 20;

/// A whole chunk is sent in this time, or a longer one: 64 MiB a second.
const CHUNK_TIME: Duration = Duration::from_millis(1000 / 64);

/// A copy that nobody asked for in this time is given up, and its room with it.
const KEPT: Duration = Duration::from_mins(10);

/// Why a copy did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum HandError {
    /// It could not be taken, or read.
    #[error("a copy of the data could not be taken")]
    Take(#[from] SnapshotError),
    /// The engine failed.
    #[error("a checkpoint for a copy of the data could not be made")]
    Checkpoint(#[from] quoit_engine::Error),
    /// The other member did not answer, or refuses.
    #[error("the copy was not taken in")]
    Peer(#[from] PeerError),
    /// Its answer says nothing.
    #[error("the other member's answer says nothing")]
    Empty,
    /// A task was cut short.
    #[error("it was cut short")]
    Cut(#[from] tokio::task::JoinError),
}

/// The copies that are on their way, one a member.
#[derive(Default)]
pub struct Exports(Mutex<Copies>);

#[derive(Default)]
struct Copies {
    kept: HashMap<u64, Kept>,
    /// The newest snapshot that openraft was told to be built. It takes no member to
    /// have less than that after it was given one.
    told: Option<LogId>,
}

impl Copies {
    fn oldest_or(&self, note: &Note) -> Note {
        let notes = self.kept.values().map(|kept| &kept.note);
        let oldest = notes.chain([note]).min_by_key(|note| note.applied);
        oldest.cloned().unwrap_or_default()
    }
}

struct Kept {
    export: Arc<Export>,
    /// What was applied before it was taken: it has all of that.
    note: Note,
    used: Instant,
}

impl Exports {
    /// What openraft is told of the snapshot that a member may be given: the same as
    /// long as one is on its way. It takes the member to have all up to there, and
    /// with a later place a copy that was begun before could not be gone on with.
    pub fn note(&self, present: &Note) -> Note {
        let mut copies = self.0.lock();
        let told = copies.told;
        copies.kept.retain(|_, kept| kept.note.applied >= told);
        copies.oldest_or(present)
    }

    /// What openraft is told to be built by a checkpoint: nothing that a copy on its
    /// way lacks.
    pub fn built(&self, checkpoint: &Note) -> Note {
        let mut copies = self.0.lock();
        let note = copies.oldest_or(checkpoint);
        copies.told = copies.told.max(note.applied);
        note
    }

    /// The copy for a member: the one that it has begun to take in, or a new one.
    async fn of(&self, node: u64, handed: &Handed) -> Result<Arc<Export>, HandError> {
        {
            let copies = &mut self.0.lock().kept;
            copies.retain(|_, kept| kept.used.elapsed() < KEPT);
            let kept = copies.get_mut(&node);
            if let Some(kept) = kept.filter(|k| k.note.applied >= handed.note.applied) {
                kept.used = Instant::now();
                return Ok(kept.export.clone());
            }
        }
        let Handed {
            engine,
            spare,
            note,
        } = handed.clone();
        let take = move || {
            engine.checkpoint(SaveGraph::IfMuchIsNew)?;
            Ok::<_, HandError>(engine.export(rand::random(), spare)?)
        };
        let export = Arc::new(tokio::task::spawn_blocking(take).await??);
        tracing::info!(
            node,
            applied = export.applied(),
            bytes = export.bytes(),
            "a member is far behind: it is given a copy of the data"
        );
        let kept = Kept {
            export: export.clone(),
            note,
            used: Instant::now(),
        };
        self.0.lock().kept.insert(node, kept);
        Ok(export)
    }

    /// The entry of the log behind which a member with the oldest copy needs it.
    pub fn oldest(&self) -> Option<u64> {
        let copies = self.0.lock();
        let notes = copies.kept.values().filter_map(|kept| kept.note.applied);
        notes.map(|id| id.index).min()
    }

    fn forget(&self, node: u64) {
        self.0.lock().kept.remove(&node);
    }
}

/// What came of an offer.
pub enum Handing {
    /// The member has it all, durably.
    Taken,
    /// The member has promised to follow another.
    HigherVote(Vote),
}

/// Gives a member a copy, or the rest of one.
pub async fn hand_over(
    exports: &Exports,
    me: MemberId,
    node: u64,
    peer: &dyn Peer,
    vote: Vote,
    handed: &Handed,
) -> Result<Handing, HandError> {
    let export = exports.of(node, handed).await?;
    let offer = v1::SnapshotOffer {
        envelope: Some(me.to(node)),
        vote: Some(codec::vote_message(&vote)),
        export: export.number(),
        manifest: export.manifest().to_vec().into(),
    };
    let mut answer = peer.offer_snapshot(offer).await?;
    loop {
        use v1::snapshot_answer::Kind;
        let wants = match answer.kind.ok_or(HandError::Empty)? {
            Kind::Wants(wants) => wants,
            Kind::Taken(_) => {
                exports.forget(node);
                return Ok(Handing::Taken);
            }
            Kind::HigherVote(higher) => return Ok(Handing::HigherVote(codec::vote_of(&higher))),
        };
        let begun = Instant::now();
        let at = Place {
            part: wants.part,
            offset: wants.offset,
        };
        let read = export.clone();
        let chunk =
            tokio::task::spawn_blocking(move || read.read(at, CHUNK_SIZE as usize)).await??;
        let least = CHUNK_TIME * u32::try_from(chunk.bytes.len()).unwrap_or(u32::MAX) / CHUNK_SIZE;
        let chunk = v1::SnapshotChunk {
            envelope: Some(me.to(node)),
            vote: Some(codec::vote_message(&vote)),
            export: chunk.export,
            at: Some(wants),
            bytes: chunk.bytes,
            hash: chunk.hash,
        };
        answer = peer.put_chunk(chunk).await?;
        tokio::time::sleep(least.saturating_sub(begun.elapsed())).await;
    }
}
