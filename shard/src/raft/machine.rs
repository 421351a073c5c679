//! openraft's view of the engine: committed entries are applied by a thread of
//! their own, in order, and each batch of rows carries the note of the entry
//! that it ends with.

use super::codec::{self, CodecError, Note};
use super::handing::Exports;
use super::log_thread::chain;
use super::{Applied, Batch, GroupEntry, Handed, LogId, StorageError, StoredMembership, Types};
use crate::convert::Misfit;
use crate::health::Health;
use bytes::Bytes;
use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{
    AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, SnapshotMeta, StorageIOError,
};
use quoit_engine::{Engine, Entry as Command, SaveGraph};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// The pause before a committed entry that found the disk full is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// Bytes of entries that are applied as one batch of rows.
const GROUP_BYTES: usize = 8 << 20;

/// Why entries were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// What the log has is not a command.
    #[error("entry {index} of the log does not decode")]
    Decode {
        /// Its index.
        index: u64,
        /// Why not.
        source: DecodeError,
    },
    /// The engine could not.
    #[error("an entry could not be applied")]
    Engine(#[from] quoit_engine::Error),
    /// The shard stops, or its apply thread has ended.
    #[error("the shard stops")]
    Stopped,
}

/// Why a command does not decode.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The batch that it is in.
    #[error(transparent)]
    Batch(#[from] CodecError),
    /// The command itself.
    #[error(transparent)]
    Command(#[from] Misfit),
}

/// Decodes one command.
pub type Decode = Box<dyn Fn(Bytes) -> Result<Command, Misfit> + Send>;

type Reply = oneshot::Sender<Result<Vec<Applied>, ApplyError>>;

/// The state machine of one member.
pub struct Machine {
    engine: Arc<Engine>,
    queue: Sender<(Vec<GroupEntry>, Reply)>,
    note: watch::Receiver<Note>,
    /// Bytes of the disk that a copy leaves free.
    spare: u64,
    /// The copies that are on their way.
    exports: Arc<Exports>,
}

/// Starts the thread that applies. The note tells others how far it is.
///
/// # Errors
/// The operating system gives no thread, or the note cannot be read.
pub fn start(
    engine: Arc<Engine>,
    health: Arc<Health>,
    decode: Decode,
    spare: u64,
    exports: Arc<Exports>,
) -> Result<(Machine, watch::Receiver<Note>, JoinHandle<()>), StartError> {
    let note = codec::decode_note(&engine.note()?, engine.applied())?;
    let (told, note) = watch::channel(note);
    let (queue, asked) = channel();
    let applier = Applier {
        engine: engine.clone(),
        health,
        decode,
        told,
    };
    let join = std::thread::Builder::new()
        .name("apply".into())
        .spawn(move || applier.run(&asked))?;
    let machine = Machine {
        engine,
        queue,
        note: note.clone(),
        spare,
        exports,
    };
    Ok((machine, note, join))
}

/// Why the state machine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The note beside the applied index cannot be read.
    #[error("what the shard noted of its group cannot be read")]
    ReadNote(#[from] quoit_engine::Error),
    /// The note is not one.
    #[error("what the shard noted of its group cannot be understood")]
    DecodeNote(#[from] CodecError),
    /// No thread could be had.
    #[error("a thread of the shard could not be started")]
    Thread(#[from] io::Error),
}

fn meta(note: &Note) -> SnapshotMeta<u64, super::Member> {
    let id = note.applied.map(|id| (id.leader_id.term, id.index));
    SnapshotMeta {
        last_log_id: note.applied,
        last_membership: note.membership.clone(),
        snapshot_id: id
            .map(|(term, index)| format!("{term}-{index}"))
            .unwrap_or_default(),
    }
}

impl Machine {
    fn handed(&self, note: Note) -> Handed {
        Handed {
            engine: self.engine.clone(),
            spare: self.spare,
            note,
        }
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        let note = self.note.borrow().clone();
        Ok((note.applied, note.membership))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError>
    where
        I: IntoIterator<Item = GroupEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<GroupEntry> = entries.into_iter().collect();
        let (reply, answer) = oneshot::channel();
        let sent = self.queue.send((entries, reply));
        let applied = match sent {
            Ok(()) => answer.await.unwrap_or(Err(ApplyError::Stopped)),
            Err(_) => Err(ApplyError::Stopped),
        };
        applied.map_err(|error| {
            let error = AnyError::new(&error);
            StorageIOError::write_state_machine(error).into()
        })
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            engine: self.engine.clone(),
            spare: self.spare,
            exports: self.exports.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Handed>, StorageError> {
        let note = self.note.borrow().clone();
        Ok(Box::new(self.handed(note)))
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta<u64, super::Member>,
        _snapshot: Box<Handed>,
    ) -> Result<(), StorageError> {
        let error = AnyError::error("a snapshot is taken in beside a running member");
        Err(StorageIOError::write_state_machine(error).into())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        let note = self.exports.note(&self.note.borrow());
        Ok(note.applied.map(|_| Snapshot {
            meta: meta(&note),
            snapshot: Box::new(self.handed(note)),
        }))
    }
}

/// What openraft calls to build a snapshot is a checkpoint here: from then on the log
/// may be cut before it. What is sent to another member is taken when it is sent.
pub struct Builder {
    engine: Arc<Engine>,
    spare: u64,
    exports: Arc<Exports>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let engine = self.engine.clone();
        let build = move || {
            if engine.checkpointed().is_none() {
                engine.checkpoint(SaveGraph::IfMuchIsNew)?;
            }
            let (applied, note) = engine.checkpointed().unwrap_or_default();
            Ok::<_, StartError>(codec::decode_note(&note, applied)?)
        };
        let note = tokio::task::spawn_blocking(build).await;
        let note = note.map_err(|e| unbuilt(&e))?.map_err(|e| unbuilt(&e))?;
        let note = self.exports.built(&note);
        Ok(Snapshot {
            meta: meta(&note),
            snapshot: Box::new(Handed {
                engine: self.engine.clone(),
                spare: self.spare,
                note,
            }),
        })
    }
}

fn unbuilt(error: &dyn std::error::Error) -> StorageError {
    StorageIOError::write_snapshot(None, AnyError::error(chain(error))).into()
}

struct Applier {
    engine: Arc<Engine>,
    health: Arc<Health>,
    decode: Decode,
    told: watch::Sender<Note>,
}

impl Applier {
    fn run(self, asked: &Receiver<(Vec<GroupEntry>, Reply)>) {
        let _watched = self.health.watch("apply");
        while let Ok((entries, reply)) = asked.recv() {
            let applied = self.apply(&entries);
            let failed = applied.is_err();
            // One who no longer waits does not need the answer.
            drop(reply.send(applied));
            if failed {
                // What comes after it in the log must not be applied.
                return;
            }
        }
    }

    fn apply(&self, entries: &[GroupEntry]) -> Result<Vec<Applied>, ApplyError> {
        let mut applied = Vec::with_capacity(entries.len());
        let mut rest = entries;
        while !rest.is_empty() {
            let (group, behind) = rest.split_at(group_len(rest));
            applied.extend(self.apply_group(group)?);
            rest = behind;
        }
        Ok(applied)
    }

    /// Applies entries as one batch of rows. Committed entries can no longer be
    /// refused: a full disk is waited out, and anything else stops the shard.
    fn apply_group(&self, entries: &[GroupEntry]) -> Result<Vec<Applied>, ApplyError> {
        let mut note = self.told.borrow().clone();
        for GroupEntry { log_id, payload } in entries {
            note.applied = Some(*log_id);
            if let EntryPayload::Membership(membership) = payload {
                note.membership = StoredMembership::new(Some(*log_id), membership.clone());
            }
        }
        let kept = codec::encode_note(&note);
        loop {
            let mut commands = Vec::new();
            let mut counts = Vec::with_capacity(entries.len());
            for entry in entries {
                let before = commands.len();
                self.decode(entry, &mut commands)?;
                counts.push(commands.len() - before);
            }
            match self.engine.apply_noting(commands, &kept) {
                Ok(outcomes) => {
                    self.told.send_replace(note);
                    let mut outcomes = outcomes.into_iter();
                    let of_entry = |count| Applied(outcomes.by_ref().take(count).collect());
                    return Ok(counts.into_iter().map(of_entry).collect());
                }
                Err(error) => {
                    let again = self
                        .health
                        .note_failure("an entry could not be applied", &error);
                    if !again || self.health.is_stopping() {
                        return Err(error.into());
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// What an entry asks of the engine.
    fn decode(
        &self,
        entry: &GroupEntry,
        commands: &mut Vec<(u64, Command)>,
    ) -> Result<(), ApplyError> {
        let index = entry.log_id.index;
        match &entry.payload {
            EntryPayload::Normal(batch) => {
                let failed = |source| {
                    let error = ApplyError::Decode { index, source };
                    self.health.stop_all(chain(&error));
                    error
                };
                let decoded = batch.decoded.lock().take();
                let decoded = match decoded {
                    Some(decoded) => decoded,
                    None => self.decode_batch(batch).map_err(failed)?,
                };
                commands.extend(decoded.into_iter().map(|command| (index, command)));
            }
            // The first membership is before all that the engine counts.
            EntryPayload::Blank | EntryPayload::Membership(_) if index == 0 => {}
            EntryPayload::Blank | EntryPayload::Membership(_) => {
                commands.push((index, Command::Blank));
            }
        }
        Ok(())
    }

    fn decode_batch(&self, batch: &Batch) -> Result<Vec<Command>, DecodeError> {
        let commands = codec::decode_commands(batch.bytes.clone())?.into_iter();
        commands.map(|bytes| Ok((self.decode)(bytes)?)).collect()
    }
}

/// How many of some entries, at least one, are applied together.
fn group_len(entries: &[GroupEntry]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&GroupEntry| {
        let begun = bytes > 0;
        bytes += match &entry.payload {
            EntryPayload::Normal(batch) => batch.bytes.len(),
            EntryPayload::Blank | EntryPayload::Membership(_) => 1,
        };
        !begun || bytes <= GROUP_BYTES
    };
    entries.iter().take_while(fits).count()
}
