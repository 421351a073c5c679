//! Group commit: writers that wait for the disk at the same time share one
//! wait, so that many of them together are far quicker than one.

use crate::clock::{length, median};
use crate::error::{Error, Result};
use crate::oneshard;
use crate::report::{Section, Table};
use crate::setting::Setting;
use quoit_engine::Params;
use quoit_proto::v1;
use quoit_shard::Shard;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Writers at once.
const MANY: usize = 64;

/// The least that many do over what one does.
const GOAL: f64 = 10.0;

/// How long one run goes on at most; it ends earlier when the points do.
const RUN: Duration = Duration::from_secs(2);

/// What the probe of the disk writes before each sync, in bytes.
const PROBE: usize = 4096;

/// The folders of the runs are removed before the probe, which keeps the disk
/// busy for a moment.
const SETTLE: Duration = Duration::from_secs(1);

/// Syncs that the probe times.
const PROBES: u64 = 300;

/// The rates of one and of many, run by run.
struct Rates {
    index: &'static str,
    params: Params,
    runs: Vec<(f64, f64)>,
}

/// Measures the rates.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("Group commit");
    let runtime = oneshard::runtime()?;
    let graph = setting.debian.params()?;
    let mut flat = graph.clone();
    for vector in &mut flat.vectors {
        vector.index = None;
    }
    let rates = |index, params| Rates {
        index,
        params,
        runs: Vec::new(),
    };
    let mut both = [rates("Flat", flat), rates("HNSW", graph)];
    let mut syncs = Vec::new();
    for _ in 0..setting.rounds(5, 2) {
        for rates in &mut both {
            let one = rate(setting, &runtime, &rates.params, 1)?;
            let many = rate(setting, &runtime, &rates.params, MANY)?;
            rates.runs.push((one, many));
        }
        std::thread::sleep(SETTLE);
        syncs.push(fdatasync(setting.scratch_dir()?.path())?);
    }
    let micros = |d: &Duration| d.as_secs_f64() * 1e6;
    section.text(format!(
        "Batches of one point of debian-20k, acknowledged, through one shard: {MANY} tasks that each wait for their answer\n\
         against one task alone, turn by turn, for {} s each or until all points are in. One fdatasync of {PROBE} bytes takes\n\
         {:.0} µs on this disk (median). The goal is of a flat index, where a write is the log and the rows. With HNSW the\n\
         graph is built meanwhile on the same cores, and writers are held back once {} points wait for it: what is\n\
         measured then is the graph.",
        RUN.as_secs(),
        median(syncs.iter().map(micros)),
        oneshard::MAX_TAIL,
    ));
    let mut table = Table::new(&[
        "index",
        "1 writer, batches/s",
        "64 writers, batches/s",
        "ratio",
        "1 writer, µs a batch",
    ]);
    for Rates { index, runs, .. } in &both {
        let one = median(runs.iter().map(|r| r.0));
        let many = median(runs.iter().map(|r| r.1));
        let ratio = median(runs.iter().map(|r| r.1 / r.0));
        table.row([
            (*index).to_owned(),
            format!("{one:.0}"),
            format!("{many:.0}"),
            format!("{ratio:.1}"),
            format!("{:.0}", 1e6 / one),
        ]);
        if *index == "Flat" {
            section.goal(
                "64 writers over 1 writer, acknowledged batches of one",
                format!("≥ {GOAL} ×"),
                format!("{ratio:.1} ×"),
                ratio >= GOAL,
            );
        }
    }
    section.table(table);
    Ok(section)
}

fn rate(setting: &Setting, runtime: &Runtime, params: &Params, writers: usize) -> Result<f64> {
    let dir = setting.scratch_dir()?;
    let requests = Arc::new(setting.debian.write_requests(1)?);
    runtime.block_on(async {
        let shard = oneshard::open(&dir.path().join("shard"), params.clone()).await?;
        let next = Arc::new(AtomicUsize::new(0));
        let done = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let tasks: Vec<_> = (0..writers)
            .map(|_| {
                let work = write_until(
                    shard.clone(),
                    requests.clone(),
                    next.clone(),
                    done.clone(),
                    started + RUN,
                );
                tokio::spawn(work)
            })
            .collect();
        for task in tasks {
            let joined = task.await;
            joined.map_err(|e| Error::unexpected(format!("a writer was lost: {e}")))??;
        }
        let rate = length(done.load(Ordering::Relaxed)) / started.elapsed().as_secs_f64();
        shard.stop();
        Ok(rate)
    })
}

async fn write_until(
    shard: Arc<Shard>,
    requests: Arc<Vec<v1::WriteRequest>>,
    next: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
    end: Instant,
) -> Result<()> {
    while Instant::now() < end {
        let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) else {
            break;
        };
        oneshard::write(&shard, request.clone()).await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// What it takes to make a few bytes durable in blocks that the file has already.
fn fdatasync(dir: &Path) -> Result<Duration> {
    let failed = || Error::io("time a sync of the disk");
    let path = dir.join("probe");
    let file = std::fs::File::create(path).map_err(failed())?;
    let bytes = vec![1_u8; PROBE];
    let place = |i: u64| i * PROBE as u64;
    for i in 0..PROBES {
        file.write_all_at(&bytes, place(i)).map_err(failed())?;
    }
    file.sync_all().map_err(failed())?;
    let mut times = Vec::new();
    for i in 0..PROBES {
        file.write_all_at(&bytes, place(i)).map_err(failed())?;
        let started = Instant::now();
        file.sync_data().map_err(failed())?;
        times.push(started.elapsed().as_secs_f64());
    }
    Ok(Duration::from_secs_f64(median(times)))
}
