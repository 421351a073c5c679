//! Schemas as they travel and as they are applied.

use crate::v1;
use quoit_columns::{Kind, Schema};
use quoit_filter::{Analyzer, BadPath, Path};

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

impl From<Kind> for v1::FieldType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Keyword => Self::Keyword,
            Kind::Integer => Self::Integer,
            Kind::Float => Self::Float,
            Kind::Bool => Self::Bool,
            Kind::Datetime => Self::Datetime,
            Kind::Uuid => Self::Uuid,
            Kind::Geo => Self::Geo,
            Kind::Text(_) => Self::Text,
        }
    }
}

/// What a type makes of values; `None` if it is none.
#[must_use]
pub fn kind(field_type: v1::FieldType) -> Option<Kind> {
    Some(match field_type {
        v1::FieldType::Unspecified => return None,
        v1::FieldType::Keyword => Kind::Keyword,
        v1::FieldType::Integer => Kind::Integer,
        v1::FieldType::Float => Kind::Float,
        v1::FieldType::Bool => Kind::Bool,
        v1::FieldType::Datetime => Kind::Datetime,
        v1::FieldType::Uuid => Kind::Uuid,
        v1::FieldType::Geo => Kind::Geo,
        v1::FieldType::Text => Kind::Text(Analyzer::default()),
    })
}

impl From<&Schema> for v1::Schema {
    fn from(schema: &Schema) -> Self {
        let field = |(path, kind): (&Path, &Kind)| v1::IndexedField {
            path: path.to_string(),
            field_type: v1::FieldType::from(*kind).into(),
        };
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
            let Some(kind) = kind(field.field_type()) else {
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
        let kinds = (1..=8).map(|n| kind(v1::FieldType::try_from(n).unwrap()).unwrap());
        let fields = kinds.enumerate().map(|(n, kind)| {
            let path = format!("a.b{n}[].\"c d\"").parse().unwrap();
            (path, kind)
        });
        let schema = Schema {
            number: 5,
            fields: fields.collect(),
        };
        assert_eq!(schema.fields.len(), 8);
        assert_eq!(Schema::try_from(v1::Schema::from(&schema)), Ok(schema));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let field = |path: &str, field_type| v1::IndexedField {
            path: path.into(),
            field_type,
        };
        for fields in [
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
