//! Whether the operations of one point have an order that explains them all:
//! each takes effect at one moment between its start and its end, and one of
//! unknown outcome at any moment from its start on, or never.
//!
//! The search is that of Wing and Gong in the form of Lowe: the events are gone
//! through in the order of their times with the set of all *configurations*
//! that explain what ended so far, and an operation is put in its place only
//! when its end forces it. What keeps the set small:
//!
//! - A configuration is the point's state and which of the operations now
//!   running have had their effect. When nothing runs, only the state is left:
//!   a long history is cut there by itself.
//! - A read that fits the present state is placed at once: that is never worse.
//! - No two changes write the same, so a state that was left never comes back.
//!   It is not left before all reads that saw it are placed.
//! - Changes of unknown outcome that nobody saw are told apart by nothing but
//!   their kind. How many of them were used is counted, and of configurations
//!   that are else the same the one that used fewer stands for the others.

use std::collections::{HashMap, HashSet};

use crate::history::{Op, What};
use crate::record::Stamp;

/// What became of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is such an order.
    Explained,
    /// There is none.
    Contradicted,
    /// More went on at once than can be gone through.
    TooMuch,
}

/// Configurations that are gone through for the end of one operation at most.
const MOST: usize = 500_000;

/// A stamp, as a number; that of all stamps that nobody refers to.
type Mark = u32;
const UNSEEN: Mark = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum State {
    Absent,
    There { put: Mark, change: Mark },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    Put(Mark),
    PutIf { mark: Mark, expected: Mark },
    Edit(Mark),
    Delete,
    Other(Mark),
    Saw(State),
}

impl Step {
    /// The state after it, if it fits this one.
    fn after(self, state: State) -> Option<State> {
        let last = match state {
            State::Absent => None,
            State::There { change, .. } => Some(change),
        };
        let put = |mark| State::There {
            put: mark,
            change: mark,
        };
        match self {
            Self::Put(mark) => Some(put(mark)),
            Self::PutIf { mark, expected } => (last == Some(expected)).then(|| put(mark)),
            Self::Edit(change) => match state {
                State::Absent => None,
                State::There { put, .. } => Some(State::There { put, change }),
            },
            Self::Delete => Some(State::Absent),
            Self::Other(expected) => (last != Some(expected)).then_some(state),
            Self::Saw(seen) => (seen == state).then_some(state),
        }
    }

    fn only_sees(self) -> bool {
        matches!(self, Self::Other(_) | Self::Saw(_))
    }
}

/// What sets a configuration apart from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Core {
    state: State,
    /// The running operations that have had their effect, in order.
    placed: Vec<u32>,
    /// The changes of unknown outcome that were seen and have had their effect.
    used: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Config {
    core: Core,
    /// How many unseen changes of each kind have had their effect.
    spent: Vec<u32>,
}

/// Configurations of which none is as good as another and spent more.
#[derive(Default)]
struct Set {
    best: HashMap<Core, Vec<Vec<u32>>>,
    len: usize,
}

impl Set {
    /// Takes one in; says whether it is new.
    fn admit(&mut self, config: &Config) -> bool {
        let known = self.best.entry(config.core.clone()).or_default();
        let covers = |a: &[u32], b: &[u32]| a.iter().zip(b).all(|(a, b)| a <= b);
        if known.iter().any(|spent| covers(spent, &config.spent)) {
            return false;
        }
        self.len += 1;
        known.retain(|spent| !covers(&config.spent, spent));
        known.push(config.spent.clone());
        true
    }

    fn into_configs(self) -> Vec<Config> {
        let one = |(core, all): (Core, Vec<Vec<u32>>)| {
            all.into_iter().map(move |spent| Config {
                core: core.clone(),
                spent,
            })
        };
        self.best.into_iter().flat_map(one).collect()
    }
}

