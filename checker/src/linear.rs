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
//!   It is not left before all reads that saw it are placed, and only by the
//!   conditional change that was told to have found it.
//! - Changes of unknown outcome that nobody saw are told apart by nothing but
//!   their kind. How many of them are left is counted, and of configurations
//!   that are else the same the one that has more left stands for the others.
//! - A conditional change leaves the state that it needs, which never comes
//!   back: that it was used need not be kept.

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

/// From so many unseen changes of a kind on, they are as good as endless: few
/// things remain that these could not explain. As below, this explains too much
/// rather than too little, so that what is called a contradiction is one.
const PLENTY: u32 = 6;

/// Ways of having changes left that are kept for configurations that are else
/// the same. If there are more, one that has the most of each kind stands for
/// all of them.
const MOST_WAYS: usize = 8;

/// A stamp, as a number; that of all stamps that nobody refers to.
type Mark = u32;
const UNSEEN: Mark = 0;
/// That of a stamp that is never the last change.
const NOBODYS: Mark = Mark::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Absent,
    There { put: Mark, change: Mark },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The kinds of changes that nobody saw.
const KINDS: [Step; 3] = [Step::Put(UNSEEN), Step::Edit(UNSEEN), Step::Delete];

/// How many unseen changes of each kind.
type Counts = [u32; KINDS.len()];

#[derive(Clone, Debug)]
struct Config {
    core: Core,
    /// How many unseen changes of each kind may still have their effect.
    left: Counts,
}

/// Configurations of which none is as another and has less left.
#[derive(Default)]
struct Set {
    best: HashMap<Core, Vec<Counts>>,
    len: usize,
}

impl Set {
    /// Takes one in; says whether it is new.
    fn admit(&mut self, config: &Config) -> bool {
        let known = self.best.entry(config.core.clone()).or_default();
        let covers = |a: &Counts, b: &Counts| a.iter().zip(b).all(|(a, b)| a >= b);
        if known.iter().any(|left| covers(left, &config.left)) {
            return false;
        }
        self.len += 1;
        known.retain(|left| !covers(&config.left, left));
        known.push(config.left);
        if known.len() > MOST_WAYS {
            let most = |a: Counts, b: &Counts| std::array::from_fn(|kind| a[kind].max(b[kind]));
            let most = known.iter().fold([0; KINDS.len()], most);
            known.clear();
            known.push(most);
        }
        true
    }

