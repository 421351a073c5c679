//! `NumPy`'s array files, as far as the data sets use them: versions 1 and 2,
//! two axes, C order, little-endian f16, i32 and u8, gzipped where the name
//! ends in `.gz`. Anything else, and a byte too few or too many, is an error
//! that names the file: a file read wrongly would still give figures.
//!
//! A file is a magic number, a version, the length of a header, the header (a
//! Python dictionary, as text), and the values.

mod header;

use crate::Matrix;
use flate2::read::MultiGzDecoder;
use header::Header;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// Why a file is not the array that is wanted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system, or the decompression, said.
        source: io::Error,
    },
    /// It is something else.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// A kind of value that arrays hold.
pub(crate) trait Element {
    /// What it is read as.
    type Value;
    /// Its name in a header.
    const DESCR: &'static str;
    /// The bytes of one.
    const SIZE: usize;
    /// Reads one from exactly its bytes.
    fn decode(bytes: &[u8]) -> Self::Value;
}

/// Half precision, widened: every f16 is an f32 exactly.
pub(crate) struct F16;
/// A byte, read as a coordinate.
pub(crate) struct U8;
/// A number of a row.
pub(crate) struct I32;

impl Element for F16 {
    type Value = f32;
    const DESCR: &'static str = "<f2";
    const SIZE: usize = 2;

    fn decode(bytes: &[u8]) -> f32 {
        let mut word = [0; 2];
        word.copy_from_slice(bytes);
        widen(u16::from_le_bytes(word))
    }
}

impl Element for U8 {
    type Value = f32;
    const DESCR: &'static str = "|u1";
    const SIZE: usize = 1;

    fn decode(bytes: &[u8]) -> f32 {
        bytes.first().copied().map_or(0.0, f32::from)
    }
}

impl Element for I32 {
    type Value = i32;
    const DESCR: &'static str = "<i4";
    const SIZE: usize = 4;

    fn decode(bytes: &[u8]) -> i32 {
        let mut word = [0; 4];
        word.copy_from_slice(bytes);
        i32::from_le_bytes(word)
    }
}

/// An f16 as an f32 of the same value.
fn widen(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10) & 0x1f;
    let fraction = u32::from(half & 0x3ff);
    match exponent {
        // Zero and the subnormals: `fraction` steps of 2^-24.
        0 => {
            let size = f32::from(half & 0x3ff) / 16_777_216.0;
            f32::from_bits(size.to_bits() | sign)
        }
        // Infinity and what is no number.
        31 => f32::from_bits(sign | 0x7f80_0000 | (fraction << 13)),
        // The exponents' middles are 15 and 127.
        _ => f32::from_bits(sign | ((exponent + 112) << 23) | (fraction << 13)),
    }
}

/// A file of two axes, read row by row: what is large need not be in memory.
pub(crate) struct Reader<E> {
    path: PathBuf,
    input: Box<dyn Read + Send>,
    rows: usize,
    columns: usize,
    /// How many rows were read.
    done: usize,
    /// The bytes of one row, kept for the next.
    bytes: Vec<u8>,
    element: PhantomData<fn() -> E>,
}

impl<E: Element> Reader<E> {
    /// Opens a file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        let wrong = |what| Error::Content {
            path: path.to_owned(),
            what,
        };
        let file = File::open(path).map_err(unreadable)?;
        let mut input: Box<dyn Read + Send> = if path.extension().is_some_and(|e| e == "gz") {
            Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file))))
        } else {
            Box::new(BufReader::new(file))
        };
        let text = header::text(&mut input)
            .map_err(unreadable)?
            .map_err(wrong)?;
        let header = Header::parse(&text).map_err(wrong)?;
        let (rows, columns) = shape::<E>(&header).map_err(wrong)?;
        Ok(Self {
            path: path.to_owned(),
            input,
            rows,
            columns,
            done: 0,
            bytes: Vec::new(),
            element: PhantomData,
        })
    }

    /// How many rows the file says it has.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How long a row is.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Adds the values of the next row; after the last one, makes sure that the
    /// file ends there, and says no.
    pub(crate) fn next(&mut self, values: &mut Vec<E::Value>) -> Result<bool, Error> {
        let last = self.done == self.rows;
        let wanted = if last { 1 } else { self.columns * E::SIZE };
        self.bytes.clear();
        // The memory grows with what is there, whatever the header promises.
        let got = (&mut self.input)
            .take(wanted as u64)
            .read_to_end(&mut self.bytes);
        let got = got.map_err(|source| Error::Read {
            path: self.path.clone(),
            source,
        })?;
        let wrong = |what| {
            Err(Error::Content {
                path: self.path.clone(),
                what,
            })
        };
        if last {
            return match got {
                0 => Ok(false),
                _ => wrong(format!("there is more after its {} rows", self.rows)),
            };
        }
        if got < wanted {
            return wrong(format!("it ends in row {} of {}", self.done + 1, self.rows));
        }
        self.done += 1;
        values.extend(self.bytes.chunks_exact(E::SIZE).map(E::decode));
        Ok(true)
    }
}

/// Reads a whole file of two axes.
pub(crate) fn read<E: Element>(path: &Path) -> Result<Matrix<E::Value>, Error> {
    let mut rows = Reader::<E>::open(path)?;
    let mut values = Vec::new();
    while rows.next(&mut values)? {}
    values.shrink_to_fit();
    Matrix::new(rows.columns, values).ok_or_else(|| Error::Content {
        path: path.to_owned(),
        what: "its rows are empty".to_owned(),
    })
}

fn shape<E: Element>(header: &Header) -> Result<(usize, usize), String> {
    if header.descr != E::DESCR {
        return Err(format!(
            "its values are of type {:?}, and {:?} is wanted",
            header.descr,
            E::DESCR
        ));
    }
    if header.fortran_order {
        return Err("it is in Fortran order (columns first), and C order is wanted".to_owned());
    }
    match header.shape[..] {
        [rows, columns] if rows > 0 && columns > 0 => {
            let size = rows
                .checked_mul(columns)
                .and_then(|n| n.checked_mul(E::SIZE));
            size.map(|_| (rows, columns))
                .ok_or_else(|| "its shape is larger than memory".to_owned())
        }
        [rows, columns] => Err(format!("it is empty: {rows} rows of {columns}")),
        _ => Err(format!(
            "it has {} axes, and two are wanted: rows and columns",
            header.shape.len()
        )),
    }
}

#[cfg(test)]
mod tests;
