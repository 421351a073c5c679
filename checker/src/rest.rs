//! Points at rest: every answer about them, at any time, must be whole. They
//! were there before the first client began and nobody touches them.

use std::collections::{BTreeMap, HashSet};

use crate::plan::{Plan, likeness};
use crate::record::{Answer, Call, Record};

/// Two that are as alike as this to what was searched for may change places.
const TIE: f32 = 1e-5;

/// The right answers, those to searches as they are asked for.
pub struct AtRest<'a> {
    plan: &'a Plan,
    vectors: Vec<Vec<f32>>,
    /// For the nearest to each: how alike they are, best first.
    nearest: BTreeMap<u64, Vec<f32>>,
}

impl<'a> AtRest<'a> {
    /// What follows from the plan.
    #[must_use]
    pub fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            vectors: (1..=plan.rest).map(|id| plan.vector_at_rest(id)).collect(),
            nearest: BTreeMap::new(),
        }
    }

    /// What is wrong with an answer; `None` if nothing is, or if it is about
    /// something else.
    pub fn wrong(&mut self, record: &Record, answer: &Answer) -> Option<String> {
        match (&record.call, answer) {
            (Call::Search { near, exact }, Answer::Found(ids)) => {
                twice(ids).or_else(|| self.wrong_search(*near, *exact, ids))
            }
            (Call::Page { from }, Answer::Page { ids, next }) => {
                twice(ids).or_else(|| self.wrong_page(*from, ids, *next))
            }
            (Call::Count { group }, Answer::Counted(found)) => {
                let right = self.plan.count(*group);
                (*found != right).then(|| {
                    let of = group.map_or(String::new(), |g| format!(" of group {g}"));
                    format!("{found} points at rest{of} were counted, and there are {right}")
                })
            }
            (Call::Scan, Answer::Points(points)) => {
                let keys: Vec<u64> = points.iter().map(|(key, _)| *key).collect();
                let unknown = keys.iter().find(|key| **key >= self.plan.keys);
                let unknown = unknown.map(|key| format!("nobody wrote a point of key {key}"));
                let ids: Vec<u64> = keys.iter().map(|key| self.plan.id_of(*key)).collect();
                twice(&ids).or(unknown)
            }
            _ => None,
        }
    }

    fn vector(&self, id: u64) -> Option<&[f32]> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.vectors.get(index).map(Vec::as_slice)
    }

    fn wrong_search(&mut self, near: u64, exact: bool, ids: &[u64]) -> Option<String> {
        let right = self.plan.limit.min(self.vectors.len());
        if ids.len() != right {
            return Some(format!("{} points were found and not {right}", ids.len()));
        }
        let Some(target) = self.vector(near).map(<[f32]>::to_vec) else {
            return Some(format!("nothing at rest has the id {near}"));
        };
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            match self.vector(*id) {
                Some(vector) => found.push((*id, likeness(vector, &target))),
                None => {
                    return Some(format!(
                        "{id} was found, which is further away than all at rest"
                    ));
                }
            }
        }
        if ids.first() != Some(&near) {
            return Some(format!(
                "{near} itself is nearest to {near}, and not {}",
                ids[0]
            ));
        }
        // A graph may miss one that is a little nearer.
        if !exact {
            return None;
        }
        let nearest = self.nearest.entry(near).or_insert_with(|| {
            let mut all: Vec<f32> = self.vectors.iter().map(|v| likeness(v, &target)).collect();
            all.sort_unstable_by(|a, b| b.total_cmp(a));
            all.truncate(right);
            all
        });
        let wrong = found
            .iter()
            .zip(nearest)
            .position(|((_, is), right)| (*is - *right).abs() > TIE);
        wrong.map(|at| {
            format!(
                "{} was found at place {} near {near}, where another is nearer",
                ids[at],
                at + 1
            )
        })
    }

    fn wrong_page(&self, from: Option<u64>, ids: &[u64], next: Option<u64>) -> Option<String> {
        let first = from.unwrap_or(1);
        let end = (first + self.plan.page as u64).min(self.plan.rest + 1);
        let right: Vec<u64> = (first..end).collect();
        if ids != right {
            let missing = right.iter().find(|id| !ids.contains(id));
            let what = match (missing, ids.iter().find(|id| !right.contains(id))) {
                (Some(id), _) => format!("{id} is missing"),
                (None, Some(id)) => format!("{id} does not belong there"),
                (None, None) => "they are out of order".to_owned(),
            };
            return Some(format!("the page from {first} on is wrong: {what}"));
        }
        let follows = (end <= self.plan.rest).then_some(end);
        (next != follows).then(|| {
            format!("the page after that from {first} on begins at {follows:?} and not at {next:?}")
        })
    }
}

fn twice(ids: &[u64]) -> Option<String> {
    let mut seen = HashSet::with_capacity(ids.len());
    let twice = ids.iter().find(|id| !seen.insert(**id));
    twice.map(|id| format!("{id} came twice in one answer"))
}

#[cfg(test)]
mod tests;
