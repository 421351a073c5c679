//! openraft's own tests of a storage, run against ours.

use super::handing::Exports;
use super::log_thread::{self, ToLog};
use super::machine::{self, Machine};
use super::storage::Storage;
use super::vote::VoteFile;
use super::{
    Applied, GroupEntry, Handed, LogId, Member, StorageError, StoredMembership, Types, Vote, codec,
};
use crate::convert;
use crate::log::{self, LogOptions};
use openraft::entry::RaftEntry;
use openraft::storage::{LogFlushed, LogState, RaftLogStorage, RaftStateMachine, Snapshot};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{OptionalSend, RaftLogReader, SnapshotMeta};
use quoit_disk::{Disk, RealDisk};
use quoit_engine::{Engine, Identity, Install, Metric, Params, SaveGraph, Tuning};
use quoit_ring::VnodeCount;
use std::fmt::Debug;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct Builder;

/// What the storage is gone with.
struct Guard {
    _dir: TempDir,
    queue: log_thread::LogQueue,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.queue.tell(ToLog::Stop);
    }
}

/// The suite leaves entries out, which a group never does, and a log or an
/// engine that let it pass would hide a loss: blanks take their places.
struct WithoutGaps<T>(T);

fn blanks_before(first: Option<&GroupEntry>, after: Option<LogId>) -> Vec<GroupEntry> {
    let next = after.map_or(0, |id| id.index + 1);
    let term = after.map_or(0, |id| id.leader_id.term);
    let first = first.map_or(next, |entry| entry.log_id.index);
    let blank = |index| GroupEntry::new_blank(codec::id(term, index));
    (next..first).map(blank).collect()
}

impl RaftLogReader<Types> for WithoutGaps<Storage> {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<GroupEntry>, StorageError> {
        self.0.try_get_log_entries(range).await
    }
}

impl RaftLogStorage<Types> for WithoutGaps<Storage> {
    type LogReader = Storage;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        self.0.get_log_state().await
    }

    async fn get_log_reader(&mut self) -> Storage {
        self.0.get_log_reader().await
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.0.save_vote(vote).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        self.0.read_vote().await
    }

    async fn append<I>(
        &mut self,
        entries: I,
        flushed: LogFlushed<Types>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = GroupEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut entries: Vec<GroupEntry> = entries.into_iter().collect();
        let state = self.0.get_log_state().await?;
        // Some are appended twice, or after they were purged.
        entries.retain(|entry| Some(entry.log_id) > state.last_purged_log_id);
        match (entries.first(), state.last_log_id) {
            (first, None) => {
                entries.splice(0..0, blanks_before(first, None));
            }
            (Some(first), Some(last)) if first.log_id.index <= last.index => {
                self.0.truncate(first.log_id).await?;
            }
            _ => {}
        }
        self.0.append(entries, flushed).await
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        self.0.truncate(from).await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        self.0.purge(upto).await
    }
}

/// A state machine in a folder, which can be opened anew as a shard is.
struct InFolder {
    machine: Option<Machine>,
    dir: PathBuf,
}

pub(super) const IDENTITY: Identity = Identity(7);

fn params() -> Params {
    Params::unnamed(4, Metric::Euclid, None, VnodeCount::new(16).unwrap())
}

/// The engine of a member that has this folder.
pub(super) fn open_engine(dir: &Path) -> Engine {
    let (disk, data) = (Arc::new(RealDisk), dir.join("data"));
    Engine::open(disk, &data, IDENTITY, params(), Tuning::default()).unwrap()
}

fn open_machine(dir: &Path) -> Machine {
    let engine = open_engine(dir);
    let decode = Box::new(move |bytes| convert::decode(bytes, &params()));
    let (health, exports) = (Arc::default(), Arc::new(Exports::new(u64::MAX)));
    let started = machine::start(Arc::new(engine), health, decode, 0, exports);
    let (machine, _, _) = started.unwrap();
    machine
}

impl InFolder {
    fn machine(&mut self) -> &mut Machine {
        self.machine.as_mut().unwrap()
    }

    /// As a member takes a copy in, and is opened anew on it.
    fn adopt(&mut self, of: &Engine) {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let data = self.dir.join("data");
        let export = of.export(1, 0).unwrap();
        let (tuning, manifest) = (Tuning::default(), export.manifest());
        let begun = Install::begin(
            disk.clone(),
            &data,
            IDENTITY,
            &params(),
            tuning,
            manifest,
            0,
        );
        let mut install = begun.unwrap();
        while let Some(place) = install.wants() {
            install.put(&export.read(place, 1000).unwrap()).unwrap();
        }
        install.finish().unwrap();
        self.machine = None;
        // Its thread ends by itself.
        let begun = Instant::now();
        while let Err(error) = quoit_engine::adopt(&*disk, &data) {
            assert!(begun.elapsed() < Duration::from_mins(1), "{error}");
            std::thread::yield_now();
        }
        self.machine = Some(open_machine(&self.dir));
    }
}

impl RaftStateMachine<Types> for InFolder {
    type SnapshotBuilder = machine::Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        self.machine().applied_state().await
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError>
    where
        I: IntoIterator<Item = GroupEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<GroupEntry> = entries.into_iter().collect();
        let (applied, _) = self.machine().applied_state().await?;
        let blanks = blanks_before(entries.first(), applied);
        self.machine().apply(blanks).await?;
        self.machine().apply(entries).await
    }

    async fn get_snapshot_builder(&mut self) -> machine::Builder {
        let handed = self.machine().begin_receiving_snapshot().await.unwrap();
        handed.engine.checkpoint(SaveGraph::IfMuchIsNew).unwrap();
        self.machine().get_snapshot_builder().await
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Handed>, StorageError> {
        self.machine().begin_receiving_snapshot().await
    }

    async fn install_snapshot(
        &mut self,
        _: &SnapshotMeta<u64, Member>,
        snapshot: Box<Handed>,
    ) -> Result<(), StorageError> {
        self.adopt(&snapshot.engine);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        self.machine().get_current_snapshot().await
    }
}

impl StoreBuilder<Types, WithoutGaps<Storage>, InFolder, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, WithoutGaps<Storage>, InFolder), StorageError> {
        let dir = TempDir::new().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let opened = log::open(disk.clone(), &dir.path().join("log"), LogOptions::new(7, 1));
        let opened = opened.unwrap();
        let vote = VoteFile::new(disk, dir.path(), IDENTITY);
        let kept = vote.read().unwrap();
        let (queue, _) = log_thread::start(opened.writer, vote, Arc::default()).unwrap();
        let storage = Storage::new(queue.clone(), opened.reader, kept, 1000);
        let machine = InFolder {
            machine: Some(open_machine(dir.path())),
            dir: dir.path().to_owned(),
        };
        let guard = Guard { _dir: dir, queue };
        Ok((guard, WithoutGaps(storage), machine))
    }
}

#[test]
fn the_log_and_the_engine_are_what_openraft_expects_of_a_storage() {
    Suite::test_all(Builder).unwrap();
}
