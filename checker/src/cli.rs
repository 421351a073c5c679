//! The command line: what `quoit-checker` can be asked, and with which status
//! it ends.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::http::chain;
use crate::{Create, Mix, Options, Records, Verdict, prove, read, start};

/// Proves that a Quoit under trouble keeps its promises: clients write, delete, read, search and
/// count without pause and record what they are told; then the records are gone through for
/// anything that contradicts what was promised.
///
/// Bring the trouble yourself while it runs: kill processes, cut networks, fill disks, scale.
#[derive(Debug, Parser)]
#[command(
    name = "quoit-checker",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Status: 0 all is proved, 1 a promise is broken, 2 it could not be run or not be proved."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Let clients work against a server, then prove. Ctrl-C ends the work early and still proves.
    #[command(
        after_help = "Examples:\n  quoit-checker run --endpoint http://127.0.0.1:6333 --collection docs --create --seconds 30\n  quoit-checker run --endpoint http://a:6333 --endpoint http://b:6333 --collection docs --clear \\\n      --seconds 600 --mix put=40,scan=0 --rate 50 --record run.jsonl\n\nStatus: 0 all is proved, 1 a promise is broken, 2 it could not be run or not be proved."
    )]
    Run(RunArgs),
    /// Prove again what a run has recorded.
    #[command(after_help = "Example:\n  quoit-checker verify run.jsonl -o json")]
    Verify {
        /// The file that a run was told to --record.
        file: PathBuf,
        /// The form of the report.
        #[arg(short, long, value_enum, default_value = "text")]
        output: Format,
    },
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Where the REST API is; several are taken in turn by the clients.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:6333")]
    endpoint: Vec<String>,
    /// The collection. The run has it for itself: it must be empty.
    #[arg(long, value_name = "NAME")]
    collection: String,
    /// Create the collection first.
    #[arg(long)]
    create: bool,
    /// Shards of the collection that is created; without it, as many as the server thinks best.
    #[arg(long, value_name = "N", requires = "create")]
    shards: Option<u32>,
    /// Dimension of the collection that is created.
    #[arg(long, value_name = "N", default_value_t = 16, requires = "create")]
    dimension: usize,
    /// Create the collection without a graph.
    #[arg(long, requires = "create")]
    flat: bool,
    /// Delete all points of the collection first.
    #[arg(long)]
    clear: bool,
    /// How long the clients work.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    seconds: f64,
    /// Clients that work at the same time, each one call after the other.
    #[arg(long, value_name = "N", default_value_t = 8)]
    clients: u32,
    /// Calls a second of each client at most; without it, as fast as they are answered.
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// How often each kind of call is made, by weight: put, put-if, edit, delete, get, look, scan,
    /// search, page, count. What is not named keeps its weight.
    #[arg(long, value_name = "KIND=N,…", default_value = "")]
    mix: Mix,
    /// Points that the clients change.
    #[arg(long, value_name = "N", default_value_t = 64)]
    keys: u64,
    /// Points at rest: loaded first, never touched, and to be found at any time.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    rest: u64,
    /// Of all that is random; the same seed makes the same calls, as far as answers allow.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// How long an answer is waited for; after that the outcome is unknown.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    timeout: f64,
    /// How long the set-up, and the reads at the end, are tried again.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    patience: f64,
    /// Write every call to this file as a line of JSON, for `verify`.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The form of the report.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// A number of seconds that is none.
#[derive(Debug, thiserror::Error)]
#[error("--{flag} must be a positive number, not {is}")]
struct NotPositive {
    flag: &'static str,
    is: f64,
}

/// Does what the command line says.
#[must_use]
pub fn run() -> ExitCode {
    match answer(Cli::parse()) {
        Ok(Verdict::Proved) => ExitCode::SUCCESS,
        Ok(Verdict::Violated) => ExitCode::from(1),
        Ok(Verdict::Unproved) => ExitCode::from(2),
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::from(2)
        }
    }
}

fn answer(cli: Cli) -> Result<Verdict, Box<dyn Error>> {
    let (records, output) = match cli.command {
        Command::Verify { file, output } => (read(&file)?, output),
        Command::Run(args) => {
            let (output, seconds) = (args.output, seconds("seconds", args.seconds)?);
            let options = args.options()?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            (runtime.block_on(work(options, seconds))?, output)
        }
    };
    let report = prove(&records);
    let mut out = io::stdout().lock();
    match output {
        Format::Text => writeln!(out, "{report}")?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        }
    }
    Ok(report.verdict)
}

async fn work(options: Options, time: Duration) -> Result<Records, Box<dyn Error>> {
    let run = start(options).await?;
    eprintln!("The points at rest are loaded; clients work for {time:?}. Ctrl-C ends that early.");
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    eprintln!("The clients end; everything is read once more.");
    Ok(run.finish().await?)
}

fn seconds(flag: &'static str, is: f64) -> Result<Duration, NotPositive> {
    let time = Duration::try_from_secs_f64(is).ok();
    time.filter(|time| !time.is_zero())
        .ok_or(NotPositive { flag, is })
}

impl RunArgs {
    fn options(self) -> Result<Options, NotPositive> {
        let pace = match self.rate {
            None => Duration::ZERO,
            Some(rate) => seconds("rate", 1.0 / rate).map_err(|_| NotPositive {
                flag: "rate",
                is: rate,
            })?,
        };
        Ok(Options {
            create: self.create.then_some(Create {
                shards: self.shards,
                dimension: self.dimension,
                flat: self.flat,
            }),
            endpoints: self.endpoint,
            collection: self.collection,
            clear: self.clear,
            seed: self.seed,
            clients: self.clients,
            keys: self.keys,
            rest: self.rest,
            mix: self.mix,
            pace,
            timeout: seconds("timeout", self.timeout)?,
            patience: seconds("patience", self.patience)?,
            record: self.record,
        })
    }
}
