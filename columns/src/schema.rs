//! Which payload indexes a replica is to have. A schema has a number, and a
//! higher one takes the place of a lower one as a whole: replicas that have
//! applied the same number have the same indexes.

use crate::bytes::{read_kind, write_kind};
use crate::key::{Key, take_array};
use crate::{Columns, Kind};
use quoit_filter::Path;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The payload indexes of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// +1 for each change; 0 has no indexes.
    pub number: u64,
    /// One index a path.
    pub fields: BTreeMap<Path, Kind>,
}

impl Schema {
    /// The schema as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.number.to_le_bytes().to_vec();
        for (path, kind) in &self.fields {
            Arc::<str>::from(path.to_string()).write(&mut bytes);
            write_kind(*kind, &mut bytes);
        }
        bytes
    }

    /// The schema of such bytes; `None` if they are cut off or damaged.
    #[must_use]
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let number = u64::from_le_bytes(take_array(bytes)?);
        let mut fields = BTreeMap::new();
        while !bytes.is_empty() {
            let path: Path = Arc::<str>::read(bytes)?.parse().ok()?;
            if fields.insert(path, read_kind(bytes)?).is_some() {
                return None;
            }
        }
        Some(Self { number, fields })
    }
}

impl Columns {
    /// Drops the columns that a schema does not have, and adds those that it
    /// has, without slots. One that is there and of the right kind stays.
    pub fn adopt(&mut self, schema: &Schema) {
        self.columns
            .retain(|column| schema.fields.get(column.path()) == Some(&column.kind()));
        for (path, kind) in &schema.fields {
            if self.get(path).is_none() {
                self.add(path.clone(), *kind);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quoit_filter::{Analyzer, Tokenizer};
    use serde_json::json;

    fn schema(number: u64, fields: &[(&str, Kind)]) -> Schema {
        let field = |(path, kind): &(&str, Kind)| (path.parse().unwrap(), *kind);
        Schema {
            number,
            fields: fields.iter().map(field).collect(),
        }
    }

    #[test]
    fn a_schema_comes_back_from_its_bytes_and_cut_bytes_are_none() {
        let prefix = Analyzer {
            tokenizer: Tokenizer::Prefix,
            min_token_len: 2,
            ..Analyzer::default()
        };
        let schema = schema(
            7,
            &[
                ("a", Kind::Keyword),
                ("b[].c", Kind::Geo),
                ("\"d e\"", Kind::Text(prefix)),
            ],
        );
        let bytes = schema.to_bytes();
        assert_eq!(Schema::from_bytes(&bytes), Some(schema));
        for len in 0..bytes.len() {
            let cut = Schema::from_bytes(&bytes[..len]);
            assert!(cut.is_none_or(|s| s.to_bytes() == bytes[..len]));
        }
    }

    #[test]
    fn columns_that_stay_keep_what_they_have() {
        let mut columns = Columns::default();
        columns.adopt(&schema(1, &[("a", Kind::Integer), ("b", Kind::Bool)]));
        let payload = json!({"a": 1, "b": true, "c": "x"});
        columns.insert(5, payload.as_object().unwrap());
        columns.complete(&"a".parse().unwrap());
        columns.adopt(&schema(
            2,
            &[
                ("a", Kind::Integer),
                ("b", Kind::Keyword),
                ("c", Kind::Keyword),
            ],
        ));
        let state = |path: &str| {
            let column = columns.get(&path.parse().unwrap()).unwrap();
            (column.slots(), column.is_complete())
        };
        assert_eq!(state("a"), (1, true));
        assert_eq!(state("b"), (0, false));
        assert_eq!(state("c"), (0, false));
        columns.adopt(&schema(3, &[]));
        assert_eq!(columns.iter().count(), 0);
    }
}
