//! The system as processes, by `quoit playground`, and what is done to it.

use crate::disks::{self, Slow};
use crate::plan::{Part, Room, Way, Whom};
use rand::Rng;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_mins(3);

/// How long a replica with damaged data may take to say so, or to serve.
const VERDICT: Duration = Duration::from_secs(15);

const COLLECTION: &str = "
apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
metadata: {name: docs}
spec:
  {dimension: 16, metric: Cosine, ring: {vnodes: 64}, payloadIndexes: [{field: stamp, type: integer}]}
";

/// A running playground.
pub struct Stage {
    folder: TempDir,
    child: Child,
    pub endpoint: String,
    /// Whether each replica has a disk of its own.
    own_disks: bool,
    /// Whether a disk can be made slow.
    slow_disks: bool,
}

impl Stage {
    /// So many shards of three replicas.
    pub fn start(shards: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("docs.yaml");
        fs::write(&file, COLLECTION).unwrap();
        let play = folder.path().join("play");
        let disk = |(shard, place)| play.join(format!("shard-{shard}-{place}"));
        let places = (0..shards).flat_map(|shard| (0..3).map(move |place| (shard, place)));
        let disks: Vec<PathBuf> = places.map(disk).collect();
        let (mut command, own_disks) = disks::command(env!("CARGO_BIN_EXE_quoit"), &disks);
        let mut child = command
            .args([
                "--log",
                "warn,quoit_shard=info,openraft=off",
                "playground",
                "--json",
                "-f",
            ])
            .arg(&file)
            .args(["--shards", &shards.to_string(), "--replicas", "3"])
            .args(["--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--dir"])
            .arg(&play)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let listed: Value = serde_json::from_str(&line).expect("a playground that is ready");
        Self {
            folder,
            child,
            endpoint: listed["endpoint"].as_str().unwrap().to_owned(),
            own_disks,
            slow_disks: Slow::is_possible(),
        }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("play")
    }

    /// The folder of one of its processes, as that process sees it: what is mounted
    /// there we do not see.
    fn disk(&self, name: &str) -> PathBuf {
        let dir = self.dir().join(name);
        let seen = dir.strip_prefix("/").unwrap();
        if self.own_disks {
            Path::new(&format!("/proc/{}/root", self.child.id())).join(seen)
        } else {
            dir
        }
    }

    /// Does something to it; what it says.
    pub fn play(&self, words: &[&str]) -> String {
        let done = Command::new(env!("CARGO_BIN_EXE_quoit"))
            .arg("playground")
            .args(words)
            .arg("--dir")
            .arg(self.dir())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{words:?}: {said}");
        String::from_utf8(done.stdout).unwrap()
    }

    fn listed(&self) -> Vec<Value> {
        let listed: Value = serde_json::from_str(&self.play(&["ps", "--json"])).unwrap();
        listed["processes"].as_array().unwrap().clone()
    }

    pub fn names(&self) -> Vec<String> {
        let name = |p: &Value| p["name"].as_str().unwrap().to_owned();
        self.listed().iter().map(name).collect()
    }

    /// The process of that part, now.
    pub fn name_of(&self, whom: Whom) -> String {
        let (shard, leads) = match whom {
            Whom::Router => return "router-0".to_owned(),
            Whom::Etcd => return "etcd".to_owned(),
            Whom::Leader(shard) => (shard, true),
            Whom::Follower(shard) => (shard, false),
        };
        let of_shard = |name: &String| name.starts_with(&format!("shard-{shard}-"));
        let replicas: Vec<String> = self.names().into_iter().filter(of_shard).collect();
        let is_it = |name: &&String| self.leads(name) == leads;
        // While nobody leads any one is as good.
        replicas.iter().find(is_it).unwrap_or(&replicas[0]).clone()
    }

    fn leads(&self, name: &str) -> bool {
        let figures = self.get(name, "/metrics").unwrap_or_default();
        figures.lines().any(|line| line == "quoit_shard_leads 1")
    }

    /// What one answers operators, if it is well.
    fn get(&self, name: &str, path: &str) -> Option<String> {
        let all = self.listed();
        let listed = all.iter().find(|p| p["name"] == name)?;
        let url = format!("{}{path}", listed["http"].as_str()?);
        let answer = call("GET", &url, "")?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
    }

    fn is_ready(&self, name: &str) -> bool {
        self.get(name, "/readyz").is_some()
    }

