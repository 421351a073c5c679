//! Schemas as they travel and as they are applied.

use crate::v1;
use quoit_columns::{Kind, Schema};
use quoit_filter::{Analyzer, BadPath, Path, Tokenizer};

/// A schema that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSchema {
    /// A path is none.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// A type that this version does not know.
    #[error("an index of {0} has a type that this version does not know")]
    Type(String),
    /// A path with two indexes.
    #[error("{0} has two indexes: leave one out")]
    Twice(String),
}

impl From<(&Path, Kind)> for v1::IndexedField {
    fn from((path, kind): (&Path, Kind)) -> Self {
        let field_type = match kind {
            Kind::Keyword => v1::FieldType::Keyword,
            Kind::Integer => v1::FieldType::Integer,
            Kind::Float => v1::FieldType::Float,
            Kind::Bool => v1::FieldType::Bool,
            Kind::Datetime => v1::FieldType::Datetime,
            Kind::Uuid => v1::FieldType::Uuid,
            Kind::Geo => v1::FieldType::Geo,
            Kind::Text(_) => v1::FieldType::Text,
        };
        let analyzer = match kind {
            Kind::Text(analyzer) => Some(analyzer.into()),
            _ => None,
        };
        Self {
            path: path.to_string(),
            field_type: field_type.into(),
            analyzer,
        }
    }
}

impl From<Analyzer> for v1::Analyzer {
    fn from(analyzer: Analyzer) -> Self {
        use v1::analyzer::Tokenizer as Wire;
        let tokenizer = match analyzer.tokenizer {
            Tokenizer::Word => Wire::Word,
            Tokenizer::Whitespace => Wire::Whitespace,
            Tokenizer::Prefix => Wire::Prefix,
            Tokenizer::Multilingual => Wire::Multilingual,
        };
        // No text has so many characters that a bound above this one matters.
        let len = |len: usize| u32::try_from(len).unwrap_or(0);
        Self {
            tokenizer: tokenizer.into(),
            keep_case: !analyzer.lowercase,
            min_token_len: len(analyzer.min_token_len),
            max_token_len: len(analyzer.max_token_len),
        }
    }
}

/// The words of a field; `None` if a tokenizer is one that this version does not
/// know.
fn analyzer(analyzer: v1::Analyzer) -> Option<Analyzer> {
    use v1::analyzer::Tokenizer as Wire;
    let tokenizer = match Wire::try_from(analyzer.tokenizer).ok()? {
        Wire::Unspecified | Wire::Word => Tokenizer::Word,
        Wire::Whitespace => Tokenizer::Whitespace,
        Wire::Prefix => Tokenizer::Prefix,
        Wire::Multilingual => Tokenizer::Multilingual,
    };
    Some(Analyzer {
        tokenizer,
        lowercase: !analyzer.keep_case,
        min_token_len: analyzer.min_token_len.max(1) as usize,
        max_token_len: match analyzer.max_token_len {
            0 => usize::MAX,
            len => len as usize,
        },
    })
}

/// What an index makes of values; `None` if it is of a type that this version
/// does not know.
fn kind(field: &v1::IndexedField) -> Option<Kind> {
    Some(match field.field_type() {
        v1::FieldType::Unspecified => return None,
        v1::FieldType::Keyword => Kind::Keyword,
        v1::FieldType::Integer => Kind::Integer,
        v1::FieldType::Float => Kind::Float,
        v1::FieldType::Bool => Kind::Bool,
        v1::FieldType::Datetime => Kind::Datetime,
        v1::FieldType::Uuid => Kind::Uuid,
        v1::FieldType::Geo => Kind::Geo,
        v1::FieldType::Text => Kind::Text(match field.analyzer {
            None => Analyzer::default(),
            Some(of) => analyzer(of)?,
        }),
    })
}

impl From<&Schema> for v1::Schema {
    fn from(schema: &Schema) -> Self {
        let field = |(path, kind): (&Path, &Kind)| (path, *kind).into();
        Self {
            number: schema.number,
            fields: schema.fields.iter().map(field).collect(),
        }
    }
}

impl TryFrom<v1::Schema> for Schema {
    type Error = BadSchema;

    fn try_from(schema: v1::Schema) -> Result<Self, BadSchema> {
        let mut read = Self {
            number: schema.number,
            ..Self::default()
        };
        for field in schema.fields {
            let Some(kind) = kind(&field) else {
                return Err(BadSchema::Type(field.path));
            };
            if read.fields.insert(field.path.parse()?, kind).is_some() {
                return Err(BadSchema::Twice(field.path));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_comes_back_as_it_was_sent() {
        let text = |tokenizer, min_token_len, max_token_len| {
            Kind::Text(Analyzer {
                tokenizer,
                lowercase: min_token_len == 1,
                min_token_len,
                max_token_len,
            })
        };
        let kinds = [
            Kind::Keyword,
            Kind::Integer,
            Kind::Float,
            Kind::Bool,
            Kind::Datetime,
            Kind::Uuid,
            Kind::Geo,
            text(Tokenizer::Word, 1, usize::MAX),
            text(Tokenizer::Whitespace, 2, usize::MAX),
            text(Tokenizer::Prefix, 3, 9),
            text(Tokenizer::Multilingual, 1, 40),
        ];
        let fields = kinds.into_iter().enumerate().map(|(n, kind)| {
            let path = format!("a.b{n}[].\"c d\"").parse().unwrap();
            (path, kind)
        });
        let schema = Schema {
            number: 5,
            fields: fields.collect(),
        };
        assert_eq!(schema.fields.len(), 11);
        assert_eq!(Schema::try_from(v1::Schema::from(&schema)), Ok(schema));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let field = |path: &str, field_type| v1::IndexedField {
            path: path.into(),
            field_type,
            analyzer: None,
        };
        let unknown = v1::Analyzer {
            tokenizer: 99,
            ..v1::Analyzer::default()
        };
        for fields in [
            vec![v1::IndexedField {
                analyzer: Some(unknown),
                ..field("a", 8)
            }],
            vec![field("a", 0)],
            vec![field("a", 99)],
            vec![field("a..b", 1)],
            vec![field("a", 1), field("\"a\"", 2)],
        ] {
            let schema = v1::Schema { number: 1, fields };
            assert!(Schema::try_from(schema.clone()).is_err(), "{schema:?}");
        }
    }
}
