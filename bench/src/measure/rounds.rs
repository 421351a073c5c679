//! What it costs that a search sees every write: rounds in which a leader asks whether it still
//! leads, and the rate of searches with and without.

use crate::clock::{length, median, number};
use crate::error::{Error, Result};
use crate::load::{self, Call, Request, millis, percentile};
use crate::playground::{Plan, Playground};
use crate::report::{Section, Table};
use crate::server::search_body;
use crate::setting::Setting;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Clients at the same time.
const CLIENTS: usize = 64;

/// How long each side runs in a round.
const TURN: Duration = Duration::from_secs(5);

/// Rounds that a search may cost at most.
const ROUNDS_GOAL: f64 = 0.1;

/// The least rate, of what it is where a replica answers by itself.
const RATE_GOAL: f64 = 0.8;

/// Measures it.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("Strong reads");
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
    playground.load(&setting.debian, 0..setting.debian.len())?;
    playground.wait_indexed()?;
    let (mut rounds_of_many, mut rounds_of_one) = (Vec::new(), Vec::new());
    let (mut ratios, mut rates) = (Vec::new(), [Vec::new(), Vec::new()]);
    let mut lone = [Vec::new(), Vec::new()];
    // The caches are warm before anything counts.
    drop(searches(setting, &playground, "strong", CLIENTS)?);
    for _ in 0..setting.rounds(5, 2) {
        let before = rounds(&playground)?;
        let strong = searches(setting, &playground, "strong", CLIENTS)?;
        rounds_of_many.push((rounds(&playground)? - before) / length(strong.len()));
        let eventual = searches(setting, &playground, "eventual", CLIENTS)?;
        ratios.push(length(strong.len()) / length(eventual.len()));
        for (rates, calls) in rates.iter_mut().zip([&strong, &eventual]) {
            rates.push(length(calls.len()) / TURN.as_secs_f64());
        }
        let before = rounds(&playground)?;
        let strong = searches(setting, &playground, "strong", 1)?;
        rounds_of_one.push((rounds(&playground)? - before) / length(strong.len()));
        let eventual = searches(setting, &playground, "eventual", 1)?;
        for (lone, calls) in lone.iter_mut().zip([strong, eventual]) {
            lone.extend(calls);
        }
    }
    playground.stop()?;
    section.text(format!(
        "Searches of {} points of debian-20k in one shard of three replicas, through the router, which spreads them over all\n\
         three. A strong one asks first from where on a replica's data has every acknowledged write; those who come while\n\
         that is being asked share the next question. The figures are {CLIENTS} clients' and one's, each without pause, turn by\n\
         turn; rounds are those of all replicas, a follower's question and its leader's counted apart.",
        number(setting.debian.len() as u64),
    ));
    let mut table = Table::new(&[
        "clients",
        "consistency",
        "searches a second",
        "rounds a search",
        "p50, ms",
        "p99, ms",
    ]);
    let [strong_rates, eventual_rates] = rates;
    let [strong_lone, eventual_lone] = lone;
    let turns = strong_rates.len();
    let of_many = median(rounds_of_many);
    for (how, rates, rounds) in [
        ("strong", strong_rates, format!("{of_many:.3}")),
        ("eventual", eventual_rates, "0".to_owned()),
    ] {
        let rate = format!("{:.0}", median(rates));
        let cells = [CLIENTS.to_string(), how.to_owned(), rate, rounds];
        table.row(cells.into_iter().chain([String::new(), String::new()]));
    }
    for (how, calls, rounds) in [
        (
            "strong",
            &strong_lone,
            format!("{:.3}", median(rounds_of_one)),
        ),
        ("eventual", &eventual_lone, "0".to_owned()),
    ] {
        table.row([
            "1".to_owned(),
            how.to_owned(),
            format!("{:.0}", length(calls.len() / turns) / TURN.as_secs_f64()),
            rounds,
            millis(percentile(calls, 50)),
            millis(percentile(calls, 99)),
        ]);
    }
    section.table(table);
    section.goal(
        format!("read-index rounds a strong search, {CLIENTS} clients"),
        format!("≤ {ROUNDS_GOAL}"),
        format!("{of_many:.3}"),
        of_many <= ROUNDS_GOAL,
    );
    let ratio = median(ratios);
    section.goal(
        format!("rate of strong searches, {CLIENTS} clients"),
        format!("≥ {RATE_GOAL} × eventual"),
        format!("{ratio:.2} ×"),
        ratio >= RATE_GOAL,
    );
    Ok(section)
}

fn rounds(playground: &Playground) -> Result<f64> {
    let replicas = playground.replicas()?;
    let rounds = replicas
        .iter()
        .filter_map(|r| r.figure("quoit_read_index_rounds_total"));
    Ok(rounds.sum())
}

fn searches(
    setting: &Setting,
    playground: &Playground,
    how: &str,
    clients: usize,
) -> Result<Vec<Call>> {
    let queries = setting.debian.queries();
    let stop = AtomicBool::new(false);
    let client = &|number: usize| {
        load::run(playground.rest, None, &stop, |at| Request {
            method: "POST",
            path: format!("/collections/bench/points/query?consistency={how}"),
            body: search_body(queries[(number * 31 + at) % queries.len()], false),
        })
    };
    let calls: Result<Vec<_>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|number| scope.spawn(move || client(number)))
            .collect();
        std::thread::sleep(TURN);
        stop.store(true, Ordering::Relaxed);
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .map(|done| done.map_err(|_| Error::unexpected("a client panicked")))
            .collect()
    });
    let calls: Vec<Call> = calls?.into_iter().flatten().collect();
    match calls.iter().find_map(|call| call.failed.clone()) {
        Some(why) => Err(Error::unexpected(why)),
        None => Ok(calls),
    }
}
