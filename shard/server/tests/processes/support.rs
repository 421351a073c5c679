//! Replicas of one shard as processes, and what is asked of them.

use quoit_cluster::{Seen, declare, of_picture};
use quoit_crds::{Metric, VectorCollectionSpec};
use quoit_proto::reach::Reach;
use quoit_proto::v1::cluster_client::ClusterClient;
use quoit_proto::{ErrorKind, RemoteShard, ShardClient, ShardError, v1};
use quoit_ring::{Named, PointId, ValueName, Values, VnodeCount, VnodeSet};
use quoit_store::{Etcd, EtcdOptions, EtcdRingStore, EtcdStore};
use quoit_testkit_etcd::{Etcd as Server, free_ports};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_mins(2);

pub const UID: Uuid = Uuid::from_u128(0x6f1c_2a9e_0000_4000_8000_0000_0000_0001);

/// Asks until the answer is the one that is waited for.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(reached) = ask().await {
            return reached;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn vnodes() -> VnodeCount {
    VnodeCount::new(64).unwrap()
}

/// A collection of one shard with three replicas.
pub fn spec() -> VectorCollectionSpec {
    let mut spec = VectorCollectionSpec::unnamed(2, Metric::Euclid);
    spec.shards = 1;
    spec.replicas = 3;
    spec.ring.vnodes = 64;
    spec
}

/// One replica.
pub struct Replica {
    /// Its flags, but for etcd.
    pub flags: Vec<String>,
    pub address: SocketAddrV4,
    pub http: SocketAddrV4,
    pub data: PathBuf,
    /// Whether its data directory is a disk of its own, in memory, which goes with its process.
    pub has_own_disk: bool,
    log: PathBuf,
    child: Option<Child>,
}

impl Replica {
    pub fn client(&self) -> RemoteShard {
        let channel = Reach::default().channel(&self.address.to_string());
        RemoteShard::new(channel.unwrap())
    }

    /// What it shows of its cluster, or what it answers instead.
    pub async fn picture(&self) -> Result<Seen, String> {
        let channel = Reach::default().channel(&self.address.to_string());
        let mut client = ClusterClient::new(channel.unwrap());
        let answer = client.picture(v1::PictureRequest {}).await;
        let picture = answer.map_err(|status| status.message().to_owned())?;
        Ok(of_picture(picture.into_inner(), UID).unwrap())
    }

    /// Waits until it shows what meets a condition.
    pub async fn shows(&self, what: &str, is_so: impl Fn(&Seen) -> bool) {
        until(&format!("it to show {what}"), async || {
            self.picture().await.ok().filter(|seen| is_so(seen))
        })
        .await;
    }

    /// What it answers to a probe: whether it is well.
    pub async fn probe(&self, path: &str) -> Option<bool> {
        let answer = self.answer(path).await?;
        Some(answer.starts_with("HTTP/1.1 200"))
    }

    /// All of what it answers to a probe.
    pub async fn answer(&self, path: &str) -> Option<String> {
        let mut stream = tokio::net::TcpStream::connect(self.http).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    /// Waits until it says that it is not ready, and why.
    pub async fn is_unready(&self, why: &str) {
        until(&format!("it not to be ready: {why}"), async || {
            let answer = self.answer("/readyz").await?;
            let is_so = answer.starts_with("HTTP/1.1 503") && answer.contains(why);
            is_so.then_some(())
        })
        .await;
    }

    /// Waits until its log has a text.
    pub async fn has_said(&self, text: &str) {
        until(&format!("it to say {text:?}"), async || {
            self.said().contains(text).then_some(())
        })
        .await;
    }

    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Holds its process up, or has it go on.
    pub fn hold(&self, held: bool) {
        self.signal(if held { Signal::STOP } else { Signal::CONT });
    }

    /// Its data directory, as it sees it.
    pub fn own_disk(&self) -> PathBuf {
        let root = format!("/proc/{}/root", self.child.as_ref().unwrap().id());
        let data = self.data.strip_prefix("/").unwrap();
        Path::new(&root).join(data)
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().unwrap().id();
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Ends it as a power cut does.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end, and says how it did.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// How it ended.
    pub fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("it does not end: {}", self.said());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.data.display(), self.said());
        }
    }
}

/// What runs a program with a disk of its own in a folder, in a namespace of mounts that
/// ends with it.
pub fn on_own_disk(folder: &Path) -> Command {
    fs::create_dir_all(folder).unwrap();
    let mount = r#"mount -t tmpfs -o size=256m quoit "$1" && shift && exec "$@""#;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", mount, "sh"])
        .arg(folder);
    command
}

/// Replicas and their etcd.
pub struct Cluster {
    pub etcd: Server,
    pub replicas: Vec<Replica>,
    dir: TempDir,
}

impl Cluster {
    /// An etcd with a collection in it, and so many replicas that are not started.
    pub async fn new(replicas: u32) -> Self {
        let cluster = Self::without_collection(replicas);
        cluster.declare(&spec()).await;
        cluster
    }

    pub fn without_collection(replicas: u32) -> Self {
        let mut cluster = Self {
            etcd: Server::start().unwrap(),
            replicas: Vec::new(),
            dir: tempfile::tempdir().unwrap(),
        };
        for ordinal in 0..replicas {
            cluster.add(0, ordinal);
        }
        cluster
    }

