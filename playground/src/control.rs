//! How a running playground is told what to do: one connection to the socket in
//! its folder, one line of JSON there, one line back.

use crate::folder;
use crate::listing::Listing;
use crate::stage::Stage;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// To say what is.
    Ps,
    /// To kill a process, as `kill -9` does.
    Kill {
        /// Its name.
        name: String,
        /// It is not started again.
        stay_down: bool,
    },
    /// To start a process that is down.
    Start {
        /// Its name.
        name: String,
    },
    /// To let a process stand still.
    Pause {
        /// Its name.
        name: String,
    },
    /// To let it go on.
    Resume {
        /// Its name.
        name: String,
    },
    /// To kill a shard's process, remove its data and start it.
    Wipe {
        /// Its name.
        name: String,
    },
    /// To cut links.
    Partition {
        /// Which.
        #[serde(flatten)]
        links: Links,
        /// Connections break, instead of losing what is sent.
        reset: bool,
    },
    /// To make links slow.
    Delay {
        /// Which.
        #[serde(flatten)]
        links: Links,
        /// By so much.
        ms: u64,
    },
    /// To make links well again.
    Heal {
        /// Those of this process, or all.
        name: Option<String>,
    },
}

/// Links of a process: what comes `from` others, what goes `to` others; if both
/// are empty, both with all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// The process, or etcd.
    pub name: String,
    /// Who sends to it.
    pub from: Vec<String>,
    /// Who it sends to.
    pub to: Vec<String>,
}

/// What is answered to a request that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// What was done, in words for people.
    Done(String),
    /// What is.
    Listing(Box<Listing>),
}

/// Why a playground did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// It says why.
    #[error("{0}")]
    Refused(String),
    /// It cannot be talked to.
    #[error("the playground did not answer; whether it did as told is not known")]
    Talk(#[source] io::Error),
    /// It speaks another language.
    #[error("the playground is of another version of quoit: it answered {answer:?}")]
    Answer {
        /// What it said.
        answer: String,
        /// What is wrong with that.
        source: serde_json::Error,
    },
}

/// How long an answer is waited for: removing much data takes its time.
const PATIENCE: Duration = Duration::from_mins(5);

/// A request is a few names.
const MAX_REQUEST: u64 = 1 << 20;

/// Asks the playground of a folder, and waits until it has done it.
///
/// # Errors
/// There is none, or it refuses, or it does not answer.
pub fn ask(dir: &Path, request: &Request) -> Result<Answer, Error> {
    let mut stream = folder::connect(dir)?;
    let mut exchange = || -> io::Result<String> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        stream.write_all(line.as_bytes())?;
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer)?;
        if answer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer)
    };
    let answer = exchange().map_err(Error::Talk)?;
    match serde_json::from_str::<Result<Answer, String>>(&answer) {
        Ok(answered) => answered.map_err(Error::Refused),
        Err(source) => Err(Error::Answer { answer, source }),
    }
}

/// Answers who connects, each by itself.
pub(crate) async fn serve(listener: UnixListener, stage: Arc<Stage>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(answer(stream, Arc::clone(&stage)));
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection of `quoit playground`: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(mut stream: UnixStream, stage: Arc<Stage>) {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let mut read = tokio::io::BufReader::new(read.take(MAX_REQUEST));
    if read.read_line(&mut line).await.is_err() || line.is_empty() {
        // Somebody looked whether anybody is there.
        return;
    }
    let answer = match serde_json::from_str(&line) {
        Ok(request) => stage.perform(request).await,
        Err(error) => Err(format!(
            "not understood: {error}; this playground is of quoit {}, and `quoit` must be of the same",
            env!("CARGO_PKG_VERSION")
        )),
    };
    // Nothing in an answer cannot be written as JSON.
    let mut line = serde_json::to_string(&answer).unwrap_or_default();
    line.push('\n');
    // Who asked may be gone; what was asked is done.
    drop(write.write_all(line.as_bytes()).await);
}
