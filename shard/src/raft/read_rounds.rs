//! Who asks a leader whether it still leads, and how often: one round is on its
//! way at a time, and all who come meanwhile share the next. A lone reader waits
//! for no timer, and a thousand need no more rounds than one after another can be.
//!
//! After a round that many shared the next one begins a little later, as a database
//! delays a commit that has siblings: who is answered at once comes back at once, and
//! would have a round of its own while the others are still on their way.

use crate::replication::ProposeError;
use std::future::Future;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A round that so many shared is followed by a pause …
const MANY: usize = 4;

/// … of its own length, divided by this.
const PAUSE_SHARE: u32 = 2;

/// Who waits for a round.
pub type Asker = oneshot::Sender<Result<u64, ProposeError>>;

/// Makes rounds as long as somebody can ask for one. A round counts for those who
/// asked before it began, and for no others: what was acknowledged between its
/// begin and their question it may not know. `answered` is told when a round began
/// and what came of it, before those who asked are.
pub async fn run<F>(
    mut asked: mpsc::UnboundedReceiver<Asker>,
    mut round: impl FnMut() -> F,
    answered: impl Fn(std::time::Instant, u64),
) where
    F: Future<Output = Result<u64, ProposeError>>,
{
    let mut next_from = Instant::now();
    while let Some(first) = asked.recv().await {
        let mut sharing = vec![first];
        if Instant::now() < next_from {
            tokio::time::sleep_until(next_from).await;
        }
        while let Ok(next) = asked.try_recv() {
            sharing.push(next);
        }
        metrics::counter!("quoit_read_index_rounds_total").increment(1);
        let begun = Instant::now();
        let answer = round().await;
        if let Ok(index) = answer {
            answered(begun.into_std(), index);
        }
        if sharing.len() >= MANY {
            next_from = Instant::now() + begun.elapsed() / PAUSE_SHARE;
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
    use std::time::Duration;
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
        let before_the_end = std::time::Instant::now();
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

    /// Rounds of ten milliseconds each, with their number for an answer.
    fn start_rounds() -> mpsc::UnboundedSender<Asker> {
        let (asks, asked) = mpsc::unbounded_channel();
        let mut rounds = 0;
        let round = move || {
            rounds += 1;
            let number = rounds;
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(number)
            }
        };
        tokio::spawn(run(asked, round, |_, _| {}));
        asks
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_soon_after_a_round_of_many_shares_the_next_with_those_who_come_later() {
        let asks = start_rounds();
        let many: Vec<_> = (0..MANY).map(|_| ask(&asks)).collect();
        for asker in many {
            assert_eq!(asker.await.unwrap().unwrap(), 1);
        }
        let at_once = ask(&asks);
        tokio::time::sleep(Duration::from_millis(3)).await;
        let a_little_later = ask(&asks);
        assert_eq!(at_once.await.unwrap().unwrap(), 2);
        assert_eq!(a_little_later.await.unwrap().unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_reader_waits_for_its_rounds_alone() {
        let asks = start_rounds();
        let begun = Instant::now();
        for number in 1..=5 {
            assert_eq!(ask(&asks).await.unwrap().unwrap(), number);
        }
        assert_eq!(begun.elapsed(), Duration::from_millis(50));
    }
}
