//! The rules of a `VectorCollection` in Rust, for local mode and for
//! collections made by a request: what the API server checks by the CRD's
//! bounds and CEL is checked here, with a remedy for each. A test holds the two
//! to the same verdicts.

use std::collections::HashSet;

use crate::collection::{
    Limits, MAX_DIMENSION, MAX_FIELD_NAME, MAX_PAYLOAD_INDEXES, MAX_SHARDS, MAX_STORAGE_CLASS_NAME,
    MAX_STORAGE_SIZE, MAX_VECTOR_NAME, MAX_VECTORS, Partitioning, PartitioningType, PayloadIndex,
    PayloadIndexType, REPLICA_COUNTS, Ring, Storage, VectorCollectionSpec, VectorSpec,
};
use crate::index::{HnswSpec, IndexSpec, IndexType};
use crate::resolved::VectorParams;
use crate::text::{MAX_PREFIX, MAX_TOKEN_LEN, TextAnalysis, TextTokenizer};
use crate::violation::{FieldPath, Invalid, Violation};

#[cfg(test)]
mod tests;

impl VectorCollectionSpec {
    /// Checks the rules that a specification must keep by itself.
    ///
    /// # Errors
    /// Names every rule broken, with the field and the remedy.
    pub fn validate(&self) -> Result<(), Invalid> {
        // Without `..`: a new field can't be forgotten here.
        let Self {
            vectors: _,
            dimension: _,
            metric: _,
            index: _,
            shards,
            replicas,
            ring,
            partitioning,
            payload_indexes,
            storage,
            limits,
        } = self;
        let spec = FieldPath::spec();
        let mut check = Check::default();
        check.vectors(&spec, self);
        check.range(spec.key("shards"), *shards, (1, MAX_SHARDS));
        if !REPLICA_COUNTS.contains(replicas) {
            let choices = REPLICA_COUNTS.map(|count| count.to_string());
            check.push(Violation::not_one_of(
                spec.key("replicas"),
                replicas,
                &choices,
            ));
        }
        check.ring(&spec.key("ring"), ring);
        check.partitioning(&spec.key("partitioning"), partitioning);
        check.payload_indexes(&spec.key("payloadIndexes"), payload_indexes);
        check.storage(&spec.key("storage"), storage);
        check.limits(&spec.key("limits"), limits);
        Invalid::unless_empty(check.0)
    }

    /// Checks that this specification may follow `old`: that nothing immutable
    /// has changed. What counts is the meaning, not the form: the short form
    /// and the list may replace one another.
    ///
    /// It does not check what [`validate`](Self::validate) does.
    ///
    /// # Errors
    /// Names every field that may not change, with its old value.
    pub fn validate_update(&self, old: &Self) -> Result<(), Invalid> {
        let spec = FieldPath::spec();
        let mut check = Check::default();
        check.vectors_kept(&spec, self, old);
        if self.ring != old.ring {
            check.fixed(
                spec.key("ring").key("vnodes"),
                self.ring.vnodes,
                old.ring.vnodes,
            );
        }
        if self.partitioning != old.partitioning {
            check.fixed(
                spec.key("partitioning"),
                describe_partitioning(&self.partitioning),
                describe_partitioning(&old.partitioning),
            );
        }
        Invalid::unless_empty(check.0)
    }
}

/// The violations found so far.
#[derive(Default)]
struct Check(Vec<Violation>);

impl Check {
    fn push(&mut self, violation: Violation) {
        self.0.push(violation);
    }

    fn range(&mut self, path: FieldPath, value: u32, (min, max): (u32, u32)) {
        if !(min..=max).contains(&value) {
            self.push(Violation::out_of_range(path, value, min, max));
        }
    }

