//! A router as a process, an etcd, and a shard in this process for it to ask.

use quoit_cluster::{Seen, declare, picture, spec};
use quoit_crds::{Metric, VectorCollectionSpec};
use quoit_disk::RealDisk;
use quoit_proto::v1::PictureResponse;
use quoit_ring::{Registration, Ring, ShardId, ValueName, Values, VnodeSet};
use quoit_shard::grpc::serve;
use quoit_shard::log::LogOptions;
use quoit_shard::{Keeper, MemberId, Membership, ShardOptions, Stamp, UpkeepOptions, Watermark};
use quoit_store::{Etcd, EtcdOptions, EtcdRingStore, EtcdStore};
use quoit_testkit_etcd::{Etcd as Server, free_ports};
use std::fs::{self, File};
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use uuid::Uuid;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

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

/// A collection of one shard with one replica.
pub fn collection() -> VectorCollectionSpec {
    let mut spec = VectorCollectionSpec::unnamed(2, Metric::Euclid);
    spec.shards = 1;
    spec.replicas = 1;
    spec.ring.vnodes = 64;
    spec
}

/// An etcd, and the shard of the collection.
pub struct Site {
    pub etcd: Server,
    /// Where the shard is.
    pub shard: String,
    /// What it shows of its cluster: nothing, at first.
    pub shows: watch::Sender<Option<PictureResponse>>,
    dir: TempDir,
    /// Its data is closed with it.
    _shard: Arc<Keeper>,
}

impl Site {
    /// With nothing declared.
    pub async fn new() -> Self {
        let etcd = Server::start().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let engine = spec::resolve(&collection()).unwrap().engine;
        let vnodes: VnodeSet = engine.vnodes.iter().collect();
        let member = MemberId::alone(UID, ShardId(0));
        let options = ShardOptions {
            disk: Arc::new(RealDisk),
            dir: dir.path().join("shard"),
            stamp: Stamp::new(member, ShardId(0), &engine),
            birth: Some(vnodes),
            params: engine,
            tuning: spec::tuning(1, 1 << 20),
            upkeep: UpkeepOptions {
                watermark: Watermark::above(0),
                ..UpkeepOptions::default()
            },
            log: LogOptions::new(7, 1),
            membership: Membership::Alone,
            max_tail: spec::MAX_TAIL,
        };
        let shard = Arc::new(Keeper::open(options).await.unwrap());
        let (shows, picture) = watch::channel(None);
        let forever = std::future::pending();
        tokio::spawn(serve(listener, None, shard.clone(), picture, forever));
        let site = Self {
            etcd,
            shard: address.to_string(),
            shows,
            dir,
            _shard: shard,
        };
        let registration = Registration {
            address: address.to_string(),
            zone: None,
            ordinal: 0,
        };
        site.set(
            &ValueName::node(ShardId(0), 1),
            Some(&registration.to_bytes()),
        )
        .await;
        site
    }

    /// With the collection.
    pub async fn declared() -> Self {
        let site = Self::new().await;
        site.declare().await;
        site
    }

    pub async fn declare(&self) {
        let store = self.store();
        let rings = EtcdRingStore::new(store.clone(), UID);
        let spec = collection();
        declare(&store, &rings, UID, "docs", &spec).await.unwrap();
    }

    pub fn store(&self) -> EtcdStore {
        let etcd = Etcd::open(EtcdOptions::new([self.etcd.endpoint()])).unwrap();
        etcd.store(UID)
    }

    /// What is under a name.
    pub async fn kept(&self, name: &ValueName) -> Vec<u8> {
        self.store().get(name).await.unwrap().unwrap().value
    }

    /// Puts bytes under a name, or with none removes what is there.
    pub async fn set(&self, name: &ValueName, bytes: Option<&[u8]>) {
        let store = self.store();
        let present = store.get(name).await.unwrap().map(|kept| kept.revision);
        match (bytes, present) {
            (Some(bytes), _) => drop(store.swap(name, present, bytes).await.unwrap()),
            (None, Some(revision)) => drop(store.remove(name, revision).await.unwrap()),
            (None, None) => {}
        }
    }

