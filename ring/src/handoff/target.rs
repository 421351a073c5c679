//! What the target of a handoff does: it takes the vnodes in where nobody sees them,
//! and its log decides whether it owns them.

use super::{
    Certificate, Handoff, HandoffId, Kept, Ledger, Outcome, Refused, Transition, custody_of,
    fenced, kept_same,
};
use crate::custody::{Custody, Hint, Holding};
use crate::key::Vnode;

/// The vnodes begin to arrive, hidden.
///
/// # Errors
/// The target is retired or has them in another way, or it has seen a later handoff or
/// this one's end.
pub fn prepare(ledger: &impl Ledger, handoff: &Handoff) -> Result<Transition, Refused> {
    is_target(ledger, handoff)?;
    let id = handoff.id;
    match kept_same(ledger, handoff)?.map(|kept| kept.outcome) {
        Some(None) => return Ok(Transition::default()),
        Some(Some(outcome)) => return Err(Refused::Decided { id, outcome }),
        None => {}
    }
    if ledger.is_retired() {
        return Err(Refused::Retired(ledger.shard()));
    }
    for vnode in handoff.vnodes.keys() {
        let holding = ledger.holding(*vnode);
        if holding.fence >= id.number {
            let (vnode, fence) = (vnode.0, holding.fence);
            return Err(Refused::Fenced { vnode, fence });
        }
        if holding.custody != Custody::None {
            return Err(custody_of(*vnode, holding));
        }
    }
    let kept = Kept {
        handoff: handoff.clone(),
        outcome: None,
    };
    Ok(Transition {
        holdings: fenced(ledger, handoff, |_, mut holding| {
            holding.custody = Custody::Arriving {
                handoff: id,
                cursor: 0,
            };
            holding
        }),
        kept: Some((id, Some(kept))),
        ..Transition::default()
    })
}

/// A page of a vnode's changes came in: those after `from`, up to and with `to`. The
/// holding that the vnode then has.
///
/// # Errors
/// The vnode does not arrive by this handoff, or the page does not follow the last one.
pub fn ingest(
    ledger: &impl Ledger,
    id: HandoffId,
    vnode: Vnode,
    from: u64,
    to: u64,
) -> Result<Holding, Refused> {
    let mut holding = ledger.holding(vnode);
    let cursor = arriving(vnode, holding, id)?;
    if cursor != from || to < from {
        let vnode = vnode.0;
        return Err(Refused::Cursor { vnode, cursor });
    }
    holding.custody = Custody::Arriving {
        handoff: id,
        cursor: to,
    };
    Ok(holding)
}

/// What came of a vnode so far is dropped, since it is not what the source has, and it
/// begins anew.
///
/// # Errors
/// The vnode does not arrive by this handoff.
pub fn reset(ledger: &impl Ledger, id: HandoffId, vnode: Vnode) -> Result<Transition, Refused> {
    let mut holding = ledger.holding(vnode);
    arriving(vnode, holding, id)?;
    holding.custody = Custody::Arriving {
        handoff: id,
        cursor: 0,
    };
    Ok(Transition {
        holdings: [(vnode, holding)].into(),
        dropped: vec![vnode],
        ..Transition::default()
    })
}

/// The target owns the vnodes, each with a custody number above the source's.
///
/// # Errors
/// Something of what was sealed is not here yet or is not the same, or the target has
/// declined.
pub fn activate(
    ledger: &impl Ledger,
    handoff: &Handoff,
    certificate: &Certificate,
) -> Result<Transition, Refused> {
    is_target(ledger, handoff)?;
    let id = handoff.id;
    match kept_same(ledger, handoff)?.and_then(|kept| kept.outcome) {
        Some(Outcome::Activated) => return Ok(Transition::default()),
        Some(outcome @ Outcome::Declined) => return Err(Refused::Decided { id, outcome }),
        None => {}
    }
    let (found, sealed) = (ledger.schema(), certificate.schema);
    if found < sealed {
        return Err(Refused::Schema { found, sealed });
    }
    for vnode in handoff.vnodes.keys() {
        let cursor = arriving(*vnode, ledger.holding(*vnode), id)?;
        let (found, sealed) = (ledger.contents(*vnode), certificate.vnodes.get(vnode));
        if sealed.is_none_or(|sealed| *sealed != found || sealed.seq != cursor) {
            return Err(Refused::Unequal {
                vnode: vnode.0,
                found: Box::new(found),
                sealed: sealed.copied().map(Box::new),
            });
        }
    }
    Ok(Transition {
        holdings: fenced(ledger, handoff, |vnode, mut holding| {
            holding.custody = Custody::Owned;
            holding.c = handoff.vnodes.get(&vnode).copied().unwrap_or_default() + 1;
            holding.went = None;
            holding
        }),
        kept: Some((id, Some(decided(handoff, Outcome::Activated)))),
        ..Transition::default()
    })
}

/// The target takes the vnodes never by this handoff, and drops what has come of them.
/// Also of one that it has not heard of: it can never begin then, and a source that has
/// frozen them all the same has its word.
///
/// # Errors
/// It has activated them.
pub fn decline(ledger: &impl Ledger, handoff: &Handoff) -> Result<Transition, Refused> {
    is_target(ledger, handoff)?;
    let id = handoff.id;
    match kept_same(ledger, handoff)?.and_then(|kept| kept.outcome) {
        Some(Outcome::Declined) => return Ok(Transition::default()),
        Some(outcome @ Outcome::Activated) => return Err(Refused::Decided { id, outcome }),
        None => {}
    }
    let arrives = |vnode: Vnode| arriving(vnode, ledger.holding(vnode), id).is_ok();
    Ok(Transition {
        holdings: fenced(ledger, handoff, |vnode, mut holding| {
            if arrives(vnode) {
                holding.custody = Custody::None;
                holding.went = Some(Hint {
                    shard: handoff.from,
                    c: handoff.vnodes.get(&vnode).copied().unwrap_or_default() + 2,
                });
            }
            holding
        }),
        dropped: handoff
            .vnodes
            .keys()
            .copied()
            .filter(|v| arrives(*v))
            .collect(),
        kept: Some((id, Some(decided(handoff, Outcome::Declined)))),
    })
}

/// Nobody will ask any more what came of the handoff: its source holds nothing by it.
///
/// # Errors
/// It is not decided.
pub fn forget(ledger: &impl Ledger, handoff: &Handoff) -> Result<Transition, Refused> {
    is_target(ledger, handoff)?;
    let id = handoff.id;
    match kept_same(ledger, handoff)?.map(|kept| kept.outcome) {
        None => Ok(Transition::default()),
        Some(None) => Err(Refused::NoWord(id)),
        Some(Some(_)) => Ok(Transition {
            kept: Some((id, None)),
            ..Transition::default()
        }),
    }
}

fn decided(handoff: &Handoff, outcome: Outcome) -> Kept {
    Kept {
        handoff: handoff.clone(),
        outcome: Some(outcome),
    }
}

fn arriving(vnode: Vnode, holding: Holding, id: HandoffId) -> Result<u64, Refused> {
    match holding.custody {
        Custody::Arriving { handoff, cursor } if handoff == id => Ok(cursor),
        _ => Err(custody_of(vnode, holding)),
    }
}

fn is_target(ledger: &impl Ledger, handoff: &Handoff) -> Result<(), Refused> {
    let (id, shard) = (handoff.id, ledger.shard());
    if handoff.to == shard && handoff.from != shard {
        Ok(())
    } else {
        Err(Refused::NotMine { id, shard })
    }
}
