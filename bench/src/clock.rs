//! Clocks: the processor time of this process and of others, and what several
//! measurements of one thing come to.

use crate::error::{Error, Result};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::Duration;

/// The processor time that this process has used, in user mode and for it in
/// the kernel.
pub fn process_cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// The processor time that another process has used, to a hundredth of a second.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn cpu_of(pid: u32) -> Result<Duration> {
    let file = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&file).map_err(Error::io(format!("read {file}")))?;
    // The name, in parentheses, may hold anything; the numbers follow the last one.
    let numbers = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut ticks = numbers
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>);
    let (Some(Ok(user)), Some(Ok(system))) = (ticks.next(), ticks.next()) else {
        return Err(Error::unexpected(format!("{file} does not say the times")));
    };
    let nanos = (user + system) * (1_000_000_000 / rustix::param::clock_ticks_per_second());
    Ok(Duration::from_nanos(nanos))
}

/// The memory of a process that no file stands behind, in bytes.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn anonymous_bytes(pid: u32) -> Result<u64> {
    let file = format!("/proc/{pid}/status");
    let field = crate::machine::proc_field(&file, "RssAnon");
    let kib = field.and_then(|f| f.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib << 10)
        .ok_or_else(|| Error::unexpected(format!("{file} does not say RssAnon")))
}

/// The middle one; of an even number the mean of the two.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

/// A count as a number to compute with; counts here are far below 2^53.
#[allow(clippy::cast_precision_loss)]
pub fn number(count: u64) -> f64 {
    count as f64
}

/// As [`number`], of a length.
#[allow(clippy::cast_precision_loss)]
pub fn length(count: usize) -> f64 {
    count as f64
}