    fn into_configs(self) -> Vec<Config> {
        let one = |(core, all): (Core, Vec<Counts>)| {
            all.into_iter().map(move |left| Config {
                core: core.clone(),
                left,
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
    /// The same of all states that an upsert has led to.
    reads_of_put: HashMap<Mark, (usize, usize)>,
    /// The conditional change that was told to have found a change the last one.
    found: HashMap<Mark, u32>,
    running: Vec<u32>,
    /// Changes of unknown outcome that were seen, and may still have their effect.
    unknown: Vec<u32>,
    /// Conditional changes of unknown outcome, by what they need.
    conditional: HashMap<Mark, Vec<u32>>,
    configs: Vec<Config>,
}

impl Search {
    fn new(ops: &[Op]) -> Self {
        let steps = steps(ops);
        let mut reads: HashMap<State, (usize, usize)> = HashMap::new();
        let mut reads_of_put: HashMap<Mark, (usize, usize)> = HashMap::new();
        let mut found = HashMap::new();
        for (index, (op, step)) in ops.iter().zip(&steps).enumerate() {
            match step {
                Step::Saw(state @ State::There { put, .. }) => {
                    reads.entry(*state).or_default().0 += 1;
                    reads_of_put.entry(*put).or_default().0 += 1;
                }
                Step::PutIf { expected, .. } if op.end.is_some() => {
                    found.insert(*expected, number(index));
                }
                _ => {}
            }
        }
        let first = Config {
            core: Core {
                state: State::Absent,
                placed: Vec::new(),
                used: Vec::new(),
            },
            left: [0; KINDS.len()],
        };
        Self {
            steps,
            reads,
            reads_of_put,
            found,
            running: Vec::new(),
            unknown: Vec::new(),
            conditional: HashMap::new(),
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
            match (step, KINDS.iter().position(|kind| *kind == step)) {
                (_, Some(kind)) => {
                    for config in &mut self.configs {
                        config.left[kind] = (config.left[kind] + 1).min(PLENTY);
                    }
                }
                (Step::PutIf { expected, .. }, None) => {
                    self.conditional.entry(expected).or_default().push(op);
                }
                (_, None) => self.unknown.push(op),
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
        if let Step::Saw(state @ State::There { put, .. }) = self.step(op) {
            let counts = self.reads.get_mut(&state).into_iter();
            for (_, ended) in counts.chain(self.reads_of_put.get_mut(&put)) {
                *ended += 1;
            }
        }
        self.configs = kept.into_configs();
        self.forget_what_all_have_used();
        self.configs.is_empty().then_some(Verdict::Contradicted)
    }

    /// What a configuration may become by the effect of one more change.
    fn successors(&self, config: &Config) -> Vec<Config> {
        let core = &config.core;
        let mut all = Vec::new();
        for op in &self.running {
            if !self.step(*op).only_sees()
                && core.placed.binary_search(op).is_err()
                && let Some(state) = self.after(core, Some(*op), self.step(*op))
            {
                let mut next = config.clone();
                place(&mut next.core.placed, *op);
                all.push(self.entered(next, state));
            }
        }
        for op in &self.unknown {
            if core.used.binary_search(op).is_err()
                && let Some(state) = self.after(core, None, self.step(*op))
            {
                let mut next = config.clone();
                place(&mut next.core.used, *op);
                all.push(self.entered(next, state));
            }
        }
        for op in self.conditions_met(core.state) {
            if let Some(state) = self.after(core, None, self.step(*op)) {
                all.push(self.entered(config.clone(), state));
            }
        }
        for (kind, step) in KINDS.iter().enumerate() {
            let left = config.left[kind];
            if left > 0
                && let Some(state) = self.after(core, None, *step)
                && state != core.state
            {
                let mut next = config.clone();
                if left < PLENTY {
                    next.left[kind] -= 1;
                }
                all.push(self.entered(next, state));
            }
        }
        all
    }

    /// The state after a change, if it fits and the present one may be left by it.
    fn after(&self, core: &Core, op: Option<u32>, step: Step) -> Option<State> {
        let next = step.after(core.state)?;
        let State::There { put, change } = core.state else {
            return Some(next);
        };
        let by_another = |found: &u32| Some(*found) != op;
        if self.found.get(&change).is_some_and(by_another) {
            return None;
        }
        let placed =
            |is: &dyn Fn(Step) -> bool| core.placed.iter().filter(|op| is(self.step(**op))).count();
        let is_over = |reads: Option<&(usize, usize)>, is: &dyn Fn(Step) -> bool| {
            reads.is_none_or(|(all, ended)| ended + placed(is) == *all)
        };
        let of_state = |step| step == Step::Saw(core.state);
        let of_put = |step| matches!(step, Step::Saw(State::There { put: p, .. }) if p == put);
        let stays = matches!(next, State::There { put: p, .. } if p == put && put != UNSEEN);
        let may_leave = is_over(self.reads.get(&core.state), &of_state)
            && (stays || is_over(self.reads_of_put.get(&put), &of_put));
        may_leave.then_some(next)
    }

    /// The conditional changes of unknown outcome that need this state.
    fn conditions_met(&self, state: State) -> &[u32] {
        let met = match state {
            State::There { change, .. } => self.conditional.get(&change),
            State::Absent => None,
        };
        met.map_or(&[], Vec::as_slice)
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
    let is_known = |op: &&Op| op.end.is_some();
    for op in ops {
        match op.what {
            What::Saw { put, change } => {
                refer(put);
                refer(change);
            }
            What::PutIf { expected, .. } if op.end.is_some() => refer(expected),
            _ => {}
        }
    }
    // To have been, or not, after a change that nobody saw and that may never have
    // happened says nothing.
    let known = ops.iter().filter(is_known);
    let known: HashSet<Stamp> = known.filter_map(|op| op.what.stamp()).collect();
    for op in ops {
        match op.what {
            What::Other(expected) | What::PutIf { expected, .. } if known.contains(&expected) => {
                refer(expected);
            }
            _ => {}
        }
    }
    let mark = |stamp: Stamp| marks.get(&stamp).copied().unwrap_or(UNSEEN);
    let step = |op: &Op| match op.what {
        What::Put(stamp) => Step::Put(mark(stamp)),
        // Nothing else tells whether its condition was met.
        What::PutIf { stamp, expected } if mark(expected) == UNSEEN => Step::Put(mark(stamp)),
        What::PutIf { stamp, expected } => Step::PutIf {
            mark: mark(stamp),
            expected: mark(expected),
        },
        What::Edit(stamp) => Step::Edit(mark(stamp)),
        What::Delete => Step::Delete,
        What::Missing => Step::Saw(State::Absent),
        // An unseen change stands for many, and is the last in no state that this
        // one could be said to be in.
        What::Other(expected) => Step::Other(match mark(expected) {
            UNSEEN => NOBODYS,
            mark => mark,
        }),
        What::Saw { put, change } => Step::Saw(State::There {
            put: mark(put),
            change: mark(change),
        }),
    };
    ops.iter().map(step).collect()
}

#[cfg(test)]
mod tests;
