//! A rig's replica, copied to another place by an export and an install.

use super::model::Model;
use super::{Rig, files, tuning};
use quoit_disk::{Disk, RealDisk};
use quoit_engine::{Entry, Export, Identity, Install, Params, SnapshotError, adopt};
use rand::prelude::*;
use std::path::Path;
use std::sync::Arc;

pub fn begin(disk: &Arc<dyn Disk>, dir: &Path, params: &Params, manifest: &[u8]) -> Begun {
    Install::begin(
        disk.clone(),
        dir,
        Identity(7),
        params,
        tuning(),
        manifest,
        0,
    )
}

pub type Begun = Result<Install, SnapshotError>;

/// Gives the next chunk, of any length.
pub fn step(export: &Export, install: &mut Install, rng: &mut StdRng) -> bool {
    let Some(at) = install.wants() else {
        return false;
    };
    let max = *[1, 7, 300, 4096, 70_000].choose(rng).unwrap();
    // Single bytes of the largest parts would take for ever.
    let max = max.max(usize::try_from(export.bytes() / 200).unwrap());
    install.put(&export.read(at, max).unwrap()).unwrap();
    true
}

/// Installs what is exported in the place of what is at `dir`, if anything is.
pub fn install(
    export: &Export,
    disk: &Arc<dyn Disk>,
    dir: &Path,
    params: &Params,
) -> Result<u64, SnapshotError> {
    let mut install = begin(disk, dir, params, export.manifest())?;
    while let Some(at) = install.wants() {
        install.put(&export.read(at, 1 << 20)?)?;
    }
    let applied = install.finish()?;
    adopt(&**disk, dir)?;
    Ok(applied)
}

/// A new replica with what is exported, its log up to there.
pub fn copied(export: &Export, params: &Params, log: &[Entry], rng: &mut StdRng) -> Rig {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica");
    let mut install = begin(&disk, &path, params, export.manifest()).unwrap();
    while step(export, &mut install, rng) {}
    assert_eq!(install.finish().unwrap(), export.applied());
    adopt(&*disk, &path).unwrap();
    assert_eq!(files(dir.path()), [path]);
    let mut model = Model::new(params);
    let log = &log[..usize::try_from(export.applied()).unwrap()];
    for entry in log {
        model.apply(entry);
    }
    let rig = Rig::found(disk, dir, params.clone(), log.to_vec(), model);
    assert_eq!(rig.engine().replay_from(), export.applied() + 1);
    rig
}

/// The replicas have applied the same and are the same.
pub fn assert_alike(a: &Rig, b: &Rig) {
    assert_eq!(a.engine().applied(), b.engine().applied());
    for vnode in a.params.vnodes.iter() {
        assert_eq!(a.engine().vnode_state(vnode), b.engine().vnode_state(vnode));
    }
}
