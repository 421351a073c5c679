//! Points in the order of a field's values, by the field's index. A point comes
//! once for each value that it has, and one without values does not come.
//!
//! The index has the points of one value in the order of their slots, which say
//! nothing to a reader: those are put in the order of their ids, and no more of
//! them are kept than the page has room for.

use crate::error::{Error, Result};
use crate::selection::Selection;
use crate::slots::Slot;
use crate::vectors::Owner;
use crate::view::{Answer, Record, View, Want};
use quoit_columns::{Columns, Direction, Kind, Stored};
use quoit_filter::{Filter, Path, Timestamp};
use quoit_ring::{PointId, Vnode, VnodeSet};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// An order of points, and where in it to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderBy {
    /// The field.
    pub path: Path,
    /// The least values first, or the greatest; points of one value are in the
    /// order of their ids, in the same direction.
    pub direction: Direction,
    /// The first value that may come; from the first there is if `None`.
    pub start_from: Option<StartFrom>,
}

/// A value to begin at. Numbers and moments stand for each other: a moment is
/// its microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StartFrom {
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A moment.
    Moment(Timestamp),
}

/// The value by which a point is where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OrderValue {
    /// A whole number; of a moment its microseconds since 1970.
    Integer(i64),
    /// A number.
    Float(f64),
}

/// The points of one value that were met so far, by their ids.
struct Equals {
    value: OrderValue,
    points: BTreeMap<(PointId, Vnode), Slot>,
}

impl View {
    /// Points of some vnodes that meet a filter, in the order of a field's values,
    /// with the value of each; at most `limit`.
    ///
    /// # Errors
    /// The field has no index of integers, floats or moments, or stored data is
    /// damaged.
    pub fn scroll_by(
        &self,
        vnodes: &VnodeSet,
        filter: &Filter,
        order: &OrderBy,
        limit: usize,
        want: Want,
    ) -> Result<Answer<Vec<(OrderValue, Record)>>> {
        let column = self.columns.get(&order.path);
        let column = column.filter(|column| is_ordered(column.kind()));
        let Some(column) = column else {
            return Err(not_indexed(&order.path));
        };
        let selection = self.select(filter);
        let built;
        let columns = if column.is_complete() {
            &self.columns
        } else {
            built = self.built(&order.path, column.kind(), &selection)?;
            &built
        };
        let Some(start) = start(order, column.kind()) else {
            // No value lies beyond where it is to begin.
            return Ok(self.answer(vnodes, Vec::new()));
        };
        let slots = columns.ordered(&order.path, order.direction, start.as_ref());
        let slots = slots.ok_or_else(|| not_indexed(&order.path))?;
        let page = self.page(vnodes, &selection, order.direction, slots, limit)?;
        let shown = page.into_iter().map(|(value, owner, slot)| {
            let record = self.shown(owner, slot, want)?;
            Ok((value, record))
        });
        let shown: Result<Vec<_>> = shown.collect();
        Ok(self.answer(vnodes, shown?))
    }

    fn page(
        &self,
        vnodes: &VnodeSet,
        selection: &Selection<'_>,
        direction: Direction,
        slots: impl Iterator<Item = (Stored, u32)>,
        limit: usize,
    ) -> Result<Vec<(OrderValue, Owner, Slot)>> {
        let mut page = Vec::new();
        let mut equals: Option<Equals> = None;
        for (stored, slot) in slots {
            let (Some(value), slot) = (order_value(&stored), Slot(slot)) else {
                continue;
            };
            if equals.as_ref().is_some_and(|e| e.value != value)
                && let Some(done) = equals.take()
            {
                done.into_page(direction, &mut page);
            }
            if page.len() >= limit {
                return Ok(page);
            }
            if !selection.may_contain(slot) || !self.visible.contains(slot) {
                continue;
            }
            let owner = self.segments.owner(slot)?;
            let is_asked_for =
                vnodes.contains(owner.vnode) && self.readable().contains(owner.vnode);
            let equals = equals.get_or_insert_with(|| Equals {
                value,
                points: BTreeMap::new(),
            });
            let room = limit - page.len();
            // Last, since it may read a payload: not for one without a place.
            if is_asked_for
                && equals.has_place(owner, direction, room)
                && selection.contains(owner, slot)?
            {
                equals.put(owner, slot, direction, room);
            }
        }
        if let Some(last) = equals {
            last.into_page(direction, &mut page);
        }
        Ok(page)
    }

