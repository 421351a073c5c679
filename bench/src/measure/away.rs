//! A replica that comes back after the log has gone on without it: what its copy costs the others.

use crate::clock::{length, number};
use crate::error::{Error, Result};
use crate::load::{self, Call, Pace, Request, millis, percentile};
use crate::playground::{Plan, Playground, Process};
use crate::report::{Section, Table};
use crate::server::{body, search_body};
use crate::setting::Setting;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two searches.
const SEARCH_EVERY: Duration = Duration::from_millis(10);

/// Between two batches of writes, and points of one.
const WRITE_EVERY: Duration = Duration::from_millis(100);
const WRITTEN: usize = 10;

/// How long searches are timed while the replica is away.
const AT_REST: Duration = Duration::from_secs(20);

/// How long a copy may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// The most that a search may take at the 99th percentile, of what it takes without a copy.
const P99_GOAL: f64 = 1.5;

/// Measures it.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("A replica that was away");
    if let Err(why) = &setting.playground {
        section.text(format!("Not measured: {why}."));
        return Ok(section);
    }
    let corpus = &setting.debian;
    let missed = setting.rounds(100_000, 20_000);
    let dir = setting.scratch_dir()?;
    let spec = format!("dimension: {}, metric: Cosine", corpus.dimension());
    let plan = Plan {
        spec: &spec,
        shards: 1,
        replicas: 3,
    };
    let playground = Playground::start(setting, dir.path(), &plan)?;
    playground.load(corpus, 0..corpus.len())?;
    let (_, followers) = playground.roles()?;
    let away = followers
        .first()
        .ok_or_else(|| Error::unexpected("a shard without followers"))?;
    // Else it would index the first points twice: what a replica that is killed had indexed
    // since its last checkpoint it does again, before a copy can come.
    wait_for_checkpoint(&playground.data_of(&away.name))?;
    playground.play(&["kill", &away.name, "--stay-down"])?;
    playground.load(corpus, corpus.len()..corpus.len() + missed)?;
    playground.wait_indexed()?;
    let mut next = corpus.len() + missed;
    let (mut rest, mut copying, mut returns) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..setting.rounds(3, 1) {
        let (calls, ()) = under_load(setting, &playground, &mut next, || {
            std::thread::sleep(AT_REST);
            Ok(())
        })?;
        rest.extend(calls);
        let first = next;
        let (calls, took) = under_load(setting, &playground, &mut next, || {
            come_back(&playground, &away.name)
        })?;
        copying.extend(calls);
        let back = process(&playground, &away.name)?;
        let figure = |name: &str| back.figure(name).unwrap_or(0.0);
        returns.push(Return {
            took,
            copies: figure("quoit_copies_taken_total"),
            indexed: figure("quoit_indexed_vectors_total"),
            since: next - first,
            points: next,
        });
        if round + 1 < setting.rounds(3, 1) {
            // Away again, and all that it has is lost: as much is to be copied once more.
            playground.play(&["kill", &away.name, "--stay-down"])?;
            std::fs::remove_dir_all(playground.data_of(&away.name))
                .map_err(Error::io("remove a replica's data"))?;
        }
    }
    playground.stop()?;
    report(&mut section, missed, &rest, &copying, &returns);
    Ok(section)
}

/// One return.
struct Return {
    took: Duration,
    copies: f64,
    indexed: f64,
    since: usize,
    points: usize,
}

