//! Real etcds for tests: one or several members on free ports of the loopback
//! interface, with their data in a temporary folder, that can be killed, paused,
//! restarted and set back to an earlier copy. They end with their value, and with
//! the test's process.
//!
//! ```no_run
//! let mut etcd = quoit_testkit_etcd::Etcd::start()?;
//! println!("{}", etcd.endpoint());
//! etcd.kill()?;
//! etcd.restart()?;
//! # Ok::<(), quoit_testkit_etcd::Error>(())
//! ```

mod ports;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub use ports::free_ports;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long an etcd may take to be ready. Generous: a loaded machine syncs
/// slowly, and nothing waits longer than it must.
const READY: Duration = Duration::from_mins(1);

/// Why an etcd is not as a test wants it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is not there.
    #[error("etcd is not on the PATH; run scripts/setup, which installs it")]
    NotInstalled,
    /// It cannot be run, signalled, or its folder cannot be handled.
    #[error("could not {action} etcd")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It ended, or did not become ready.
    #[error("etcd {what}; the end of what it said:\n{log}")]
    NotReady {
        /// What happened.
        what: String,
        /// The end of its log.
        log: String,
    },
}

fn io(action: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { action, source }
}

/// The files with which members serve by TLS, and demand a certificate of their
/// clients.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whose clients' certificates are accepted.
    pub ca: PathBuf,
    /// The certificate, for 127.0.0.1.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A member of a cluster, often the only one.
pub struct Etcd {
    dir: TempDir,
    arguments: Vec<String>,
    client: SocketAddrV4,
    health: SocketAddrV4,
    scheme: &'static str,
    child: Option<Child>,
    watchdog: Option<Child>,
}

