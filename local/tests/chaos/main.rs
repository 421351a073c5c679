//! Three shards of three replicas as processes, whatever fails of them: what was
//! acknowledged is there, nothing refused ever shows, reads of a point are
//! linearizable, searches and counts of what rests are whole, and all replicas of
//! a shard have the same.
//!
//! `QUOIT_CHAOS_FAULTS` says how many faults (20), `QUOIT_CHAOS_SEED` which.
//! The programs are taken from beside `quoit`: `cargo build --workspace --bins`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod api;
mod disks;
mod plan;
mod stage;

use plan::{Fault, Step, plan};
use quoit_checker::{Mix, Options, Verdict, prove, start};
use rand::SeedableRng;
use rand::rngs::StdRng;
use stage::Stage;
use std::thread::sleep;
use std::time::Duration;

const SHARDS: u32 = 3;

fn number(name: &str, usual: u64) -> u64 {
    let Ok(text) = std::env::var(name) else {
        return usual;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("{name}: {text:?} is no number"))
}

fn options(endpoint: &str, seed: u64) -> Options {
    Options {
        endpoints: vec![endpoint.to_owned()],
        collection: "docs".to_owned(),
        create: None,
        clear: false,
        seed,
        clients: 6,
        keys: 48,
        rest: 600,
        mix: Mix::default(),
        // Two cores are to be left for the system.
        pace: Duration::from_millis(40),
        timeout: Duration::from_secs(15),
        patience: Duration::from_mins(3),
        record: std::env::var_os("QUOIT_CHAOS_RECORD").map(Into::into),
    }
}

/// Brings all faults, and waits until all is well at the end.
fn bring(stage: &Stage, steps: &[Step], seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    for (
        number,
        Step {
            fault,
            after,
            settles,
        },
    ) in steps.iter().enumerate()
    {
        sleep(*after);
        let name = stage.name_of(fault.whom());
        // The fault before may have ended it: it starts again in a moment.
        stage.runs(&name);
        eprintln!("{}/{}: {fault:?} on {name}", number + 1, steps.len());
        match fault {
            Fault::Kill(_) => {
                stage.play(&["kill", &name]);
            }
            Fault::Pause(_, time) => {
                stage.play(&["pause", &name]);
                sleep(*time);
                stage.play(&["resume", &name]);
            }
            Fault::Cut(_, way, time) => {
                stage.cut(&name, *way);
                sleep(*time);
                stage.play(&["heal"]);
            }
            Fault::Fill(_, room, time) => stage.fill(&name, *room, *time),
            Fault::Slow(_, sync, time) => stage.slow(&name, *sync, *time),
            Fault::Wipe(_) => {
                // What is not well may be the only one that has what this one has.
                stage.settle();
                stage.play(&["wipe", &name]);
            }
            Fault::Damage(_, part) => {
                stage.settle();
                stage.damage(&name, *part, &mut rng);
            }
        }
        if *settles {
            stage.settle();
        }
    }
    stage.settle();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_no_promise_is_broken() {
    let seed = number("QUOIT_CHAOS_SEED", 7);
    let faults = usize::try_from(number("QUOIT_CHAOS_FAULTS", 20)).unwrap();
    let stage = tokio::task::spawn_blocking(|| Stage::start(SHARDS))
        .await
        .unwrap();
    let run = start(options(&stage.endpoint, seed)).await.unwrap();
    let steps = plan(seed, SHARDS, faults);
    let brought = tokio::task::spawn_blocking(move || {
        bring(&stage, &steps, seed);
        stage
    });
    let stage = brought.await.unwrap();
    let records = run.finish().await.unwrap();
    let report = prove(&records);
    eprintln!("{report}");
    assert_eq!(report.verdict, Verdict::Proved, "seed {seed}");
    let checked = &report.checked;
    assert!(
        checked.acknowledged > 100 && checked.reads > 100,
        "{report}"
    );
    assert_eq!(checked.replicas, 9);
    tokio::task::spawn_blocking(|| stage.stop()).await.unwrap();
}
