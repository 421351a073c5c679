//! The replicas' disks: one each, small, so that it can be full while those of the
//! others are not; and one that takes its time to say that something is durable.
//!
//! A disk is a tmpfs over a process's folder, in a namespace of mounts that only the
//! playground and its processes are in: whatever dies, nothing stays mounted. A slow
//! disk is strace, which holds each sync of a process up on its way back. Where the
//! machine does not let us, it is said why, and the campaign goes without.

use crate::plan::Room;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The size of a disk, and what of it a replica keeps free (`--disk-reserve`).
const SIZE: u64 = 256 << 20;
const RESERVE: u64 = 32 << 20;

/// Mounts a disk over each folder up to `--`, and becomes what is named behind it.
const MOUNT: &str = r#"
    set -e
    size=$1; shift
    while [ "$1" != -- ]; do
        mkdir -p "$1"
        mount -t tmpfs -o "size=$size" quoit "$1"
        shift
    done
    shift
    exec "$@"
"#;

/// The file that takes all the room.
const FILLER: &str = "filler";

/// What makes a namespace of mounts here, or why nothing does.
fn unshare() -> Result<Vec<&'static str>, String> {
    let mut why = String::new();
    for flags in [
        &["--mount"][..],
        &["--mount", "--user", "--map-root-user"][..],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let tried = mounting(flags, &[dir.path().to_owned()])
            .arg("true")
            .output();
        match tried {
            Ok(output) if output.status.success() => return Ok(flags.to_vec()),
            Ok(output) => why = text(&output.stderr),
            Err(error) => why = format!("unshare: {error}"),
        }
    }
    Err(why)
}

fn text(said: &[u8]) -> String {
    String::from_utf8_lossy(said).trim().to_owned()
}

/// A command that is to be told what to run.
fn mounting(flags: &[&str], folders: &[PathBuf]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(flags)
        .args(["sh", "-c", MOUNT, "sh", &SIZE.to_string()])
        .args(folders)
        .arg("--");
    command
}

/// The command that runs a program with a disk of its own in each of these folders, or
/// in any case runs it; and whether they are there.
pub fn command(program: &str, folders: &[PathBuf]) -> (Command, bool) {
    match unshare() {
        Ok(flags) => {
            let mut command = mounting(&flags, folders);
            command
                .arg(program)
                .env("QUOIT_DISK_RESERVE", RESERVE.to_string());
            (command, true)
        }
        Err(why) => {
            eprintln!("no disk will be full: replicas cannot be given their own here ({why})");
            (Command::new(program), false)
        }
    }
}

/// Takes the room of the disk below this folder.
pub fn fill(disk: &Path, room: Room) {
    let left = match room {
        Room::None => 0,
        Room::Little => RESERVE / 2,
    };
    let file = File::create(disk.join(FILLER)).unwrap();
    loop {
        let free = free(disk).saturating_sub(left);
        if free == 0 {
            return;
        }
        let end = file.metadata().unwrap().len();
        match fallocate(&file, FallocateFlags::empty(), end, free) {
            // Its owner was quicker: what is left is less now.
            Ok(()) | Err(Errno::NOSPC) => {}
            Err(error) => panic!("{}: {error}", disk.display()),
        }
    }
}

/// Gives it back.
pub fn empty(disk: &Path) {
    fs::remove_file(disk.join(FILLER)).unwrap();
}

fn free(disk: &Path) -> u64 {
    let told = statvfs(disk).unwrap();
    told.f_bavail * told.f_frsize
}

/// A process whose disk is slow, until this is dropped.
pub struct Slow {
    strace: Child,
}

impl Slow {
    /// Makes each sync of a process take so long.
    ///
    /// # Errors
    /// Why it cannot be done here.
    pub fn make(pid: u32, delay: Duration) -> Result<Self, String> {
        let calls = "fsync,fdatasync,sync_file_range,msync,syncfs";
        let micros = delay.as_micros();
        let strace = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:delay_exit={micros}")])
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let strace = strace.map_err(|error| format!("strace: {error}"))?;
        let mut slow = Self { strace };
        let said = slow.strace.stderr.take().unwrap();
        let mut said = BufReader::new(said);
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        // What it says later is read by nobody, and must not hold it up.
        std::thread::spawn(move || drop(said.read_to_end(&mut Vec::new())));
        if line.contains("attached") {
            Ok(slow)
        } else {
            Err(line.trim().to_owned())
        }
    }

    /// Whether it can be done on this machine; if not, it is said.
    pub fn is_possible() -> bool {
        let sleep = Command::new("sleep").arg("60").spawn();
        let mut sleep = sleep.unwrap();
        let made = Self::make(sleep.id(), Duration::from_millis(1));
        let possible = made.map(drop);
        // It must be as it was before.
        assert!(sleep.try_wait().unwrap().is_none());
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        if let Err(why) = &possible {
            eprintln!("no disk will be slow: syncs cannot be held up here ({why})");
        }
        possible.is_ok()
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        // Asked to end it lets go of the process, which goes on.
        let pid = Pid::from_child(&self.strace);
        // If it is gone already, so is its hold.
        let _: Result<(), Errno> = kill_process(pid, Signal::TERM);
        drop(self.strace.wait());
    }
}
