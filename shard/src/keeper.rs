//! Keeps a shard open. After a write that failed, the log and the row store
//! trust themselves no more and take nothing until they are opened anew, also
//! when the disk was only full and has room again. What a restart of the process
//! would mend is mended here: the shard is opened anew from its folder, and its
//! log brings back what was not applied. So is a replica that was far behind, when a
//! copy of its leader's data is there. Requests that come meanwhile wait.
//!
//! Of failures, only after a full disk: one that fails otherwise may not open again,
//! and reads are still right as long as it is left as it is.

use crate::open::{OpenError, ShardOptions};
use crate::raft::{Peer, PeerError, chain};
use crate::shard::Shard;
use parking_lot::Mutex;
use quoit_proto::{ErrorKind, ShardClient, ShardError, v1};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often the keeper looks after its shard.
const TICK: Duration = Duration::from_secs(1);

/// The longest pause after an opening that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long reads that have begun may take to let go of the shard.
const READS_PATIENCE: Duration = Duration::from_secs(10);

/// How long a request waits for the shard to be opened anew.
const OPEN_PATIENCE: Duration = Duration::from_secs(10);

/// A shard that is opened anew when that mends it.
pub struct Keeper {
    kept: Arc<Kept>,
    task: JoinHandle<()>,
}

struct Kept {
    options: ShardOptions,
    current: watch::Sender<Option<Arc<Shard>>>,
    stopping: AtomicBool,
    /// Held while the shard is opened anew or stopped.
    changing: Mutex<()>,
}

impl Keeper {
    /// Opens a shard and keeps it open.
    ///
    /// # Errors
    /// As [`Shard::open`].
    pub async fn open(mut options: ShardOptions) -> Result<Self, OpenError> {
        let shard = Shard::open(options.clone()).await?;
        // It has been founded now.
        options.birth = None;
        let kept = Arc::new(Kept {
            options,
            current: watch::Sender::new(Some(Arc::new(shard))),
            stopping: AtomicBool::new(false),
            changing: Mutex::new(()),
        });
        let task = tokio::spawn(look_after(kept.clone()));
        Ok(Self { kept, task })
    }

    /// As [`Shard::stop`].
    pub fn stop(&self) {
        self.end(Shard::stop);
    }

    /// As [`Shard::discard`].
    pub fn discard(&self) {
        self.end(Shard::discard);
    }

    fn end(&self, end: fn(&Shard)) {
        self.kept.stopping.store(true, Ordering::Release);
        self.task.abort();
        let _one = self.kept.changing.lock();
        // Its files can be opened once at a time, and the task lets go of it only
        // when it is next run.
        if let Some(shard) = self.kept.current.send_replace(None) {
            end(&shard);
        }
    }

    /// As [`Shard::serves`].
    #[must_use]
    pub fn serves(&self) -> bool {
        self.kept.current().is_some_and(|shard| shard.serves())
    }
}

impl Keeper {
    /// As [`Shard::is_ready`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.unready().is_none()
    }

    /// As [`Shard::unready`].
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        match self.kept.current() {
            Some(shard) => shard.unready(),
            None => Some("it is being opened, or stops".to_owned()),
        }
    }

    /// What the other members of the group may ask of this one.
    ///
    /// # Errors
    /// It is just being opened anew, or is stopped.
    pub fn member(&self) -> Result<Arc<dyn Peer>, PeerError> {
        let opened = || PeerError::Unreachable("it is being opened".to_owned());
        self.kept
            .current()
            .map(|shard| shard.member())
            .ok_or_else(opened)
    }

    /// The shard, if it is open.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Shard>> {
        self.kept.current()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn look_after(kept: Arc<Kept>) {
    let mut pause = TICK;
    loop {
        // Not the shard itself is waited with: its files must be free when it ends.
        let copied = kept.current().map(|shard| shard.copied());
        let copied = copied.unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = copied.notified() => {}
        }
        if !kept.needs_opening() {
            pause = TICK;
            continue;
        }
        let opening = kept.clone();
        let runtime = Handle::current();
        let opened = tokio::task::spawn_blocking(move || opening.open_anew(&runtime)).await;
        pause = match opened {
            Ok(true) => TICK,
            _ => (pause * 2).min(LONGEST_PAUSE),
        };
    }
}

