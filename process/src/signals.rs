//! When a program is told to stop.

use std::future::Future;
use std::io;

/// Resolves at SIGTERM or Ctrl-C.
///
/// # Errors
/// The operating system gives no signals.
pub fn stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
