//! What it costs that a search sees every write: rounds in which a leader asks whether it still
//! leads, and the rate of searches with and without.

use crate::clock::{length, median};
use crate::error::{Error, Result};
use crate::load::{self, Call, Pace, Request, millis, percentile};
use crate::playground::{Plan, Playground, Process};
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
    // The caches are warm before anything counts.
    drop(searches(setting, &playground, "strong", CLIENTS)?);
    let mut sides = Vec::new();
    for clients in [CLIENTS, 1] {
        sides.push(Side::new(clients, "strong"));
        sides.push(Side::new(clients, "eventual"));
    }
    for _ in 0..setting.rounds(5, 2) {
        for side in &mut sides {
            let before = rounds(&playground)?;
            let calls = searches(setting, &playground, side.how, side.clients)?;
            let after = rounds(&playground)?;
            for (who, rounds) in side.rounds.iter_mut().enumerate() {
                rounds.push((after[who] - before[who]) / length(calls.len()));
            }
            side.rates.push(length(calls.len()) / TURN.as_secs_f64());
            side.calls.extend(calls);
        }
    }
    playground.stop()?;
    section.text(format!(
        "Searches of {} points of debian-20k in one shard of three replicas, through the router, which spreads them over all\n\
         three. A strong one asks first from where on a replica's data has every acknowledged write; those who come while\n\
         that is being asked share the next question. A round is a leader's, which asks its members whether it still leads;\n\
         followers ask the leader, which shares its rounds among all. The clients search without pause, turn by turn.",
        setting.debian.len(),
    ));
    let mut table = Table::new(&[
        "clients",
        "consistency",
        "searches a second",
        "rounds a search",
        "followers' questions a search",
        "p50, ms",
        "p99, ms",
    ]);
    for side in &sides {
        let rounds = |who: usize| format!("{:.3}", median(side.rounds[who].iter().copied()));
        table.row([
            side.clients.to_string(),
            side.how.to_owned(),
            format!("{:.0}", median(side.rates.iter().copied())),
            rounds(0),
            rounds(1),
            millis(percentile(&side.calls, 50)),
            millis(percentile(&side.calls, 99)),
        ]);
    }
    section.table(table);
    let of_many = median(sides[0].rounds[0].iter().copied());
    section.goal(
        format!("read-index rounds a strong search, {CLIENTS} clients"),
        format!("≤ {ROUNDS_GOAL}"),
        format!("{of_many:.3}"),
        of_many <= ROUNDS_GOAL,
    );
    let both = sides[0].rates.iter().zip(&sides[1].rates);
    let ratio = median(both.map(|(strong, eventual)| strong / eventual));
    section.goal(
        format!("rate of strong searches, {CLIENTS} clients"),
        format!("≥ {RATE_GOAL} × eventual"),
        format!("{ratio:.2} ×"),
        ratio >= RATE_GOAL,
    );
    Ok(section)
}

/// One way to search.
struct Side {
    clients: usize,
    how: &'static str,
    rates: Vec<f64>,
    calls: Vec<Call>,
    /// Of the leader and of the followers, a search.
    rounds: [Vec<f64>; 2],
}

impl Side {
    fn new(clients: usize, how: &'static str) -> Self {
        Self {
            clients,
            how,
            rates: Vec::new(),
            calls: Vec::new(),
            rounds: [Vec::new(), Vec::new()],
        }
    }
}

/// Rounds of all, the leader's first: a leader asks its members, and a follower its leader.
fn rounds(playground: &Playground) -> Result<[f64; 2]> {
    let (leader, followers) = playground.roles()?;
    let of = |replica: &Process| replica.figure("quoit_read_index_rounds_total");
    let of_followers = followers.iter().filter_map(of).sum();
    Ok([of(&leader).unwrap_or(0.0), of_followers])
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
        load::run(playground.rest, Pace::Steady, &stop, |at| Request {
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