impl Etcd {
    /// One etcd, ready to serve.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start() -> Result<Self, Error> {
        Self::one(None)
    }

    /// One etcd that serves by TLS, ready to serve.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_tls(tls: &Tls) -> Result<Self, Error> {
        Self::one(Some(tls))
    }

    fn one(tls: Option<&Tls>) -> Result<Self, Error> {
        let mut members = Self::members(1, tls)?;
        members.pop().ok_or_else(|| Error::NotReady {
            what: "was not started".to_owned(),
            log: String::new(),
        })
    }

    /// A cluster of so many members, ready to serve.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_cluster(members: usize) -> Result<Vec<Self>, Error> {
        Self::members(members, None)
    }

    fn members(count: usize, tls: Option<&Tls>) -> Result<Vec<Self>, Error> {
        let ports = free_ports(3 * count).map_err(io("find free ports for"))?;
        let of_member: Vec<_> = ports.chunks(3).collect();
        let peers: Vec<_> = of_member
            .iter()
            .enumerate()
            .map(|(member, ports)| format!("member{member}=http://{}", ports[2]))
            .collect();
        let peers = peers.join(",");
        let mut members = Vec::with_capacity(count);
        for (member, ports) in of_member.into_iter().enumerate() {
            let mut etcd = Self::prepare(&format!("member{member}"), ports, &peers, tls)?;
            etcd.spawn()?;
            members.push(etcd);
        }
        for member in &mut members {
            member.wait_until_ready()?;
        }
        Ok(members)
    }

    fn prepare(
        name: &str,
        ports: &[SocketAddrV4],
        peers: &str,
        tls: Option<&Tls>,
    ) -> Result<Self, Error> {
        let dir = TempDir::new().map_err(io("make a folder for"))?;
        let (client, health, peer) = (ports[0], ports[1], ports[2]);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let data = dir.path().join("data").display().to_string();
        let mut arguments: Vec<String> = [
            ("--name", name.to_owned()),
            ("--data-dir", data),
            ("--listen-client-urls", format!("{scheme}://{client}")),
            ("--advertise-client-urls", format!("{scheme}://{client}")),
            ("--listen-metrics-urls", format!("http://{health}")),
            ("--listen-peer-urls", format!("http://{peer}")),
            ("--initial-advertise-peer-urls", format!("http://{peer}")),
            ("--initial-cluster", peers.to_owned()),
            // So that a lease of a second is possible, and a new leader of a
            // cluster is found soon.
            ("--heartbeat-interval", "50".to_owned()),
            ("--election-timeout", "500".to_owned()),
        ]
        .into_iter()
        .flat_map(|(option, value)| [option.to_owned(), value])
        .collect();
        if let Some(tls) = tls {
            for (option, path) in [
                ("--cert-file", &tls.certificate),
                ("--key-file", &tls.key),
                ("--trusted-ca-file", &tls.ca),
            ] {
                arguments.extend([option.to_owned(), path.display().to_string()]);
            }
            arguments.push("--client-cert-auth".to_owned());
        }
        Ok(Self {
            dir,
            arguments,
            client,
            health,
            scheme,
            child: None,
            watchdog: None,
        })
    }

    /// Where clients reach it, as a URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.client)
    }

    /// Ends it at once, as `kill -9` does. Nothing happens if it has ended.
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn kill(&mut self) -> Result<(), Error> {
        if let Some(mut child) = self.child.take() {
            child.kill().map_err(io("kill"))?;
            child.wait().map_err(io("wait for the end of"))?;
        }
        if let Some(mut watchdog) = self.watchdog.take() {
            watchdog.kill().map_err(io("stop watching over"))?;
            watchdog.wait().map_err(io("stop watching over"))?;
        }
        Ok(())
    }

    /// Starts it on its data, after it was killed, and waits until it serves.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.kill()?;
        self.spawn()?;
        self.wait_until_ready()
    }

    /// Stops its clock and its answers; connections to it stay open.
    ///
    /// # Errors
    /// It is not there.
    pub fn pause(&self) -> Result<(), Error> {
        self.signal(Signal::STOP).map_err(io("pause"))
    }

    /// Ends the pause.
    ///
    /// # Errors
    /// It is not there.
    pub fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::CONT).map_err(io("resume"))
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let child = self.child.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.ok_or(io::ErrorKind::NotFound)?, signal)?)
    }

    /// Keeps a copy of its data under this name, while it is not running.
    ///
    /// # Errors
    /// It is running, or the copy fails.
    pub fn back_up(&self, name: &str) -> Result<(), Error> {
        self.stopped()
            .and_then(|()| copy(&self.dir.path().join("data"), &self.dir.path().join(name)))
            .map_err(io("back up"))
    }

    /// Sets its data back to the copy of this name, while it is not running.
    ///
    /// # Errors
    /// It is running, or the copy fails.
    pub fn set_back(&self, name: &str) -> Result<(), Error> {
        let data = self.dir.path().join("data");
        self.stopped()
            .and_then(|()| fs::remove_dir_all(&data))
            .and_then(|()| copy(&self.dir.path().join(name), &data))
            .map_err(io("set back"))
    }

    fn stopped(&self) -> io::Result<()> {
        match self.child {
            None => Ok(()),
            Some(_) => Err(io::Error::other("it is running; kill it first")),
        }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn spawn(&mut self) -> Result<(), Error> {
        let log = File::create(self.log()).map_err(io("make a log for"))?;
        let said = log.try_clone().map_err(io("make a log for"))?;
        let spawned = Command::new("etcd")
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(said)
            .stderr(log)
            .spawn();
        let child = spawned.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NotInstalled,
            _ => io("start")(source),
        })?;
        let pid = child.id().to_string();
        self.child = Some(child);
        // Ends etcd when a test is killed and its side of the pipe with it.
        let watchdog = Command::new("sh")
            .args(["-c", "read -r _; kill -9 \"$1\"", "sh", &pid])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.watchdog = Some(watchdog.map_err(io("watch over"))?);
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + READY;
        loop {
            let healthy = self.is_healthy().unwrap_or(false);
            // Looked at after the answer: another process may have the port.
            let ended = match &mut self.child {
                Some(child) => child.try_wait().map_err(io("look at"))?,
                None => None,
            };
            if let Some(status) = ended {
                return Err(self.not_ready(format!("ended: {status}")));
            }
            if healthy {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.not_ready(format!("was not ready after {READY:?}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_healthy(&self) -> io::Result<bool> {
        let second = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&self.health.into(), second)?;
        stream.set_read_timeout(Some(second))?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.contains("\"health\":\"true\""))
    }

    fn not_ready(&self, what: String) -> Error {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = lines.len().saturating_sub(15);
        Error::NotReady {
            what,
            log: lines[last..].join("\n"),
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // Whoever drops it has no use for the error, and the folder goes too.
        let _ = self.kill();
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
