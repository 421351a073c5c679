//! What gRPC costs the server: searches in batches beside the bare library's,
//! and an import beside the same points over REST, where no graph is built.

use super::search::curve::{Curve, Point};
use crate::bare::Bare;
use crate::clock::{cpu_of, length, median, process_cpu};
use crate::corpus::{Corpus, default_ef};
use crate::error::{Error, Result};
use crate::http::Connection;
use crate::oneshard;
use crate::report::{Section, Table};
use crate::server::{self, BATCH, COLLECTION, Server};
use crate::setting::Setting;
use quoit_proto::v1::points_client::PointsClient;
use quoit_proto::v1::{
    ImportPointsRequest, PointId, PointInput, PointSearch, ScoredPoint, SearchPointsBatchRequest,
    point_id,
};
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

/// Connections that load the server.
const WRITERS: usize = 4;

/// Searches of one batch.
const SEARCHES: usize = 64;

/// Each round asks all queries so often: the kernel counts another process's
/// time in hundredths of a second.
const PASSES: usize = 3;

/// Candidate lists of the bare library, around the recall of the default.
const LISTS: [usize; 4] = [64, 80, 112, 160];

/// The most that a query may cost, of what the bare library's costs.
const SEARCH_GOAL: f64 = 1.2;

/// The most that a point of an import may cost, of what it costs over REST.
const IMPORT_GOAL: f64 = 0.66;

/// Measures both.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("gRPC");
    if let Err(why) = &setting.quoit {
        section.text(format!("Not measured: {why}."));
        return Ok(section);
    }
    let dir = setting.scratch_dir()?;
    let server = Server::start(setting, dir.path(), 1)?;
    let runtime = oneshard::runtime()?;
    let endpoint = format!("http://{}", server.grpc());
    let mut client = runtime.block_on(PointsClient::connect(endpoint))?;
    imports(setting, &server, &runtime, &mut client, &mut section)?;
    server.load(&setting.debian, WRITERS)?;
    searches(setting, &server, &runtime, &mut client, &mut section)?;
    drop(client);
    server.stop()?;
    Ok(section)
}

fn searches(
    setting: &Setting,
    server: &Server,
    runtime: &Runtime,
    client: &mut PointsClient<Channel>,
    section: &mut Section,
) -> Result<()> {
    let corpus = &setting.debian;
    let (bare, _) = Bare::build(corpus, 2)?;
    let queries = corpus.queries();
    let batches: Vec<_> = queries.chunks(SEARCHES).map(batch).collect();
    let mut ask = || -> Result<Vec<Vec<u64>>> {
        let mut found = Vec::with_capacity(queries.len());
        for batch in &batches {
            let answer = runtime.block_on(client.search_batch(batch.clone()))?;
            let results = answer.into_inner().results;
            found.extend(results.iter().map(|result| ids(&result.points)));
        }
        Ok(found)
    };
    let ask_bare = || -> Result<Vec<Vec<u64>>> { queries.iter().map(|q| bare.search(q)).collect() };
    let micros = |used: Duration| used.as_secs_f64() * 1e6 / length(queries.len() * PASSES);
    let recall = corpus.recall(&ask()?)?;
    let mut recalls = Vec::new();
    for list in LISTS {
        bare.set_ef(list);
        recalls.push(corpus.recall(&ask_bare()?)?);
    }
    let (mut ours, mut theirs) = (Vec::new(), LISTS.map(|_| Vec::new()));
    let mut ratios = Vec::new();
    for _ in 0..setting.rounds(7, 3) {
        // Each fills the caches before it is measured.
        drop(ask()?);
        let started = cpu_of(server.pid())?;
        for _ in 0..PASSES {
            drop(ask()?);
        }
        let our = micros(cpu_of(server.pid())?.saturating_sub(started));
        ours.push(our);
        let mut points = Vec::new();
        for ((list, recall), theirs) in LISTS.into_iter().zip(&recalls).zip(&mut theirs) {
            bare.set_ef(list);
            drop(ask_bare()?);
            let started = process_cpu();
            for _ in 0..PASSES {
                std::hint::black_box(ask_bare()?);
            }
            let their = micros(process_cpu().saturating_sub(started));
            theirs.push(their);
            points.push(Point {
                recall: *recall,
                rate: 1e6 / their,
                rate_by_cpu: 1e6 / their,
            });
        }
        ratios.extend(
            Curve::new(points)
                .at(recall)
                .map(|at| our * at.rate_by_cpu / 1e6),
        );
    }
    section.text(format!(
        "`SearchBatch` of {SEARCHES} on one shard, 1,000 queries of debian-20k, the ten nearest without payloads, by default\n\
         settings; the processor time of the server, the kernel's for the network included, beside that of the bare library\n\
         in this process, turn by turn. The two are not equally exact with the same candidate list: the bare one's cost is\n\
         read off at the recall of the batches."
    ));
    let mut table = Table::new(&["what", "hnsw_ef", "recall@10", "CPU of a query, µs"]);
    let row = |what: &str, list: usize, recall: f64, micros: Vec<f64>| {
        let micros = format!("{:.0}", median(micros));
        [
            what.to_owned(),
            list.to_string(),
            format!("{recall:.4}"),
            micros,
        ]
    };
    table.row(row("`SearchBatch`", default_ef(), recall, ours));
    for ((list, recall), micros) in LISTS.into_iter().zip(recalls).zip(theirs) {
        table.row(row("bare", list, recall, micros));
    }
    section.table(table);
    let ratio = median(ratios);
    section.goal(
        format!(
            "a query in a gRPC batch of {SEARCHES}, one shard, CPU of the server, at equal recall"
        ),
        format!("≤ {SEARCH_GOAL} × bare"),
        format!("{ratio:.2} ×"),
        ratio <= SEARCH_GOAL,
    );
    Ok(())
}

