//! Whether other names of collections are names.

use quoit_crds::CollectionName;
use quoit_router::{AliasAction, CatalogError};

/// Whether what clients ask for makes names of what can be one.
///
/// # Errors
/// The first that is none, with its field.
pub fn check_aliases(actions: &[AliasAction]) -> Result<(), CatalogError> {
    for (at, action) in actions.iter().enumerate() {
        let (field, name) = match action {
            AliasAction::Create { alias, .. } => ("create_alias.alias_name", alias),
            AliasAction::Rename { to, .. } => ("rename_alias.new_alias_name", to),
            AliasAction::Delete { .. } => continue,
        };
        CollectionName::new(name).map_err(|e| CatalogError::Invalid {
            field: format!("actions[{at}].{field}"),
            message: e.to_string(),
        })?;
    }
    Ok(())
}
