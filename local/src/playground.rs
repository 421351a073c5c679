//! `quoit playground`: what its command line means, and what is printed. The
//! playground itself is `quoit-playground`.

use clap::{Args, Subcommand};
use quoit_cluster::declare;
use quoit_crds::{MAX_SHARDS, REPLICA_COUNTS, VectorCollection, VectorCollectionSpec};
use quoit_playground::{
    Answer, Endpoint, Etcd, Links, Listing, Options, Request, ask, exec, programs,
};
use quoit_process::{chain, descriptors};
use quoit_store::{EtcdOptions, EtcdRingStore};
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

const AFTER_HELP: &str = "\
Examples:
  quoit playground -f collection.yaml --shards 2 --replicas 3
  quoit playground -f collection.yaml --etcd http://127.0.0.1:2379 --dir /tmp/play --json

Then, in another terminal:
  quoit playground ps
  quoit playground kill shard-0-0                    it starts again in a moment
  quoit playground partition shard-0-1               from all others, both ways
  quoit playground partition shard-0-1 --to etcd     only what it sends to etcd is lost
  quoit playground heal

Each process's log is DIR/NAME/log. What was in DIR is there again with the next start.";

/// What `quoit playground` is told.
#[derive(Clone, Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = AFTER_HELP
)]
pub struct PlaygroundArgs {
    /// A file with the collection to serve, a `VectorCollection`.
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    file: Option<PathBuf>,
    /// Shards, instead of what the file says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SHARDS)))]
    shards: Option<u32>,
    /// Replicas of each shard (1, 3, 5 or 7), instead of what the file says.
    #[arg(long, value_name = "N", value_parser = replicas)]
    replicas: Option<u32>,
    /// An etcd that is there, http://HOST:PORT; several endpoints by commas. Without it, one is
    /// started, which must be on the PATH.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    etcd: Vec<Endpoint>,
    #[command(flatten)]
    folder: FolderArgs,
    /// The address for REST clients; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6333")]
    listen: SocketAddr,
    /// The address for gRPC clients; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6334")]
    grpc: SocketAddr,
    /// When all is ready, say so in one line of JSON.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Which playground.
#[derive(Clone, Debug, Args)]
struct FolderArgs {
    /// The playground's folder, for logs and data; one playground at a time has it.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./quoit-playground",
        env = "QUOIT_PLAYGROUND_DIR"
    )]
    dir: PathBuf,
}

/// A process of a playground.
#[derive(Clone, Debug, Args)]
struct ProcessArgs {
    /// The process, as `ps` names it.
    name: String,
    #[command(flatten)]
    folder: FolderArgs,
}

/// Links of a process.
#[derive(Clone, Debug, Args)]
struct LinksArgs {
    #[command(flatten)]
    process: ProcessArgs,
    /// Only what comes from this one; may be given again, and with --to.
    #[arg(long, value_name = "OTHER")]
    from: Vec<String>,
    /// Only what goes to this one; may be given again, and with --from.
    #[arg(long, value_name = "OTHER")]
    to: Vec<String>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Say which processes there are and how they are.
    Ps {
        #[command(flatten)]
        folder: FolderArgs,
        /// In one line of JSON.
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Do(Act),
    /// Become a program that dies with the playground. It is how the playground starts processes.
    #[command(hide = true)]
    Exec {
        parent: u32,
        /// The program with its arguments, all that follows: none of them is for quoit.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(Clone, Debug, Subcommand)]
enum Act {
    /// Kill a process at once, as `kill -9` does; it starts again in a moment.
    Kill {
        #[command(flatten)]
        process: ProcessArgs,
        /// Leave it down until `start`.
        #[arg(long)]
        stay_down: bool,
    },
    /// Start a process that is down.
    Start(ProcessArgs),
    /// Let a process stand still: its connections stay open, and nothing answers.
    Pause(ProcessArgs),
    /// Let a paused process go on.
    Resume(ProcessArgs),
    /// Kill a shard's process, remove its data and start it, as after the loss of its disk.
    Wipe(ProcessArgs),
    /// Cut a process, or etcd, off from the others: what is sent is lost, and nobody is told.
    ///
    /// Connections stay open, and what was sent arrives after `heal`, since TCP sends it again.
    Partition {
        #[command(flatten)]
        links: LinksArgs,
        /// Break connections and refuse new ones, instead of losing what is sent.
        #[arg(long)]
        reset: bool,
    },
    /// Make what is sent arrive late: both ways with all others, if no other is named.
    Delay {
        #[command(flatten)]
        links: LinksArgs,
        /// By so many milliseconds; 0 ends it.
        #[arg(long, value_name = "N")]
        ms: u64,
    },
    /// End partitions and delays.
    Heal {
        /// Only those of this process; without it, all.
        name: Option<String>,
        #[command(flatten)]
        folder: FolderArgs,
    },
}

impl Act {
    fn request(self) -> (PathBuf, Request) {
        match self {
            Act::Kill {
                process: ProcessArgs { name, folder },
                stay_down,
            } => (folder.dir, Request::Kill { name, stay_down }),
            Act::Start(ProcessArgs { name, folder }) => (folder.dir, Request::Start { name }),
            Act::Pause(ProcessArgs { name, folder }) => (folder.dir, Request::Pause { name }),
            Act::Resume(ProcessArgs { name, folder }) => (folder.dir, Request::Resume { name }),
            Act::Wipe(ProcessArgs { name, folder }) => (folder.dir, Request::Wipe { name }),
            Act::Partition { links, reset } => {
                let (dir, links) = links.meant();
                (dir, Request::Partition { links, reset })
            }
            Act::Delay { links, ms } => {
                let (dir, links) = links.meant();
                (dir, Request::Delay { links, ms })
            }
            Act::Heal { name, folder } => (folder.dir, Request::Heal { name }),
        }
    }
}

impl LinksArgs {
    fn meant(self) -> (PathBuf, Links) {
        let Self { process, from, to } = self;
        let ProcessArgs { name, folder } = process;
        (folder.dir, Links { name, from, to })
    }
}

fn replicas(text: &str) -> Result<u32, &'static str> {
    let count = text.parse().ok().filter(|n| REPLICA_COUNTS.contains(n));
    count.ok_or("must be 1, 3, 5 or 7")
}

/// `quoit playground`; `log` is what its processes are to log.
///
/// # Errors
/// What went wrong, with the flag and the remedy.
pub fn run(
    args: PlaygroundArgs,
    log: Option<String>,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    match args.command {
        None => return start(args, log, out),
        Some(Command::Ps { folder, json }) => {
            if let Answer::Listing(listing) = ask(&folder.dir, &Request::Ps)? {
                print(&listing, json, out)?;
            }
        }
        Some(Command::Do(act)) => {
            let (dir, request) = act.request();
            if let Answer::Done(said) = ask(&dir, &request)? {
                writeln!(out, "{said}")?;
            }
        }
        Some(Command::Exec { parent, command }) => {
            let (program, arguments) = command.split_first().ok_or("exec: name a program")?;
            let error = exec(parent, program, arguments);
            return Err(format!("cannot run {}: {error}", program.display()).into());
        }
    }
    Ok(())
}

fn print(listing: &Listing, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, listing)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{listing}")?;
    }
    out.flush()
}

