//! Shards in memory that search by comparing with everything, and a way to call
//! the router without a socket. Each shard can be told to fail, to have lost
//! vnodes, or to take its time.

#![allow(dead_code, reason = "each test program uses a part of this")]

pub mod catalog;
mod order;
mod score;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use quoit_filter::Path;
use quoit_proto::v1::{
    CountRequest, CountResponse, DigestsRequest, DigestsResponse, Done, Explanation, Facet,
    FacetRequest, FacetResponse, Freshness, Hit, Hits, NotHere, Operation, OperationCountsRequest,
    OperationCountsResponse, Point, ReplicaDigests, RetrieveRequest, RetrieveResponse,
    ScrollRequest, ScrollResponse, SearchRequest, SearchResponse, SetSchemaRequest,
    SetSchemaResponse, StatusResponse, Vector, VnodeDigest, VnodeOutcome, WriteMatchingRequest,
    WriteMatchingResponse, WriteRequest, WriteResponse, change, explanation, facet, operation,
    vnode_outcome,
};
use quoit_proto::{ErrorKind, ShardClient, ShardError};
use quoit_ring::{PointId, Vnode, VnodeSet};
use quoit_router::{App, CollectionLimits, Metric, ServerLimits};
use serde_json::Value;
use tower::ServiceExt;

use catalog::FakeCatalog;

/// The bounds of the tests' collections: small, so that tests can pass them.
pub const LIMITS: CollectionLimits = CollectionLimits {
    max_payload_bytes: 400,
    max_batch_points: 50,
    max_request_bytes: 16_384,
    max_search_limit: 100,
    max_batch_searches: 3,
    max_hnsw_ef: 1_000,
};

/// The size of the rings of the tests' collections.
pub const VNODES: u32 = 64;

#[derive(Debug, Clone)]
struct Stored {
    vnode: u16,
    version: u64,
    vectors: BTreeMap<String, Vec<f32>>,
    payload: Bytes,
}

#[derive(Default, Clone)]
struct State {
    points: BTreeMap<PointId, Stored>,
    seq: u64,
    lost: BTreeSet<u16>,
    fail: Option<ErrorKind>,
    delay: Duration,
    stopped: String,
    searches: Vec<SearchRequest>,
    /// How fresh each read was to be.
    freshness: Vec<Option<Freshness>>,
    /// How many writes have come, and been held up if they are to be.
    writes: usize,
}

/// One shard.
pub struct FakeShard {
    owned: VnodeSet,
    /// By the names of the vectors.
    metrics: BTreeMap<String, Metric>,
    state: Mutex<State>,
}

