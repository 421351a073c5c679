//! From the files that the process was started with to the collections that
//! they declare: which are to be made, which changed, and which cannot be.

use super::hosted::{self, Hosted};
use super::record::Record;
use super::sealed;
use super::spec;
use super::{Error, Held, Inner, Node};
use quoit_crds::{VectorCollection, VectorCollectionSpec};
use std::collections::BTreeSet;

/// What it takes to make a collection what a file says.
enum Step {
    Nothing,
    Make,
    Change,
}

impl Node {
    /// Makes collections what files say: all of them, or none if one cannot be.
    ///
    /// # Errors
    /// One asks for what cannot be, and nothing has changed; or one could not
    /// be made or opened.
    pub async fn apply(&self, wished: &[VectorCollection]) -> Result<(), Error> {
        let node = &self.0;
        let _changing = node.changing.lock().await;
        let mut names = BTreeSet::new();
        let mut steps = Vec::new();
        for VectorCollection { metadata, spec, .. } in wished {
            let name = metadata.name.clone().unwrap_or_default();
            let step = if names.insert(name.clone()) {
                node.step(&name, spec)
            } else {
                Err("it is given twice: keep one of the two".to_owned())
            };
            let refused = |what| Error::Refused {
                name: name.clone(),
                what,
            };
            let step = step.map_err(refused)?;
            steps.push((name, spec, step));
        }
        for (name, spec, step) in steps {
            let done = match step {
                Step::Nothing => Ok(()),
                Step::Make => node.make(&name, spec.clone()).await,
                Step::Change => node.change(&name, spec.clone()).await,
            };
            done.map_err(|source| Error::Open { name, source })?;
        }
        Ok(())
    }
}

impl Inner {
    /// What is to be done for a spec, or why it cannot be.
    fn step(&self, name: &str, spec: &VectorCollectionSpec) -> Result<Step, String> {
        spec::resolve(spec).map_err(|e| e.to_string())?;
        let Some(present) = self.find(name) else {
            if let Some(collection) = self.aliased(name) {
                return Err(format!(
                    "it is an alias of {collection}: delete the alias, or choose another name"
                ));
            }
            if spec.replicas > 1 {
                tracing::info!(
                    collection = name,
                    replicas = spec.replicas,
                    "local mode keeps one copy of each shard, whatever replicas says"
                );
            }
            return Ok(Step::Make);
        };
        let present = match present {
            Held::Open(present) => present,
            Held::Unopened { why, .. } => return Err(format!("it cannot be opened: {why}")),
        };
        let old = &present.record().spec;
        if old == spec {
            return Ok(Step::Nothing);
        }
        spec.validate_update(old).map_err(|e| e.to_string())?;
        if old.shards != spec.shards {
            return Err(format!(
                "spec.shards: it has {} and moving points to {} is not supported yet; set shards back to {}",
                old.shards, spec.shards, old.shards
            ));
        }
        Ok(Step::Change)
    }

    /// Opens a collection anew, with another spec. For the start: requests in
    /// flight would keep its files open.
    async fn change(&self, name: &str, spec: VectorCollectionSpec) -> Result<(), hosted::Error> {
        let Some(Held::Open(present)) = self.all_mut().remove(name) else {
            return Ok(());
        };
        present.stop();
        let dir = present.dir().to_owned();
        let old = present.record();
        let record = Record {
            indexes: old.indexes.redeclared(&old.spec, &spec),
            spec,
            ..old
        };
        // The files can be opened once at a time.
        drop(present);
        sealed::write(&*self.disk, &dir, &record)?;
        let collection = Hosted::open(self.disk.clone(), &dir, record, self.options).await?;
        self.put(name, collection);
        Ok(())
    }
}
