//! A replica as plain maps, and what a view of it must show.

use super::sender::{NOBODY, attempted};
use super::{scroll_all, whole};
use quoit_columns::{Kind, Schema};
use quoit_engine::{
    Change, Condition, Entry, FacetValue, Metric, Name, OpId, Operation, Outcome, Params, Query,
    Record, Vector, View, VnodeWrite, Want,
};
use quoit_filter::{Filter, Who};
use quoit_ring::{PointId, Vnode, VnodeSet};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_128;

#[derive(Clone)]
pub struct Point {
    pub version: u64,
    pub vectors: BTreeMap<Name, Vec<f32>>,
    pub payload: Vec<u8>,
}

/// A write that a vnode accepted.
#[derive(Clone)]
struct Accepted {
    op_id: Option<OpId>,
    seq: u64,
    left: Vec<u32>,
}

/// How often what came of writes that were tried again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Again {
    pub known: u64,
    pub new: u64,
    pub forgotten: u64,
}

#[derive(Clone)]
pub struct Model {
    metrics: BTreeMap<Name, Metric>,
    names: BTreeMap<Name, String>,
    all: VnodeSet,
    held: VnodeSet,
    seqs: BTreeMap<Vnode, u64>,
    /// From the first on.
    accepted: BTreeMap<Vnode, Vec<Accepted>>,
    pub again: Again,
    schema: Schema,
    pub points: BTreeMap<(PointId, Vnode), Point>,
}

impl Model {
    pub fn new(params: &Params) -> Self {
        Self {
            names: params.named().map(|(n, p)| (n, p.name.clone())).collect(),
            metrics: params.named().map(|(n, p)| (n, p.metric)).collect(),
            all: params.vnodes.iter().collect(),
            held: VnodeSet::new(),
            seqs: BTreeMap::new(),
            accepted: BTreeMap::new(),
            again: Again::default(),
            schema: Schema::default(),
            points: BTreeMap::new(),
        }
    }

    pub fn apply(&mut self, entry: &Entry) -> Vec<Outcome> {
        match entry {
            Entry::Blank => Vec::new(),
            Entry::SetSchema(schema) => {
                if schema.number > self.schema.number {
                    self.schema = schema.clone();
                }
                Vec::new()
            }
            Entry::Found(held) => {
                self.held = held.clone();
                Vec::new()
            }
            Entry::Write(writes) => writes
                .iter()
                .map(|write| {
                    if !self.held.contains(write.vnode) {
                        return Outcome::NotHere;
                    }
                    if let Some(answer) = self.tried_before(write) {
                        return answer;
                    }
                    let operations = (0..).zip(&write.operations);
                    let left = operations.filter(|(_, o)| !self.change(write.vnode, o));
                    let left: Vec<u32> = left.map(|(place, _)| place).collect();
                    let seq = self.seqs.get(&write.vnode).copied().unwrap_or(0);
                    let accepted = self.accepted.entry(write.vnode).or_default();
                    accepted.push(Accepted {
                        op_id: write.attempt.map(|attempt| attempt.op_id),
                        seq,
                        left: left.clone(),
                    });
                    let w = accepted.len() as u64;
                    Outcome::Done { seq, left, w }
                })
                .collect(),
        }
    }

    /// The writes that a vnode accepted.
    pub fn w(&self, vnode: Vnode) -> u64 {
        self.accepted.get(&vnode).map_or(0, Vec::len) as u64
    }

    /// What a vnode's last writes are, with their numbers: so many of them.
    fn last(&self, vnode: Vnode, count: usize) -> impl Iterator<Item = (u64, &Accepted)> {
        let all = self.accepted.get(&vnode).map_or(&[][..], Vec::as_slice);
        let first = all.len().saturating_sub(count);
        (first as u64 + 1..).zip(&all[first..])
    }

    /// The answer to a write that is not done, since it was tried before.
    fn tried_before(&mut self, write: &VnodeWrite) -> Option<Outcome> {
        let attempt = write.attempt?;
        let since = attempt.tried_since?;
        let is_it = |(_, a): &(u64, &Accepted)| a.op_id == Some(attempt.op_id);
        let known = self.last(write.vnode, 256).find(is_it);
        let known = known.map(|(w, accepted)| (w, accepted.clone()));
        if let Some((w, Accepted { seq, left, .. })) = known {
            self.again.known += 1;
            return Some(Outcome::Done { seq, left, w });
        }
        if self.w(write.vnode).saturating_sub(since) > 256 {
            self.again.forgotten += 1;
            return Some(Outcome::Forgotten);
        }
        let ever = self.last(write.vnode, usize::MAX).find(is_it);
        assert!(ever.is_none(), "what was done would be done again");
        self.again.new += 1;
        None
    }

