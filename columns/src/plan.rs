//! Which values of a column meet a test, for each kind of column and each
//! test: keys to look up, spans to walk, or all there is if the column cannot
//! tell. What it cannot hold is named by sort, to be checked.

use crate::cells;
use crate::column::Kind;
use crate::find::{Sort, canonical};
use crate::key::{Number, Place};
use jiff::Timestamp;
use quoit_filter::{Analyzer, Scalar, Scalars, Test, timestamp};
use std::sync::Arc;
use uuid::Uuid;

/// What a condition asks of values.
pub enum Ask<'a> {
    /// To be equal to one of these.
    Bool(bool),
    Integers(Vec<i64>),
    Keywords(Vec<&'a str>),
    /// To meet this, which is none of `Value`, `Any` and `Except`.
    Test(&'a Test),
}

impl<'a> Ask<'a> {
    pub fn any(scalars: &'a Scalars) -> Self {
        match scalars {
            Scalars::Integers(all) => Self::Integers(all.iter().copied().collect()),
            Scalars::Keywords(all) => Self::Keywords(all.iter().map(String::as_str).collect()),
        }
    }

    pub fn of(test: &'a Test) -> Self {
        match test {
            Test::Value(Scalar::Bool(b)) => Self::Bool(*b),
            Test::Value(Scalar::Integer(n)) => Self::Integers(vec![*n]),
            Test::Value(Scalar::Keyword(s)) => Self::Keywords(vec![s]),
            Test::Any(scalars) => Self::any(scalars),
            test => Self::Test(test),
        }
    }
}

/// Where the values lie that meet a test.
pub enum Pick<'a, K> {
    /// In slots that have all keys of one of these groups.
    Groups(Vec<Vec<K>>),
    /// In these spans, which are apart.
    Spans(Vec<Span<'a, K>>),
    /// In these spans, where a value holds this.
    Checked(Vec<Span<'a, K>>, Predicate<'a, K>),
    /// Anywhere.
    Present,
}

pub type Predicate<'a, K> = Box<dyn Fn(&K) -> bool + 'a>;

/// Values in a row.
pub struct Span<'a, K> {
    /// Holds for what is before them, and for nothing after that.
    pub before: Predicate<'a, K>,
    /// Holds for what is after them, and for nothing before that.
    pub after: Predicate<'a, K>,
}

/// Whether slots with picked values meet the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certain {
    Yes,
    No,
    /// Those that have one value.
    UnlessSeveral,
}

/// Where to look, and what it says.
pub struct Plan<'a, K> {
    pub pick: Pick<'a, K>,
    pub certain: Certain,
}

/// Which values that a column cannot hold may meet a test.
pub fn others(kind: Kind, ask: &Ask) -> Option<Sort> {
    match (kind, ask) {
        (_, Ask::Bool(_)) => Some(Sort::Bool),
        // What is asked for would be held, so nothing else is it.
        (Kind::Integer, Ask::Integers(_)) | (Kind::Datetime, Ask::Test(Test::Time(_))) => None,
        (_, Ask::Integers(_)) => Some(Sort::Number),
        (Kind::Uuid, Ask::Keywords(all)) if all.iter().all(|s| canonical(s).is_some()) => None,
        (Kind::Datetime, Ask::Keywords(all)) if all.iter().all(|s| timestamp(s).is_ok()) => None,
        (_, Ask::Keywords(_)) => Some(Sort::Text),
        (_, Ask::Test(test)) => match test {
            Test::Range(_) => Some(Sort::Number),
            Test::GeoBox(_) | Test::GeoRadius(_) | Test::GeoPolygon(_) => Some(Sort::Place),
            test if is_of_texts(test) => Some(Sort::Text),
            _ => None,
        },
    }
}

fn is_of_texts(test: &Test) -> bool {
    matches!(
        test,
        Test::Text(_)
            | Test::TextAny(_)
            | Test::Phrase(_)
            | Test::Prefix(_)
            | Test::Substring(_)
            | Test::Time(_)
    )
}

