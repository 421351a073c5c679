//! Giving a copy of this member's data to one that is too far behind: taken once,
//! sent in chunks, gone on with after a lost connection, and no quicker than the
//! others can bear.

use super::peer::{Peer, PeerError};
use super::{Handed, LogId, Note, Vote, codec};
use crate::background::{self, BackgroundError};
use crate::stamp::MemberId;
use parking_lot::Mutex;
use quoit_engine::{Export, Place, SaveGraph, SnapshotError};
use quoit_proto::v1;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of one chunk.
const CHUNK_SIZE: usize = 1 << 20;

/// A copy of which nothing more arrived in this time is given up, and with it its room
/// and what is kept of the log behind it: its member may never come back.
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
    /// Its work had no outcome.
    #[error("a copy of the data could not be worked on")]
    Background(#[from] BackgroundError),
}

/// The copies that are on their way, one a member.
pub struct Exports {
    copies: Mutex<Copies>,
    /// Bytes of one that are sent in a second at the most.
    rate: u64,
}

#[derive(Default)]
struct Copies {
    kept: HashMap<u64, Kept>,
    /// The newest snapshot that openraft was told to be built. It takes no member to
    /// have less than that after it was given one.
    told: Option<LogId>,
}

impl Copies {
    /// Forgets the copies that came to a stand.
    fn expire(&mut self) {
        self.kept.retain(|_, kept| kept.moved.elapsed() < KEPT);
    }

    fn oldest_or(&self, note: &Note) -> Note {
        let notes = self.kept.values().map(|kept| &kept.note);
        let oldest = notes.chain([note]).min_by_key(|note| note.applied);
        oldest.cloned().unwrap_or_default()
    }
}

struct Kept {
    /// `None` while it is being taken: what it will have counts from before that on.
    export: Option<Arc<Export>>,
    /// What was applied before it was taken: it has all of that.
    note: Note,
    /// When something of it last arrived.
    moved: Instant,
}

impl Exports {
    /// None yet.
    pub fn new(rate: u64) -> Self {
        let copies = Mutex::default();
        Self { copies, rate }
    }