    /// What a shard has seen now, and shows.
    pub async fn picture(&self) -> PictureResponse {
        let store = self.store();
        let list = async |name| store.list(&name).await.unwrap();
        let mut seen = Seen::default();
        seen.see_wish(&list(ValueName::wish()).await).unwrap();
        seen.see_schema(&list(ValueName::schema()).await).unwrap();
        seen.see_nodes(&list(ValueName::shards()).await).unwrap();
        let ring = Ring::from_bytes(&self.kept(&ValueName::ring()).await).unwrap();
        seen.see_ring(Some(ring)).unwrap();
        picture(&seen).unwrap()
    }

    /// A router of the collection, started.
    pub fn router(&self) -> Router {
        self.router_with(&[])
    }

    /// One that is told of these shards.
    pub fn router_asking(&self, shards: &[&str]) -> Router {
        self.router_with(&["--shards", &shards.join(",")])
    }

    /// One that serves by what etcd shows.
    pub async fn router_that_is_well(&self) -> Router {
        let router = self.router();
        router.is_well().await;
        router
    }

    fn router_with(&self, flags: &[&str]) -> Router {
        let ports = free_ports(2).unwrap();
        let log = self.dir.path().join(format!("log-{}", ports[0].port()));
        let child = Command::new(env!("CARGO_BIN_EXE_quoit-router"))
            .args(["--etcd", &self.etcd.endpoint()])
            .args(["--collection", &UID.to_string()])
            .args(["--listen", &ports[0].to_string()])
            .args(["--grpc", &ports[1].to_string()])
            .args(flags)
            .stdin(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Router {
            http: ports[0],
            log,
            child,
        }
    }
}

/// A router that runs.
pub struct Router {
    http: SocketAddrV4,
    log: PathBuf,
    child: Child,
}

impl Router {
    /// The status and the body of an answer, if there is one.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.http).await.ok()?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((status, body.to_owned()))
    }

    /// Waits until `/readyz` answers this, and says this.
    pub async fn tells(&self, status: u16, part: &str) {
        let what = format!(
            "/readyz to say {status} {part:?}; it logged {}",
            self.said()
        );
        until(&what, async || {
            let answer = self.ask("GET", "/readyz", "").await?;
            (answer.0 == status && answer.1.contains(part)).then_some(())
        })
        .await;
    }

    /// Waits until it is ready, and nothing is wrong.
    pub async fn is_well(&self) {
        until("the router to be well", async || {
            let answer = self.ask("GET", "/readyz", "").await?;
            (answer == (200, "ready\n".to_owned())).then_some(())
        })
        .await;
    }

    /// Writes a point.
    pub async fn put(&self, id: u64) {
        let body = format!(r#"{{"points": [{{"id": {id}, "vector": [1, {id}]}}]}}"#);
        let path = "/collections/docs/points?wait=true";
        let (status, said) = self.ask("PUT", path, &body).await.unwrap();
        assert_eq!(status, 200, "{said}");
    }

    /// Asserts that so many points are found.
    pub async fn has(&self, points: u64) {
        let path = "/collections/docs/points/count";
        let (status, said) = self.ask("POST", path, "{}").await.unwrap();
        assert_eq!(status, 200, "{said}");
        assert!(said.contains(&format!(r#""count":{points}"#)), "{said}");
    }

    /// Gives the collection another name.
    pub async fn name(&self, alias: &str) -> (u16, String) {
        let action = format!(r#"{{"alias_name": "{alias}", "collection_name": "docs"}}"#);
        let body = format!(r#"{{"actions": [{{"create_alias": {action}}}]}}"#);
        self.ask("POST", "/collections/aliases", &body)
            .await
            .unwrap()
    }

    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // It may have ended; then the log says why.
        drop(self.child.kill());
        self.child.wait().unwrap();
        if std::thread::panicking() {
            eprintln!("--- router:\n{}", self.said());
        }
    }
}