    fn vectors(&mut self, spec: &FieldPath, given: &VectorCollectionSpec) {
        if let Some(vectors) = &given.vectors {
            self.named_vectors(spec, vectors);
            for (key, present) in [
                ("dimension", given.dimension.is_some()),
                ("metric", given.metric.is_some()),
                ("index", given.index.is_some()),
            ] {
                if present {
                    self.push(Violation::new(
                        spec.key(key),
                        "is given beside spec.vectors",
                        "each entry of spec.vectors has its own: move it there",
                    ));
                }
            }
        } else if given.dimension.is_none() && given.metric.is_none() {
            self.push(Violation::new(
                spec.clone(),
                "has no vectors",
                "give dimension and metric, or a list of vectors",
            ));
        } else if given.dimension.is_none() {
            self.push(Violation::new(
                spec.key("dimension"),
                "is missing",
                "give the number of dimensions of your embedding model, such as 384",
            ));
        } else if given.metric.is_none() {
            self.push(Violation::new(
                spec.key("metric"),
                "is missing",
                "give Cosine, Dot, Euclid or Manhattan; most embedding models want Cosine",
            ));
        }
        // Checked even where misplaced, so that one pass tells all.
        if let Some(dimension) = given.dimension {
            self.range(spec.key("dimension"), dimension, (1, MAX_DIMENSION));
        }
        if let Some(index) = &given.index {
            self.index(&spec.key("index"), index);
        }
    }

    fn named_vectors(&mut self, spec: &FieldPath, vectors: &[VectorSpec]) {
        let list = spec.key("vectors");
        if vectors.is_empty() {
            self.push(Violation::new(
                list.clone(),
                "is empty",
                "give at least one vector, or dimension and metric in its place",
            ));
        }
        if vectors.len() > MAX_VECTORS {
            self.too_many(list.clone(), vectors.len(), MAX_VECTORS);
        }
        let mut names = HashSet::new();
        for (index, vector) in vectors.iter().enumerate() {
            let path = list.item(index);
            let VectorSpec {
                name,
                dimension,
                metric: _,
                index,
            } = vector;
            if !is_vector_name(name) {
                self.push(Violation::new(
                    path.key("name"),
                    format!("is {}", quoted(name)),
                    format!(
                        "use at most {MAX_VECTOR_NAME} letters, digits, '_', '-' and '.', \
                         with none of '-' and '.' at the start"
                    ),
                ));
            }
            if !names.insert(name) {
                self.push(Violation::new(
                    path.key("name"),
                    format!("is {}, as is another vector's", quoted(name)),
                    "give each vector its own name",
                ));
            }
            self.range(path.key("dimension"), *dimension, (1, MAX_DIMENSION));
            self.index(&path.key("index"), index);
        }
    }

    fn index(&mut self, path: &FieldPath, index: &IndexSpec) {
        let IndexSpec {
            kind,
            hnsw,
            precision: _,
        } = index;
        let Some(hnsw) = hnsw else { return };
        let at = path.key("hnsw");
        if *kind != IndexType::Hnsw {
            self.push(Violation::new(
                at.clone(),
                "is given with type Flat",
                "remove it, or set type to HNSW",
            ));
        }
        let HnswSpec {
            m,
            ef_construction,
            ef_search,
        } = hnsw;
        self.range(at.key("m"), *m, HnswSpec::M);
        self.range(
            at.key("efConstruction"),
            *ef_construction,
            HnswSpec::EF_CONSTRUCTION,
        );
        self.range(at.key("efSearch"), *ef_search, HnswSpec::EF_SEARCH);
    }

    fn ring(&mut self, path: &FieldPath, ring: &Ring) {
        let Ring { vnodes } = *ring;
        let (min, max) = Ring::VNODES;
        let path = path.key("vnodes");
        if !(min..=max).contains(&vnodes) {
            self.push(Violation::new(
                path,
                format!("is {vnodes}"),
                format!("set it to a power of two from {min} to {max}"),
            ));
        } else if !vnodes.is_power_of_two() {
            let above = vnodes.next_power_of_two();
            self.push(Violation::new(
                path,
                format!("is {vnodes}, not a power of two"),
                format!("use {} or {above}", above / 2),
            ));
        }
    }

    fn partitioning(&mut self, path: &FieldPath, partitioning: &Partitioning) {
        let Partitioning { kind, field } = partitioning;
        let path = path.key("field");
        match (kind, field) {
            (PartitioningType::Field, None) => self.push(Violation::new(
                path.clone(),
                "is missing",
                "name the payload field that type Field goes by",
            )),
            (PartitioningType::Id, Some(_)) => self.push(Violation::new(
                path.clone(),
                "is given with type Id",
                "set type to Field, or remove field",
            )),
            (PartitioningType::Field, Some(_)) | (PartitioningType::Id, None) => {}
        }
        if let Some(field) = field {
            self.field_name(path, field);
        }
    }

