//! Replicas in memory of a shard that keeps, as a real one does, the last operations of
//! each vnode; and of which each can fail, be slow, or fall silent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quoit_proto::v1::vnode_outcome::Kind as Outcome;
use quoit_proto::v1::{self, freshness};
use quoit_proto::{ErrorKind, ShardClient, ShardError};
use quoit_ring::VnodeSet;
use quoit_router::{Replica, ReplicaOptions, ReplicaSet};
use tokio::sync::watch;

/// Operations of a vnode that are remembered.
pub const WINDOW: u64 = 256;

/// What a replica does with a call before it looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Well,
    /// It answers so.
    Fails(ErrorKind),
    /// It answers nothing that needs to be fresh.
    CutOff,
    /// It says nothing for so long, and then does its work; also when nobody waits any
    /// more, as a message that is on its way comes in.
    Late(Duration),
    /// It does its work at once, and the answer is so long on its way.
    SlowToAnswer(Duration),
    /// It does its work, and the answer is lost.
    Deaf,
    /// It says nothing, and does nothing.
    Silent,
}

/// A vnode as the shard has it.
#[derive(Default)]
struct Vnode {
    w: u64,
    /// The last operations, and what was answered.
    ops: VecDeque<(u64, Vec<u8>, v1::Done)>,
    /// The writes that were done, by the ids of their points, in order.
    done: Vec<u64>,
}

#[derive(Default)]
struct State {
    leader: Option<u64>,
    vnodes: BTreeMap<u32, Vnode>,
    moods: BTreeMap<u64, Mood>,
    /// How often each replica was asked, by what.
    asked: BTreeMap<(u64, &'static str), usize>,
    /// It does not count operations, as one did that did not know of ids.
    is_old: bool,
    schemas: usize,
    matching: usize,
}

/// A shard.
#[derive(Clone, Default)]
pub struct Group(Arc<Mutex<State>>);

impl Group {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn elect(&self, leader: impl Into<Option<u64>>) {
        self.state().leader = leader.into();
    }

    pub fn mood(&self, node: u64, mood: Mood) {
        self.state().moods.insert(node, mood);
    }

    pub fn counts_nothing(&self) {
        self.state().is_old = true;
    }

    /// How often a replica was asked something.
    pub fn asked(&self, node: u64, what: &'static str) -> usize {
        let state = self.state();
        state.asked.get(&(node, what)).copied().unwrap_or_default()
    }

    /// How often any of three was.
    pub fn asked_all(&self, what: &'static str) -> usize {
        (1..=3).map(|node| self.asked(node, what)).sum()
    }

    /// What was done in a vnode, in order.
    pub fn done(&self, vnode: u32) -> Vec<u64> {
        let state = self.state();
        let vnode = state.vnodes.get(&vnode);
        vnode.map(|v| v.done.clone()).unwrap_or_default()
    }

    pub fn schemas(&self) -> usize {
        self.state().schemas
    }

    pub fn matching(&self) -> usize {
        self.state().matching
    }

    /// So many writes by others.
    pub fn others_write(&self, vnode: u32, times: u64) {
        for id in 0..times {
            let write = v1::VnodeWrite {
                op_id: id.to_le_bytes().to_vec(),
                ..write(vnode, 1_000_000 + id)
            };
            assert!(matches!(self.state().apply(&write), Outcome::Done(_)));
        }
    }

    /// A replica of it.
    pub fn replica(&self, node: u64, zone: &str) -> Replica {
        Replica {
            node,
            ordinal: u32::try_from(node).unwrap() - 1,
            zone: zone.to_owned(),
            client: Arc::new(FakeReplica {
                node,
                group: self.clone(),
            }),
        }
    }

    /// Three of them, of which the first leads, and a set of these.
    pub fn of_three() -> (Self, ReplicaSet) {
        Self::in_zones(["", "", ""], ReplicaOptions::default())
    }

