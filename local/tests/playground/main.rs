//! `quoit playground` with a real etcd, and stand-ins for shards and routers that
//! tell what they were told and whom they reach (`stand_in.py`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

#[path = "../support/mod.rs"]
mod support;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use support::{Client, quoit, run, wait_for};
use tempfile::TempDir;

const COLLECTION: &str = "apiVersion: quoit.dev/v1alpha1\nkind: VectorCollection\nmetadata: {name: docs}\nspec: {dimension: 3, metric: Cosine, shards: 1, replicas: 1}\n";

/// A folder with the program, its stand-ins beside it, a collection's file, and
/// room for playgrounds.
struct Site {
    root: TempDir,
}

impl Site {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let site = Self { root };
        let program = Path::new(env!("CARGO_BIN_EXE_quoit"));
        fs::hard_link(program, site.path("quoit"))
            .or_else(|_| fs::copy(program, site.path("quoit")).map(drop))
            .unwrap();
        let python = std::env::var("QUOIT_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/playground/stand_in.py");
        for name in ["quoit-shard", "quoit-router"] {
            let file = site.path(name);
            fs::write(
                &file,
                format!("#!/bin/sh\nexec '{python}' '{script}' \"$@\"\n"),
            )
            .unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(site.path("docs.yaml"), COLLECTION).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// `quoit playground` of this folder.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.path("quoit"));
        command.args(["playground"]).args(args).stdin(Stdio::null());
        for (name, value) in quoit().get_envs() {
            assert!(value.is_none());
            command.env_remove(name);
        }
        command
    }

    /// A playground of this name, ready.
    fn start(&self, name: &str, args: &[&str]) -> Playground<'_> {
        let mut playground = self.spawn(name, args, &[]);
        let mut line = String::new();
        wait_for("the playground to be ready", || {
            let ended = playground.process.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "it ended with {ended:?}: {}",
                playground.errors()
            );
            line = fs::read_to_string(playground.dir.with_extension("out")).unwrap();
            line.ends_with('\n').then_some(())
        });
        assert_eq!(line.lines().count(), 1, "{line}");
        playground.ready = serde_json::from_str(&line).unwrap();
        playground
    }

    /// One that may not be ready; `envs` are for its processes too.
    fn spawn(&self, name: &str, args: &[&str], envs: &[(&str, &str)]) -> Playground<'_> {
        let dir = self.path(name);
        let mut command = self.command(&["-f"]);
        command
            .arg(self.path("docs.yaml"))
            .arg("--dir")
            .arg(&dir)
            .args(["--json", "--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])
            .args(args)
            .envs(envs.iter().copied())
            .stdout(File::create(dir.with_extension("out")).unwrap())
            .stderr(File::create(dir.with_extension("err")).unwrap());
        Playground {
            site: self,
            dir,
            process: command.spawn().unwrap(),
            ready: Value::Null,
        }
    }
}

/// A running playground. What is left of it is killed with the test.
struct Playground<'a> {
    site: &'a Site,
    dir: PathBuf,
    process: Child,
    ready: Value,
}

