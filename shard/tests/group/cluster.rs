//! Replicas with wires between them that can be cut.

use crate::disk::Watched;
use parking_lot::Mutex;
use quoit_disk::RealDisk;
use quoit_engine::{Metric, Params, Tuning};
use quoit_proto::{ErrorKind, ShardClient, ShardError, v1};
use quoit_ring::{PointId, ShardId, VnodeCount, VnodeSet};
use quoit_shard::log::LogOptions;
use quoit_shard::{
    Keeper, Member, MemberId, Membership, Peer, PeerError, Peers, Shard, ShardOptions, Stamp,
    Timing, UpkeepOptions, Watermark,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uuid::Uuid;

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_mins(2);

fn vnodes() -> VnodeCount {
    VnodeCount::new(16).unwrap()
}

pub fn all_vnodes() -> VnodeSet {
    vnodes().iter().collect()
}

/// The wires between members: whom each can reach.
#[derive(Default)]
pub struct Wires {
    members: Mutex<BTreeMap<u64, Arc<Keeper>>>,
    /// From whom to whom nothing goes.
    cut: Mutex<BTreeSet<(u64, u64)>>,
    /// Who gets no entries of its log through.
    mute: Mutex<Option<u64>>,
    /// How often a member asked another how far it must be.
    read_indexes: AtomicUsize,
    /// What becomes of the next parts of a copy.
    troubles: Mutex<VecDeque<Trouble>>,
    /// The copies that were offered.
    copies: Mutex<BTreeSet<u64>>,
    /// The part of a copy that was sent last.
    sent: Mutex<Option<v1::SnapshotChunk>>,
    /// What was answered to copies and their parts that were not taken.
    refusals: Mutex<Vec<String>>,
}

/// What may become of a part of a copy on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It does not arrive.
    Lost,
    /// It arrives, and its answer does not come back.
    AnswerLost,
    /// Its end is missing.
    Cut,
    /// A bit of it is another.
    Damaged,
    /// It arrives a second time.
    Twice,
    /// The part before it arrives in its place.
    Late,
    /// It is one of another copy.
    OfAnotherCopy,
    /// It is one of another shard's group.
    OfAnotherGroup,
    /// It is one of another collection.
    OfAnotherCollection,
    /// It is for another member.
    ForAnother,
    /// It is of another version of the protocol.
    OfAnotherVersion,
    /// It does not say who leads.
    WithoutVote,
}

impl Wires {
    /// Cuts a member off, in both directions.
    pub fn isolate(&self, node: u64) {
        let mut cut = self.cut.lock();
        for other in 1..=5 {
            cut.insert((node, other));
            cut.insert((other, node));
        }
    }

    /// Cuts one direction.
    pub fn cut(&self, from: u64, to: u64) {
        self.cut.lock().insert((from, to));
    }

    /// From here on nothing of this member's log gets through, but that it leads does; or
    /// all of everybody's does.
    pub fn mute(&self, node: Option<u64>) {
        *self.mute.lock() = node;
    }

    /// How often members asked others how far they must be.
    pub fn read_indexes(&self) -> usize {
        self.read_indexes.load(Ordering::Relaxed)
    }

    /// What becomes of the next parts of copies, one behind the other.
    pub fn trouble(&self, troubles: &[Trouble]) {
        self.troubles.lock().extend(troubles);
    }

    /// How many troubles are still to come.
    pub fn troubles(&self) -> usize {
        self.troubles.lock().len()
    }

    /// How many copies were taken for members.
    pub fn copies(&self) -> usize {
        self.copies.lock().len()
    }

    /// What was answered to copies and their parts that were not taken.
    pub fn refusals(&self) -> Vec<String> {
        self.refusals.lock().clone()
    }

    fn note<T>(&self, answer: Result<T, PeerError>) -> Result<T, PeerError> {
        answer.inspect_err(|e| self.refusals.lock().push(e.to_string()))
    }

    pub fn heal(&self) {
        self.cut.lock().clear();
    }

    fn goes(&self, from: u64, to: u64) -> Result<(), PeerError> {
        let is_cut = self.cut.lock().contains(&(from, to));
        let cut = || PeerError::Unreachable(format!("nothing goes from {from} to {to}"));
        if is_cut { Err(cut()) } else { Ok(()) }
    }

    fn member(&self, node: u64) -> Result<Arc<dyn Peer>, PeerError> {
        let gone = || PeerError::Unreachable(format!("{node} is not running"));
        self.running(node).ok_or_else(gone)?.member()
    }

    /// One that runs now, maybe not for long.
    pub fn running(&self, node: u64) -> Option<Arc<Keeper>> {
        self.members.lock().get(&node).cloned()
    }
}

