//! Tends to a replica's place in its shard, for as long as it runs: says where it
//! is, begins the shard's group if that is new, and, where it leads, has the group
//! take what is wished for: its first vnodes, its members, its schema. Each look
//! starts from what is there, so that it does not matter what was begun before.
//! While etcd is away nothing of this is done, and data is served.

use crate::data::Record;
use crate::picture::Showing;
use crate::seen::{Seen, member};
use futures::StreamExt;
use quoit_cluster::{Beginning, NotSeen};
use quoit_process::chain;
use quoit_proto::{ShardClient, v1};
use quoit_ring::{
    Registration, RingStore, ShardId, ShardState, Shown, StoreError, SwapError, ValueName, Values,
    VnodeSet, Watch,
};
use quoit_shard::{Keeper, Shard};
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often it is looked at, also when nothing in etcd changes: who leads does.
const LOOK: Duration = Duration::from_millis(500);

/// What is tended to, and where the wish for it is.
pub struct Tended {
    /// The replica.
    pub keeper: Arc<Keeper>,
    /// Which it is.
    pub record: Record,
    /// What it says of itself.
    pub registration: Registration,
    /// What is beside the ring.
    pub values: Arc<dyn Values>,
    /// The ring.
    pub rings: Arc<dyn RingStore>,
    /// Whether it was seen that etcd knows of the group's beginning, since this
    /// process started.
    pub is_remembered: AtomicBool,
}

type Fallible<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Tends to it until it is dropped, and shows what etcd shows.
///
/// What is shown begins with what was kept of an earlier run; what is done, with what
/// etcd has shown since this one started: by old registrations a leader would take
/// out who came in meanwhile.
pub async fn tend(tended: Tended, mut showing: Showing) {
    let mut ring = tended.rings.watch();
    let mut wish = tended.values.watch(&ValueName::wish());
    let mut schema = tended.values.watch(&ValueName::schema());
    let mut nodes = tended.values.watch(&ValueName::shards());
    let mut seen = Seen::new(ShardId(tended.record.shard));
    let mut failing = String::new();
    let mut unready = None;
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            shown = next(&mut ring) => see(shown, |ring| {
                showing.see(|seen| seen.see_ring(ring.map(|kept| kept.value)))
            }),
            shown = next(&mut wish) => see(shown, |named| {
                seen.cluster.see_wish(&named)?;
                showing.see(|seen| seen.see_wish(&named))
            }),
            shown = next(&mut schema) => see(shown, |named| {
                seen.cluster.see_schema(&named)?;
                showing.see(|seen| seen.see_schema(&named))
            }),
            shown = next(&mut nodes) => see(shown, |named| {
                let seen = seen.cluster.see_nodes(&named);
                showing.see(|seen| seen.see_nodes(&named)).and(seen)
            }),
        }
        let looked = tended.look(&seen).await;
        // Once for each reason, and not with each look.
        let why = looked.err().map(|e| chain(&*e)).unwrap_or_default();
        if !why.is_empty() && why != failing {
            tracing::warn!(error = why, "the shard is not as it is wished, yet");
        }
        failing = why;
        let now = Some(tended.keeper.unready());
        if now != unready {
            if let Some(why) = now.iter().flatten().next() {
                tracing::info!(why, "this replica is not ready");
            } else {
                tracing::info!("this replica is ready");
            }
        }
        unready = now;
    }
}

/// A watch of etcd never ends.
async fn next<T>(watch: &mut Watch<T>) -> Result<Shown<T>, StoreError> {
    match watch.next().await {
        Some(shown) => shown,
        None => std::future::pending().await,
    }
}

fn see<T>(shown: Result<Shown<T>, StoreError>, take: impl FnOnce(T) -> Result<(), NotSeen>) {
    let refused = match shown {
        Ok(shown) => take(shown.now).err().map(|error| chain(&error)),
        Err(error) if !error.may_retry() => Some(chain(&error)),
        Err(error) => {
            let error = chain(&error);
            tracing::warn!(
                error,
                "etcd is away: data is served, changes of the cluster wait"
            );
            None
        }
    };
    if let Some(error) = refused {
        tracing::error!(
            error,
            "what is in etcd cannot be taken up; it is left as it was before"
        );
    }
}

impl Tended {
    async fn look(&self, seen: &Seen) -> Fallible {
        self.register(seen).await?;
        let Some(shard) = self.keeper.current() else {
            return Ok(());
        };
        metrics::gauge!("quoit_shard_leads").set(if shard.leads() { 1.0 } else { 0.0 });
        metrics::gauge!("quoit_shard_ready").set(if shard.is_ready() { 1.0 } else { 0.0 });
        if !shard.is_member().await? {
            return self.begin(&shard, seen).await;
        }
        if !shard.leads() {
            return self.catch_up(&shard).await;
        }
        if !shard.is_founded() {
            shard.found(&self.first_vnodes().await?).await?;
        }
        self.catch_up(&shard).await?;
        self.remember(&shard, seen).await?;
        if let Some(wished) = seen.wished() {
            while shard.settle(&wished).await? {}
            self.tidy(&shard, seen).await?;
        }
        if let Some(schema) = seen.cluster.schema() {
            let schema = schema.indexes.schema()?;
            if schema.number > 0 {
                let schema = Some((&schema).into());
                shard.set_schema(v1::SetSchemaRequest { schema }).await?;
            }
        }
        Ok(())
    }

