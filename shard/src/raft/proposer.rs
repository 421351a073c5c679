//! Group commit: what waits is proposed as one entry of the log, so that one
//! write to disk and one message to each member carry all of it. While some
//! entries are on their way the next ones gather.

use super::log_thread::LogQueue;
use super::{Applied, Batch, Types};
use crate::replication::{Proposal, ProposeError};
use openraft::Raft;
use openraft::raft::ClientWriteResult;
use quoit_engine::Outcome;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Bytes and proposals of one entry at most: the first of it must not wait for an
/// endless last, and a message with it must arrive within a heartbeat.
const BATCH_BYTES: usize = 2 << 20;
const BATCH_PROPOSALS: usize = 1024;

/// Entries on their way at once: one is synced while the one before is applied.
const ON_THEIR_WAY: usize = 3;

/// Proposals that may wait; more are refused, not queued.
pub const QUEUE: usize = 4096;

/// Who is told what came of a proposal.
pub type Reply = oneshot::Sender<Result<Vec<Outcome>, ProposeError>>;

/// Proposes until no more can come, and waits for what is on its way.
pub async fn run(raft: Raft<Types>, log: LogQueue, mut queue: mpsc::Receiver<(Proposal, Reply)>) {
    let on_their_way = Arc::new(AtomicUsize::new(0));
    let places = Arc::new(Semaphore::new(ON_THEIR_WAY));
    while let Some(first) = queue.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else {
            break;
        };
        let mut batch = Gathering::default();
        batch.push(first);
        while batch.has_room()
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        let Gathering {
            encoded,
            decoded,
            replies,
            bytes,
        } = batch;
        // Those that are on their way may not be in the log yet.
        let all_bytes = bytes + on_their_way.load(Ordering::Relaxed);
        if let Err(refused) = log.make_room(ON_THEIR_WAY as u64, all_bytes as u64).await {
            all_told(replies, &refused);
            continue;
        }
        on_their_way.fetch_add(bytes, Ordering::Relaxed);
        let arrived = on_their_way.clone();
        metrics::histogram!("quoit_log_group_entries")
            .record(f64::from(u32::try_from(encoded.len()).unwrap_or(u32::MAX)));
        match raft.client_write_ff(Batch::of(encoded, decoded)).await {
            Ok(answer) => {
                tokio::spawn(async move {
                    let answer = answer.await;
                    arrived.fetch_sub(bytes, Ordering::Relaxed);
                    drop(place);
                    tell(replies, answer.ok());
                });
            }
            Err(fatal) => {
                arrived.fetch_sub(bytes, Ordering::Relaxed);
                all_told(replies, &ProposeError::Stopped(fatal.to_string()));
            }
        }
    }
    // What is on its way has a place each.
    let all = u32::try_from(ON_THEIR_WAY).unwrap_or(u32::MAX);
    drop(places.acquire_many(all).await);
}

#[derive(Default)]
struct Gathering {
    encoded: Vec<bytes::Bytes>,
    decoded: Vec<quoit_engine::Entry>,
    replies: Vec<Reply>,
    bytes: usize,
}

impl Gathering {
    fn push(&mut self, (proposal, reply): (Proposal, Reply)) {
        self.bytes += proposal.bytes.len();
        self.encoded.push(proposal.bytes);
        self.decoded.push(proposal.entry);
        self.replies.push(reply);
    }

    fn has_room(&self) -> bool {
        self.bytes < BATCH_BYTES && self.encoded.len() < BATCH_PROPOSALS
    }
}

/// An entry that openraft took may be committed yet, whatever the error says:
/// also one that was replaced in this member's log may live in another's.
fn tell(replies: Vec<Reply>, answer: Option<ClientWriteResult<Types>>) {
    match answer {
        Some(Ok(written)) => {
            let Applied(outcomes) = written.data;
            for (reply, outcomes) in replies.into_iter().zip(outcomes) {
                // One who no longer waits does not need the answer.
                drop(reply.send(Ok(outcomes)));
            }
        }
        Some(Err(error)) => all_told(replies, &ProposeError::Unknown(error.to_string())),
        None => {
            let why = "the shard stopped before it answered";
            all_told(replies, &ProposeError::Unknown(why.to_owned()));
        }
    }
}

fn all_told(replies: Vec<Reply>, why: &ProposeError) {
    for reply in replies {
        drop(reply.send(Err(why.clone())));
    }
}
