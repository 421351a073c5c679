//! `kill -9` at random moments: in the midst of writes, while the server
//! starts, and while it stops. After each, all that was acknowledged is there
//! and none of it undone, counts and digests are right, and each point is
//! found by its own vector.
//!
//! `QUOIT_CHAOS_KILLS` says how often (20), `QUOIT_CHAOS_SEED` repeats the
//! moments and the writes of a former run as far as threads allow.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod digest;
mod model;
mod writer;

use model::{Model, WRITERS};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use support::{Server, collection_dir};

const COLLECTION: &str = "
apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
metadata: {name: docs}
spec:
  {dimension: 16, metric: Euclid, shards: 3, ring: {vnodes: 64}, payloadIndexes: [{field: stamp, type: integer}]}
";

/// Checkpoints every few writes, and a log of many small files, so that kills
/// fall into both, and into what is done between them.
const OFTEN: [&str; 6] = [
    "--checkpoint-bytes",
    "6000",
    "--checkpoint-seconds",
    "1",
    "--log-segment-bytes",
    "20000",
];

/// When the server is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Writing,
    Starting,
    Stopping,
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let kills: u32 = from_environment("QUOIT_CHAOS_KILLS").unwrap_or(20);
    let seed: u64 = from_environment("QUOIT_CHAOS_SEED").unwrap_or_else(|| rand::rng().random());
    println!("{kills} kills; QUOIT_CHAOS_SEED={seed} repeats them");
    let begun = Instant::now();
    let mut random = StdRng::seed_from_u64(seed);
    let folder = support::data_dir();
    let file = folder.path().join("docs.yaml");
    std::fs::write(&file, COLLECTION).unwrap();
    let data = folder.path().join("data");
    let mut args = vec!["-f", file.to_str().unwrap()];
    args.extend(OFTEN);

    let mut models: Vec<Model> = (0..WRITERS).map(Model::new).collect();
    let mut server = Server::start(&data, &args);
    let mut checkpoints = Checkpoints::default();
    for kill in 1..=kills {
        let moment = match random.random_range(0..10) {
            0 => Moment::Starting,
            1 | 2 => Moment::Stopping,
            _ => Moment::Writing,
        };
        let (before, delay) = (acknowledged(&models), random.random_range(0..600));
        models = write_until_killed(server, models, moment, delay, &mut random);
        if let Moment::Starting = moment {
            // The second one finds the work of a start half done.
            let starting = Server::spawn(&data, &args);
            sleep(Duration::from_millis(delay / 4));
            starting.kill();
        }
        checkpoints.note(&data);
        digest::check(&data, random.random_range(0..3));
        server = Server::start(&data, &args);
        let points = audit::check(&mut server.client(), &mut models);
        let written = acknowledged(&models) - before;
        println!(
            "kill {kill}: {moment:?} after {delay} ms, {written} changes acknowledged, {points} points"
        );
    }
    server.stop();
    digest::check_all(&data);
    println!(
        "{} changes acknowledged, {} of unknown outcome, {} checkpoints seen, log files removed: {}, {:?}",
        acknowledged(&models),
        models.iter().map(|m| m.unknown).sum::<u64>(),
        checkpoints.seen,
        checkpoints.log_was_cut,
        begun.elapsed(),
    );
    // A run that came to none of this has shown nothing.
    assert!(
        acknowledged(&models) > u64::from(kills),
        "hardly anything was written"
    );
    assert!(checkpoints.seen > 0, "no checkpoint was made");
    assert!(
        kills < 20 || checkpoints.log_was_cut,
        "the log was never cut"
    );
}

/// Lets the writers write until the server is dead.
fn write_until_killed(
    server: Server,
    models: Vec<Model>,
    moment: Moment,
    delay: u64,
    random: &mut StdRng,
) -> Vec<Model> {
    let stopping = AtomicBool::new(false);
    let short = Duration::from_millis(random.random_range(0..80));
    let seeds: Vec<u64> = models.iter().map(|_| random.random()).collect();
    std::thread::scope(|scope| {
        let stopping = &stopping;
        let writers = models.into_iter().zip(seeds).map(|(model, seed)| {
            let client = server.client();
            scope.spawn(move || writer::write(client, model, seed, stopping))
        });
        let writers: Vec<_> = writers.collect();
        // The moment is random: there is no state to wait for.
        sleep(Duration::from_millis(delay));
        if let Moment::Stopping = moment {
            stopping.store(true, Ordering::SeqCst);
            server.terminate();
            sleep(short);
        }
        server.kill();
        writers.into_iter().map(|w| w.join().unwrap()).collect()
    })
}

fn acknowledged(models: &[Model]) -> u64 {
    models.iter().map(|m| m.acknowledged).sum()
}

/// What was seen of checkpoints from outside.
#[derive(Default)]
struct Checkpoints {
    manifest: Vec<u8>,
    seen: u32,
    log_was_cut: bool,
}

impl Checkpoints {
    fn note(&mut self, data: &Path) {
        let shard = collection_dir(data, "docs").join("shards/0");
        // None is there before the first checkpoint.
        let manifest = std::fs::read(shard.join("data/manifest")).unwrap_or_default();
        if manifest != self.manifest {
            self.seen += 1;
            self.manifest = manifest;
        }
        // The first file of the log is the one with the least name.
        let files = std::fs::read_dir(shard.join("log")).unwrap();
        let first = files.map(|f| f.unwrap().file_name()).min();
        let number = first.and_then(|f| f.to_string_lossy().split('.').next()?.parse::<u64>().ok());
        self.log_was_cut |= number.is_some_and(|n| n > 1);
    }
}

fn from_environment<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|e| panic!("{name}={text}: {e}")),
    )
}
