//! A model in which each shard is one state machine, and everything else may happen
//! that can: commands are lost, late or twice, a change of leader forgets all that is
//! not applied, whoever balances stops anywhere, runs twice and knows only old answers,
//! the wish changes, and the ring is set back to a backup.
//!
//! There are no messages. From when the ring planned a handoff on, each command of it may
//! be applied at any time, in any order, any number of times or never, whether or not
//! whoever balances would send it: that is all that late, lost and doubled messages
//! can do, and more. Only what carries a shard's word (what its target decided, what its
//! source froze, that its source is done with it) is held back until that shard could
//! have said so once; its word never turns false.
//!
//! | what | how |
//! |---|---|
//! | transitions of a shard | `quoit_ring::handoff` |
//! | steps of the ring | `quoit_ring::balance` |
//! | what is sent to whom | `quoit_ring::balance`, where it is looked whether all comes to rest |
//! | the change feed | a page is what the source has when it is asked, and may arrive when it is old |
//! | writes | a list; each may come to any shard, again and again, from when it is first sent |

mod properties;
mod shard;

pub use shard::{Data, Item, Page, Shard, Write};

use quoit_ring::balance::{Goal, Limits, Report, next_ring};
use quoit_ring::handoff::{self, Certificate, Handoff, HandoffId, Ledger, Outcome, Refused};
use quoit_ring::{Custody, Holding, Ring, ShardId, ShardState, Table, Vnode, VnodeCount};
use stateright::{Model, Property};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What is broken on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Broken {
    /// Nothing.
    #[default]
    Nothing,
    /// A sealed vnode goes back to its source without the target's word.
    UnsealedWithoutWord,
    /// Pages are made by a replica that has not applied that the vnode leaves.
    FedBeforeOpen,
    /// The target owns a vnode of which not all has arrived.
    EarlyActivate,
    /// Whether a write is taken is decided before it is applied.
    CheckedAtPropose,
    /// The source lets go of a vnode that the target does not own.
    EarlyRelease,
    /// A page that arrives late brings back what was deleted.
    ResurrectedDelete,
    /// A frozen vnode answers reads that need the newest writes.
    FrozenAnswersStrong,
    /// An end without a fence: a late command begins the handoff anew.
    NoFence,
}

/// What may go wrong besides what always may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The ring is set back to a backup, once.
    SetBack,
    /// Answers of shards are old when they are acted on.
    OldAnswers,
    /// What has arrived of a vnode is dropped to begin anew, once.
    Reset,
}

/// A promise that was broken on the way to a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// A write was accepted a second time.
    Twice,
    /// Vnodes were let go of without the target's word.
    LetGo,
    /// What a target decided changed.
    Undone,
}

/// What is explored.
#[derive(Clone, Debug)]
pub struct Explored {
    /// The number of vnodes.
    pub vnodes: VnodeCount,
    /// The wishes, one after the other; the first is there from the beginning.
    pub goals: Vec<Goal>,
    /// The writes, in the order in which clients begin them.
    pub writes: Vec<Write>,
    /// What may go wrong besides.
    pub faults: BTreeSet<Fault>,
    /// Whether it is looked, in each state, that all comes to rest if nothing more goes
    /// wrong.
    pub looks_for_rest: bool,
    /// How many handoffs there are at the most.
    pub handoffs: u64,
    /// What is broken.
    pub broken: Broken,
}

