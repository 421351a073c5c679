//! A write that is tried until it is known to be done, and is done once. Pure.
//!
//! Each vnode's part has an id, by which the shard knows it again, and says how many
//! operations the vnode had had before the part was first sent. The shard remembers the
//! last ones; where it may have forgotten the part, since more came after it, it refuses
//! it. The first try says so too: one that is delayed on its way, and comes in after it
//! was tried again, must not be done a second time either.

use std::collections::HashMap;

use quoit_proto::v1::vnode_outcome::Kind as Outcome;
use quoit_proto::v1::{
    Done, Forgotten, OperationCount, VnodeOutcome, VnodeWrite, WriteRequest, WriteResponse,
};
use quoit_proto::{ErrorKind, ShardError};
use quoit_ring::{Vnode, VnodeSet};

/// How often a part that is refused for a count that is too old is sent with a newer one.
const REFRESHES: u32 = 2;

/// How many operations each vnode has had, or more.
#[derive(Debug, Default)]
pub(super) struct Counts(HashMap<u32, u64>);

impl Counts {
    /// A vnode has had so many.
    pub(super) fn learn(&mut self, vnode: u32, w: u64) {
        let known = self.0.entry(vnode).or_default();
        *known = w.max(*known);
    }

    /// What is known is too old to be of use.
    fn forget(&mut self, vnode: u32) {
        self.0.remove(&vnode);
    }
}

/// What is known of a part.
#[derive(Debug)]
enum Known {
    /// Nothing yet that is final.
    Open,
    /// What the shard says; nothing if that makes no sense, as whoever asked finds out.
    Said(Option<Outcome>),
}

/// A part of a write.
#[derive(Debug)]
struct Part {
    write: VnodeWrite,
    known: Known,
    /// Whoever asks has tried it before, with this id.
    was_tried: bool,
    refreshed: u32,
}

impl Part {
    fn is_open(&self) -> bool {
        matches!(self.known, Known::Open)
    }

    /// It is sent as it is: nobody can say how many operations its vnode had.
    fn is_let_go(&self) -> bool {
        self.refreshed > REFRESHES
    }
}

/// A write that is done once.
#[derive(Debug)]
pub(super) struct Once(Vec<Part>);

impl Once {
    /// Gives each part an id that has none yet.
    pub(super) fn new(request: WriteRequest, mut id: impl FnMut() -> [u8; 16]) -> Self {
        let part = |mut write: VnodeWrite| {
            let was_tried = write.tried_since.is_some();
            if write.op_id.is_empty() {
                write.op_id = id().to_vec();
            }
            Part {
                write,
                known: Known::Open,
                was_tried,
                refreshed: 0,
            }
        };
        Self(request.writes.into_iter().map(part).collect())
    }

    /// Those that are not done yet.
    fn open(&self) -> impl Iterator<Item = &Part> {
        self.0.iter().filter(|part| part.is_open())
    }

    /// Takes in what is known, before the parts are first sent; the vnodes of which
    /// nothing is.
    pub(super) fn count(&mut self, counts: &Counts) -> VnodeSet {
        let mut unknown = VnodeSet::new();
        for part in &mut self.0 {
            if !part.is_open() || part.write.tried_since.is_some() || part.is_let_go() {
                continue;
            }
            part.write.tried_since = counts.0.get(&part.write.vnode).copied();
            if part.write.tried_since.is_none()
                && let Ok(vnode) = u16::try_from(part.write.vnode)
            {
                unknown.insert(Vnode(vnode));
            }
        }
        unknown
    }

    /// Whether it may be sent again while it is not known what became of it.
    pub(super) fn is_repeatable(&self) -> bool {
        self.open().all(|part| part.write.tried_since.is_some())
    }

    /// Those parts of which nothing final is known.
    pub(super) fn request(&self) -> WriteRequest {
        WriteRequest {
            writes: self.open().map(|part| part.write.clone()).collect(),
        }
    }

