//! A snapshot that is damaged, out of order, another's or too large is refused, each
//! time with its own error, and what is there stays as it is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_disk::{Disk, RealDisk, SimDisk, sim::Op};
use quoit_engine::{
    Chunk, Engine, Export, Identity, Install, Metric, Place, SaveGraph, SnapshotError, adopt,
    incoming,
};
use quoit_ring::Vnode;
use rand::prelude::*;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use support::snapshot::{begin, install};
use support::{Rig, files, params, random, tuning, vnodes};

/// The number of the part that has the vectors: those of rows come before it.
const VECTORS: u32 = 5;

/// So many parts there are: rows, vectors, graph, slots, columns.
const PARTS: u32 = VECTORS + 4;

/// A replica of all sorts of parts.
fn source() -> (Rig, Export) {
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0, 1]));
    let mut rng = StdRng::seed_from_u64(4);
    for _ in 0..60 {
        for entry in rig.random(&mut rng, 60, 1) {
            rig.apply(entry);
        }
    }
    let vectors = random::clustered(&mut rng, 1200, 4);
    rig.apply(random::upserts(Vnode(0), 1000, &vectors));
    rig.index_all();
    rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    let export = rig.engine().export(17, 0).unwrap();
    (rig, export)
}

struct Target {
    dir: tempfile::TempDir,
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

fn target() -> Target {
    let dir = tempfile::tempdir().unwrap();
    Target {
        path: dir.path().join("replica"),
        disk: Arc::new(RealDisk),
        dir,
    }
}

fn started(rig: &Rig, export: &Export, target: &Target) -> Install {
    begin(&target.disk, &target.path, &rig.params, export.manifest()).unwrap()
}

fn next(export: &Export, install: &Install, max: usize) -> Chunk {
    export.read(install.wants().unwrap(), max).unwrap()
}

#[test]
fn a_flipped_bit_anywhere_in_a_chunk_is_refused_and_the_chunk_is_taken_when_it_comes_again() {
    let (rig, export) = source();
    let target = target();
    let mut install = started(&rig, &export, &target);
    let mut rng = StdRng::seed_from_u64(5);
    while install.wants().is_some() {
        let whole = next(&export, &install, 3000);
        let mut damaged = vec![whole.clone(); 6];
        let byte = rng.random_range(0..whole.bytes.len());
        damaged[0].bytes[byte] ^= 1 << rng.random_range(0..8);
        damaged[1].bytes.pop();
        damaged[2].bytes.push(0);
        damaged[3].hash ^= 1;
        damaged[4].at.offset += 1;
        damaged[5].at.part += 1;
        for chunk in damaged {
            let refused = install.put(&chunk).unwrap_err();
            assert!(
                matches!(refused, SnapshotError::DamagedChunk(_)),
                "{refused}"
            );
            assert!(refused.is_passing());
        }
        assert_eq!(install.wants(), Some(whole.at));
        install.put(&whole).unwrap();
    }
    install.finish().unwrap();
    adopt(&*target.disk, &target.path).unwrap();
    let log = rig.log.clone();
    Rig::found(
        target.disk,
        target.dir,
        rig.params.clone(),
        log,
        rig.model.clone(),
    )
    .check();
}

#[test]
fn a_chunk_that_is_dropped_swapped_or_repeated_is_out_of_order() {
    let (rig, export) = source();
    let target = target();
    let mut install = started(&rig, &export, &target);
    while install.wants().is_some() {
        let first = next(&export, &install, 3000);
        let after = Place {
            offset: first.at.offset + first.bytes.len() as u64,
            ..first.at
        };
        let next_part = Place {
            part: first.at.part + 1,
            offset: 0,
        };
        for later in [after, next_part] {
            let Ok(later) = export.read(later, 3000) else {
                continue;
            };
            let refused = install.put(&later).unwrap_err();
            let SnapshotError::OutOfOrder { wanted, got } = refused else {
                panic!("{refused}");
            };
            assert_eq!((wanted, got), (first.at, later.at));
        }
        install.put(&first).unwrap();
        let refused = install.put(&first).unwrap_err();
        assert!(matches!(refused, SnapshotError::OutOfOrder { .. }));
        assert!(refused.is_passing());
    }
    install.finish().unwrap();
}

#[test]
fn a_chunk_of_another_export_is_refused_even_with_the_same_number() {
    let (rig, export) = source();
    let target = target();
    let mut install = started(&rig, &export, &target);
    let other = rig.engine().export(18, 0).unwrap();
    let at = install.wants().unwrap();
    let refused = install.put(&other.read(at, 3000).unwrap()).unwrap_err();
    let SnapshotError::AnotherExport { wanted, got } = refused else {
        panic!("{refused}");
    };
    assert_eq!((wanted, got), (17, 18));
    rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    let mut rig = rig;
    rig.apply(random::deletes(Vnode(0), 1000..1001));
    let twin = rig.engine().export(17, 0).unwrap();
    let refused = install.put(&twin.read(at, 3000).unwrap()).unwrap_err();
    assert!(
        matches!(refused, SnapshotError::DamagedChunk(_)),
        "{refused}"
    );
    assert_eq!(install.wants(), Some(at));
}

#[test]
fn a_manifest_that_is_cut_or_changed_is_refused_before_anything_is_written() {
    let (rig, export) = source();
    let target = target();
    let whole = export.manifest();
    let mut cut_or_changed: Vec<Vec<u8>> = Vec::new();
    for at in (0..whole.len() - 1).step_by(11) {
        cut_or_changed.push(whole[..at].to_vec());
        let mut changed = whole.to_vec();
        changed[at] ^= 1;
        cut_or_changed.push(changed);
    }
    for manifest in cut_or_changed {
        let refused = begin(&target.disk, &target.path, &rig.params, &manifest);
        let refused = refused.map(drop).unwrap_err();
        assert!(matches!(refused, SnapshotError::Manifest(_)), "{refused}");
    }
    assert!(files(target.dir.path()).is_empty());
}

#[test]
fn a_manifest_of_another_group_or_collection_is_foreign() {
    let (rig, export) = source();
    let target = target();
    let others = [
        (Identity(8), rig.params.clone()),
        (Identity(7), params(Metric::Dot, 5)),
        (Identity(7), params(Metric::Euclid, 4)),
    ];
    for (identity, params) in others {
        let refused = Install::begin(
            target.disk.clone(),
            &target.path,
            identity,
            &params,
            tuning(),
            export.manifest(),
            0,
        );
        let refused = refused.map(drop).unwrap_err();
        assert!(matches!(refused, SnapshotError::Foreign(_)), "{refused}");
    }
    assert!(files(target.dir.path()).is_empty());
}

/// The manifest with something else in it, and a right checksum.
fn forged(export: &Export, from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(export.manifest()).unwrap();
    let (json, _) = text.split_once('\n').unwrap();
    assert!(json.contains(from), "{json}");
    let json = json.replacen(from, to, 1);
    let hash = xxhash_rust::xxh3::xxh3_64(json.as_bytes());
    format!("{json}\n{hash:016x}\n").into_bytes()
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    let (rig, export) = source();
    let target = target();
    for (from, to) in [
        (r#"{"Rows":"ids"}"#, r#"{"Rows":"../../ids"}"#),
        (r#"{"Rows":"ids"}"#, r#"{"Rows":"feed"}"#),
        (r#"{"Graph":0}"#, r#"{"Graph":1}"#),
        (r#""segments":[0]"#, r#""segments":[]"#),
        (r#""segments":[0]"#, r#""segments":[1,0]"#),
        (r#""segments":[0]"#, r#""segments":[4294967295]"#),
        (r#""graph_hash":"#, r#""graph_hash":1"#),
        (
            r#""kind":"Vectors","bytes":"#,
            r#""kind":"Vectors","bytes":1"#,
        ),
    ] {
        let manifest = forged(&export, from, to);
        let refused = begin(&target.disk, &target.path, &rig.params, &manifest);
        let refused = refused.map(drop).unwrap_err();
        assert!(
            matches!(refused, SnapshotError::Manifest(_)),
            "{to}: {refused}"
        );
    }
    assert!(files(target.dir.path()).is_empty());
}

#[test]
fn an_install_that_is_not_whole_cannot_be_finished_or_adopted() {
    let (rig, export) = source();
    let target = target();
    let refused = adopt(&*target.disk, &target.path).unwrap_err();
    assert!(
        matches!(refused, SnapshotError::NotThere { .. }),
        "{refused}"
    );
    let mut places = 0;
    loop {
        let mut install = started(&rig, &export, &target);
        for _ in 0..places {
            if install.wants().is_some() {
                install.put(&next(&export, &install, 40_000)).unwrap();
            }
        }
        let Some(wanted) = install.wants() else {
            break;
        };
        places += 3;
        let refused = install.finish().unwrap_err();
        let SnapshotError::NotWhole(at) = refused else {
            panic!("{refused}");
        };
        assert_eq!(at, wanted);
        let refused = adopt(&*target.disk, &target.path).unwrap_err();
        assert!(
            matches!(refused, SnapshotError::NotThere { .. }),
            "{refused}"
        );
    }
    assert!(places > 9);
}

#[test]
fn places_that_a_snapshot_lacks_are_none() {
    let (_rig, export) = source();
    let mut part = 0;
    while let Ok(first) = export.read(Place { part, offset: 0 }, 1 << 20) {
        let mut offset = first.bytes.len() as u64;
        while let Ok(chunk) = export.read(Place { part, offset }, usize::MAX) {
            offset += chunk.bytes.len() as u64;
        }
        part += 1;
    }
    assert_eq!(part, PARTS);
    let refused = export.read(Place { part, offset: 0 }, 1).unwrap_err();
    assert!(
        matches!(refused, SnapshotError::NoSuchPlace(_)),
        "{refused}"
    );
}

#[test]
fn a_snapshot_that_is_too_large_is_refused_before_anything_is_written() {
    let (rig, export) = source();
    let dir = tempfile::tempdir().unwrap();
    let disk = SimDisk::new(dir.path().to_owned(), 1).unwrap();
    let path = dir.path().join("replica");
    disk.leave_alone(&incoming(&path).join("rows")).unwrap();
    let refused = |free, spare| {
        disk.set_free(free);
        let begun = Install::begin(
            Arc::new(disk.clone()),
            &path,
            Identity(7),
            &rig.params,
            tuning(),
            export.manifest(),
            spare,
        );
        match begun {
            Ok(_) => None,
            Err(error) => {
                assert!(error.is_disk_full(), "{error}");
                assert!(files(dir.path()).is_empty());
                let SnapshotError::NoRoom { needed, free: was } = error else {
                    panic!("{error}");
                };
                assert_eq!(was, free);
                Some(needed)
            }
        }
    };
    let needed = refused(1000, 0).unwrap();
    assert!(needed > export.bytes());
    assert_eq!(refused(needed - 1, 0), Some(needed));
    assert_eq!(refused(needed, 5), Some(needed + 5));
    assert_eq!(refused(needed, 0), None);
    // What was left there by one that ended is no room that is missing.
    assert_eq!(refused(needed + 5, 5), None);
}

#[test]
fn a_disk_that_fills_meanwhile_ends_the_install_and_nothing_else() {
    let (rig, export) = source();
    let dir = tempfile::tempdir().unwrap();
    let sim = SimDisk::new(dir.path().to_owned(), 1).unwrap();
    let path = dir.path().join("replica");
    for folder in [path.clone(), incoming(&path)] {
        sim.leave_alone(&folder.join("rows")).unwrap();
    }
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let mut live = Rig::on(disk.clone(), dir, rig.params.clone(), &vnodes([0]));
    live.apply(random::upserts(Vnode(0), 5, &[vec![1.0; 4]]));
    let mut coming = begin(&disk, &path, &rig.params, export.manifest()).unwrap();
    sim.fail_next(Op::WriteAt, ErrorKind::StorageFull);
    let refused = loop {
        if let Err(error) = coming.put(&next(&export, &coming, 50_000)) {
            break error;
        }
    };
    assert!(refused.is_disk_full(), "{refused}");
    let refused = coming.put(&next(&export, &coming, 50_000)).unwrap_err();
    assert!(matches!(refused, SnapshotError::Broken), "{refused}");
    assert!(matches!(coming.finish(), Err(SnapshotError::Broken)));
    live.check();
    live.reopen();
    live.check();
    live.close();
    install(&export, &disk, &path, &rig.params).unwrap();
    live.log.clone_from(&rig.log);
    live.model = rig.model.clone();
    live.open().unwrap();
    live.check();
}

#[test]
fn an_export_that_finds_no_room_for_the_rows_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SimDisk::new(dir.path().to_owned(), 1).unwrap();
    disk.leave_alone(&dir.path().join("replica/rows")).unwrap();
    let life: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut rig = Rig::on(life, dir, params(Metric::Dot, 4), &vnodes([0]));
    let vectors = random::clustered(&mut StdRng::seed_from_u64(1), 1000, 4);
    rig.apply(random::upserts(Vnode(0), 0, &vectors));
    let before = files(&rig.path());
    for (free, spare) in [(30_000, 0), (1_000_000, 999_000), (1000, 1001)] {
        disk.set_free(free);
        let refused = rig.engine().export(1, spare).map(drop).unwrap_err();
        assert!(
            matches!(&refused, SnapshotError::NoRoom { .. }),
            "{refused}"
        );
        assert_eq!(files(&rig.path()), before);
    }
    rig.check();
    disk.set_free(u64::MAX);
    rig.engine().export(1, 0).unwrap();
}

#[test]
fn a_replica_is_not_replaced_while_a_view_keeps_its_rows_open() {
    let (mut rig, export) = source();
    let mut live = Rig::new(rig.params.clone(), &vnodes([0]));
    let view = live.view();
    live.close();
    let refused = install(&export, &live.disk, &live.path(), &live.params).unwrap_err();
    assert!(
        matches!(refused, SnapshotError::StillOpen { .. }),
        "{refused}"
    );
    assert_eq!(view.points(), 0);
    drop(view);
    adopt(&*live.disk, &live.path()).unwrap();
    live.log = std::mem::take(&mut rig.log);
    live.model = rig.model.clone();
    live.open().unwrap();
    live.check();
}

#[test]
fn an_install_that_is_on_its_way_is_not_begun_a_second_time() {
    let (rig, export) = source();
    let target = target();
    let mut first = started(&rig, &export, &target);
    let second = begin(&target.disk, &target.path, &rig.params, export.manifest());
    let refused = second.map(drop).unwrap_err();
    assert!(
        matches!(refused, SnapshotError::StillOpen { .. }),
        "{refused}"
    );
    while first.wants().is_some() {
        first.put(&next(&export, &first, 1 << 20)).unwrap();
    }
    first.finish().unwrap();
}

#[test]
fn what_an_install_or_an_export_left_that_was_killed_goes_when_the_replica_is_opened() {
    let (rig, export) = source();
    let mut live = Rig::new(rig.params.clone(), &vnodes([0]));
    let mut begun = begin(&live.disk, &live.path(), &live.params, export.manifest()).unwrap();
    begun.put(&next(&export, &begun, 1000)).unwrap();
    drop(begun);
    std::fs::write(live.path().join("0000000000000001.ids.export"), "rows").unwrap();
    assert_eq!(files(live.dir.path()).len(), 2);
    live.reopen();
    live.check();
    assert_eq!(files(live.dir.path()), [live.path()]);
    let names = files(&live.path());
    assert!(
        !names
            .iter()
            .any(|p| p.extension().is_some_and(|e| e == "export"))
    );
    // Whole, and not adopted: nobody was told of it.
    let mut whole = begin(&live.disk, &live.path(), &live.params, export.manifest()).unwrap();
    while whole.wants().is_some() {
        whole.put(&next(&export, &whole, 1 << 20)).unwrap();
    }
    whole.finish().unwrap();
    live.reopen();
    live.check();
    assert_eq!(files(live.dir.path()), [live.path()]);
}

#[test]
fn a_crash_of_the_first_install_of_a_new_replica_leaves_an_empty_one() {
    let (rig, export) = source();
    let target = target();
    let mut begun = started(&rig, &export, &target);
    while begun.wants().is_some_and(|at| at.part < PARTS - 1) {
        begun.put(&next(&export, &begun, 1 << 20)).unwrap();
    }
    drop(begun);
    let engine = support::open(&target.disk, &target.path, &rig.params, rig.tuning).unwrap();
    assert_eq!((engine.applied(), engine.view().points()), (0, 0));
    assert_eq!(files(target.dir.path()), [target.path]);
}

#[test]
fn a_replica_that_was_put_away_and_replaced_by_none_comes_back() {
    let mut live = source().0;
    live.close();
    let away = live.dir.path().join("replica.old");
    for is_folder_made in [false, true] {
        std::fs::rename(live.path(), &away).unwrap();
        if is_folder_made {
            std::fs::create_dir(live.path()).unwrap();
        }
        live.open().unwrap();
        assert!(live.engine().replay_from() > 1);
        live.check();
        live.close();
    }
}

#[test]
fn an_install_goes_on_while_the_live_replica_is_opened_anew() {
    let (rig, export) = source();
    let mut live = Rig::new(rig.params.clone(), &vnodes([0]));
    let mut coming = begin(&live.disk, &live.path(), &live.params, export.manifest()).unwrap();
    while coming.wants().is_some() {
        live.reopen();
        coming.put(&next(&export, &coming, 100_000)).unwrap();
    }
    coming.finish().unwrap();
    live.close();
    adopt(&*live.disk, &live.path()).unwrap();
    (live.log, live.model) = (rig.log.clone(), rig.model.clone());
    live.open().unwrap();
    live.check();
}

/// A chunk as one would send it who errs: its checksum fits.
fn fitting(manifest: &[u8], chunk: &mut Chunk) {
    let seed = xxhash_rust::xxh3::xxh3_64(manifest);
    let mut hasher = xxhash_rust::xxh3::Xxh3::with_seed(seed);
    hasher.update(&chunk.at.part.to_le_bytes());
    hasher.update(&chunk.at.offset.to_le_bytes());
    hasher.update(&chunk.bytes);
    chunk.hash = hasher.digest();
}

/// Installs what comes, and says why it could not.
fn refused(
    rig: &Rig,
    export: &Export,
    manifest: &[u8],
    mut change: impl FnMut(&mut Chunk),
) -> SnapshotError {
    let target = target();
    let mut install = begin(&target.disk, &target.path, &rig.params, manifest).unwrap();
    while install.wants().is_some() {
        let mut chunk = next(export, &install, 1 << 20);
        change(&mut chunk);
        fitting(manifest, &mut chunk);
        if let Err(error) = install.put(&chunk) {
            assert!(!error.is_passing(), "{error}");
            return error;
        }
    }
    install.finish().unwrap_err()
}

#[test]
fn parts_that_are_not_what_the_manifest_says_are_refused_though_their_chunks_are_whole() {
    let (rig, export) = source();
    let manifest = export.manifest();
    for part in 0..PARTS {
        let error = refused(&rig, &export, manifest, |chunk| {
            if chunk.at.part == part {
                let middle = chunk.bytes.len() / 2;
                chunk.bytes[middle] ^= 1;
            }
        });
        match error {
            SnapshotError::DamagedPart { part: found, .. } => assert_eq!(found, part),
            SnapshotError::Engine(quoit_engine::Error::Damaged { .. }) => assert_eq!(part, VECTORS),
            other => panic!("{other}"),
        }
        let longer = refused(&rig, &export, manifest, |chunk| {
            if chunk.at.part == part {
                chunk.bytes.push(0);
            }
        });
        assert!(matches!(longer, SnapshotError::DamagedPart { part: p, .. } if p == part));
    }
    // Slots twice, and one of a segment that there is not.
    for slot in [0_u32, 8192] {
        let error = refused(&rig, &export, manifest, |chunk| {
            if chunk.at.part == VECTORS {
                chunk.bytes[56..60].copy_from_slice(&slot.to_le_bytes());
            }
        });
        assert!(
            matches!(error, SnapshotError::DamagedPart { part: VECTORS, .. }),
            "{error}"
        );
    }
}

#[test]
fn rows_of_another_moment_than_the_manifests_are_refused() {
    let (rig, export) = source();
    let (is, other) = (rig.log.len(), rig.log.len() + 1);
    let [from, to] = [is, other].map(|index| format!("\"applied\":{index}"));
    let manifest = forged(&export, &from, &to);
    let error = refused(&rig, &export, &manifest, |_| ());
    assert!(
        matches!(error, SnapshotError::DamagedPart { .. }),
        "{error}"
    );
}

#[test]
fn a_damaged_slot_is_not_given_away() {
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    let vectors = random::clustered(&mut StdRng::seed_from_u64(1), 100, 4);
    rig.apply(random::upserts(Vnode(0), 0, &vectors));
    rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    rig.close();
    let path = &rig.segment_files()[0];
    let mut bytes = std::fs::read(path).unwrap();
    bytes[17 * 52 + 3] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let engine = open_engine(&rig);
    let export = engine.export(1, 0).unwrap();
    let vectors = Place {
        part: VECTORS,
        offset: 0,
    };
    export.read(vectors, 17 * 56).unwrap();
    let error = export.read(vectors, 17 * 56 + 1).unwrap_err();
    assert!(matches!(
        error,
        SnapshotError::Engine(quoit_engine::Error::Damaged { .. })
    ));
}

fn open_engine(rig: &Rig) -> Engine {
    support::open(&rig.disk, &rig.path(), &rig.params, rig.tuning).unwrap()
}
