//! The aliases of a data directory's collections, in one file: a change of
//! several is there as a whole or not at all. They are kept by the collections'
//! identities, so that one who is made under the name of a deleted collection
//! does not inherit its aliases, and those of one that is away (its folder moved,
//! to be put back) are still there when it comes back.

use super::{Held, Inner, chain};
use quoit_cluster::check_aliases;
use quoit_disk::Disk;
use quoit_router::{AliasAction, Aliases, CatalogError, changed_aliases};
use quoit_store::sealed::{self, Error, Sealed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLockReadGuard};
use uuid::Uuid;

/// The aliases of all collections, also of those that are away.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept(BTreeMap<String, Uuid>);

#[derive(Serialize, Deserialize)]
struct File {
    /// The layout of the file.
    format: u32,
    /// The identity of each alias's collection.
    aliases: BTreeMap<String, Uuid>,
}

impl Sealed for File {
    const NAME: &str = "aliases";
    const FORMAT: u32 = 1;

    fn format(&self) -> u32 {
        self.format
    }
}

impl Kept {
    /// Reads them from a data directory; none where there is no file.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Self, Error> {
        let file: Option<File> = sealed::read(disk, dir)?;
        Ok(Self(file.map(|file| file.aliases).unwrap_or_default()))
    }

    /// Writes them to a data directory.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
        let file = File {
            format: File::FORMAT,
            aliases: self.0.clone(),
        };
        sealed::write(disk, dir, &file)
    }

    /// The collection of an alias.
    pub fn get(&self, alias: &str) -> Option<Uuid> {
        self.0.get(alias).copied()
    }

    /// Those whose collections are here, with their names.
    pub fn named(&self, name_of: impl Fn(Uuid) -> Option<String>) -> Aliases {
        let named = self.0.iter();
        let named = named.filter_map(|(alias, uid)| Some((alias.clone(), name_of(*uid)?)));
        named.collect()
    }

    /// These in place of those whose collections are here.
    pub fn with(
        &self,
        aliases: &Aliases,
        uid_of: impl Fn(&str) -> Option<Uuid>,
        is_here: impl Fn(Uuid) -> bool,
    ) -> Self {
        let away = self.0.iter().filter(|(_, uid)| !is_here(**uid));
        let away = away.map(|(alias, uid)| (alias.clone(), *uid));
        let here = aliases.iter();
        let here = here.filter_map(|(alias, name)| Some((alias.clone(), uid_of(name)?)));
        Self(away.chain(here).collect())
    }

    /// The same without those of a collection.
    pub fn without(&self, uid: Uuid) -> Self {
        let others = self.0.iter().filter(|(_, of)| **of != uid);
        Self(others.map(|(alias, of)| (alias.clone(), *of)).collect())
    }
}

impl Inner {
    /// The aliases of the collections that are here.
    pub fn named_aliases(&self) -> Aliases {
        let all = self.all();
        let names: BTreeMap<Uuid, &String> = all.iter().map(|(n, held)| (held.uid(), n)).collect();
        let kept = self.kept_aliases();
        kept.named(|uid| names.get(&uid).map(|name| (*name).clone()))
    }

    /// What has an alias.
    pub fn find_aliased(&self, alias: &str) -> Option<Held> {
        let uid = self.kept_aliases().get(alias)?;
        self.all().values().find(|held| held.uid() == uid).cloned()
    }

    /// The name of the collection that has an alias.
    pub fn aliased(&self, alias: &str) -> Option<String> {
        self.named_aliases().remove(alias)
    }

    /// Changes aliases: all, durably, or none.
    pub async fn change_aliases(&self, actions: &[AliasAction]) -> Result<(), CatalogError> {
        let _changing = self.changing.lock().await;
        check_aliases(actions)?;
        let before = self.named_aliases();
        let after = changed_aliases(&before, actions, |name| self.find(name).is_some())?;
        let uid_of = |name: &str| self.find(name).map(|held| held.uid());
        let is_here = |uid| self.all().values().any(|held| held.uid() == uid);
        let kept = self.kept_aliases().with(&after, uid_of, is_here);
        kept.write(&*self.disk, &self.root).map_err(|error| {
            let text = chain(&error);
            if error.is_disk_full() {
                CatalogError::DiskFull(text)
            } else {
                CatalogError::Internal(text)
            }
        })?;
        self.put_aliases(kept);
        Ok(())
    }

    /// Drops the aliases of a deleted collection. What stays in the file is of no
    /// collection: no other will have its identity.
    pub fn forget_aliases(&self, uid: Uuid) {
        let before = self.kept_aliases().clone();
        let kept = before.without(uid);
        if kept == before {
            return;
        }
        if let Err(error) = kept.write(&*self.disk, &self.root) {
            tracing::warn!(
                error = chain(&error),
                "aliases of a deleted collection stay in their file"
            );
        }
        self.put_aliases(kept);
    }

    fn kept_aliases(&self) -> RwLockReadGuard<'_, Kept> {
        self.aliases.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_aliases(&self, kept: Kept) {
        let aliases = self.aliases.write();
        *aliases.unwrap_or_else(PoisonError::into_inner) = kept;
    }
}
