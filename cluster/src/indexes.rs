//! The payload indexes of a collection: those that its owner declared and those
//! that clients made, in one numbered schema that every shard takes through its
//! log. A shard that missed one gets it with the next.

use quoit_columns::{Kind, Schema};
use quoit_crds::{
    PayloadIndex, PayloadIndexType, TextAnalysis, TextTokenizer, VectorCollectionSpec,
};
use quoit_filter::{Analyzer, BadPath, Path, Tokenizer};
use quoit_router::CatalogError;
use serde::{Deserialize, Serialize};

/// Indexes that one collection may have: each takes memory for every point.
const MAX_INDEXES: usize = 64;

/// A schema as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Indexes {
    /// +1 for each change.
    pub number: u64,
    /// All of them.
    pub fields: Vec<PayloadIndex>,
}

impl Indexes {
    /// Those of a new collection.
    #[must_use]
    pub fn declared(spec: &VectorCollectionSpec) -> Self {
        Self::default().with(spec.payload_indexes.clone())
    }

    /// Those after another spec has taken the place of one: clients' own stay.
    #[must_use]
    pub fn redeclared(&self, old: &VectorCollectionSpec, new: &VectorCollectionSpec) -> Self {
        let declared =
            |field: &str| names(&old.payload_indexes, field) || names(&new.payload_indexes, field);
        let own = self.fields.iter().filter(|i| !declared(&i.field)).cloned();
        self.with(new.payload_indexes.iter().cloned().chain(own).collect())
    }

    fn with(&self, fields: Vec<PayloadIndex>) -> Self {
        let changed = u64::from(fields != self.fields);
        Self {
            number: self.number + changed,
            fields,
        }
    }

    /// As the shards take it.
    ///
    /// # Errors
    /// A field is no path.
    pub fn schema(&self) -> Result<Schema, BadPath> {
        let fields = self.fields.iter().map(|index| {
            let path: Path = index.field.parse()?;
            Ok((path, kind(index)))
        });
        Ok(Schema {
            number: self.number,
            fields: fields.collect::<Result<_, _>>()?,
        })
    }
}

fn names(indexes: &[PayloadIndex], field: &str) -> bool {
    let same = |a: &str, b: &str| match (a.parse::<Path>(), b.parse::<Path>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    };
    indexes.iter().any(|index| same(&index.field, field))
}

/// The indexes with one of a field that a client asks for.
///
/// # Errors
/// There are too many, or the spec declares another.
pub fn with_index(
    spec: &VectorCollectionSpec,
    indexes: &Indexes,
    path: &Path,
    kind: Kind,
) -> Result<Indexes, CatalogError> {
    let field = path.to_string();
    let wished = recorded(field.clone(), kind);
    let present = indexes
        .fields
        .iter()
        .find(|i| names(std::slice::from_ref(i), &field));
    if present.is_some_and(|present| self::kind(present) == kind) {
        return Ok(indexes.clone());
    }
    if names(&spec.payload_indexes, &field) {
        return Err(declared(&field));
    }
    let others = indexes
        .fields
        .iter()
        .filter(|i| !names(std::slice::from_ref(i), &field));
    let fields: Vec<_> = others.cloned().chain([wished]).collect();
    if fields.len() > MAX_INDEXES {
        return Err(CatalogError::Invalid {
            field: "field_name".into(),
            message: format!(
                "the collection has {MAX_INDEXES} payload indexes, and may not have more: drop one"
            ),
        });
    }
    Ok(indexes.with(fields))
}

/// The indexes without one of a field.
///
/// # Errors
/// The spec declares it.
pub fn without_index(
    spec: &VectorCollectionSpec,
    indexes: &Indexes,
    path: &Path,
) -> Result<Indexes, CatalogError> {
    let field = path.to_string();
    if names(&spec.payload_indexes, &field) {
        return Err(declared(&field));
    }
    let others = indexes
        .fields
        .iter()
        .filter(|i| !names(std::slice::from_ref(i), &field));
    Ok(indexes.with(others.cloned().collect()))
}

fn declared(field: &str) -> CatalogError {
    CatalogError::Declared(format!(
        "the index of {field} is declared in the collection's file, under spec.payloadIndexes: change it there"
    ))
}

fn kind(index: &PayloadIndex) -> Kind {
    match index.kind {
        PayloadIndexType::Keyword => Kind::Keyword,
        PayloadIndexType::Integer => Kind::Integer,
        PayloadIndexType::Float => Kind::Float,
        PayloadIndexType::Bool => Kind::Bool,
        PayloadIndexType::Datetime => Kind::Datetime,
        PayloadIndexType::Uuid => Kind::Uuid,
        PayloadIndexType::Geo => Kind::Geo,
        PayloadIndexType::Text => {
            Kind::Text(index.text.as_ref().map_or_else(Analyzer::default, analyzer))
        }
    }
}

// What a declaration may ask for is what the tokenizer makes.
const _: () = assert!(quoit_crds::MAX_PREFIX as usize == quoit_filter::MAX_PREFIX);

fn analyzer(text: &TextAnalysis) -> Analyzer {
    Analyzer {
        tokenizer: match text.tokenizer {
            TextTokenizer::Word => Tokenizer::Word,
            TextTokenizer::Whitespace => Tokenizer::Whitespace,
            TextTokenizer::Prefix => Tokenizer::Prefix,
            TextTokenizer::Multilingual => Tokenizer::Multilingual,
        },
        lowercase: text.lowercase,
        min_token_len: text.min_token_len as usize,
        max_token_len: text.max_token_len.map_or(usize::MAX, |len| len as usize),
    }
}

/// An index of a client's as it is kept.
fn recorded(field: String, kind: Kind) -> PayloadIndex {
    let (name, text) = match kind {
        Kind::Keyword => (PayloadIndexType::Keyword, None),
        Kind::Integer => (PayloadIndexType::Integer, None),
        Kind::Float => (PayloadIndexType::Float, None),
        Kind::Bool => (PayloadIndexType::Bool, None),
        Kind::Datetime => (PayloadIndexType::Datetime, None),
        Kind::Uuid => (PayloadIndexType::Uuid, None),
        Kind::Geo => (PayloadIndexType::Geo, None),
        Kind::Text(analyzer) => {
            // Without what says nothing: as a file would have it.
            let text = (analyzer != Analyzer::default()).then(|| analysis(analyzer));
            (PayloadIndexType::Text, text)
        }
    };
    PayloadIndex {
        field,
        kind: name,
        text,
    }
}

fn analysis(analyzer: Analyzer) -> TextAnalysis {
    let len = |len: usize| u32::try_from(len).ok();
    TextAnalysis {
        tokenizer: match analyzer.tokenizer {
            Tokenizer::Word => TextTokenizer::Word,
            Tokenizer::Whitespace => TextTokenizer::Whitespace,
            Tokenizer::Prefix => TextTokenizer::Prefix,
            Tokenizer::Multilingual => TextTokenizer::Multilingual,
        },
        lowercase: analyzer.lowercase,
        min_token_len: len(analyzer.min_token_len).unwrap_or(1),
        max_token_len: len(analyzer.max_token_len),
    }
}
