//! Several replicas of one shard as one [`ShardClient`]: a read goes to one that is near,
//! idle and well, a change to the one that leads.
//!
//! ```text
//! read ───▶ choose (whom) ─▶ tries ─▶ judge (what a failure means) ─▶ another, or an error that names all
//!             ▲   hedge (a second one, when it takes long)
//!             └── live: circuit, calls in flight, latency of each replica
//! change ─▶ turns (who is said to lead, then each) ─▶ tries ─▶ judge
//!             once (a write that is tried again is done once)
//! ```
//!
//! What is decided is decided in pure files; `read` and `change` carry it out.
//!
//! How long a call takes at most is said in two places. After [`ReplicaOptions::patience`]
//! no replica is asked any more, so that a shard without a leader fails a request and does
//! not hold it. One that was asked, and is not known to be gone, is waited for as long as
//! the caller waits: each request has a deadline of its own (`timeout`, or the server's),
//! and gives up the call then by dropping it.

mod change;
mod choose;
mod circuit;
mod failures;
mod hedge;
mod judge;
mod live;
mod once;
mod read;
mod tries;
mod turns;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use quoit_proto::v1::{
    CountRequest, CountResponse, DigestsRequest, DigestsResponse, FacetRequest, FacetResponse,
    OperationCountsRequest, OperationCountsResponse, RetrieveRequest, RetrieveResponse,
    ScrollRequest, ScrollResponse, SearchRequest, SearchResponse, SetSchemaRequest,
    SetSchemaResponse, StatusResponse, WriteMatchingRequest, WriteMatchingResponse, WriteRequest,
    WriteResponse,
};
use quoit_proto::{ErrorKind, ShardClient, ShardError};
use tokio::sync::watch;

use change::{Again, change};
use hedge::{Budget, Latencies};
use live::{Live, SILENCE};
use once::{Counts, Once};
use read::{Kind, Read, read};

/// One replica of a shard.
#[derive(Clone)]
pub struct Replica {
    /// The member of the shard's group; no other ever has this number.
    pub node: u64,
    /// Its place among the shard's replicas: 0, 1, 2 …
    pub ordinal: u32,
    /// Where its machine is; empty where that is not known.
    pub zone: String,
    /// How it is reached.
    pub client: Arc<dyn ShardClient>,
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("node", &self.node)
            .field("ordinal", &self.ordinal)
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

/// How a set of replicas is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaOptions {
    /// Where this router's machine is; empty where that is not known.
    pub zone: String,
    /// How long after a call came replicas are still asked.
    pub patience: Duration,
}

impl Default for ReplicaOptions {
    fn default() -> Self {
        Self {
            zone: String::new(),
            patience: Duration::from_secs(10),
        }
    }
}

/// The replicas of one shard, as one.
#[derive(Debug)]
pub struct ReplicaSet {
    options: ReplicaOptions,
    members: Mutex<Members>,
    /// Who is said to lead.
    leader: Mutex<Option<u64>>,
    turn: AtomicUsize,
    pace: Mutex<Pace>,
    counts: Mutex<Counts>,
}

/// Who the replicas are.
#[derive(Debug)]
struct Members {
    told: watch::Receiver<Vec<Replica>>,
    live: Arc<[Arc<Live>]>,
}

impl Members {
    /// Those there are by now. What is known of one that stays is kept.
    fn now(&mut self) -> Arc<[Arc<Live>]> {
        let replicas = self.told.borrow_and_update();
        if replicas.has_changed() {
            let kept = |replica: &Replica| {
                let known = self.live.iter().find(|live| live.is(replica));
                known.map_or_else(|| Arc::new(Live::new(replica.clone())), Arc::clone)
            };
            self.live = replicas.iter().map(kept).collect();
        }
        Arc::clone(&self.live)
    }
}

/// How long reads take, and how many may be asked twice.
#[derive(Debug, Default)]
struct Pace {
    latencies: [Latencies; Kind::COUNT],
    budget: Budget,
}

impl Pace {
    fn note(&mut self, kind: Kind, took: Duration) {
        self.latencies[kind as usize].note(took);
    }

    fn wait(&self, kind: Kind) -> Duration {
        self.latencies[kind as usize].wait()
    }
}

/// What is changed under these locks is whole at each line.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Any number.
fn dice() -> u32 {
    // The standard library draws its keys from the system's randomness.
    let drawn = RandomState::new().hash_one(0_u8).to_le_bytes();
    u32::from_le_bytes([drawn[0], drawn[1], drawn[2], drawn[3]])
}

/// An id that no other operation has.
fn operation_id() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

