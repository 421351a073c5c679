//! Changes: by the replica that leads, whoever that is by now. While nobody does, which
//! an election takes a second or two for, a change waits.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use quoit_proto::{ErrorKind, ShardClient, ShardError};
use tokio::time::Instant;

use super::failures::Failures;
use super::judge::{Verdict, of_change};
use super::live::{Live, Needs, SILENCE};
use super::tries::Tries;
use super::turns::{Next, Turns};
use super::{ReplicaSet, dice};
use crate::metrics::RETRIES;

/// Whether a change may be sent while it is not known what became of it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It is done once, however often it comes.
    Safe,
    /// It might be done twice.
    Unsafe,
}

/// The replicas in the order in which they are asked: who is said to lead, then those
/// that are well.
fn ranked(replicas: &ReplicaSet, members: &[Arc<Live>]) -> Vec<u64> {
    let now = Instant::now();
    let candidate = |live: &Arc<Live>| live.candidate("", Needs::Anything, now);
    let all: Vec<_> = members.iter().map(candidate).collect();
    let any_allowed = all.iter().any(|c| c.is_allowed);
    let leader = replicas.leader();
    let mut order: Vec<u64> = all
        .iter()
        .filter(|c| c.is_allowed || !any_allowed || Some(c.node) == leader)
        .map(|c| c.node)
        .collect();
    order.sort_by_key(|node| Some(*node) != leader);
    order
}

/// Sends a change until it is answered, or cannot be any more. Says beside the answer
/// whether no other try was sent of which it is not known what became.
pub(super) async fn change<T, F>(
    replicas: &ReplicaSet,
    name: &'static str,
    again: Again,
    ask: impl Fn(Arc<dyn ShardClient>) -> F,
) -> Result<(T, bool), ShardError>
where
    F: Future<Output = Result<T, ShardError>> + Send,
    T: Send,
{
    let begun = Instant::now();
    let due = begun + replicas.options.patience;
    let mut turns = Turns::default();
    let mut failures = Failures::default();
    let mut tries = Tries::new();
    let mut is_sure = true;
    // When the next one is asked, also while others have not answered yet.
    let mut next_at = Some(begun);
    loop {
        if next_at.is_some_and(|at| at <= Instant::now()) {
            if Instant::now() >= due {
                // A leader may hold a change up as long as it needs; it is waited for as
                // long as the others say that it leads.
                let leader = replicas.leader().filter(|leader| tries.has(*leader));
                next_at = None;
                if leader.is_none() {
                    let after = begun.elapsed();
                    return Err(if is_sure && tries.is_empty() {
                        failures.change_refused(after)
                    } else {
                        failures.change_unknown(after)
                    });
                }
                continue;
            }
            let members = replicas.members();
            let mut order = ranked(replicas, &members);
            order.retain(|node| !tries.has(*node));
            match turns.next(&order, dice()) {
                Next::Ask(node) => {
                    let live = members.iter().find(|live| live.name().node == node);
                    if let Some(live) = live {
                        tries.push(live.send(Needs::Anything), ask(live.client()));
                    }
                    next_at = (again == Again::Safe).then(|| Instant::now() + SILENCE);
                }
                Next::Pause(pause) => next_at = Some((Instant::now() + pause).min(due)),
            }
            continue;
        }
        let wake = next_at.unwrap_or(begun);
        tokio::select! {
            biased;
            (sent, answer) = tries.next() => {
                let replica = sent.name();
                let error = match answer {
                    Ok(answer) => {
                        sent.answered();
                        // Where nothing is to be changed another one may say that it is done: it
                        // was asked as nobody is known to lead.
                        replicas.follow(Some(replica.node));
                        return Ok((answer, is_sure && tries.is_empty()));
                    }
                    Err(error) => error,
                };
                sent.failed(error.kind);
                match error.kind {
                    ErrorKind::NotLeader { leader } => replicas.follow(leader),
                    ErrorKind::Busy | ErrorKind::DiskFull | ErrorKind::Invalid => {}
                    _ => replicas.unfollow(replica.node),
                }
                match of_change(error.kind) {
                    // Of this try alone nothing was done.
                    Verdict::Final if is_sure && tries.is_empty() => return Err(error),
                    Verdict::Unknown => is_sure = false,
                    _ => {}
                }
                failures.note(replica, error);
                if !is_sure && again == Again::Unsafe {
                    return Err(failures.change_unknown(begun.elapsed()));
                }
                metrics::counter!(RETRIES, "call" => name).increment(1);
                // Who leads has the change already, and takes its time.
                let is_with_leader = replicas.leader().is_some_and(|leader| tries.has(leader));
                let pause = if is_with_leader { SILENCE } else { Duration::ZERO };
                next_at = Some(Instant::now() + pause);
            }
            () = tokio::time::sleep_until(wake), if next_at.is_some() => {}
        }
    }
}