    /// Waits until all are ready.
    pub fn settle(&self) {
        let begun = Instant::now();
        loop {
            let listed = self.listed();
            let is_well = |p: &&Value| {
                let name = p["name"].as_str().unwrap();
                p["state"] == "running" && (name == "etcd" || self.is_ready(name))
            };
            let ill: Vec<&Value> = listed.iter().filter(|p| !is_well(p)).collect();
            if ill.is_empty() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "not ready: {ill:#?}");
            sleep(Duration::from_millis(100));
        }
    }

    /// Cuts one off.
    pub fn cut(&self, name: &str, way: Way) {
        let mut words = vec!["partition", name];
        let names = self.names();
        let others = names
            .iter()
            .map(String::as_str)
            .filter(|other| *other != name);
        let flag = match way {
            Way::Both => None,
            Way::In => Some("--from"),
            Way::Out => Some("--to"),
        };
        if let Some(flag) = flag {
            words.extend(others.flat_map(|other| [flag, other]));
        }
        self.play(&words);
    }

    fn pid(&self, name: &str) -> Option<u64> {
        let all = self.listed();
        let it = all.iter().find(|p| p["name"] == name).unwrap();
        it["pid"].as_u64()
    }

    /// Leaves a replica no room on its disk for a while. It lives on.
    pub fn fill(&self, name: &str, room: Room, time: Duration) {
        if !self.own_disks {
            eprintln!("left out");
            return;
        }
        // One that just starts may well find that it cannot.
        let pid = self.pid(name).filter(|_| self.is_ready(name));
        disks::fill(&self.disk(name), room);
        sleep(time);
        disks::empty(&self.disk(name));
        if pid.is_some() {
            assert_eq!(self.pid(name), pid, "a full disk ended {name}");
        }
    }

    /// Waits until a process runs, ready or not.
    pub fn runs(&self, name: &str) {
        let begun = Instant::now();
        while self.pid(name).is_none() {
            assert!(begun.elapsed() < PATIENCE, "{name} does not start");
            sleep(Duration::from_millis(20));
        }
    }

    /// Makes each sync of a process take so long, for a while. It lives on.
    pub fn slow(&self, name: &str, sync: Duration, time: Duration) {
        let Some(pid) = self.pid(name).filter(|_| self.slow_disks) else {
            eprintln!("left out");
            return;
        };
        // One that just starts may end before it is held up.
        let was_ready = self.is_ready(name);
        match Slow::make(u32::try_from(pid).unwrap(), sync) {
            Ok(_slow) => sleep(time),
            Err(why) => assert!(!was_ready, "{name}: {why}"),
        }
        if was_ready {
            assert_eq!(self.pid(name), Some(pid), "a slow disk ended {name}");
        }
    }

    /// Damages a replica's data, sees that it is refused or does no harm, and takes
    /// the disk away: what was damaged and not noticed yet must not meet another loss.
    pub fn damage(&self, name: &str, part: Part, rng: &mut impl Rng) {
        self.play(&["kill", name, "--stay-down"]);
        let data = self.disk(name).join("data/shard");
        let (file, share) = match part {
            Part::Log => (largest(&data.join("log")), 0.5),
            Part::Vote => (Some(data.join("vote")), 1.0),
            Part::Checkpoint => (Some(data.join("data/manifest")), 1.0),
            Part::Vectors => (largest(&data.join("data/vectors")), 1.0),
        };
        if let Some(file) = file.filter(|file| file.exists()) {
            flip(&file, share, rng);
        }
        self.play(&["start", name]);
        let begun = Instant::now();
        while begun.elapsed() < VERDICT {
            let all = self.listed();
            let it = all.iter().find(|p| p["name"] == name).unwrap();
            if self.is_ready(name) || it["state"] == "restarting" {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        self.play(&["wipe", name]);
    }

    /// Ends it in order.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Its disks end with it.
        if std::thread::panicking() {
            for dir in fs::read_dir(self.dir()).into_iter().flatten().flatten() {
                let log = self.disk(&dir.file_name().to_string_lossy()).join("log");
                let text = fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().rev().take(30).collect();
                eprintln!("--- {}", dir.path().display());
                lines.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
        // Its processes end with it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The file with the most written to it.
fn largest(dir: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    files.max_by_key(|file| written(&fs::read(file).unwrap_or_default()))
}

/// Up to where something was written: files are preallocated.
fn written(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1)
}

/// Changes a byte in the first part of what was written.
fn flip(file: &Path, share: f64, rng: &mut impl Rng) {
    let mut bytes = fs::read(file).unwrap();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let within = (written(&bytes) as f64 * share) as usize;
    if within > 0 {
        let at = rng.random_range(0..within);
        bytes[at] ^= 1 << rng.random_range(0..8);
        fs::write(file, bytes).unwrap();
    }
}

/// What is answered, with its head; nothing if nobody answers in time.
pub fn call(method: &str, url: &str, body: &str) -> Option<String> {
    let address = url.strip_prefix("http://")?;
    let (address, path) = address.split_once('/')?;
    let within = Duration::from_secs(20);
    let mut stream = TcpStream::connect_timeout(&address.parse().ok()?, within).ok()?;
    stream.set_read_timeout(Some(within)).ok()?;
    let len = body.len();
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {len}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
