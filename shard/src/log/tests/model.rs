//! The log against a model that is a vector, with reopening at any point.

use proptest::prelude::*;
use rand::Rng;

use super::*;

/// What a log should hold.
#[derive(Debug, Clone)]
pub(super) struct Model {
    base: Position,
    /// All after `base`, also those that may have been purged.
    entries: Vec<Entry>,
    /// Entries before this may be gone.
    purged: u64,
}

/// A call on the log.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Append {
        sizes: Vec<u16>,
        newer_term: bool,
    },
    /// Drop so many.
    Truncate(u64),
    /// Ask for so many to go.
    Purge(u64),
    /// Go on so far ahead of the end.
    Restart(u64),
    Mark,
}

impl Call {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        match rng.random_range(0..10) {
            0 => Self::Truncate(rng.random_range(0..8)),
            1 => Self::Purge(rng.random_range(0..12)),
            2 if rng.random_range(0..4) == 0 => Self::Restart(rng.random_range(0..5)),
            2 => Self::Mark,
            _ => {
                let count = rng.random_range(1..5);
                let sizes = (0..count).map(|_| rng.random_range(0..700)).collect();
                Self::Append {
                    sizes,
                    newer_term: rng.random_range(0..4) == 0,
                }
            }
        }
    }
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            base: position(0, 0),
            entries: Vec::new(),
            purged: 0,
        }
    }

    fn last(&self) -> Position {
        self.entries
            .last()
            .map_or(self.base, |entry| position(entry.index, entry.term))
    }

    fn next(&self) -> u64 {
        self.last().index + 1
    }

    /// Makes the call, and answers what the log should hold if it succeeds.
    /// The payloads are of `unique`, so that no two entries are alike.
    pub(super) fn call(
        &self,
        log: &mut LogWriter,
        call: &Call,
        unique: u64,
    ) -> (Self, Result<(), LogError>) {
        let mut then = self.clone();
        let result = match call {
            Call::Append { sizes, newer_term } => {
                let term = self.last().term + u64::from(*newer_term);
                let group: Vec<Entry> = (self.next()..)
                    .zip(sizes)
                    .map(|(index, &size)| {
                        let unique = unique.to_le_bytes().into_iter();
                        let payload: Vec<u8> = unique.cycle().take(usize::from(size)).collect();
                        entry(index, term, &payload)
                    })
                    .collect();
                then.entries.extend(group.iter().cloned());
                log.append_group(&group)
            }
            Call::Truncate(count) => {
                let least = log.reader().base().index;
                let index = self.last().index.saturating_sub(*count).max(least);
                then.entries.retain(|entry| entry.index <= index);
                log.truncate_after(index)
            }
            Call::Purge(count) => {
                let index = (log.reader().first_index() + count).min(self.next());
                then.purged = then.purged.max(index);
                log.purge_before(index)
            }
            Call::Restart(ahead) => {
                then.base = position(self.last().index + ahead, self.last().term + 1);
                then.entries.clear();
                log.restart_after(then.base)
            }
            Call::Mark => log.mark_synced(),
        };
        (then, result)
    }

    /// Whether the log holds what it should, and nothing else.
    pub(super) fn check(&self, reader: &LogReader) -> Result<(), String> {
        let (first, next) = (reader.first_index(), reader.next_index());
        if next != self.next() || reader.last() != self.last() {
            return Err(format!(
                "ends with {:?}, not {:?}",
                reader.last(),
                self.last()
            ));
        }
        if first <= self.base.index || first > self.purged.max(self.base.index + 1) {
            return Err(format!(
                "begins at {first}, base {:?}, purged {}",
                self.base, self.purged
            ));
        }
        let skipped = usize::try_from(first - self.base.index - 1).unwrap();
        let before = self.entries[..skipped].last();
        let base = before.map_or(self.base, |entry| position(entry.index, entry.term));
        if reader.base() != base {
            return Err(format!("its base is {:?}, not {base:?}", reader.base()));
        }
        match reader.read(first..next) {
            Ok(read) if read == self.entries[skipped..] => Ok(()),
            Ok(_) => Err("other entries".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Call(Call),
    Reopen,
    Free(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let append = (prop::collection::vec(0..700u16, 1..5), any::<bool>())
        .prop_map(|(sizes, newer_term)| Call::Append { sizes, newer_term });
    prop_oneof![
        6 => append.prop_map(Step::Call),
        1 => (0..8u64).prop_map(|count| Step::Call(Call::Truncate(count))),
        1 => (0..12u64).prop_map(|count| Step::Call(Call::Purge(count))),
        1 => (0..5u64).prop_map(|ahead| Step::Call(Call::Restart(ahead))),
        1 => Just(Step::Call(Call::Mark)),
        2 => Just(Step::Reopen),
        1 => prop_oneof![0..2000u64, Just(u64::MAX)].prop_map(Step::Free),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_log_holds_what_a_vector_would(
        steps in prop::collection::vec(step(), 1..60),
        preallocate_bytes in prop_oneof![Just(0), 1..2000u64],
    ) {
        let bench = Bench::new();
        let options = LogOptions { preallocate_bytes, ..SMALL };
        let open = || open_with(&bench.disk, bench.dir.path(), options).unwrap().writer;
        let mut log = open();
        let mut model = Model::new();
        for (unique, step) in (0..).zip(steps) {
            match step {
                Step::Call(call) => match model.call(&mut log, &call, unique) {
                    (then, Ok(())) => model = then,
                    (_, Err(LogError::Full { .. })) => {}
                    (_, Err(error)) => panic!("{call:?}: {error}"),
                },
                Step::Reopen => {
                    // Opening writes nothing new, so it needs no room.
                    let (first, base) = (log.reader().first_index(), log.reader().base());
                    log = open();
                    prop_assert_eq!((log.reader().first_index(), log.reader().base()), (first, base));
                    prop_assert_eq!(log.torn_tail(), None);
                }
                Step::Free(bytes) => bench.disk.set_free(bytes),
            }
            if let Err(difference) = model.check(&log.reader()) {
                prop_assert!(false, "{difference}");
            }
        }
    }
}
