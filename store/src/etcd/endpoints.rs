//! The endpoints of one etcd. It decides which endpoint is asked, when another
//! one is, and when a call is given up:
//!
//! - one endpoint is preferred by all calls until it fails; then the next;
//! - what had no effect is tried at every endpoint, again and again, until the
//!   deadline: etcd may be choosing a leader, or starting;
//! - what may have had an effect is tried again only where that does no harm;
//! - a client that failed is dropped with its connection, so that the next one
//!   reads the files of TLS anew and logs in anew.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions};
use quoit_ring::StoreError;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::failure::{EtcdError, Fault, Meaning};
use super::values::EtcdStore;
use super::{EtcdOptions, OptionsError, tls};

/// The pause after all endpoints were tried.
const ROUND: Duration = Duration::from_millis(100);

// A connection that is silent while an answer or an event is awaited. etcd ends
// those that are asked for a sign of life more often than every five seconds.
const SILENCE: Duration = Duration::from_secs(10);
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// An etcd, by the endpoints of its members. A clone is the same one.
#[derive(Clone)]
pub struct Etcd(Arc<Inner>);

struct Inner {
    options: EtcdOptions,
    endpoints: Vec<Endpoint>,
    preferred: AtomicUsize,
}

struct Endpoint {
    url: String,
    host: String,
    port: u16,
    client: Mutex<Option<Client>>,
}

/// Whether a call may be made again when its outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// A second time changes nothing that the first did not.
    Harmless,
    /// It could undo what others did in between.
    Harmful,
}

/// A call that was given up.
pub(super) struct GivenUp {
    /// Whether it may have had an effect.
    pub(super) unknown: bool,
    pub(super) error: StoreError,
}

impl From<GivenUp> for StoreError {
    fn from(given_up: GivenUp) -> Self {
        given_up.error
    }
}

impl Etcd {
    /// The etcd of these options. It need not be there yet.
    ///
    /// # Errors
    /// The options cannot be used, or the files of TLS.
    pub fn open(options: EtcdOptions) -> Result<Self, OptionsError> {
        let endpoints = options.check()?.into_iter().map(|address| Endpoint {
            url: address.url,
            host: address.host,
            port: address.port,
            client: Mutex::new(None),
        });
        Ok(Self(Arc::new(Inner {
            endpoints: endpoints.collect(),
            preferred: AtomicUsize::new(0),
            options,
        })))
    }

    /// The values of a collection.
    #[must_use]
    pub fn store(&self, uid: Uuid) -> EtcdStore {
        EtcdStore::new(self.clone(), uid)
    }

    pub(super) fn options(&self) -> &EtcdOptions {
        &self.0.options
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        format!("etcd at {}", self.0.options.endpoints.join(", "))
    }