    /// Takes in an answer. `is_sure` says that no other try was sent whose outcome is not
    /// known: then what is refused has no effect.
    pub(super) fn answered(
        &mut self,
        response: WriteResponse,
        is_sure: bool,
        counts: &mut Counts,
        mut id: impl FnMut() -> [u8; 16],
    ) {
        let mut outcomes = response.outcomes.into_iter();
        for part in self.0.iter_mut().filter(|part| part.is_open()) {
            let vnode = part.write.vnode;
            let outcome = outcomes.next().filter(|o| o.vnode == vnode);
            let is_sure = is_sure && !part.was_tried;
            let said = outcome.and_then(|o| o.kind).map(|kind| match kind {
                // The vnode is elsewhere now, and may have been here when it was tried first.
                Outcome::NotHere(_) if !is_sure => Outcome::Forgotten(Forgotten {}),
                kind => kind,
            });
            match said {
                // It was not done: what is known of the vnode is too old.
                Some(Outcome::Forgotten(_)) if is_sure && !part.is_let_go() => {
                    counts.forget(vnode);
                    part.refreshed += 1;
                    part.write.tried_since = None;
                    part.write.op_id = id().to_vec();
                }
                said => {
                    if let Some(Outcome::Done(Done { w, .. })) = said {
                        counts.learn(vnode, w);
                    }
                    part.known = Known::Said(said);
                }
            }
        }
    }

    /// Whether there is a part that is to be sent with a newer count.
    pub(super) fn is_to_be_sent_again(&self) -> bool {
        self.open().any(|part| part.refreshed > 0)
    }

    /// What is told of an error. Once a part is done it is no longer so that nothing was.
    pub(super) fn broken_off_by(&self, error: ShardError) -> ShardError {
        if self.0.iter().all(Part::is_open) {
            return error;
        }
        let what = format!("a part of the write is done, and another is not: {error}");
        ShardError::new(ErrorKind::Unknown, what)
    }

    /// What became of all parts.
    pub(super) fn response(self) -> WriteResponse {
        let outcome = |part: Part| VnodeOutcome {
            vnode: part.write.vnode,
            kind: match part.known {
                Known::Open => None,
                Known::Said(outcome) => outcome,
            },
        };
        WriteResponse {
            outcomes: self.0.into_iter().map(outcome).collect(),
        }
    }
}

