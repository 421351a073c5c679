//! The tries of one call that are on their way, to one replica each.

use std::future::Future;
use std::pin::Pin;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use quoit_proto::ShardError;

use super::live::Sent;

/// An answer, and by its number the try that it is to.
type Numbered<'a, T> = Pin<Box<dyn Future<Output = (usize, Result<T, ShardError>)> + Send + 'a>>;

/// Some tries. Those that are left when this is dropped are given up.
pub(super) struct Tries<'a, T> {
    answers: FuturesUnordered<Numbered<'a, T>>,
    /// By their numbers; `None` where one has ended.
    sent: Vec<Option<Sent>>,
}

impl<'a, T: 'a> Tries<'a, T> {
    pub(super) fn new() -> Self {
        Self {
            answers: FuturesUnordered::new(),
            sent: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// One more.
    pub(super) fn push(
        &mut self,
        sent: Sent,
        answer: impl Future<Output = Result<T, ShardError>> + Send + 'a,
    ) {
        let number = self.sent.len();
        self.sent.push(Some(sent));
        self.answers
            .push(Box::pin(async move { (number, answer.await) }));
    }

    /// The next answer; never, if none is on its way.
    pub(super) async fn next(&mut self) -> (Sent, Result<T, ShardError>) {
        loop {
            match self.answers.next().await {
                Some((number, answer)) => {
                    if let Some(sent) = self.sent[number].take() {
                        return (sent, answer);
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Whether one is on its way to a replica.
    pub(super) fn has(&self, node: u64) -> bool {
        let on_their_way = self.sent.iter().flatten();
        on_their_way.map(Sent::name).any(|name| name.node == node)
    }
}