/// The wires of one member.
struct Ends {
    wires: Arc<Wires>,
    from: u64,
}

impl Peers for Ends {
    fn peer(&self, node: u64, _: &Member) -> Arc<dyn Peer> {
        Arc::new(Wire {
            wires: self.wires.clone(),
            from: self.from,
            to: node,
        })
    }
}

struct Wire {
    wires: Arc<Wires>,
    from: u64,
    to: u64,
}

impl Wire {
    /// Whom the request comes to, if it does.
    fn there(&self) -> Result<Arc<dyn Peer>, PeerError> {
        self.wires.goes(self.from, self.to)?;
        self.wires.member(self.to)
    }

    /// The answer, if it comes back.
    fn back<T>(&self, answer: Result<T, PeerError>) -> Result<T, PeerError> {
        self.wires.goes(self.to, self.from)?;
        answer
    }
}

#[async_trait::async_trait]
impl Peer for Wire {
    async fn append(&self, request: v1::AppendRequest) -> Result<v1::AppendResponse, PeerError> {
        let of_log = request.previous.is_some() || !request.entries.is_empty();
        if of_log && *self.wires.mute.lock() == Some(self.from) {
            return Err(PeerError::Unreachable("nothing of its log goes".to_owned()));
        }
        self.back(self.there()?.append(request).await)
    }

    async fn vote(&self, request: v1::BallotRequest) -> Result<v1::BallotResponse, PeerError> {
        self.back(self.there()?.vote(request).await)
    }

    async fn leader_read_index(
        &self,
        request: v1::ReadIndexRequest,
    ) -> Result<v1::ReadIndexResponse, PeerError> {
        self.wires.read_indexes.fetch_add(1, Ordering::Relaxed);
        self.back(self.there()?.leader_read_index(request).await)
    }

    async fn offer_snapshot(
        &self,
        offer: v1::SnapshotOffer,
    ) -> Result<v1::SnapshotAnswer, PeerError> {
        let there = self.there()?;
        if !offer.manifest.is_empty() {
            self.wires.copies.lock().insert(offer.export);
        }
        let answer = there.offer_snapshot(offer).await;
        self.back(self.wires.note(answer))
    }

    async fn put_chunk(
        &self,
        mut chunk: v1::SnapshotChunk,
    ) -> Result<v1::SnapshotAnswer, PeerError> {
        let there = self.there()?;
        let before = self.wires.sent.lock().replace(chunk.clone());
        let lost = || PeerError::Unreachable("it is lost".to_owned());
        let trouble = self.wires.troubles.lock().pop_front();
        let envelope = chunk.envelope.as_mut().unwrap();
        match trouble {
            None => {}
            Some(Trouble::Lost) => return Err(lost()),
            Some(Trouble::AnswerLost) => {
                self.wires.note(there.put_chunk(chunk).await)?;
                return Err(lost());
            }
            Some(Trouble::Cut) => chunk.bytes.truncate(chunk.bytes.len() / 2),
            Some(Trouble::Damaged) => {
                *chunk.bytes.last_mut().unwrap() ^= 1;
            }
            Some(Trouble::Twice) => {
                self.wires.note(there.put_chunk(chunk.clone()).await)?;
            }
            Some(Trouble::Late) => chunk = before.unwrap(),
            Some(Trouble::OfAnotherCopy) => chunk.export += 1,
            Some(Trouble::OfAnotherGroup) => envelope.group += 1,
            Some(Trouble::OfAnotherCollection) => envelope.collection[0] ^= 1,
            Some(Trouble::ForAnother) => envelope.to += 1,
            Some(Trouble::OfAnotherVersion) => envelope.version += 1,
            Some(Trouble::WithoutVote) => chunk.vote = None,
        }
        let answer = there.put_chunk(chunk).await;
        self.back(self.wires.note(answer))
    }
}

pub fn member_id(node: u64) -> MemberId {
    MemberId {
        collection: Uuid::from_u128(7),
        group: 3,
        node,
    }
}

/// The replicas of a shard, with the numbers 1, 2, 3 …
pub struct Cluster {
    dir: TempDir,
    pub wires: Arc<Wires>,
    /// That of all of them.
    pub disk: Watched,
    replicas: BTreeMap<u64, Arc<Keeper>>,
    checkpoint_bytes: u64,
}

impl Cluster {
    /// Starts a new shard with so many replicas.
    pub async fn start(replicas: u64) -> Self {
        let usual = UpkeepOptions::default().checkpoint_bytes;
        Self::start_with(replicas, usual).await
    }

