//! Whose data a folder holds. A shard that is started on another's folder, or
//! on an emptied one, must not take it for its own: it would serve what is not
//! its own, or serve as empty what is merely lost.

use quoit_disk::Disk;
use quoit_engine::{Identity, Params, VectorParams};
use quoit_ring::ShardId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Who a replica is, as a member of its shard's Raft group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberId {
    /// The collection's uid.
    pub collection: Uuid,
    /// The group; another for each shard that ever was.
    pub group: u64,
    /// The member; a number that no other member of the group ever had.
    pub node: u64,
}

impl MemberId {
    /// The only member of a shard that has no other replicas.
    #[must_use]
    pub fn alone(collection: Uuid, shard: ShardId) -> Self {
        Self {
            collection,
            group: u64::from(shard.0),
            node: 1,
        }
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self {
            collection,
            group,
            node,
        } = self;
        write!(
            f,
            "member {node} of group {group} of collection {collection}"
        )
    }
}

/// The identity of a shard's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Whose it is.
    pub member: MemberId,
    /// The shard.
    pub shard: ShardId,
    /// The layout of the folder.
    format: u32,
    /// What every vector in it is made for. Files say it only by their sizes.
    shape: Shape,
}

/// What cannot change while there is data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shape {
    vectors: Vec<VectorShape>,
    vnodes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct VectorShape {
    name: String,
    dimension: usize,
    metric: String,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for VectorShape {
            name,
            dimension,
            metric,
        } in &self.vectors
        {
            if !name.is_empty() {
                write!(f, "vector {name} of ")?;
            }
            write!(f, "dimension {dimension}, metric {metric}, ")?;
        }
        write!(f, "and {} vnodes", self.vnodes)
    }
}

impl VectorShape {
    fn of(params: &VectorParams) -> Self {
        Self {
            name: params.name.clone(),
            dimension: params.dimension,
            metric: format!("{:?}", params.metric),
        }
    }
}

/// The layout that this version writes.
const FORMAT: u32 = 1;

impl Stamp {
    /// The stamp of a replica of a shard.
    #[must_use]
    pub fn new(member: MemberId, shard: ShardId, params: &Params) -> Self {
        Self {
            member,
            shard,
            format: FORMAT,
            shape: Shape {
                vectors: params.vectors.iter().map(VectorShape::of).collect(),
                vnodes: params.vnodes.get(),
            },
        }
    }
}

impl Stamp {
    /// What the checksums of the data are seeded by: the same for all replicas of a
    /// shard, since they are given each other's files.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let MemberId {
            collection, group, ..
        } = self.member;
        let name = format!("{collection} {} {group}", self.shard);
        Identity(xxhash_rust::xxh3::xxh3_64(name.as_bytes()))
    }

    /// What the checksums of log and vote are seeded by: what one member promised no
    /// other did.
    #[must_use]
    pub fn own_identity(&self) -> Identity {
        let name = format!("{} {}", self.shard, self.member);
        Identity(xxhash_rust::xxh3::xxh3_64(name.as_bytes()))
    }
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    /// The stamp cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The stamp's file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The stamp cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The stamp's file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The stamp is not one.
    #[error("{} is damaged; restore the folder from a copy", path.display())]
    Damaged {
        /// The stamp's file.
        path: PathBuf,
        /// Why it does not decode.
        source: serde_json::Error,
    },
    /// The folder is another's.
    #[error("{} belongs to shard {}, {}, not to shard {}, {}: check the data directory", path.display(), found.shard, found.member, expected.shard, expected.member)]
    Foreign {
        /// The stamp's file.
        path: PathBuf,
        /// Whose it is.
        found: Box<Stamp>,
        /// Who asked.
        expected: Box<Stamp>,
    },
    /// The folder is of another layout.
    #[error("{} is of format {format}, and this version of quoit knows format {FORMAT}: use the version that wrote it", path.display())]
    Newer {
        /// The stamp's file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The folder's vectors are of another shape.
    #[error("{} was made for {}, and the collection's record says {}: restore the record from a copy", path.display(), found.shape, expected.shape)]
    Misshapen {
        /// The stamp's file.
        path: PathBuf,
        /// What it was made for.
        found: Box<Stamp>,
        /// What was asked for.
        expected: Box<Stamp>,
    },
    /// A shard that was founded before has no data.
    #[error("{} is not there, and this shard had data: it is not empty but lost; restore the folder from a copy", path.display())]
    Lost {
        /// The stamp's file.
        path: PathBuf,
    },
}

/// Checks a folder's stamp, or sets it where the shard is `new`.
///
/// # Errors
/// The folder is another's, its data is lost, or it cannot be read or written.
pub fn check(disk: &dyn Disk, dir: &Path, expected: &Stamp, new: bool) -> Result<(), StampError> {
    let path = dir.join("stamp.json");
    match disk.read(&path) {
        Ok(bytes) => {
            let found: Stamp =
                serde_json::from_slice(&bytes).map_err(|source| StampError::Damaged {
                    path: path.clone(),
                    source,
                })?;
            if found == *expected {
                return Ok(());
            }
            if found.format != FORMAT {
                let format = found.format;
                return Err(StampError::Newer { path, format });
            }
            let whose = |stamp: &Stamp| (stamp.member, stamp.shard);
            let is_ours = whose(&found) == whose(expected);
            let (found, expected) = (Box::new(found), Box::new(expected.clone()));
            Err(if is_ours {
                StampError::Misshapen {
                    path,
                    found,
                    expected,
                }
            } else {
                StampError::Foreign {
                    path,
                    found,
                    expected,
                }
            })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound && new => {
            set(disk, dir, &path, expected).map_err(|source| StampError::Write { path, source })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(StampError::Lost { path }),
        Err(source) => Err(StampError::Read { path, source }),
    }
}

fn set(disk: &dyn Disk, dir: &Path, path: &Path, stamp: &Stamp) -> io::Result<()> {
    let bytes = serde_json::to_vec(stamp).map_err(io::Error::other)?;
    disk.create_dir_all(dir)?;
    let new = dir.join("stamp.new");
    let file = disk.open(&new)?;
    file.set_len(0)?;
    file.write_at(&bytes, 0)?;
    file.sync_data()?;
    disk.rename(&new, path)?;
    disk.sync_dir(dir)
}
