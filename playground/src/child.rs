//! One process of the operating system: started, signalled, waited for. A thread
//! of its own does the first and the last, because a process that is to die with
//! its parent dies with the thread that started it.
//!
//! A signal never reaches a stranger: the thread sees the end of the process
//! without taking its id back from the kernel, and takes it only when nobody can
//! be sending.

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::io;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::thread;
use tokio::sync::oneshot;

/// A process that was started. It is killed if this is dropped before its end.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    /// Whether its id may be another's.
    gone: Arc<Mutex<bool>>,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl Child {
    /// Starts a process.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start(mut command: Command, name: &str) -> io::Result<Self> {
        let (tell, told) = oneshot::channel();
        // Detached: it ends with its process, which ends with the playground.
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&mut command, tell))?;
        told.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends it a signal, if it is still there.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let gone = self.gone.lock();
        if *gone {
            return Ok(());
        }
        match kill_process(self.pid, signal) {
            Err(error) => Err(error.into()),
            Ok(()) => Ok(()),
        }
    }

    /// Waits for its end; not to be called after that. May be called again if it
    /// was cut short.
    ///
    /// # Errors
    /// The operating system does not say how it ended.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        (&mut self.ended).await.unwrap_or_else(|_| Err(lost()))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // If the kernel refuses, there is nothing else to try.
        let _ = self.signal(Signal::KILL);
    }
}

/// Starts a process and waits for its end. If nobody takes the child, because
/// the start was given up, it is dropped in `tell`, and so killed.
fn run(command: &mut Command, tell: oneshot::Sender<io::Result<Child>>) {
    let started = command
        .spawn()
        .and_then(|child| Ok((pid_of(&child)?, child)));
    let (pid, mut process) = match started {
        Ok(started) => started,
        Err(error) => {
            drop(tell.send(Err(error)));
            return;
        }
    };
    let (tell_end, ended) = oneshot::channel();
    let gone = Arc::new(Mutex::new(false));
    let is_gone = Arc::clone(&gone);
    drop(tell.send(Ok(Child { pid, gone, ended })));
    wait(pid);
    let mut gone = is_gone.lock();
    *gone = true;
    // It is of no interest to who has dropped the receiver.
    drop(tell_end.send(process.wait()));
}

fn lost() -> io::Error {
    io::Error::other("the thread that waited for it is gone")
}

fn pid_of(child: &std::process::Child) -> io::Result<Pid> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other("a process without an id"))
}

/// Waits until it has ended, and leaves it a zombie.
fn wait(pid: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(error) = waitid(WaitId::Pid(pid), options) {
        if error != rustix::io::Errno::INTR {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::time::{Duration, Instant};

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn its_end_is_told_with_its_status_and_a_late_signal_does_nothing() {
        let mut child = Child::start(sh("exit 3"), "three").await.unwrap();
        assert_eq!(child.ended().await.unwrap().code(), Some(3));
        child.signal(Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn a_signal_ends_it_and_waiting_can_be_cut_short() {
        let mut child = Child::start(sh("exec sleep 600"), "sleep").await.unwrap();
        let short = tokio::time::timeout(Duration::from_millis(10), child.ended()).await;
        assert!(short.is_err());
        child.signal(Signal::TERM).unwrap();
        assert_eq!(child.ended().await.unwrap().signal(), Some(15));
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_an_error() {
        let error = Child::start(Command::new("/no/such/program"), "none").await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn it_dies_when_it_is_dropped() {
        let child = Child::start(sh("exec sleep 600"), "sleep").await.unwrap();
        let gone = Arc::clone(&child.gone);
        drop(child);
        let begun = Instant::now();
        while !*gone.lock() {
            assert!(begun.elapsed() < Duration::from_mins(1), "it lives on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