impl Kept {
    fn current(&self) -> Option<Arc<Shard>> {
        self.current.borrow().clone()
    }

    fn needs_opening(&self) -> bool {
        let enough = self.options.upkeep.watermark.start_above;
        let needs =
            |shard: Arc<Shard>| shard.has_copy() || shard.would_be_mended_by_opening(enough);
        self.current().is_none_or(needs)
    }

    /// Closes the shard and opens it anew; says whether it is open now. Blocks.
    fn open_anew(&self, runtime: &Handle) -> bool {
        let _one = self.changing.lock();
        if self.stopping.load(Ordering::Acquire) {
            return false;
        }
        if let Some(old) = self.current.send_replace(None) {
            tracing::info!("a shard is opened anew");
            old.discard();
            // Its files can be opened once at a time.
            let begun = Instant::now();
            while Arc::strong_count(&old) > 1 {
                if begun.elapsed() > READS_PATIENCE {
                    tracing::warn!("reads of the shard take long: it is opened anew later");
                    self.current.send_replace(Some(old));
                    return false;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        match runtime.block_on(Shard::open(self.options.clone())) {
            Ok(shard) => {
                self.current.send_replace(Some(Arc::new(shard)));
                true
            }
            Err(error) => {
                let error = chain(&error);
                tracing::error!(error, "a shard could not be opened anew; it is tried again");
                false
            }
        }
    }

    /// The shard, after it was opened anew if it is just being.
    async fn shard(&self) -> Result<Arc<Shard>, ShardError> {
        if let Some(shard) = self.current() {
            return Ok(shard);
        }
        if self.stopping.load(Ordering::Acquire) {
            return Err(ShardError::new(ErrorKind::Unavailable, "it is stopped"));
        }
        let mut current = self.current.subscribe();
        let opened = tokio::time::timeout(OPEN_PATIENCE, current.wait_for(Option::is_some)).await;
        let opened = opened.ok().and_then(Result::ok);
        opened.and_then(|shard| shard.clone()).ok_or_else(|| {
            let why = "it is being opened anew after its disk was full: try again a little later";
            ShardError::new(ErrorKind::Unavailable, why)
        })
    }
}

#[async_trait::async_trait]
impl ShardClient for Keeper {
    async fn write(&self, request: v1::WriteRequest) -> Result<v1::WriteResponse, ShardError> {
        self.kept.shard().await?.write(request).await
    }

    async fn write_matching(
        &self,
        request: v1::WriteMatchingRequest,
    ) -> Result<v1::WriteMatchingResponse, ShardError> {
        self.kept.shard().await?.write_matching(request).await
    }

    async fn facet(&self, request: v1::FacetRequest) -> Result<v1::FacetResponse, ShardError> {
        self.kept.shard().await?.facet(request).await
    }

    async fn set_schema(
        &self,
        request: v1::SetSchemaRequest,
    ) -> Result<v1::SetSchemaResponse, ShardError> {
        self.kept.shard().await?.set_schema(request).await
    }

    async fn search(&self, request: v1::SearchRequest) -> Result<v1::SearchResponse, ShardError> {
        self.kept.shard().await?.search(request).await
    }

    async fn retrieve(
        &self,
        request: v1::RetrieveRequest,
    ) -> Result<v1::RetrieveResponse, ShardError> {
        self.kept.shard().await?.retrieve(request).await
    }

    async fn scroll(&self, request: v1::ScrollRequest) -> Result<v1::ScrollResponse, ShardError> {
        self.kept.shard().await?.scroll(request).await
    }

    async fn count(&self, request: v1::CountRequest) -> Result<v1::CountResponse, ShardError> {
        self.kept.shard().await?.count(request).await
    }

    async fn digests(
        &self,
        request: v1::DigestsRequest,
    ) -> Result<v1::DigestsResponse, ShardError> {
        self.kept.shard().await?.digests(request).await
    }

    async fn operation_counts(
        &self,
        request: v1::OperationCountsRequest,
    ) -> Result<v1::OperationCountsResponse, ShardError> {
        self.kept.shard().await?.operation_counts(request).await
    }

    async fn status(&self) -> Result<v1::StatusResponse, ShardError> {
        self.kept.shard().await?.status().await
    }
}
