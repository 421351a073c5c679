//! One shard, answering. What it is asked comes in as `quoit.v1` messages through [`ShardClient`]; writes go to
//! replication, reads pin a view.

use crate::convert::{self, Misfit};
use crate::health::Health;
use crate::members::Wished;
use crate::raft::{Group, Member, Peer, Standing, chain};
use crate::replication::{Proposal, ProposeError, Replication};
use crate::upkeep::Bell;
use bytes::Bytes;
use prost::Message;
use quoit_engine::{Engine, Outcome, Params, Query, SaveGraph, View};
use quoit_filter::Path;
use quoit_proto::v1;
use quoit_proto::{ErrorKind, ShardClient, ShardError};
use quoit_ring::VnodeSet;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a write waits for the graph before it is refused.
const TAIL_PATIENCE: Duration = Duration::from_secs(30);

/// A read that compares fewer vectors than this, by estimate, runs where it is
/// asked; a longer one on a thread of its own, so that others are not kept waiting.
const COMPARED_IN_PLACE: u64 = 20_000;

/// What a replica says that was removed from its group.
const REMOVED: &str = "it is no member of its shard's group any more: fewer replicas are wished for, or a newer one has its place. Stop it and remove its data directory; or wish for as many replicas again, and it is taken in again";

/// A running shard.
pub struct Shard {
    engine: Arc<Engine>,
    group: Arc<Group>,
    health: Arc<Health>,
    bell: Arc<Bell>,
    max_tail: u64,
    caught_up: AtomicBool,
    upkeep: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

impl Shard {
    /// Of parts that run.
    pub(crate) fn new(
        engine: Arc<Engine>,
        group: Arc<Group>,
        health: Arc<Health>,
        bell: Arc<Bell>,
        max_tail: u64,
        upkeep: JoinHandle<()>,
    ) -> Self {
        Self {
            engine,
            group,
            health,
            bell,
            max_tail,
            caught_up: AtomicBool::new(false),
            upkeep: parking_lot::Mutex::new(Some(upkeep)),
        }
    }

    /// Makes the shard's group, of all its members at once. Only the very first start
    /// of a shard may do so; nothing, if this replica knows of a group already.
    ///
    /// # Errors
    /// The shard stops.
    pub async fn bootstrap(&self, members: BTreeMap<u64, Member>) -> Result<(), ShardError> {
        let made = self.group.initialize(members).await;
        made.map_err(|e| refused(&e))
    }

    /// Gives a new shard its first vnodes, if this replica leads and nobody did before.
    ///
    /// # Errors
    /// It does not lead, or too few members can be reached.
    pub async fn found(&self, vnodes: &VnodeSet) -> Result<(), ShardError> {
        // Who leads and has applied all that came before knows whether it was done.
        self.strong_view().await?;
        if self.engine.is_founded() {
            return Ok(());
        }
        let vnodes = vnodes.to_bytes();
        let found = v1::log_entry::Kind::Found(v1::Found { vnodes });
        self.propose(found).await.map(drop)
    }

    /// Takes the next step towards the members that are wished for, if this replica
    /// leads; says whether there may be another.
    ///
    /// # Errors
    /// It does not lead any more, or the step was not agreed on in time.
    pub async fn settle(&self, wished: &Wished) -> Result<bool, ShardError> {
        self.group.settle(wished).await.map_err(|e| refused(&e))
    }

    /// Whether this replica's group is there: made, or joined.
    ///
    /// # Errors
    /// The shard stops.
    pub async fn is_member(&self) -> Result<bool, ShardError> {
        self.group.is_initialized().await.map_err(|e| refused(&e))
    }

    /// The members of its group, as far as this replica knows.
    #[must_use]
    pub fn members(&self) -> BTreeSet<u64> {
        self.group.members()
    }

    /// Whether the shard has taken its first vnodes, as far as this replica knows.
    #[must_use]
    pub fn is_founded(&self) -> bool {
        self.engine.is_founded()
    }

    /// Whether this replica leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.group.leadership().is_me
    }

    /// Lets another replica lead, if this one does and another can: before an orderly stop,
    /// so that nobody waits until the others miss it. From here on it takes no writes.
    pub async fn give_way(&self, patience: Duration) {
        self.group.give_way(patience).await;
    }

