//! What clients see through a router's set of replicas while members of the shard are
//! killed: nothing acknowledged is lost or done twice, and reads go on.

use crate::cluster::{
    Cluster, PATIENCE, Wires, bounded, count, count_as, eventual, number_of, until, upsert,
};
use parking_lot::Mutex;
use quoit_proto::v1::vnode_outcome::Kind as Outcome;
use quoit_proto::{ErrorKind, ShardClient, ShardError, v1};
use quoit_router::{Replica, ReplicaOptions, ReplicaSet};
use quoit_shard::Keeper;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The way to a replica, which may not be running.
struct Door {
    wires: Arc<Wires>,
    node: u64,
}

macro_rules! door {
    ($($method:ident($request:ident) -> $response:ident;)*) => {
        #[async_trait::async_trait]
        impl ShardClient for Door {
            $(async fn $method(&self, request: v1::$request) -> Result<v1::$response, ShardError> {
                self.there()?.$method(request).await
            })*

            async fn status(&self) -> Result<v1::StatusResponse, ShardError> {
                self.there()?.status().await
            }
        }
    };
}

door! {
    write(WriteRequest) -> WriteResponse;
    write_matching(WriteMatchingRequest) -> WriteMatchingResponse;
    search(SearchRequest) -> SearchResponse;
    retrieve(RetrieveRequest) -> RetrieveResponse;
    scroll(ScrollRequest) -> ScrollResponse;
    count(CountRequest) -> CountResponse;
    facet(FacetRequest) -> FacetResponse;
    digests(DigestsRequest) -> DigestsResponse;
    set_schema(SetSchemaRequest) -> SetSchemaResponse;
    operation_counts(OperationCountsRequest) -> OperationCountsResponse;
}

impl Door {
    fn there(&self) -> Result<Arc<Keeper>, ShardError> {
        let refused = || ShardError::new(ErrorKind::Unavailable, "connection refused");
        self.wires.running(self.node).ok_or_else(refused)
    }
}

/// As old as a bounded read may be.
const AGE: Duration = Duration::from_secs(3);

/// What clients were told.
struct Clients {
    set: ReplicaSet,
    ends: AtomicBool,
    next: AtomicU64,
    /// When each write was acknowledged, in order.
    acknowledged: Mutex<Vec<Instant>>,
    /// Of so many nobody knows.
    unknown: AtomicU64,
    reads: AtomicU64,
}

impl Clients {
    fn of(cluster: &Cluster) -> Arc<Self> {
        let replica = |node: u64| Replica {
            node,
            ordinal: u32::try_from(node).unwrap() - 1,
            zone: String::new(),
            client: Arc::new(Door {
                wires: cluster.wires.clone(),
                node,
            }),
        };
        let (_, told) = watch::channel(cluster.nodes().into_iter().map(replica).collect());
        let options = ReplicaOptions {
            // Whoever is busy with other tests may elect slowly.
            patience: PATIENCE,
            ..ReplicaOptions::default()
        };
        Arc::new(Self {
            set: ReplicaSet::new(told, options),
            ends: AtomicBool::new(false),
            next: AtomicU64::new(0),
            acknowledged: Mutex::default(),
            unknown: AtomicU64::new(0),
            reads: AtomicU64::new(0),
        })
    }

    fn go_on(&self) -> bool {
        !self.ends.load(Ordering::Relaxed)
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().len()
    }

    /// Puts points in, each once, and reads each when it is there.
    async fn write(&self) {
        while self.go_on() {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            match self
                .set
                .write(v1::WriteRequest {
                    writes: vec![upsert(id, 7)],
                })
                .await
            {
                Ok(answer) => {
                    let kind = answer.outcomes[0].kind.as_ref();
                    assert!(matches!(kind, Some(Outcome::Done(_))), "{answer:?}");
                    self.acknowledged.lock().push(Instant::now());
                    let seen = number_of(&self.set, id).await;
                    assert_eq!(seen.unwrap(), Some(7.0), "{id} was acknowledged");
                }
                Err(error) if error.kind == ErrorKind::Unknown => {
                    self.unknown.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => panic!("an election is waited for: {error}"),
            }
        }
    }

    /// Reads what may be old; it never fails.
    async fn read(&self) {
        while self.go_on() {
            count_as(&self.set, eventual()).await.unwrap();
            let begun = Instant::now();
            let there = count_as(&self.set, bounded(AGE)).await.unwrap();
            let is_old = |at: &&Instant| begun.duration_since(**at) > AGE;
            let least = self.acknowledged.lock().iter().filter(is_old).count();
            assert!(there >= least as u64, "{there} of {least}");
            self.reads.fetch_add(2, Ordering::Relaxed);
            // Reads that wait for nothing would leave the others no time.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn wait_for(&self, more: usize) {
        let before = self.acknowledged();
        until("writes to go on", async || {
            (self.acknowledged() >= before + more).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_are_killed_and_clients_see_nothing_lost_nothing_doubled_and_reads_go_on() {
    let mut cluster = Cluster::start(3).await;
    let clients = Clients::of(&cluster);
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let writer = clients.clone();
        tasks.push(tokio::spawn(async move { writer.write().await }));
        let reader = clients.clone();
        tasks.push(tokio::spawn(async move { reader.read().await }));
    }
    for _ in 0..3 {
        clients.wait_for(100).await;
        let leader = cluster.leader().await;
        cluster.kill(leader);
        clients.wait_for(100).await;
        cluster.restart(leader).await;
    }
    clients.ends.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    cluster.settled().await;
    let leader = cluster.replica(cluster.leader().await);
    let there = count(&*leader).await.unwrap();
    let acknowledged = clients.acknowledged() as u64;
    let unknown = clients.unknown.load(Ordering::Relaxed);
    let right = acknowledged..=acknowledged + unknown;
    assert!(right.contains(&there), "{there} of {right:?}");
    // Each change of a point counts, also one that changes nothing.
    let digests = leader.digests(v1::DigestsRequest {}).await.unwrap();
    let changes: u64 = digests.replicas[0].vnodes.iter().map(|v| v.seq).sum();
    assert_eq!(changes, there, "nothing was done twice");
    assert!(clients.reads.load(Ordering::Relaxed) > 100);
}