impl<'a, K: 'a> Plan<'a, K> {
    fn none() -> Self {
        Self::one_of([])
    }

    fn one_of(keys: impl IntoIterator<Item = K>) -> Self {
        let groups = keys.into_iter().map(|key| vec![key]).collect();
        Self {
            pick: Pick::Groups(groups),
            certain: Certain::Yes,
        }
    }

    fn anywhere() -> Self {
        Self {
            pick: Pick::Present,
            certain: Certain::No,
        }
    }

    fn between(before: impl Fn(&K) -> bool + 'a, after: impl Fn(&K) -> bool + 'a) -> Self {
        Self {
            pick: Pick::Spans(vec![Span::new(before, after)]),
            certain: Certain::Yes,
        }
    }

    fn checked(spans: Vec<Span<'a, K>>, check: impl Fn(&K) -> bool + 'a) -> Self {
        Self {
            pick: Pick::Checked(spans, Box::new(check)),
            certain: Certain::Yes,
        }
    }

    fn uncertain(self) -> Self {
        Self {
            certain: Certain::No,
            ..self
        }
    }
}

impl<'a, K> Span<'a, K> {
    fn new(before: impl Fn(&K) -> bool + 'a, after: impl Fn(&K) -> bool + 'a) -> Self {
        Self {
            before: Box::new(before),
            after: Box::new(after),
        }
    }

    fn all() -> Self {
        Self::new(|_| false, |_| false)
    }
}

/// Numbers between bounds. The bounds are compared as filters compare them, by
/// the nearest float: rounding keeps the order, so each side is one cut.
fn numbers<'a, K: 'a>(test: &'a Test, float: impl Fn(&K) -> f64 + Copy + 'a) -> Plan<'a, K> {
    let Test::Range(range) = test else {
        return Plan::none();
    };
    Plan::between(
        move |k| !is_after(float(k), range.gt, range.gte),
        move |k| !is_before(float(k), range.lt, range.lte),
    )
}

pub fn is_after<T: PartialOrd + Copy>(value: T, gt: Option<T>, gte: Option<T>) -> bool {
    gt.is_none_or(|bound| value > bound) && gte.is_none_or(|bound| value >= bound)
}

pub fn is_before<T: PartialOrd + Copy>(value: T, lt: Option<T>, lte: Option<T>) -> bool {
    lt.is_none_or(|bound| value < bound) && lte.is_none_or(|bound| value <= bound)
}

/// Any test of texts, on each text there is.
fn each_text<'a, K: 'a>(test: &'a Test, written: impl Fn(&K) -> String + 'a) -> Plan<'a, K> {
    if is_of_texts(test) {
        let check = move |key: &K| test.holds(&serde_json::Value::String(written(key)));
        Plan::checked(vec![Span::all()], check)
    } else {
        Plan::none()
    }
}

pub fn keyword<'a>(ask: &Ask<'a>) -> Plan<'a, Arc<str>> {
    match ask {
        Ask::Keywords(all) => Plan::one_of(all.iter().map(|s| Arc::from(*s))),
        Ask::Test(Test::Prefix(part)) => Plan::between(
            |k: &Arc<str>| **k < **part,
            |k: &Arc<str>| **k >= **part && !k.starts_with(part.as_str()),
        ),
        Ask::Test(test) => each_text(test, |k: &Arc<str>| k.as_ref().to_owned()),
        Ask::Bool(_) | Ask::Integers(_) => Plan::none(),
    }
}

/// Whole numbers are compared as floats by ranges, and so are they here.
#[expect(clippy::cast_precision_loss)]
pub fn integer<'a>(ask: &Ask<'a>) -> Plan<'a, i64> {
    match ask {
        Ask::Integers(all) => Plan::one_of(all.iter().copied()),
        Ask::Test(test) => numbers(test, |k| *k as f64),
        Ask::Bool(_) | Ask::Keywords(_) => Plan::none(),
    }
}

/// 7 and 7.0 are one value here, and only the first is equal to 7.
#[expect(clippy::cast_precision_loss)]
pub fn float<'a>(ask: &Ask<'a>) -> Plan<'a, Number> {
    match ask {
        Ask::Integers(all) => {
            let mut keys: Vec<_> = all.iter().map(|n| Number::new(*n as f64)).collect();
            keys.dedup();
            Plan::one_of(keys).uncertain()
        }
        Ask::Test(test) => numbers(test, |k: &Number| k.get()),
        Ask::Bool(_) | Ask::Keywords(_) => Plan::none(),
    }
}