    /// The member of the shard's group that leads, as far as this one knows.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        self.group.leadership().leader.map(|(node, _)| node)
    }

    /// What the other members of the group may ask of this one.
    #[must_use]
    pub fn member(&self) -> Arc<dyn Peer> {
        self.group.clone()
    }

    /// Takes no more requests, finishes the writes that wait, and makes a
    /// checkpoint, so that the next start replays and indexes nothing.
    pub fn stop(&self) {
        if self.halt()
            && self.health.reads_stopped().is_none()
            && let Err(error) = self.engine.checkpoint(SaveGraph::IfAnythingIsNew)
        {
            tracing::warn!(
                error = chain(&error),
                "no checkpoint at the stop: the next start replays the log"
            );
        }
    }

    /// Stops a shard whose folder is about to be removed.
    pub fn discard(&self) {
        self.halt();
    }

    /// Ends the threads; says whether they were running.
    fn halt(&self) -> bool {
        let Some(upkeep) = self.upkeep.lock().take() else {
            return false;
        };
        self.health.begin_stopping();
        self.bell.ring();
        self.group.stop();
        if upkeep.join().is_err() {
            tracing::error!("the upkeep thread panicked");
        }
        true
    }

    /// Notified when a copy of a leader's data is there.
    pub(crate) fn copied(&self) -> Arc<Notify> {
        self.group.copied()
    }

    /// Whether there is one, which the shard is to be opened anew on.
    pub(crate) fn has_copy(&self) -> bool {
        self.group.has_copy()
    }

    /// Waits until this replica is as far as its leader was when this was called.
    /// Until it once was, it is not ready.
    ///
    /// # Errors
    /// There is no leader, or the shard stops.
    pub async fn become_ready(&self) -> Result<(), ShardError> {
        self.strong_view().await?;
        self.caught_up.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether it once was as far as its leader.
    #[must_use]
    pub fn has_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    /// Whether it answers and another may go: it is founded, has once caught up, votes,
    /// and knows of a leader. While one that came anew does not vote yet, the one whose
    /// place it takes is missing still: who stops the next one then stops the shard.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.unready().is_none()
    }

    /// Why it is not ready, if it is not.
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        if let Some(why) = self.health.reads_stopped() {
            return Some(why);
        }
        let refused = self.group.copy_refused();
        let why = match self.group.standing() {
            Standing::New => "it waits to be taken into its shard's group",
            Standing::Removed => return Some(REMOVED.to_owned()),
            Standing::Learner => "it has no vote yet: it is brought as far as the others",
            Standing::Changing => "who votes in its shard is just being changed",
            Standing::Voter if self.group.leadership().leader.is_none() => {
                "it knows of no leader: are there enough of its shard's replicas, and do they reach each other?"
            }
            Standing::Voter if !self.is_founded() => "its shard has no vnodes yet",
            Standing::Voter if !self.has_caught_up() => "it is behind its leader",
            Standing::Voter if refused.is_some() => "it is far behind its leader",
            Standing::Voter => return None,
        };
        let refused = refused.map(|why| format!("; a copy of its leader's data is refused: {why}"));
        Some(why.to_owned() + &refused.unwrap_or_default())
    }

    /// Whether this replica is a member of its shard's group, as far as it knows.
    #[must_use]
    pub fn belongs(&self) -> bool {
        !matches!(self.group.standing(), Standing::New | Standing::Removed)
    }

    /// Whether it answers reads: not after damage or a failed apply.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.health.reads_stopped().is_none()
    }

    /// Whether it takes no writes because its disk was full, and so much is free
    /// now that it would if it were opened anew.
    pub(crate) fn would_be_mended_by_opening(&self, enough: u64) -> bool {
        self.health.was_stopped_by_a_full_disk()
            && self.engine.free_space().is_ok_and(|free| free > enough)
    }

    /// Logs a write and has it applied; one outcome for each of its vnodes.
    pub(crate) async fn log(&self, request: v1::WriteRequest) -> Result<Vec<Outcome>, ShardError> {
        self.group.may_write().map_err(|e| refused(&e))?;
        self.wait_for_the_graph().await?;
        self.propose(v1::log_entry::Kind::Write(request)).await
    }

    async fn propose(&self, kind: v1::log_entry::Kind) -> Result<Vec<Outcome>, ShardError> {
        let logged = v1::LogEntry { kind: Some(kind) };
        let bytes = Bytes::from(logged.encode_to_vec());
        let entry = convert::entry(logged, self.engine.params()).map_err(invalid)?;
        let outcomes = self
            .group
            .propose(Proposal { bytes, entry })
            .await
            .map_err(|e| refused(&e))?;
        self.bell.ring();
        Ok(outcomes)
    }

    /// The collection's parameters.
    pub(crate) fn params(&self) -> &Params {
        self.engine.params()
    }

    /// The group of its replicas.
    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// The newest view.
    pub(crate) fn view(&self) -> Result<Arc<View>, ShardError> {
        match self.health.reads_stopped() {
            Some(why) => Err(ShardError::new(ErrorKind::Unavailable, why)),
            None => Ok(self.engine.view()),
        }
    }

    /// Waits while too much is not indexed.
    async fn wait_for_the_graph(&self) -> Result<(), ShardError> {
        let wait = async {
            loop {
                let indexed = self.bell.indexed.notified();
                if self.engine.view().tail() <= self.max_tail {
                    return;
                }
                indexed.await;
            }
        };
        let patience = tokio::time::timeout(TAIL_PATIENCE, wait).await;
        patience.map_err(|_| {
            ShardError::new(
                ErrorKind::Busy,
                "indexing is behind the writes: try again a little later",
            )
        })
    }

    /// An engine's failure as an answer; damage stops the shard, so that it is
    /// never served.
    fn failed(&self, error: &quoit_engine::Error) -> ShardError {
        let why = chain(error);
        match error {
            quoit_engine::Error::BadQuery(_) => ShardError::new(ErrorKind::Invalid, why),
            quoit_engine::Error::Damaged { .. } => {
                tracing::error!(error = why, "damaged data: this shard stops");
                self.health.stop_all(why.clone());
                ShardError::new(ErrorKind::Unavailable, why)
            }
            _ => ShardError::new(ErrorKind::Unavailable, why),
        }
    }

    /// Runs a read, a long one on a thread of its own.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        compared: u64,
        work: impl FnOnce() -> quoit_engine::Result<T> + Send + 'static,
    ) -> Result<T, ShardError> {
        let done = if compared < COMPARED_IN_PLACE {
            work()
        } else {
            let joined = tokio::task::spawn_blocking(work).await;
            joined.map_err(|e| {
                ShardError::new(ErrorKind::Unavailable, format!("a read was cut short: {e}"))
            })?
        };
        done.map_err(|e| self.failed(&e))
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.stop();
    }
}