fn report(
    section: &mut Section,
    missed: usize,
    rest: &[Call],
    copying: &[Call],
    returns: &[Return],
) {
    section.text(format!(
        "One shard of three replicas. One of them is away while {missed} points are written and indexed; then it comes back while\n\
         writes go on ({} points a second), and again after its disk was lost. Searches (`eventual`, through the router, one\n\
         each {} ms, timed from when it was due) while it is away, beside those from its start until it is ready. It is given\n\
         the others' graph with the data: what it indexes itself is what was written since.",
        WRITTEN * 1000 / usize::try_from(WRITE_EVERY.as_millis()).unwrap_or(1),
        SEARCH_EVERY.as_millis(),
    ));
    let mut table = Table::new(&["searches", "number", "p50, ms", "p99, ms"]);
    for (what, calls) in [("while it is away", rest), ("while it comes back", copying)] {
        table.row([
            what.to_owned(),
            calls.len().to_string(),
            millis(percentile(calls, 50)),
            millis(percentile(calls, 99)),
        ]);
    }
    section.table(table);
    let mut table = Table::new(&[
        "until ready, s",
        "copies taken",
        "points",
        "written meanwhile",
        "indexed by itself",
    ]);
    for back in returns {
        table.row([
            format!("{:.1}", back.took.as_secs_f64()),
            format!("{:.0}", back.copies),
            back.points.to_string(),
            back.since.to_string(),
            format!("{:.0}", back.indexed),
        ]);
    }
    section.table(table);
    let ratio = percentile(copying, 99).as_secs_f64() / percentile(rest, 99).as_secs_f64();
    section.goal(
        "p99 of searches while a replica catches up by a copy",
        format!("≤ {P99_GOAL} × without"),
        format!("{ratio:.2} ×"),
        ratio <= P99_GOAL,
    );
    let built = returns
        .iter()
        .map(|r| r.indexed - length(r.since))
        .fold(0.0, f64::max);
    let share = built / number(returns.first().map_or(1, |r| r.points) as u64);
    section.goal(
        "points that a copied replica indexes itself, beside those written meanwhile",
        "≤ 0.01 of all, by a copy",
        format!("{share:.4}"),
        share <= 0.01 && returns.iter().all(|r| r.copies > 0.0),
    );
}

/// Waits until a replica makes one more, with the graph if much of that is new.
fn wait_for_checkpoint(data: &Path) -> Result<()> {
    let manifest = data.join("shard/data/manifest");
    let made = || std::fs::metadata(&manifest).and_then(|found| found.modified());
    let before = made().ok();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if made().ok().is_some_and(|at| Some(at) > before) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Error::unexpected("a replica makes no checkpoint"))
}

/// Starts what is away, and waits until it serves; how long that took.
fn come_back(playground: &Playground, name: &str) -> Result<Duration> {
    let begun = Instant::now();
    playground.play(&["start", name])?;
    while begun.elapsed() < PATIENCE {
        let back = process(playground, name)?;
        if back.is_running() && back.is_ready() {
            return Ok(begun.elapsed());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Error::unexpected("the replica does not come back"))
}

fn process(playground: &Playground, name: &str) -> Result<Process> {
    let mut all = playground.processes()?;
    let at = all.iter().position(|p| p.name == name);
    let at = at.ok_or_else(|| Error::unexpected(format!("there is no {name}")))?;
    Ok(all.swap_remove(at))
}

/// Does something while clients search and write, and says what the searches took.
fn under_load<T>(
    setting: &Setting,
    playground: &Playground,
    next: &mut usize,
    act: impl FnOnce() -> Result<T>,
) -> Result<(Vec<Call>, T)> {
    let corpus = &setting.debian;
    let queries = corpus.queries();
    let stop = AtomicBool::new(false);
    let first = *next;
    let (searches, writes, done) = std::thread::scope(|scope| {
        let searches = scope.spawn(|| {
            load::run(playground.rest, Pace::Every(SEARCH_EVERY), &stop, |at| {
                Request {
                    method: "POST",
                    path: "/collections/bench/points/query?consistency=eventual".to_owned(),
                    body: search_body(queries[at % queries.len()], false),
                }
            })
        });
        let writes = scope.spawn(|| {
            load::run(playground.rest, Pace::Every(WRITE_EVERY), &stop, |at| {
                let from = first + at * WRITTEN;
                Request {
                    method: "PUT",
                    path: "/collections/bench/points?wait=true".to_owned(),
                    // What is no JSON is refused, and that fails the measurement.
                    body: body(corpus, from..from + WRITTEN)
                        .unwrap_or_default()
                        .into_bytes(),
                }
            })
        });
        let done = act();
        stop.store(true, Ordering::Relaxed);
        (searches.join(), writes.join(), done)
    });
    let panicked = |_| Error::unexpected("a client panicked");
    let (searches, writes, done) = (
        searches.map_err(panicked)?,
        writes.map_err(panicked)?,
        done?,
    );
    *next += writes.len() * WRITTEN;
    match searches
        .iter()
        .chain(&writes)
        .find_map(|call| call.failed.clone())
    {
        Some(why) => Err(Error::unexpected(why)),
        None => Ok((searches, done)),
    }
}