fn batch(queries: &[&[f32]]) -> SearchPointsBatchRequest {
    let search = |query: &&[f32]| PointSearch {
        vector: query.to_vec(),
        ..PointSearch::default()
    };
    SearchPointsBatchRequest {
        collection: COLLECTION.to_owned(),
        searches: queries.iter().map(search).collect(),
    }
}

fn ids(points: &[ScoredPoint]) -> Vec<u64> {
    let ids = points
        .iter()
        .filter_map(|found| found.point.as_ref()?.id.as_ref()?.kind.as_ref());
    ids.filter_map(|kind| match kind {
        point_id::Kind::Num(n) => Some(*n),
        point_id::Kind::Uuid(_) => None,
    })
    .collect()
}

fn imports(
    setting: &Setting,
    server: &Server,
    runtime: &Runtime,
    client: &mut PointsClient<Channel>,
    section: &mut Section,
) -> Result<()> {
    let corpus = &setting.debian;
    let mut connection = server.connect()?;
    let bodies = server::bodies(corpus)?;
    let micros = |used: Duration| used.as_secs_f64() * 1e6 / length(corpus.len());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=setting.rounds(5, 3) {
        flat(&mut connection, "rest", corpus)?;
        let started = cpu_of(server.pid())?;
        for body in bodies.iter().rev() {
            connection.ask("PUT", "/collections/rest/points?wait=true", body.as_bytes())?;
        }
        let rest = micros(cpu_of(server.pid())?.saturating_sub(started));
        connection.ask("DELETE", "/collections/rest", b"")?;

        flat(&mut connection, "import", corpus)?;
        let batches = futures::stream::iter(batches(corpus));
        let started = cpu_of(server.pid())?;
        let summary = runtime.block_on(client.import(batches))?.into_inner();
        let import = micros(cpu_of(server.pid())?.saturating_sub(started));
        connection.ask("DELETE", "/collections/import", b"")?;
        if summary.written != corpus.len() as u64 {
            return Err(Error::unexpected("an import did not write all points"));
        }
        if round > 0 {
            theirs.push(rest);
            ours.push(import);
        }
    }
    let ratio = median(ours.iter().zip(&theirs).map(|(a, b)| a / b));
    section.text(format!(
        "20,000 points with payloads in batches of {BATCH}, durable, into a collection without a graph, on one connection;\n\
         the processor time of the server, the kernel's for network and disk included, turn by turn."
    ));
    let mut table = Table::new(&["what", "CPU of a point, µs"]);
    for (what, micros) in [
        ("REST, one request after another", theirs),
        ("`Import`", ours),
    ] {
        table.row([what.to_owned(), format!("{:.1}", median(micros))]);
    }
    section.table(table);
    section.goal(
        "a point by gRPC `Import`, CPU of the server without indexing",
        format!("≤ {IMPORT_GOAL} × REST"),
        format!("{ratio:.2} ×"),
        ratio <= IMPORT_GOAL,
    );
    Ok(())
}

/// Makes a collection that builds no graph.
fn flat(connection: &mut Connection, name: &str, corpus: &Corpus) -> Result<()> {
    let body = format!(
        "{{\"vectors\": {{\"size\": {}, \"distance\": \"Cosine\"}}, \"hnsw_config\": {{\"m\": 0}}}}",
        corpus.dimension()
    );
    let path = format!("/collections/{name}");
    connection.ask("PUT", &path, body.as_bytes()).map(drop)
}

fn batches(corpus: &Corpus) -> Vec<ImportPointsRequest> {
    let points: Vec<_> = corpus.vectors().enumerate().collect();
    let batch = |points: &[(usize, &[f32])]| ImportPointsRequest {
        collection: "import".to_owned(),
        points: points
            .iter()
            .map(|(row, vector)| point(corpus, *row, vector))
            .collect(),
    };
    points.chunks(BATCH).map(batch).collect()
}

fn point(corpus: &Corpus, row: usize, vector: &[f32]) -> PointInput {
    PointInput {
        id: Some(PointId {
            kind: Some(point_id::Kind::Num(row as u64)),
        }),
        vector: vector.to_vec(),
        payload: corpus.payload(row).to_owned(),
        ..PointInput::default()
    }
}