#[async_trait::async_trait]
impl ShardClient for Shard {
    async fn write(&self, request: v1::WriteRequest) -> Result<v1::WriteResponse, ShardError> {
        let vnodes: Vec<u32> = request.writes.iter().map(|w| w.vnode).collect();
        let outcomes = self.log(request).await?;
        Ok(convert::write_response(&vnodes, &outcomes))
    }

    async fn write_matching(
        &self,
        request: v1::WriteMatchingRequest,
    ) -> Result<v1::WriteMatchingResponse, ShardError> {
        self.change_matching(request).await
    }

    async fn search(&self, request: v1::SearchRequest) -> Result<v1::SearchResponse, ShardError> {
        let params = self.engine.params();
        let queries = request.queries.into_iter();
        let queries = queries.map(|q| convert::query(q, params));
        let queries: Vec<Query> = queries.collect::<Result<_, _>>().map_err(invalid)?;
        let view = self.view_for(request.freshness).await?;
        let vnodes = VnodeSet::from_bytes(&request.vnodes);
        let compared = queries.iter().map(|q| view.comparisons(q)).sum();
        let answer = self
            .run(compared, move || view.search(&vnodes, &queries))
            .await?;
        Ok(convert::search_response(answer, params))
    }

    async fn retrieve(
        &self,
        request: v1::RetrieveRequest,
    ) -> Result<v1::RetrieveResponse, ShardError> {
        let params = self.engine.params();
        if request.ids.len() != request.vnodes.len() {
            return Err(invalid(Misfit("as many vnodes as ids are needed".into())));
        }
        let pairs = request.ids.iter().zip(&request.vnodes);
        let pairs =
            pairs.map(|(id, v)| Ok((convert::point_id(Some(id))?, convert::vnode(*v, params)?)));
        let pairs: Vec<_> = pairs.collect::<Result<_, Misfit>>().map_err(invalid)?;
        let want = convert::want(request.with_payload, &request.with_vectors, params);
        let want = want.map_err(invalid)?;
        let view = self.view_for(request.freshness).await?;
        let answer = self
            .run(pairs.len() as u64, move || view.retrieve(&pairs, want))
            .await?;
        Ok(v1::RetrieveResponse {
            points: convert::points(answer.found, params),
            not_here: convert::not_here(&answer.not_here),
        })
    }

