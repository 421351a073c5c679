//! The power cut at any moment, thousands of times: what was acknowledged is
//! there, a call under way took place or did not, and nothing else is there.
//! Between cuts the process is killed, the disk is full, syncs fail.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::model::{Call, Model};
use super::*;

/// Runs a log through a few lives. An error is a promise broken.
fn run(seed: u64, forget_sync: bool) -> Result<(), String> {
    let dir = scratch();
    let disk = SimDisk::new(dir.path().to_owned(), seed).unwrap();
    disk.forget_sync(forget_sync);
    let mut rng = StdRng::seed_from_u64(seed);
    let options = LogOptions {
        identity: 9,
        segment_bytes: rng.random_range(200..4000),
        preallocate_bytes: if rng.random() {
            0
        } else {
            rng.random_range(1..2000)
        },
        salt: rng.random(),
    };
    // What the log may hold: one, or two if the last call's outcome is open.
    let mut models = vec![Model::new()];
    let mut unique = 0;
    for _ in 0..6 {
        disk.lose_power_after(rng.random_range(0..60));
        match open_with(&disk, dir.path(), options) {
            Ok(opened) => {
                models = vec![the_one_that_is_there(models, &opened.reader)?];
                live(&disk, opened.writer, &mut models, &mut rng, &mut unique)?;
            }
            Err(
                error @ (LogError::Damaged { .. }
                | LogError::SegmentMissing { .. }
                | LogError::Newer { .. }),
            ) => return Err(error.to_string()),
            // The power went before the log was open.
            Err(_) => {}
        }
        // Killed only, or the power cut: what was found must survive that too.
        if rng.random_range(0..3) > 0 || disk.list(dir.path()).is_err() {
            disk.set_free(u64::MAX);
            disk.cut_power().unwrap();
        }
    }
    disk.cut_power().unwrap();
    let opened = open_with(&disk, dir.path(), options).map_err(|error| error.to_string())?;
    the_one_that_is_there(models, &opened.reader).map(drop)
}

fn the_one_that_is_there(models: Vec<Model>, reader: &LogReader) -> Result<Model, String> {
    let mut differences = Vec::new();
    for model in models.into_iter().rev() {
        match model.check(reader) {
            Ok(()) => return Ok(model),
            Err(difference) => differences.push(difference),
        }
    }
    Err(differences.join("; "))
}

/// Makes calls until the log takes no more.
fn live(
    disk: &SimDisk,
    mut log: LogWriter,
    models: &mut Vec<Model>,
    rng: &mut StdRng,
    unique: &mut u64,
) -> Result<(), String> {
    for _ in 0..rng.random_range(0..25) {
        match rng.random_range(0..60) {
            0 => disk.fail_next(Op::Sync, ErrorKind::Other),
            1 => disk.fail_next(Op::WriteAt, ErrorKind::Other),
            2 => disk.fail_next(Op::Remove, ErrorKind::Other),
            3 => disk.fail_next(Op::SyncDir, ErrorKind::Other),
            4 => disk.set_free(rng.random_range(0..3000)),
            5 => disk.set_free(u64::MAX),
            _ => {}
        }
        *unique += 1;
        let model = models[0].clone();
        let call = Call::draw(rng);
        match model.call(&mut log, &call, *unique) {
            // Refused for good: nothing of it may turn up.
            (_, Err(error)) if error.had_no_effect() => {
                if matches!(error, LogError::Poisoned { .. }) {
                    return Ok(());
                }
            }
            // A removal may be done in part; the rest of the log goes on.
            (then, Ok(()) | Err(LogError::Remove { .. })) => *models = vec![then],
            (then, Err(_)) => {
                *models = vec![model, then];
                return Ok(());
            }
        }
        models[0].check(&log.reader()).or_else(|difference| {
            // Without power nothing can be read; what is there is seen later.
            if disk.list(Path::new("/")).is_err() {
                Ok(())
            } else {
                Err(difference)
            }
        })?;
    }
    Ok(())
}

#[test]
fn what_is_acknowledged_survives_any_power_cut_and_nothing_else_turns_up() {
    for seed in 0..3000 {
        if let Err(broken) = run(seed, false) {
            panic!("seed {seed}: {broken}");
        }
    }
}

#[test]
fn with_the_fdatasync_taken_out_the_test_above_finds_a_loss() {
    let lost = (0..200).filter(|&seed| run(seed, true).is_err()).count();
    assert!(
        lost > 20,
        "only {lost} of 200 runs found that nothing was synced"
    );
}

#[test]
fn a_group_that_a_full_disk_refused_does_not_turn_up_after_a_cut() {
    for seed in 0..300 {
        let dir = scratch();
        let disk = SimDisk::new(dir.path().to_owned(), seed).unwrap();
        let options = LogOptions {
            preallocate_bytes: 0,
            ..SMALL
        };
        let mut log = open_with(&disk, dir.path(), options).unwrap().writer;
        log.append_group(&entries(1..3)).unwrap();
        disk.set_free(seed % 200);
        let group = [entry(3, 1, &[3; 150])];
        let refused = log.append_group(&group).is_err();
        disk.cut_power().unwrap();
        let log = open_with(&disk, dir.path(), options).unwrap();
        assert_eq!(
            log.writer.torn_tail(),
            None,
            "its remains were cut off durably"
        );
        assert_eq!(log.reader.next_index(), if refused { 3 } else { 4 });
    }
}