fn start(
    args: PlaygroundArgs,
    log: Option<String>,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    // A command line without a file is refused before.
    let mut collection = read(&args.file.unwrap_or_default())?;
    let spec = &mut collection.spec;
    spec.shards = args.shards.unwrap_or(spec.shards);
    spec.replicas = args.replicas.unwrap_or(spec.replicas);
    // Each connection between the processes is two here, and they inherit the limit.
    descriptors::raise();
    let path = std::env::var_os("PATH");
    let running = std::env::current_exe()?;
    let beside = running.parent().unwrap_or(Path::new("/"));
    let options = Options {
        dir: args.folder.dir,
        shards: spec.shards,
        replicas: spec.replicas,
        listen: args.listen,
        grpc: args.grpc,
        etcd: if args.etcd.is_empty() {
            Etcd::Own(programs::find_etcd(path.as_deref())?)
        } else {
            Etcd::Given(args.etcd)
        },
        programs: programs::find(beside, path.as_deref())?,
        launcher: launcher(running),
        log,
    };
    let announce = |listing: &Listing| {
        print(listing, args.json, out)?;
        if !args.json {
            let dir = options.dir.display();
            writeln!(
                out,
                "Ctrl-C stops it. Try: quoit playground kill shard-0-0 --dir {dir}"
            )?;
        }
        Ok(())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let name = collection.metadata.name.clone().unwrap_or_default();
        let prepare =
            async |etcd: Vec<String>| declared(&etcd, &options.dir, &name, &collection.spec).await;
        Ok(quoit_playground::run(&options, prepare, announce, stop).await?)
    })
}

/// The command by which this program becomes another.
fn launcher(running: PathBuf) -> Vec<OsString> {
    // What runs, even if another is by now in its place.
    let itself = if cfg!(target_os = "linux") {
        "/proc/self/exe".into()
    } else {
        running.into_os_string()
    };
    vec![itself, "playground".into(), "exec".into()]
}

fn read(path: &Path) -> Result<VectorCollection, Box<dyn Error>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("-f {name}: cannot be read: {error}"))?;
    let mut collections = quoit_crds::load(&text, &name).map_err(|e| chain(&e))?;
    match (collections.pop(), collections.len()) {
        (Some(collection), 0) => Ok(collection),
        (_, others) => Err(format!(
            "-f {name}: has {} collections, and a playground serves one; give a file for each",
            others + 1
        )
        .into()),
    }
}

/// Declares the collection in etcd, and returns its identity: the folder's, so that the
/// next start there goes on with the same data.
async fn declared(
    etcd: &[String],
    folder: &Path,
    name: &str,
    spec: &VectorCollectionSpec,
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let uid = identity(&folder.join("collection"))?;
    let values = quoit_store::Etcd::open(EtcdOptions::new(etcd))?.store(uid);
    let rings = EtcdRingStore::new(values.clone(), uid);
    declare(&values, &rings, uid, name, spec).await?;
    Ok(uid.to_string())
}

/// The identity that a file keeps, or a new one that it keeps from now on.
fn identity(file: &Path) -> Result<Uuid, Box<dyn Error + Send + Sync>> {
    let path = file.display();
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().parse().map_err(|e| {
            format!(
                "{path} is to have the collection's uid ({e}): put it back, or give another --dir"
            )
        })?),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let uid = Uuid::new_v4();
            let written = std::fs::write(file, format!("{uid}\n"));
            written.map_err(|e| format!("cannot write {path}: {e}"))?;
            Ok(uid)
        }
        Err(e) => Err(format!("cannot read {path}: {e}").into()),
    }
}
