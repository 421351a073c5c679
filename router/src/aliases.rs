//! Other names of collections: what becomes of them by a list of changes, of
//! which all are done or none. Decides; keeps nothing.

use std::collections::BTreeMap;

/// The collection of each alias.
pub type Aliases = BTreeMap<String, String>;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasAction {
    /// Gives a collection another name, which it is taken away from if another
    /// collection has it.
    Create {
        /// The collection, by its own name.
        collection: String,
        /// The name.
        alias: String,
    },
    /// Takes an alias away.
    Delete {
        /// The alias.
        alias: String,
    },
    /// Gives an alias another name.
    Rename {
        /// What it is called.
        from: String,
        /// What it is to be called.
        to: String,
    },
}

/// Why a list of changes is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAliases {
    /// No collection has that name.
    #[error("Collection `{0}` doesn't exist!")]
    FindCollection(String),
    /// There is no such alias.
    #[error("Alias `{0}` doesn't exist!")]
    FindAlias(String),
    /// A collection has that name.
    #[error("`{0}` is the name of a collection: choose another alias")]
    NameAlias(String),
}

/// The aliases after some changes, one after the other.
///
/// # Errors
/// One of them cannot be done.
pub fn changed(
    before: &Aliases,
    actions: &[AliasAction],
    is_collection: impl Fn(&str) -> bool,
) -> Result<Aliases, BadAliases> {
    let mut aliases = before.clone();
    let free = |name: &str| {
        if is_collection(name) {
            Err(BadAliases::NameAlias(name.to_owned()))
        } else {
            Ok(())
        }
    };
    for action in actions {
        match action {
            AliasAction::Create { collection, alias } => {
                if !is_collection(collection) {
                    return Err(BadAliases::FindCollection(collection.clone()));
                }
                free(alias)?;
                aliases.insert(alias.clone(), collection.clone());
            }
            AliasAction::Delete { alias } => {
                let gone = aliases.remove(alias);
                gone.ok_or_else(|| BadAliases::FindAlias(alias.clone()))?;
            }
            AliasAction::Rename { from, to } => {
                free(to)?;
                let collection = aliases.remove(from);
                let collection = collection.ok_or_else(|| BadAliases::FindAlias(from.clone()))?;
                aliases.insert(to.clone(), collection);
            }
        }
    }
    Ok(aliases)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(collection: &str, alias: &str) -> AliasAction {
        AliasAction::Create {
            collection: collection.into(),
            alias: alias.into(),
        }
    }

    fn delete(alias: &str) -> AliasAction {
        AliasAction::Delete {
            alias: alias.into(),
        }
    }

    fn rename(from: &str, to: &str) -> AliasAction {
        AliasAction::Rename {
            from: from.into(),
            to: to.into(),
        }
    }

    fn after(actions: &[AliasAction]) -> Result<Vec<(String, String)>, BadAliases> {
        let before = [("live", "one"), ("old", "one")];
        let before = before.map(|(a, c)| (a.to_owned(), c.to_owned())).into();
        let changed = changed(&before, actions, |name| ["one", "two"].contains(&name))?;
        Ok(changed.into_iter().collect())
    }

    fn pairs<const N: usize>(all: [(&str, &str); N]) -> Vec<(String, String)> {
        all.map(|(a, c)| (a.to_owned(), c.to_owned())).into()
    }

    #[test]
    fn an_alias_is_given_taken_away_renamed_and_moved_to_another_collection() {
        for (actions, aliases) in [
            (vec![], pairs([("live", "one"), ("old", "one")])),
            (
                vec![create("two", "new")],
                pairs([("live", "one"), ("new", "two"), ("old", "one")]),
            ),
            (
                vec![delete("live"), create("two", "live")],
                pairs([("live", "two"), ("old", "one")]),
            ),
            (
                vec![create("two", "live")],
                pairs([("live", "two"), ("old", "one")]),
            ),
            (vec![rename("old", "live")], pairs([("live", "one")])),
            (
                vec![rename("old", "old")],
                pairs([("live", "one"), ("old", "one")]),
            ),
        ] {
            assert_eq!(after(&actions), Ok(aliases), "{actions:?}");
        }
    }

    #[test]
    fn what_cannot_be_done_leaves_nothing_done() {
        for (actions, error) in [
            (
                vec![delete("live"), delete("live")],
                BadAliases::FindAlias("live".into()),
            ),
            (
                vec![rename("none", "x")],
                BadAliases::FindAlias("none".into()),
            ),
            (
                vec![create("live", "x")],
                BadAliases::FindCollection("live".into()),
            ),
            (
                vec![create("one", "two")],
                BadAliases::NameAlias("two".into()),
            ),
            (
                vec![rename("old", "one")],
                BadAliases::NameAlias("one".into()),
            ),
        ] {
            assert_eq!(after(&actions), Err(error), "{actions:?}");
        }
    }
}