    /// The column of the points that may meet a filter, from their payloads, as
    /// long as the one of all is being built.
    fn built(&self, path: &Path, kind: Kind, selection: &Selection<'_>) -> Result<Columns> {
        let mut own = Columns::default();
        own.add(path.clone(), kind);
        for slot in selection.slots() {
            let owner = self.segments.owner(slot)?;
            let seq = self.seq_of(owner, slot)?;
            let payload = self.rows.feed_row(owner.vnode, seq)?.payload;
            own.insert(slot.0, &self.rows.object(owner.id, &payload)?);
        }
        own.complete(path);
        Ok(own)
    }
}

impl Equals {
    /// Whether a point comes before one of the last of those that there is room for.
    fn has_place(&self, owner: Owner, direction: Direction, room: usize) -> bool {
        let key = (owner.id, owner.vnode);
        self.points.len() < room
            || match direction {
                Direction::Ascending => self.points.last_key_value().is_some_and(|l| key < *l.0),
                Direction::Descending => self.points.first_key_value().is_some_and(|l| key > *l.0),
            }
    }

    fn put(&mut self, owner: Owner, slot: Slot, direction: Direction, room: usize) {
        self.points.insert((owner.id, owner.vnode), slot);
        if self.points.len() > room {
            match direction {
                Direction::Ascending => self.points.pop_last(),
                Direction::Descending => self.points.pop_first(),
            };
        }
    }

    fn into_page(self, direction: Direction, page: &mut Vec<(OrderValue, Owner, Slot)>) {
        let value = self.value;
        let place = |((id, vnode), slot)| (value, Owner { id, vnode }, slot);
        match direction {
            Direction::Ascending => page.extend(self.points.into_iter().map(place)),
            Direction::Descending => page.extend(self.points.into_iter().rev().map(place)),
        }
    }
}

fn is_ordered(kind: Kind) -> bool {
    matches!(kind, Kind::Integer | Kind::Float | Kind::Datetime)
}

fn not_indexed(path: &Path) -> Error {
    Error::BadQuery(format!(
        "no index orders points by `{path}`: make one of type integer, float or datetime"
    ))
}

fn order_value(stored: &Stored) -> Option<OrderValue> {
    match stored {
        Stored::Integer(n) => Some(OrderValue::Integer(*n)),
        Stored::Float(x) => Some(OrderValue::Float(*x)),
        Stored::Datetime(moment) => Some(OrderValue::Integer(micros(*moment))),
        Stored::Keyword(_) | Stored::Bool(_) | Stored::Uuid(_) => None,
    }
}

/// Whole microseconds, those before 1970 rounded as those after it: down.
fn micros(moment: Timestamp) -> i64 {
    let nanos = moment.as_nanosecond().div_euclid(1000);
    // Moments reach from year -9999 to 9999: 2^58 microseconds.
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// Where a column of some kind is to be begun: `Some(None)` is at its first
/// value, `None` behind its last.
#[expect(clippy::option_option)]
fn start(order: &OrderBy, kind: Kind) -> Option<Option<Stored>> {
    let Some(start) = order.start_from else {
        return Some(None);
    };
    if kind == Kind::Datetime {
        let first = match start {
            StartFrom::Moment(moment) => Ok(micros(moment)),
            StartFrom::Integer(n) => Ok(n),
            StartFrom::Float(x) => whole(x, order.direction),
        };
        return match first.and_then(|first| of_micros(first, order.direction)) {
            Ok(moment) => Some(Some(Stored::Datetime(moment))),
            // Before all moments is in the order before the first or behind the last.
            Err(side) => match (side, order.direction) {
                (Ordering::Less, Direction::Ascending)
                | (Ordering::Greater, Direction::Descending) => Some(None),
                _ => None,
            },
        };
    }
    Some(Some(match start {
        StartFrom::Integer(n) => Stored::Integer(n),
        StartFrom::Float(x) => Stored::Float(x),
        StartFrom::Moment(moment) => Stored::Integer(micros(moment)),
    }))
}

/// The first whole number from a number on in a direction, or on which side of
/// all of them it lies.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn whole(x: f64, direction: Direction) -> std::result::Result<i64, Ordering> {
    let x = match direction {
        Direction::Ascending => x.ceil(),
        Direction::Descending => x.floor(),
    };
    if x < i64::MIN as f64 {
        Err(Ordering::Less)
    } else if x >= i64::MAX as f64 {
        Err(Ordering::Greater)
    } else {
        Ok(x as i64)
    }
}

/// The first moment of a microsecond in a direction, or on which side of all
/// moments it lies.
fn of_micros(micros: i64, direction: Direction) -> std::result::Result<Timestamp, Ordering> {
    let first = i128::from(micros) * 1000;
    let nanos = match direction {
        Direction::Ascending => first,
        Direction::Descending => first + 999,
    };
    if nanos < Timestamp::MIN.as_nanosecond() {
        return Err(Ordering::Less);
    }
    Timestamp::from_nanosecond(nanos).map_err(|_| Ordering::Greater)
}
