//! How many files and connections the process may have open. The limit that it
//! is given by habit, 1,024 as a rule, is for programs that wait with `select`;
//! up to the hard limit it is the process's own to raise.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than this is not asked for, and some systems give no more.
const ENOUGH: u64 = 65_536;

/// Raises the limit as far as it goes, and says what it is now.
pub fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let now = limit.current.unwrap_or(ENOUGH);
    let wished = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if now >= wished {
        return now;
    }
    let raised = Rlimit {
        current: Some(wished),
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wished,
        Err(error) => {
            tracing::warn!(%error, now, "the limit on open files could not be raised");
            now
        }
    }
}