    async fn catch_up(&self, shard: &Shard) -> Fallible {
        if !shard.has_caught_up() {
            shard.become_ready().await?;
        }
        Ok(())
    }

    /// Says where this node is, where that is not said yet.
    async fn register(&self, seen: &Seen) -> Fallible {
        let Some(nodes) = seen.nodes() else {
            return Ok(());
        };
        let kept = nodes.get(&self.record.node);
        if kept.is_some_and(|kept| kept.value == self.registration) {
            return Ok(());
        }
        let belongs = || self.keeper.current().is_some_and(|shard| shard.belongs());
        if seen.is_superfluous(self.record.node, self.record.ordinal) && !belongs() {
            // The leader removed it, and would again.
            return Ok(());
        }
        let name = ValueName::node(ShardId(self.record.shard), self.record.node);
        let bytes = self.registration.to_bytes();
        match self
            .values
            .swap(&name, kept.map(|k| k.revision), &bytes)
            .await
        {
            // In a conflict what was seen is old: the watch will show it.
            Ok(_) | Err(SwapError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the group, if this node is one of those that it begins with.
    async fn begin(&self, shard: &Shard, seen: &Seen) -> Fallible {
        let name = ValueName::bootstrapped(ShardId(self.record.shard));
        let beginning = if let Some(kept) = self.values.get(&name).await? {
            Beginning::from_bytes(&kept.value)?
        } else {
            let (Some(wish), Some(nodes)) = (seen.cluster.wish(), seen.nodes()) else {
                return Ok(());
            };
            let nodes = nodes.iter().map(|(n, kept)| (*n, kept.value.clone()));
            let Some(beginning) = Beginning::of(&nodes.collect(), wish.spec.replicas) else {
                return Ok(());
            };
            match self.values.swap(&name, None, &beginning.to_bytes()).await {
                Ok(_) => beginning,
                // Another wrote others: the next look reads them.
                Err(SwapError::Conflict { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        };
        if !beginning.members.contains_key(&self.record.node) {
            // It comes in when the leader sees its registration.
            return Ok(());
        }
        let members = beginning.members.iter();
        let members = members.map(|(n, r)| (*n, member(r))).collect();
        tracing::info!(members = ?beginning.members.keys(), "the shard's group begins");
        Ok(shard.bootstrap(members).await?)
    }

    /// Says again that the group has begun, where etcd has forgotten it: a backup of
    /// before was put back. New nodes would begin the group a second time.
    async fn remember(&self, shard: &Shard, seen: &Seen) -> Fallible {
        let name = ValueName::bootstrapped(ShardId(self.record.shard));
        if self.is_remembered.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.values.get(&name).await?.is_none() {
            let nodes = seen.nodes().unwrap_or_default();
            let place = |node: u64| Some((node, nodes.get(&node)?.value.clone()));
            let members: Option<_> = shard.members().into_iter().map(place).collect();
            let Some(members) = members else {
                // They register again, each for itself.
                return Ok(());
            };
            let bytes = Beginning { members }.to_bytes();
            match self.values.swap(&name, None, &bytes).await {
                Ok(_) | Err(SwapError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.is_remembered.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The vnodes that the shard is founded with: those of the first ring, and for a
    /// shard that joins later none.
    async fn first_vnodes(&self) -> Fallible<VnodeSet> {
        let id = ShardId(self.record.shard);
        let ring = self.rings.read().await?;
        let ring = ring.ok_or("the ring is gone from etcd: put it back from a backup")?;
        let ring = ring.value;
        match ring.state(id) {
            Some(ShardState::Active) => Ok(ring.vnodes_of(id)),
            Some(_) => Ok(VnodeSet::new()),
            None => {
                let why = format!(
                    "the ring in etcd has no shard {id}: put back one of this collection that has it"
                );
                Err(why.into())
            }
        }
    }

    /// Removes registrations of nodes that are no members and are not to be: routers
    /// would ask them.
    async fn tidy(&self, shard: &Shard, seen: &Seen) -> Fallible {
        let members: BTreeSet<u64> = shard.members();
        for (node, revision) in seen.superfluous(|node| members.contains(&node)) {
            let name = ValueName::node(ShardId(self.record.shard), node);
            tracing::info!(
                node,
                "its place has a newer node, or is one too many: its registration is removed"
            );
            match self.values.remove(&name, revision).await {
                Ok(_) | Err(SwapError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
