//! `quoit serve` as a process, with a collection of its own, asked over REST.

use crate::corpus::{Corpus, K};
use crate::error::{Error, Result};
use crate::http::Connection;
use crate::setting::Setting;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The collection's name.
pub const COLLECTION: &str = "bench";

/// Points a request.
pub const BATCH: usize = 100;

/// How long a start, a stop or the indexing may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server that runs; killed when it is dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
    grpc: SocketAddr,
}

impl Server {
    /// Starts a server on a folder, with one collection of so many shards.
    ///
    /// # Errors
    /// There is no program, or it does not start.
    pub fn start(setting: &Setting, dir: &Path, shards: u32) -> Result<Self> {
        let program = setting
            .quoit
            .as_ref()
            .map_err(|why| Error::unexpected(why.clone()))?;
        let yaml = dir.join("collection.yaml");
        let text = format!(
            "apiVersion: quoit.dev/v1alpha1\nkind: VectorCollection\nmetadata: {{name: {COLLECTION}}}\n\
             spec: {{dimension: {}, metric: Cosine, shards: {shards}, replicas: 1}}\n",
            setting.debian.dimension(),
        );
        std::fs::write(&yaml, text).map_err(Error::io("write a collection's YAML"))?;
        let mut child = Command::new(program)
            .args([
                "--log-format",
                "json",
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--grpc",
                "127.0.0.1:0",
            ])
            .arg("--file")
            .arg(&yaml)
            .arg("--data-dir")
            .arg(dir.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io("start quoit serve"))?;
        let stderr = child.stderr.take();
        // From here on the child is killed if anything fails.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self {
            child,
            address: nowhere,
            grpc: nowhere,
        };
        (server.address, server.grpc) = stderr.and_then(addresses).ok_or_else(|| {
            Error::unexpected("quoit serve did not say that it serves: run it by hand to see why")
        })?;
        Ok(server)
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it serves gRPC.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// A connection to it.
    ///
    /// # Errors
    /// It does not listen.
    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.address)
    }

    /// Loads a corpus from several connections at once, and waits until it is
    /// indexed.
    ///
    /// # Errors
    /// The server refused, or is too slow.
    pub fn load(&self, corpus: &Corpus, writers: usize) -> Result<()> {
        // Made before it is timed, and not by the server.
        let bodies = Mutex::new(bodies(corpus)?);
        let path = format!("/collections/{COLLECTION}/points?wait=true");
        let work = || -> Result<()> {
            let mut connection = self.connect()?;
            loop {
                let next = bodies.lock().map_or(None, |mut bodies| bodies.pop());
                let Some(body) = next else {
                    return Ok(());
                };
                connection.ask("PUT", &path, body.as_bytes())?;
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..writers).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| {
                let joined = thread.join();
                joined.unwrap_or_else(|_| Err(Error::unexpected("a loading thread panicked")))
            })
        })?;
        self.wait_indexed(corpus.len() as u64)
    }

    fn wait_indexed(&self, points: u64) -> Result<()> {
        let mut connection = self.connect()?;
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if Self::counts(&mut connection)? == (points, points) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(Error::unexpected(
            "the server does not get done with indexing",
        ))
    }

    /// How many points there are, and how many of them the graph has.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn counts(connection: &mut Connection) -> Result<(u64, u64)> {
        let answer = connection.ask("GET", &format!("/collections/{COLLECTION}"), b"")?;
        let info = parse(&answer)?;
        let count = |name: &str| info["result"][name].as_u64().unwrap_or(0);
        Ok((count("points_count"), count("indexed_vectors_count")))
    }

    /// Asks for the ten nearest to a query whose body was made before.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn search(connection: &mut Connection, body: &[u8]) -> Result<Vec<u8>> {
        connection.ask(
            "POST",
            &format!("/collections/{COLLECTION}/points/query"),
            body,
        )
    }

    /// Stops the server in order.
    ///
    /// # Errors
    /// It does not stop, or not without a failure.
    pub fn stop(mut self) -> Result<()> {
        let failed = || Error::io("stop quoit serve");
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::unexpected("a process without an id"))?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|e| failed()(e.into()))?;
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().map_err(failed())? {
                if status.success() {
                    return Ok(());
                }
                return Err(Error::unexpected(format!(
                    "quoit serve ended with {status}"
                )));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(Error::unexpected("quoit serve does not stop"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has been stopped is only waited for again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a search for the ten nearest.
pub fn search_body(query: &[f32], payload: bool) -> Vec<u8> {
    json!({"query": query, "limit": K, "with_payload": payload})
        .to_string()
        .into_bytes()
}

/// The ids in the answer to a search.
///
/// # Errors
/// It is no such answer.
pub fn ids_found(answer: &[u8]) -> Result<Vec<u64>> {
    let answer = parse(answer)?;
    let points = answer["result"]["points"].as_array();
    let points = points.ok_or_else(|| Error::unexpected("an answer without points"))?;
    Ok(points.iter().filter_map(|p| p["id"].as_u64()).collect())
}

fn parse(json: &[u8]) -> Result<Value> {
    serde_json::from_slice(json)
        .map_err(|e| Error::unexpected(format!("an answer is not JSON: {e}")))
}

/// The addresses for REST and gRPC that the server says it serves on. What it says later is read
/// and dropped, so that it never waits for a reader.
fn addresses(stderr: impl Read + Send + 'static) -> Option<(SocketAddr, SocketAddr)> {
    let (found, address) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            let read = |name: &str| line[name].as_str()?.parse().ok();
            if line["message"] == "serving"
                && let (Some(address), Some(grpc)) = (read("address"), read("grpc"))
            {
                // Nobody waits any more only if the start took too long.
                let _ = found.send((address, grpc));
            }
        }
    });
    address.recv_timeout(PATIENCE).ok()
}

/// The bodies of requests that put all points of a corpus in, the last first.
///
/// # Errors
/// A vector is no JSON.
pub fn bodies(corpus: &Corpus) -> Result<Vec<String>> {
    let firsts = (0..corpus.len()).step_by(BATCH).rev();
    let batches = firsts.map(|first| body(corpus, first..(first + BATCH).min(corpus.len())));
    batches.collect()
}

/// The body of a request that puts in points of the set that [`Corpus::turned`] makes.
///
/// # Errors
/// A vector is no JSON.
pub fn body(corpus: &Corpus, ids: Range<usize>) -> Result<String> {
    let mut body = String::from("{\"points\":[");
    for (i, id) in ids.enumerate() {
        let vector = serde_json::to_string(&corpus.turned(id))
            .map_err(|e| Error::unexpected(format!("a vector is no JSON: {e}")))?;
        let comma = if i == 0 { "" } else { "," };
        let payload = corpus.payload(id % corpus.len());
        // Writing to a String cannot fail.
        let _ = write!(
            body,
            "{comma}{{\"id\":{id},\"vector\":{vector},\"payload\":{payload}}}"
        );
    }
    body.push_str("]}");
    Ok(body)
}