    /// Every write of which a vnode is to know what it came to, and some that it is
    /// to have forgotten, tried again.
    pub fn all_again(&self) -> Entry {
        let mut writes = Vec::new();
        for vnode in self.held.iter() {
            for (number, accepted) in self.last(vnode, 260) {
                let nothing = VnodeWrite::once(vnode, vec![Operation::delete(NOBODY)]);
                let again = |op_id| attempted(nothing, op_id, Some(number - 1));
                writes.extend(accepted.op_id.map(again));
            }
        }
        Entry::Write(writes)
    }

    /// Says whether the operation found what it needs.
    fn change(&mut self, vnode: Vnode, operation: &Operation) -> bool {
        let key = (operation.id, vnode);
        let present = self.points.get(&key).cloned();
        let is_met = match &operation.only_if {
            Condition::Always => true,
            Condition::Unchanged { seq } => present.as_ref().is_some_and(|p| p.version == *seq),
            Condition::MeetsOrMissing(filter) => present
                .as_ref()
                .is_none_or(|p| self.meets(filter, operation.id, p)),
            Condition::Meets(filter) => present
                .as_ref()
                .is_some_and(|p| self.meets(filter, operation.id, p)),
            Condition::Missing => present.is_none(),
        };
        if !is_met {
            return false;
        }
        let (vectors, payload) = match (&operation.change, present) {
            (Change::Delete, None) => return true,
            (Change::Delete, Some(_)) => {
                *self.seqs.entry(vnode).or_default() += 1;
                self.points.remove(&key);
                return true;
            }
            (Change::Upsert { vectors, payload }, _) => (self.stored(vectors), payload.clone()),
            (Change::EditPayload(edit), Some(p)) => (p.vectors, edit.apply(&p.payload).unwrap()),
            (Change::SetVectors(vectors), Some(mut p)) => {
                p.vectors.extend(self.stored(vectors));
                (p.vectors, p.payload)
            }
            (Change::RemoveVectors(names), Some(mut p)) => {
                let before = p.vectors.len();
                p.vectors.retain(|name, _| !names.contains(*name));
                if p.vectors.len() == before {
                    return true;
                }
                (p.vectors, p.payload)
            }
            (_, None) => return false,
        };
        let seq = self.seqs.entry(vnode).or_default();
        *seq += 1;
        let version = *seq;
        let point = Point {
            version,
            vectors,
            payload,
        };
        self.points.insert(key, point);
        true
    }

    fn meets(&self, filter: &Filter, id: PointId, point: &Point) -> bool {
        let payload = serde_json::from_slice(&point.payload).unwrap_or_default();
        let has_vector = |name: &str| {
            let place = self.names.iter().find(|(_, other)| *other == name);
            place.is_some_and(|(place, _)| point.vectors.contains_key(place))
        };
        let who = Who {
            id,
            has_vector: &has_vector,
        };
        filter.is_met(who, &payload)
    }

    fn stored(&self, vectors: &[Vector]) -> BTreeMap<Name, Vec<f32>> {
        let stored = |v: &Vector| (v.name, stored(self.metrics[&v.name], &v.values));
        vectors.iter().map(stored).collect()
    }

    /// A vnode's seq, count, digest and `w`, computed from the points and writes.
    pub fn state(&self, vnode: Vnode) -> (u64, u64, u128, u64) {
        let seq = self.seqs.get(&vnode).copied().unwrap_or(0);
        let (mut count, mut digest) = (0, 0_u128);
        for ((id, v), point) in &self.points {
            if *v == vnode {
                count += 1;
                digest = digest.wrapping_add(hash(*id, point));
            }
        }
        (seq, count, digest, self.w(vnode))
    }

