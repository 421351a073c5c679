//! Numbers as a person reads them, and where they come from: percentiles of
//! times, and the memory of this process.

use std::time::Duration;

/// `20000` as `20,000`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as whole mebibytes.
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", thousands((bytes + (1 << 19)) >> 20))
}

/// `1.234 ms`, to a few digits.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}

/// How many a second.
pub fn rate(count: usize, time: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "thousands of things")]
    let rate = count as f64 / time.as_secs_f64().max(1e-9);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is a small positive number"
    )]
    let whole = rate.round() as u64;
    thousands(whole)
}

/// The time that `percent` of the times do not pass: one that was measured, the
/// least such. The times are in order.
pub fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// The memory that is this process' own: what is not a file's and could not be
/// dropped and read again. Known on Linux.
pub fn anonymous_memory() -> Option<u64> {
    own_memory(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn own_memory(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_between_each_three_digits() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (20_000, "20,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn bytes_are_rounded_to_mebibytes() {
        assert_eq!(mebibytes((3 << 20) - 1), "3 MiB");
        assert_eq!(mebibytes(2_000 << 20), "2,000 MiB");
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Some(Duration::from_millis(50)));
        assert_eq!(percentile(&times, 99), Some(Duration::from_millis(99)));
        assert_eq!(percentile(&times[..1], 99), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn memory_is_read_from_the_status_of_a_process() {
        assert_eq!(
            own_memory("VmRSS:\t 9 kB\nRssAnon:\t    1024 kB\nRssFile:\t 1 kB\n"),
            Some(1 << 20)
        );
        assert_eq!(own_memory("VmRSS:\t 9 kB\n"), None);
    }
}
