//! The command line: what `quoit` can be asked, and who answers.

use crate::demo::{self, DemoArgs};
use crate::explain::{self, ExplainArgs};
use crate::playground::{self, PlaygroundArgs};
use crate::serve::{self, ServeArgs};
use crate::simulate::{self, SimulateArgs};
use clap::{CommandFactory, Parser, Subcommand};
use quoit_process::telemetry::{self, LogFormat};
use std::error::Error;
use std::io::{self, Write};

/// Quoit, an elastic vector database: the whole system in one process, for a laptop and for tests.
#[derive(Debug, Parser)]
#[command(
    name = "quoit",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    /// What to log: a level, or pairs such as `quoit_shard=debug`. Without it: what happens, and
    /// in the demo only what goes wrong.
    #[arg(long, global = true, value_name = "FILTER", env = "QUOIT_LOG")]
    log: Option<String>,
    /// The form of log lines, on standard error.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        env = "QUOIT_LOG_FORMAT"
    )]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve collections from a data directory, to REST clients in the dialect of Qdrant's.
    #[command(
        after_help = "Examples:\n  quoit serve\n  quoit serve -f collection.yaml --data-dir /var/lib/quoit\n\nThen, for example:\n  curl -X PUT localhost:6333/collections/docs -H 'content-type: application/json' \\\n       -d '{\"vectors\": {\"size\": 3, \"distance\": \"Cosine\"}}'"
    )]
    Serve(ServeArgs),
    /// See what Quoit does: load 20,000 real embeddings, search them, print figures, stay up to be tried.
    #[command(
        after_help = "Examples:\n  quoit demo\n  quoit demo --listen 127.0.0.1:7333 --grpc 127.0.0.1:7334 --exit"
    )]
    Demo(DemoArgs),
    /// Try failover: the whole system as separate processes on loopback, with faults on demand.
    Playground(PlaygroundArgs),
    /// Ask how a search went: which way each shard took, why, and what it looked at.
    Explain(ExplainArgs),
    /// Look at the ring: where vnodes are and what a change would move.
    #[command(subcommand)]
    Ring(RingCommand),
    /// Print a script that completes quoit's commands in your shell.
    #[command(after_help = "Example, for bash:\n  source <(quoit completion bash)")]
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// What a server logs if not told otherwise: all of ours, and of the store below what goes wrong.
const SERVE_LOG: &str = "info,fjall=warn,lsm_tree=warn,openraft=warn";

#[derive(Debug, Subcommand)]
enum RingCommand {
    /// Compute a ring without a cluster: who gets what, and what a change moves.
    Simulate(SimulateArgs),
}

/// Does what the command line says.
///
/// # Errors
/// What went wrong, with the flag and the remedy.
pub fn run() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    match cli.command {
        Command::Serve(args) => {
            telemetry::init(cli.log_format, cli.log.as_deref().unwrap_or(SERVE_LOG))?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            let done = runtime.block_on(serve::run(&args));
            // A start that was stopped may still be replaying a log.
            runtime.shutdown_background();
            done?;
        }
        Command::Demo(args) => {
            // What goes well the demo tells by itself.
            telemetry::init(cli.log_format, cli.log.as_deref().unwrap_or("warn"))?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            runtime.block_on(demo::run(&args))?;
        }
        Command::Playground(args) => {
            telemetry::init(cli.log_format, cli.log.as_deref().unwrap_or("info"))?;
            playground::run(args, cli.log, &mut io::stdout())?;
        }
        Command::Explain(args) => {
            telemetry::init(cli.log_format, cli.log.as_deref().unwrap_or("warn"))?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(explain::run(&args, &mut io::stdout().lock()))?;
        }
        Command::Ring(RingCommand::Simulate(args)) => {
            simulate::run(&args, &mut io::stdout().lock(), &mut io::stderr().lock())?;
        }
        Command::Completion { shell } => {
            // Through memory: the library panics where it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "quoit", &mut script);
            io::stdout().lock().write_all(&script)?;
        }
    }
    Ok(())
}
