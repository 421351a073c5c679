//! Where the programs are that the playground runs.

use rustix::fs::{Access, access};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The programs of Quoit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// `quoit-shard`.
    pub shard: PathBuf,
    /// `quoit-router`.
    pub router: PathBuf,
}

/// Why a program is not found.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// One of ours.
    #[error("{name} is neither in {} nor on the PATH: build it, with `cargo build --workspace` or as you built quoit", beside.display())]
    Ours {
        /// Its name.
        name: &'static str,
        /// The folder that was looked into first.
        beside: PathBuf,
    },
    /// etcd.
    #[error("etcd is not on the PATH: install etcd, or give --etcd")]
    Etcd,
}

/// Finds ours: beside the program that runs, so that those which were built
/// together run together, or on the `PATH`.
///
/// # Errors
/// One is in neither place.
pub fn find(beside: &Path, path: Option<&OsStr>) -> Result<Programs, Error> {
    let find = |name| {
        let first = beside.join(name);
        if can_run(&first) {
            return Ok(first);
        }
        let beside = beside.to_owned();
        on_path(name, path).ok_or(Error::Ours { name, beside })
    };
    Ok(Programs {
        shard: find("quoit-shard")?,
        router: find("quoit-router")?,
    })
}

/// Finds etcd on the `PATH`.
///
/// # Errors
/// It is not there.
pub fn find_etcd(path: Option<&OsStr>) -> Result<PathBuf, Error> {
    on_path("etcd", path).ok_or(Error::Etcd)
}

fn on_path(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    std::env::split_paths(path?)
        .map(|folder| folder.join(name))
        .find(|file| can_run(file))
        // A process may be started in another folder than this is.
        .and_then(|file| std::path::absolute(file).ok())
}

fn can_run(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn folder(programs: &[(&str, u32)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, mode) in programs {
            let file = folder.path().join(name);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).unwrap();
        }
        folder
    }

    #[test]
    fn programs_beside_the_running_one_go_before_those_on_the_path() {
        let beside = folder(&[("quoit-shard", 0o755)]);
        let first = folder(&[("quoit-router", 0o644)]);
        let second = folder(&[("quoit-shard", 0o755), ("quoit-router", 0o755)]);
        let path = std::env::join_paths([first.path(), second.path()]).unwrap();
        let programs = find(beside.path(), Some(&path)).unwrap();
        assert_eq!(programs.shard, beside.path().join("quoit-shard"));
        // The first of that name cannot be run.
        assert_eq!(programs.router, second.path().join("quoit-router"));
    }

    #[test]
    fn a_program_that_is_nowhere_is_named_with_the_remedy() {
        let beside = folder(&[("quoit-shard", 0o755)]);
        let error = find(beside.path(), None).unwrap_err().to_string();
        assert!(error.starts_with("quoit-router is neither in "), "{error}");
        let error = find_etcd(Some(beside.path().as_os_str())).unwrap_err();
        assert!(error.to_string().contains("install etcd, or give --etcd"));
    }
}