    /// How long it takes at the least to send so many bytes.
    fn least_time(&self, bytes: usize) -> Duration {
        let nanos = u128::from(bytes as u64) * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// What openraft is told of the snapshot that a member may be given: the same as
    /// long as one is on its way. It takes the member to have all up to there, and
    /// with a later place a copy that was begun before could not be gone on with.
    pub fn note(&self, present: &Note) -> Note {
        let mut copies = self.copies.lock();
        copies.expire();
        let told = copies.told;
        copies.kept.retain(|_, kept| kept.note.applied >= told);
        copies.oldest_or(present)
    }

    /// What openraft is told to be built by a checkpoint: nothing that a copy on its
    /// way lacks.
    pub fn built(&self, checkpoint: &Note) -> Note {
        let mut copies = self.copies.lock();
        copies.expire();
        let note = copies.oldest_or(checkpoint);
        copies.told = copies.told.max(note.applied);
        note
    }

    /// The copy that a member has begun to take in.
    fn begun(&self, node: u64, handed: &Handed) -> Option<Arc<Export>> {
        let mut copies = self.copies.lock();
        copies.expire();
        let kept = copies.kept.get(&node);
        let kept = kept.filter(|kept| kept.note.applied >= handed.note.applied);
        kept.and_then(|kept| kept.export.clone())
    }

    /// A new copy for a member.
    async fn take(&self, node: u64, handed: &Handed) -> Result<Arc<Export>, HandError> {
        let Handed {
            engine,
            spare,
            note,
        } = handed.clone();
        // Before the checkpoint, of which openraft must not be told more than the copy has.
        self.keep(node, None, note.clone());
        let take = move || {
            // With the graph as it is now: what it lacks the other one builds by itself.
            engine.checkpoint(SaveGraph::IfAnythingIsNew)?;
            Ok::<_, HandError>(engine.export(rand::random(), spare)?)
        };
        let taken = match background::run(take).await {
            Ok(taken) => taken,
            Err(error) => Err(error.into()),
        };
        let export = Arc::new(taken.inspect_err(|_| self.forget(node))?);
        tracing::info!(
            node,
            applied = export.applied(),
            bytes = export.bytes(),
            "a member is far behind: it is given a copy of the data"
        );
        self.keep(node, Some(export.clone()), note);
        Ok(export)
    }

    fn keep(&self, node: u64, export: Option<Arc<Export>>, before: Note) {
        let kept = Kept {
            export,
            note: before,
            moved: Instant::now(),
        };
        self.copies.lock().kept.insert(node, kept);
    }

    /// The entry of the log behind which a member with the oldest copy needs it.
    pub fn oldest(&self) -> Option<u64> {
        let mut copies = self.copies.lock();
        copies.expire();
        let notes = copies.kept.values().filter_map(|kept| kept.note.applied);
        notes.map(|id| id.index).min()
    }

    fn has_moved(&self, node: u64) {
        if let Some(kept) = self.copies.lock().kept.get_mut(&node) {
            kept.moved = Instant::now();
        }
    }

    fn forget(&self, node: u64) {
        self.copies.lock().kept.remove(&node);
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
    use v1::snapshot_answer::Kind;
    let offer = |export, manifest| v1::SnapshotOffer {
        envelope: Some(me.to(node)),
        vote: Some(codec::vote_message(&vote)),
        export,
        manifest,
    };
    let export = if let Some(begun) = exports.begun(node, handed) {
        begun
    } else {
        // A copy takes room and work: none is made for a member that is not there.
        let knock = peer.offer_snapshot(offer(0, Vec::new().into())).await?;
        if let Some(Kind::HigherVote(higher)) = &knock.kind {
            return Ok(Handing::HigherVote(codec::vote_of(higher)));
        }
        exports.take(node, handed).await?
    };
    let manifest = export.manifest().to_vec().into();
    let mut answer = peer
        .offer_snapshot(offer(export.number(), manifest))
        .await?;
    loop {
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
        let chunk = background::run(move || read.read(at, CHUNK_SIZE)).await??;
        let least = exports.least_time(chunk.bytes.len());
        let chunk = v1::SnapshotChunk {
            envelope: Some(me.to(node)),
            vote: Some(codec::vote_message(&vote)),
            export: chunk.export,
            at: Some(wants),
            bytes: chunk.bytes,
            hash: chunk.hash,
        };
        answer = peer.put_chunk(chunk).await?;
        exports.has_moved(node);
        tokio::time::sleep(least.saturating_sub(begun.elapsed())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::tests::open_engine;
    use tempfile::TempDir;
    use uuid::Uuid;

    /// A member that is there, and lost when a copy comes. Knows what it was offered.
    #[derive(Default)]
    struct Losing(Mutex<Vec<u64>>);

    fn lost<T>() -> Result<T, PeerError> {
        Err(PeerError::Unreachable("it is lost".to_owned()))
    }

    #[async_trait::async_trait]
    impl Peer for Losing {
        async fn append(&self, _: v1::AppendRequest) -> Result<v1::AppendResponse, PeerError> {
            lost()
        }

        async fn vote(&self, _: v1::BallotRequest) -> Result<v1::BallotResponse, PeerError> {
            lost()
        }

        async fn leader_read_index(
            &self,
            _: v1::ReadIndexRequest,
        ) -> Result<v1::ReadIndexResponse, PeerError> {
            lost()
        }

        async fn offer_snapshot(
            &self,
            offer: v1::SnapshotOffer,
        ) -> Result<v1::SnapshotAnswer, PeerError> {
            self.0.lock().push(offer.export);
            if !offer.manifest.is_empty() {
                return lost();
            }
            let first = v1::SnapshotPlace { part: 0, offset: 0 };
            let kind = Some(v1::snapshot_answer::Kind::Wants(first));
            Ok(v1::SnapshotAnswer { kind })
        }

        async fn put_chunk(&self, _: v1::SnapshotChunk) -> Result<v1::SnapshotAnswer, PeerError> {
            lost()
        }
    }

    #[tokio::test]
    async fn a_copy_is_gone_on_with_unless_it_may_lack_what_its_member_is_taken_to_have() {
        let dir = TempDir::new().unwrap();
        let engine = Arc::new(open_engine(dir.path()));
        let upto = |index| Note {
            applied: Some(codec::id(1, index)),
            ..Note::default()
        };
        let (exports, peer) = (Exports::new(u64::MAX), Losing::default());
        let me = MemberId {
            collection: Uuid::from_u128(7),
            group: 3,
            node: 1,
        };
        for (node, index) in [(2, 5), (2, 5), (2, 4), (2, 6), (3, 6)] {
            let handed = Handed {
                engine: engine.clone(),
                spare: 0,
                note: upto(index),
            };
            let handed = hand_over(&exports, me, node, &peer, Vote::new(1, 1), &handed).await;
            assert!(matches!(handed, Err(HandError::Peer(_))));
        }
        let offers = peer.0.lock().clone();
        // Before each new one it is asked whether it is there, with the number 0.
        let [0, first, again, of_less, 0, of_more, 0, of_another] = offers[..] else {
            panic!("{offers:?}");
        };
        assert_eq!([again, of_less], [first; 2]);
        assert_ne!(of_more, first, "it may lack the entry 6");
        assert_ne!(of_another, of_more, "each member is given its own");
    }

    #[test]
    fn a_copy_takes_as_long_as_its_rate_says() {
        let exports = Exports::new(40 << 20);
        assert_eq!(exports.least_time(40 << 20), Duration::from_secs(1));
        assert_eq!(exports.least_time(1 << 20), Duration::from_millis(25));
        let slow = Exports::new(1);
        assert_eq!(slow.least_time(CHUNK_SIZE), Duration::from_secs(1 << 20));
    }
}
