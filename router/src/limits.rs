//! How much the router takes on at once. Beyond that it says so at once, with
//! `429` and `Retry-After`: a queue without a bound turns an overload into
//! timeouts for everyone, and bodies without a bound into a lack of memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bounds on the whole router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Requests that are worked on at the same time.
    pub max_in_flight: usize,
    /// Requests that wait for one of those to end; more are refused.
    pub max_queued: usize,
    /// The bytes of all bodies that are held at the same time.
    pub max_body_bytes: usize,
    /// The bytes of one body where no collection has its own bound yet.
    pub max_request_bytes: usize,
    /// How long a request may take that names no `timeout`.
    pub timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_in_flight: 256,
            max_queued: 1024,
            max_body_bytes: 512 << 20,
            max_request_bytes: 32 << 20,
            timeout: Duration::from_mins(1),
        }
    }
}

/// A request holds a place among those in flight: no client may keep one for
/// as long as it likes. A longer wish is granted this much.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_hours(1);

/// The queue of requests that wait is full.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

/// Bodies are counted in pieces of this many bytes, since a semaphore counts
/// in 32 bits.
const PIECE: usize = 1024;

/// Lets requests in, a bounded number at a time.
pub(crate) struct Admission {
    slots: Arc<Semaphore>,
    queued: AtomicUsize,
    max_queued: usize,
    bodies: Arc<Semaphore>,
    body_pieces: u32,
}

/// A place among the requests in flight, given back when dropped.
pub(crate) struct Place {
    _slot: OwnedSemaphorePermit,
}

/// Room for a body, given back when dropped.
pub(crate) struct Room {
    _pieces: OwnedSemaphorePermit,
}

/// One waiting request, counted while it lives: also one whose client hangs
/// up stops counting.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Admission {
    pub(crate) fn new(limits: &ServerLimits) -> Self {
        let pieces = limits.max_body_bytes.div_ceil(PIECE).max(1);
        let body_pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        let slots = limits.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            queued: AtomicUsize::new(0),
            max_queued: limits.max_queued,
            bodies: Arc::new(Semaphore::new(body_pieces as usize)),
            body_pieces,
        }
    }

    /// Waits for a place, if the queue has room.
    pub(crate) async fn enter(&self) -> Result<Place, QueueFull> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(Place { _slot: slot });
        }
        let before = self.queued.fetch_add(1, Ordering::AcqRel);
        let waiting = Waiting(&self.queued);
        if before >= self.max_queued {
            return Err(QueueFull);
        }
        // Closed is what the semaphore never is.
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        drop(waiting);
        slot.map(|slot| Place { _slot: slot })
            .map_err(|_| QueueFull)
    }

    /// Waits until there is room for a body of so many bytes. A body larger
    /// than all the room there is gets all of it, not nothing for ever.
    pub(crate) async fn room_for(&self, bytes: usize) -> Result<Room, QueueFull> {
        let pieces = u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX);
        let pieces = pieces.min(self.body_pieces);
        let pieces = Arc::clone(&self.bodies).acquire_many_owned(pieces).await;
        pieces
            .map(|pieces| Room { _pieces: pieces })
            .map_err(|_| QueueFull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn admission(in_flight: usize, queued: usize) -> Admission {
        Admission::new(&ServerLimits {
            max_in_flight: in_flight,
            max_queued: queued,
            max_body_bytes: 10 * PIECE,
            ..ServerLimits::default()
        })
    }

    #[tokio::test]
    async fn a_request_waits_for_a_place_and_one_too_many_is_refused() {
        let admission = admission(1, 1);
        let first = admission.enter().await.expect("a place is free");
        let mut second = Box::pin(admission.enter());
        assert!((&mut second).now_or_never().is_none(), "it waits");
        let third = admission.enter().now_or_never();
        assert!(matches!(third, Some(Err(QueueFull))), "the queue is full");
        drop(first);
        assert!(second.await.is_ok(), "the place came free");
    }

    #[tokio::test]
    async fn a_waiting_request_that_is_given_up_leaves_the_queue() {
        let admission = admission(1, 1);
        let _first = admission.enter().await.expect("a place is free");
        {
            let mut gone = Box::pin(admission.enter());
            assert!((&mut gone).now_or_never().is_none());
        }
        let mut next = Box::pin(admission.enter());
        assert!(
            (&mut next).now_or_never().is_none(),
            "it waits and is not refused"
        );
    }

    #[tokio::test]
    async fn bodies_share_a_bounded_room() {
        let admission = admission(9, 9);
        let all = admission
            .room_for(usize::MAX)
            .await
            .expect("it gets all the room");
        assert!(
            admission.room_for(1).now_or_never().is_none(),
            "nothing is left"
        );
        drop(all);
        assert!(admission.room_for(1).now_or_never().is_some());
    }
}