    /// As [`Cluster::start`], with a checkpoint after so many bytes of log.
    pub async fn start_with(replicas: u64, checkpoint_bytes: u64) -> Self {
        let mut cluster = Self {
            checkpoint_bytes,
            dir: tempfile::tempdir().unwrap(),
            wires: Arc::default(),
            disk: Watched::new(Arc::new(RealDisk)),
            replicas: BTreeMap::new(),
        };
        for node in 1..=replicas {
            cluster.open(node, true).await;
        }
        let member = |node| {
            let ordinal = u32::try_from(node).unwrap() - 1;
            let member = Member {
                ordinal,
                ..Member::default()
            };
            (node, member)
        };
        let members = (1..=replicas).map(member).collect();
        cluster.shard(1).bootstrap(members).await.unwrap();
        let leader = cluster.leader().await;
        cluster.shard(leader).found(&all_vnodes()).await.unwrap();
        cluster
    }

    /// Starts one that is no member and has nothing.
    pub async fn start_newcomer(&mut self, node: u64) {
        self.open(node, true).await;
    }

    async fn open(&mut self, node: u64, is_new: bool) {
        let params = Params::unnamed(2, Metric::Euclid, None, vnodes());
        let options = ShardOptions {
            disk: Arc::new(self.disk.clone()),
            dir: self.dir.path().join(node.to_string()),
            stamp: Stamp::new(member_id(node), ShardId(0), &params),
            birth: is_new.then(VnodeSet::new),
            params,
            tuning: Tuning {
                index_threads: 1,
                ..Tuning::default()
            },
            upkeep: UpkeepOptions {
                watermark: Watermark {
                    stop_below: 0,
                    start_above: 0,
                },
                checkpoint_bytes: self.checkpoint_bytes,
                kept_log_bytes: self.checkpoint_bytes,
                ..UpkeepOptions::default()
            },
            log: LogOptions {
                // Short ones, since the log is cut by whole ones.
                segment_bytes: 64 << 10,
                ..LogOptions::new(7, node)
            },
            membership: Membership::Member {
                ordinal: u32::try_from(node).unwrap() - 1,
                peers: Arc::new(Ends {
                    wires: self.wires.clone(),
                    from: node,
                }),
                timing: Timing::default(),
            },
            max_tail: u64::MAX,
        };
        let shard = Arc::new(Keeper::open(options).await.unwrap());
        self.wires.members.lock().insert(node, shard.clone());
        self.replicas.insert(node, shard);
    }

    pub fn replica(&self, node: u64) -> Arc<Keeper> {
        self.replicas[&node].clone()
    }

    /// The folder of one.
    pub fn dir_of(&self, node: u64) -> PathBuf {
        self.dir.path().join(node.to_string())
    }

    /// The shard of one that is open.
    pub fn shard(&self, node: u64) -> Arc<Shard> {
        self.replicas[&node].current().unwrap()
    }

    /// Who leads, as a replica knows it.
    pub fn leader_of(&self, node: u64) -> Option<u64> {
        self.replicas[&node].current()?.leader()
    }

    pub fn nodes(&self) -> Vec<u64> {
        self.replicas.keys().copied().collect()
    }

    /// Ends a replica as a kill does: without a checkpoint.
    pub fn kill(&mut self, node: u64) {
        self.wires.members.lock().remove(&node);
        let shard = self.replicas.remove(&node).unwrap();
        shard.discard();
    }

    /// Starts one anew that was killed.
    pub async fn restart(&mut self, node: u64) {
        self.open(node, false).await;
    }

    /// Who leads, once a majority can say so.
    pub async fn leader(&self) -> u64 {
        until("a leader", async || {
            for (node, replica) in &self.replicas {
                if self.leader_of(*node) == Some(*node) && count(&**replica).await.is_ok() {
                    return Some(*node);
                }
            }
            None
        })
        .await
    }

    /// Writes to whoever leads, and again until it is done; nothing is ever written
    /// twice with another number, so that again is no other.
    pub async fn put(&self, id: u64, number: u16) {
        until("a write", async || {
            for replica in self.replicas.values() {
                if put(&**replica, id, number).await.is_ok() {
                    return Some(());
                }
            }
            None
        })
        .await;
    }

    /// As [`Cluster::put`], by all but one.
    pub async fn put_by_others(&self, but: u64, id: u64, number: u16) {
        until("a write by the others", async || {
            for (_, replica) in self.replicas.iter().filter(|(node, _)| **node != but) {
                if put(&**replica, id, number).await.is_ok() {
                    return Some(());
                }
            }
            None
        })
        .await;
    }

