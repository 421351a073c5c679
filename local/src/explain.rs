//! `quoit explain`: sends a search to a running server and shows how it went. It
//! decides how a query comes from the command line and how the answer looks;
//! what is in it, the shards say.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::client::{self, Client};
use crate::figures::thousands;

const AFTER_HELP: &str = "\
What the lines say:
  scan        all points that may be found were compared; `graph`: the graph proposed candidates;
              `walk`: its edges were followed, over points that do not meet the filter
  expected    what each way was expected to take, by the measurements of one machine
  sure        points of which the indexes alone say that they meet the filter
  unsure      points whose payloads must be read to know; an index on the named fields tells
  lists       how many candidates the graph was asked for, and how many of them passed

Examples:
  quoit explain docs '{\"query\": 17, \"limit\": 5, \"filter\": {\"must\": [{\"key\": \"year\", \"range\": {\"gte\": 2020}}]}}'
  quoit explain docs -f query.json -o json
  jq .query log.json | quoit explain docs -f -";

/// The arguments of `quoit explain`.
#[derive(Clone, Debug, Args)]
#[command(
    about = "Ask how a search went: which way each shard took, why, and what it looked at",
    after_help = AFTER_HELP
)]
pub struct ExplainArgs {
    /// The collection.
    pub collection: String,

    /// The query, as `POST /collections/{c}/points/query` takes it.
    #[arg(
        value_name = "JSON",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    pub query: Option<String>,

    /// Read the query from a file; `-` is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Where the server is.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:6333",
        env = "QUOIT_SERVER"
    )]
    pub server: SocketAddr,

    /// How to print the answer.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

/// How the answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs: the field `explain` of the answer as it is.
    Json,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The query is not there.
    #[error("--file {}: cannot be read", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The query is no JSON.
    #[error("the query is not JSON; quote it whole for the shell, as in '{{\"query\": 17}}'")]
    ReadQuery(#[source] serde_json::Error),
    /// The server refused it, or is not there.
    #[error(transparent)]
    Ask(#[from] client::Error),
    /// The server is older than this program.
    #[error("the answer does not say how the search went: is the server of this version?")]
    ReadAnswer(#[source] serde_json::Error),
    /// The output is closed or full.
    #[error("could not print the result")]
    Print(#[from] io::Error),
}

/// The part of the answer that is shown.
#[derive(Deserialize)]
struct Answer {
    result: Points,
    explain: Value,
    time: f64,
}

#[derive(Deserialize)]
struct Points {
    points: Vec<Value>,
}

#[derive(Deserialize)]
struct Explained {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    place: String,
    goal: String,
    shards: Vec<Shard>,
}

#[derive(Deserialize)]
struct Shard {
    #[serde(rename = "shard")]
    number: u32,
    plan: String,
    why: String,
    vectors: u64,
    tail: u64,
    filter: Option<Filter>,
    expected_us: Option<Expected>,
    lists: Vec<List>,
    compared: u64,
    payloads_read: u64,
}

#[derive(Deserialize)]
struct Filter {
    sure: u64,
    unsure: u64,
    estimate: u64,
    without_index: Vec<String>,
}

#[derive(Deserialize)]
struct Expected {
    scan: f64,
    graph: f64,
    walk: Option<f64>,
}

#[derive(Deserialize)]
struct List {
    asked: u64,
    passed: u64,
}

/// Sends the query, and prints how it went.
///
/// # Errors
/// The query cannot be read, the server refuses it, or nothing can be printed.
pub async fn run(args: &ExplainArgs, out: &mut impl Write) -> Result<(), Error> {
    let text = match (&args.query, &args.file) {
        (Some(query), _) => query.clone(),
        (None, Some(path)) => read(path)?,
        // The parser asks for one of them.
        (None, None) => String::new(),
    };
    let query: Value = serde_json::from_str(&text).map_err(Error::ReadQuery)?;
    let path = format!(
        "/collections/{}/points/query?explain=true",
        encoded(&args.collection)
    );
    let mut client = Client::connect(args.server).await?;
    let body = query.to_string().into();
    let answer: Answer = client.whole(Method::POST, &path, body).await?;
    match args.output {
        Output::Json => writeln!(out, "{:#}", answer.explain)?,
        Output::Text => {
            let explained = serde_json::from_value(answer.explain).map_err(Error::ReadAnswer)?;
            out.write_all(text_of(&explained, answer.result.points.len(), answer.time).as_bytes())?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let done = if path.as_os_str() == "-" {
        io::stdin().lock().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    done.map_err(|source| Error::ReadFile {
        path: path.to_owned(),
        source,
    })?;
    Ok(text)
}

/// A name as a part of a path.
fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

fn text_of(explained: &Explained, found: usize, seconds: f64) -> String {
    let mut lines = vec![format!("{found} points in {:.2} ms", seconds * 1000.0)];
    for step in &explained.steps {
        let place = match step.place.as_str() {
            "" => "query",
            place => place,
        };
        lines.push(format!("{place}: {}", step.goal));
        for shard in &step.shards {
            lines.extend(of_shard(shard));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn of_shard(shard: &Shard) -> Vec<String> {
    let mut lines = vec![format!(
        "  shard {}  {}: {}",
        shard.number, shard.plan, shard.why
    )];
    let mut add = |name: &str, text: String| lines.push(format!("    {name:<9} {text}"));
    let tail = match shard.tail {
        0 => String::new(),
        tail => format!(", {} not in the graph yet", thousands(tail)),
    };
    add("vectors", format!("{}{tail}", thousands(shard.vectors)));
    if let Some(filter) = &shard.filter {
        let fields = match filter.without_index.as_slice() {
            [] => String::new(),
            fields => format!("; without an index: {}", fields.join(", ")),
        };
        let text = format!(
            "{} sure, {} unsure, about {} meet it{fields}",
            thousands(filter.sure),
            thousands(filter.unsure),
            thousands(filter.estimate)
        );
        add("filter", text);
    }
    if let Some(Expected { scan, graph, walk }) = shard.expected_us {
        let walk = walk.map_or_else(String::new, |us| format!(", {us:.0} µs by a walk"));
        add(
            "expected",
            format!("{scan:.0} µs by a scan, {graph:.0} µs by the graph{walk}"),
        );
    }
    if !shard.lists.is_empty() {
        let list = |list: &List| format!("{} of {}", thousands(list.passed), thousands(list.asked));
        let lists: Vec<_> = shard.lists.iter().map(list).collect();
        add("lists", format!("{} passed", lists.join(", then ")));
    }
    let payloads = match shard.payloads_read {
        0 => "no payload read".to_owned(),
        1 => "1 payload read".to_owned(),
        read => format!("{} payloads read", thousands(read)),
    };
    add(
        "compared",
        format!("{}, {payloads}", thousands(shard.compared)),
    );
    lines
}
