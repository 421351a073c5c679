//! Reads: of the replica that is chosen, of another one if that fails or takes long.

use std::future::Future;
use std::sync::Arc;

use quoit_proto::v1::{Freshness, freshness};
use quoit_proto::{ShardClient, ShardError};
use tokio::time::Instant;

use super::choose::order;
use super::failures::Failures;
use super::judge::{Verdict, of_read};
use super::live::{Live, Needs, SILENCE};
use super::tries::Tries;
use super::turns::{Next, Turns};
use super::{ReplicaSet, dice};
use crate::metrics::{HEDGES, RETRIES};

/// The kinds of reads, which take their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Search,
    Retrieve,
    Scroll,
    Count,
    Facet,
    /// What is asked of the replica itself.
    About,
}

impl Kind {
    pub(super) const COUNT: usize = Self::About as usize + 1;

    fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Retrieve => "retrieve",
            Self::Scroll => "scroll",
            Self::Count => "count",
            Self::Facet => "facet",
            Self::About => "about",
        }
    }
}

/// What a read is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    kind: Kind,
    needs: Needs,
    /// Who is asked first, whoever else would be chosen.
    first: Option<u64>,
    /// Whether replicas are asked again when all have failed.
    persists: bool,
}

impl Read {
    /// A client's, which is waited for as a client waits.
    pub(super) fn of(kind: Kind, freshness: Option<&Freshness>) -> Self {
        let any = matches!(
            freshness.and_then(|freshness| freshness.kind.as_ref()),
            Some(freshness::Kind::Eventual(_))
        );
        Self {
            kind,
            needs: if any { Needs::Anything } else { Needs::Fresh },
            first: None,
            persists: true,
        }
    }

    /// Of a replica about itself: one that can say nothing need not be waited for.
    pub(super) fn about(first: Option<u64>) -> Self {
        Self {
            kind: Kind::About,
            needs: Needs::Anything,
            first,
            persists: false,
        }
    }
}

/// The replicas in the order in which they are asked.
fn ranked(replicas: &ReplicaSet, members: &[Arc<Live>], read: Read, turn: usize) -> Vec<u64> {
    let now = Instant::now();
    let candidates = members.iter();
    let candidates = candidates.map(|live| live.candidate(&replicas.options.zone, read.needs, now));
    let mut order = order(&candidates.collect::<Vec<_>>(), turn);
    if let Some(first) = read.first
        && let Some(at) = order.iter().position(|node| *node == first)
    {
        order[..=at].rotate_right(1);
    }
    order
}

/// Asks until there is an answer, or nobody is left to ask.
pub(super) async fn read<T, F>(
    replicas: &ReplicaSet,
    read: Read,
    ask: impl Fn(Arc<dyn ShardClient>) -> F,
) -> Result<T, ShardError>
where
    F: Future<Output = Result<T, ShardError>> + Send,
    T: Send,
{
    let begun = Instant::now();
    let turn = replicas.turn();
    replicas.pace().budget.earn();
    let mut turns = Turns::default();
    let mut failures = Failures::default();
    let mut tries = Tries::new();
    // How long those that were asked may take before another one is.
    let mut wait = replicas.pace().wait(read.kind);
    loop {
        let members = replicas.members();
        let order = ranked(replicas, &members, read, turn);
        let live = |node: u64| members.iter().find(|live| live.name().node == node);
        if tries.is_empty() {
            match turns.next(&order, dice()) {
                Next::Ask(node) => {
                    if let Some(live) = live(node) {
                        tries.push(live.send(read.needs), ask(live.client()));
                    }
                }
                Next::Pause(pause) => {
                    let time_is_up = begun.elapsed() + pause > replicas.options.patience;
                    if !read.persists || failures.is_any_busy() || time_is_up {
                        return Err(failures.read_failed(begun.elapsed()));
                    }
                    tokio::time::sleep(pause).await;
                }
            }
            continue;
        }
        tokio::select! {
            biased;
            (sent, answer) = tries.next() => match answer {
                Ok(answer) => {
                    replicas.pace().note(read.kind, sent.age());
                    sent.answered();
                    return Ok(answer);
                }
                Err(error) => {
                    let name = sent.name();
                    sent.failed(error.kind);
                    if of_read(error.kind) == Verdict::Final {
                        return Err(error);
                    }
                    failures.note(name, error);
                    metrics::counter!(RETRIES, "call" => read.kind.name()).increment(1);
                }
            },
            () = tokio::time::sleep(wait) => {
                // The more is waited in vain the less it is for this read alone.
                wait = (wait * 2).min(SILENCE);
                let may_ask = order.iter().any(|node| !turns.was_asked(*node))
                    && replicas.pace().budget.spend(Instant::now());
                let next = if may_ask { turns.ask(&order) } else { None };
                if let Some(live) = next.and_then(live) {
                    metrics::counter!(HEDGES, "call" => read.kind.name()).increment(1);
                    tries.push(live.send(read.needs), ask(live.client()));
                }
            }
        }
    }
}
