//! Payload indexes: made, dropped and described.

use std::collections::BTreeMap;
use std::fmt;

use quoit_columns::Kind;
use quoit_filter::{Analyzer, MAX_PREFIX, Path, Tokenizer};
use quoit_proto::v1::{self, IndexedField, PayloadIndex};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use super::filter::JsonPath;
use super::not_yet::NotYet;
use super::openapi::shape::{any_of, named, shaped, word};
use super::update;

/// Bounds on the lengths of words are at most so much.
const MAX_TOKEN_LEN: usize = 1024;

/// Which field is indexed, and how.
#[derive(Deserialize, ToSchema)]
#[schema(as = CreateFieldIndex)]
pub(crate) struct Body {
    field_name: JsonPath,
    #[schema(value_type = FieldSchema, required = true)]
    field_schema: Option<FieldSchema>,
}

/// A type by its name, or with what tunes it.
enum FieldSchema {
    Type(Type),
    Tuned(Box<Tuned>),
}

shaped!(FieldSchema as "PayloadFieldSchema" of Type, Tuned => any_of([
    named::<Type>(),
    named::<Tuned>(),
]));

impl<'de> Deserialize<'de> for FieldSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldSchemaVisitor;

        impl<'de> Visitor<'de> for FieldSchemaVisitor {
            type Value = FieldSchema;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(
                    "a type (keyword, integer, float, bool, datetime, uuid, geo, text), or an object with a `type`",
                )
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<FieldSchema, E> {
                Type::deserialize(StrDeserializer::new(name)).map(FieldSchema::Type)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FieldSchema, A::Error> {
                let tuned = Tuned::deserialize(MapAccessDeserializer::new(map))?;
                Ok(FieldSchema::Tuned(Box::new(tuned)))
            }
        }

        deserializer.deserialize_any(FieldSchemaVisitor)
    }
}

/// The type of a field's values.
#[derive(Deserialize, Clone, Copy, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PayloadSchemaType)]
enum Type {
    Keyword,
    Integer,
    Float,
    Bool,
    Datetime,
    Uuid,
    Geo,
    Text,
}

/// What tunes an index. Where it lies and what it is meant for mean nothing
/// here; lists of words and of their forms are not here yet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PayloadSchemaParams)]
struct Tuned {
    r#type: Type,
    #[schema(value_type = Option<TokenizerName>)]
    tokenizer: Option<String>,
    lowercase: Option<bool>,
    #[schema(minimum = 1, maximum = 1024)]
    min_token_len: Option<u64>,
    #[schema(minimum = 1, maximum = 1024)]
    max_token_len: Option<u64>,
    #[serde(default, rename = "stopwords")]
    #[schema(ignore)]
    _stopwords: NotYet,
    #[serde(default, rename = "stemmer")]
    #[schema(ignore)]
    _stemmer: NotYet,
    #[serde(default, rename = "ascii_folding")]
    #[schema(ignore)]
    _ascii_folding: NotYet,
    #[serde(rename = "phrase_matching")]
    _phrase_matching: Option<bool>,
    #[serde(rename = "is_tenant")]
    _is_tenant: Option<bool>,
    #[serde(rename = "is_principal")]
    _is_principal: Option<bool>,
    #[serde(rename = "lookup")]
    _lookup: Option<bool>,
    #[serde(rename = "range")]
    _range: Option<bool>,
    #[serde(rename = "on_disk")]
    _on_disk: Option<bool>,
    #[serde(rename = "enable_hnsw")]
    _enable_hnsw: Option<bool>,
    #[serde(rename = "memory")]
    #[schema(value_type = Option<serde_json::Value>)]
    _memory: Option<IgnoredAny>,
}

enum TokenizerName {}

shaped!(TokenizerName as "TokenizerType" => word([
    "word",
    "whitespace",
    "prefix",
    "multilingual",
]));

/// `PUT /collections/{c}/index`.
pub(crate) async fn create(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let limit = collection.params().limits.max_request_bytes;
    let body = call.body(limit).await?;
    let Body {
        field_name: JsonPath(path),
        field_schema,
    } = decode(&body)?;
    let kind = match field_schema {
        None => {
            let message = "name the type of its values: keyword, integer, float, bool, datetime, uuid, geo or text";
            return Err(Error::fit("field_schema", message));
        }
        Some(FieldSchema::Type(name)) => kind(name),
        Some(FieldSchema::Tuned(tuned)) => tuned.kind()?,
    };
    let name = collection.name().to_owned();
    match call.app.catalog.create_index(&name, path, kind).await {
        Ok(()) => update::done(call.params),
        Err(source) => Err(Error::ChangeCollection { name, source }),
    }
}

/// `DELETE /collections/{c}/index/{field}`.
pub(crate) async fn drop(mut call: Call) -> Result<Reply, Error> {
    let field = call.path("field").to_owned();
    let path: Path = field
        .parse()
        .map_err(|e: quoit_filter::BadPath| Error::ReadUrl {
            place: "path parameters",
            message: format!("field_name: {e}"),
        })?;
    let name = call.collection().await?.name().to_owned();
    match call.app.catalog.drop_index(&name, path).await {
        Ok(()) => update::done(call.params),
        Err(source) => Err(Error::ChangeCollection { name, source }),
    }
}

