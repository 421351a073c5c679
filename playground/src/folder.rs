//! The playground's folder: that one playground at a time has it, and the socket
//! in it by which the running one is reached.
//!
//! ```text
//! lock           held by the playground; its process id is in it
//! control        the socket
//! NAME/log       what a process says
//! NAME/data      what it keeps
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another playground has it.
    #[error("--dir {}: a playground runs there already (process {holder}); stop it, or give another --dir", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// The process id of the other.
        holder: String,
    },
    /// Nobody has it.
    #[error("--dir {}: no playground runs there; start one with `quoit playground -f collection.yaml --dir {}`, or name its --dir", dir.display(), dir.display())]
    Nobody {
        /// The folder.
        dir: PathBuf,
    },
    /// Its playground does not listen yet, or no more.
    #[error("--dir {}: its playground (process {holder}) is just starting or stopping; try again", dir.display())]
    NotYet {
        /// The folder.
        dir: PathBuf,
        /// The process id of the playground.
        holder: String,
    },
    /// Its path cannot be passed on.
    #[error("--dir {}: is not UTF-8, and cannot be passed to every program; give another", dir.display())]
    NotText {
        /// The folder.
        dir: PathBuf,
    },
    /// The operating system refuses.
    #[error("--dir: cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}

/// A folder that is this process's, as long as this is kept.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes a folder, made where it is new.
    ///
    /// # Errors
    /// Another playground has it, or it cannot be made or locked.
    pub fn claim(dir: &Path) -> Result<Self, Error> {
        if dir.to_str().is_none() {
            return Err(Error::NotText {
                dir: dir.to_owned(),
            });
        }
        fs::create_dir_all(dir).map_err(failed("make", dir))?;
        let path = fs::canonicalize(dir).map_err(failed("find", dir))?;
        let file = lock_file(&path);
        let mut lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&file)
            .map_err(failed("open", &file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::InUse {
                    dir: dir.to_owned(),
                    holder: holder(&path),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", &file)(source)),
        }
        let write = lock
            .set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()));
        write.map_err(failed("write", &file))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is, from the root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Listens for those who control the playground. What is left of a socket of
    /// an earlier one is removed.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn listen(&self) -> Result<UnixListener, Error> {
        let path = socket(&self.path);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &path)(e));
            }
            _ => {}
        }
        let listener = by_short_path(&self.path, |path| UnixListener::bind(path));
        listener.map_err(failed("listen at", &path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Who connects to it would be told no more than without it.
        let _ = fs::remove_file(socket(&self.path));
    }
}

/// Connects to the playground that has a folder.
///
/// # Errors
/// There is none, or it does not listen.
pub fn connect(dir: &Path) -> Result<UnixStream, Error> {
    let source = match by_short_path(dir, |path| UnixStream::connect(path)) {
        Ok(stream) => return Ok(stream),
        Err(source) => source,
    };
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {}
        _ => return Err(failed("connect to", &socket(dir))(source)),
    }
    let dir = dir.to_owned();
    // Not opened to be written: looking makes nothing.
    let is_held = File::open(lock_file(&dir))
        .is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    Err(if is_held {
        let holder = holder(&dir);
        Error::NotYet { dir, holder }
    } else {
        Error::Nobody { dir }
    })
}

fn lock_file(dir: &Path) -> PathBuf {
    dir.join("lock")
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("control")
}

fn holder(dir: &Path) -> String {
    let mut text = String::new();
    let read = File::open(lock_file(dir)).and_then(|mut lock| lock.read_to_string(&mut text));
    match read {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// An address of a socket has room for a path of about a hundred bytes, fewer on
/// some systems. A longer one is named by the folder's descriptor.
const LONGEST: usize = 100;

fn by_short_path<T>(dir: &Path, with: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = socket(dir);
    if path.as_os_str().len() <= LONGEST {
        return with(&path);
    }
    let open = File::open(dir)?;
    let path = socket(Path::new(&format!("/proc/self/fd/{}", open.as_raw_fd())));
    with(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_second_playground_is_refused_and_told_who_has_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::claim(dir.path()).unwrap();
        let error = Folder::claim(dir.path()).unwrap_err().to_string();
        let process = format!("(process {})", std::process::id());
        assert!(error.contains("runs there already"), "{error}");
        assert!(error.contains(&process), "{error}");
        drop(first);
        Folder::claim(dir.path()).unwrap();
    }

    #[test]
    fn where_no_playground_is_the_way_to_one_is_told_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("new")] {
            let error = connect(&path).unwrap_err().to_string();
            assert!(
                error.contains("start one with `quoit playground -f"),
                "{error}"
            );
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        // A socket and a lock that were left by one that was killed.
        drop(Folder::claim(dir.path()).unwrap());
        drop(UnixListener::bind(dir.path().join("control")).unwrap());
        let error = connect(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Nobody { .. }), "{error}");
    }

    #[test]
    fn a_playground_that_does_not_listen_yet_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let _folder = Folder::claim(dir.path()).unwrap();
        let error = connect(dir.path()).unwrap_err().to_string();
        assert!(error.contains("just starting or stopping"), "{error}");
    }

    #[test]
    fn a_folder_with_a_long_path_is_reached_and_a_socket_that_was_left_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().join("a"), dir.path().join("b".repeat(200))] {
            let folder = Folder::claim(&path).unwrap();
            drop(folder.listen().unwrap());
            let listener = folder.listen().unwrap();
            let mut client = connect(&path).unwrap();
            client.write_all(b"here").unwrap();
            drop(client);
            let mut said = String::new();
            listener
                .accept()
                .unwrap()
                .0
                .read_to_string(&mut said)
                .unwrap();
            assert_eq!(said, "here");
            drop(folder);
            assert!(!path.join("control").exists());
        }
    }
}
