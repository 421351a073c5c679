//! The packages of `debian-20k`, one after the other: each row of the vectors
//! with its line of the payloads. Who imports them needs no more in memory than
//! what is under way.

use super::{Error, Points, check_finite, check_folder, same};
use crate::Matrix;
use crate::npy::{F16, Reader};
use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};

const VECTORS: &str = "vectors.f16.npy";
const PAYLOADS: &str = "points.jsonl.gz";

/// One point.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    /// Its id: the number of its row.
    pub id: usize,
    /// Its vector.
    pub vector: Vec<f32>,
    /// A JSON object, as text.
    pub payload: String,
}

/// The points of `debian-20k`, in the order of their ids.
pub struct Packages {
    folder: PathBuf,
    vectors: Reader<F16>,
    payloads: Lines<BufReader<MultiGzDecoder<BufReader<File>>>>,
    /// The id of the next one.
    id: usize,
}

impl Packages {
    /// Opens the two files.
    ///
    /// # Errors
    /// One is missing, or its beginning is damaged.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        check_folder(folder)?;
        let path = folder.join(PAYLOADS);
        let file = File::open(&path).map_err(|source| Error::Read { path, source })?;
        let text = BufReader::new(MultiGzDecoder::new(BufReader::new(file)));
        Ok(Self {
            folder: folder.to_owned(),
            vectors: Reader::open(&folder.join(VECTORS))?,
            payloads: text.lines(),
            id: 0,
        })
    }

    /// How many there are, read or not.
    #[must_use]
    pub fn total(&self) -> usize {
        self.vectors.rows()
    }

    /// How many numbers a vector has.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.vectors.columns()
    }

    /// Adds the next one's vector to `values`, and gives its payload; nothing
    /// after the last one.
    fn advance(&mut self, values: &mut Vec<f32>) -> Result<Option<String>, Error> {
        let start = values.len();
        let there = self.vectors.next(values)?;
        let path = || self.folder.join(PAYLOADS);
        let line = self.payloads.next().transpose();
        let line = line.map_err(|source| Error::Read {
            path: path(),
            source,
        })?;
        let line = match (there, line) {
            (true, Some(line)) => line,
            (false, None) => return Ok(None),
            (_, line) => {
                let more = line.map_or(0, |_| 1 + self.payloads.by_ref().count());
                let (got, want) = (self.id + more, self.vectors.rows());
                same(&self.folder, PAYLOADS, got, want, "points")?;
                return Ok(None);
            }
        };
        let vector = values.get(start..).unwrap_or_default();
        check_finite(&self.folder.join(VECTORS), self.id, vector)?;
        let payload = payload(self.id, &line).map_err(|what| Error::Line {
            path: path(),
            line: self.id + 1,
            what,
        })?;
        self.id += 1;
        Ok(Some(payload))
    }

    /// All that are left, in memory.
    pub(super) fn collect(mut self) -> Result<Points, Error> {
        let (mut values, mut payloads) = (Vec::new(), Vec::new());
        while let Some(payload) = self.advance(&mut values)? {
            payloads.push(payload);
        }
        values.shrink_to_fit();
        let columns = self.vectors.columns();
        let vectors = Matrix::new(columns, values).ok_or_else(|| Error::Mismatch {
            path: self.folder.join(VECTORS),
            what: "its rows are empty".to_owned(),
        })?;
        Ok(Points { vectors, payloads })
    }
}

impl Iterator for Packages {
    type Item = Result<Package, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let (id, mut vector) = (self.id, Vec::with_capacity(self.vectors.columns()));
        let payload = self.advance(&mut vector).transpose()?;
        Some(payload.map(|payload| Package {
            id,
            vector,
            payload,
        }))
    }
}

/// The payload of a line. The line's `id` says which row it belongs to, and is
/// not part of the payload: a point has an id of its own.
fn payload(row: usize, line: &str) -> Result<String, String> {
    let mut object: Map<String, Value> =
        serde_json::from_str(line).map_err(|e| format!("it is no JSON object: {e}"))?;
    let id = object.remove("id").as_ref().and_then(Value::as_u64);
    if id != Some(row as u64) {
        return Err(format!("its \"id\" is not {row}, the number of its row"));
    }
    Ok(Value::Object(object).to_string())
}