/// A state of the whole system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The ring as it is kept.
    pub ring: Ring,
    /// The backup of it, and whether it was put back.
    pub backup: Option<Ring>,
    /// Whether it was put back.
    pub was_set_back: bool,
    /// Which wish holds.
    pub goal: usize,
    /// The shards.
    pub shards: BTreeMap<ShardId, Shard>,
    /// What they answered last.
    pub reports: BTreeMap<ShardId, Report>,
    /// All handoffs that were ever planned.
    pub planned: BTreeSet<Handoff>,
    /// What sources have frozen.
    pub frozen: BTreeMap<HandoffId, Certificate>,
    /// Pages on their way.
    pub pages: BTreeSet<(HandoffId, Vnode, Page)>,
    /// Writes that were found to be acceptable, where that is all that is asked.
    pub proposed: BTreeSet<(ShardId, Write)>,
    /// How many writes were begun.
    pub begun: usize,
    /// The writes that were accepted, in order.
    pub accepted: Vec<Write>,
    /// Promises that were broken.
    pub breaches: BTreeSet<Breach>,
    /// What targets have said that they decided.
    pub said: BTreeSet<(HandoffId, Outcome)>,
    /// How often something was dropped to begin anew.
    pub resets: u8,
}

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The next wish holds.
    Wish,
    /// A shard says how it is.
    Ask(ShardId),
    /// The next step of the ring.
    NextRing,
    /// A command is applied, or refused.
    Apply(Handoff, Step),
    /// A page is made.
    Feed(Handoff, Vnode),
    /// A page arrives.
    Ingest(HandoffId, Vnode, Page),
    /// A write that was found to be acceptable is applied.
    Applied(ShardId, Write),
    /// A client's write comes to a shard.
    Write(usize, ShardId),
    /// What has arrived of a vnode is dropped.
    Reset(ShardId, HandoffId, Vnode),
    /// A shard that is asked to is retired.
    Retire(ShardId),
    /// A backup of the ring is made.
    Backup,
    /// It is put back.
    SetBack,
}

/// A command of a handoff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// To the source.
    Open,
    /// To the source.
    Seal,
    /// To the source, by what the target has decided, or without knowing.
    Abort(Option<Outcome>),
    /// To the source, by what the target has decided.
    Release,
    /// To the target.
    Prepare,
    /// To the target, by what the source has frozen.
    Activate,
    /// To the target.
    Decline,
    /// To the target.
    Forget,
}

const LIMITS: Limits = Limits {
    bytes: 1,
    of_a_shard: 2,
    of_all: 4,
};

impl Explored {
    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    fn goal(&self, state: &State) -> &Goal {
        &self.goals[state.goal]
    }

    fn reports(&self, state: &State) -> BTreeMap<ShardId, Report> {
        if self.has(Fault::OldAnswers) {
            state.reports.clone()
        } else {
            let reports = state.shards.iter();
            reports
                .map(|(id, it)| (*id, Self::report(state, it)))
                .collect()
        }
    }

    /// What a shard says of itself.
    fn report(state: &State, shard: &Shard) -> Report {
        let is_ready = |handoff: &Handoff| {
            let source = &state.shards.get(&handoff.from);
            handoff.vnodes.keys().all(|vnode| {
                let theirs = source.map(|source| source.contents(*vnode));
                theirs.is_some_and(|theirs| theirs == shard.contents(*vnode))
            })
        };
        let arriving = shard.kept.values().filter(|kept| {
            kept.outcome.is_none() && kept.handoff.to == shard.id && is_ready(&kept.handoff)
        });
        Report {
            holdings: shard.holdings.clone(),
            kept: shard.kept.clone(),
            is_retired: shard.is_retired,
            ready: arriving.map(|kept| kept.handoff.id).collect(),
            bytes: BTreeMap::new(),
        }
    }

