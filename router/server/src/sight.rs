//! Where a router has what it serves by: from etcd, or, as long as that has shown it
//! nothing to serve by and does not answer, from a shard. It decides when shards are
//! asked, and what of that is told.

use crate::asked::{NoPicture, Shows, age};
use quoit_cluster::Seen;
use quoit_process::chain;
use std::collections::BTreeSet;

/// What is watched in etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watched {
    /// The ring.
    Ring,
    /// The wish.
    Wish,
    /// The schema.
    Schema,
    /// The registrations.
    Nodes,
}

impl Watched {
    const ALL: [Self; 4] = [Self::Ring, Self::Wish, Self::Schema, Self::Nodes];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Wish => "wish",
            Self::Schema => "schema",
            Self::Nodes => "nodes",
        }
    }
}

/// What was seen, and by whom it was shown.
pub struct Sight {
    seen: Seen,
    /// Of what etcd says nothing.
    silent: BTreeSet<Watched>,
    /// What the last round of questions to shards came to, while it matters.
    asked: Option<Asking>,
}

enum Asking {
    /// The shard that showed what is served by.
    Shown(String),
    /// Why none did.
    InVain(String),
}

impl Default for Sight {
    fn default() -> Self {
        Self {
            seen: Seen::default(),
            silent: BTreeSet::from(Watched::ALL),
            asked: None,
        }
    }
}

impl Sight {
    /// What is to be served by.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The same, to have something seen.
    pub fn seen_mut(&mut self) -> &mut Seen {
        &mut self.seen
    }

    /// Whether etcd says what is there, be it nothing or garbage.
    pub fn etcd_answers(&mut self, watched: Watched, answers: bool) {
        if answers {
            self.silent.remove(&watched);
        } else {
            self.silent.insert(watched);
        }
        if self.silent.is_empty() {
            self.asked = None;
        }
    }

    /// Whether there is nothing to serve by but what a shard shows, and etcd does not
    /// say why. What etcd has shown once is not looked for elsewhere: nobody knows
    /// better.
    pub fn needs_shards(&self) -> bool {
        let is_shown = matches!(self.asked, Some(Asking::Shown(_)));
        (self.lacks() || is_shown) && !self.silent.is_empty()
    }

    fn lacks(&self) -> bool {
        self.seen.ring().is_none() || self.seen.wish().is_none()
    }

    /// Takes what shards showed: what was not seen, or, where there is all that is
    /// served by, a newer picture in its place.
    pub fn asked(&mut self, round: Result<Shows, NoPicture>) {
        match round {
            Ok(Shows { address, seen }) if self.lacks() => {
                self.seen.fill(*seen);
                self.asked = Some(Asking::Shown(address));
            }
            Ok(Shows { address, seen }) if age(&self.seen) < age(&seen) => {
                self.seen = *seen;
                self.asked = Some(Asking::Shown(address));
            }
            Err(error) if self.lacks() => {
                self.asked = Some(Asking::InVain(chain(&error)));
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// What is not as it should be.
    pub fn trouble(&self) -> Option<String> {
        match &self.asked {
            None => None,
            Some(Asking::Shown(address)) => Some(format!(
                "etcd has not answered since this router started: the collection is served by what the shard at {address} saw of it, and changes since then are not seen"
            )),
            Some(Asking::InVain(why)) => self.lacks().then(|| why.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::tests::{ring, seen};

    fn shard_shows(sight: &mut Sight, epoch: u64) {
        sight.asked(Ok(Shows {
            address: "a:1".to_owned(),
            seen: Box::new(seen(epoch, 1)),
        }));
    }

    fn epoch(sight: &Sight) -> u64 {
        sight.seen().ring().unwrap().epoch()
    }

    /// etcd shows a ring, and that all else is not there.
    fn etcd_shows(sight: &mut Sight, epoch: u64) -> bool {
        let taken = sight.seen_mut().see_ring(Some(ring(epoch))).is_ok();
        for watched in Watched::ALL {
            sight.etcd_answers(watched, true);
        }
        taken
    }

    #[test]
    fn shards_are_needed_while_etcd_is_silent_and_nothing_was_seen() {
        let mut sight = Sight::default();
        assert!(sight.needs_shards());
        sight.asked(Err(NoPicture::NoShards));
        assert!(sight.needs_shards());
        assert!(sight.trouble().unwrap().contains("--shards HOST:PORT"));
        shard_shows(&mut sight, 5);
        let trouble = sight.trouble().unwrap();
        assert!(trouble.contains("the shard at a:1"), "{trouble}");
        etcd_shows(&mut sight, 5);
        assert!(!sight.needs_shards());
    }

    #[test]
    fn a_shard_that_comes_later_and_saw_more_is_served_by() {
        let mut sight = Sight::default();
        shard_shows(&mut sight, 5);
        assert!(sight.needs_shards());
        sight.asked(Err(NoPicture::NoShards));
        assert!(sight.trouble().unwrap().contains("the shard at a:1"));
        shard_shows(&mut sight, 4);
        assert_eq!(epoch(&sight), 5);
        shard_shows(&mut sight, 6);
        assert_eq!(epoch(&sight), 6);
    }

    #[test]
    fn shards_are_not_needed_where_etcd_says_that_there_is_nothing() {
        let mut sight = Sight::default();
        for watched in Watched::ALL {
            assert!(sight.needs_shards());
            sight.etcd_answers(watched, true);
        }
        assert!(!sight.needs_shards());
        // It went away before the collection was declared.
        sight.etcd_answers(Watched::Wish, false);
        assert!(sight.needs_shards());
    }

    #[test]
    fn what_etcd_has_shown_is_served_by_when_it_goes_away() {
        let mut sight = Sight::default();
        shard_shows(&mut sight, 5);
        etcd_shows(&mut sight, 6);
        assert_eq!(sight.trouble(), None);
        for watched in Watched::ALL {
            sight.etcd_answers(watched, false);
        }
        assert!(!sight.needs_shards());
        assert_eq!((epoch(&sight), sight.trouble()), (6, None));
    }

    #[test]
    fn that_shards_were_asked_in_vain_is_not_told_where_etcd_shows_enough() {
        let mut sight = Sight::default();
        sight.asked(Err(NoPicture::NoShards));
        *sight.seen_mut() = seen(5, 1);
        sight.etcd_answers(Watched::Ring, true);
        sight.etcd_answers(Watched::Wish, true);
        assert_eq!(sight.trouble(), None);
    }

    #[test]
    fn an_older_ring_of_etcd_does_not_take_the_place_of_a_shards() {
        let mut sight = Sight::default();
        shard_shows(&mut sight, 5);
        assert!(!etcd_shows(&mut sight, 4), "it was set back");
        assert_eq!(epoch(&sight), 5);
        assert!(etcd_shows(&mut sight, 6));
        assert_eq!(epoch(&sight), 6);
    }

    #[test]
    fn what_etcd_has_shown_of_it_stays_when_a_shard_shows_the_rest() {
        let mut sight = Sight::default();
        sight.seen_mut().see_ring(Some(ring(9))).unwrap();
        sight.etcd_answers(Watched::Ring, true);
        assert!(sight.needs_shards());
        shard_shows(&mut sight, 5);
        assert_eq!(epoch(&sight), 9);
        assert!(sight.seen().wish().is_some());
        shard_shows(&mut sight, 8);
        assert_eq!(epoch(&sight), 9);
    }
}
