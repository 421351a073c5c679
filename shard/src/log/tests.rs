//! The log as its users see it, and helpers for the tests beside this one.

mod damage;
mod model;
mod power;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quoit_disk::sim::Op;
use quoit_disk::{Disk, RealDisk, SimDisk};
use tempfile::TempDir;

use super::*;

/// Small segments, so that a few groups fill one.
const SMALL: LogOptions = LogOptions {
    segment_bytes: 1000,
    preallocate_bytes: 300,
    identity: 0,
    salt: 42,
};

fn entry(index: u64, term: u64, payload: &[u8]) -> Entry {
    Entry {
        index,
        term,
        payload: Bytes::copy_from_slice(payload),
    }
}

/// Entries of term 1 whose payloads tell them apart.
fn entries(range: std::ops::Range<u64>) -> Vec<Entry> {
    range
        .map(|index| entry(index, 1, format!("entry {index}").as_bytes()))
        .collect()
}

fn position(index: u64, term: u64) -> Position {
    Position { index, term }
}

fn open_with(disk: &SimDisk, dir: &Path, options: LogOptions) -> Result<Opened, LogError> {
    open(Arc::new(disk.until_cut()), dir, options)
}

/// A folder for a [`SimDisk`], which makes nothing really durable: in memory,
/// where there is such a place, so that thousands of runs do not wait for the
/// syncs of other programs.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

struct Bench {
    dir: TempDir,
    disk: SimDisk,
}

impl Bench {
    fn new() -> Self {
        let dir = scratch();
        let disk = SimDisk::new(dir.path().to_owned(), 1).unwrap();
        Self { dir, disk }
    }

    fn open(&self) -> LogWriter {
        open_with(&self.disk, self.dir.path(), SMALL)
            .unwrap()
            .writer
    }

    fn segments(&self) -> Vec<PathBuf> {
        self.disk.list(self.dir.path()).unwrap()
    }
}

fn all(writer: &LogWriter) -> Vec<Entry> {
    let reader = writer.reader();
    reader
        .read(reader.first_index()..reader.next_index())
        .unwrap()
}

#[test]
fn a_new_log_is_empty_and_begins_at_one() {
    let bench = Bench::new();
    for _ in 0..2 {
        let reader = bench.open().reader();
        assert_eq!((reader.first_index(), reader.next_index()), (1, 1));
        assert_eq!(
            (reader.base(), reader.last()),
            (position(0, 0), position(0, 0))
        );
        assert_eq!(reader.term(0), Some(0));
        assert_eq!(reader.term(1), None);
        assert_eq!(reader.read(1..1).unwrap(), []);
    }
}

#[test]
fn what_was_appended_is_read_and_is_there_after_a_restart() {
    let bench = Bench::new();
    let mut log = bench.open();
    log.append_group(&entries(1..4)).unwrap();
    log.append_group(&[]).unwrap();
    log.append_group(&[entry(4, 3, b""), entry(5, 3, &[7; 2000])])
        .unwrap();
    log.append_group(&[entry(6, 4, b"x")]).unwrap();
    let written = all(&log);
    assert_eq!(written[..3], entries(1..4));
    assert_eq!(written.len(), 6);
    assert_eq!(log.reader().last(), position(6, 4));
    assert_eq!(log.reader().term(5), Some(3));
    let log = bench.open();
    assert_eq!(all(&log), written);
    assert_eq!(log.torn_tail(), None);
}

#[test]
fn the_log_works_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/log");
    let open = || open(Arc::new(RealDisk), &path, LogOptions::new(0, 7)).unwrap();
    let mut log = open().writer;
    for index in 1..10 {
        log.append_group(&entries(index..index + 1)).unwrap();
    }
    log.mark_synced().unwrap();
    drop(log);
    assert_eq!(open().reader.read(1..10).unwrap(), entries(1..10));
}

#[test]
fn entries_out_of_order_are_refused_and_change_nothing() {
    let bench = Bench::new();
    let mut log = bench.open();
    log.append_group(&[entry(1, 5, b"a")]).unwrap();
    for wrong in [
        vec![entry(1, 5, b"")],
        vec![entry(3, 5, b"")],
        vec![entry(2, 4, b"")],
        vec![entry(2, 5, b""), entry(4, 5, b"")],
        vec![entry(0, 5, b"")],
    ] {
        let error = log.append_group(&wrong).unwrap_err();
        assert!(matches!(error, LogError::OutOfOrder { .. }), "{error}");
        assert!(error.had_no_effect());
    }
    assert_eq!(all(&log), [entry(1, 5, b"a")]);
    log.restart_after(position(u64::MAX - 1, 5)).unwrap();
    let error = log.append_group(&[entry(u64::MAX, 5, b"")]).unwrap_err();
    assert!(matches!(error, LogError::OutOfOrder { .. }), "{error}");
    assert!(log.restart_after(position(u64::MAX, 5)).is_err());
}

