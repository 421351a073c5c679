//! One client: it makes one call after the other, chosen by its own dice, and
//! records each.

use parking_lot::Mutex;
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::api::Api;
use crate::mix::Mix;
use crate::plan::Plan;
use crate::record::{Answer, Call, Kind, Outcome, Record, Stamp};
use crate::recorder::Recorder;

/// The pause after a call that was not served, so that a server that is away
/// is not asked a thousand times a second.
const BREATH: Duration = Duration::from_millis(10);

/// The latest version that any client was told of, with its change, by point.
pub type Versions = Mutex<HashMap<u64, (u64, Stamp)>>;

/// What all clients share.
pub struct Shared {
    /// What the run is to do.
    pub plan: Plan,
    /// How often each kind of call is made.
    pub mix: Mix,
    /// The least time from the start of a call to that of the next one.
    pub pace: Duration,
    /// Where records go.
    pub recorder: Recorder,
    /// What conditional upserts are made on.
    pub versions: Versions,
    /// Set when clients are to end.
    pub stop: AtomicBool,
}

impl Shared {
    /// Makes a call and records it.
    pub async fn make(&self, client: u32, api: &Api, call: Call) -> Outcome {
        let start = self.recorder.now();
        let outcome = api.call(&self.plan, &call).await;
        self.recorder.keep(Record {
            client,
            start,
            end: self.recorder.now(),
            call,
            outcome: outcome.clone(),
        });
        outcome
    }

    fn learn(&self, call: &Call, outcome: &Outcome) {
        let told = match outcome {
            Outcome::Done(Answer::Changed { version }) => {
                call.stamp().map(|stamp| (*version, stamp))
            }
            Outcome::Done(Answer::Point(Some(seen))) => {
                seen.version.map(|version| (version, seen.change))
            }
            _ => None,
        };
        if let (Some(told), Some(key)) = (told, call.key()) {
            let mut versions = self.versions.lock();
            let known = versions.entry(key).or_insert(told);
            *known = (*known).max(told);
        }
    }
}

/// One client.
pub struct Client {
    number: u32,
    api: Api,
    shared: Arc<Shared>,
    random: StdRng,
    /// Changes that it has made.
    changes: u64,
    /// Where the next page begins.
    page: u64,
}

impl Client {
    /// A client that has done nothing yet.
    #[must_use]
    pub fn new(number: u32, api: Api, shared: Arc<Shared>) -> Self {
        let random = shared.plan.random([0, u64::from(number)]);
        Self {
            number,
            api,
            shared,
            random,
            changes: 0,
            page: 1,
        }
    }

    /// Works until it is to end, or the record cannot be kept.
    pub async fn run(mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) && !self.shared.recorder.has_failed() {
            let next = tokio::time::Instant::now() + self.shared.pace;
            let call = self.next();
            let outcome = self.shared.make(self.number, &self.api, call).await;
            self.shared.learn(&call, &outcome);
            if !matches!(outcome, Outcome::Done(_)) {
                tokio::time::sleep(BREATH).await;
            }
            tokio::time::sleep_until(next).await;
        }
    }

    fn next(&mut self) -> Call {
        let plan = &self.shared.plan;
        let key = self.random.random_range(0..plan.keys);
        let stamp = Stamp {
            client: self.number,
            counter: self.changes,
        };
        let call = match self.shared.mix.choose(&mut self.random) {
            Kind::PutIf => match self.shared.versions.lock().get(&key).copied() {
                Some((version, expected)) => Call::PutIf {
                    key,
                    stamp,
                    expected,
                    version,
                },
                // Nobody knows a version of it yet.
                None => Call::Put { key, stamp },
            },
            Kind::Put => Call::Put { key, stamp },
            Kind::Edit => Call::Edit { key, stamp },
            Kind::Delete => Call::Delete { key },
            Kind::Look => Call::Look { key },
            Kind::Scan => Call::Scan,
            Kind::Search => Call::Search {
                near: self.random.random_range(1..=plan.rest),
                exact: self.random.random(),
            },
            Kind::Page => {
                let from = self.page;
                let next = from + plan.page as u64;
                self.page = if next > plan.rest { 1 } else { next };
                Call::Page {
                    from: (from > 1).then_some(from),
                }
            }
            Kind::Count => {
                let group = self.random.random_range(0..=plan.groups);
                Call::Count {
                    group: (group < plan.groups).then_some(group),
                }
            }
            Kind::Get | Kind::Digests => Call::Get { key },
        };
        self.changes += u64::from(call.stamp().is_some());
        call
    }
}
