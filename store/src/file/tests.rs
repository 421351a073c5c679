//! The store on a real disk, on one that fails, and on one that loses its power
//! at any step.

use std::error::Error;

use futures::executor::block_on;
use quoit_disk::sim::Op;
use quoit_disk::{RealDisk, SimDisk};
use quoit_ring::{RingParts, ShardId, Table, VnodeCount};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;

/// A ring that can be told from others by its epoch.
fn ring(epoch: u64) -> Ring {
    let table = Table::owned_by(VnodeCount::new(64).unwrap(), ShardId(0));
    let first = Ring::first(Uuid::from_u128(7), table, [ShardId(0)]).unwrap();
    Ring::from_parts(RingParts {
        epoch,
        ..first.into_parts()
    })
    .unwrap()
}

fn real(dir: &TempDir) -> FileRingStore {
    FileRingStore::open(Arc::new(RealDisk), &dir.path().join("ring")).unwrap()
}

fn simulated(seed: u64) -> (TempDir, SimDisk) {
    let dir = TempDir::new().unwrap();
    let disk = SimDisk::new(dir.path().to_owned(), seed).unwrap();
    (dir, disk)
}

fn on(disk: &SimDisk, dir: &TempDir) -> FileRingStore {
    let disk = Arc::new(disk.until_cut());
    FileRingStore::open(disk, &dir.path().join("ring")).unwrap()
}

fn read(store: &FileRingStore) -> Option<(Revision, u64)> {
    let content = block_on(store.read()).unwrap();
    content.map(|content| (content.revision, content.value.epoch()))
}

fn swap(store: &FileRingStore, expected: Option<Revision>, epoch: u64) -> Revision {
    block_on(store.swap(expected, &ring(epoch))).unwrap()
}

fn refused(store: &FileRingStore, expected: Option<Revision>, epoch: u64) -> SwapError {
    block_on(store.swap(expected, &ring(epoch))).unwrap_err()
}

/// An error with all its causes, as a log shows it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[test]
fn a_ring_is_read_as_it_was_written_also_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let store = real(&dir);
    assert_eq!(read(&store), None);
    let first = swap(&store, None, 1);
    assert_eq!(read(&store), Some((first, 1)));
    let second = swap(&store, Some(first), 2);
    assert_ne!(first, second);
    assert_eq!(read(&store), Some((second, 2)));

    let reopened = real(&dir);
    let content = block_on(reopened.read()).unwrap().unwrap();
    assert_eq!(content.revision, second);
    assert_eq!(content.value, ring(2));
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["ring"], "no temporary file is left");
}

#[test]
fn a_ring_is_replaced_only_by_who_knows_what_is_there() {
    let dir = TempDir::new().unwrap();
    let store = real(&dir);
    let conflicts = |expected, present| {
        let error = refused(&store, expected, 9);
        let found = matches!(error, SwapError::Conflict { present: p } if p == present);
        assert!(found, "{error:?}");
    };
    conflicts(Some(Revision(1)), None);
    let first = swap(&store, None, 1);
    conflicts(None, Some(first));
    let second = swap(&store, Some(first), 2);
    conflicts(Some(first), Some(second));
    assert_eq!(read(&store), Some((second, 2)));
}