impl ReplicaSet {
    /// The replicas that are told of, now and later. Calls that are on their way when they
    /// change go on; what is known of a replica is kept if its client is the same.
    #[must_use]
    pub fn new(mut replicas: watch::Receiver<Vec<Replica>>, options: ReplicaOptions) -> Self {
        replicas.mark_changed();
        Self {
            options,
            members: Mutex::new(Members {
                told: replicas,
                live: Arc::new([]),
            }),
            leader: Mutex::default(),
            turn: AtomicUsize::new(0),
            pace: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    fn members(&self) -> Arc<[Arc<Live>]> {
        lock(&self.members).now()
    }

    fn leader(&self) -> Option<u64> {
        *lock(&self.leader)
    }

    /// Somebody leads, by what a replica says.
    fn follow(&self, leader: Option<u64>) {
        *lock(&self.leader) = leader;
    }

    /// One does not, by what it says or as it fails.
    fn unfollow(&self, node: u64) {
        let mut leader = lock(&self.leader);
        *leader = leader.filter(|leader| *leader != node);
    }

    fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        lock(&self.pace)
    }

    /// Finds out how many operations the vnodes of a write have had, where that is not
    /// known yet. Where nobody says, the write is sent all the same, and cannot be again.
    async fn learn_counts(&self, once: &mut Once) {
        let unknown = once.count(&lock(&self.counts));
        if unknown.is_empty() {
            return;
        }
        let vnodes = unknown.to_bytes();
        let asked = self.operation_counts(OperationCountsRequest { vnodes });
        match tokio::time::timeout(SILENCE, asked).await {
            Ok(Ok(answer)) => {
                let mut counts = lock(&self.counts);
                counts.learn_all(answer.counts);
                once.count(&counts);
            }
            Ok(Err(error)) => tracing::debug!(%error, "a write that may be tried but once"),
            Err(_) => tracing::debug!("a write that may be tried but once: no replica answers"),
        }
    }
}

/// A read that any replica answers.
macro_rules! answered {
    ($set:ident.$method:ident($request:ident) as $kind:ident) => {{
        let like = Read::of(Kind::$kind, $request.freshness.as_ref());
        read($set, like, |client| {
            let request = $request.clone();
            async move { client.$method(request).await }
        })
        .await
    }};
}

#[async_trait::async_trait]
impl ShardClient for ReplicaSet {
    async fn search(&self, request: SearchRequest) -> Result<SearchResponse, ShardError> {
        answered!(self.search(request) as Search)
    }

    async fn retrieve(&self, request: RetrieveRequest) -> Result<RetrieveResponse, ShardError> {
        answered!(self.retrieve(request) as Retrieve)
    }

    async fn scroll(&self, request: ScrollRequest) -> Result<ScrollResponse, ShardError> {
        answered!(self.scroll(request) as Scroll)
    }

    async fn count(&self, request: CountRequest) -> Result<CountResponse, ShardError> {
        answered!(self.count(request) as Count)
    }

    async fn facet(&self, request: FacetRequest) -> Result<FacetResponse, ShardError> {
        answered!(self.facet(request) as Facet)
    }

    /// As [`ShardClient::write`]. A part whose vnode is named with an id or a count of
    /// operations keeps them.
    async fn write(&self, request: WriteRequest) -> Result<WriteResponse, ShardError> {
        let mut once = Once::new(request, operation_id);
        loop {
            self.learn_counts(&mut once).await;
            let again = if once.is_repeatable() {
                Again::Safe
            } else {
                Again::Unsafe
            };
            let sent = change(self, "write", again, |client| {
                let request = once.request();
                async move { client.write(request).await }
            });
            let (response, is_sure) = sent.await.map_err(|error| once.broken_off_by(error))?;
            once.answered(response, is_sure, &mut lock(&self.counts), operation_id);
            if !once.is_to_be_sent_again() {
                return Ok(once.response());
            }
        }
    }

    /// As [`ShardClient::write_matching`]. It has no id, so that it is not tried again
    /// once it may have had an effect.
    async fn write_matching(
        &self,
        request: WriteMatchingRequest,
    ) -> Result<WriteMatchingResponse, ShardError> {
        let sent = change(self, "write_matching", Again::Unsafe, |client| {
            let request = request.clone();
            async move { client.write_matching(request).await }
        });
        sent.await.map(|(response, _)| response)
    }

    /// As [`ShardClient::set_schema`]. A schema has a number: to set it twice is to set it.
    async fn set_schema(&self, request: SetSchemaRequest) -> Result<SetSchemaResponse, ShardError> {
        let sent = change(self, "set_schema", Again::Safe, |client| {
            let request = request.clone();
            async move { client.set_schema(request).await }
        });
        sent.await.map(|(response, _)| response)
    }

    /// As its leader says, or, where that says nothing, another replica.
    async fn status(&self) -> Result<StatusResponse, ShardError> {
        let like = Read::about(self.leader());
        read(self, like, |client| async move { client.status().await }).await
    }

    async fn operation_counts(
        &self,
        request: OperationCountsRequest,
    ) -> Result<OperationCountsResponse, ShardError> {
        read(self, Read::about(self.leader()), |client| {
            let request = request.clone();
            async move { client.operation_counts(request).await }
        })
        .await
    }

    /// What all replicas have; an error, if one does not say.
    async fn digests(&self, request: DigestsRequest) -> Result<DigestsResponse, ShardError> {
        let members = self.members();
        let asked = members.iter().map(|live| async move {
            let answer = live.client().digests(request).await;
            answer.map_err(|error| {
                let kind = match error.kind {
                    // Of what only reads nothing is unknown.
                    ErrorKind::Unknown => ErrorKind::Unavailable,
                    kind => kind,
                };
                ShardError::new(kind, format!("{}: {error}", live.name()))
            })
        });
        let answers: Vec<_> = join_all(asked)
            .await
            .into_iter()
            .collect::<Result<_, _>>()?;
        if answers.is_empty() {
            return Err(ShardError::new(
                ErrorKind::Unavailable,
                "no replica is known",
            ));
        }
        let replicas = answers.into_iter().flat_map(|answer| answer.replicas);
        Ok(DigestsResponse {
            replicas: replicas.collect(),
        })
    }
}
