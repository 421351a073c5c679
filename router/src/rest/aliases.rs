//! Aliases: other names of collections, changed all at once.

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use crate::aliases::AliasAction;
use crate::catalog::CatalogError;

/// Changes of one request.
const MAX_ACTIONS: usize = 1000;

#[derive(Deserialize)]
struct Body {
    actions: Vec<Action>,
}

/// One change: an object with one of these as its only field.
#[derive(Deserialize)]
enum Action {
    #[serde(rename = "create_alias")]
    Create {
        collection_name: String,
        alias_name: String,
    },
    #[serde(rename = "delete_alias")]
    Delete { alias_name: String },
    #[serde(rename = "rename_alias")]
    Rename {
        old_alias_name: String,
        new_alias_name: String,
    },
}

/// `POST /collections/aliases`.
pub(crate) async fn change(mut call: Call) -> Result<Reply, Error> {
    let body = call.body(call.app.limits.max_request_bytes).await?;
    let Body { actions } = decode(&body)?;
    if actions.len() > MAX_ACTIONS {
        let message = format!(
            "{} are more than {MAX_ACTIONS}: send several requests",
            actions.len()
        );
        return Err(Error::validate("actions", message));
    }
    let actions = actions.into_iter().map(Into::into).collect();
    match call.app.catalog.change_aliases(actions).await {
        Ok(()) => Reply::of(&true),
        Err(source) => Err(refused(source)),
    }
}

/// It is about aliases, and not about one collection.
fn refused(source: CatalogError) -> Error {
    let name = "aliases".to_owned();
    Error::ChangeCollection { name, source }
}

/// `GET /aliases`.
pub(crate) async fn list(call: Call) -> Result<Reply, Error> {
    listed(&call, |_| true)
}

/// `GET /collections/{c}/aliases`.
pub(crate) async fn of_collection(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    listed(&call, |name| name == collection.name())
}

fn listed(call: &Call, is_wanted: impl Fn(&str) -> bool) -> Result<Reply, Error> {
    let all = call.app.catalog.aliases().into_iter();
    let wanted = all.filter(|(_, collection)| is_wanted(collection));
    let aliases: Vec<Value> = wanted
        .map(|(alias, collection)| json!({"alias_name": alias, "collection_name": collection}))
        .collect();
    Reply::of(&json!({"aliases": aliases}))
}

impl From<Action> for AliasAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Create {
                collection_name,
                alias_name,
            } => Self::Create {
                collection: collection_name,
                alias: alias_name,
            },
            Action::Delete { alias_name } => Self::Delete { alias: alias_name },
            Action::Rename {
                old_alias_name,
                new_alias_name,
            } => Self::Rename {
                from: old_alias_name,
                to: new_alias_name,
            },
        }
    }
}