pub fn boolean<'a>(ask: &Ask<'a>) -> Plan<'a, bool> {
    match ask {
        Ask::Bool(b) => Plan::one_of([*b]),
        Ask::Integers(_) | Ask::Keywords(_) | Ask::Test(_) => Plan::none(),
    }
}

/// A moment has many forms, and the column does not know in which it was.
pub fn datetime<'a>(ask: &Ask<'a>) -> Plan<'a, Timestamp> {
    match ask {
        Ask::Keywords(all) => {
            let mut keys: Vec<_> = all.iter().filter_map(|s| timestamp(s).ok()).collect();
            keys.sort_unstable();
            keys.dedup();
            Plan::one_of(keys).uncertain()
        }
        Ask::Test(Test::Time(range)) => Plan::between(
            |k| !is_after(*k, range.gt, range.gte),
            |k| !is_before(*k, range.lt, range.lte),
        ),
        Ask::Test(test) if is_of_texts(test) => Plan::anywhere(),
        Ask::Bool(_) | Ask::Integers(_) | Ask::Test(_) => Plan::none(),
    }
}

pub fn uuid<'a>(ask: &Ask<'a>) -> Plan<'a, u128> {
    match ask {
        Ask::Keywords(all) => Plan::one_of(all.iter().filter_map(|s| canonical(s))),
        Ask::Test(test) => each_text(test, |k| Uuid::from_u128(*k).to_string()),
        Ask::Bool(_) | Ask::Integers(_) => Plan::none(),
    }
}

pub fn geo<'a>(ask: &Ask<'a>) -> Plan<'a, Place> {
    let Ask::Test(test) = ask else {
        return Plan::none();
    };
    let span = |(first, last)| Span::new(move |k: &Place| k.cell < first, move |k| k.cell > last);
    let spans = |runs: Vec<cells::Run>| runs.into_iter().map(span).collect();
    match test {
        Test::GeoBox(area) => Plan::checked(spans(cells::of_box(area)), |k| {
            k.point().is_some_and(|p| area.contains(p))
        }),
        Test::GeoRadius(area) => Plan::checked(spans(cells::of_radius(area)), |k| {
            k.point().is_some_and(|p| area.contains(p))
        }),
        Test::GeoPolygon(area) => Plan::checked(spans(cells::of_polygon(area)), |k| {
            k.point().is_some_and(|p| area.contains(p))
        }),
        _ => Plan::none(),
    }
}

pub fn text<'a>(analyzer: Analyzer, ask: &Ask<'a>) -> Plan<'a, Arc<str>> {
    let keys =
        |words: Vec<String>| -> Vec<Arc<str>> { words.into_iter().map(Into::into).collect() };
    match ask {
        Ask::Keywords(all) => {
            // Equal texts have equal words; those without words are anywhere.
            let groups: Vec<_> = all.iter().map(|s| keys(analyzer.tokens(s))).collect();
            if groups.iter().any(Vec::is_empty) {
                return Plan::anywhere();
            }
            let pick = Pick::Groups(groups);
            Plan {
                pick,
                certain: Certain::No,
            }
        }
        Ask::Test(Test::Text(words) | Test::Phrase(words)) if words.analyzer == analyzer => {
            let keys = keys(words.sought());
            match keys.len() {
                0 | 1 => Plan::one_of(keys),
                _ => Plan {
                    pick: Pick::Groups(vec![keys]),
                    // The words of one text may be in another order, and each
                    // of them in another text of the same slot.
                    certain: match ask {
                        Ask::Test(Test::Text(_)) => Certain::UnlessSeveral,
                        _ => Certain::No,
                    },
                },
            }
        }
        Ask::Test(Test::TextAny(words)) if words.analyzer == analyzer => {
            let mut keys = keys(words.sought());
            keys.sort_unstable();
            keys.dedup();
            Plan::one_of(keys)
        }
        Ask::Test(test) if is_of_texts(test) => Plan::anywhere(),
        Ask::Bool(_) | Ask::Integers(_) | Ask::Test(_) => Plan::none(),
    }
}