    /// Makes a call at one endpoint after the other until it is done, refused or
    /// out of time.
    pub(super) async fn call<T, F, Fut>(
        &self,
        again: Again,
        action: impl Fn() -> String,
        call: F,
    ) -> Result<T, GivenUp>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<T, etcd_client::Error>>,
    {
        let deadline = self.options().deadline;
        let end = Instant::now() + deadline;
        let mut said = BTreeMap::new();
        let give_up = |unknown, source| GivenUp {
            unknown,
            error: StoreError::Unavailable {
                action: format!("{} in {}", action(), self.place()),
                source: Box::new(source),
            },
        };
        // Whether an earlier try may have had an effect.
        let mut unknown = false;
        for tried in 1.. {
            let at = self.0.preferred.load(Ordering::Relaxed) % self.0.endpoints.len();
            let endpoint = &self.0.endpoints[at];
            // In a box: a client of etcd takes some kilobytes.
            let tried_at = Box::pin(self.try_at(endpoint, again, end, &call));
            let (fault, meaning) = match tried_at.await {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            let text = fault.explain(&endpoint.url, self.options());
            if meaning == Meaning::Refused {
                return Err(give_up(unknown, EtcdError::Refused(text)));
            }
            self.avoid(at);
            unknown |= meaning == Meaning::Unknown;
            if unknown && again == Again::Harmful {
                return Err(give_up(true, EtcdError::AnswerLost(text)));
            }
            if !(fault.is_cut_short(self.share()) && said.contains_key(&at)) {
                said.insert(at, text);
            }
            if tried % self.0.endpoints.len() == 0 {
                sleep(ROUND.min(end - Instant::now())).await;
            }
            if Instant::now() >= end {
                break;
            }
        }
        let said = said.into_values().collect();
        Err(give_up(unknown, EtcdError::NoEndpoint { deadline, said }))
    }

    async fn try_at<T, F, Fut>(
        &self,
        endpoint: &Endpoint,
        again: Again,
        end: Instant,
        call: F,
    ) -> Result<T, (Fault, Meaning)>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<T, etcd_client::Error>>,
    {
        // A silent endpoint may not use up the time of the others. To ask one
        // alone twice helps when its connection is what is silent.
        let share = self.share();
        let limit = share.min(end - Instant::now());
        let client = within(limit, self.client(endpoint)).await;
        let client = client.map_err(|fault| {
            let meaning = fault.before_the_call();
            (fault, meaning)
        })?;
        let left = end - Instant::now();
        let limit = match again {
            Again::Harmless => share.min(left),
            Again::Harmful => left,
        };
        let call = async { call(client).await.map_err(Fault::Client) };
        within(limit, call).await.map_err(|fault| {
            let meaning = fault.meaning();
            (fault, meaning)
        })
    }

    fn share(&self) -> Duration {
        let parts = u32::try_from(self.0.endpoints.len()).unwrap_or(u32::MAX);
        self.options().deadline / parts.max(2)
    }

    async fn client(&self, endpoint: &Endpoint) -> Result<Client, Fault> {
        if let Some(client) = endpoint.lock().clone() {
            return Ok(client);
        }
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(self.share())
            .with_keep_alive(SILENCE, SIGN_OF_LIFE)
            // A member that is cut off from the others says so, rather than
            // wait for them.
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some(files) = &self.options().tls {
            let loaded = tls::load(files).map_err(Fault::Tls)?;
            let probe = loaded.probe(&endpoint.host, endpoint.port).await;
            probe.map_err(Fault::Handshake)?;
            connect = connect.with_tls(loaded.options);
        }
        if let Some(user) = &self.options().user {
            connect = connect.with_user(&user.name, &user.password);
        }
        let client = Client::connect([&endpoint.url], Some(connect)).await;
        let client = client.map_err(Fault::Client)?;
        *endpoint.lock() = Some(client.clone());
        Ok(client)
    }

    /// Drops the connection, and prefers the next endpoint.
    fn avoid(&self, at: usize) {
        *self.0.endpoints[at].lock() = None;
        let next = (at + 1) % self.0.endpoints.len();
        // Only if no other call has seen the same and moved on already.
        let preferred = &self.0.preferred;
        let _ = preferred.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Endpoint {
    fn lock(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    timeout(limit, work)
        .await
        .unwrap_or(Err(Fault::Silence(limit)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// An etcd that is not asked, since what is called does not ask it.
    fn unasked() -> Etcd {
        let endpoints = ["http://127.0.0.1:1", "http://127.0.0.1:2"];
        Etcd::open(EtcdOptions::new(endpoints)).unwrap()
    }

    async fn call(again: Again, first: &str) -> (Result<u32, bool>, u32) {
        let tries = AtomicU32::new(0);
        let etcd = unasked();
        let called = etcd.call(again, String::new, |_| async {
            match tries.fetch_add(1, Ordering::Relaxed) {
                0 => Err(tonic::Status::unavailable(first).into()),
                count => Ok(count),
            }
        });
        let done = called.await.map_err(|given_up| given_up.unknown);
        (done, tries.into_inner())
    }

    #[tokio::test]
    async fn what_may_have_been_done_is_not_done_again_where_that_harms() {
        let lost = "connection reset";
        assert_eq!(call(Again::Harmful, lost).await, (Err(true), 1));
        assert_eq!(call(Again::Harmless, lost).await, (Ok(1), 2));
    }

    #[tokio::test]
    async fn what_was_surely_not_done_is_tried_elsewhere() {
        let no_leader = "etcdserver: no leader";
        assert_eq!(call(Again::Harmful, no_leader).await, (Ok(1), 2));
    }
}
