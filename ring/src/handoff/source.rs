//! What the source of a handoff does: it opens, seals, and in the end either lets go
//! or has its vnodes back.

use super::{
    Certificate, Handoff, Kept, Ledger, Outcome, Refused, Transition, all, custody_of, fenced,
    kept_same,
};
use crate::custody::{Custody, Hint};

/// The vnodes begin to leave; from here on deleted points leave a trace. Until the
/// seal the source is their owner as before.
///
/// # Errors
/// They are not all its own with these custody numbers, or have seen a later handoff.
pub fn open(ledger: &impl Ledger, handoff: &Handoff) -> Result<Transition, Refused> {
    is_source(ledger, handoff)?;
    if kept_same(ledger, handoff)?.is_some() {
        return Ok(Transition::default());
    }
    let id = handoff.id;
    for (vnode, c) in &handoff.vnodes {
        let holding = ledger.holding(*vnode);
        if holding.fence >= id.number {
            let (vnode, fence) = (vnode.0, holding.fence);
            return Err(Refused::Fenced { vnode, fence });
        }
        if holding.custody != Custody::Owned || holding.c != *c {
            return Err(custody_of(*vnode, holding));
        }
    }
    let kept = Kept {
        handoff: handoff.clone(),
        outcome: None,
    };
    Ok(Transition {
        holdings: fenced(ledger, handoff, |_, mut holding| {
            holding.custody = Custody::Leaving(id);
            holding
        }),
        kept: Some((id, Some(kept))),
        ..Transition::default()
    })
}

/// The vnodes are frozen: nobody takes writes to them until the target's log has
/// decided. Says what they have, which no longer changes.
///
/// # Errors
/// The handoff was not opened here, or is over.
pub fn seal(ledger: &impl Ledger, handoff: &Handoff) -> Result<(Transition, Certificate), Refused> {
    is_source(ledger, handoff)?;
    let id = handoff.id;
    kept_same(ledger, handoff)?;
    for vnode in handoff.vnodes.keys() {
        let holding = ledger.holding(*vnode);
        if ![Custody::Leaving(id), Custody::Sealed(id)].contains(&holding.custody) {
            return Err(custody_of(*vnode, holding));
        }
    }
    let transition = Transition {
        holdings: fenced(ledger, handoff, |_, mut holding| {
            holding.custody = Custody::Sealed(id);
            holding
        }),
        ..Transition::default()
    };
    let contents = handoff.vnodes.keys().map(|v| (*v, ledger.contents(*v)));
    let certificate = Certificate {
        vnodes: contents.collect(),
        schema: ledger.schema(),
    };
    Ok((transition, certificate))
}

/// The source has its vnodes back. Sealed ones only by the target's word that it has
/// declined: without it, both could be their owner. Their custody number rises by two
/// then, above the one that the target would have had. Of a handoff that was never
/// opened, nothing will come any more.
///
/// # Errors
/// It is sealed, and `word` is not that the target has declined.
pub fn abort(
    ledger: &impl Ledger,
    handoff: &Handoff,
    word: Option<Outcome>,
) -> Result<Transition, Refused> {
    is_source(ledger, handoff)?;
    let id = handoff.id;
    let kept = kept_same(ledger, handoff)?;
    let is_sealed = !all(ledger, handoff, |_, custody| custody != Custody::Sealed(id));
    if is_sealed && word != Some(Outcome::Declined) {
        return Err(Refused::NoWord(id));
    }
    Ok(Transition {
        holdings: fenced(ledger, handoff, |_, mut holding| {
            match holding.custody {
                Custody::Leaving(of) if of == id => holding.custody = Custody::Owned,
                Custody::Sealed(of) if of == id => {
                    holding.custody = Custody::Owned;
                    holding.c += 2;
                }
                _ => {}
            }
            holding
        }),
        kept: kept.map(|_| (id, None)),
        ..Transition::default()
    })
}

/// The source lets go of what the target owns.
///
/// # Errors
/// It holds them, and `word` is not that the target has activated; or they were
/// never sealed.
pub fn release(
    ledger: &impl Ledger,
    handoff: &Handoff,
    word: Option<Outcome>,
) -> Result<Transition, Refused> {
    is_source(ledger, handoff)?;
    let id = handoff.id;
    if kept_same(ledger, handoff)?.is_none() {
        // It was released before, or the vnodes were taken back: nothing is held by it.
        return Ok(Transition::default());
    }
    if word != Some(Outcome::Activated) {
        return Err(Refused::NoWord(id));
    }
    for vnode in handoff.vnodes.keys() {
        let holding = ledger.holding(*vnode);
        if holding.custody != Custody::Sealed(id) {
            return Err(custody_of(*vnode, holding));
        }
    }
    let to = handoff.to;
    Ok(Transition {
        holdings: fenced(ledger, handoff, |_, mut holding| {
            holding.custody = Custody::None;
            holding.went = Some(Hint {
                shard: to,
                c: holding.c + 1,
            });
            holding
        }),
        dropped: handoff.vnodes.keys().copied().collect(),
        kept: Some((id, None)),
    })
}

fn is_source(ledger: &impl Ledger, handoff: &Handoff) -> Result<(), Refused> {
    let (id, shard) = (handoff.id, ledger.shard());
    if handoff.from == shard && handoff.to != shard {
        Ok(())
    } else {
        Err(Refused::NotMine { id, shard })
    }
}
