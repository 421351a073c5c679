//! What clients see of a shard's leader that is killed again and again, and of one that is
//! told to stop.

use crate::clock::median;
use crate::error::{Error, Result};
use crate::load::{self, Call, Pace, Request, millis, percentile};
use crate::playground::{Plan, Playground};
use crate::report::{Section, Table};
use crate::server::search_body;
use crate::setting::Setting;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest that a write or a strong read may wait for a new leader.
const GOAL: Duration = Duration::from_secs(2);

/// Between an answer and the next call of a client. Calls that were due while there was no leader
/// are not made up for: what is asked is how long one is missed.
const PAUSE: Duration = Duration::from_millis(10);

/// Points that are there from the beginning.
const LOADED: usize = 2000;

/// How a client reads.
const READS: [&str; 3] = ["strong", "bounded:3000ms", "eventual"];

/// Measures it.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("A lost leader");
    if let Err(why) = &setting.playground {
        section.text(format!("Not measured: {why}."));
        return Ok(section);
    }
    let dir = setting.scratch_dir()?;
    let spec = format!("dimension: {}, metric: Cosine", setting.debian.dimension());
    let plan = Plan {
        spec: &spec,
        shards: 1,
        replicas: 3,
    };
    let playground = Playground::start(setting, dir.path(), &plan)?;
    playground.load(&setting.debian, 0..LOADED)?;
    let killed = lose(setting, &playground, Loss::Killed, setting.rounds(50, 5))?;
    let stopped = lose(setting, &playground, Loss::Stopped, setting.rounds(20, 2))?;
    playground.stop()?;
    report(&mut section, &killed, &stopped);
    Ok(section)
}

/// How a leader goes.
#[derive(Clone, Copy)]
enum Loss {
    /// By `kill -9`.
    Killed,
    /// By SIGTERM, as for a restart that was planned.
    Stopped,
}

/// When a leader was lost, and what the clients saw.
struct Losses {
    when: Vec<Instant>,
    seen: Vec<Vec<Call>>,
}

/// Loses the leader so many times while clients write and read.
fn lose(setting: &Setting, playground: &Playground, loss: Loss, times: usize) -> Result<Losses> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let write = || {
            load::run(playground.rest, Pace::After(PAUSE), &stop, |at| {
                one_point(setting, at)
            })
        };
        let mut clients = vec![scope.spawn(write)];
        for how in READS {
            let (stop, rest) = (&stop, playground.rest);
            let read = move || {
                load::run(rest, Pace::After(PAUSE), stop, |at| {
                    search(setting, how, at)
                })
            };
            clients.push(scope.spawn(read));
        }
        let when = lose_leaders(playground, loss, times);
        stop.store(true, Ordering::Relaxed);
        let seen: Result<Vec<_>> = clients
            .into_iter()
            .map(|client| {
                client
                    .join()
                    .map_err(|_| Error::unexpected("a client panicked"))
            })
            .collect();
        Ok(Losses {
            when: when?,
            seen: seen?,
        })
    })
}

fn report(section: &mut Section, killed: &Losses, stopped: &Losses) {
    let (kills, stops) = (killed.when.len(), stopped.when.len());
    section.text(format!(
        "One shard of three replicas behind a router, all processes of one playground. Its leader is killed by `kill -9`\n\
         {kills} times, and then told to stop by SIGTERM {stops} times, the next time when all are ready again, while four clients\n\
         call the router, each {} ms after its last answer. The wait is the longest of a client after one loss, from the\n\
         signal on. The router tries again by itself; what failed is what its clients were told.",
        PAUSE.as_millis(),
    ));
    let mut table = Table::new(&[
        "the leader is",
        "calls",
        "number",
        "failed",
        "p50, ms",
        "p99, ms",
        "wait after a loss, median, ms",
        "the longest, ms",
    ]);
    let names = [
        "writes of a point",
        "searches, `strong`",
        "searches, `bounded:3000ms`",
        "searches, `eventual`",
    ];
    for (how, losses) in [("killed", killed), ("stopped", stopped)] {
        for (name, calls) in names.into_iter().zip(&losses.seen) {
            let waits = waits(calls, &losses.when);
            let longest = waits.iter().max().copied().unwrap_or_default();
            let failures: Vec<_> = calls
                .iter()
                .filter_map(|call| call.failed.as_deref())
                .collect();
            if let Some(why) = failures.first() {
                eprintln!("  {name}: the first failure: {why}");
            }
            table.row([
                how.to_owned(),
                name.to_owned(),
                calls.len().to_string(),
                failures.len().to_string(),
                millis(percentile(calls, 50)),
                millis(percentile(calls, 99)),
                format!("{:.0}", median(waits.iter().map(|w| w.as_secs_f64() * 1e3))),
                format!("{:.0}", longest.as_secs_f64() * 1e3),
            ]);
            section.goal(
                format!("{name}, leader {how} {} times", losses.when.len()),
                format!("none fails, none waits more than {} s", GOAL.as_secs()),
                format!(
                    "{} of {} failed, {:.2} s",
                    failures.len(),
                    calls.len(),
                    longest.as_secs_f64()
                ),
                failures.is_empty() && longest <= GOAL,
            );
        }
    }
    section.table(table);
}

/// Loses whoever leads, so many times; when.
fn lose_leaders(playground: &Playground, loss: Loss, times: usize) -> Result<Vec<Instant>> {
    let mut when = Vec::new();
    for round in 0..times {
        let (leader, _) = playground.roles()?;
        // Not always at the same point of what goes on by itself.
        std::thread::sleep(Duration::from_millis(500 + (round as u64 * 137) % 500));
        when.push(Instant::now());
        match loss {
            Loss::Killed => {
                playground.play(&["kill", &leader.name])?;
            }
            Loss::Stopped => leader.terminate()?,
        }
        std::thread::sleep(Duration::from_secs(1));
        playground.settle()?;
    }
    Ok(when)
}

/// The longest wait after each loss, until the next one.
fn waits(calls: &[Call], lost: &[Instant]) -> Vec<Duration> {
    let ends = lost.iter().skip(1).map(Some).chain([None]);
    let losses = lost.iter().zip(ends);
    let wait = losses.map(|(at, next)| {
        let after = calls.iter().filter(|call| {
            call.spans(*at) || (call.sent >= *at && next.is_none_or(|next| call.sent < *next))
        });
        let waited = after.map(|call| (call.sent + call.took) - call.sent.max(*at));
        waited.max().unwrap_or_default()
    });
    wait.collect()
}

fn one_point(setting: &Setting, at: usize) -> Request {
    let row = at % setting.debian.len();
    let vector = setting.debian.vectors().nth(row).unwrap_or_default();
    Request {
        method: "PUT",
        path: "/collections/bench/points?wait=true".to_owned(),
        body: json!({"points": [{"id": row, "vector": vector}]})
            .to_string()
            .into_bytes(),
    }
}

fn search(setting: &Setting, how: &str, at: usize) -> Request {
    let queries = setting.debian.queries();
    Request {
        method: "POST",
        path: format!("/collections/bench/points/query?consistency={how}"),
        body: search_body(queries[at % queries.len()], false),
    }
}
