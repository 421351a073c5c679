use super::*;
use crate::Options;
use crate::plan::{Etcd, Plan};
use crate::programs::Programs;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_mins(1);

/// A shard that is a shell script; the test itself answers for it whether it is
/// ready.
struct Site {
    _dir: tempfile::TempDir,
    process: Process,
    supervisor: Supervisor,
    ready: TcpListener,
}

impl Site {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let options = Options {
            dir: dir.path().to_owned(),
            shards: 1,
            replicas: 1,
            listen: any,
            grpc: any,
            etcd: Etcd::Own("etcd".into()),
            programs: Programs {
                shard: "sh".into(),
                router: "sh".into(),
            },
            launcher: Vec::new(),
            log: None,
        };
        let plan = Plan::new(&options, dir.path(), 20_000);
        let mut shards = plan.processes.into_iter().filter(|p| p.role == Role::Shard);
        let mut process = shards.next().unwrap();
        let ready = TcpListener::bind(any).await.unwrap();
        process.http = ready.local_addr().unwrap();
        Self {
            _dir: dir,
            process,
            supervisor: Supervisor::new(Vec::new()),
            ready,
        }
    }

    fn run(&mut self, script: &str) -> Handle {
        let arguments = ["-c", script].map(str::to_owned).to_vec();
        self.supervisor.add(&self.process, arguments)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.process.log()).unwrap_or_default()
    }

    /// Waits until it has said this so often.
    async fn says(&self, what: &str, times: usize) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log();
            if log.matches(what).count() >= times {
                return log;
            }
            assert!(begun.elapsed() < PATIENCE, "it never says {what:?}: {log}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Says to all who ask that it is ready, until that is seen.
    async fn is_ready(&self, handle: &Handle) -> Status {
        let mut running = pin!(becomes(handle, "running", is(State::Running)));
        loop {
            let (mut stream, _) = tokio::select! {
                biased;
                status = &mut running => return status,
                accepted = self.ready.accept() => accepted.unwrap(),
            };
            // Who asked for one that has died in the meantime hears nothing.
            drop(stream.read(&mut [0; 1024]).await);
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
        }
    }
}

async fn becomes(handle: &Handle, what: &str, is: impl FnMut(&Status) -> bool) -> Status {
    let mut status = handle.watch();
    let waited = tokio::time::timeout(PATIENCE, status.wait_for(is)).await;
    let waited = waited.unwrap_or_else(|_| panic!("it is {:?}, never {what}", handle.status()));
    waited.unwrap().clone()
}

fn is(state: State) -> impl FnMut(&Status) -> bool {
    move |status| status.state == state
}

/// The state of a process as Linux has it: `S`leeping, `T` stopped, …
fn kernel_state(pid: Option<u32>) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid?)).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

const SLEEP: &str = "exec sleep 600";

#[tokio::test]
async fn a_process_is_starting_until_it_is_ready() {
    let mut site = Site::new().await;
    let handle = site.run(SLEEP);
    let status = becomes(&handle, "started", |s| s.pid.is_some()).await;
    assert_eq!(status.state, State::Starting);
    site.is_ready(&handle).await;
}

#[tokio::test]
async fn one_that_ends_by_itself_is_started_again_and_its_log_tells_why() {
    let mut site = Site::new().await;
    let handle = site.run("echo line one; echo the reason >&2; exit 3");
    let status = becomes(&handle, "dead", |s| s.deaths == 1).await;
    assert_eq!(
        status.last_words,
        "shard-0-0 ended by itself (exit status: 3); the end of its log:\nline one\nthe reason"
    );
    let status = becomes(&handle, "dead again", |s| s.deaths == 2).await;
    assert_eq!(status.starts, 2);
    // What it said at first is still there.
    let log = site.log();
    assert_eq!(log.lines().count(), 4, "{log}");
}

#[tokio::test]
async fn deaths_are_forgotten_when_it_is_ready() {
    let mut site = Site::new().await;
    let died = site.process.dir.join("died");
    let script = format!("mkdir {} && exit 1; {SLEEP}", died.display());
    let handle = site.run(&script);
    becomes(&handle, "dead", |s| s.deaths == 1).await;
    let status = site.is_ready(&handle).await;
    assert_eq!((status.starts, status.deaths), (2, 0));
}

#[tokio::test]
async fn a_killed_one_gets_a_new_process_and_its_deaths_do_not_count() {
    let mut site = Site::new().await;
    let handle = site.run(SLEEP);
    let first = becomes(&handle, "started", |s| s.pid.is_some()).await.pid;
    let said = handle
        .order(Order::Kill { stay_down: false })
        .await
        .unwrap();
    assert!(said.starts_with("killed shard-0-0 (process "), "{said}");
    let status = handle.status();
    assert_eq!((status.state, status.pid), (State::Restarting, None));
    assert_eq!(kernel_state(first), None);
    let status = becomes(&handle, "started again", |s| s.pid.is_some()).await;
    assert_ne!(status.pid, first);
    assert_eq!((status.starts, status.deaths), (2, 0));
}

