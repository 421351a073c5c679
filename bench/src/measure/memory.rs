//! Memory after a load: what the process holds that no file stands behind.
//! Mapped files are left out, since the kernel takes those back when it likes.

use crate::child::ShardProcess;
use crate::clock::{anonymous_bytes, number};
use crate::error::Result;
use crate::report::{Section, Table};
use crate::server::Server;
use crate::setting::Setting;

/// Points a request.
const BATCH: usize = 100;

/// The part of the raw vectors that may be held …
const SHARE: f64 = 0.8;

/// … beside so many bytes.
const BESIDE: f64 = 64.0 * MIB;

/// The bytes of a MiB.
const MIB: f64 = 1_048_576.0;

/// Connections that load the server.
const WRITERS: usize = 4;

/// Shards of the server.
const SHARDS: u32 = 3;

/// Measures memory.
pub fn run(setting: &Setting) -> Result<Section> {
    let corpus = &setting.debian;
    let raw = number(corpus.raw_bytes());
    let limit = SHARE * raw + BESIDE;
    let mut section = Section::new("Memory");
    section.text(format!(
        "Anonymous memory (`RssAnon`) of a process of its own after {} points with payloads were loaded and indexed. The\n\
         raw vectors are {:.1} MiB as 32-bit floats; the limit is {SHARE} of that and 64 MiB, {:.1} MiB.",
        corpus.len(),
        raw / MIB,
        limit / MIB,
    ));
    let mut table = Table::new(&["process", "when", "anonymous, MiB", "over the raw vectors"]);
    let mut judge = |section: &mut Section, process: &str, empty: u64, loaded: u64| {
        for (when, bytes) in [("empty", empty), ("loaded and indexed", loaded)] {
            let bytes = number(bytes);
            table.row([
                process.to_owned(),
                when.to_owned(),
                format!("{:.1}", bytes / MIB),
                format!("{:.2}", bytes / raw),
            ]);
        }
        let loaded = number(loaded);
        section.goal(
            format!("anonymous memory after the load, {process}"),
            format!("≤ {:.1} MiB", limit / MIB),
            format!("{:.1} MiB", loaded / MIB),
            loaded <= limit,
        );
    };

    let dir = setting.scratch_dir()?;
    let mut shard = ShardProcess::start(&dir.path().join("shard"), corpus)?;
    shard.status()?;
    let empty = anonymous_bytes(shard.pid())?;
    for request in corpus.write_requests(BATCH)? {
        shard.write(&request)?;
    }
    shard.wait_indexed()?;
    let loaded = anonymous_bytes(shard.pid())?;
    shard.stop()?;
    judge(&mut section, "one shard", empty, loaded);

    match &setting.quoit {
        Ok(_) => {
            let dir = setting.scratch_dir()?;
            let server = Server::start(setting, dir.path(), SHARDS)?;
            let empty = anonymous_bytes(server.pid())?;
            server.load(corpus, WRITERS)?;
            let loaded = anonymous_bytes(server.pid())?;
            server.stop()?;
            judge(
                &mut section,
                "`quoit serve` with 3 shards, loaded over REST",
                empty,
                loaded,
            );
        }
        Err(why) => section.text(format!("Not measured for `quoit serve`: {why}.")),
    }
    section.table(table);
    Ok(section)
}