    /// A view shows exactly this: by id, in order, in pages, counted and by
    /// exact search, for all vnodes and for some.
    pub fn check(&self, view: &View) {
        let odd: VnodeSet = self.all.iter().filter(|v| v.0 % 2 == 1).collect();
        for (wanted, page) in [(&self.all, 7), (&odd, 1000)] {
            let here: Vec<_> = self
                .points
                .iter()
                .filter(|((_, v), _)| wanted.contains(*v))
                .collect();
            let missing: Vec<Vnode> = wanted.iter().filter(|v| !self.held.contains(*v)).collect();
            let count = view.count(wanted);
            assert_eq!(count.found, here.len() as u64);
            assert_eq!(count.not_here, missing);
            let expected: Vec<Record> = here.iter().map(|(key, p)| record(key.0, p)).collect();
            assert_eq!(scroll_all(view, wanted, page), expected);
            let first_page = view
                .scroll(wanted, &Filter::default(), None, 3, whole())
                .unwrap();
            assert_eq!(first_page.not_here, missing);
            let keys: Vec<_> = here.iter().map(|(key, _)| **key).collect();
            let retrieved = view.retrieve(&keys, whole()).unwrap();
            assert_eq!(retrieved.found, expected);
            for name in self.metrics.keys() {
                self.check_search(view, *name, wanted, &missing);
            }
        }
        assert_eq!(view.schema(), self.schema.number);
        let indexes = view.payload_indexes().into_iter().map(|i| (i.path, i.kind));
        assert!(indexes.eq(self.schema.fields.clone()));
        let nobody = (PointId::Num(u64::MAX - 7), self.all.iter().next().unwrap());
        assert!(view.retrieve(&[nobody], whole()).unwrap().found.is_empty());
        assert_eq!(view.points(), self.points.len() as u64);
        let vectors = self.points.values().map(|p| p.vectors.len() as u64);
        assert_eq!(view.vectors(), vectors.sum::<u64>());
        assert!(view.readable().iter().eq(self.held.iter()));
    }

    /// What meets a filter is found by it, in order, counted, and by searches.
    pub fn check_filtered(&self, view: &View, filter: &Filter) {
        let mut meeting = self.clone();
        meeting
            .points
            .retain(|(id, _), point| self.meets(filter, *id, point));
        let even: VnodeSet = self.all.iter().filter(|v| v.0 % 2 == 0).collect();
        for wanted in [&self.all, &even] {
            let here = meeting
                .points
                .iter()
                .filter(|((_, v), _)| wanted.contains(*v));
            let expected: Vec<Record> = here.map(|(key, p)| record(key.0, p)).collect();
            let count = view.count_matching(wanted, filter).unwrap().found;
            assert_eq!(count, expected.len() as u64, "{filter:?}");
            let found = view
                .scroll(wanted, filter, None, 10_000, whole())
                .unwrap()
                .found;
            assert_eq!(found, expected, "{filter:?}");
            let from = expected.get(expected.len() / 2).map(|r| r.id);
            let page = view
                .scroll(wanted, filter, from, 1, Want::default())
                .unwrap()
                .found;
            assert_eq!(page.first().map(|r| r.id), from);
            let seen = view.matching(wanted, filter, from, 10_000).unwrap().found;
            let after = expected.iter().filter(|r| Some(r.id) > from);
            assert!(
                seen.iter()
                    .map(|(id, _, seq)| (*id, *seq))
                    .eq(after.map(|r| (r.id, r.version)))
            );
            self.check_facets(view, wanted, filter, &expected);
            let Some(Vector { name, values }) = expected.iter().find_map(|r| r.vectors.last())
            else {
                continue;
            };
            let vector: Vec<f32> = values.iter().map(|x| x - 0.5).collect();
            for limit in [2, 10_000] {
                let query = Query {
                    using: *name,
                    vector: vector.clone(),
                    limit,
                    want: whole(),
                    filter: filter.clone(),
                    ..Query::default()
                };
                let hits = &view.search(wanted, &[query]).unwrap().found[0].hits;
                meeting.check_nearest(*name, &vector, wanted, limit, hits);
            }
        }
    }

    /// The values of the indexed fields of these points are counted.
    fn check_facets(&self, view: &View, wanted: &VnodeSet, filter: &Filter, points: &[Record]) {
        for (path, kind) in &self.schema.fields {
            let found = view.facets(wanted, path, filter, 10_000);
            let mut counts: BTreeMap<FacetValue, u64> = BTreeMap::new();
            for point in points {
                let payload = serde_json::from_slice(&point.payload).unwrap_or_default();
                for value in path.values(&payload) {
                    let value = match kind {
                        Kind::Keyword => value.as_str().map(|s| FacetValue::Keyword(s.into())),
                        _ => value.as_i64().map(FacetValue::Integer),
                    };
                    *counts
                        .entry(value.unwrap_or(FacetValue::Bool(false)))
                        .or_default() += 1;
                }
            }
            counts.remove(&FacetValue::Bool(false));
            if *kind == Kind::Float {
                assert!(found.is_err(), "values of {path} are counted");
                continue;
            }
            let mut counts: Vec<_> = counts.into_iter().collect();
            counts.sort_by_key(|(_, points)| std::cmp::Reverse(*points));
            let facets = found.unwrap().found.into_iter();
            assert!(facets.map(|f| (f.value, f.points)).eq(counts));
        }
    }

