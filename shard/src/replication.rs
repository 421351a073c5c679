//! The seam between a shard and what makes its entries durable and ordered.
//! Everything above asks to propose an entry and learns what applying it came
//! to; everything below decides how many members must have it first.

use quoit_engine::Outcome;

/// Orders entries, makes them durable and has them applied.
#[async_trait::async_trait]
pub trait Replication: Send + Sync + 'static {
    /// Proposes an entry and waits until it is applied.
    ///
    /// # Errors
    /// Whether the entry may still take effect is in the error.
    async fn propose(&self, proposal: Proposal) -> Result<Vec<Outcome>, ProposeError>;

    /// The log index that a view must have applied to show every write that
    /// was acknowledged before this call.
    ///
    /// # Errors
    /// Nobody can tell at present.
    async fn read_index(&self) -> Result<u64, ProposeError>;
}

/// An entry to be proposed, encoded and decoded: the one is for the log, the
/// other spares a decoding where it is applied.
#[derive(Debug)]
pub struct Proposal {
    /// The entry as the log keeps it.
    pub bytes: bytes::Bytes,
    /// The same as the engine takes it.
    pub entry: quoit_engine::Entry,
}

/// Why an entry was not applied.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProposeError {
    /// It has no effect and never will: the disk is full.
    #[error("the shard's disk is full ({0}): free some space, and writes go on by themselves")]
    DiskFull(String),
    /// It has no effect and never will: the disk cannot be written.
    #[error("the shard's disk is read-only: make it writable and restart the shard")]
    ReadOnly,
    /// It has no effect and never will: too much is waiting already.
    #[error("the shard has too much to do ({0}): try again a little later")]
    Busy(&'static str),
    /// It has no effect and never will: this member does not lead.
    #[error("this member of the shard does not lead it: ask its leader")]
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<u64>,
    },
    /// It has no effect and never will: too few members can be reached.
    #[error("too few members of the shard can be reached: {0}")]
    NoQuorum(String),
    /// It has no effect and never will: the shard takes no writes any more.
    #[error("the shard takes no writes: {0}")]
    Stopped(String),
    /// It may or may not have taken effect.
    #[error("the outcome of the write is unknown: {0}")]
    Unknown(String),
}