    /// Waits until all that run have applied the same, and shows that they have the same.
    pub async fn settled(&self) {
        until("all to have applied the same", async || {
            let mut applied = BTreeSet::new();
            for replica in self.replicas.values() {
                applied.insert(replica.status().await.unwrap().applied_index);
            }
            (applied.len() == 1).then_some(())
        })
        .await;
        let mut all = Vec::new();
        for replica in self.replicas.values() {
            let digests = replica.digests(v1::DigestsRequest {}).await.unwrap();
            let counts = operation_counts(&**replica, &all_vnodes()).await;
            all.push((digests.replicas[0].vnodes.clone(), counts));
        }
        assert_eq!((all[0].0.len(), all[0].1.len()), (16, 16));
        assert!(all.iter().all(|vnodes| *vnodes == all[0]), "{all:?}");
    }
}

/// Upserts a point by one replica.
pub async fn put(shard: &impl ShardClient, id: u64, number: u16) -> Result<(), ShardError> {
    let writes = vec![upsert(id, number)];
    shard.write(v1::WriteRequest { writes }).await.map(drop)
}

/// An upsert of a point, which has a number.
pub fn upsert(id: u64, number: u16) -> v1::VnodeWrite {
    let key = PointId::Num(id);
    let upsert = v1::Upsert {
        vectors: vec![v1::Vector {
            name: String::new(),
            values: vec![f32::from(number); 2],
        }],
        payload: format!(r#"{{"text": "{}"}}"#, "x".repeat(2000)).into(),
    };
    let kind = Some(v1::change::Kind::Upsert(upsert));
    v1::VnodeWrite {
        vnode: u32::from(vnodes().vnode_of(&key.to_key()).0),
        operations: vec![v1::Operation {
            id: Some(key.into()),
            only_if: None,
            change: Some(v1::Change { kind }),
        }],
        ..Default::default()
    }
}

/// How many writes vnodes have taken, as one replica knows.
pub async fn operation_counts(shard: &impl ShardClient, vnodes: &VnodeSet) -> BTreeMap<u32, u64> {
    let vnodes = vnodes.to_bytes();
    let request = v1::OperationCountsRequest { vnodes };
    let answer = shard.operation_counts(request).await.unwrap();
    let counts = answer.counts.into_iter();
    counts.map(|count| (count.vnode, count.w)).collect()
}

/// A read that lacks nothing that was acknowledged before.
pub fn strong() -> v1::Freshness {
    v1::Freshness::default()
}

/// A read that takes what a replica has.
pub fn eventual() -> v1::Freshness {
    let kind = Some(v1::freshness::Kind::Eventual(v1::Eventual {}));
    v1::Freshness { kind }
}

/// A read that lacks at most what was acknowledged in this time.
pub fn bounded(most: Duration) -> v1::Freshness {
    let millis = u64::try_from(most.as_millis()).unwrap();
    let kind = Some(v1::freshness::Kind::BoundedMs(millis));
    v1::Freshness { kind }
}

/// The points that one replica says there are, strongly.
pub async fn count(shard: &impl ShardClient) -> Result<u64, ShardError> {
    count_as(shard, strong()).await
}

/// The points that one replica says there are.
pub async fn count_as(
    shard: &impl ShardClient,
    freshness: v1::Freshness,
) -> Result<u64, ShardError> {
    let request = v1::CountRequest {
        vnodes: all_vnodes().to_bytes(),
        filter: None,
        freshness: Some(freshness),
    };
    Ok(shard.count(request).await?.count)
}

/// The number in a point's vector, as one replica says, strongly.
pub async fn number_of(shard: &impl ShardClient, id: u64) -> Result<Option<f32>, ShardError> {
    number_as(shard, id, strong()).await
}

/// The number in a point's vector, as one replica says.
pub async fn number_as(
    shard: &impl ShardClient,
    id: u64,
    freshness: v1::Freshness,
) -> Result<Option<f32>, ShardError> {
    let id = PointId::Num(id);
    let request = v1::RetrieveRequest {
        ids: vec![id.into()],
        vnodes: vec![u32::from(vnodes().vnode_of(&id.to_key()).0)],
        with_payload: true,
        with_vectors: vec![String::new()],
        freshness: Some(freshness),
    };
    let answer = shard.retrieve(request).await?;
    Ok(answer.points.first().map(|p| p.vectors[0].values[0]))
}

/// Whether an error says that the replica does not lead.
pub fn is_not_leader(error: &ShardError) -> bool {
    matches!(error.kind, ErrorKind::NotLeader { .. })
}

/// Asks until the answer is the one that is waited for.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(reached) = ask().await {
            return reached;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
