//! Where a server's time goes, by `perf`: samples grouped by what they are for.
//! Each sample is a stack; the innermost function that a rule knows decides.

use crate::clock::{length, number};
use crate::error::{Error, Result};
use crate::report::{Section, Table};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Samples a second of processor time.
const RATE: &str = "1999";

/// Rounds of all queries that are sampled.
const PASSES: usize = 5;

/// The single functions that are listed.
const LISTED: usize = 12;

/// Parts of a function's name, and what a function of such a name is for. The
/// first rule that fits counts; a function that fits none leaves the decision
/// to its caller.
const RULES: &[(&str, &str)] = &[
    ("usearch", "graph search"),
    ("search_<float>", "graph search"),
    ("NativeIndex", "graph search"),
    ("unum::", "graph search"),
    ("nk_", "vector kernels"),
    ("numkong", "vector kernels"),
    ("fjall", "rows"),
    ("lsm_tree", "rows"),
    ("lz4", "rows"),
    ("quoit_engine::rows", "rows"),
    ("quoit_engine", "engine, the rest"),
    ("serde_json::de", "request's JSON"),
    ("serde_json::read", "request's JSON"),
    ("deserialize", "request's JSON"),
    ("quoit_router::rest::vectors", "request's JSON"),
    ("quoit_router::rest::body", "request's JSON"),
    ("quoit_router::rest::envelope", "answer's JSON"),
    ("quoit_router::rest::payload", "answer's JSON"),
    ("serde_json::ser", "answer's JSON"),
    ("quoit_shard", "shard"),
    ("quoit_proto", "shard"),
    ("quoit_router", "router"),
    ("hyper", "HTTP"),
    ("httparse", "HTTP"),
    ("axum", "HTTP"),
    ("tower", "HTTP"),
    ("matchit", "HTTP"),
    ("metrics", "metrics and logs"),
    ("tracing", "metrics and logs"),
    ("mio::", "runtime"),
    ("tokio", "runtime"),
];

/// A profile.
pub struct Profile {
    groups: BTreeMap<String, u64>,
    functions: BTreeMap<String, u64>,
    samples: u64,
}

/// Samples a process while some work is done against it; or says in words why
/// that cannot be.
///
/// # Errors
/// The work failed.
pub fn take(pid: u32, mut work: impl FnMut() -> Result<()>) -> Result<Result<Profile, String>> {
    let dir = tempfile::tempdir().map_err(Error::io("make a folder for a profile"))?;
    let data = dir.path().join("perf.data");
    let recorder = Command::new("perf")
        .args([
            "record",
            "-q",
            "-F",
            RATE,
            "--call-graph",
            "dwarf,16384",
            "-p",
        ])
        .arg(pid.to_string())
        .arg("-o")
        .arg(&data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut recorder) = recorder else {
        return Ok(Err("`perf` is not there".to_owned()));
    };
    // It needs a moment to attach, and says nothing when it has.
    std::thread::sleep(Duration::from_millis(500));
    let worked = (0..PASSES).try_for_each(|_| work());
    let ended = interrupt(&mut recorder);
    worked?;
    ended?;
    Ok(read(&data))
}

/// Lets `perf` write what it has.
fn interrupt(recorder: &mut std::process::Child) -> Result<()> {
    let failed = || Error::io("stop perf");
    let pid = i32::try_from(recorder.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid
        && recorder.try_wait().map_err(failed())?.is_none()
    {
        rustix::process::kill_process(pid, rustix::process::Signal::INT)
            .map_err(|e| failed()(e.into()))?;
    }
    recorder.wait().map(drop).map_err(failed())
}

fn read(data: &Path) -> Result<Profile, String> {
    let output = Command::new("perf")
        .args(["script", "--no-inline", "-F", "ip,sym,dso", "-i"])
        .arg(data)
        .stderr(Stdio::null())
        .output()
        .map_err(|e| format!("`perf script` does not run: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut profile = Profile {
        groups: BTreeMap::new(),
        functions: BTreeMap::new(),
        samples: 0,
    };
    for stack in text.split("\n\n") {
        profile.add(stack);
    }
    if profile.samples == 0 {
        return Err(
            "`perf` may not sample here (see /proc/sys/kernel/perf_event_paranoid)".to_owned(),
        );
    }
    Ok(profile)
}

impl Profile {
    /// Adds a stack, one frame a line, the innermost first.
    fn add(&mut self, stack: &str) {
        let frames: Vec<(&str, &str)> = stack.lines().filter_map(frame).collect();
        let Some((innermost, file)) = frames.first() else {
            return;
        };
        let group = if file.contains("kernel") || file.contains("[vdso]") {
            "kernel"
        } else {
            let known = frames.iter().find_map(|(function, _)| rule(function));
            known.unwrap_or("other")
        };
        self.samples += 1;
        *self.groups.entry(group.to_owned()).or_default() += 1;
        *self
            .functions
            .entry(format!("{} ({group})", short(innermost)))
            .or_default() += 1;
    }

    /// Adds the tables to a section.
    pub fn tell(&self, section: &mut Section) {
        section.text(format!(
            "Where the server's time goes in the query with payloads, by `perf record --call-graph dwarf` while the queries\n\
             run ({} samples). A sample is counted where the innermost function that is known belongs; memory is counted\n\
             where it is asked for.",
            self.samples,
        ));
        section.table(self.table("part", &self.groups, usize::MAX));
        section.text("The functions with the most samples of their own:");
        section.table(self.table("function", &self.functions, LISTED));
    }

    fn table(&self, what: &str, counts: &BTreeMap<String, u64>, most: usize) -> Table {
        let mut counts: Vec<(&String, &u64)> = counts.iter().collect();
        counts.sort_by(|a, b| b.1.cmp(a.1));
        let mut table = Table::new(&[what, "% of the samples"]);
        for (name, count) in counts.into_iter().take(most) {
            let share = 100.0 * number(*count) / number(self.samples);
            table.row([name.clone(), format!("{share:.1}")]);
        }
        table
    }
}

/// The function and the file of a line `address function (file)`.
fn frame(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.trim().split_once(' ')?;
    let (function, file) = rest.rsplit_once(" (")?;
    Some((function.trim(), file.trim_end_matches(')')))
}

fn rule(function: &str) -> Option<&'static str> {
    RULES
        .iter()
        .find(|(part, _)| function.contains(part))
        .map(|(_, group)| *group)
}

/// A name without what makes it too long to read.
fn short(function: &str) -> String {
    let name = function.split("::h").next().unwrap_or(function);
    let mut text: String = name.chars().take(70).collect();
    if length(text.len()) < length(name.len()) {
        text.push('…');
    }
    format!("`{}`", text.replace('|', "/").replace('`', "'"))
}