    fn check_search(&self, view: &View, name: Name, wanted: &VnodeSet, missing: &[Vnode]) {
        let Some(vector) = self.points.values().find_map(|p| p.vectors.get(&name)) else {
            return;
        };
        let mut vector: Vec<f32> = vector.iter().map(|x| x + 0.25).collect();
        vector[0] -= 1.5;
        for limit in [1, 10, 10_000] {
            let query = Query {
                using: name,
                vector: vector.clone(),
                limit,
                exact: true,
                want: whole(),
                ..Query::default()
            };
            let answer = view.search(wanted, &[query]).unwrap();
            assert_eq!(answer.not_here, missing);
            self.check_nearest(name, &vector, wanted, limit, &answer.found[0].hits);
        }
    }

    /// Hits are points of the model with their right scores, none twice, and
    /// no point left out is nearer than one that is there.
    pub fn check_nearest(
        &self,
        name: Name,
        query: &[f32],
        wanted: &VnodeSet,
        limit: usize,
        hits: &[quoit_engine::Hit],
    ) {
        let metric = self.metrics[&name];
        let query = stored(metric, query);
        let mut scores: Vec<f64> = self
            .points
            .iter()
            .filter(|((_, v), _)| wanted.contains(*v))
            .filter_map(|(_, p)| Some(score(metric, &query, p.vectors.get(&name)?)))
            .collect();
        let higher_is_nearer = matches!(metric, Metric::Cosine | Metric::Dot);
        scores.sort_by(f64::total_cmp);
        if higher_is_nearer {
            scores.reverse();
        }
        scores.truncate(limit);
        assert_eq!(hits.len(), scores.len());
        for (hit, expected) in hits.iter().zip(scores) {
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-4 * (1.0 + b.abs());
            assert!(near(f64::from(hit.score), expected), "{hit:?}: {expected}");
            let own = hit.record.vectors.iter().find(|v| v.name == name).unwrap();
            let own = score(metric, &query, &own.values);
            assert!(near(f64::from(hit.score), own));
        }
        // Points of one id in two vnodes may be alike, so they are counted.
        let mut alike: BTreeMap<_, Vec<&Point>> = BTreeMap::new();
        for ((id, vnode), point) in &self.points {
            if wanted.contains(*vnode) {
                alike.entry((*id, point.version)).or_default().push(point);
            }
        }
        for Record {
            id,
            version,
            payload,
            vectors,
        } in hits.iter().map(|h| &h.record)
        {
            let points = alike.get_mut(&(*id, *version));
            let same = |p: &&Point| listed(p) == *vectors && p.payload == *payload;
            let found = points.and_then(|points| {
                let at = points.iter().position(same)?;
                Some(points.remove(at))
            });
            assert!(
                found.is_some(),
                "{id} in version {version} is not in the model"
            );
        }
    }
}

fn record(id: PointId, point: &Point) -> Record {
    Record {
        id,
        version: point.version,
        payload: point.payload.clone(),
        vectors: listed(point),
    }
}

fn listed(point: &Point) -> Vec<Vector> {
    let vector = |(name, values): (&Name, &Vec<f32>)| Vector {
        name: *name,
        values: values.clone(),
    };
    point.vectors.iter().map(vector).collect()
}

fn hash(id: PointId, point: &Point) -> u128 {
    let bits: u16 = point.vectors.keys().map(|name| 1 << name.0).sum();
    let mut content = bits.to_le_bytes().to_vec();
    let numbers = point.vectors.values().flatten();
    content.extend(numbers.flat_map(|x| x.to_le_bytes()));
    content.extend_from_slice(&point.payload);
    let mut bytes = id.to_key().to_vec();
    bytes.extend_from_slice(&point.version.to_le_bytes());
    bytes.extend_from_slice(&xxh3_128(&content).to_le_bytes());
    xxh3_128(&bytes)
}

/// A vector as it is stored: for cosine, of length one.
pub fn stored(metric: Metric, vector: &[f32]) -> Vec<f32> {
    let mut vector = vector.to_vec();
    metric.prepare(&mut vector);
    vector
}

pub fn score(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    match metric {
        Metric::Cosine | Metric::Dot => pairs.map(|(a, b)| a * b).sum(),
        Metric::Euclid => pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
        Metric::Manhattan => pairs.map(|(a, b)| (a - b).abs()).sum(),
    }
}