    fn payload_indexes(&mut self, path: &FieldPath, indexes: &[PayloadIndex]) {
        if indexes.len() > MAX_PAYLOAD_INDEXES {
            self.too_many(path.clone(), indexes.len(), MAX_PAYLOAD_INDEXES);
        }
        let mut fields = HashSet::new();
        for (index, PayloadIndex { field, kind, text }) in indexes.iter().enumerate() {
            if let Some(text) = text {
                self.text(&path.item(index).key("text"), *kind, text);
            }
            let at = path.item(index).key("field");
            self.field_name(at.clone(), field);
            if !fields.insert(field) {
                self.push(Violation::new(
                    at,
                    format!("is {}, which another entry indexes", quoted(field)),
                    "keep one entry for each field",
                ));
            }
        }
    }

    fn text(&mut self, path: &FieldPath, kind: PayloadIndexType, text: &TextAnalysis) {
        if kind != PayloadIndexType::Text {
            self.push(Violation::new(
                path.clone(),
                "is given with another type",
                "remove it, or set type to text",
            ));
        }
        let TextAnalysis {
            tokenizer,
            lowercase: _,
            min_token_len: min,
            max_token_len: max,
        } = *text;
        self.range(path.key("minTokenLen"), min, (1, MAX_TOKEN_LEN));
        if tokenizer == TextTokenizer::Prefix && min > MAX_PREFIX {
            self.push(Violation::new(
                path.key("minTokenLen"),
                format!("is {min}, more than {MAX_PREFIX}, the longest beginning of a word"),
                "lower it, or choose another tokenizer",
            ));
        }
        if let Some(max) = max {
            self.range(path.key("maxTokenLen"), max, (1, MAX_TOKEN_LEN));
            if min > max {
                self.push(Violation::new(
                    path.key("minTokenLen"),
                    format!("is {min}, more than maxTokenLen"),
                    "lower it, or raise maxTokenLen",
                ));
            }
        }
    }

    fn storage(&mut self, path: &FieldPath, storage: &Storage) {
        let Storage {
            size,
            storage_class_name,
        } = storage;
        if !is_size(size) {
            self.push(Violation::new(
                path.key("size"),
                format!("is {}", quoted(size)),
                "give a size above zero such as 10Gi, 500Mi or 1.5Ti",
            ));
        }
        if let Some(class) = storage_class_name
            && !is_storage_class_name(class)
        {
            self.push(Violation::new(
                path.key("storageClassName"),
                format!("is {}", quoted(class)),
                "give the name of a storage class, as kubectl get storageclass lists them",
            ));
        }
    }

    fn limits(&mut self, path: &FieldPath, limits: &Limits) {
        let Limits {
            max_request_bytes,
            max_payload_bytes,
            max_batch_points,
            max_batch_searches,
            max_search_limit,
        } = *limits;
        for (key, value, bounds) in [
            ("maxRequestBytes", max_request_bytes, Limits::REQUEST_BYTES),
            ("maxPayloadBytes", max_payload_bytes, Limits::PAYLOAD_BYTES),
            ("maxBatchPoints", max_batch_points, Limits::BATCH_POINTS),
            (
                "maxBatchSearches",
                max_batch_searches,
                Limits::BATCH_SEARCHES,
            ),
            ("maxSearchLimit", max_search_limit, Limits::SEARCH_LIMIT),
        ] {
            self.range(path.key(key), value, bounds);
        }
        if max_payload_bytes > max_request_bytes {
            self.push(Violation::new(
                path.key("maxPayloadBytes"),
                format!("is {max_payload_bytes}, over maxRequestBytes, {max_request_bytes}"),
                "lower it, or raise maxRequestBytes: no request could carry such a payload",
            ));
        }
    }

