//! Which faults there are, in which order: a function of a seed.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::time::Duration;

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Whoever leads a shard then.
    Leader(u32),
    /// One who does not.
    Follower(u32),
    Router,
    Etcd,
}

/// Which way nothing comes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Both,
    In,
    Out,
}

/// What of a replica's data is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Log,
    Vote,
    Checkpoint,
    Vectors,
}

/// What is left of a disk's room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Nothing: no file can grow.
    None,
    /// Less than writes need, and enough for what must go on without them.
    Little,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`; it starts again in a moment.
    Kill(Whom),
    /// It stands still, longer than an election takes.
    Pause(Whom, Duration),
    /// It is cut off from the others.
    Cut(Whom, Way, Duration),
    /// Its disk is full, and has room again.
    Fill(Whom, Room, Duration),
    /// Each sync of its disk takes so long, for so long.
    Slow(Whom, Duration, Duration),
    /// Its disk is lost.
    Wipe(Whom),
    /// A byte of its data is another, while it is stopped.
    Damage(Whom, Part),
}

/// A fault, and what comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub fault: Fault,
    /// The pause before it.
    pub after: Duration,
    /// Whether the next one waits until all is well again. After a loss of data it
    /// always does: a second loss before the first is mended would be one too many.
    pub settles: bool,
}

impl Fault {
    pub fn whom(self) -> Whom {
        let (Self::Kill(whom)
        | Self::Pause(whom, _)
        | Self::Cut(whom, ..)
        | Self::Fill(whom, ..)
        | Self::Slow(whom, ..)
        | Self::Wipe(whom)
        | Self::Damage(whom, _)) = self;
        whom
    }

    pub fn loses_data(self) -> bool {
        matches!(self, Self::Wipe(_) | Self::Damage(..))
    }
}

/// So many faults of a system with so many shards.
pub fn plan(seed: u64, shards: u32, faults: usize) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut step = || {
        let shard = rng.random_range(0..shards);
        let replica = if rng.random_bool(0.5) {
            Whom::Leader(shard)
        } else {
            Whom::Follower(shard)
        };
        let whom = match rng.random_range(0..10) {
            0 => Whom::Etcd,
            1 => Whom::Router,
            _ => replica,
        };
        let time = Duration::from_millis(rng.random_range(1500..4000));
        let fault = match rng.random_range(0..100) {
            0..28 => Fault::Kill(whom),
            28..43 => Fault::Pause(whom, time),
            43..63 => {
                let ways = [Way::Both, Way::Both, Way::In, Way::Out];
                Fault::Cut(whom, *ways.choose(&mut rng).unwrap(), time)
            }
            63..75 => {
                let rooms = [Room::None, Room::None, Room::Little];
                Fault::Fill(replica, *rooms.choose(&mut rng).unwrap(), time)
            }
            75..83 => {
                let sync = Duration::from_millis(rng.random_range(50..300));
                let whom = if whom == Whom::Router { replica } else { whom };
                Fault::Slow(whom, sync, time)
            }
            83..90 => Fault::Wipe(replica),
            _ => {
                let parts = [Part::Log, Part::Vote, Part::Checkpoint, Part::Vectors];
                Fault::Damage(replica, *parts.choose(&mut rng).unwrap())
            }
        };
        Step {
            fault,
            after: Duration::from_millis(rng.random_range(0..1500)),
            settles: fault.loses_data() || rng.random_bool(0.4),
        }
    };
    (0..faults).map(|_| step()).collect()
}

#[test]
fn every_kind_of_fault_comes_and_the_seed_decides() {
    let steps = plan(7, 3, 300);
    assert_eq!(steps, plan(7, 3, 300));
    assert_ne!(steps, plan(8, 3, 300));
    let count = |is: &dyn Fn(Fault) -> bool| steps.iter().filter(|s| is(s.fault)).count();
    for (kind, many) in [
        ("kills", count(&|f| matches!(f, Fault::Kill(_)))),
        (
            "leaders killed",
            count(&|f| matches!(f, Fault::Kill(Whom::Leader(_)))),
        ),
        (
            "etcd",
            count(&|f| matches!(f, Fault::Kill(Whom::Etcd) | Fault::Pause(Whom::Etcd, _))),
        ),
        (
            "routers",
            count(&|f| matches!(f, Fault::Kill(Whom::Router))),
        ),
        ("pauses", count(&|f| matches!(f, Fault::Pause(..)))),
        (
            "one-way cuts",
            count(&|f| matches!(f, Fault::Cut(_, Way::In | Way::Out, _))),
        ),
        (
            "full disks of leaders",
            count(&|f| matches!(f, Fault::Fill(Whom::Leader(_), Room::None, _))),
        ),
        (
            "nearly full disks of leaders",
            count(&|f| matches!(f, Fault::Fill(Whom::Leader(_), Room::Little, _))),
        ),
        (
            "full disks of followers",
            count(&|f| matches!(f, Fault::Fill(Whom::Follower(_), ..))),
        ),
        ("slow disks", count(&|f| matches!(f, Fault::Slow(..)))),
        ("wipes", count(&|f| matches!(f, Fault::Wipe(_)))),
        (
            "damaged logs",
            count(&|f| matches!(f, Fault::Damage(_, Part::Log))),
        ),
    ] {
        assert!(many >= 3, "{kind}: {many}");
    }
    assert!(steps.iter().all(|s| s.settles || !s.fault.loses_data()));
    // What `make test` brings.
    let some = |is: &dyn Fn(Fault) -> bool| steps[..20].iter().any(|s| is(s.fault));
    assert!(some(&|f| matches!(
        f,
        Fault::Fill(Whom::Leader(_), Room::None, _)
    )));
    assert!(some(&|f| matches!(f, Fault::Slow(..))));
}