#[test]
fn writers_at_once_lose_none_of_each_others_steps() {
    let dir = TempDir::new().unwrap();
    let store = real(&dir);
    swap(&store, None, 1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    loop {
                        let (revision, epoch) = read(&store).unwrap();
                        let next = ring(epoch + 1);
                        match block_on(store.swap(Some(revision), &next)) {
                            Ok(_) => break,
                            Err(SwapError::Conflict { .. }) => {}
                            Err(error) => panic!("{}", chain(&error)),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(read(&store).unwrap().1, 101);
}

#[test]
fn a_damaged_file_is_an_error_and_never_empty_or_overwritten() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("ring");
    let store = real(&dir);
    let revision = swap(&store, None, 1);
    let good = std::fs::read(&path).unwrap();

    let flipped = (0..good.len()).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        bytes
    });
    let cut = (0..good.len()).map(|len| good[..len].to_vec());
    let longer = [[good.as_slice(), &[0]].concat()];
    for bytes in flipped.chain(cut).chain(longer) {
        std::fs::write(&path, &bytes).unwrap();
        let error = block_on(store.read()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        for expected in [None, Some(revision)] {
            let error = refused(&store, expected, 2);
            let damaged = matches!(error, SwapError::Failed(StoreError::Damaged { .. }));
            assert!(damaged, "{error:?}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    std::fs::write(&path, good).unwrap();
    assert_eq!(read(&store), Some((revision, 1)));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_path_and_the_remedy() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("ring");
    let store = real(&dir);
    let mut newer = encode(Revision(1), &ring(1));
    newer[MAGIC.len()] = 2;
    let mut torn = encode(Revision(1), &ring(1));
    torn.truncate(torn.len() / 2);
    let mut no_ring = [MAGIC.as_slice(), &[FORMAT], &[0; 8], b"QUOITRG"].concat();
    no_ring.extend(xxh3_64(&no_ring).to_le_bytes());
    let cases = [
        (b"{}".to_vec(), "put back the right file"),
        (newer, "it has format 2, and this version reads format 1"),
        (torn, "restore it from a backup"),
        (
            no_ring,
            "the ring in it cannot be read: the packed ring ends",
        ),
    ];
    for (bytes, says) in cases {
        std::fs::write(&path, bytes).unwrap();
        let text = chain(&block_on(store.read()).unwrap_err());
        assert!(text.contains(says), "{text}");
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
}

#[test]
fn a_file_written_by_the_first_version_is_still_read() {
    let packed = ring(300).to_bytes();
    let mut bytes = b"QUOITRF\x01\x05\x01\0\0\0\0\0\0".to_vec();
    bytes.extend(&packed);
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    let content = decode(&bytes).unwrap();
    assert_eq!(content.revision, Revision(0x105));
    assert_eq!(content.value, ring(300));
    assert_eq!(encode(Revision(0x105), &ring(300)), bytes);
}

#[test]
fn a_path_that_names_no_file_is_refused() {
    let Err(error) = FileRingStore::open(Arc::new(RealDisk), Path::new("/")) else {
        panic!("opened");
    };
    assert!(chain(&error).contains("the path names no file"));
}

#[test]
fn what_a_crash_left_in_the_temporary_file_is_never_part_of_a_ring() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("ring.tmp"), vec![7; 100_000]).unwrap();
    let store = real(&dir);
    assert_eq!(read(&store), None);
    let first = swap(&store, None, 1);
    assert_eq!(read(&store), Some((first, 1)));
}

#[test]
fn a_ring_that_cannot_be_read_is_an_error_and_not_taken_for_none() {
    let (dir, disk) = simulated(1);
    let store = on(&disk, &dir);
    let first = swap(&store, None, 1);
    disk.fail_next(Op::Read, io::ErrorKind::PermissionDenied);
    let error = block_on(store.read()).unwrap_err();
    assert!(error.may_retry(), "{error:?}");
    assert!(chain(&error).contains("could not read "), "{error:?}");
    disk.fail_next(Op::Read, io::ErrorKind::PermissionDenied);
    let error = refused(&store, None, 2);
    assert!(matches!(error, SwapError::Failed(_)), "{error:?}");
    assert_eq!(read(&store), Some((first, 1)));
}

#[test]
fn on_a_full_disk_the_old_ring_stays_and_the_next_try_succeeds() {
    let (dir, disk) = simulated(1);
    let store = on(&disk, &dir);
    let first = swap(&store, None, 1);
    disk.set_free(10);
    let error = refused(&store, Some(first), 2);
    assert!(matches!(error, SwapError::Failed(_)), "{error:?}");
    assert!(chain(&error).contains("write "), "{}", chain(&error));
    assert_eq!(read(&store), Some((first, 1)));
    disk.set_free(u64::MAX);
    swap(&store, Some(first), 2);
    assert_eq!(read(&store).unwrap().1, 2);
}

#[test]
fn a_failed_sync_of_the_file_changes_nothing_and_harms_no_later_write() {
    for seed in 0..30 {
        let (dir, disk) = simulated(seed);
        let store = on(&disk, &dir);
        let first = swap(&store, None, 1);
        disk.fail_next(Op::Sync, io::ErrorKind::Other);
        let error = refused(&store, Some(first), 2);
        assert!(matches!(error, SwapError::Failed(_)), "{error:?}");
        assert_eq!(read(&store), Some((first, 1)));
        let third = swap(&store, Some(first), 3);
        disk.cut_power().unwrap();
        assert_eq!(read(&on(&disk, &dir)), Some((third, 3)), "seed {seed}");
    }
}

#[test]
fn after_a_failed_sync_of_the_folder_what_is_read_stays_so() {
    let mut seen = [false; 4];
    for seed in 0..30 {
        let (dir, disk) = simulated(seed);
        let store = on(&disk, &dir);
        let first = swap(&store, None, 1);
        disk.fail_next(Op::SyncDir, io::ErrorKind::Other);
        let error = refused(&store, Some(first), 2);
        assert!(matches!(error, SwapError::Unknown(_)), "{error:?}");
        // While it cannot be made durable it is not shown either.
        disk.fail_next(Op::Sync, io::ErrorKind::Other);
        let error = block_on(store.read()).unwrap_err();
        assert!(error.may_retry(), "{error:?}");
        let content = (seed % 2 == 0).then(|| read(&store).unwrap());
        disk.cut_power().unwrap();
        let after = read(&on(&disk, &dir)).unwrap();
        assert!(
            content.is_none_or(|content| content == after),
            "seed {seed}"
        );
        seen[usize::try_from(after.1).unwrap()] = true;
    }
    assert_eq!(seen, [false, true, true, false], "both outcomes were met");
}

/// Writes a second ring while the power fails after so many calls; gives
/// whether the write was acknowledged, and the epoch that is there after.
fn cut_after(calls: u64, seed: u64, forget_syncs: bool) -> Result<(bool, u64), String> {
    let (dir, disk) = simulated(seed);
    let store = on(&disk, &dir);
    let first = swap(&store, None, 1);
    disk.forget_sync(forget_syncs);
    disk.lose_power_after(calls);
    let acknowledged = block_on(store.swap(Some(first), &ring(2))).is_ok();
    disk.cut_power().unwrap();
    disk.forget_sync(false);
    let content = block_on(on(&disk, &dir).read()).map_err(|error| chain(&error))?;
    let epoch = content.ok_or("there is no ring")?.value.epoch();
    if acknowledged && epoch != 2 {
        return Err("an acknowledged ring is lost".to_owned());
    }
    Ok((acknowledged, epoch))
}

#[test]
fn a_power_cut_at_any_step_leaves_the_ring_before_or_after() {
    let mut outcomes = std::collections::BTreeSet::new();
    for calls in 0..10 {
        for seed in 0..20 {
            match cut_after(calls, seed, false) {
                Ok(outcome) => outcomes.insert(outcome),
                Err(error) => panic!("{calls} calls, seed {seed}: {error}"),
            };
        }
    }
    let all = [(false, 1), (false, 2), (true, 2)];
    assert_eq!(outcomes, all.into(), "every outcome was met");
}

#[test]
fn without_syncs_a_power_cut_loses_rings() {
    let lost = (0..40).filter(|seed| cut_after(20, *seed, true).is_err());
    assert!(lost.count() > 0, "the test above could not fail");
}

#[test]
fn a_ring_that_a_killed_process_left_unsynced_is_durable_once_it_is_read() {
    for seed in 0..30 {
        let (dir, disk) = simulated(seed);
        let first = swap(&on(&disk, &dir), None, 1);
        let path = dir.path().join("ring");
        // What a process does that is killed before it syncs the folder.
        let temporary = dir.path().join("ring.tmp");
        let file = disk.open(&temporary).unwrap();
        let bytes = encode(Revision(2), &ring(2));
        file.write_at(&bytes, 0).unwrap();
        file.sync_data().unwrap();
        disk.rename(&temporary, &path).unwrap();

        let seen = read(&on(&disk, &dir)).unwrap();
        assert_ne!(seen.0, first);
        disk.cut_power().unwrap();
        assert_eq!(read(&on(&disk, &dir)), Some(seen), "seed {seed}");
    }
}
