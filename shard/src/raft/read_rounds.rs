//! Who asks a leader whether it still leads, and how often: one round is on its
//! way at a time, and all who come meanwhile share the next. A lone reader waits
//! for no timer, and a thousand need no more rounds than one after another can be.

use crate::replication::ProposeError;
use std::future::Future;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Who waits for a round.
pub type Asker = oneshot::Sender<Result<u64, ProposeError>>;

/// Makes rounds as long as somebody can ask for one. A round counts for those who
/// asked before it began, and for no others: what was acknowledged between its
/// begin and their question it may not know. `answered` is told when a round began
/// and what came of it, before those who asked are.
pub async fn run<F>(
    mut asked: mpsc::UnboundedReceiver<Asker>,
    mut round: impl FnMut() -> F,
    answered: impl Fn(Instant, u64),
) where
    F: Future<Output = Result<u64, ProposeError>>,
{
    while let Some(first) = asked.recv().await {
        let mut sharing = vec![first];
        while let Ok(next) = asked.try_recv() {
            sharing.push(next);
        }
        metrics::counter!("quoit_read_index_rounds_total").increment(1);
        let begun = Instant::now();
        let answer = round().await;
        if let Ok(index) = answer {
            answered(begun, index);
        }
        for asker in sharing {
            // One who no longer waits does not need the answer.
            drop(asker.send(answer.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::sync::Semaphore;

    fn ask(asks: &mpsc::UnboundedSender<Asker>) -> oneshot::Receiver<Result<u64, ProposeError>> {
        let (asker, answer) = oneshot::channel();
        asks.send(asker).unwrap();
        answer
    }

    #[tokio::test]
    async fn who_comes_while_a_round_is_on_its_way_shares_the_next() {
        let (asks, asked) = mpsc::unbounded_channel();
        let (rounds, may_end) = (Arc::new(AtomicU64::new(0)), Arc::new(Semaphore::new(0)));
        let (counted, end) = (rounds.clone(), may_end.clone());
        let round = move || {
            let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let end = end.clone();
            async move {
                end.acquire().await.unwrap().forget();
                Ok(number)
            }
        };
        let (told, answers) = std::sync::mpsc::channel();
        let answered = move |begun, index| told.send((begun, index)).unwrap();
        tokio::spawn(run(asked, round, answered));
        let alone = ask(&asks);
        while rounds.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let later: Vec<_> = (0..64).map(|_| ask(&asks)).collect();
        let before_the_end = Instant::now();
        may_end.add_permits(2);
        assert_eq!(alone.await.unwrap().unwrap(), 1);
        for asker in later {
            assert_eq!(asker.await.unwrap().unwrap(), 2);
        }
        assert_eq!(rounds.load(Ordering::SeqCst), 2);
        let (begun, index) = answers.try_recv().unwrap();
        assert_eq!(index, 1);
        assert!(
            begun < before_the_end,
            "what is fresh is so since it was asked for"
        );
        assert_eq!(answers.try_recv().unwrap().1, 2);
    }
}
