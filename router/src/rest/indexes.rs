//! Payload indexes: made, dropped and described.

use std::collections::BTreeMap;

use quoit_columns::Kind;
use quoit_filter::{Analyzer, Path};
use quoit_proto::v1::{FieldType, PayloadIndex};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use super::filter::JsonPath;
use super::not_yet::NotYet;
use super::update;

#[derive(Deserialize)]
struct Body {
    field_name: JsonPath,
    field_schema: Option<FieldSchema>,
}

/// A type by its name, or with what tunes it.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a type (keyword, integer, float, bool, datetime, uuid, geo, text), or an object with a `type`"
)]
enum FieldSchema {
    Type(Type),
    Tuned(Box<Tuned>),
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
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
/// here; what would make other words of texts is not here yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tuned {
    r#type: Type,
    tokenizer: Option<String>,
    lowercase: Option<bool>,
    #[serde(default, rename = "min_token_len")]
    _min_token_len: NotYet,
    #[serde(default, rename = "max_token_len")]
    _max_token_len: NotYet,
    #[serde(default, rename = "stopwords")]
    _stopwords: NotYet,
    #[serde(default, rename = "stemmer")]
    _stemmer: NotYet,
    #[serde(default, rename = "ascii_folding")]
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
    _memory: Option<IgnoredAny>,
}

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
        match self.tokenizer.as_deref() {
            None | Some("word") => {}
            Some(other @ ("whitespace" | "prefix" | "multilingual")) => {
                return Err(Error::NotYet(format!("field_schema.tokenizer {other:?}")));
            }
            Some(other) => {
                let message =
                    format!("{other:?} is none of word, whitespace, prefix, multilingual");
                return Err(Error::validate("field_schema.tokenizer", message));
            }
        }
        if self.lowercase == Some(false) {
            return Err(Error::NotYet("field_schema.lowercase false".to_owned()));
        }
        Ok(kind(self.r#type))
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

/// The indexes of all shards as a description has them: each field once, with
/// the points of all.
pub(crate) fn describe(indexes: Vec<PayloadIndex>) -> Value {
    let mut fields: BTreeMap<String, (FieldType, u64)> = BTreeMap::new();
    for index in indexes {
        let Some(field) = index.field else {
            continue;
        };
        let field_type = field.field_type();
        fields.entry(field.path).or_insert((field_type, 0)).1 += index.points;
    }
    let field = |(path, (field_type, points)): (String, (FieldType, u64))| {
        let data_type = field_type.as_str_name().to_lowercase();
        let data_type = data_type.trim_start_matches("field_type_");
        (path, json!({"data_type": data_type, "points": points}))
    };
    fields.into_iter().map(field).collect()
}