impl Tuned {
    fn kind(&self) -> Result<Kind, Error> {
        let kind = kind(self.r#type);
        let Kind::Text(_) = kind else {
            let given = [
                ("tokenizer", self.tokenizer.is_some()),
                ("lowercase", self.lowercase.is_some()),
                ("min_token_len", self.min_token_len.is_some()),
                ("max_token_len", self.max_token_len.is_some()),
            ];
            return match given.iter().find(|(_, is_given)| *is_given) {
                None => Ok(kind),
                Some((field, _)) => {
                    let message = "it is of texts: leave it out, or make the type text";
                    Err(Error::fit(format!("field_schema.{field}"), message))
                }
            };
        };
        let analyzer = Analyzer {
            tokenizer: self.tokenizer()?,
            lowercase: self.lowercase.unwrap_or(true),
            min_token_len: length("min_token_len", self.min_token_len)?.unwrap_or(1),
            max_token_len: length("max_token_len", self.max_token_len)?.unwrap_or(usize::MAX),
        };
        if analyzer.min_token_len > analyzer.max_token_len {
            let message = format!(
                "{} is more than max_token_len: no word would be long enough and short enough",
                analyzer.min_token_len
            );
            return Err(Error::fit("field_schema.min_token_len", message));
        }
        if analyzer.tokenizer == Tokenizer::Prefix && analyzer.min_token_len > MAX_PREFIX {
            let message = format!(
                "{} is more than {MAX_PREFIX}: beginnings of words are at most so long, none would be long enough",
                analyzer.min_token_len
            );
            return Err(Error::fit("field_schema.min_token_len", message));
        }
        Ok(Kind::Text(analyzer))
    }

    fn tokenizer(&self) -> Result<Tokenizer, Error> {
        match self.tokenizer.as_deref() {
            None | Some("word") => Ok(Tokenizer::Word),
            Some("whitespace") => Ok(Tokenizer::Whitespace),
            Some("prefix") => Ok(Tokenizer::Prefix),
            Some("multilingual") => Ok(Tokenizer::Multilingual),
            Some(other) => {
                let message =
                    format!("{other:?} is none of word, whitespace, prefix, multilingual");
                Err(Error::validate("field_schema.tokenizer", message))
            }
        }
    }
}

fn length(field: &str, value: Option<u64>) -> Result<Option<usize>, Error> {
    let Some(value) = value else {
        return Ok(None);
    };
    match usize::try_from(value) {
        Ok(length) if (1..=MAX_TOKEN_LEN).contains(&length) => Ok(Some(length)),
        _ => {
            let message = format!("value {value} invalid, must be from 1 to {MAX_TOKEN_LEN}");
            Err(Error::validate(format!("field_schema.{field}"), message))
        }
    }
}

fn kind(name: Type) -> Kind {
    match name {
        Type::Keyword => Kind::Keyword,
        Type::Integer => Kind::Integer,
        Type::Float => Kind::Float,
        Type::Bool => Kind::Bool,
        Type::Datetime => Kind::Datetime,
        Type::Uuid => Kind::Uuid,
        Type::Geo => Kind::Geo,
        Type::Text => Kind::Text(Analyzer::default()),
    }
}

/// An index as a description of its collection has it.
#[derive(Serialize, ToSchema)]
#[schema(as = PayloadIndexInfo)]
pub(crate) struct IndexInfo {
    data_type: String,
    points: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<Words>,
}

/// How a text becomes words.
#[derive(Serialize, ToSchema)]
#[schema(as = TextIndexInfo)]
struct Words {
    r#type: &'static str,
    tokenizer: String,
    lowercase: bool,
    min_token_len: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_token_len: Option<u32>,
}

/// The indexes of all shards as a description has them: each field once, with
/// the points of all.
pub(crate) fn describe(indexes: Vec<PayloadIndex>) -> BTreeMap<String, IndexInfo> {
    let mut fields: BTreeMap<String, (IndexedField, u64)> = BTreeMap::new();
    for index in indexes {
        let Some(field) = index.field else {
            continue;
        };
        let path = field.path.clone();
        fields.entry(path).or_insert((field, 0)).1 += index.points;
    }
    let told = |(path, (field, points)): (String, (IndexedField, u64))| {
        let data_type = field.field_type().as_str_name().to_lowercase();
        let told = IndexInfo {
            data_type: data_type.trim_start_matches("field_type_").to_owned(),
            points,
            params: field.analyzer.as_ref().map(words),
        };
        (path, told)
    };
    fields.into_iter().map(told).collect()
}

fn words(analyzer: &v1::Analyzer) -> Words {
    Words {
        r#type: "text",
        tokenizer: analyzer.tokenizer().as_str_name().to_lowercase(),
        lowercase: !analyzer.keep_case,
        min_token_len: analyzer.min_token_len,
        max_token_len: (analyzer.max_token_len > 0).then_some(analyzer.max_token_len),
    }
}