    /// What a command of a handoff does.
    fn apply(&self, state: &mut State, handoff: &Handoff, step: Step) -> Result<(), Refused> {
        let id = match step {
            Step::Open | Step::Seal | Step::Abort(_) | Step::Release => handoff.from,
            Step::Prepare | Step::Activate | Step::Decline | Step::Forget => handoff.to,
        };
        let shard = state.shards.entry(id).or_insert_with(|| Shard::new(id));
        let mut transition = match step {
            Step::Open => handoff::open(shard, handoff)?,
            Step::Seal => {
                let (transition, certificate) = handoff::seal(shard, handoff)?;
                state.frozen.insert(handoff.id, certificate);
                transition
            }
            Step::Abort(_) if self.broken == Broken::UnsealedWithoutWord => {
                handoff::abort(shard, handoff, Some(Outcome::Declined))?
            }
            Step::Abort(word) => handoff::abort(shard, handoff, word)?,
            Step::Release => handoff::release(shard, handoff, Some(Outcome::Activated))?,
            Step::Prepare => handoff::prepare(shard, handoff)?,
            Step::Activate => {
                let Some(certificate) = state.frozen.get(&handoff.id) else {
                    return Ok(());
                };
                let certificate = self.believed(shard, certificate);
                handoff::activate(shard, handoff, &certificate)?
            }
            Step::Decline => handoff::decline(shard, handoff)?,
            Step::Forget => handoff::forget(shard, handoff)?,
        };
        if self.broken == Broken::NoFence && matches!(step, Step::Decline | Step::Abort(_)) {
            unfence(shard, &mut transition);
        }
        let has_word = state.said.contains(&(handoff.id, Outcome::Activated));
        if step == Step::Release && !transition.dropped.is_empty() && !has_word {
            state.breaches.insert(Breach::LetGo);
        }
        shard.apply(transition);
        state.note_outcomes();
        Ok(())
    }

    /// What the target takes for what was frozen.
    fn believed(&self, shard: &Shard, certificate: &Certificate) -> Certificate {
        let mut certificate = certificate.clone();
        for (vnode, sealed) in &mut certificate.vnodes {
            let found = shard.contents(*vnode);
            match self.broken {
                Broken::EarlyActivate => *sealed = found,
                // Only what was compared would show it.
                Broken::FedBeforeOpen | Broken::ResurrectedDelete => {
                    (sealed.count, sealed.digest) = (found.count, found.digest);
                }
                _ => {}
            }
        }
        certificate
    }

    /// A page arrives at the target of a handoff.
    fn ingest(
        &self,
        state: &mut State,
        id: HandoffId,
        vnode: Vnode,
        page: &Page,
    ) -> Result<(), Refused> {
        let mut targets = state.shards.values_mut();
        let Some(shard) = targets.find(|shard| {
            let kept = shard.kept.get(&id);
            kept.is_some_and(|kept| kept.handoff.to == shard.id)
        }) else {
            return Ok(());
        };
        let is_old = self.broken == Broken::ResurrectedDelete;
        let mut page = page.clone();
        if is_old && let Custody::Arriving { cursor, .. } = shard.holding(vnode).custody {
            // It is taken whatever came before it.
            page.from = cursor;
            page.to = page.to.max(cursor);
        }
        let holding = handoff::ingest(shard, id, vnode, page.from, page.to)?;
        shard.ingest(vnode, holding, &page, is_old);
        Ok(())
    }

    /// Whether a write is acceptable at a shard, as it is.
    fn accepts(state: &State, shard: ShardId, write: Write) -> bool {
        let shard = state.shards.get(&shard);
        shard.is_some_and(|it| it.holding(write.vnode).custody.accepts_writes())
    }

    /// Which vnodes of whom are being copied, by whoever was asked last.
    fn copying(state: &State) -> impl Iterator<Item = (&Shard, &Handoff)> {
        state.shards.values().flat_map(|shard| {
            let kept = shard.kept.values();
            let kept = kept.filter(|it| it.outcome.is_none() && it.handoff.to == shard.id);
            kept.map(move |it| (shard, &it.handoff))
        })
    }
}

/// The commands of a handoff that may come.
fn steps(explored: &Explored, state: &State, handoff: &Handoff) -> impl Iterator<Item = Step> {
    let id = handoff.id;
    let declined = state.has_said(id, Outcome::Declined);
    let activated = state.has_said(id, Outcome::Activated);
    let steps = [
        (Step::Open, true),
        (Step::Seal, true),
        (Step::Abort(None), true),
        (Step::Abort(Some(Outcome::Declined)), declined),
        (
            Step::Release,
            activated || explored.broken == Broken::EarlyRelease,
        ),
        (Step::Prepare, true),
        (Step::Activate, state.frozen.contains_key(&id)),
        (Step::Decline, true),
        (Step::Forget, state.is_over(handoff)),
    ];
    steps
        .into_iter()
        .filter(|(_, may)| *may)
        .map(|(step, _)| step)
}

