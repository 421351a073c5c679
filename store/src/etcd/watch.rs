//! The watch of a collection's values in etcd. It decides what is shown after
//! etcd, or the way to it, was away:
//!
//! ```text
//! list all ──▶ shown: all? ──▶ watch from the revision after ──▶ each change
//!    ▲          first time: yes                                     │
//!    │          set back: yes, as a reset                           │
//!    │          else what came since comes as changes               │
//!    └───── a pause ◀───── the watch ended, or what it ─────────────┘
//!                          was to begin with is compacted
//! ```
//!
//! It lists before it watches anew because an etcd that was restored from a
//! backup counts again from an earlier revision: a watch from a later one would
//! wait in silence.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_client::{Client, EventType, WatchOptions, WatchResponse, WatchStream};
use futures::stream::{StreamExt, unfold};
use quoit_ring::{Named, Shown, StoreError, ValueName, Values, Versioned, Watch};
use tokio::time::sleep;

use super::endpoints::Again;
use super::failure::EtcdError;
use super::values::{EtcdStore, LARGEST_ANSWER, Moment, revision};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) fn watch(store: EtcdStore, under: ValueName) -> Watch<Named> {
    let watcher = Watcher {
        store,
        under,
        held: None,
        stream: None,
        items: VecDeque::new(),
        failed: false,
        pause: Duration::ZERO,
    };
    unfold(watcher, |mut watcher| async {
        let item = watcher.next().await;
        Some((item, watcher))
    })
    .boxed()
}

struct Watcher {
    store: EtcdStore,
    under: ValueName,
    held: Option<Held>,
    stream: Option<WatchStream>,
    items: VecDeque<Result<Shown<Named>, StoreError>>,
    /// Whether an error was shown, and nothing since.
    failed: bool,
    pause: Duration,
}

/// What was shown, or is about to be.
#[derive(Clone)]
struct Held {
    named: Named,
    /// All up to here is in it.
    at: Moment,
    /// Whether what comes next can be had as changes; not if it is compacted.
    follows: bool,
}

impl Watcher {
    async fn next(&mut self) -> Result<Shown<Named>, StoreError> {
        loop {
            if let Some(item) = self.items.pop_front() {
                self.failed = item.is_err();
                return item;
            }
            match &mut self.stream {
                None => {
                    sleep(self.pause).await;
                    self.pause = (2 * self.pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                    if let Err(error) = self.begin().await {
                        self.fail(error);
                    }
                }
                Some(stream) => match stream.message().await {
                    Ok(Some(response)) => self.take(&response),
                    // Reported only if it cannot be begun anew.
                    Ok(None) | Err(_) => self.stream = None,
                },
            }
        }
    }

    fn fail(&mut self, error: StoreError) {
        self.stream = None;
        if !self.failed {
            self.items.push_back(Err(error));
        }
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        let (named, at) = self.store.all(&self.under).await?;
        let reset = match &self.held {
            Some(held) => held.is_reset_by(&named, at),
            None => false,
        };
        let (held, show) = match &self.held {
            Some(held) if held.can_be_followed(&named) && !reset => {
                // What changed comes by the watch. Where nothing did, that is news
                // to whoever was shown an error.
                (held.clone(), self.failed && held.named == named)
            }
            held => {
                let same = held.as_ref().is_some_and(|held| held.named == named);
                let follows = true;
                (Held { named, at, follows }, reset || self.failed || !same)
            }
        };
        let (key, end) = self.store.range(&self.under);
        let options = WatchOptions::new()
            .with_range(end)
            .with_start_revision(held.at.revision + 1);
        let action = || format!("watch {key}");
        let begin = |client: Client| {
            let mut watch = client
                .watch_client()
                .max_decoding_message_size(LARGEST_ANSWER);
            let (key, options) = (key.clone(), options.clone());
            async move { watch.watch(key, Some(options)).await }
        };
        let stream = self.store.etcd().call(Again::Harmless, action, begin);
        self.stream = Some(stream.await?);
        if show {
            let now = held.named.clone();
            self.items.push_back(Ok(Shown { now, reset }));
        }
        self.held = Some(held);
        Ok(())
    }

    fn take(&mut self, response: &WatchResponse) {
        if response.canceled() {
            self.stream = None;
            if response.compact_revision() > 0 {
                // It is there no more as changes, and listed anew at once.
                self.pause = Duration::ZERO;
                if let Some(held) = &mut self.held {
                    held.follows = false;
                }
            } else {
                self.fail(StoreError::Unavailable {
                    action: format!("watch {}", self.store.place(&self.under)),
                    source: Box::new(EtcdError::WatchEnded(response.cancel_reason().to_owned())),
                });
            }
            return;
        }
        self.pause = Duration::ZERO;
        let Some(held) = &mut self.held else { return };
        for event in response.events() {
            let Some(kept) = event.kv() else { continue };
            held.at.revision = held.at.revision.max(kept.mod_revision());
            let Some((name, value)) = self.store.named(&self.under, kept.clone()) else {
                continue;
            };
            match event.event_type() {
                EventType::Put => held.named.insert(name, value),
                EventType::Delete => held.named.remove(&name),
            };
            let now = held.named.clone();
            self.items.push_back(Ok(Shown { now, reset: false }));
        }
    }
}

impl Held {
    /// Whether a watch shows all that led from this to what is listed later. A
    /// removal is not shown if just its revision is compacted: some versions of
    /// etcd forget it then without a word.
    fn can_be_followed(&self, named: &Named) -> bool {
        self.follows && self.named.keys().all(|name| named.contains_key(name))
    }

    /// Whether what is listed later cannot have come from this by changes.
    fn is_reset_by(&self, named: &Named, at: Moment) -> bool {
        let seen = revision(self.at.revision);
        let other = |(name, value): (_, &Versioned<_>)| {
            value.revision.0 <= seen.0 && self.named.get(name) != Some(value)
        };
        at.cluster != self.at.cluster || at.revision < self.at.revision || named.iter().any(other)
    }
}
