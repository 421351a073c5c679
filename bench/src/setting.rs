//! What all measurements share: the data, the room on disk, and how thorough to be.

use crate::corpus::Corpus;
use crate::error::{Error, Result};
use quoit_dataset::Dataset;
use std::path::{Path, PathBuf};

/// Names the folder of data sets that the project must not contain.
pub const DATA: &str = "QUOIT_BENCH_DATA";

/// What all measurements share.
pub struct Setting {
    /// Whether a rough figure is enough.
    pub quick: bool,
    /// The descriptions of 20,000 packages.
    pub debian: Corpus,
    /// The `quoit` program, or why it is not there, in words.
    pub quoit: Result<PathBuf, String>,
    /// The same where all programs of a cluster are beside it, and etcd is on the `PATH`.
    pub playground: Result<PathBuf, String>,
    scratch: PathBuf,
}

impl Setting {
    /// Finds the data, a folder to work in, and the program.
    ///
    /// # Errors
    /// There is no data, or no folder can be made.
    pub fn find(quick: bool) -> Result<Self> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/debian-20k");
        let itself = std::env::current_exe().map_err(Error::io("find this program"))?;
        let build = itself.parent().unwrap_or(Path::new(".")).to_owned();
        // Not the system's folder for such things, which is often in memory:
        // what is durable there costs nothing.
        let scratch = build.join("bench-scratch");
        std::fs::create_dir_all(&scratch).map_err(Error::io("make a folder to work in"))?;
        let program = |name: &str| {
            let program = build.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            program.is_file().then_some(program).ok_or_else(|| {
                format!(
                    "there is no `{name}` program beside this one: \
                     `cargo build --release --workspace --bins` makes it"
                )
            })
        };
        let quoit = program("quoit");
        let playground = program("quoit-shard")
            .and(program("quoit-router"))
            .and(etcd_is_there())
            .and(quoit.clone());
        Ok(Self {
            quick,
            debian: Corpus::new("debian-20k", Dataset::packages(&data)?),
            quoit,
            playground,
            scratch,
        })
    }

    /// MNIST, or why it is not there, in words.
    ///
    /// # Errors
    /// It is there and damaged.
    pub fn mnist(&self) -> Result<Result<Corpus, String>> {
        if self.quick {
            return Ok(Err("MNIST is left out of a quick run".to_owned()));
        }
        let Some(folder) = std::env::var_os(DATA) else {
            return Ok(Err(format!(
                "MNIST was not measured: {DATA} does not name a folder that has mnist-784"
            )));
        };
        let data = Dataset::mnist(&Path::new(&folder).join("mnist-784"))?;
        Ok(Ok(Corpus::new("mnist-784", data)))
    }

    /// A new folder on a real disk, removed when it is dropped.
    ///
    /// # Errors
    /// None can be made.
    pub fn scratch_dir(&self) -> Result<tempfile::TempDir> {
        tempfile::tempdir_in(&self.scratch).map_err(Error::io("make a folder to work in"))
    }

    /// One number for a thorough run, another for a quick one.
    pub fn rounds(&self, thorough: usize, quick: usize) -> usize {
        if self.quick { quick } else { thorough }
    }
}

fn etcd_is_there() -> Result<(), String> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&folders);
    let there = folders.any(|folder| folder.join("etcd").is_file());
    there
        .then_some(())
        .ok_or_else(|| "there is no `etcd` on the PATH: `make setup` says how to get it".to_owned())
}