    fn field_name(&mut self, path: FieldPath, field: &str) {
        // Characters, not bytes: the API server counts so.
        let length = field.chars().count();
        if length == 0 {
            self.push(Violation::new(path, "is empty", "name a payload field"));
        } else if length > MAX_FIELD_NAME {
            self.push(Violation::new(
                path,
                format!("has {length} characters"),
                format!("name a payload field of at most {MAX_FIELD_NAME} characters"),
            ));
        }
    }

    fn too_many(&mut self, path: FieldPath, count: usize, max: usize) {
        self.push(Violation::new(
            path,
            format!("has {count} entries"),
            format!("keep at most {max}"),
        ));
    }

    fn vectors_kept(
        &mut self,
        spec: &FieldPath,
        new: &VectorCollectionSpec,
        old: &VectorCollectionSpec,
    ) {
        let (new_vectors, old_vectors) = (new.vectors_given(), old.vectors_given());
        for (index, vector) in new_vectors.iter().enumerate() {
            let path = if new.vectors.is_some() {
                spec.key("vectors").item(index)
            } else {
                spec.clone()
            };
            let Some(before) = named(&old_vectors, &vector.name) else {
                self.push(Violation::new(
                    path,
                    format!("adds the vector {}", quoted(&vector.name)),
                    "a collection keeps the vectors it was made with: remove it, or make a new \
                     collection",
                ));
                continue;
            };
            if vector.dimension != before.dimension {
                self.fixed(path.key("dimension"), vector.dimension, before.dimension);
            }
            if vector.metric != before.metric {
                self.fixed(
                    path.key("metric"),
                    format!("{:?}", vector.metric),
                    format!("{:?}", before.metric),
                );
            }
        }
        for vector in old_vectors {
            if named(&new_vectors, &vector.name).is_none() {
                self.push(Violation::new(
                    spec.clone(),
                    format!("leaves out the vector {}", quoted(&vector.name)),
                    "a collection keeps the vectors it was made with: put it back, or make a new \
                     collection",
                ));
            }
        }
    }

    fn fixed(&mut self, path: FieldPath, new: impl std::fmt::Display, old: impl std::fmt::Display) {
        self.push(Violation::new(
            path,
            format!("is {new}, was {old}, and can't change"),
            format!("set it back to {old}, or make a new collection"),
        ));
    }
}

fn named<'a>(vectors: &'a [VectorParams], name: &str) -> Option<&'a VectorParams> {
    vectors.iter().find(|vector| vector.name == name)
}

fn describe_partitioning(partitioning: &Partitioning) -> String {
    match (partitioning.kind, &partitioning.field) {
        (kind, None) => format!("{{type: {kind:?}}}"),
        (kind, Some(field)) => format!("{{type: {kind:?}, field: {field}}}"),
    }
}

/// A string as JSON has it, so that control characters can't garble a message;
/// a long one is cut.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() > SHOWN {
        let start: String = text.chars().take(SHOWN).collect();
        format!("{start:?}…")
    } else {
        format!("{text:?}")
    }
}

fn is_vector_name(name: &str) -> bool {
    name.len() <= MAX_VECTOR_NAME
        && !name.starts_with(['-', '.'])
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// A Kubernetes quantity above zero, of those forms that a person writes for a
/// disk: no exponent, no fraction of a byte.
fn is_size(size: &str) -> bool {
    if size.len() > MAX_STORAGE_SIZE {
        return false;
    }
    let number = size.strip_suffix('i').map_or_else(
        || {
            size.strip_suffix(['k', 'M', 'G', 'T', 'P', 'E'])
                .or(Some(size))
        },
        |unit| unit.strip_suffix(['K', 'M', 'G', 'T', 'P', 'E']),
    );
    let Some(number) = number else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    digits(whole)
        && fraction.is_none_or(digits)
        && if whole == "0" {
            fraction.is_some_and(|fraction| fraction.bytes().any(|b| b != b'0'))
        } else {
            !whole.starts_with('0')
        }
}

fn is_storage_class_name(name: &str) -> bool {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= MAX_STORAGE_CLASS_NAME
        && name.bytes().all(|b| edge(b) || matches!(b, b'-' | b'.'))
        && name.bytes().next().is_none_or(edge)
        && name.bytes().last().is_none_or(edge)
}