impl FakeShard {
    /// Of some vnodes, and vectors of these metrics.
    fn new(owned: VnodeSet, metrics: BTreeMap<String, Metric>) -> Self {
        Self {
            owned,
            metrics,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on every call fails so.
    pub fn fail(&self, kind: ErrorKind) {
        self.state().fail = Some(kind);
    }

    /// From now on a vnode is not here.
    pub fn lose(&self, vnode: u16) {
        self.state().lost.insert(vnode);
    }

    /// From now on every call takes so long.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// From now on the shard says that it refuses writes.
    pub fn stop_writes(&self, why: &str) {
        why.clone_into(&mut self.state().stopped);
    }

    /// The searches that the shard was asked for, in their order.
    pub fn searches(&self) -> Vec<SearchRequest> {
        self.state().searches.clone()
    }

    /// How fresh each of the reads was to be that have come since this was asked last.
    pub fn take_freshness(&self) -> Vec<Option<Freshness>> {
        std::mem::take(&mut self.state().freshness)
    }

    /// How many writes have come, whatever became of them.
    pub fn writes(&self) -> usize {
        self.state().writes
    }

    /// How many points it has.
    pub fn points(&self) -> usize {
        self.state().points.len()
    }

    /// From now on no call fails.
    pub fn mend(&self) {
        self.state().fail = None;
    }

    /// The first vnode that the shard owns.
    pub fn first_vnode(&self) -> u16 {
        self.owned.iter().next().unwrap().0
    }

    async fn enter_read(&self, freshness: Option<Freshness>) -> Result<(), ShardError> {
        self.state().freshness.push(freshness);
        self.enter().await
    }

    async fn enter(&self) -> Result<(), ShardError> {
        let (delay, fail) = {
            let state = self.state();
            (state.delay, state.fail)
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        fail.map_or(Ok(()), |kind| {
            Err(ShardError::new(kind, "as the test says"))
        })
    }

    fn split(&self, bits: &[u8]) -> (BTreeSet<u16>, Vec<NotHere>) {
        let lost = &self.state().lost;
        let (here, gone): (Vec<Vnode>, Vec<Vnode>) = VnodeSet::from_bytes(bits)
            .iter()
            .partition(|v| self.owned.contains(*v) && !lost.contains(&v.0));
        let not_here = gone.iter().map(|v| NotHere {
            vnode: u32::from(v.0),
        });
        (here.iter().map(|v| v.0).collect(), not_here.collect())
    }

    fn score(&self, name: &str, a: &[f32], b: &[f32]) -> f32 {
        let pairs = || a.iter().zip(b);
        match self.metrics[name] {
            Metric::Cosine | Metric::Dot => pairs().map(|(x, y)| x * y).sum(),
            Metric::Euclid => pairs().map(|(x, y)| (x - y).powi(2)).sum::<f32>().sqrt(),
            Metric::Manhattan => pairs().map(|(x, y)| (x - y).abs()).sum(),
        }
    }

    fn all_prepared(&self, vectors: Vec<Vector>) -> BTreeMap<String, Vec<f32>> {
        let prepared = |v: Vector| {
            let values = self.prepared(&v.name, v.values);
            (v.name, values)
        };
        vectors.into_iter().map(prepared).collect()
    }

    fn prepared(&self, name: &str, mut vector: Vec<f32>) -> Vec<f32> {
        if self.metrics[name] == Metric::Cosine {
            let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            if norm > 0.0 {
                for x in &mut vector {
                    *x /= norm;
                }
            }
        }
        vector
    }

    /// Says whether the operation found what it needs.
    fn change(&self, state: &mut State, vnode: u16, operation: Operation) -> bool {
        let id = PointId::try_from(&operation.id.unwrap()).unwrap();
        let present = state.points.get(&id).cloned();
        let is_met = match (&operation.only_if, &present) {
            (None, _) | (Some(operation::OnlyIf::MeetsOrMissing(_)), None) => true,
            (
                Some(operation::OnlyIf::MeetsOrMissing(filter) | operation::OnlyIf::Meets(filter)),
                Some(stored),
            ) => meets(Some(filter), id, stored),
            (Some(operation::OnlyIf::Meets(_)), None) => false,
            (Some(operation::OnlyIf::Missing(_)), present) => present.is_none(),
            (Some(operation::OnlyIf::UnchangedSince(version)), present) => {
                present.as_ref().is_some_and(|p| p.version == *version)
            }
        };
        let kind = operation.change.unwrap().kind.unwrap();
        let (vectors, payload) = match (kind, present) {
            _ if !is_met => return false,
            (change::Kind::Delete(_), _) => {
                state.points.remove(&id);
                state.seq += 1;
                return true;
            }
            (change::Kind::Upsert(upsert), _) => {
                (self.all_prepared(upsert.vectors), upsert.payload)
            }
            (_, None) => return false,
            (change::Kind::SetVectors(set), Some(mut old)) => {
                old.vectors.extend(self.all_prepared(set.vectors));
                (old.vectors, old.payload)
            }
            (change::Kind::RemoveVectors(removed), Some(mut old)) => {
                old.vectors.retain(|name, _| !removed.names.contains(name));
                (old.vectors, old.payload)
            }
            (change::Kind::EditPayload(edit), Some(old)) => {
                let edit = quoit_filter::Edit::try_from(edit).unwrap();
                (old.vectors, edit.apply(&old.payload).unwrap().into())
            }
        };
        state.seq += 1;
        let stored = Stored {
            vnode,
            version: state.seq,
            vectors,
            payload,
        };
        state.points.insert(id, stored);
        true
    }
}

fn shown(id: PointId, stored: &Stored, with_payload: bool, names: &[String]) -> Point {
    let wanted = stored
        .vectors
        .iter()
        .filter(|(name, _)| names.contains(name));
    Point {
        id: Some(id.into()),
        version: stored.version,
        payload: if with_payload {
            stored.payload.clone()
        } else {
            Bytes::new()
        },
        vectors: wanted
            .map(|(name, values)| Vector {
                name: name.clone(),
                values: values.clone(),
            })
            .collect(),
    }
}

#[async_trait::async_trait]
impl ShardClient for FakeShard {
    async fn write(&self, request: WriteRequest) -> Result<WriteResponse, ShardError> {
        self.state().writes += 1;
        self.enter().await?;
        let mut state = self.state();
        let mut outcomes = Vec::new();
        for write in request.writes {
            let vnode = u16::try_from(write.vnode).unwrap();
            assert!(!write.operations.is_empty(), "a vnode without operations");
            let here = self.owned.contains(Vnode(vnode)) && !state.lost.contains(&vnode);
            let kind = if here {
                let places = (0..).zip(write.operations);
                let left = places.filter(|(_, o)| !self.change(&mut state, vnode, o.clone()));
                let left = left.map(|(place, _)| place).collect();
                let seq = state.seq;
                vnode_outcome::Kind::Done(Done {
                    seq,
                    left,
                    ..Default::default()
                })
            } else {
                vnode_outcome::Kind::NotHere(NotHere { vnode: write.vnode })
            };
            outcomes.push(VnodeOutcome {
                vnode: write.vnode,
                kind: Some(kind),
            });
        }
        Ok(WriteResponse { outcomes })
    }

    async fn write_matching(
        &self,
        request: WriteMatchingRequest,
    ) -> Result<WriteMatchingResponse, ShardError> {
        self.enter().await?;
        let (here, not_here) = self.split(&request.vnodes);
        let mut state = self.state();
        let meeting: Vec<(PointId, u16)> = state
            .points
            .iter()
            .filter(|(_, stored)| here.contains(&stored.vnode))
            .filter(|(id, stored)| meets(request.filter.as_ref(), **id, stored))
            .map(|(id, stored)| (*id, stored.vnode))
            .collect();
        for (id, vnode) in &meeting {
            let operation = Operation {
                id: Some((*id).into()),
                only_if: None,
                change: request.change.clone(),
            };
            self.change(&mut state, *vnode, operation);
        }
        Ok(WriteMatchingResponse {
            changed: meeting.len() as u64,
            seq: state.seq,
            not_here,
        })
    }

    async fn facet(&self, request: FacetRequest) -> Result<FacetResponse, ShardError> {
        self.enter_read(request.freshness).await?;
        if request.path == "unindexed" {
            let what = "unindexed has no index to count values by";
            return Err(ShardError::new(ErrorKind::Invalid, what));
        }
        let (here, not_here) = self.split(&request.vnodes);
        let path: Path = request.path.parse().unwrap();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (id, stored) in &self.state().points {
            if here.contains(&stored.vnode) && meets(request.filter.as_ref(), *id, stored) {
                let payload = serde_json::from_slice(&stored.payload).unwrap_or_default();
                for value in path.values(&payload) {
                    if let Some(text) = value.as_str() {
                        *counts.entry(text.to_owned()).or_default() += 1;
                    }
                }
            }
        }
        let mut facets: Vec<_> = counts.into_iter().collect();
        facets.sort_by_key(|(_, points)| std::cmp::Reverse(*points));
        facets.truncate(request.limit as usize);
        let facet = |(text, points)| Facet {
            value: Some(facet::Value::Keyword(text)),
            points,
        };
        Ok(FacetResponse {
            facets: facets.into_iter().map(facet).collect(),
            not_here,
        })
    }

    async fn set_schema(&self, _: SetSchemaRequest) -> Result<SetSchemaResponse, ShardError> {
        self.enter().await?;
        Ok(SetSchemaResponse {})
    }

    async fn search(&self, request: SearchRequest) -> Result<SearchResponse, ShardError> {
        self.enter_read(request.freshness).await?;
        let (here, not_here) = self.split(&request.vnodes);
        let mut state = self.state();
        state.searches.push(request.clone());
        let results = request.queries.into_iter().map(|query| {
            let scorer = score::Scorer::new(self, &query);
            let lower = scorer.is_distance();
            let near = |score: f32| match query.score_threshold {
                None => true,
                Some(t) if lower => score <= t,
                Some(t) => score >= t,
            };
            let mut hits: Vec<Hit> = state
                .points
                .iter()
                .filter(|(_, stored)| here.contains(&stored.vnode))
                .filter(|(id, stored)| meets(query.filter.as_ref(), **id, stored))
                .filter_map(|(id, stored)| {
                    let own = stored.vectors.get(&query.using)?;
                    let point = shown(*id, stored, query.with_payload, &query.with_vectors);
                    Some(Hit {
                        point: Some(point),
                        score: scorer.score(own),
                    })
                })
                .filter(|hit| near(hit.score))
                .collect();
            hits.sort_by(|a, b| {
                if lower {
                    a.score.total_cmp(&b.score)
                } else {
                    b.score.total_cmp(&a.score)
                }
            });
            hits.truncate(query.limit as usize);
            let compared = hits.len() as u64;
            let explanation = query.explain.then(|| Explanation {
                plan: explanation::Plan::Scan.into(),
                why: explanation::Why::Few.into(),
                compared,
                ..Explanation::default()
            });
            Hits { hits, explanation }
        });
        Ok(SearchResponse {
            results: results.collect(),
            not_here,
        })
    }

    async fn retrieve(&self, request: RetrieveRequest) -> Result<RetrieveResponse, ShardError> {
        self.enter_read(request.freshness).await?;
        let state = self.state();
        let mut answer = RetrieveResponse::default();
        for (id, vnode) in request.ids.iter().zip(request.vnodes) {
            let v = u16::try_from(vnode).unwrap();
            if !self.owned.contains(Vnode(v)) || state.lost.contains(&v) {
                answer.not_here.push(NotHere { vnode });
                continue;
            }
            let id = PointId::try_from(id).unwrap();
            if let Some(stored) = state.points.get(&id) {
                let point = shown(id, stored, request.with_payload, &request.with_vectors);
                answer.points.push(point);
            }
        }
        Ok(answer)
    }

    async fn scroll(&self, request: ScrollRequest) -> Result<ScrollResponse, ShardError> {
        self.enter_read(request.freshness).await?;
        let (here, not_here) = self.split(&request.vnodes);
        if let Some(order) = &request.order_by {
            return self.ordered(&request, order);
        }
        let from = request.from.map(|id| PointId::try_from(&id).unwrap());
        let state = self.state();
        let points = state
            .points
            .iter()
            .filter(|(id, stored)| {
                here.contains(&stored.vnode) && from.is_none_or(|from| **id >= from)
            })
            .filter(|(id, stored)| meets(request.filter.as_ref(), **id, stored))
            .take(request.limit as usize)
            .map(|(id, stored)| shown(*id, stored, request.with_payload, &request.with_vectors));
        Ok(ScrollResponse {
            points: points.collect(),
            not_here,
            values: Vec::new(),
        })
    }

    async fn count(&self, request: CountRequest) -> Result<CountResponse, ShardError> {
        self.enter_read(request.freshness).await?;
        let (here, not_here) = self.split(&request.vnodes);
        let state = self.state();
        let count = state
            .points
            .iter()
            .filter(|(_, stored)| here.contains(&stored.vnode))
            .filter(|(id, stored)| meets(request.filter.as_ref(), **id, stored))
            .count();
        Ok(CountResponse {
            count: count as u64,
            not_here,
        })
    }

    async fn operation_counts(
        &self,
        _: OperationCountsRequest,
    ) -> Result<OperationCountsResponse, ShardError> {
        Ok(OperationCountsResponse::default())
    }

    async fn digests(&self, _: DigestsRequest) -> Result<DigestsResponse, ShardError> {
        self.enter().await?;
        let state = self.state();
        let vnode = |vnode: Vnode| {
            let in_it = |stored: &&Stored| stored.vnode == vnode.0;
            VnodeDigest {
                vnode: u32::from(vnode.0),
                c: 1,
                seq: state.seq,
                count: state.points.values().filter(in_it).count() as u64,
                digest: (u128::from(vnode.0) << 64 | 0xab).to_le_bytes().to_vec(),
            }
        };
        let own = ReplicaDigests {
            node: 0,
            applied: state.seq,
            vnodes: self.owned.iter().map(vnode).collect(),
        };
        Ok(DigestsResponse {
            replicas: vec![own],
        })
    }

    async fn status(&self) -> Result<StatusResponse, ShardError> {
        self.enter().await?;
        let state = self.state();
        let points = state.points.len() as u64;
        Ok(StatusResponse {
            points,
            indexed: points,
            tail: 0,
            applied_index: state.seq,
            vnodes_owned: u32::try_from(self.owned.len()).unwrap(),
            writes_stopped: state.stopped.clone(),
            segments: 1,
            schema: 0,
            payload_indexes: Vec::new(),
        })
    }
}

fn meets(filter: Option<&quoit_proto::v1::Filter>, id: PointId, stored: &Stored) -> bool {
    let filter = quoit_filter::Filter::try_from(filter.cloned().unwrap()).unwrap();
    let payload = match stored.payload.as_ref() {
        [] => serde_json::Map::new(),
        text => serde_json::from_slice(text).unwrap(),
    };
    let who = quoit_filter::Who {
        id,
        has_vector: &|name| stored.vectors.contains_key(name),
    };
    filter.is_met(who, &payload)
}

/// The ids of points that were answered.
pub fn ids(points: &Value) -> Vec<Value> {
    let points = points.as_array().unwrap();
    points.iter().map(|p| p["id"].clone()).collect()
}

/// A router over fake shards.
pub struct Server {
    /// The routes.
    pub router: axum::Router,
    /// The same by gRPC.
    pub grpc: axum::Router,
    /// The collections behind them.
    pub catalog: Arc<FakeCatalog>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The result of a call that went well.
    pub fn result(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()["result"].clone()
    }

    /// The text of the error.
    pub fn error(&self) -> String {
        let json = self.json();
        let error = json["status"]["error"].as_str();
        error
            .unwrap_or_else(|| panic!("no error: {}", self.text))
            .to_owned()
    }
}

impl Server {
    /// A router with no collections, which get so many shards.
    pub fn new(shards: u32) -> Self {
        Self::with(shards, ServerLimits::default(), LIMITS)
    }

    /// The same with other limits.
    pub fn with(shards: u32, server: ServerLimits, limits: CollectionLimits) -> Self {
        let catalog = Arc::new(FakeCatalog::new(shards, limits));
        let app = Arc::new(App::new(catalog.clone(), server, None));
        Self {
            router: quoit_router::router(app.clone()),
            grpc: quoit_router::grpc_routes(app),
            catalog,
        }
    }

    /// A router with the collection `docs` of three coordinates.
    pub async fn docs(shards: u32, metric: &str) -> Self {
        let server = Self::new(shards);
        server.create_docs(metric).await;
        server
    }

    /// The same, of collections that take large requests.
    pub async fn large(shards: u32, metric: &str) -> Self {
        let limits = CollectionLimits {
            max_request_bytes: 32 << 20,
            ..LIMITS
        };
        let server = Self::with(shards, ServerLimits::default(), limits);
        server.create_docs(metric).await;
        server
    }

    /// Makes the collection `docs`.
    pub async fn create_docs(&self, metric: &str) {
        let body = format!(r#"{{"vectors": {{"size": 3, "distance": "{metric}"}}}}"#);
        self.call("PUT", "/collections/docs", body).await.result();
    }

    /// Puts points into `docs`, of the form of the API.
    pub async fn put(&self, points: Value) {
        let body = serde_json::json!({ "points": points }).to_string();
        self.call("PUT", "/collections/docs/points?wait=true", body)
            .await
            .result();
    }

    /// Sends one request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Sends one request of a method, a path and a body.
    pub async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }
}