    /// One more that is not started; its place in the list.
    pub fn add(&mut self, shard: u32, ordinal: u32) -> usize {
        let ports = free_ports(2).unwrap();
        let name = format!("{}", self.replicas.len());
        let data = self.dir.path().join(format!("data-{name}"));
        let flags = [
            ("--collection", UID.to_string()),
            ("--shard", shard.to_string()),
            ("--ordinal", ordinal.to_string()),
            ("--data-dir", data.display().to_string()),
            ("--listen", ports[0].to_string()),
            ("--http", ports[1].to_string()),
            ("--disk-reserve", "0".to_owned()),
        ];
        self.replicas.push(Replica {
            flags: flags
                .into_iter()
                .flat_map(|(f, v)| [f.to_owned(), v])
                .collect(),
            address: ports[0],
            http: ports[1],
            data,
            has_own_disk: false,
            log: self.dir.path().join(format!("log-{name}")),
            child: None,
        });
        self.replicas.len() - 1
    }

    pub fn store(&self) -> EtcdStore {
        let etcd = Etcd::open(EtcdOptions::new([self.etcd.endpoint()])).unwrap();
        etcd.store(UID)
    }

    pub async fn declare(&self, spec: &VectorCollectionSpec) {
        let store = self.store();
        let rings = EtcdRingStore::new(store.clone(), UID);
        declare(&store, &rings, UID, "docs", spec).await.unwrap();
    }

    /// The nodes that are registered.
    pub async fn registered(&self) -> Named {
        self.store().list(&ValueName::shards()).await.unwrap()
    }

    pub fn start(&mut self, place: usize) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.replicas[place].log)
            .unwrap();
        let replica = &mut self.replicas[place];
        assert!(replica.child.is_none(), "it runs");
        let program = env!("CARGO_BIN_EXE_quoit-shard");
        let mut command = Command::new(program);
        if replica.has_own_disk {
            command = on_own_disk(&replica.data);
            command.arg(program);
        }
        let child = command
            .args(["--etcd", &self.etcd.endpoint()])
            .args(&replica.flags)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        replica.child = Some(child);
    }

    pub fn start_all(&mut self) {
        for place in 0..self.replicas.len() {
            self.start(place);
        }
    }

    /// Waits until so many of them say that they are ready.
    pub async fn ready(&self, many: usize) {
        until("replicas to be ready", async || {
            let mut ready = 0;
            for replica in &self.replicas {
                ready += usize::from(replica.probe("/readyz").await == Some(true));
            }
            (ready == many).then_some(())
        })
        .await;
    }

    /// The place of the one that leads, once it takes writes.
    pub async fn leader(&self, id: u64) -> usize {
        until("a leader", async || {
            for (place, replica) in self.replicas.iter().enumerate() {
                if replica.child.is_some() && put(&replica.client(), id).await.is_ok() {
                    return Some(place);
                }
            }
            None
        })
        .await
    }

    /// Waits until so many replicas have the same of every vnode, and so many points.
    pub async fn same(&self, many: usize, points: u64) {
        until("the replicas to have the same", async || {
            let mut all = Vec::new();
            for replica in self.replicas.iter().filter(|r| r.child.is_some()) {
                let digests = replica.client().digests(v1::DigestsRequest {}).await.ok()?;
                all.push(digests.replicas[0].vnodes.clone());
            }
            let counted: u64 = all.first()?.iter().map(|v| v.count).sum();
            let same = all.iter().all(|vnodes| *vnodes == all[0]);
            (same && all.len() == many && counted == points).then_some(())
        })
        .await;
    }

    /// The folders' records, by place.
    pub fn nodes(&self) -> BTreeMap<usize, u64> {
        let node = |(place, replica): (usize, &Replica)| {
            let record = fs::read_to_string(replica.data.join("record")).ok()?;
            let node = record
                .lines()
                .find_map(|l| l.trim().strip_prefix("\"node\": "))?;
            Some((place, node.trim_end_matches(',').parse().unwrap()))
        };
        self.replicas.iter().enumerate().filter_map(node).collect()
    }
}

/// Upserts a point by one replica.
pub async fn put(shard: &impl ShardClient, id: u64) -> Result<(), ShardError> {
    let key = PointId::Num(id);
    let upsert = v1::Upsert {
        vectors: vec![v1::Vector {
            name: String::new(),
            values: vec![1.0; 2],
        }],
        payload: format!(r#"{{"text": "{}"}}"#, "x".repeat(500)).into(),
    };
    let kind = Some(v1::change::Kind::Upsert(upsert));
    let write = v1::VnodeWrite {
        vnode: u32::from(vnodes().vnode_of(&key.to_key()).0),
        operations: vec![v1::Operation {
            id: Some(key.into()),
            only_if: None,
            change: Some(v1::Change { kind }),
        }],
        ..Default::default()
    };
    let writes = vec![write];
    let answer = shard.write(v1::WriteRequest { writes }).await?;
    match answer.outcomes[0].kind {
        Some(v1::vnode_outcome::Kind::Done(_)) => Ok(()),
        _ => Err(ShardError::new(ErrorKind::Unavailable, "it has no vnodes")),
    }
}

/// The points that one replica says there are, strongly.
pub async fn count(shard: &impl ShardClient) -> Result<u64, ShardError> {
    let all: VnodeSet = vnodes().iter().collect();
    let request = v1::CountRequest {
        vnodes: all.to_bytes(),
        ..Default::default()
    };
    Ok(shard.count(request).await?.count)
}