#[test]
fn reading_outside_of_the_log_says_what_is_there() {
    let bench = Bench::new();
    let mut log = bench.open();
    log.restart_after(position(10, 1)).unwrap();
    log.append_group(&entries(11..14)).unwrap();
    let reader = log.reader();
    let error = reader.read(10..12).unwrap_err();
    assert!(
        matches!(
            error,
            LogError::Purged {
                index: 10,
                first: 11
            }
        ),
        "{error}"
    );
    let error = reader.read(12..15).unwrap_err();
    assert!(
        matches!(
            error,
            LogError::BeyondEnd {
                index: 14,
                next: 14
            }
        ),
        "{error}"
    );
    assert_eq!(reader.read(12..14).unwrap(), entries(12..14));
}

#[test]
fn reading_up_to_a_size_gives_at_least_one_entry() {
    let bench = Bench::new();
    let mut log = bench.open();
    log.append_group(&entries(1..10)).unwrap();
    let read = |max_bytes| log.reader().read_up_to(2..10, max_bytes).unwrap();
    assert_eq!(read(0), entries(2..3));
    assert_eq!(read(14), entries(2..4));
    assert_eq!(read(20), entries(2..4));
    assert_eq!(read(1000), entries(2..10));
}

#[test]
fn many_large_entries_are_read_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(Arc::new(RealDisk), dir.path(), LogOptions::new(0, 7))
        .unwrap()
        .writer;
    let large: Vec<Entry> = (1..9u8)
        .map(|index| entry(u64::from(index), 1, &vec![index; 700_000]))
        .collect();
    log.append_group(&large).unwrap();
    assert_eq!(all(&log), large);
}

#[test]
fn truncated_entries_are_gone_also_after_a_restart() {
    let bench = Bench::new();
    let mut log = bench.open();
    for index in 1..30 {
        log.append_group(&entries(index..index + 1)).unwrap();
    }
    log.truncate_after(40).unwrap();
    log.truncate_after(29).unwrap();
    log.truncate_after(7).unwrap();
    assert_eq!(all(&log), entries(1..8));
    log.append_group(&[entry(8, 2, b"another")]).unwrap();
    let log = bench.open();
    assert_eq!(log.reader().read(1..8).unwrap(), entries(1..8));
    assert_eq!(log.reader().read(8..9).unwrap(), [entry(8, 2, b"another")]);
    assert_eq!(log.reader().next_index(), 9);
}

#[test]
fn purging_deletes_whole_segments_and_the_begin_is_remembered() {
    let bench = Bench::new();
    let mut log = bench.open();
    for index in 1..30 {
        log.append_group(&entries(index..index + 1)).unwrap();
    }
    let before = bench.segments().len();
    assert!(before > 3);
    log.purge_before(20).unwrap();
    assert!(bench.segments().len() < before);
    let first = log.reader().first_index();
    assert!(first > 1 && first <= 20, "{first}");
    assert_eq!(log.reader().base(), position(first - 1, 1));
    log.purge_before(30).unwrap();
    assert_eq!(bench.segments().len(), 1, "the last segment stays");
    let (first, base) = (log.reader().first_index(), log.reader().base());
    assert!(log.purge_before(31).is_err(), "not behind the end");
    let error = log.truncate_after(first - 2).unwrap_err();
    assert!(matches!(error, LogError::Purged { .. }), "{error}");
    let log = bench.open();
    assert_eq!(
        (log.reader().first_index(), log.reader().base()),
        (first, base)
    );
    assert_eq!(all(&log), entries(first..30));
}

#[test]
fn an_empty_log_and_one_purged_to_its_end_are_different() {
    let bench = Bench::new();
    let mut log = bench.open();
    log.append_group(&entries(1..3)).unwrap();
    log.restart_after(position(100, 9)).unwrap();
    assert_eq!(all(&log), []);
    let mut log = bench.open();
    assert_eq!(log.reader().base(), position(100, 9));
    assert_eq!(log.reader().next_index(), 101);
    log.append_group(&[entry(101, 9, &[1; 2000])]).unwrap();
    log.purge_before(102).unwrap();
    assert_eq!(bench.segments().len(), 1);
    assert_eq!(bench.open().reader().last(), position(101, 9));
}

#[test]
fn a_full_disk_refuses_and_leaves_nothing_and_appends_go_on_with_room() {
    for preallocate_bytes in [0, 300] {
        let bench = Bench::new();
        let options = LogOptions {
            preallocate_bytes,
            ..SMALL
        };
        let mut log = open_with(&bench.disk, bench.dir.path(), options)
            .unwrap()
            .writer;
        log.append_group(&entries(1..3)).unwrap();
        for size in [500, 5000] {
            bench.disk.set_free(100);
            let error = log
                .append_group(&[entry(3, 1, &vec![1; size])])
                .unwrap_err();
            assert!(matches!(error, LogError::Full { .. }), "{error}");
            assert!(error.had_no_effect());
            assert_eq!(all(&log), entries(1..3));
        }
        bench.disk.set_free(u64::MAX);
        log.append_group(&entries(3..4)).unwrap();
        bench.disk.cut_power().unwrap();
        assert_eq!(all(&bench.open()), entries(1..4));
    }
}

