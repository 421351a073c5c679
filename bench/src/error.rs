//! What can go wrong while measuring. Whoever runs this reads one line, so an
//! error says what was being done.

use std::io;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, a pipe, a socket or a process.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The data set.
    #[error(transparent)]
    Dataset(#[from] quoit_dataset::Error),
    /// The engine.
    #[error("the engine failed")]
    Engine(#[from] quoit_engine::Error),
    /// A shard did not open.
    #[error("a shard did not open")]
    Open(#[from] quoit_shard::OpenError),
    /// A shard refused.
    #[error("a shard refused")]
    Shard(#[from] quoit_proto::ShardError),
    /// The bare library failed.
    #[error("the bare library failed: {0}")]
    Bare(String),
    /// A call by gRPC failed.
    #[error("a call by gRPC failed")]
    Grpc(#[from] tonic::Status),
    /// The gRPC port was not reached.
    #[error("the gRPC port was not reached")]
    Connect(#[from] tonic::transport::Error),
    /// Something answered what makes no sense.
    #[error("{0}")]
    Unexpected(String),
}

/// A result of measuring.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// For `map_err`: what the operating system refused.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// For `map_err`: what the bare library refused.
    pub fn bare(error: impl std::fmt::Display) -> Self {
        Self::Bare(error.to_string())
    }

    /// An answer that makes no sense.
    pub fn unexpected(what: impl Into<String>) -> Self {
        Self::Unexpected(what.into())
    }

    /// The error with its causes, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    }
}
