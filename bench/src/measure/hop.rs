//! What a search takes longer through a router than by a call of the shard itself.

use crate::corpus::ids_found;
use crate::error::{Error, Result};
use crate::load::millis;
use crate::oneshard;
use crate::playground::{Plan, Playground};
use crate::report::{Section, Table};
use crate::server::{Server, search_body};
use crate::setting::Setting;
use quoit_proto::v1::points_client::PointsClient;
use quoit_proto::v1::{PointSearch, SearchPointsRequest};
use quoit_proto::{RemoteShard, ShardClient};
use std::time::{Duration, Instant};
use tonic::transport::Endpoint;

/// What it may take longer at the most.
const P50_GOAL: Duration = Duration::from_micros(300);
const P99_GOAL: Duration = Duration::from_millis(2);

/// Ways to ask.
const WAYS: [&str; 3] = [
    "the shard itself, gRPC",
    "through the router, gRPC",
    "through the router, REST",
];

/// Measures it.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("The router between");
    if let Err(why) = &setting.playground {
        section.text(format!("Not measured: {why}."));
        return Ok(section);
    }
    let corpus = &setting.debian;
    let dir = setting.scratch_dir()?;
    let spec = format!("dimension: {}, metric: Cosine", corpus.dimension());
    let plan = Plan {
        spec: &spec,
        shards: 1,
        replicas: 1,
    };
    let playground = Playground::start(setting, dir.path(), &plan)?;
    playground.load(corpus, 0..corpus.len())?;
    playground.wait_indexed()?;
    let replica = playground.replicas()?;
    let address = &replica
        .first()
        .ok_or_else(|| Error::unexpected("no replica"))?
        .address;
    let runtime = oneshard::runtime()?;
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    let shard = RemoteShard::new(runtime.block_on(endpoint.connect())?);
    let grpc = format!("http://{}", playground.grpc);
    let mut router = runtime.block_on(PointsClient::connect(grpc))?;
    let mut rest = playground.connect()?;
    let queries = corpus.queries();
    let mut times = [const { Vec::new() }; 3];
    let passes = setting.rounds(5, 1);
    for at in 0..queries.len() * passes {
        let query = at % queries.len();
        let request = corpus.search_request(query)?;
        let begun = Instant::now();
        let direct = runtime.block_on(shard.search(request))?;
        times[0].push(begun.elapsed());
        let search = PointSearch {
            vector: queries[query].to_vec(),
            ..PointSearch::default()
        };
        let request = SearchPointsRequest {
            collection: "bench".to_owned(),
            search: Some(search),
        };
        let begun = Instant::now();
        let through = runtime.block_on(router.search(request))?.into_inner();
        times[1].push(begun.elapsed());
        if ids_found(&direct).len() != through.points.len() {
            return Err(Error::unexpected(
                "the router finds other points than the shard",
            ));
        }
        let body = search_body(queries[query], false);
        let begun = Instant::now();
        Server::search(&mut rest, &body)?;
        times[2].push(begun.elapsed());
    }
    drop((shard, router, rest));
    playground.stop()?;
    section.text(
        "The ten nearest of 20,000 points of debian-20k in one shard of one replica, one client that asks one thing after the\n\
         other, the three ways turn by turn. The shard, the router and the client are processes of their own, and the shard\n\
         is reached over the same proxy of the playground by both.",
    );
    let mut table = Table::new(&["way", "p50, ms", "p99, ms"]);
    let mut found = Vec::new();
    for (way, times) in WAYS.into_iter().zip(&mut times) {
        times.sort_unstable();
        let at = |hundredths: usize| {
            times
                .get(times.len() * hundredths / 100)
                .copied()
                .unwrap_or_default()
        };
        table.row([way.to_owned(), millis_of(at(50)), millis_of(at(99))]);
        found.push((at(50), at(99)));
    }
    section.table(table);
    let [direct, through] = [found[0], found[1]];
    for (what, added, goal) in [
        ("p50", through.0.saturating_sub(direct.0), P50_GOAL),
        ("p99", through.1.saturating_sub(direct.1), P99_GOAL),
    ] {
        section.goal(
            format!("what the router adds to a search by gRPC, {what}"),
            format!("≤ {} ms", millis(goal)),
            format!("{} ms", millis_of(added)),
            added <= goal,
        );
    }
    Ok(section)
}

fn millis_of(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}
