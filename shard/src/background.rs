//! Work that gives way: copies of the data, made and taken in, and the indexing of what
//! a restart lacked. Each can take all of a machine for seconds, and whoever searches
//! meanwhile, here or in another process beside, waits for none of it.

use tokio::sync::oneshot;

/// How far it gives way, as `nice` counts: it has about a tenth of the share of others
/// where there is not enough for all, and all that is left where there is.
const NICENESS: i32 = 10;

/// Why background work has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum BackgroundError {
    /// No thread could be had.
    #[error("a thread could not be started")]
    Thread(#[from] std::io::Error),
    /// It was cut short.
    #[error("it was cut short")]
    Cut(#[from] oneshot::error::RecvError),
}

/// Makes the thread that calls it give way, for good, and those that it starts. It holds
/// no lock then that others wait for: they would wait for its share.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "background work does not give way");
    }
}

/// Does work on a thread of its own, which gives way.
///
/// # Errors
/// No thread could be had, or the work panicked.
pub async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BackgroundError> {
    let (done, outcome) = oneshot::channel();
    let work = move || {
        give_way();
        // Nobody may wait for it any more.
        drop(done.send(work()));
    };
    std::thread::Builder::new()
        .name("background".into())
        .spawn(work)?;
    Ok(outcome.await?)
}