fn unfence(shard: &Shard, transition: &mut handoff::Transition) {
    for (vnode, holding) in &mut transition.holdings {
        let before = shard.holding(*vnode);
        let is_changed = holding.custody != before.custody;
        holding.fence = if is_changed { 0 } else { before.fence };
    }
}

impl State {
    fn accept(&mut self, shard: ShardId, write: Write) {
        let Some(shard) = self.shards.get_mut(&shard) else {
            return;
        };
        if shard.write(write) {
            if self.accepted.contains(&write) {
                self.breaches.insert(Breach::Twice);
            }
            self.accepted.push(write);
        }
    }

    /// Pages that nobody can take in any more are as good as lost.
    fn forget_pages(&mut self, may_begin_anew: bool) {
        let shards = &self.shards;
        self.pages.retain(|(id, vnode, page)| {
            shards
                .values()
                .any(|shard| match shard.holding(*vnode).custody {
                    Custody::Arriving { handoff, cursor } => {
                        handoff == *id && (may_begin_anew || page.from >= cursor)
                    }
                    _ => false,
                })
        });
    }

    /// What the targets' logs have taken, to see that it does not change as long as it
    /// matters to the source.
    fn note_outcomes(&mut self) {
        for shard in self.shards.values() {
            for (id, kept) in &shard.kept {
                let Some(outcome) = kept.outcome else {
                    continue;
                };
                let is_new = self.said.insert((*id, outcome));
                let other = match outcome {
                    Outcome::Activated => Outcome::Declined,
                    Outcome::Declined => Outcome::Activated,
                };
                let differs = self.said.contains(&(*id, other));
                if is_new && differs && !self.is_over(&kept.handoff) {
                    self.breaches.insert(Breach::Undone);
                }
            }
        }
    }

    /// Whether the source of a handoff holds nothing by it and never will.
    fn is_over(&self, handoff: &Handoff) -> bool {
        self.shards.get(&handoff.from).is_some_and(|source| {
            let mut vnodes = handoff.vnodes.keys();
            !source.kept.contains_key(&handoff.id)
                && vnodes.all(|vnode| source.holding(*vnode).fence >= handoff.id.number)
        })
    }

    /// Whether a target has said so.
    fn has_said(&self, id: HandoffId, outcome: Outcome) -> bool {
        self.said.contains(&(id, outcome))
    }
}

