//! What a single query over REST costs the server beside the search itself: the
//! server's processor time over the engine's for the same search, and where the
//! difference goes.

use super::profile;
use crate::clock::{cpu_of, length, median, process_cpu};
use crate::error::Result;
use crate::http::Connection;
use crate::replica::{Replica, query};
use crate::report::{Section, Table};
use crate::server::{self, Server};
use crate::setting::Setting;
use std::time::Duration;

/// Connections that load the server.
const WRITERS: usize = 4;

/// Each round asks all queries so often: the kernel counts another process's
/// time in hundredths of a second.
const PASSES: usize = 3;

/// One thing that is asked again and again.
struct Row {
    what: &'static str,
    /// Processor time of each request, in µs, round by round.
    micros: Vec<f64>,
}

/// Measures the cost of a query.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("A query over REST");
    if let Err(why) = &setting.quoit {
        section.text(format!("Not measured: {why}."));
        return Ok(section);
    }
    let dir = setting.scratch_dir()?;
    let server = Server::start(setting, dir.path(), 1)?;
    server.load(&setting.debian, WRITERS)?;
    let replica = Replica::load(setting, &setting.debian)?;
    let mut connection = server.connect()?;
    let rows = costs(setting, &server, &replica, &mut connection)?;
    let cost = |row: &Row| median(row.micros.iter().copied());
    let mut table = Table::new(&["what", "CPU of a request, µs", "over the engine's search"]);
    for (i, row) in rows.iter().enumerate() {
        // Each request is beside the search that it contains.
        let search = cost(&rows[if i >= 3 { 3 } else { 1 }]);
        let over = if i == 0 {
            "–".to_owned()
        } else {
            format!("{:.2}", cost(row) / search)
        };
        table.row([row.what.to_owned(), format!("{:.0}", cost(row)), over]);
    }
    section.text(
        "`quoit serve` with one shard, 1,000 queries of debian-20k one after another on one connection, the ten nearest by\n\
         default settings; the processor time of the server, beside that of the engine in this process for the same searches.",
    );
    section.table(table);
    section.text(format!(
        "A search without payloads costs the server {:.2} times what it costs the engine, one with payloads {:.2} times.",
        cost(&rows[2]) / cost(&rows[1]),
        cost(&rows[4]) / cost(&rows[3]),
    ));
    let bodies = bodies(setting, true);
    match profile::take(server.pid(), || ask_all(&mut connection, &bodies))? {
        Ok(profile) => profile.tell(&mut section),
        Err(why) => section.text(format!("No profile: {why}.")),
    }
    drop(connection);
    server.stop()?;
    Ok(section)
}

fn costs(
    setting: &Setting,
    server: &Server,
    replica: &Replica,
    connection: &mut Connection,
) -> Result<Vec<Row>> {
    let mut rows = [
        "`GET /livez`: HTTP and nothing else",
        "the engine's search, in process",
        "the query over REST",
        "the engine's search, with payloads",
        "the query over REST, with payloads",
    ]
    .map(|what| Row {
        what,
        micros: Vec::new(),
    });
    let (plain, full) = (bodies(setting, false), bodies(setting, true));
    let requests = length(plain.len() * PASSES);
    let micros = |used: Duration| used.as_secs_f64() * 1e6 / requests;
    // The first round warms up.
    for round in 0..=setting.rounds(5, 3) {
        let on_server = |work: &mut dyn FnMut() -> Result<()>| -> Result<f64> {
            let started = cpu_of(server.pid())?;
            for _ in 0..PASSES {
                work()?;
            }
            Ok(micros(cpu_of(server.pid())?.saturating_sub(started)))
        };
        let costs = [
            on_server(&mut || {
                plain
                    .iter()
                    .try_for_each(|_| connection.ask("GET", "/livez", b"").map(drop))
            })?,
            micros(searches(setting, replica, false)?),
            on_server(&mut || ask_all(connection, &plain))?,
            micros(searches(setting, replica, true)?),
            on_server(&mut || ask_all(connection, &full))?,
        ];
        if round > 0 {
            for (row, cost) in rows.iter_mut().zip(costs) {
                row.micros.push(cost);
            }
        }
    }
    Ok(rows.into())
}

fn bodies(setting: &Setting, payload: bool) -> Vec<Vec<u8>> {
    let queries = setting.debian.queries().into_iter();
    queries.map(|q| server::search_body(q, payload)).collect()
}

fn ask_all(connection: &mut Connection, bodies: &[Vec<u8>]) -> Result<()> {
    bodies
        .iter()
        .try_for_each(|body| Server::search(connection, body).map(drop))
}

fn searches(setting: &Setting, replica: &Replica, payload: bool) -> Result<Duration> {
    let queries = setting.debian.queries().into_iter();
    let queries: Vec<_> = queries.map(|q| query(q, None, payload)).collect();
    let started = process_cpu();
    for _ in 0..PASSES {
        for query in &queries {
            std::hint::black_box(replica.search(&replica.view(), query)?);
        }
    }
    Ok(process_cpu().saturating_sub(started))
}