/// Looks for an order that explains the operations of one point, which is not
/// there at first.
#[must_use]
pub fn check(ops: &[Op]) -> Verdict {
    let mut search = Search::new(ops);
    let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(ops.len() * 2);
    for (index, op) in ops.iter().enumerate() {
        events.push((op.start, false, index));
        events.extend(op.end.map(|end| (end, true, index)));
    }
    // What ends when another starts may have had its effect after it.
    events.sort_unstable();
    for (_, ends, index) in events {
        if !ends {
            search.begin(index, ops[index].end.is_none());
        } else if let Some(verdict) = search.finish(index) {
            return verdict;
        }
    }
    Verdict::Explained
}

struct Search {
    steps: Vec<Step>,
    /// How many reads saw a state, and how many of them have ended.
    reads: HashMap<State, (usize, usize)>,
    running: Vec<u32>,
    /// Changes of unknown outcome that were seen, and may still have their effect.
    unknown: Vec<u32>,
    /// Kinds of changes of unknown outcome that nobody saw, and how many have begun.
    kinds: Vec<(Step, u32)>,
    configs: Vec<Config>,
}

impl Search {
    fn new(ops: &[Op]) -> Self {
        let steps = steps(ops);
        let mut reads: HashMap<State, (usize, usize)> = HashMap::new();
        for step in &steps {
            if let Step::Saw(state @ State::There { .. }) = step {
                reads.entry(*state).or_default().0 += 1;
            }
        }
        let nobody_saw = |step: &Step| match step {
            Step::Put(mark) | Step::PutIf { mark, .. } | Step::Edit(mark) => *mark == UNSEEN,
            Step::Delete => true,
            Step::Other(_) | Step::Saw(_) => false,
        };
        let unknown = ops.iter().zip(&steps).filter(|(op, _)| op.end.is_none());
        let kinds: HashSet<Step> = unknown.map(|(_, s)| *s).filter(nobody_saw).collect();
        let mut kinds: Vec<(Step, u32)> = kinds.into_iter().map(|step| (step, 0)).collect();
        kinds.sort_unstable();
        let first = Config {
            core: Core {
                state: State::Absent,
                placed: Vec::new(),
                used: Vec::new(),
            },
            spent: vec![0; kinds.len()],
        };
        Self {
            steps,
            reads,
            running: Vec::new(),
            unknown: Vec::new(),
            kinds,
            configs: vec![first],
        }
    }

    fn step(&self, op: u32) -> Step {
        self.steps[op as usize]
    }

    fn begin(&mut self, index: usize, is_unknown: bool) {
        let op = number(index);
        let step = self.steps[index];
        if is_unknown {
            match self.kinds.iter_mut().find(|(kind, _)| *kind == step) {
                Some((_, begun)) => *begun += 1,
                None => self.unknown.push(op),
            }
            return;
        }
        self.running.push(op);
        if step.only_sees() {
            for config in &mut self.configs {
                if step.after(config.core.state).is_some() {
                    place(&mut config.core.placed, op);
                }
            }
        }
    }

    /// Goes on to the configurations in which an operation has had its effect;
    /// the verdict, if there is one already.
    fn finish(&mut self, index: usize) -> Option<Verdict> {
        let op = number(index);
        let (mut visited, mut kept) = (Set::default(), Set::default());
        let mut open = Vec::new();
        for config in std::mem::take(&mut self.configs) {
            sort(config, op, &mut visited, &mut kept, &mut open);
        }
        while let Some(config) = open.pop() {
            for next in self.successors(&config) {
                sort(next, op, &mut visited, &mut kept, &mut open);
            }
            if visited.len + kept.len > MOST {
                return Some(Verdict::TooMuch);
            }
        }
        self.running.retain(|other| *other != op);
        if let Step::Saw(state @ State::There { .. }) = self.step(op)
            && let Some((_, ended)) = self.reads.get_mut(&state)
        {
            *ended += 1;
        }
        self.configs = kept.into_configs();
        self.forget_what_all_have_used();
        self.configs.is_empty().then_some(Verdict::Contradicted)
    }