impl Playground<'_> {
    /// Tells it to do something, which it does: what it says.
    fn told(&self, args: &[&str]) -> String {
        let said = self.ask(args);
        assert!(said.status.success(), "{args:?}: {said:?}");
        said.out
    }

    /// Tells it to do something, which it refuses: why.
    fn refused(&self, args: &[&str]) -> String {
        let said = self.ask(args);
        assert!(
            !said.status.success() && said.out.is_empty(),
            "{args:?}: {said:?}"
        );
        assert!(said.err.starts_with("error: "), "{}", said.err);
        said.err
    }

    fn ask(&self, args: &[&str]) -> support::Said {
        run(self.site.command(args).arg("--dir").arg(&self.dir))
    }

    fn ps(&self) -> Value {
        let line = self.told(&["ps", "--json"]);
        assert_eq!(line.lines().count(), 1, "{line}");
        serde_json::from_str(&line).unwrap()
    }

    /// Waits until a process is in this state: what `ps` says of it.
    fn becomes(&self, name: &str, state: &str) -> Value {
        wait_for(&format!("{name} to be {state}"), || {
            let process = process(&self.ps(), name);
            (process["state"] == state).then_some(process)
        })
    }

    /// Waits until `ps` answers, and all are in this state: what it says then.
    fn becomes_all(&self, state: &str) -> Value {
        wait_for(&format!("all to be {state}"), || {
            let said = self.ask(&["ps", "--json"]);
            let listing: Value = serde_json::from_str(&said.out).ok()?;
            let mut processes = listing["processes"].as_array().unwrap().iter();
            processes
                .all(|process| process["state"] == state)
                .then_some(())?;
            Some(listing)
        })
    }

    /// What a process answers.
    fn get(&self, name: &str, path: &str) -> String {
        let process = process(&self.ready, name);
        let address = process["http"].as_str().unwrap().strip_prefix("http://");
        let answer = Client::new(address.unwrap()).call("GET", path, None);
        String::from_utf8(answer.unwrap().body).unwrap()
    }

    /// What a process hears when it asks another.
    fn reach(&self, from: &str, to: &str) -> String {
        let address = match to {
            "etcd" => self.flag(from, "--etcd").replace("http://", ""),
            shard => process(&self.ready, shard)["address"]
                .as_str()
                .unwrap()
                .to_owned(),
        };
        self.get(from, &format!("/reach?to={address}"))
    }

    fn flag(&self, name: &str, flag: &str) -> String {
        let told: Value = serde_json::from_str(&self.get(name, "/flags")).unwrap();
        assert_eq!(told["name"], name);
        told["flags"][flag].as_str().unwrap_or_default().to_owned()
    }

    fn log_of(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name).join("log")).unwrap()
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.dir.with_extension("err")).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    fn ends(&mut self) -> ExitStatus {
        wait_for("the playground to end", || self.process.try_wait().unwrap())
    }
}

impl Drop for Playground<'_> {
    fn drop(&mut self) {
        drop(self.process.kill());
        self.process.wait().unwrap();
        if std::thread::panicking() {
            eprintln!("what the playground said:\n{}", self.errors());
        }
    }
}