impl Model for Explored {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let (count, first) = (self.vnodes, ShardId(0));
        let table = Table::owned_by(count, first);
        let Ok(ring) = Ring::first(Uuid::from_u128(1), table, [first]) else {
            return Vec::new();
        };
        let mut shard = Shard::new(first);
        let all = count.iter().collect();
        let holdings = quoit_ring::found(0, count, &all).unwrap_or_default();
        shard.holdings = count.iter().zip(holdings).collect();
        vec![State {
            ring,
            backup: None,
            was_set_back: false,
            goal: 0,
            shards: [(first, shard)].into(),
            reports: BTreeMap::new(),
            planned: BTreeSet::new(),
            frozen: BTreeMap::new(),
            pages: BTreeSet::new(),
            proposed: BTreeSet::new(),
            begun: 0,
            accepted: Vec::new(),
            breaches: BTreeSet::new(),
            said: BTreeSet::new(),
            resets: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.goal + 1 < self.goals.len() {
            actions.push(Action::Wish);
        }
        if self.has(Fault::OldAnswers) {
            actions.extend(state.shards.keys().map(|id| Action::Ask(*id)));
        }
        actions.push(Action::NextRing);
        for handoff in &state.planned {
            actions
                .extend(steps(self, state, handoff).map(|it| Action::Apply(handoff.clone(), it)));
        }
        for (target, handoff) in Self::copying(state) {
            for vnode in handoff.vnodes.keys() {
                actions.push(Action::Feed(handoff.clone(), *vnode));
                if self.has(Fault::Reset) && state.resets == 0 {
                    actions.push(Action::Reset(target.id, handoff.id, *vnode));
                }
            }
        }
        let pages = state.pages.iter().cloned();
        actions.extend(pages.map(|(id, vnode, page)| Action::Ingest(id, vnode, page)));
        let proposed = state.proposed.iter();
        actions.extend(proposed.map(|(shard, write)| Action::Applied(*shard, *write)));
        let leaving = state.ring.shards();
        let leaving = leaving.filter(|(_, it)| *it == ShardState::Leaving);
        actions.extend(leaving.map(|(id, _)| Action::Retire(id)));
        for write in 0..self.writes.len().min(state.begun + 1) {
            actions.extend(state.shards.keys().map(|id| Action::Write(write, *id)));
        }
        if self.has(Fault::SetBack) {
            let action = if state.backup.is_none() {
                Action::Backup
            } else {
                Action::SetBack
            };
            actions.push(action);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Wish => next.goal += 1,
            Action::Ask(id) => {
                let report = Self::report(state, state.shards.get(&id)?);
                next.reports.insert(id, report);
            }
            Action::NextRing => {
                let nonce = u64::from(state.was_set_back);
                let reports = self.reports(state);
                let ring = next_ring(&state.ring, self.goal(state), &reports, LIMITS, nonce);
                let mut parts = ring.ok()??.into_parts();
                // How often it changed is for people.
                parts.epoch = 1;
                next.ring = Ring::from_parts(parts).ok()?;
                let moves = next.ring.moves().values();
                next.planned.extend(moves.map(|it| it.handoff.clone()));
                for (id, _) in next.ring.shards() {
                    // A shard that joins is made, empty.
                    next.shards.entry(id).or_insert_with(|| Shard::new(id));
                }
            }
            Action::Apply(handoff, step) => self.apply(&mut next, &handoff, step).ok()?,
            Action::Feed(handoff, vnode) => {
                let source = state.shards.get(&handoff.from)?;
                let is_fed = match source.holding(vnode).custody {
                    Custody::Leaving(id) | Custody::Sealed(id) => id == handoff.id,
                    Custody::Owned => self.broken == Broken::FedBeforeOpen,
                    Custody::None | Custody::Arriving { .. } => false,
                };
                let target = state.shards.get(&handoff.to)?;
                let Custody::Arriving { cursor, .. } = target.holding(vnode).custody else {
                    return None;
                };
                let page = source.data(vnode).since(cursor);
                if !is_fed || page.to == cursor {
                    return None;
                }
                next.pages.insert((handoff.id, vnode, page));
            }
            Action::Ingest(id, vnode, page) => self.ingest(&mut next, id, vnode, &page).ok()?,
            Action::Applied(shard, write) => next.accept(shard, write),
            Action::Retire(id) => {
                let shard = next.shards.get_mut(&id)?;
                let holds = |it: &Holding| it.custody != Custody::None;
                shard.is_retired |= shard.kept.is_empty() && !shard.holdings.values().any(holds);
            }
            Action::Write(number, shard) => {
                next.begun = next.begun.max(number + 1);
                let write = *self.writes.get(number)?;
                if !Self::accepts(state, shard, write) {
                    return None;
                }
                if self.broken == Broken::CheckedAtPropose {
                    next.proposed.insert((shard, write));
                } else {
                    next.accept(shard, write);
                }
            }
            Action::Reset(shard, id, vnode) => {
                let shard = next.shards.get_mut(&shard)?;
                let transition = handoff::reset(shard, id, vnode).ok()?;
                shard.apply(transition);
                next.resets += 1;
            }
            Action::Backup => next.backup = Some(state.ring.clone()),
            Action::SetBack => {
                if state.was_set_back {
                    return None;
                }
                next.ring = state.backup.clone()?;
                next.was_set_back = true;
            }
        }
        let may_begin_anew = self.has(Fault::Reset) || self.broken == Broken::ResurrectedDelete;
        next.forget_pages(may_begin_anew);
        (next != *state).then_some(next)
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.ring.next_handoff() <= self.handoffs + 1
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
