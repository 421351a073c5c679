//! `quoit playground` as a process: the system as it runs on a cluster, with faults.

use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::http::Connection;
use crate::server::{BATCH, body};
use crate::setting::Setting;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a start or a recovery may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// Connections that load it.
const WRITERS: usize = 4;

/// How often it is looked how things are.
const LOOK: Duration = Duration::from_millis(20);

/// A playground that runs; all of it ends when it is dropped.
pub struct Playground {
    program: PathBuf,
    dir: PathBuf,
    child: Child,
    /// Where its router serves REST.
    pub rest: SocketAddr,
    /// Where its router serves gRPC.
    pub grpc: SocketAddr,
}

/// What a playground is to be.
pub struct Plan<'a> {
    /// Its collection, in one line: `dimension: 4, metric: Cosine`.
    pub spec: &'a str,
    /// Shards of it.
    pub shards: u32,
    /// Replicas of each.
    pub replicas: u32,
}

/// One of its processes.
pub struct Process {
    /// As commands name it.
    pub name: String,
    /// Its number, while it runs.
    pub pid: Option<u32>,
    /// Where the others find it.
    pub address: String,
    http: Option<String>,
    is_running: bool,
}

impl Playground {
    /// Starts one in a folder, and waits until all is ready.
    ///
    /// # Errors
    /// There is no program, or it does not start.
    pub fn start(setting: &Setting, dir: &Path, plan: &Plan<'_>) -> Result<Self> {
        let program = setting
            .playground
            .as_ref()
            .map_err(|why| Error::unexpected(why.clone()))?;
        let yaml = dir.join("collection.yaml");
        let text = format!(
            "apiVersion: quoit.dev/v1alpha1\nkind: VectorCollection\nmetadata: {{name: bench}}\nspec: {{{}}}\n",
            plan.spec,
        );
        std::fs::write(&yaml, text).map_err(Error::io("write a collection's YAML"))?;
        let folder = dir.join("play");
        let mut child = Command::new(program)
            .args(["--log", "error", "playground", "--json", "-f"])
            .arg(&yaml)
            .args(["--shards", &plan.shards.to_string()])
            .args(["--replicas", &plan.replicas.to_string()])
            .args(["--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--dir"])
            .arg(&folder)
            .env("QUOIT_LOG", "warn,openraft=error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io("start quoit playground"))?;
        let stdout = child.stdout.take();
        // From here on it is stopped if anything fails.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut started = Self {
            program: program.clone(),
            dir: folder,
            child,
            rest: nowhere,
            grpc: nowhere,
        };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            let read = BufReader::new(stdout).read_line(&mut line);
            read.map_err(Error::io("read what the playground says"))?;
        }
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        let address = |name: &str| said[name].as_str()?.strip_prefix("http://")?.parse().ok();
        (started.rest, started.grpc) =
            address("endpoint").zip(address("grpc")).ok_or_else(|| {
                Error::unexpected("the playground does not get ready: run it by hand to see why")
            })?;
        Ok(started)
    }

    /// A connection to its router.
    ///
    /// # Errors
    /// It does not listen.
    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.rest)
    }

    /// Puts points in, over several connections, and says how long that took. `ids` are those of
    /// [`Corpus::turned`].
    ///
    /// # Errors
    /// It refused.
    pub fn load(&self, corpus: &Corpus, ids: Range<usize>) -> Result<Duration> {
        let batches: Vec<_> = ids.clone().step_by(BATCH).collect();
        let bodies = batches
            .into_iter()
            .rev()
            .map(|at| body(corpus, at..(at + BATCH).min(ids.end)));
        // Made before it is timed, and not by the system.
        let bodies = Mutex::new(bodies.collect::<Result<Vec<_>>>()?);
        let work = || -> Result<()> {
            let mut connection = self.connect()?;
            loop {
                let next = bodies.lock().map_or(None, |mut bodies| bodies.pop());
                let Some(body) = next else {
                    return Ok(());
                };
                connection.ask(
                    "PUT",
                    "/collections/bench/points?wait=true",
                    body.as_bytes(),
                )?;
            }
        };
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..WRITERS).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| {
                let joined = thread.join();
                joined.unwrap_or_else(|_| Err(Error::unexpected("a loading thread panicked")))
            })
        })?;
        Ok(begun.elapsed())
    }

    /// Does something to it: the words of a command.
    ///
    /// # Errors
    /// It was not done.
    pub fn play(&self, words: &[&str]) -> Result<String> {
        let done = Command::new(&self.program)
            .arg("playground")
            .args(words)
            .arg("--dir")
            .arg(&self.dir)
            .output()
            .map_err(Error::io("run quoit playground"))?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            return Err(Error::unexpected(format!("{words:?}: {said}")));
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// Its processes.
    ///
    /// # Errors
    /// It does not say.
    pub fn processes(&self) -> Result<Vec<Process>> {
        let said = self.play(&["ps", "--json"])?;
        let said: Value = serde_json::from_str(&said)
            .map_err(|e| Error::unexpected(format!("ps says no JSON: {e}")))?;
        let text = |p: &Value, name: &str| p[name].as_str().map(str::to_owned);
        let all = said["processes"].as_array().cloned().unwrap_or_default();
        Ok(all
            .iter()
            .map(|p| Process {
                name: text(p, "name").unwrap_or_default(),
                pid: p["pid"].as_u64().and_then(|pid| pid.try_into().ok()),
                address: text(p, "address").unwrap_or_default(),
                http: text(p, "http"),
                is_running: p["state"] == "running",
            })
            .collect())
    }

    /// Those that are replicas of shards.
    ///
    /// # Errors
    /// It does not say.
    pub fn replicas(&self) -> Result<Vec<Process>> {
        let mut all = self.processes()?;
        all.retain(|p| p.name.starts_with("shard-"));
        Ok(all)
    }

    /// The folder of a replica's data.
    pub fn data_of(&self, name: &str) -> PathBuf {
        self.dir.join(name).join("data")
    }

    /// Who leads the first shard, and who does not.
    ///
    /// # Errors
    /// Nobody does for a long time.
    pub fn roles(&self) -> Result<(Process, Vec<Process>)> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let mut all = self.replicas()?;
            if let Some(at) = all
                .iter()
                .position(|p| p.figure("quoit_shard_leads") == Some(1.0))
            {
                return Ok((all.swap_remove(at), all));
            }
            std::thread::sleep(LOOK);
        }
        Err(Error::unexpected("nobody leads the shard"))
    }

    /// Waits until all have indexed what they have.
    ///
    /// # Errors
    /// That takes too long.
    pub fn wait_indexed(&self) -> Result<()> {
        let begun = Instant::now();
        let mut last = Vec::new();
        while begun.elapsed() < PATIENCE {
            let figure = |p: &Process| p.figure("quoit_indexed_vectors_total").unwrap_or(0.0);
            let now: Vec<_> = self.replicas()?.iter().map(figure).collect();
            if now == last {
                return Ok(());
            }
            last = now;
            std::thread::sleep(Duration::from_secs(1));
        }
        Err(Error::unexpected("indexing does not come to an end"))
    }

    /// Waits until all that run are ready.
    ///
    /// # Errors
    /// That takes too long.
    pub fn settle(&self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self
                .processes()?
                .iter()
                .all(|p| p.is_running && p.is_ready())
            {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        Err(Error::unexpected(format!(
            "the playground does not settle: {}",
            self.play(&["ps"])?
        )))
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// It does not stop without a failure.
    pub fn stop(mut self) -> Result<()> {
        terminate(Pid::from_child(&self.child))?;
        let status = self
            .child
            .wait()
            .map_err(Error::io("stop the playground"))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::unexpected(format!(
            "the playground ended with {status}"
        )))
    }
}

