//! One replica as calls see it: what is on its way to it, how quick it was, and whether
//! it is asked at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quoit_proto::{ErrorKind, ShardClient};
use tokio::time::Instant;

use super::Replica;
use super::choose::Candidate;
use super::circuit::Circuit;
use super::failures::Name;
use super::judge::{Sign, of_replica};
use crate::metrics::{IN_FLIGHT, OPEN_CIRCUITS};

/// Who is silent for so long is not well, whatever it may say yet. Others are asked.
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// What was measured longer ago says nothing of now: so a replica that was slow is
/// given another chance.
const MEASURE_COUNTS: Duration = Duration::from_secs(10);

/// A replica that is kept from calls, for a while.
#[derive(Debug)]
pub(super) struct Live {
    name: Name,
    replica: Replica,
    in_flight: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether it does its work.
    serving: Circuit,
    /// Whether it is as fresh as it is asked to be. One that is cut off from its leader
    /// still serves those who do not mind.
    fresh: Circuit,
    latency: Option<(Duration, Instant)>,
}

/// Whether a call minds how old an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// It does.
    Fresh,
    /// Any will do.
    Anything,
}

impl Live {
    pub(super) fn new(replica: Replica) -> Self {
        Self {
            name: Name {
                ordinal: replica.ordinal,
                node: replica.node,
            },
            replica,
            in_flight: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> Name {
        self.name
    }

    /// Whether it is still the same, and not another at the same place or by another way.
    pub(super) fn is(&self, replica: &Replica) -> bool {
        let Replica {
            node,
            ordinal,
            zone,
            client,
        } = &self.replica;
        (*node, *ordinal, zone) == (replica.node, replica.ordinal, &replica.zone)
            && Arc::ptr_eq(client, &replica.client)
    }

    pub(super) fn client(&self) -> Arc<dyn ShardClient> {
        Arc::clone(&self.replica.client)
    }

    /// What is changed under the lock is whole at each line.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a choice knows of it.
    pub(super) fn candidate(&self, zone: &str, needs: Needs, now: Instant) -> Candidate {
        let state = self.state();
        let measured = state.latency;
        let measured = measured.filter(|(_, at)| now.duration_since(*at) < MEASURE_COUNTS);
        let theirs = self.replica.zone.as_str();
        Candidate {
            node: self.name.node,
            is_near: theirs == zone || zone.is_empty() || theirs.is_empty(),
            is_allowed: state.serving.allows(now)
                && (needs == Needs::Anything || state.fresh.allows(now)),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            latency: measured.map_or(Duration::ZERO, |(latency, _)| latency),
        }
    }

    /// A call is sent.
    pub(super) fn send(self: &Arc<Self>, needs: Needs) -> Sent {
        let now = Instant::now();
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!(IN_FLIGHT).increment(1.0);
        let mut state = self.state();
        Sent {
            live: Arc::clone(self),
            at: now,
            probes_serving: state.serving.begin(now),
            probes_fresh: needs == Needs::Fresh && state.fresh.begin(now),
            needs,
            is_told: false,
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.state().serving.is_open() {
            metrics::gauge!(OPEN_CIRCUITS).decrement(1.0);
        }
    }
}

/// What the age of a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Took {
    /// The time that it took.
    All,
    /// It would have taken longer.
    AtLeast,
}

/// A call that is on its way. One that is dropped was given up.
#[derive(Debug)]
pub(super) struct Sent {
    live: Arc<Live>,
    at: Instant,
    probes_serving: bool,
    probes_fresh: bool,
    needs: Needs,
    /// What came of it has been said.
    is_told: bool,
}

impl Sent {
    pub(super) fn name(&self) -> Name {
        self.live.name
    }

    /// How long it has been on its way.
    pub(super) fn age(&self) -> Duration {
        self.at.elapsed()
    }

    /// It was answered.
    pub(super) fn answered(mut self) {
        self.tell(|state, sent, _| {
            state.serving.succeed();
            if sent.needs == Needs::Fresh {
                state.fresh.succeed();
            }
        });
        self.measure(Took::All);
    }

    /// It failed so.
    pub(super) fn failed(mut self, kind: ErrorKind) {
        match of_replica(kind) {
            Sign::Well => self.tell(|state, sent, now| {
                state.serving.succeed();
                state.fresh.give_up(sent.probes_fresh, now);
            }),
            Sign::Behind => self.tell(|state, sent, now| {
                state.serving.succeed();
                state.fresh.fail(sent.probes_fresh, now, super::dice());
            }),
            Sign::Ill => self.fell_ill(),
        }
    }

    fn fell_ill(&mut self) {
        self.tell(|state, sent, now| {
            state.serving.fail(sent.probes_serving, now, super::dice());
            state.fresh.give_up(sent.probes_fresh, now);
        });
    }

    /// Changes what is known of the replica, and tells when calls begin or cease to be
    /// kept from it.
    fn tell(&mut self, change: impl FnOnce(&mut State, &Self, Instant)) {
        let (before, after) = {
            let mut state = self.live.state();
            let before = state.serving.is_open();
            change(&mut state, self, Instant::now());
            (before, state.serving.is_open())
        };
        self.is_told = true;
        let replica = self.live.name;
        match (before, after) {
            (false, true) => {
                metrics::gauge!(OPEN_CIRCUITS).increment(1.0);
                tracing::warn!(%replica, "a replica fails or is silent: it is left alone for a while");
            }
            (true, false) => {
                metrics::gauge!(OPEN_CIRCUITS).decrement(1.0);
                tracing::info!(%replica, "a replica answers again");
            }
            _ => {}
        }
    }

    /// The time that it took counts for a tenth.
    fn measure(&self, took: Took) {
        let (age, now) = (self.age(), Instant::now());
        let mut state = self.live.state();
        let recent = state.latency;
        let recent = recent.filter(|(_, at)| now.duration_since(*at) < MEASURE_COUNTS);
        let latency = match recent {
            Some((before, _)) if took == Took::AtLeast && age < before => return,
            Some((before, _)) => (before * 9 + age) / 10,
            None => age,
        };
        state.latency = Some((latency, now));
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!(IN_FLIGHT).decrement(1.0);
        if self.is_told {
            return;
        }
        // Another one answered sooner, or nobody waits any more.
        self.measure(Took::AtLeast);
        if self.age() < SILENCE {
            let now = Instant::now();
            let mut state = self.live.state();
            state.serving.give_up(self.probes_serving, now);
            state.fresh.give_up(self.probes_fresh, now);
        } else {
            self.fell_ill();
        }
    }
}