fn process(listing: &Value, name: &str) -> Value {
    let processes = listing["processes"].as_array().unwrap();
    let found = processes.iter().find(|process| process["name"] == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {listing}"))
        .clone()
}

fn pids(listing: &Value) -> BTreeSet<u64> {
    let processes = listing["processes"].as_array().unwrap();
    processes
        .iter()
        .filter_map(|process| process["pid"].as_u64())
        .collect()
}

/// Whether it runs, and is no zombie of somebody's.
fn lives(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until none of these is left: the kernel takes a moment to kill.
fn all_die(pids: &BTreeSet<u64>) {
    wait_for("processes to die", || {
        (!pids.iter().any(|pid| lives(*pid))).then_some(())
    });
}

/// The process group of a process.
fn group_of(pid: u64) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    after_name.split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn a_playground_is_what_it_says_and_stops_without_a_trace() {
    let site = Site::new();
    let mut playground = site.start("play", &["--shards", "2", "--log", "debug"]);
    let ready = &playground.ready;
    let names: Vec<_> = ready["processes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|process| process["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["etcd", "shard-0-0", "shard-1-0", "router-0"]);
    let shard = process(ready, "shard-1-0");
    assert_eq!(
        (&shard["role"], &shard["shard"]),
        (&"shard".into(), &1.into())
    );
    let dir = playground.dir.canonicalize().unwrap().join("shard-1-0");
    assert_eq!(shard["dir"], dir.to_str().unwrap());
    assert_eq!(process(ready, "router-0")["shard"], Value::Null);
    assert_eq!(&playground.ps(), ready);
    assert_eq!(playground.told(&["ps"]).lines().count(), 6);

    // Each runs under its process id, with what it was told.
    let pid = shard["pid"].as_u64().unwrap();
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(line.contains("stand_in.py"), "{line}");
    // Ctrl-C in a terminal goes to a group: not to that of the playground's processes.
    assert_eq!(group_of(pid), pid);
    assert_eq!(
        playground.flag("shard-1-0", "--advertise"),
        shard["address"]
    );
    assert_eq!(playground.flag("shard-1-0", "--log"), "debug");
    let endpoint = ready["endpoint"].as_str().unwrap();
    assert_eq!(
        playground.flag("router-0", "--listen"),
        endpoint.replace("http://", "")
    );
    assert_eq!(
        playground.flag("router-0", "--collection"),
        ready["collection"]
    );

    let all = pids(ready);
    assert_eq!(all.len(), 4);
    playground.told(&["pause", "shard-0-0"]);
    playground.told(&["partition", "router-0"]);
    playground.signal(Signal::TERM);
    assert!(playground.ends().success(), "{}", playground.errors());
    assert!(
        !playground.errors().contains("WARN"),
        "{}",
        playground.errors()
    );
    assert!(!all.iter().any(|pid| lives(*pid)));
    for name in ["shard-0-0", "shard-1-0", "router-0"] {
        assert_eq!(playground.log_of(name), "begun\nstopped well\n", "{name}");
    }
    assert!(!playground.dir.join("control").exists());
    let why = playground.refused(&["kill", "shard-0-0"]);
    assert!(
        why.contains("no playground runs there; start one with"),
        "{why}"
    );
}

#[test]
fn processes_are_killed_paused_wiped_and_come_back() {
    let site = Site::new();
    let playground = site.start("play", &["--replicas", "3"]);
    let before = process(&playground.ready, "shard-0-1");
    let others = |listing: &Value| {
        let names = ["etcd", "shard-0-0", "shard-0-2", "router-0"];
        names.map(|name| process(listing, name)["pid"].clone())
    };

    let said = playground.told(&["kill", "shard-0-1"]);
    assert!(said.starts_with("killed shard-0-1 (process "), "{said}");
    assert!(!lives(before["pid"].as_u64().unwrap()));
    let after = playground.becomes("shard-0-1", "running");
    assert_ne!(after["pid"], before["pid"]);
    assert_eq!(after["restarts"], 1);
    assert_eq!(playground.flag("shard-0-1", "--ordinal"), "1");

    playground.told(&["kill", "shard-0-1", "--stay-down"]);
    let down = process(&playground.ps(), "shard-0-1");
    assert_eq!(
        (&down["state"], &down["pid"]),
        (&"down".into(), &Value::Null)
    );
    let why = playground.refused(&["pause", "shard-0-1"]);
    assert!(why.contains("quoit playground start shard-0-1"), "{why}");
    // Nobody can connect to what is down: its proxy refuses as it would.
    wait_for("a refusal", || {
        (playground.reach("router-0", "shard-0-1") == "broken").then_some(())
    });
    playground.told(&["start", "shard-0-1"]);
    playground.becomes("shard-0-1", "running");
    let heard = "shard-0-1 sees 127.19.0.2";
    wait_for("an answer", || {
        (playground.reach("router-0", "shard-0-1") == heard).then_some(())
    });

    playground.told(&["pause", "shard-0-1"]);
    assert_eq!(process(&playground.ps(), "shard-0-1")["state"], "paused");
    assert_eq!(playground.reach("router-0", "shard-0-1"), "silent");
    playground.told(&["resume", "shard-0-1"]);
    assert_eq!(process(&playground.ps(), "shard-0-1")["state"], "running");
    assert_eq!(playground.reach("router-0", "shard-0-1"), heard);

    let starts = playground.dir.join("shard-0-1/data/starts");
    assert_eq!(fs::read_to_string(&starts).unwrap().lines().count(), 3);
    playground.told(&["wipe", "shard-0-1"]);
    playground.becomes("shard-0-1", "running");
    assert_eq!(fs::read_to_string(&starts).unwrap().lines().count(), 1);
    let why = playground.refused(&["wipe", "etcd"]);
    assert!(why.contains("only a shard's data can be wiped"), "{why}");

    assert_eq!(others(&playground.ps()), others(&playground.ready));
    let why = playground.refused(&["kill", "shard-1-0"]);
    let known = "there are etcd, shard-0-0, shard-0-1, shard-0-2, router-0";
    assert!(why.contains(known), "{why}");
}

#[test]
fn the_network_between_processes_is_cut_each_way_and_healed() {
    let site = Site::new();
    let playground = site.start("play", &["--shards", "2"]);
    let answers = &|from: &str, to: &str| {
        let heard = playground.reach(from, to);
        let expected = match to {
            "etcd" => "\"health\":\"true\"".to_owned(),
            shard => format!("{shard} sees {}", playground.flag(from, "--bind-outgoing")),
        };
        assert!(
            heard == "silent" || heard.contains(&expected),
            "{from} {to}: {heard}"
        );
        heard != "silent"
    };
    let ways = [
        ("shard-0-0", "shard-1-0"),
        ("shard-1-0", "shard-0-0"),
        ("router-0", "shard-0-0"),
        ("router-0", "shard-1-0"),
        ("shard-0-0", "etcd"),
        ("shard-1-0", "etcd"),
        ("router-0", "etcd"),
    ];
    // All at the same time: silence takes a while.
    let silent = || -> Vec<_> {
        std::thread::scope(|scope| {
            let asked = ways.map(|(from, to)| scope.spawn(move || !answers(from, to)));
            let silent = asked.map(|asked| asked.join().unwrap());
            let ways = ways.into_iter().zip(silent);
            ways.filter_map(|(way, silent)| silent.then_some(way))
                .collect()
        })
    };
    let cut = |args: &[&str]| {
        playground.told(&[&["partition"], args].concat());
        let silent = silent();
        playground.told(&["heal"]);
        silent
    };
    assert_eq!(silent(), []);
    let of_shard: Vec<_> = ways
        .into_iter()
        .filter(|(from, to)| *from == "shard-1-0" || *to == "shard-1-0")
        .collect();
    assert_eq!(cut(&["shard-1-0"]), of_shard);
    assert_eq!(cut(&["etcd", "--from", "router-0"]), [("router-0", "etcd")]);
    assert_eq!(
        cut(&["shard-0-0", "--to", "router-0"]),
        [("router-0", "shard-0-0")]
    );
    assert_eq!(silent(), []);

    playground.told(&["partition", "router-0", "--to", "shard-0-0", "--reset"]);
    assert_eq!(playground.reach("router-0", "shard-0-0"), "broken");
    playground.told(&["delay", "router-0", "--to", "shard-1-0", "--ms", "40"]);
    let faults = serde_json::json!([
        {"from": "router-0", "to": "shard-0-0", "cut": "reset", "delay_ms": 0},
        {"from": "router-0", "to": "shard-1-0", "cut": null, "delay_ms": 40},
    ]);
    let mut listed = playground.ps()["faults"].take();
    listed.as_array_mut().unwrap().sort_by_key(Value::to_string);
    assert_eq!(listed, faults);
    playground.told(&["heal", "shard-1-0"]);
    assert_eq!(playground.ps()["faults"].as_array().unwrap().len(), 1);
}

#[test]
fn nothing_outlives_a_playground_that_is_killed_and_the_next_takes_its_place() {
    let site = Site::new();
    let mut first = site.start("play", &[]);
    let processes = pids(&first.ready);
    assert_eq!(processes.len(), 3);
    first.told(&["pause", "shard-0-0"]);
    first.process.kill().unwrap();
    first.ends();
    all_die(&processes);
    let second = site.start("play", &[]);
    let starts = second.dir.join("shard-0-0/data/starts");
    // On the data of the first.
    assert_eq!(fs::read_to_string(starts).unwrap().lines().count(), 2);
}

#[test]
fn a_second_signal_stops_at_once_who_does_not_listen_to_the_first() {
    let site = Site::new();
    let begun = Instant::now();
    let mut playground = site.spawn("play", &[], &[("STAND_IN", "stubborn")]);
    let processes = pids(&playground.becomes_all("running"));
    playground.signal(Signal::TERM);
    wait_for("the first signal", || {
        playground.errors().contains("stopping").then_some(())
    });
    playground.signal(Signal::INT);
    assert!(playground.ends().success(), "{}", playground.errors());
    all_die(&processes);
    // Each of router and shards would have been waited for.
    assert!(
        begun.elapsed() < Duration::from_secs(80),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn what_a_program_is_told_is_not_taken_for_quoits() {
    let site = Site::new();
    let parent = std::process::id().to_string();
    let echo = ["exec", &parent, "/bin/echo", "--log", "x", "--help"];
    assert_eq!(run(&mut site.command(&echo)).out, "--log x --help\n");
    let orphan = ["exec", "1", "/bin/echo", "here"];
    let said = run(&mut site.command(&orphan));
    assert!(
        said.out.is_empty(),
        "it runs though its parent is gone: {said:?}"
    );
    assert!(!said.status.success());
}

#[test]
fn a_second_playground_is_refused_in_the_same_folder_and_runs_in_another() {
    let site = Site::new();
    let first = site.start("first", &[]);
    let again = first.refused(&["-f", site.path("docs.yaml").to_str().unwrap()]);
    let holder = format!(
        "a playground runs there already (process {})",
        first.process.id()
    );
    assert!(again.contains(&holder), "{again}");

    // By the etcd of the first, which is not this one's to kill.
    let etcd = first.ready["etcd"][0].as_str().unwrap();
    let second = site.start("second", &["--etcd", etcd]);
    assert_eq!(pids(&second.ready).len(), 2);
    assert_ne!(second.ready["endpoint"], first.ready["endpoint"]);
    assert!(second.reach("shard-0-0", "etcd").contains("health"));
    let why = second.refused(&["kill", "etcd"]);
    assert!(why.contains("it was given by --etcd"), "{why}");
    second.told(&["partition", "etcd"]);
    assert_eq!(second.reach("shard-0-0", "etcd"), "silent");
    assert!(first.reach("shard-0-0", "etcd").contains("health"));
}

#[test]
fn a_playground_that_cannot_become_ready_says_why_and_leaves_nothing() {
    let site = Site::new();
    let mut dying = site.spawn("dying", &[], &[("STAND_IN", "dies")]);
    assert!(!dying.ends().success());
    let errors = dying.errors();
    let last = errors.rfind("error: the playground cannot start: ");
    let last = &errors[last.unwrap_or_else(|| panic!("{errors}"))..];
    assert!(last.contains("ended by itself (exit status: 1)"), "{last}");
    assert!(last.trim_end().ends_with("no use in living"), "{last}");

    let mut waiting = site.spawn("waiting", &[], &[("STAND_IN", "never ready")]);
    let listing = wait_for("processes", || {
        let said = waiting.ask(&["ps", "--json"]);
        let listing: Value = serde_json::from_str(&said.out).ok()?;
        (pids(&listing).len() == 3).then_some(listing)
    });
    assert_eq!(process(&listing, "shard-0-0")["state"], "starting");
    wait_for("its start", || {
        waiting.log_of("shard-0-0").contains("begun").then_some(())
    });
    waiting.signal(Signal::INT);
    assert!(waiting.ends().success(), "{}", waiting.errors());
    assert!(!pids(&listing).iter().any(|pid| lives(*pid)));
}

#[test]
fn a_command_line_that_cannot_be_served_is_refused_with_the_remedy() {
    let site = Site::new();
    fs::write(
        site.path("two.yaml"),
        format!("{COLLECTION}---\n{COLLECTION}"),
    )
    .unwrap();
    fs::remove_file(site.path("quoit-router")).unwrap();
    let file = site.path("docs.yaml");
    let file = file.to_str().unwrap();
    let (two, none) = (site.path("two.yaml"), site.path("none.yaml"));
    for (args, parts) in [
        (&[][..], &["--file <FILE>"][..]),
        (
            &["-f", none.to_str().unwrap()],
            &["-f ", "none.yaml: cannot be read"],
        ),
        (
            &["-f", two.to_str().unwrap()],
            &["has 2 collections", "serves one"],
        ),
        (
            &["-f", file],
            &["quoit-router is neither in ", "cargo build"],
        ),
        (&["-f", file, "--shards", "0"], &["--shards", "1..=1024"]),
        (
            &["-f", file, "--replicas", "2"],
            &["--replicas", "must be 1, 3, 5 or 7"],
        ),
        (
            &["-f", file, "--etcd", "https://a:1"],
            &["--etcd", "must be http://HOST:PORT"],
        ),
        (&["kill"], &["<NAME>"]),
        (&["kil", "shard-0-0"], &["kil"]),
    ] {
        let said = run(site.command(args).env("PATH", "/usr/bin:/bin"));
        assert!(!said.status.success(), "{args:?}: {said:?}");
        for part in parts {
            assert!(said.err.contains(part), "{args:?}: {}", said.err);
        }
    }
    let said = run(site.command(&["-f", file]).env("PATH", "/none"));
    assert!(
        said.err.contains("install etcd, or give --etcd"),
        "{}",
        said.err
    );
    assert!(!Path::new("quoit-playground").exists());
}