    /// The same in zones.
    pub fn in_zones(zones: [&str; 3], options: ReplicaOptions) -> (Self, ReplicaSet) {
        let group = Self::default();
        group.elect(1);
        let replicas = (1..)
            .zip(zones)
            .map(|(node, zone)| group.replica(node, zone));
        let (_, told) = watch::channel(replicas.collect());
        (group, ReplicaSet::new(told, options))
    }
}

impl State {
    /// As a shard applies it.
    fn apply(&mut self, write: &v1::VnodeWrite) -> Outcome {
        let vnode = self.vnodes.entry(write.vnode).or_default();
        if !write.op_id.is_empty()
            && let Some((.., done)) = vnode.ops.iter().find(|(_, id, _)| *id == write.op_id)
        {
            return Outcome::Done(done.clone());
        }
        if let Some(since) = write.tried_since
            && vnode.w.saturating_sub(since) > WINDOW
        {
            return Outcome::Forgotten(v1::Forgotten {});
        }
        vnode.w += 1;
        let ids = write.operations.iter().map(|o| o.id.as_ref().unwrap());
        vnode.done.extend(ids.map(|id| match id.kind {
            Some(v1::point_id::Kind::Num(n)) => n,
            _ => panic!("numbers here"),
        }));
        let done = v1::Done {
            seq: vnode.done.len() as u64,
            left: Vec::new(),
            w: vnode.w,
        };
        vnode
            .ops
            .push_back((vnode.w, write.op_id.clone(), done.clone()));
        while vnode
            .ops
            .front()
            .is_some_and(|(w, ..)| w + WINDOW <= vnode.w)
        {
            vnode.ops.pop_front();
        }
        Outcome::Done(done)
    }
}

struct FakeReplica {
    node: u64,
    group: Group,
}

fn error<T>(kind: ErrorKind) -> Result<T, ShardError> {
    Err(ShardError::new(kind, "as the test says"))
}

impl FakeReplica {
    /// Does some work as its mood is. Once it is asked nobody stops it.
    async fn work<T: Send + 'static>(
        &self,
        what: &'static str,
        fresh: bool,
        work: impl FnOnce(&mut State, u64) -> Result<T, ShardError> + Send + 'static,
    ) -> Result<T, ShardError> {
        let (node, group) = (self.node, self.group.clone());
        let mood = {
            let mut state = group.state();
            *state.asked.entry((node, what)).or_default() += 1;
            state.moods.get(&node).copied().unwrap_or_default()
        };
        match mood {
            Mood::Fails(kind) => return error(kind),
            Mood::CutOff if fresh => return error(ErrorKind::Behind),
            Mood::Well | Mood::CutOff => {}
            Mood::Late(time) => {
                let late = async move {
                    tokio::time::sleep(time).await;
                    work(&mut group.state(), node)
                };
                return tokio::spawn(late).await.unwrap();
            }
            Mood::SlowToAnswer(time) => {
                let answer = work(&mut group.state(), node);
                tokio::time::sleep(time).await;
                return answer;
            }
            Mood::Deaf => {
                drop(work(&mut group.state(), node));
                return error(ErrorKind::Unknown);
            }
            Mood::Silent => std::future::pending().await,
        }
        work(&mut group.state(), node)
    }

    async fn read<T: Default + Send + 'static>(
        &self,
        what: &'static str,
        freshness: Option<v1::Freshness>,
    ) -> Result<T, ShardError> {
        let any = matches!(
            freshness.and_then(|f| f.kind),
            Some(freshness::Kind::Eventual(_))
        );
        self.work(what, !any, |_, _| Ok(T::default())).await
    }
}

fn led(state: &State, node: u64) -> Result<(), ShardError> {
    let leader = state.leader;
    if leader == Some(node) {
        return Ok(());
    }
    error(ErrorKind::NotLeader { leader })
}

#[async_trait::async_trait]
impl ShardClient for FakeReplica {
    async fn write(&self, request: v1::WriteRequest) -> Result<v1::WriteResponse, ShardError> {
        let write = move |state: &mut State, node| {
            led(state, node)?;
            let outcomes = request.writes.iter().map(|write| v1::VnodeOutcome {
                vnode: write.vnode,
                kind: Some(state.apply(write)),
            });
            let outcomes = outcomes.collect();
            Ok(v1::WriteResponse { outcomes })
        };
        self.work("write", false, write).await
    }

    async fn write_matching(
        &self,
        _: v1::WriteMatchingRequest,
    ) -> Result<v1::WriteMatchingResponse, ShardError> {
        let write = |state: &mut State, node| {
            led(state, node)?;
            state.matching += 1;
            Ok(v1::WriteMatchingResponse::default())
        };
        self.work("write_matching", true, write).await
    }

