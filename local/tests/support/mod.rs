//! The real program, started and stopped by a test, and a small HTTP client to
//! talk to it. A test ends only processes that it has started; a server that
//! is still there when its test ends is killed, and if the test failed, what
//! the server logged is printed.

#![allow(dead_code, reason = "each test program uses a part of this")]

pub mod http;

pub use http::Client;

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take that is waited for: far longer than it takes on
/// the slowest machine, so that only what will never happen runs into it.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// Waits until a state is reached.
///
/// # Panics
/// It is not reached in time.
pub fn wait_for<T>(what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(reached) = state() {
            return reached;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder that is removed with the test.
pub fn data_dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The program, with nothing of the environment that it would read.
pub fn quoit() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quoit"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("QUOIT_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// The folder of the collection of a name.
pub fn collection_dir(data_dir: &Path, name: &str) -> PathBuf {
    let is_named = |path: &PathBuf| {
        let record = std::fs::read_to_string(path.join("record")).unwrap_or_default();
        let json = record.trim_end().rsplit_once('\n').unwrap_or_default().0;
        let record: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        record["name"] == name
    };
    let folders = data_dir.join("collections").read_dir().unwrap();
    let mut named = folders.map(|e| e.unwrap().path()).filter(is_named);
    named.next().expect("there is a collection of this name")
}

/// Changes what a collection's record says, its checksum with it.
///
/// # Panics
/// The text is not in it.
pub fn edit_record(folder: &Path, is: &str, would_be: &str) {
    let path = folder.join("record");
    let record = std::fs::read_to_string(&path).unwrap();
    let json = record.trim_end().rsplit_once('\n').unwrap().0;
    assert!(json.contains(is), "{json}");
    let json = json.replace(is, would_be);
    let checksum = xxhash_rust::xxh3::xxh3_64(json.as_bytes());
    std::fs::write(&path, format!("{json}\n{checksum:016x}\n")).unwrap();
}

/// What a program that has ended said.
#[derive(Debug)]
pub struct Said {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

/// Runs a command that ends by itself.
///
/// # Panics
/// It does not end in time.
pub fn run(command: &mut Command) -> Said {
    let files = tempfile::tempdir().unwrap();
    let (out, err) = (files.path().join("out"), files.path().join("err"));
    command.stdout(File::create(&out).unwrap());
    command.stderr(File::create(&err).unwrap());
    let mut child = Running(command.spawn().unwrap());
    let status = wait_for("the command to end", || {
        let said = fs::read_to_string(&err).unwrap_or_default();
        assert!(addresses(&said).is_none(), "it serves: {said}");
        child.0.try_wait().unwrap()
    });
    Said {
        status,
        out: fs::read_to_string(out).unwrap(),
        err: fs::read_to_string(err).unwrap(),
    }
}

/// A process that does not outlive its test.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        // One that has ended already is as dead as wanted.
        drop(self.0.kill());
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `quoit serve` over a folder, on ports that the system chooses.
pub fn serve(data_dir: &Path, args: &[&str]) -> Command {
    let mut command = quoit();
    command.arg("serve").arg("--data-dir").arg(data_dir);
    for flag in ["--listen", "--grpc"] {
        if !args.contains(&flag) {
            command.args([flag, "127.0.0.1:0"]);
        }
    }
    command.args(["--log-format", "json"]).args(args);
    command
}

/// A server that must refuse to start.
///
/// # Panics
/// It starts, or says something else.
pub fn refuses(data_dir: &Path, args: &[&str], parts: &[&str]) {
    let said = run(&mut serve(data_dir, args));
    assert!(!said.status.success(), "it ended well: {said:?}");
    let last = said.err.lines().rfind(|l| l.starts_with("error: "));
    let last = last.unwrap_or_else(|| panic!("it names no error: {}", said.err));
    // An error may have several lines.
    let from = said.err.rfind(last).unwrap();
    for part in parts {
        assert!(
            said.err[from..].contains(part),
            "it does not say {part:?}: {}",
            &said.err[from..]
        );
    }
    assert!(!said.err.contains("panicked"), "{}", said.err);
}

/// A running server.
pub struct Server {
    process: Running,
    log: PathBuf,
    _log_dir: tempfile::TempDir,
    address: Option<String>,
    pub grpc: Option<String>,
}

impl Server {
    /// Starts one and waits until it is ready.
    ///
    /// # Panics
    /// It ends, or is not ready in time.
    pub fn start(data_dir: &Path, args: &[&str]) -> Self {
        let mut server = Self::spawn(data_dir, args);
        server.wait_until_ready();
        server
    }

    /// Starts one and waits for nothing.
    pub fn spawn(data_dir: &Path, args: &[&str]) -> Self {
        let log_dir = tempfile::tempdir().unwrap();
        let log = log_dir.path().join("log");
        let mut command = serve(data_dir, args);
        command
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        let process = Running(command.spawn().unwrap());
        Self {
            process,
            log,
            _log_dir: log_dir,
            address: None,
            grpc: None,
        }
    }

    /// Starts one and waits until it answers; it may not be ready.
    ///
    /// # Panics
    /// It ends, or does not answer in time.
    pub fn start_unready(data_dir: &Path, args: &[&str]) -> Self {
        let mut server = Self::spawn(data_dir, args);
        server.wait_until_it_answers();
        server
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// It ends, or is not ready in time.
    pub fn wait_until_ready(&mut self) {
        self.wait_until_it_answers();
        let mut client = self.client();
        wait_for("/readyz", || {
            (client.call("GET", "/readyz", None).ok()?.status == 200).then_some(())
        });
    }

    fn wait_until_it_answers(&mut self) {
        let (rest, grpc) = wait_for("the server's addresses", || {
            let ended = self.process.0.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "the server ended with {ended:?}: {}",
                self.log()
            );
            addresses(&self.log())
        });
        self.address = Some(rest);
        self.grpc = Some(grpc);
        let mut client = self.client();
        wait_for("/livez", || client.call("GET", "/livez", None).ok());
    }

    /// A connection to it.
    pub fn client(&self) -> Client {
        Client::new(self.address.as_deref().expect("it is ready"))
    }

    /// Where it serves REST.
    pub fn url(&self) -> String {
        format!("http://{}", self.address.as_deref().expect("it is ready"))
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let mut bytes = Vec::new();
        File::open(&self.log)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Kills it: it gets no chance to do anything more.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.process.0.id()).unwrap();
        // One that has ended already has stopped.
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM);
    }

    /// Asks it to stop and waits until it has, well; nothing went wrong before.
    ///
    /// # Panics
    /// It does not end in time, or not with 0, or it logged an error.
    pub fn stop(self) -> String {
        let log = self.stop_with_errors();
        assert!(!log.contains("\"level\":\"ERROR\""), "{log}");
        log
    }

    /// Asks it to stop and waits until it has, well.
    ///
    /// # Panics
    /// It does not end in time, or not with 0.
    pub fn stop_with_errors(mut self) -> String {
        self.terminate();
        let status = wait_for("the server to stop", || self.process.0.try_wait().unwrap());
        let log = self.log();
        assert!(status.success(), "it ended with {status}: {log}");
        assert!(!log.contains("panicked"), "{log}");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what the server logged:\n{}", self.log());
        }
    }
}

/// The addresses for REST and gRPC in what a server printed.
fn addresses(log: &str) -> Option<(String, String)> {
    let line = log
        .lines()
        .find(|l| l.starts_with("quoit serves REST at "))?;
    let (_, rest) = line.split_once("http://")?;
    let (rest, more) = rest.split_once(' ')?;
    let (_, grpc) = more.split_once("gRPC at ")?;
    let (grpc, _) = grpc.split_once(';')?;
    Some((rest.to_owned(), grpc.to_owned()))
}

/// Copies a folder with all that is in it.
///
/// # Errors
/// As the operating system says.
pub fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
