//! A restart after a clean stop: from the start of the process to its first
//! right answer. That no graph was built meanwhile shows in the first status,
//! which has every point in the graph before anything was written.

use crate::child::ShardProcess;
use crate::clock::median;
use crate::corpus::ids_found;
use crate::error::{Error, Result};
use crate::report::{Section, Table};
use crate::server::{self, Server};
use crate::setting::Setting;
use std::path::Path;
use std::time::{Duration, Instant};

/// Points a request.
const BATCH: usize = 100;

/// Connections that load the server.
const WRITERS: usize = 4;

/// Shards of the server.
const SHARDS: u32 = 3;

/// The longest that it may take.
const GOAL: Duration = Duration::from_secs(1);

/// One restart.
struct Restart {
    took: Duration,
    points: u64,
    indexed: u64,
}

/// Measures restarts.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("Restart");
    section.text(format!(
        "After a clean stop with {} points: from the start of the process to the first answer of a search, which must be\n\
         right. The points in the graph are those of the first status, before any was written. The files are in the page\n\
         cache. The slowest of several.",
        setting.debian.len(),
    ));
    let mut table = Table::new(&[
        "process",
        "median, ms",
        "slowest, ms",
        "points",
        "in the graph at once",
    ]);
    let rounds = setting.rounds(5, 2);

    let dir = setting.scratch_dir()?;
    let dir = dir.path().join("shard");
    load_shard(setting, &dir)?;
    let restarts = (0..rounds).map(|_| restart_shard(setting, &dir));
    let restarts = restarts.collect::<Result<Vec<_>>>()?;
    judge(&mut section, &mut table, "one shard", &restarts);

    match &setting.quoit {
        Ok(_) => {
            let dir = setting.scratch_dir()?;
            let server = Server::start(setting, dir.path(), SHARDS)?;
            server.load(&setting.debian, WRITERS)?;
            server.stop()?;
            let restarts = (0..rounds).map(|_| restart_server(setting, dir.path()));
            let restarts = restarts.collect::<Result<Vec<_>>>()?;
            judge(
                &mut section,
                &mut table,
                "`quoit serve` with 3 shards, over REST",
                &restarts,
            );
        }
        Err(why) => section.text(format!("Not measured for `quoit serve`: {why}.")),
    }
    section.table(table);
    Ok(section)
}

fn judge(section: &mut Section, table: &mut Table, process: &str, restarts: &[Restart]) {
    let times = || restarts.iter().map(|r| r.took.as_secs_f64() * 1e3);
    let slowest = times().fold(0.0, f64::max);
    let points = restarts.iter().map(|r| r.points).min().unwrap_or(0);
    let indexed = restarts.iter().map(|r| r.indexed).min().unwrap_or(0);
    table.row([
        process.to_owned(),
        format!("{:.0}", median(times())),
        format!("{slowest:.0}"),
        points.to_string(),
        indexed.to_string(),
    ]);
    section.goal(
        format!("restart to the first right answer, {process}"),
        format!("≤ {} s, no graph built", GOAL.as_secs()),
        format!(
            "{:.2} s, {indexed} of {points} in the graph at once",
            slowest / 1e3
        ),
        slowest <= GOAL.as_secs_f64() * 1e3 && indexed == points,
    );
}

fn load_shard(setting: &Setting, dir: &Path) -> Result<()> {
    let mut shard = ShardProcess::start(dir, &setting.debian)?;
    for request in setting.debian.write_requests(BATCH)? {
        shard.write(&request)?;
    }
    shard.wait_indexed()?;
    shard.stop()
}

fn restart_shard(setting: &Setting, dir: &Path) -> Result<Restart> {
    let request = setting.debian.search_request(0)?;
    let started = Instant::now();
    let mut shard = ShardProcess::start(dir, &setting.debian)?;
    let answer = ids_found(&shard.search(&request)?);
    let took = started.elapsed();
    check(setting, &answer)?;
    let status = shard.status()?;
    shard.stop()?;
    Ok(Restart {
        took,
        points: status.points,
        indexed: status.indexed,
    })
}

fn restart_server(setting: &Setting, dir: &Path) -> Result<Restart> {
    let body = server::search_body(setting.debian.queries()[0], false);
    let started = Instant::now();
    let server = Server::start(setting, dir, SHARDS)?;
    let mut connection = server.connect()?;
    let answer = server::ids_found(&Server::search(&mut connection, &body)?)?;
    let took = started.elapsed();
    check(setting, &answer)?;
    let (points, indexed) = Server::counts(&mut connection)?;
    drop(connection);
    server.stop()?;
    Ok(Restart {
        took,
        points,
        indexed,
    })
}

fn check(setting: &Setting, answer: &[u64]) -> Result<()> {
    if setting.debian.is_right(0, answer) {
        return Ok(());
    }
    Err(Error::unexpected(format!(
        "the first answer after a restart is wrong: {answer:?}"
    )))
}
