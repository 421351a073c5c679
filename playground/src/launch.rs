//! How a process comes to life so that it cannot outlive the playground: the
//! program that runs starts itself once more, as a launcher, which asks the
//! kernel for a SIGKILL when its parent dies, and then becomes the process. What
//! it asked for survives that step.
//!
//! The parent is the *thread* that started it, which therefore waits for its end
//! and for nothing else ([`crate::child`]).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The command that runs a program by a launcher, which is to call [`exec`] with
/// all that stands after its own arguments. No launcher: it runs as it is.
pub(crate) fn command(launcher: &[OsString], program: &OsStr, arguments: &[String]) -> Command {
    let mut command = match launcher.split_first() {
        None => Command::new(program),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command
                .args(rest)
                .arg(std::process::id().to_string())
                .arg(program);
            command
        }
    };
    command.args(arguments);
    command
}

/// Becomes this program, which dies with `parent`. Returns only if it cannot.
#[must_use]
pub fn exec(parent: u32, program: &OsStr, arguments: &[OsString]) -> io::Error {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            return error.into();
        }
    }
    // It may have died before the kernel was asked.
    if std::os::unix::process::parent_id() != parent {
        return io::Error::other("the playground that started it is gone");
    }
    Command::new(program).args(arguments).exec()
}