impl Counts {
    /// What a shard said.
    pub(super) fn learn_all(&mut self, counts: Vec<OperationCount>) {
        for OperationCount { vnode, w } in counts {
            self.learn(vnode, w);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quoit_proto::v1::NotHere;

    /// Ids that differ.
    fn ids() -> impl FnMut() -> [u8; 16] {
        let mut next = 0_u8;
        move || {
            next += 1;
            [next; 16]
        }
    }

    fn write(vnode: u32) -> VnodeWrite {
        VnodeWrite {
            vnode,
            ..VnodeWrite::default()
        }
    }

    fn once(vnodes: &[u32]) -> Once {
        let writes = vnodes.iter().map(|v| write(*v)).collect();
        Once::new(WriteRequest { writes }, ids())
    }

    fn said(outcomes: &[(u32, Outcome)]) -> WriteResponse {
        let outcome = |(vnode, kind): &(u32, Outcome)| VnodeOutcome {
            vnode: *vnode,
            kind: Some(kind.clone()),
        };
        WriteResponse {
            outcomes: outcomes.iter().map(outcome).collect(),
        }
    }

    fn done(w: u64) -> Outcome {
        Outcome::Done(Done {
            w,
            ..Done::default()
        })
    }

    const FORGOTTEN: Outcome = Outcome::Forgotten(Forgotten {});

    fn not_here(vnode: u32) -> Outcome {
        Outcome::NotHere(NotHere { vnode })
    }

    #[test]
    fn each_part_has_an_id_of_its_own_and_the_count_from_before_it_was_sent() {
        let mut counts = Counts::default();
        counts.learn(1, 7);
        counts.learn(1, 5);
        let mut once = once(&[1, 2]);
        let unknown = once.count(&counts);
        assert!(unknown.iter().eq([Vnode(2)]));
        assert!(!once.is_repeatable());
        counts.learn(2, 0);
        assert!(once.count(&counts).is_empty());
        assert!(once.is_repeatable());
        let sent = once.request().writes;
        assert_eq!(sent[0].tried_since, Some(7));
        assert_eq!(sent[1].tried_since, Some(0));
        assert_ne!(sent[0].op_id, sent[1].op_id);
        // What is learnt later does not count: it may be of the write itself.
        counts.learn(1, 8);
        once.count(&counts);
        assert_eq!(
            once.request().writes,
            sent,
            "it is the same when it is sent again"
        );
    }

    #[test]
    fn what_somebody_tried_before_stays_what_it_is() {
        let mut counts = Counts::default();
        counts.learn(1, 900);
        let tried = VnodeWrite {
            op_id: vec![9; 16],
            tried_since: Some(3),
            ..write(1)
        };
        let writes = vec![tried.clone()];
        let mut once = Once::new(WriteRequest { writes }, ids());
        once.count(&counts);
        assert_eq!(once.request().writes, [tried]);
        // It may have been done before this call: nothing is sure of it.
        once.answered(said(&[(1, FORGOTTEN)]), true, &mut counts, ids());
        assert!(!once.is_to_be_sent_again());
        assert_eq!(once.response(), said(&[(1, FORGOTTEN)]));
    }

    #[test]
    fn a_vnode_that_is_elsewhere_was_maybe_here_when_the_write_was_first_tried() {
        for (is_sure, outcome) in [(true, not_here(1)), (false, FORGOTTEN)] {
            let mut once = once(&[1]);
            once.answered(
                said(&[(1, not_here(1))]),
                is_sure,
                &mut Counts::default(),
                ids(),
            );
            assert_eq!(once.response(), said(&[(1, outcome)]));
        }
    }

    #[test]
    fn a_part_that_was_refused_for_an_old_count_is_sent_alone_with_a_new_one_and_a_new_id() {
        let mut counts = Counts::default();
        counts.learn_all(vec![
            OperationCount { vnode: 1, w: 1 },
            OperationCount { vnode: 2, w: 1 },
        ]);
        let mut once = once(&[1, 2]);
        once.count(&counts);
        let before = once.request().writes;
        let answer = said(&[(1, FORGOTTEN), (2, done(2))]);
        let mut more = ids();
        let mut new_id = move || more().map(|b| b + 100);
        once.answered(answer, true, &mut counts, &mut new_id);
        assert!(once.is_to_be_sent_again());
        assert!(
            once.count(&counts).iter().eq([Vnode(1)]),
            "it is asked for again"
        );
        counts.learn(1, 500);
        once.count(&counts);
        let sent = once.request().writes;
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].vnode, sent[0].tried_since), (1, Some(500)));
        assert_ne!(sent[0].op_id, before[0].op_id);
        once.answered(said(&[(1, done(501))]), true, &mut counts, new_id);
        assert!(!once.is_to_be_sent_again());
        assert_eq!(once.response(), said(&[(1, done(501)), (2, done(2))]));
    }

    #[test]
    fn a_part_that_is_refused_again_and_again_is_sent_without_a_count_in_the_end() {
        let mut counts = Counts::default();
        let mut once = once(&[1]);
        let mut sent = 0;
        loop {
            counts.learn(1, 5);
            once.count(&counts);
            sent += 1;
            assert!(sent < 10, "there is an end");
            if !once.is_repeatable() {
                break;
            }
            once.answered(said(&[(1, FORGOTTEN)]), true, &mut counts, ids());
        }
        assert_eq!(sent, 4);
        once.answered(said(&[(1, FORGOTTEN)]), true, &mut counts, ids());
        assert!(!once.is_to_be_sent_again(), "there is an end");
    }

    #[test]
    fn an_answer_without_sense_is_handed_on() {
        let mut counts = Counts::default();
        let mut once = once(&[1, 2]);
        once.answered(said(&[(7, done(1))]), true, &mut counts, ids());
        assert!(!once.is_to_be_sent_again());
        let response = once.response();
        assert_eq!(response.outcomes.len(), 2);
        assert!(response.outcomes.iter().all(|o| o.kind.is_none()));
    }
}
