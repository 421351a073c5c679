//! What three replicas cost beside one: the rate of acknowledged batches, and what comes to disk.

use crate::clock::{median, number};
use crate::error::Result;
use crate::playground::{Plan, Playground};
use crate::report::{Section, Table};
use crate::server::BATCH;
use crate::setting::Setting;
use std::time::Duration;

/// Points, of so many times the corpus.
const TIMES: usize = 5;

/// The least rate, of what it is with one replica.
const RATE_GOAL: f64 = 0.3;

/// What a replica may write at most, by what it was given.
const VECTORS_GOAL: f64 = 2.2;
const PAYLOADS_GOAL: f64 = 5.0;

/// A checkpoint comes after a minute if nothing else brings it; what it writes counts.
const UNTIL_CHECKPOINT: Duration = Duration::from_secs(75);

/// Measures both.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("Three replicas");
    if let Err(why) = &setting.playground {
        section.text(format!("Not measured: {why}."));
        return Ok(section);
    }
    let corpus = &setting.debian;
    let points = corpus.len() * setting.rounds(TIMES, 1);
    let rounds = setting.rounds(3, 1);
    let spec = format!(
        "dimension: {}, metric: Cosine, index: {{type: Flat}}",
        corpus.dimension()
    );
    let (mut ratios, mut rates) = (Vec::new(), [Vec::new(), Vec::new()]);
    let mut written = Vec::new();
    for round in 0..rounds {
        let mut both = [0.0; 2];
        for (which, replicas) in [1, 3].into_iter().enumerate() {
            let dir = setting.scratch_dir()?;
            let plan = Plan {
                spec: &spec,
                shards: 1,
                replicas,
            };
            let playground = Playground::start(setting, dir.path(), &plan)?;
            let took = playground.load(corpus, 0..points)?;
            both[which] = number(points as u64) / took.as_secs_f64();
            rates[which].push(both[which]);
            if replicas == 3 && round + 1 == rounds {
                std::thread::sleep(UNTIL_CHECKPOINT);
                for replica in playground.replicas()? {
                    written.push(replica.written()?);
                }
            }
            playground.stop()?;
        }
        ratios.push(both[1] / both[0]);
    }
    let vectors = number((points * corpus.dimension() * size_of::<f32>()) as u64);
    let payloads: usize = (0..points)
        .map(|id| corpus.payload(id % corpus.len()).len())
        .sum();
    let payloads = number(payloads as u64);
    let most = number(written.iter().copied().max().unwrap_or(0));
    section.text(format!(
        "{points} points by REST, in batches of {BATCH}, four at a time, into one shard without a graph: three graphs on few cores\n\
         would measure the machine. A batch is acknowledged when two of three replicas have it on their disks. All processes\n\
         share this machine's processors and its disk. What was written to disk is the kernel's count of each replica's\n\
         process, with the log and the checkpoint after the load."
    ));
    let mut table = Table::new(&[
        "replicas",
        "points a second",
        "written by a replica, MB",
        "vectors, MB",
        "payloads, MB",
    ]);
    let mb = |bytes: f64| format!("{:.0}", bytes / 1e6);
    let [one, three] = rates;
    table.row([
        "1".to_owned(),
        format!("{:.0}", median(one)),
        String::new(),
        mb(vectors),
        mb(payloads),
    ]);
    table.row([
        "3".to_owned(),
        format!("{:.0}", median(three)),
        mb(most),
        mb(vectors),
        mb(payloads),
    ]);
    section.table(table);
    let ratio = median(ratios);
    section.goal(
        "acknowledged batches, three replicas",
        format!("≥ {RATE_GOAL} × one"),
        format!("{ratio:.2} ×"),
        ratio >= RATE_GOAL,
    );
    let allowed = VECTORS_GOAL * vectors + PAYLOADS_GOAL * payloads;
    section.goal(
        "written to disk by the replica that wrote most",
        format!(
            "≤ {VECTORS_GOAL} × vectors + {PAYLOADS_GOAL} × payloads: {} MB",
            mb(allowed)
        ),
        format!("{} MB", mb(most)),
        most <= allowed,
    );
    Ok(section)
}