fn terminate(pid: Pid) -> Result<()> {
    let told = kill_process(pid, Signal::TERM);
    told.map_err(|error| Error::io("tell a process to stop")(error.into()))
}

impl Drop for Playground {
    fn drop(&mut self) {
        // Its processes end with it. One that has been stopped is only waited for again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn get(&self, path: &str) -> Option<String> {
        let address = self.http.as_ref()?.strip_prefix("http://")?.parse().ok()?;
        let answer = Connection::open(address).ok()?.ask("GET", path, b"").ok()?;
        String::from_utf8(answer).ok()
    }

    /// Tells it to stop; the playground starts it again.
    ///
    /// # Errors
    /// It does not run.
    pub fn terminate(&self) -> Result<()> {
        let pid = self
            .pid
            .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let gone = || Error::unexpected(format!("{} does not run", self.name));
        terminate(pid.ok_or_else(gone)?)
    }

    /// Whether it is there and does not stand still.
    pub fn is_running(&self) -> bool {
        self.is_running
    }

    /// Whether it says that it is ready; etcd has no such page.
    pub fn is_ready(&self) -> bool {
        self.name == "etcd" || self.get("/readyz").is_some()
    }

    /// A figure of it, if it has one of that name: all its series together.
    pub fn figure(&self, name: &str) -> Option<f64> {
        let page = self.get("/metrics")?;
        let values = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let is_it = rest.starts_with(' ') || rest.starts_with('{');
            let value = rest.rsplit_once(' ')?.1.parse::<f64>().ok()?;
            is_it.then_some(value)
        });
        values.reduce(|a, b| a + b)
    }

    /// The bytes that it has had written to disks.
    ///
    /// # Errors
    /// It does not run, or there is no `/proc`.
    pub fn written(&self) -> Result<u64> {
        let pid = self.pid.unwrap_or_default();
        let field = crate::machine::proc_field(&format!("/proc/{pid}/io"), "write_bytes");
        field
            .and_then(|bytes| bytes.trim().parse().ok())
            .ok_or_else(|| Error::unexpected(format!("/proc/{pid}/io does not say write_bytes")))
    }
}
