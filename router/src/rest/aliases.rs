//! Aliases: other names of collections, changed all at once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use crate::aliases::AliasAction;
use crate::catalog::CatalogError;

/// Changes of one request.
const MAX_ACTIONS: usize = 1000;

/// Several changes.
#[derive(Deserialize, ToSchema)]
#[schema(as = ChangeAliasesOperation)]
pub(crate) struct Body {
    actions: Vec<Action>,
}

/// One change: an object with one of these as its only field.
#[derive(Deserialize, ToSchema)]
#[schema(as = AliasOperations)]
enum Action {
    #[serde(rename = "create_alias")]
    Create(CreateAlias),
    #[serde(rename = "delete_alias")]
    Delete(DeleteAlias),
    #[serde(rename = "rename_alias")]
    Rename(RenameAlias),
}

/// One more name, or one that is another's from now on.
#[derive(Deserialize, ToSchema)]
struct CreateAlias {
    collection_name: String,
    alias_name: String,
}

/// One name less.
#[derive(Deserialize, ToSchema)]
struct DeleteAlias {
    alias_name: String,
}

/// Another name for the same.
#[derive(Deserialize, ToSchema)]
struct RenameAlias {
    old_alias_name: String,
    new_alias_name: String,
}

/// Some aliases.
#[derive(Serialize, ToSchema)]
#[schema(as = CollectionsAliasesResponse)]
pub(crate) struct Listed {
    aliases: Vec<Alias>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AliasDescription)]
struct Alias {
    alias_name: String,
    collection_name: String,
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
    let aliases = wanted.map(|(alias_name, collection_name)| Alias {
        alias_name,
        collection_name,
    });
    Reply::of(&Listed {
        aliases: aliases.collect(),
    })
}

impl From<Action> for AliasAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Create(CreateAlias {
                collection_name,
                alias_name,
            }) => Self::Create {
                collection: collection_name,
                alias: alias_name,
            },
            Action::Delete(DeleteAlias { alias_name }) => Self::Delete { alias: alias_name },
            Action::Rename(RenameAlias {
                old_alias_name,
                new_alias_name,
            }) => Self::Rename {
                from: old_alias_name,
                to: new_alias_name,
            },
        }
    }
}
