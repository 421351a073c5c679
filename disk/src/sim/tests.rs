use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::Map;

fn disk(seed: u64) -> (TempDir, SimDisk) {
    // In memory, where there is such a place: nothing needs to be durable.
    let dir = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let disk = SimDisk::new(dir.path().to_owned(), seed).unwrap();
    (dir, disk)
}

/// Writes a file and makes it and its name durable.
fn settle(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    let file = disk.open(path).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(path.parent().unwrap()).unwrap();
}

/// What is in the file after the cut; `None`: no such file.
fn after_cut(disk: &SimDisk, path: &Path) -> Option<Vec<u8>> {
    disk.cut_power().unwrap();
    match disk.read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

/// All that a scenario leaves, over many seeds.
fn outcomes(scenario: impl Fn(&SimDisk, &Path)) -> BTreeSet<Option<Vec<u8>>> {
    (0..200)
        .map(|seed| {
            let (dir, disk) = disk(seed);
            let path = dir.path().join("a");
            scenario(&disk, &path);
            after_cut(&disk, &path)
        })
        .collect()
}

#[test]
fn what_was_synced_is_there_after_the_cut() {
    assert_eq!(
        outcomes(|disk, path| settle(disk, path, b"durable")),
        [Some(b"durable".to_vec())].into()
    );
}

#[test]
fn with_syncs_forgotten_what_was_synced_can_be_lost() {
    let outcomes = outcomes(|disk, path| {
        disk.forget_sync(true);
        settle(disk, path, b"durable");
    });
    assert!(outcomes.contains(&None), "{outcomes:?}");
    assert!(outcomes.contains(&Some(Vec::new())), "{outcomes:?}");
}

#[test]
fn an_unsynced_write_is_kept_lost_torn_or_only_its_length_is_there() {
    let outcomes = outcomes(|disk, path| {
        settle(disk, path, &[1; 100]);
        disk.open(path).unwrap().write_at(&[2; 2000], 100).unwrap();
    });
    let whole = |len: usize, value: u8| Some([vec![1; 100], vec![value; len - 100]].concat());
    assert!(outcomes.contains(&whole(2100, 2)));
    assert!(outcomes.contains(&whole(100, 2)));
    assert!(outcomes.contains(&whole(2100, 0)));
    assert!(outcomes.contains(&whole(1024, 2)), "torn at a sector");
    let with_hole = |bytes: &Option<Vec<u8>>| {
        let bytes = bytes.as_deref().unwrap_or_default();
        bytes.windows(2).any(|pair| pair == [0, 2])
    };
    assert!(
        outcomes.iter().any(with_hole),
        "a later sector without an earlier one"
    );
    for bytes in &outcomes {
        assert_eq!(
            bytes.as_deref().unwrap()[..100],
            [1; 100],
            "what was synced is as it was"
        );
    }
}

#[test]
fn later_writes_may_arrive_without_earlier_ones() {
    let outcomes = outcomes(|disk, path| {
        settle(disk, path, b"--");
        let file = disk.open(path).unwrap();
        file.write_at(b"1", 0).unwrap();
        file.write_at(b"2", 1).unwrap();
    });
    let all = [b"--", b"1-", b"-2", b"12"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(outcomes, all.into());
}

#[test]
fn a_cut_of_the_length_is_undone_with_what_was_behind_it() {
    let outcomes = outcomes(|disk, path| {
        settle(disk, path, b"0123456789");
        disk.open(path).unwrap().set_len(4).unwrap();
    });
    assert_eq!(
        outcomes,
        [Some(b"0123456789".to_vec()), Some(b"0123".to_vec())].into()
    );
}

#[test]
fn a_new_name_needs_the_sync_of_its_folder() {
    let outcomes = outcomes(|disk, path| {
        let file = disk.open(path).unwrap();
        file.write_at(b"1", 0).unwrap();
        file.sync_data().unwrap();
    });
    assert_eq!(outcomes, [None, Some(b"1".to_vec())].into());
}

#[test]
fn a_rename_is_the_old_file_or_the_new_and_a_removal_may_be_undone() {
    let renamed = outcomes(|disk, path| {
        let new = path.with_extension("new");
        settle(disk, path, b"old");
        settle(disk, &new, b"new");
        disk.rename(&new, path).unwrap();
    });
    assert_eq!(
        renamed,
        [Some(b"old".to_vec()), Some(b"new".to_vec())].into()
    );
    let removed = outcomes(|disk, path| {
        settle(disk, path, b"1");
        disk.remove(path).unwrap();
    });
    assert_eq!(removed, [None, Some(b"1".to_vec())].into());
}

#[test]
fn a_rename_before_the_sync_of_the_content_may_name_an_empty_file() {
    let outcomes = outcomes(|disk, path| {
        settle(disk, path, b"old");
        let new = path.with_extension("new");
        disk.open(&new).unwrap().write_at(b"new", 0).unwrap();
        disk.rename(&new, path).unwrap();
        disk.sync_dir(path.parent().unwrap()).unwrap();
    });
    assert!(outcomes.contains(&Some(Vec::new())), "{outcomes:?}");
}

#[test]
fn a_removal_that_is_durable_makes_the_rename_before_it_durable() {
    for seed in 0..50 {
        let (dir, disk) = disk(seed);
        let (one, two) = (dir.path().join("1"), dir.path().join("2"));
        disk.create_dir_all(&one).unwrap();
        disk.create_dir_all(&two).unwrap();
        settle(&disk, &one.join("a"), b"1");
        disk.rename(&one.join("a"), &two.join("b")).unwrap();
        disk.remove(&two.join("b")).unwrap();
        disk.sync_dir(&two).unwrap();
        disk.cut_power().unwrap();
        assert!(
            disk.list(&one).unwrap().is_empty(),
            "it came back under its old name"
        );
        assert!(disk.list(&two).unwrap().is_empty());
    }
}

#[test]
fn a_chain_of_renames_ends_at_one_name() {
    let ends: BTreeSet<String> = (0..50)
        .map(|seed| {
            let (dir, disk) = disk(seed);
            let [a, b, c] = ["a", "b", "c"].map(|name| dir.path().join(name));
            settle(&disk, &a, b"1");
            disk.rename(&a, &b).unwrap();
            disk.rename(&b, &c).unwrap();
            disk.cut_power().unwrap();
            let left = disk.list(dir.path()).unwrap();
            let names = left
                .iter()
                .map(|path| path.file_name().unwrap().to_str().unwrap());
            names.collect()
        })
        .collect();
    assert_eq!(ends, ["a", "b", "c"].map(String::from).into());
}

#[test]
fn old_handles_fail_after_the_cut_and_cannot_write() {
    let (dir, disk) = disk(1);
    let path = dir.path().join("a");
    settle(&disk, &path, b"durable");
    let one_life = disk.until_cut();
    let zombie = disk.open(&path).unwrap();
    zombie.write_at(b"zombie", 0).unwrap();
    let map = Map::new(&*zombie, 7).unwrap();
    disk.cut_power().unwrap();
    let left = disk.read(&path).unwrap();
    assert!(zombie.write_at(b"!", 0).is_err());
    assert!(zombie.read_at(&mut [0], 0).is_err());
    assert!(zombie.sync_data().is_err());
    assert!(zombie.set_len(0).is_err());
    assert!(zombie.allocate(9).is_err());
    assert!(zombie.len().is_err());
    assert!(one_life.open(&dir.path().join("b")).is_err());
    assert!(one_life.list(dir.path()).is_err());
    assert_eq!(
        map.bytes(0..7),
        b"zombiee",
        "a map goes on with the old file"
    );
    assert_eq!(disk.read(&path).unwrap(), left);
    assert!(!dir.path().join("b").exists());
}

#[test]
fn the_same_seed_and_calls_leave_the_same() {
    let run = || {
        let (dir, disk) = disk(7);
        for name in ["a", "b", "c"] {
            let file = disk.open(&dir.path().join(name)).unwrap();
            for at in 0..10u8 {
                file.write_at(&[at + 1; 600], u64::from(at) * 500).unwrap();
            }
        }
        disk.cut_power().unwrap();
        let read = |path: &PathBuf| disk.read(path).unwrap();
        disk.list(dir.path())
            .unwrap()
            .iter()
            .map(read)
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn what_another_library_wrote_may_be_lost_until_it_is_synced() {
    let unsynced = outcomes(|_, path| std::fs::write(path, [1; 2000]).unwrap());
    assert!(unsynced.contains(&None));
    assert!(unsynced.contains(&Some(vec![1; 512])), "truncated");
    let synced = outcomes(|disk, path| {
        std::fs::write(path, [1; 2000]).unwrap();
        disk.sync_file(path).unwrap();
        disk.sync_dir(path.parent().unwrap()).unwrap();
    });
    assert_eq!(synced, [Some(vec![1; 2000])].into());
    let appended = outcomes(|disk, path| {
        std::fs::write(path, [1; 10]).unwrap();
        disk.sync_file(path).unwrap();
        disk.sync_dir(path.parent().unwrap()).unwrap();
        std::fs::write(path, [1; 20]).unwrap();
    });
    assert!(appended.contains(&Some(vec![1; 10])) && appended.contains(&Some(vec![1; 20])));
    let replaced = outcomes(|disk, path| {
        settle(disk, path, b"ours");
        let new = path.with_extension("new");
        std::fs::write(&new, b"theirs").unwrap();
        std::fs::rename(&new, path).unwrap();
    });
    let left = [&b"ours"[..], b"theirs", b"", &[0; 6]].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(replaced, left.into());
}

#[test]
fn a_folder_left_alone_is_as_it_was() {
    for seed in 0..50 {
        let (dir, disk) = disk(seed);
        let alone = dir.path().join("alone");
        disk.create_dir_all(&alone).unwrap();
        disk.leave_alone(&alone).unwrap();
        std::fs::write(alone.join("theirs"), b"1").unwrap();
        disk.open(&alone.join("ours"))
            .unwrap()
            .write_at(b"2", 0)
            .unwrap();
        disk.cut_power().unwrap();
        assert_eq!(disk.read(&alone.join("theirs")).unwrap(), b"1");
        assert_eq!(disk.read(&alone.join("ours")).unwrap(), b"2");
    }
}

#[test]
fn a_full_disk_refuses_what_needs_room_and_takes_it_when_there_is_room() {
    let (dir, disk) = disk(1);
    let (path, other) = (dir.path().join("a"), dir.path().join("b"));
    let file = disk.open(&path).unwrap();
    disk.open(&other).unwrap().allocate(500).unwrap();
    file.allocate(100).unwrap();
    disk.set_free(50);
    assert_eq!(disk.free_space(dir.path()).unwrap(), 50);
    file.write_at(&[1; 100], 0).unwrap();
    assert_eq!(
        disk.free_space(dir.path()).unwrap(),
        50,
        "what is allocated costs nothing"
    );
    assert_eq!(
        file.allocate(200).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(file.len().unwrap(), 100);
    file.write_at(&[2; 30], 100).unwrap();
    assert_eq!(
        file.write_at(&[3; 40], 130).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(file.len().unwrap(), 150, "what fits was written");
    assert_eq!(disk.free_space(dir.path()).unwrap(), 0);
    file.set_len(140).unwrap();
    assert_eq!(disk.free_space(dir.path()).unwrap(), 10);
    disk.remove(&other).unwrap();
    assert_eq!(disk.free_space(dir.path()).unwrap(), 510);
    file.write_at(&[3; 40], 130).unwrap();
}

#[test]
fn a_fault_asked_for_happens_once_and_a_failed_write_leaves_a_prefix() {
    let (dir, disk) = disk(1);
    let path = dir.path().join("a");
    let file = disk.open(&path).unwrap();
    disk.fail_next(Op::WriteAt, ErrorKind::StorageFull);
    disk.fail_next(Op::Rename, ErrorKind::PermissionDenied);
    assert_eq!(
        file.write_at(&[1; 64], 0).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert!(file.len().unwrap() <= 64);
    file.write_at(&[2; 64], 0).unwrap();
    let other = dir.path().join("b");
    assert_eq!(
        disk.rename(&path, &other).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    disk.rename(&path, &other).unwrap();
}

#[test]
fn after_a_failed_sync_the_next_success_does_not_bring_the_bytes_back() {
    let outcomes = outcomes(|disk, path| {
        settle(disk, path, b"--");
        let file = disk.open(path).unwrap();
        file.write_at(b"1", 0).unwrap();
        disk.fail_next(Op::Sync, ErrorKind::Other);
        file.sync_data().unwrap_err();
        file.write_at(b"2", 1).unwrap();
        file.sync_data().unwrap();
    });
    assert_eq!(
        outcomes,
        [b"-2", b"12"].map(|bytes| Some(bytes.to_vec())).into()
    );
}

#[test]
fn the_power_fails_in_the_middle_of_a_step() {
    let (dir, disk) = disk(3);
    let path = dir.path().join("a");
    settle(&disk, &path, b"old");
    disk.lose_power_after(2);
    let file = disk.open(&path).unwrap();
    file.write_at(b"new", 0).unwrap();
    assert!(file.sync_data().is_err());
    assert!(disk.read(&path).is_err(), "no call works without power");
    disk.cut_power().unwrap();
    assert!([b"old", b"new"].contains(&&disk.read(&path).unwrap()[..].try_into().unwrap()));
}

#[test]
fn a_path_outside_the_root_is_refused() {
    let (_dir, disk) = disk(1);
    let other = tempfile::tempdir().unwrap();
    let error = disk.open(&other.path().join("a")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[derive(Debug, Clone)]
enum Step {
    Write { offset: u16, len: u16, value: u8 },
    SetLen(u16),
    Allocate(u16),
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4000u16, 1..2000u16, 1..=255u8)
            .prop_map(|(offset, len, value)| Step::Write { offset, len, value }),
        1 => (0..5000u16).prop_map(Step::SetLen),
        1 => (0..5000u16).prop_map(Step::Allocate),
        1 => Just(Step::Sync),
    ]
}

/// What may be in a file after a cut: at each place each value that was there
/// since the last sync. Behind its end a file reads as zeros.
#[derive(Default)]
struct MayBe {
    now: Vec<u8>,
    before: Vec<Vec<u8>>,
}

impl MayBe {
    fn change(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        self.before.push(self.now.clone());
        change(&mut self.now);
    }

    fn assert_allows(&self, left: &[u8]) {
        let states = || self.before.iter().chain([&self.now]);
        if self.before.is_empty() {
            assert!(left == self.now, "a synced file is as it was");
        }
        assert!(left.len() <= states().map(Vec::len).max().unwrap());
        assert!(left.len() >= states().map(Vec::len).min().unwrap());
        for (at, &byte) in left.iter().enumerate() {
            let seen = states().any(|state| state.get(at).copied().unwrap_or(0) == byte);
            assert!(
                seen,
                "at {at} is a {byte} that was not there since the last sync"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_cut_leaves_what_was_synced_and_only_what_was_written(
        seed: u64,
        lives in prop::collection::vec(prop::collection::vec((0..2usize, step()), 0..12), 1..4),
    ) {
        let (dir, disk) = disk(seed);
        let paths = ["a", "b"].map(|name| dir.path().join(name));
        for path in &paths {
            settle(&disk, path, b"");
        }
        let mut models = [MayBe::default(), MayBe::default()];
        for steps in lives {
            let files = paths.each_ref().map(|path| disk.open(path).unwrap());
            for (file, step) in steps {
                let (file, model) = (&files[file], &mut models[file]);
                match step {
                    Step::Write { offset, len, value } => {
                        let bytes = vec![value; usize::from(len)];
                        file.write_at(&bytes, u64::from(offset)).unwrap();
                        let (from, to) = (usize::from(offset), usize::from(offset + len));
                        model.change(|now| {
                            now.resize(now.len().max(to), 0);
                            now[from..to].copy_from_slice(&bytes);
                        });
                    }
                    Step::SetLen(len) => {
                        file.set_len(u64::from(len)).unwrap();
                        model.change(|now| now.resize(usize::from(len), 0));
                    }
                    Step::Allocate(len) => {
                        file.allocate(u64::from(len)).unwrap();
                        model.change(|now| now.resize(now.len().max(usize::from(len)), 0));
                    }
                    Step::Sync => {
                        file.sync_data().unwrap();
                        model.before.clear();
                    }
                }
            }
            disk.cut_power().unwrap();
            for (path, model) in paths.iter().zip(&mut models) {
                let left = disk.read(path).unwrap();
                model.assert_allows(&left);
                *model = MayBe { now: left, before: Vec::new() };
            }
        }
    }

    #[test]
    fn a_cut_leaves_each_name_at_a_file_that_it_had(
        seed: u64,
        steps in prop::collection::vec((0..4u8, 0..5usize, 0..5usize), 0..20),
    ) {
        let (dir, disk) = disk(seed);
        let paths = ["a", "b", "c", "d", "e"].map(|name| dir.path().join(name));
        let mut now: BTreeMap<usize, u8> = BTreeMap::new();
        let mut since_sync = vec![now.clone()];
        for (number, (kind, at, to)) in (1..).zip(steps) {
            match kind {
                0 if !now.contains_key(&at) => {
                    let file = disk.open(&paths[at]).unwrap();
                    file.write_at(&[number], 0).unwrap();
                    file.sync_data().unwrap();
                    now.insert(at, number);
                }
                1 if now.contains_key(&at) && at != to => {
                    disk.rename(&paths[at], &paths[to]).unwrap();
                    let file = now.remove(&at).unwrap();
                    now.insert(to, file);
                }
                2 if now.contains_key(&at) => {
                    disk.remove(&paths[at]).unwrap();
                    now.remove(&at);
                }
                3 => {
                    disk.sync_dir(dir.path()).unwrap();
                    since_sync.clear();
                }
                _ => {}
            }
            since_sync.push(now.clone());
        }
        disk.cut_power().unwrap();
        let mut seen = BTreeSet::new();
        for (at, path) in paths.iter().enumerate() {
            let left = path.exists().then(|| disk.read(path).unwrap()[0]);
            let had = since_sync.iter().any(|names| names.get(&at).copied() == left);
            prop_assert!(had, "{at} is {left:?}: {since_sync:?}");
            prop_assert!(left.is_none_or(|file| seen.insert(file)), "one file, two names");
        }
        // A file that was there all the time is still there, under some name.
        for (_, file) in since_sync.iter().flatten() {
            let always = since_sync.iter().all(|names| names.values().any(|other| other == file));
            prop_assert!(!always || seen.contains(file), "{file} is gone: {since_sync:?}");
        }
    }
}

/// What is in `old/a` and `new/a` after a folder was renamed and the power cut.
fn after_a_folder_was_renamed(is_synced: bool) -> BTreeSet<[Option<Vec<u8>>; 2]> {
    let outcome = |seed| {
        let (dir, disk) = disk(seed);
        let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
        disk.create_dir_all(&old).unwrap();
        settle(&disk, &old.join("a"), b"durable");
        disk.rename(&old, &new).unwrap();
        if is_synced {
            disk.sync_dir(dir.path()).unwrap();
        }
        let in_old = after_cut(&disk, &old.join("a"));
        [in_old, disk.read(&new.join("a")).ok()]
    };
    (0..50).map(outcome).collect()
}

#[test]
fn a_folder_has_its_old_name_or_its_new_one_and_the_new_one_once_that_is_synced() {
    let there = || Some(b"durable".to_vec());
    let (old, new) = ([there(), None], [None, there()]);
    assert_eq!(after_a_folder_was_renamed(true), [new.clone()].into());
    assert_eq!(after_a_folder_was_renamed(false), [old, new].into());
}

#[test]
fn what_was_not_synced_in_a_folder_may_be_lost_after_it_was_renamed_too() {
    let outcomes: BTreeSet<_> = (0..50)
        .map(|seed| {
            let (dir, disk) = disk(seed);
            let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
            disk.create_dir_all(&old).unwrap();
            let file = disk.open(&old.join("a")).unwrap();
            file.write_at(b"1", 0).unwrap();
            file.sync_data().unwrap();
            disk.rename(&old, &new).unwrap();
            disk.sync_dir(dir.path()).unwrap();
            after_cut(&disk, &new.join("a"))
        })
        .collect();
    assert_eq!(outcomes, [None, Some(b"1".to_vec())].into());
}

#[test]
fn a_removed_folder_gives_its_room_back() {
    let (dir, disk) = disk(1);
    let folder = dir.path().join("folder");
    disk.create_dir_all(&folder).unwrap();
    settle(&disk, &folder.join("a"), &[1; 1000]);
    disk.set_free(0);
    disk.remove_dir_all(&folder).unwrap();
    assert_eq!(disk.free_space(dir.path()).unwrap(), 1000);
    disk.cut_power().unwrap();
    assert!(disk.list(dir.path()).unwrap().is_empty());
}