#[test]
fn the_last_room_goes_to_the_entries_and_not_to_the_preallocation() {
    let bench = Bench::new();
    let mut log = bench.open();
    log.append_group(&entries(1..2)).unwrap();
    bench.disk.set_free(250);
    log.append_group(&[entry(2, 1, &[1; 400])]).unwrap();
}

#[test]
fn after_a_failed_write_or_sync_the_log_takes_nothing_and_reads_go_on() {
    for (op, begin) in [(Op::Sync, "making"), (Op::WriteAt, "writing")] {
        let bench = Bench::new();
        let mut log = bench.open();
        log.append_group(&entries(1..3)).unwrap();
        bench.disk.fail_next(op, ErrorKind::Other);
        let error = log.append_group(&entries(3..4)).unwrap_err();
        assert!(error.to_string().starts_with(begin), "{error}");
        assert!(!error.had_no_effect());
        for again in [
            log.append_group(&entries(3..4)),
            log.truncate_after(1),
            log.restart_after(position(9, 9)),
            log.purge_before(1),
            log.mark_synced(),
        ] {
            assert!(matches!(again, Err(LogError::Poisoned { .. })), "{again:?}");
        }
        assert_eq!(all(&log), entries(1..3));
        let found = all(&bench.open());
        assert!(
            found == entries(1..3) || found == entries(1..4),
            "{found:?}"
        );
    }
}

#[test]
fn a_group_whose_sync_failed_and_that_a_restart_found_survives_a_power_cut() {
    for seed in 0..50 {
        let dir = scratch();
        let disk = SimDisk::new(dir.path().to_owned(), seed).unwrap();
        let mut log = open_with(&disk, dir.path(), SMALL).unwrap().writer;
        disk.fail_next(Op::Sync, ErrorKind::Other);
        log.append_group(&entries(1..3)).unwrap_err();
        let log = open_with(&disk, dir.path(), SMALL).unwrap().writer;
        assert_eq!(all(&log), entries(1..3));
        disk.cut_power().unwrap();
        let log = open_with(&disk, dir.path(), SMALL).unwrap().writer;
        assert_eq!(all(&log), entries(1..3));
    }
}

#[test]
fn a_segment_that_cannot_be_made_is_no_harm() {
    let bench = Bench::new();
    let mut log = bench.open();
    log.append_group(&entries(1..3)).unwrap();
    bench
        .disk
        .fail_next(Op::Allocate, ErrorKind::PermissionDenied);
    let error = log.append_group(&[entry(3, 1, &[1; 900])]).unwrap_err();
    assert!(matches!(error, LogError::Grow { .. }), "{error}");
    assert_eq!(bench.segments().len(), 1, "nothing is left of it");
    log.append_group(&entries(3..4)).unwrap();
    assert_eq!(all(&bench.open()), entries(1..4));
}

#[test]
fn a_removal_that_fails_is_made_up_for_by_the_next_purge() {
    let bench = Bench::new();
    let mut log = bench.open();
    for index in 1..30 {
        log.append_group(&entries(index..index + 1)).unwrap();
    }
    bench
        .disk
        .fail_next(Op::Remove, ErrorKind::PermissionDenied);
    let error = log.purge_before(30).unwrap_err();
    assert!(matches!(error, LogError::Remove { .. }), "{error}");
    assert_eq!(all(&log), entries(1..30));
    log.purge_before(30).unwrap();
    assert_eq!(bench.segments().len(), 1);
}

#[test]
fn other_files_are_left_alone_and_unfinished_segments_removed() {
    let bench = Bench::new();
    bench.open().append_group(&entries(1..3)).unwrap();
    for name in ["lost+found", "1.log", "0000000002.new", "x.new"] {
        std::fs::write(bench.dir.path().join(name), b"?").unwrap();
    }
    assert_eq!(all(&bench.open()), entries(1..3));
    let left: Vec<_> = bench
        .segments()
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(left, ["0000000001.log", "1.log", "lost+found", "x.new"]);
}

#[test]
fn a_mark_is_written_once_and_changes_nothing() {
    let bench = Bench::new();
    let mut log = bench.open();
    log.append_group(&entries(1..3)).unwrap();
    let read = || bench.disk.read(&bench.segments()[0]).unwrap();
    let before = read();
    log.mark_synced().unwrap();
    let marked = read();
    assert_ne!(before, marked);
    log.mark_synced().unwrap();
    assert_eq!(marked, read());
    log.append_group(&entries(3..4)).unwrap();
    log.mark_synced().unwrap();
    assert_eq!(all(&bench.open()), entries(1..4));
}

#[test]
fn readers_read_while_the_writer_writes() {
    let bench = Bench::new();
    let mut log = bench.open();
    let reader = log.reader();
    let reading = std::thread::spawn(move || {
        while reader.next_index() < 200 {
            let (first, next) = (reader.first_index(), reader.next_index());
            match reader.read(first..next) {
                Ok(read) => assert_eq!(read, entries(first..next)),
                Err(LogError::Purged { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    for index in 1..200 {
        log.append_group(&entries(index..index + 1)).unwrap();
        if index % 50 == 0 {
            log.purge_before(index).unwrap();
        }
    }
    reading.join().unwrap();
}