    async fn scroll(&self, request: v1::ScrollRequest) -> Result<v1::ScrollResponse, ShardError> {
        let from = request.from.as_ref().map(|id| convert::point_id(Some(id)));
        let from = from.transpose().map_err(invalid)?;
        let vnodes = VnodeSet::from_bytes(&request.vnodes);
        let params = self.engine.params();
        let want = convert::want(request.with_payload, &request.with_vectors, params);
        let want = want.map_err(invalid)?;
        let filter = convert::filter(request.filter).map_err(invalid)?;
        let order = request.order_by.map(convert::order_by).transpose();
        let order = order.map_err(invalid)?;
        let limit = request.limit as usize;
        let view = self.view_for(request.freshness).await?;
        let compared = u64::from(request.limit) + view.comparisons_to_filter(&filter);
        if let Some(order) = order {
            if from.is_some() {
                let what = "an order by a field has no point to begin at: leave `from` out";
                return Err(invalid(Misfit(what.into())));
            }
            // All of the field's values may come before one that meets the filter.
            let compared = compared + view.points();
            let read = move || view.scroll_by(&vnodes, &filter, &order, limit, want);
            let answer = self.run(compared, read).await?;
            return Ok(convert::ordered_response(answer, params));
        }
        let answer = self
            .run(compared, move || {
                view.scroll(&vnodes, &filter, from, limit, want)
            })
            .await?;
        Ok(v1::ScrollResponse {
            points: convert::points(answer.found, params),
            not_here: convert::not_here(&answer.not_here),
            values: Vec::new(),
        })
    }

    async fn count(&self, request: v1::CountRequest) -> Result<v1::CountResponse, ShardError> {
        let filter = convert::filter(request.filter).map_err(invalid)?;
        let vnodes = VnodeSet::from_bytes(&request.vnodes);
        let view = self.view_for(request.freshness).await?;
        let compared = view.comparisons_to_filter(&filter);
        let answer = self
            .run(compared, move || view.count_matching(&vnodes, &filter))
            .await?;
        Ok(v1::CountResponse {
            count: answer.found,
            not_here: convert::not_here(&answer.not_here),
        })
    }

    async fn facet(&self, request: v1::FacetRequest) -> Result<v1::FacetResponse, ShardError> {
        let view = self.view_for(request.freshness).await?;
        let vnodes = VnodeSet::from_bytes(&request.vnodes);
        let path = request.path.parse::<Path>();
        let path = path.map_err(|e| invalid(Misfit(e.to_string())))?;
        let filter = convert::filter(request.filter).map_err(invalid)?;
        let limit = request.limit as usize;
        let compared = view.comparisons_to_filter(&filter) + view.points();
        let count = move || view.facets(&vnodes, &path, &filter, limit);
        Ok(convert::facet_response(self.run(compared, count).await?))
    }

    async fn set_schema(
        &self,
        request: v1::SetSchemaRequest,
    ) -> Result<v1::SetSchemaResponse, ShardError> {
        let schema = request.schema.unwrap_or_default();
        // Who asks again must not fill the log.
        if schema.number > self.view()?.schema() {
            self.propose(v1::log_entry::Kind::SetSchema(schema)).await?;
        }
        Ok(v1::SetSchemaResponse {})
    }

    async fn digests(&self, _: v1::DigestsRequest) -> Result<v1::DigestsResponse, ShardError> {
        let view = self.strong_view().await?;
        let own = convert::replica_digests(self.group.node(), &view);
        Ok(v1::DigestsResponse {
            replicas: vec![own],
        })
    }

    async fn operation_counts(
        &self,
        request: v1::OperationCountsRequest,
    ) -> Result<v1::OperationCountsResponse, ShardError> {
        // Less than there are does no harm to who asks, so no leader is asked.
        let vnodes = VnodeSet::from_bytes(&request.vnodes);
        Ok(convert::operation_counts(&vnodes, &*self.view()?))
    }

    async fn status(&self) -> Result<v1::StatusResponse, ShardError> {
        let view = self.view()?;
        Ok(v1::StatusResponse {
            points: view.points(),
            indexed: view.vectors() - view.tail(),
            tail: view.tail(),
            applied_index: view.applied(),
            vnodes_owned: u32::try_from(view.readable().len()).unwrap_or(u32::MAX),
            writes_stopped: self.health.writes_stopped().unwrap_or_default(),
            segments: view.segment_count(),
            schema: view.schema(),
            payload_indexes: convert::payload_indexes(view.payload_indexes()),
        })
    }
}

fn invalid(misfit: Misfit) -> ShardError {
    ShardError::new(ErrorKind::Invalid, misfit.0)
}

fn refused(error: &ProposeError) -> ShardError {
    let kind = match error {
        ProposeError::DiskFull(_) | ProposeError::ReadOnly => ErrorKind::DiskFull,
        ProposeError::Busy(_) => ErrorKind::Busy,
        ProposeError::NotLeader { leader } => ErrorKind::NotLeader { leader: *leader },
        ProposeError::NoQuorum(_) | ProposeError::Stopped(_) => ErrorKind::Unavailable,
        ProposeError::Unknown(_) => ErrorKind::Unknown,
    };
    ShardError::new(kind, error.to_string())
}