    /// What a configuration may become by the effect of one more change.
    fn successors(&self, config: &Config) -> Vec<Config> {
        let core = &config.core;
        if !self.may_leave(core) {
            return Vec::new();
        }
        let mut all = Vec::new();
        for op in &self.running {
            let step = self.step(*op);
            if !step.only_sees()
                && core.placed.binary_search(op).is_err()
                && let Some(state) = step.after(core.state)
            {
                let mut next = config.clone();
                place(&mut next.core.placed, *op);
                all.push(self.entered(next, state));
            }
        }
        for op in &self.unknown {
            if core.used.binary_search(op).is_err()
                && let Some(state) = self.step(*op).after(core.state)
            {
                let mut next = config.clone();
                place(&mut next.core.used, *op);
                all.push(self.entered(next, state));
            }
        }
        for (kind, (step, begun)) in self.kinds.iter().enumerate() {
            if config.spent[kind] < *begun
                && let Some(state) = step.after(core.state)
                && state != core.state
            {
                let mut next = config.clone();
                next.spent[kind] += 1;
                all.push(self.entered(next, state));
            }
        }
        all
    }

    /// Whether all reads that saw the state have been placed.
    fn may_leave(&self, core: &Core) -> bool {
        let Some((all, ended)) = self.reads.get(&core.state) else {
            return true;
        };
        let here = |op: &&u32| self.step(**op) == Step::Saw(core.state);
        ended + core.placed.iter().filter(here).count() == *all
    }

    /// A configuration that comes into a state, with the running reads that fit it.
    fn entered(&self, mut config: Config, state: State) -> Config {
        config.core.state = state;
        for op in &self.running {
            let step = self.step(*op);
            if step.only_sees() && step.after(state).is_some() {
                place(&mut config.core.placed, *op);
            }
        }
        config
    }

    /// A change that has had its effect in each configuration sets none apart.
    fn forget_what_all_have_used(&mut self) {
        let Some(first) = self.configs.first() else {
            return;
        };
        let by_all: Vec<u32> = first.core.used.clone();
        let by_all: Vec<u32> = by_all
            .into_iter()
            .filter(|op| {
                let mut used = self.configs.iter().map(|c| &c.core.used);
                used.all(|used| used.binary_search(op).is_ok())
            })
            .collect();
        if by_all.is_empty() {
            return;
        }
        self.unknown.retain(|op| !by_all.contains(op));
        for config in &mut self.configs {
            config.core.used.retain(|op| !by_all.contains(op));
        }
    }
}

/// Keeps a configuration in which an operation has had its effect, and has
/// another gone on with, if it is new.
fn sort(mut config: Config, op: u32, visited: &mut Set, kept: &mut Set, open: &mut Vec<Config>) {
    if let Ok(at) = config.core.placed.binary_search(&op) {
        config.core.placed.remove(at);
        kept.admit(&config);
    } else if visited.admit(&config) {
        open.push(config);
    }
}

fn place(placed: &mut Vec<u32>, op: u32) {
    if let Err(at) = placed.binary_search(&op) {
        placed.insert(at, op);
    }
}

/// No point has so many operations that they are counted in more than 32 bits.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The operations with numbers for the stamps that something refers to.
fn steps(ops: &[Op]) -> Vec<Step> {
    let mut marks: HashMap<Stamp, Mark> = HashMap::new();
    let mut refer = |stamp| {
        let next = number(marks.len()) + 1;
        marks.entry(stamp).or_insert(next);
    };
    for op in ops {
        match op.what {
            What::Saw { put, change } => {
                refer(put);
                refer(change);
            }
            What::Other(expected) | What::PutIf { expected, .. } => refer(expected),
            _ => {}
        }
    }
    let mark = |stamp: Stamp| marks.get(&stamp).copied().unwrap_or(UNSEEN);
    let step = |op: &Op| match op.what {
        What::Put(stamp) => Step::Put(mark(stamp)),
        What::PutIf { stamp, expected } => Step::PutIf {
            mark: mark(stamp),
            expected: mark(expected),
        },
        What::Edit(stamp) => Step::Edit(mark(stamp)),
        What::Delete => Step::Delete,
        What::Missing => Step::Saw(State::Absent),
        What::Other(expected) => Step::Other(mark(expected)),
        What::Saw { put, change } => Step::Saw(State::There {
            put: mark(put),
            change: mark(change),
        }),
    };
    ops.iter().map(step).collect()
}

#[cfg(test)]
mod tests;
