//! Loading points that are durable when they are acknowledged, until all are in
//! the graph: what that costs over the bare build of the same graph.

use crate::bare::Bare;
use crate::clock::{cpu_of, median, process_cpu};
use crate::error::{Error, Result};
use crate::oneshard;
use crate::report::{Section, Table};
use crate::server::Server;
use crate::setting::Setting;
use quoit_proto::v1;
use quoit_shard::Shard;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Points a request.
const BATCH: usize = 100;

/// Requests in flight.
const WRITERS: usize = 4;

/// Threads that build the bare graph.
const BUILDERS: usize = 2;

/// The most processor time over that of the bare build.
const GOAL: f64 = 1.5;

/// Measures uploads.
pub fn run(setting: &Setting) -> Result<Section> {
    let corpus = &setting.debian;
    let mut section = Section::new("Upload");
    section.text(format!(
        "Processor time of the whole process from the first of {} points to the last in the graph, in batches of {BATCH} from\n\
         {WRITERS} tasks, each durable when it is acknowledged; beside it the bare library building the same graph with\n\
         {BUILDERS} threads. Turn by turn; the goal is of the median.",
        corpus.len(),
    ));
    let mut table = Table::new(&["what", "CPU s", "bare build, CPU s", "ratio"]);
    let mut ratios = Vec::new();
    for _ in 0..setting.rounds(3, 2) {
        let (_, bare) = Bare::build(corpus, BUILDERS)?;
        let shard = one_shard(setting)?;
        let ratio = shard.as_secs_f64() / bare.as_secs_f64();
        table.row(row("one shard in process", shard, bare, ratio));
        ratios.push(ratio);
    }
    let ratio = median(ratios);
    section.goal(
        "upload of 20,000 durable points until indexed, CPU",
        format!("≤ {GOAL} × bare build"),
        format!("{ratio:.2} ×"),
        ratio <= GOAL,
    );
    match &setting.quoit {
        Ok(_) => {
            let (_, bare) = Bare::build(corpus, BUILDERS)?;
            let served = over_rest(setting)?;
            let ratio = served.as_secs_f64() / bare.as_secs_f64();
            table.row(row(
                "`quoit serve`, one shard, over REST",
                served,
                bare,
                ratio,
            ));
        }
        Err(why) => section.text(format!("Not measured over REST: {why}.")),
    }
    section.table(table);
    Ok(section)
}

fn row(what: &str, cpu: Duration, bare: Duration, ratio: f64) -> [String; 4] {
    [
        what.to_owned(),
        format!("{:.2}", cpu.as_secs_f64()),
        format!("{:.2}", bare.as_secs_f64()),
        format!("{ratio:.2}"),
    ]
}

fn one_shard(setting: &Setting) -> Result<Duration> {
    let dir = setting.scratch_dir()?;
    let params = setting.debian.params()?;
    let requests = setting.debian.write_requests(BATCH)?;
    let runtime = oneshard::runtime()?;
    runtime.block_on(async {
        let shard = oneshard::open(&dir.path().join("shard"), params).await?;
        let queue = Arc::new(Mutex::new(VecDeque::from(requests)));
        let started = process_cpu();
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| tokio::spawn(write_all(shard.clone(), queue.clone())))
            .collect();
        for writer in writers {
            let joined = writer.await;
            joined.map_err(|e| Error::unexpected(format!("a writer was lost: {e}")))??;
        }
        oneshard::wait_indexed(&shard).await?;
        let used = process_cpu().saturating_sub(started);
        shard.stop();
        Ok(used)
    })
}

async fn write_all(shard: Arc<Shard>, queue: Arc<Mutex<VecDeque<v1::WriteRequest>>>) -> Result<()> {
    loop {
        let next = queue.lock().map_or(None, |mut queue| queue.pop_front());
        let Some(request) = next else {
            return Ok(());
        };
        oneshard::write(&shard, request).await?;
    }
}

fn over_rest(setting: &Setting) -> Result<Duration> {
    let dir = setting.scratch_dir()?;
    let server = Server::start(setting, dir.path(), 1)?;
    let started = cpu_of(server.pid())?;
    server.load(&setting.debian, WRITERS)?;
    let used = cpu_of(server.pid())?.saturating_sub(started);
    server.stop()?;
    Ok(used)
}
