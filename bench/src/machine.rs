//! The machine and the versions that the figures were measured with.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The lock file names the versions of the libraries that are linked.
const LOCK: &str = include_str!("../../Cargo.lock");

/// Where the figures come from.
pub struct Machine(Vec<(&'static str, String)>);

impl Machine {
    /// Looks around.
    pub fn look() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let model = cpu_model().unwrap_or_else(|| "unknown processor".to_owned());
        let mut facts = vec![("processor", format!("{model}, {cores} cores"))];
        if let Some(memory) = proc_field("/proc/meminfo", "MemTotal")
            && let Some(kib) = memory
                .split_whitespace()
                .next()
                .and_then(|k| k.parse::<u64>().ok())
        {
            facts.push(("memory", format!("{} GiB", (kib + (1 << 19)) >> 20)));
        }
        let system = said("uname", &["-srm"]).unwrap_or_else(|| std::env::consts::OS.to_owned());
        facts.push(("system", system));
        facts.push((
            "kernels of the vector library",
            usearch::hardware_acceleration_available(),
        ));
        facts.push(("Quoit", env!("CARGO_PKG_VERSION").to_owned()));
        for library in ["usearch", "numkong", "fjall"] {
            facts.push((library, version(library).unwrap_or_default()));
        }
        if let Some(rustc) = said("rustc", &["--version"]) {
            facts.push(("compiler", rustc));
        }
        facts.push(("date", today()));
        Self(facts)
    }

    /// Names and values.
    pub fn facts(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        self.0.iter().map(|(name, value)| (*name, value.clone()))
    }
}

fn cpu_model() -> Option<String> {
    proc_field("/proc/cpuinfo", "model name")
        .or_else(|| said("sysctl", &["-n", "machdep.cpu.brand_string"]))
}

/// The value of the first line `name: value` of a file of the kernel's.
pub fn proc_field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    value.filter(|v| !v.is_empty())
}

/// What a command prints, if it is there and succeeds.
pub fn said(command: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(command).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn version(library: &str) -> Option<String> {
    let mut lines = LOCK.lines();
    let name = format!("name = \"{library}\"");
    lines.find(|line| *line == name)?;
    let version = lines.next()?.strip_prefix("version = ")?;
    Some(version.trim_matches('"').to_owned())
}

/// Today in UTC, by the count of days from 0000-03-01: a year that begins in
/// March has its leap day at the end.
fn today() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
