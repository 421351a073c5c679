//! What a failure of one replica means for the call, and for the replica. Pure.
//!
//! Another replica is asked where it may do better. It does not where the request itself
//! is wrong, nor for a change that a leader has no room or time for.

use quoit_proto::ErrorKind;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It fails.
    Final,
    /// This try had no effect and never will; another replica may do better.
    Elsewhere,
    /// This try may have had an effect, or may have yet.
    Unknown,
}

/// Of a read. It has no effect, so that nothing of it is unknown.
pub(super) fn of_read(kind: ErrorKind) -> Verdict {
    match kind {
        ErrorKind::Invalid => Verdict::Final,
        ErrorKind::Busy
        | ErrorKind::DiskFull
        | ErrorKind::NotLeader { .. }
        | ErrorKind::Unavailable
        | ErrorKind::Behind
        | ErrorKind::Unknown => Verdict::Elsewhere,
    }
}

/// Of a change. Only a leader makes one: what it refuses no other replica takes.
pub(super) fn of_change(kind: ErrorKind) -> Verdict {
    match kind {
        ErrorKind::Invalid | ErrorKind::Busy | ErrorKind::DiskFull => Verdict::Final,
        ErrorKind::NotLeader { .. } | ErrorKind::Unavailable | ErrorKind::Behind => {
            Verdict::Elsewhere
        }
        ErrorKind::Unknown => Verdict::Unknown,
    }
}

/// What an answer says of the replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It does its work, and is as fresh as it was asked to be.
    Well,
    /// It answers, and cannot be as fresh as it was asked to be.
    Behind,
    /// It does not do its work, or cannot be reached.
    Ill,
}

/// Of a failure. A refusal is an answer.
pub(super) fn of_replica(kind: ErrorKind) -> Sign {
    match kind {
        ErrorKind::Invalid
        | ErrorKind::Busy
        | ErrorKind::DiskFull
        | ErrorKind::NotLeader { .. } => Sign::Well,
        ErrorKind::Behind => Sign::Behind,
        ErrorKind::Unavailable | ErrorKind::Unknown => Sign::Ill,
    }
}
