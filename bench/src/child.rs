//! A shard in a process of its own, so that its memory is its own and its start
//! is the start of a process. The parent asks through the child's standard
//! input; each question and each answer is a frame of bytes.

use crate::corpus::{Corpus, bytes, vnode_count};
use crate::error::{Error, Result};
use crate::oneshard;
use prost::Message;
use quoit_engine::{HnswParams, Metric, Params};
use quoit_proto::{ShardClient, v1};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

// What the child is asked: the first byte of a frame.
const WRITE: u8 = b'w';
const WAIT_INDEXED: u8 = b'i';
const STATUS: u8 = b's';
const SEARCH: u8 = b'q';
/// And the first byte of each answer.
const ANSWER: u8 = b'a';

/// What the child is started with.
#[derive(clap::Args)]
pub struct ChildArgs {
    /// The shard's folder.
    dir: PathBuf,
    /// The number of components of a vector.
    dimension: usize,
}

/// The child's end: answers until its input ends, then stops in order.
///
/// # Errors
/// The shard failed, or the parent is gone.
pub fn serve(args: &ChildArgs) -> Result<()> {
    let index = Some(HnswParams::default());
    let params = Params::unnamed(args.dimension, Metric::Cosine, index, vnode_count()?);
    let runtime = oneshard::runtime()?;
    runtime.block_on(async {
        let shard = oneshard::open(&args.dir, params).await?;
        let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
        while let Some((kind, body)) = read_frame(&mut input)? {
            let reply = match kind {
                WRITE => {
                    oneshard::write(&shard, decode(&body)?).await?;
                    Vec::new()
                }
                WAIT_INDEXED => {
                    oneshard::wait_indexed(&shard).await?;
                    Vec::new()
                }
                STATUS => bytes(&shard.status().await?),
                SEARCH => bytes(&shard.search(decode(&body)?).await?),
                _ => return Err(Error::unexpected("a question that no parent asks")),
            };
            write_frame(&mut output, ANSWER, &reply)?;
        }
        shard.stop();
        Ok(())
    })
}

/// The parent's end.
pub struct ShardProcess {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    output: ChildStdout,
}

impl ShardProcess {
    /// Starts this program again, as a shard of the corpus in a folder.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(dir: &Path, corpus: &Corpus) -> Result<Self> {
        let failed = || Error::io("start a process for a shard");
        let itself = std::env::current_exe().map_err(failed())?;
        let mut child = Command::new(itself)
            .arg("child")
            .arg(dir)
            .arg(corpus.dimension().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed())?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::unexpected("a process without its pipes"));
        };
        Ok(Self {
            child,
            input: Some(BufWriter::new(input)),
            output,
        })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a batch.
    pub fn write(&mut self, request: &v1::WriteRequest) -> Result<()> {
        self.ask(WRITE, &bytes(request)).map(drop)
    }

    /// Waits until all is indexed.
    pub fn wait_indexed(&mut self) -> Result<()> {
        self.ask(WAIT_INDEXED, &[]).map(drop)
    }

    /// How many points there are.
    pub fn status(&mut self) -> Result<v1::StatusResponse> {
        decode(&self.ask(STATUS, &[])?)
    }

    /// Searches.
    pub fn search(&mut self, request: &v1::SearchRequest) -> Result<v1::SearchResponse> {
        decode(&self.ask(SEARCH, &bytes(request))?)
    }

    /// Ends the process in order.
    ///
    /// # Errors
    /// It ended with a failure.
    pub fn stop(mut self) -> Result<()> {
        drop(self.input.take());
        let status = self
            .child
            .wait()
            .map_err(Error::io("wait for a shard's process"))?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::unexpected(format!(
                "a shard's process ended with {status}"
            )))
        }
    }

    fn ask(&mut self, ask: u8, body: &[u8]) -> Result<Vec<u8>> {
        let gone = || Error::unexpected("a shard's process is gone: what it said is above");
        let input = self.input.as_mut().ok_or_else(gone)?;
        write_frame(input, ask, body)?;
        let (_, reply) = read_frame(&mut self.output)?.ok_or_else(gone)?;
        Ok(reply)
    }
}

impl Drop for ShardProcess {
    fn drop(&mut self) {
        if self.input.take().is_some() {
            // Something went wrong before the stop; what it was is being reported.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn write_frame(to: &mut impl Write, kind: u8, body: &[u8]) -> Result<()> {
    let length = u32::try_from(body.len()).map_err(|_| Error::unexpected("a frame over 4 GiB"))?;
    let mut send = || {
        to.write_all(&[kind])?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(body)?;
        to.flush()
    };
    send().map_err(Error::io("write to a pipe"))
}

/// The next frame, or nothing where the other end is closed.
fn read_frame(from: &mut impl Read) -> Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0_u8; 5];
    match from.read_exact(&mut head) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other.map_err(Error::io("read from a pipe"))?,
    }
    let [kind, length @ ..] = head;
    let mut body = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut body)
        .map_err(Error::io("read from a pipe"))?;
    Ok(Some((kind, body)))
}

fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M> {
    M::decode(bytes).map_err(|e| Error::unexpected(format!("a message does not decode: {e}")))
}
