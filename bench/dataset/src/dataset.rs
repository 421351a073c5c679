//! The data sets: which files a folder has, and what each must be so that they
//! belong together.

mod packages;

use crate::npy::{self, Element, F16, I32, U8};
use crate::{Matrix, Measure, Truth};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

pub use packages::{Package, Packages};

/// Why a folder is not a data set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder is not there.
    #[error("{}: there is no such folder", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system, or the decompression, said.
        source: io::Error,
    },
    /// An array is not one.
    #[error(transparent)]
    Array(#[from] npy::Error),
    /// A line is not what it should be.
    #[error("{}, line {line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The files do not belong together.
    #[error("{}: {what}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
}

/// The points of a data set; the id of one is the number of its row.
#[derive(Clone, Debug)]
pub struct Points {
    /// The vectors.
    pub vectors: Matrix<f32>,
    /// A JSON object for each, as text; none where the data set has no payloads.
    pub payloads: Vec<String>,
}

/// The queries of a data set.
#[derive(Clone, Debug)]
pub struct Queries {
    /// The vectors.
    pub vectors: Matrix<f32>,
    /// What each vector was made of; none where that is no text.
    pub texts: Vec<String>,
    /// The ids of the nearest points of each, nearest first.
    pub neighbors: Matrix<i32>,
}

impl Queries {
    /// Reads the queries of `debian-20k` alone, for one who reads the points one
    /// after the other ([`Packages`]).
    ///
    /// # Errors
    /// A file is missing or damaged, or the files do not belong together.
    pub fn of_packages(folder: &Path) -> Result<Self, Error> {
        check_folder(folder)?;
        let queries = Self {
            vectors: vectors::<F16>(&folder.join("queries.f16.npy"))?,
            texts: lines(&folder.join("queries.txt"))?,
            neighbors: npy::read::<I32>(&folder.join("neighbors.i32.npy"))?,
        };
        let (texts, rows) = (queries.texts.len(), queries.vectors.rows());
        same(folder, "queries.txt", texts, rows, "queries")?;
        Ok(queries)
    }
}

/// Points, queries, and which points are truly nearest to each query.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// How near two vectors are, here.
    pub measure: Measure,
    /// What is searched.
    pub points: Points,
    /// What is looked for.
    pub queries: Queries,
}

impl Dataset {
    /// Reads `debian-20k`, or a folder of the same files: descriptions of
    /// packages with their embeddings, compared by cosine.
    ///
    /// # Errors
    /// A file is missing or damaged, or the files do not belong together.
    pub fn packages(folder: &Path) -> Result<Self, Error> {
        Self {
            measure: Measure::Cosine,
            points: Packages::open(folder)?.collect()?,
            queries: Queries::of_packages(folder)?,
        }
        .whole(folder, "queries.f16.npy")
    }

    /// Reads `mnist-784`: images of digits, compared by Euclidean distance.
    ///
    /// # Errors
    /// A file is missing or damaged, or the files do not belong together.
    pub fn mnist(folder: &Path) -> Result<Self, Error> {
        check_folder(folder)?;
        let points = Points {
            vectors: vectors::<U8>(&folder.join("train.u8.npy.gz"))?,
            payloads: Vec::new(),
        };
        let queries = Queries {
            vectors: vectors::<U8>(&folder.join("test.u8.npy.gz"))?,
            texts: Vec::new(),
            neighbors: npy::read::<I32>(&folder.join("neighbors.i32.npy"))?,
        };
        Self {
            measure: Measure::Euclid,
            points,
            queries,
        }
        .whole(folder, "test.u8.npy.gz")
    }

    /// What answers are judged by.
    #[must_use]
    pub fn truth(&self) -> Truth<'_> {
        Truth {
            measure: self.measure,
            points: &self.points.vectors,
            queries: &self.queries.vectors,
            neighbors: &self.queries.neighbors,
        }
    }

    /// Checks what every data set promises.
    fn whole(self, folder: &Path, queries_file: &'static str) -> Result<Self, Error> {
        let (points, queries) = (&self.points.vectors, &self.queries.vectors);
        if queries.columns() != points.columns() {
            let what = format!(
                "its vectors have {} numbers, and those of the points {}",
                queries.columns(),
                points.columns()
            );
            return Err(Error::Mismatch {
                path: folder.join(queries_file),
                what,
            });
        }
        let neighbors = &self.queries.neighbors;
        same(
            folder,
            "neighbors.i32.npy",
            neighbors.rows(),
            queries.rows(),
            "queries",
        )?;
        let known = |id: i32| usize::try_from(id).is_ok_and(|id| id < points.rows());
        if let Some(id) = neighbors.values().iter().find(|id| !known(**id)) {
            let what = format!(
                "it names point {id}, and the points are 0 to {}",
                points.rows() - 1
            );
            return Err(Error::Mismatch {
                path: folder.join("neighbors.i32.npy"),
                what,
            });
        }
        Ok(self)
    }
}

fn check_folder(folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        Ok(())
    } else {
        Err(Error::NoFolder {
            path: folder.to_owned(),
        })
    }
}

fn same(folder: &Path, file: &str, got: usize, want: usize, of: &str) -> Result<(), Error> {
    if got == want {
        return Ok(());
    }
    let what = format!("it has {got} entries, and there are {want} {of}");
    Err(Error::Mismatch {
        path: folder.join(file),
        what,
    })
}

/// Vectors, each number of which is one.
fn vectors<E: Element<Value = f32>>(path: &Path) -> Result<Matrix<f32>, Error> {
    let matrix = npy::read::<E>(path)?;
    for (i, row) in matrix.iter().enumerate() {
        check_finite(path, i, row)?;
    }
    Ok(matrix)
}

fn check_finite(path: &Path, row: usize, values: &[f32]) -> Result<(), Error> {
    if values.iter().all(|x| x.is_finite()) {
        return Ok(());
    }
    let what = format!("row {row} has a value that is no finite number");
    Err(Error::Mismatch {
        path: path.to_owned(),
        what,
    })
}

fn lines(path: &Path) -> Result<Vec<String>, Error> {
    let unreadable = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let file = BufReader::new(File::open(path).map_err(unreadable)?);
    file.lines().collect::<Result<_, _>>().map_err(unreadable)
}
