//! Where records go: into memory, and into a file of JSON lines that can be
//! checked later. The first line is the plan, the last says how many there are.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::plan::Plan;
use crate::record::{Record, Records};

/// Why records could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be written.
    #[error("the record cannot be written to {}: free some space, or name another file", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("the record in {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("line {line} of {} is not of a record", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The last line is missing.
    #[error(
        "the record in {} breaks off: what was being asked when it did is not known, so nothing can be proved; \
         let the run end by itself or by Ctrl-C", path.display()
    )]
    BreaksOff {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Serialize, Deserialize)]
struct First {
    plan: Plan,
}

#[derive(Serialize, Deserialize)]
struct Last {
    calls: usize,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Call(Box<Record>),
    Last(Last),
}

/// Takes records from all clients.
pub struct Recorder {
    begun: Instant,
    kept: Mutex<Kept>,
}

struct Kept {
    calls: Vec<Record>,
    file: Option<Output>,
    failed: Option<FileError>,
}

struct Output {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl Output {
    fn line(&mut self, line: &impl Serialize) -> Result<(), FileError> {
        let written = serde_json::to_writer(&mut self.writer, line);
        let written = written.map_err(io::Error::from);
        let written = written.and_then(|()| self.writer.write_all(b"\n"));
        self.may_fail(written)
    }

    fn may_fail(&self, done: io::Result<()>) -> Result<(), FileError> {
        done.map_err(|source| FileError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

impl Recorder {
    /// One that also writes a file, if one is named.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn new(plan: &Plan, file: Option<&Path>) -> Result<Self, FileError> {
        let output = file.map(|path| {
            let made = File::create(path).map_err(|source| FileError::Write {
                path: path.to_owned(),
                source,
            })?;
            let mut output = Output {
                path: path.to_owned(),
                writer: BufWriter::new(made),
            };
            output.line(&First { plan: plan.clone() })?;
            Ok(output)
        });
        Ok(Self {
            begun: Instant::now(),
            kept: Mutex::new(Kept {
                calls: Vec::new(),
                file: output.transpose()?,
                failed: None,
            }),
        })
    }

    /// The time, in nanoseconds since the run began.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Keeps a record.
    pub fn keep(&self, record: Record) {
        let mut kept = self.kept.lock();
        if kept.failed.is_none()
            && let Some(file) = &mut kept.file
            && let Err(error) = file.line(&record)
        {
            kept.failed = Some(error);
        }
        kept.calls.push(record);
    }

    /// Why the file is not whole, if it is not: there is no use in going on then.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.kept.lock().failed.is_some()
    }

    /// Ends the file, and gives what was recorded so far.
    ///
    /// # Errors
    /// The file is not whole.
    pub fn finish(&self, plan: Plan) -> Result<Records, FileError> {
        let mut kept = self.kept.lock();
        let calls = std::mem::take(&mut kept.calls);
        if let Some(error) = kept.failed.take() {
            return Err(error);
        }
        if let Some(mut file) = kept.file.take() {
            file.line(&Last { calls: calls.len() })?;
            let synced = file
                .writer
                .flush()
                .and_then(|()| file.writer.get_ref().sync_all());
            file.may_fail(synced)?;
        }
        Ok(Records { plan, calls })
    }
}

/// Reads a file that a run has recorded.
///
/// # Errors
/// It cannot be read, is no record, or breaks off.
pub fn read(path: &Path) -> Result<Records, FileError> {
    let failed = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let parse = |line, source| FileError::Parse {
        path: path.to_owned(),
        line,
        source,
    };
    let breaks_off = || FileError::BreaksOff {
        path: path.to_owned(),
    };
    let mut lines = BufReader::new(File::open(path).map_err(failed)?).lines();
    let first = lines.next().transpose().map_err(failed)?;
    let first = first.unwrap_or_default();
    let First { plan } = serde_json::from_str(&first).map_err(|e| parse(1, e))?;
    let mut calls = Vec::new();
    let mut numbered = (2..).zip(lines).peekable();
    while let Some((number, line)) = numbered.next() {
        let line = line.map_err(failed)?;
        match serde_json::from_str(&line) {
            Ok(Line::Call(record)) => calls.push(*record),
            Ok(Line::Last(last)) if last.calls == calls.len() && numbered.peek().is_none() => {
                return Ok(Records { plan, calls });
            }
            Ok(Line::Last(_)) => return Err(breaks_off()),
            // The last line that was begun when the disk or the process ended.
            Err(_) if numbered.peek().is_none() => return Err(breaks_off()),
            Err(error) => return Err(parse(number, error)),
        }
    }
    Err(breaks_off())
}

#[cfg(test)]
mod tests;