    async fn search(&self, request: v1::SearchRequest) -> Result<v1::SearchResponse, ShardError> {
        self.read("search", request.freshness).await
    }

    async fn retrieve(
        &self,
        request: v1::RetrieveRequest,
    ) -> Result<v1::RetrieveResponse, ShardError> {
        self.read("retrieve", request.freshness).await
    }

    async fn scroll(&self, request: v1::ScrollRequest) -> Result<v1::ScrollResponse, ShardError> {
        self.read("scroll", request.freshness).await
    }

    /// Says who it is.
    async fn count(&self, request: v1::CountRequest) -> Result<v1::CountResponse, ShardError> {
        let mut answer: v1::CountResponse = self.read("count", request.freshness).await?;
        answer.count = self.node;
        Ok(answer)
    }

    async fn facet(&self, request: v1::FacetRequest) -> Result<v1::FacetResponse, ShardError> {
        self.read("facet", request.freshness).await
    }

    async fn set_schema(
        &self,
        _: v1::SetSchemaRequest,
    ) -> Result<v1::SetSchemaResponse, ShardError> {
        let set = |state: &mut State, node| {
            led(state, node)?;
            state.schemas += 1;
            Ok(v1::SetSchemaResponse {})
        };
        self.work("set_schema", false, set).await
    }

    async fn status(&self) -> Result<v1::StatusResponse, ShardError> {
        let status = |_: &mut State, node| {
            Ok(v1::StatusResponse {
                applied_index: node,
                ..Default::default()
            })
        };
        self.work("status", false, status).await
    }

    async fn digests(&self, _: v1::DigestsRequest) -> Result<v1::DigestsResponse, ShardError> {
        let digests = |_: &mut State, node| {
            let own = v1::ReplicaDigests {
                node,
                ..Default::default()
            };
            Ok(v1::DigestsResponse {
                replicas: vec![own],
            })
        };
        self.work("digests", true, digests).await
    }

    async fn operation_counts(
        &self,
        request: v1::OperationCountsRequest,
    ) -> Result<v1::OperationCountsResponse, ShardError> {
        let counts = move |state: &mut State, _| {
            if state.is_old {
                return error(ErrorKind::Unavailable);
            }
            let vnodes = VnodeSet::from_bytes(&request.vnodes);
            let count = |vnode: quoit_ring::Vnode| {
                let vnode = u32::from(vnode.0);
                let w = state.vnodes.get(&vnode).map_or(0, |v| v.w);
                v1::OperationCount { vnode, w }
            };
            let counts = vnodes.iter().map(count).collect();
            Ok(v1::OperationCountsResponse { counts })
        };
        self.work("operation_counts", false, counts).await
    }
}

/// An upsert of one point, without what is in it.
pub fn write(vnode: u32, id: u64) -> v1::VnodeWrite {
    let upsert = v1::change::Kind::Upsert(v1::Upsert::default());
    v1::VnodeWrite {
        vnode,
        operations: vec![v1::Operation {
            id: Some(v1::PointId {
                kind: Some(v1::point_id::Kind::Num(id)),
            }),
            only_if: None,
            change: Some(v1::Change { kind: Some(upsert) }),
        }],
        ..Default::default()
    }
}

/// What a test does not wait longer for.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_mins(1), work).await;
    done.expect("it hangs")
}

/// Puts one point in.
pub async fn put(set: &ReplicaSet, vnode: u32, id: u64) -> Result<Outcome, ShardError> {
    let writes = vec![write(vnode, id)];
    let mut answer = in_time(set.write(v1::WriteRequest { writes })).await?;
    assert_eq!(answer.outcomes.len(), 1);
    let outcome = answer.outcomes.remove(0);
    assert_eq!(outcome.vnode, vnode);
    Ok(outcome.kind.unwrap())
}

/// A strong read: who answered it.
pub async fn reader(set: &ReplicaSet) -> Result<u64, ShardError> {
    let answer = in_time(set.count(v1::CountRequest::default())).await?;
    Ok(answer.count)
}

/// A read that does not mind how old the answer is: who answered it.
pub async fn eventual_reader(set: &ReplicaSet) -> Result<u64, ShardError> {
    let request = v1::CountRequest {
        freshness: Some(v1::Freshness {
            kind: Some(freshness::Kind::Eventual(v1::Eventual {})),
        }),
        ..Default::default()
    };
    Ok(in_time(set.count(request)).await?.count)
}