#[tokio::test]
async fn one_that_was_killed_to_stay_down_stays_so_until_it_is_started() {
    let mut site = Site::new().await;
    let handle = site.run(SLEEP);
    becomes(&handle, "started", |s| s.pid.is_some()).await;
    handle.order(Order::Kill { stay_down: true }).await.unwrap();
    assert_eq!(handle.status().state, State::Down);
    let error = handle.order(Order::Pause).await.unwrap_err().to_string();
    assert!(
        error.contains("`quoit playground start shard-0-0`"),
        "{error}"
    );
    // A kill of what is down starts nothing.
    handle
        .order(Order::Kill { stay_down: false })
        .await
        .unwrap();
    assert_eq!(handle.status().state, State::Down);
    handle.order(Order::Start).await.unwrap();
    becomes(&handle, "started", |s| s.pid.is_some()).await;
}

#[tokio::test]
async fn one_that_is_about_to_be_restarted_can_be_kept_down() {
    let mut site = Site::new().await;
    let handle = site.run("exit 1");
    becomes(&handle, "dead", is(State::Restarting)).await;
    handle.order(Order::Kill { stay_down: true }).await.unwrap();
    assert_eq!(handle.status().state, State::Down);
}

#[tokio::test]
async fn a_paused_one_stands_still_keeps_its_process_and_goes_on() {
    let mut site = Site::new().await;
    let handle = site.run(SLEEP);
    let pid = site.is_ready(&handle).await.pid;
    handle.order(Order::Pause).await.unwrap();
    let status = handle.status();
    assert_eq!((status.state, status.pid), (State::Paused, pid));
    // The kernel stops it when it next comes to it.
    let begun = Instant::now();
    while kernel_state(pid) != Some('T') {
        assert!(begun.elapsed() < PATIENCE, "it does not stand still");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    handle.order(Order::Resume).await.unwrap();
    assert_eq!(handle.status().state, State::Running);
    assert_ne!(kernel_state(pid), Some('T'));
    // A paused one can be killed too, and the next is not paused.
    handle.order(Order::Pause).await.unwrap();
    handle
        .order(Order::Kill { stay_down: false })
        .await
        .unwrap();
    let status = becomes(&handle, "started again", |s| s.pid.is_some()).await;
    assert_eq!(status.state, State::Starting);
}

#[tokio::test]
async fn a_wiped_one_starts_without_its_data() {
    let mut site = Site::new().await;
    let data = site.process.data();
    let script = format!(
        "ls {0} 2>&1; mkdir -p {0}; touch {0}/points; echo begun; exec sleep 600",
        data.display()
    );
    let handle = site.run(&script);
    site.says("begun", 1).await;
    assert!(data.join("points").exists());
    handle.order(Order::Wipe).await.unwrap();
    // Each of its starts found no data, and said so.
    let log = site.says("begun", 2).await;
    assert_eq!(log.matches("No such file").count(), 2, "{log}");
    assert!(!log.contains("points"), "{log}");
}

#[tokio::test]
async fn only_a_shard_can_be_wiped() {
    for down in [false, true] {
        let mut site = Site::new().await;
        site.process.role = Role::Router;
        fs::create_dir_all(site.process.data()).unwrap();
        let handle = site.run(SLEEP);
        becomes(&handle, "started", |s| s.pid.is_some()).await;
        if down {
            handle.order(Order::Kill { stay_down: true }).await.unwrap();
        }
        let before = handle.status();
        let error = handle.order(Order::Wipe).await.unwrap_err();
        assert!(matches!(error, Error::NoShard { .. }), "{error}");
        assert!(site.process.data().exists());
        assert_eq!(handle.status().pid, before.pid);
        assert_eq!(handle.status().state, before.state);
    }
}

#[tokio::test]
async fn stopping_asks_each_to_end_well_the_paused_ones_too() {
    let mut site = Site::new().await;
    let handle =
        site.run("trap 'echo ended well; exit 0' TERM; echo begun; while :; do sleep 0.05; done");
    site.says("begun", 1).await;
    handle.order(Order::Pause).await.unwrap();
    let stopped = tokio::time::timeout(PATIENCE / 2, site.supervisor.stop()).await;
    stopped.expect("it heard of it");
    assert_eq!(handle.status().state, State::Down);
    assert_eq!(site.log(), "begun\nended well\n");
}

#[tokio::test]
async fn what_cannot_be_started_is_tried_again() {
    let mut site = Site::new().await;
    site.process.program = "/no/such/program".into();
    let handle = site.run("");
    let status = becomes(&handle, "tried twice", |s| s.deaths == 2).await;
    assert!(
        status
            .last_words
            .contains("cannot be started: No such file"),
        "{}",
        status.last_words
    );
}

#[test]
fn the_end_of_a_log_is_its_last_lines() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    assert_eq!(end_of(&log), "");
    let lines: Vec<String> = (0..2000).map(|line| format!("line {line}")).collect();
    fs::write(&log, lines.join("\n")).unwrap();
    let last = lines[2000 - LAST_LINES..].join("\n");
    assert_eq!(end_of(&log), last);
}
