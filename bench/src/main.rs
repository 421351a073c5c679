//! Measures Quoit against the bare library and writes `docs/benchmarks.md`.

mod bare;
mod child;
mod clock;
mod corpus;
mod error;
mod http;
mod load;
mod machine;
mod measure;
mod oneshard;
mod playground;
mod replica;
mod report;
mod server;
mod setting;

use clap::{Parser, Subcommand};
use error::{Error, Result};
use machine::Machine;
use measure::{ALL, Measurement};
use report::Section;
use setting::Setting;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Measures Quoit against the bare library, and writes docs/benchmarks.md.
#[derive(Parser)]
#[command(name = "quoit-bench", after_help = after_help())]
struct Cli {
    /// Only this measurement; may be given again. Prints what it found and writes no document.
    #[arg(long, value_name = "NAME", value_parser = names())]
    only: Vec<String>,
    /// Puts what `--only` measured into docs/benchmarks.md, in place of what was there of it. For
    /// the machine that the rest was measured on.
    #[arg(long, requires = "only", conflicts_with = "quick")]
    update: bool,
    /// Fewer rounds and less data. Prints what it found and writes no document.
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    command: Option<Hidden>,
}

#[derive(Subcommand)]
enum Hidden {
    /// A shard in a process of its own.
    #[command(hide = true)]
    Child(child::ChildArgs),
}

fn names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(ALL.iter().map(|m| m.name))
}

fn after_help() -> String {
    let lines = ALL.iter().map(|m| format!("  {:10}{}\n", m.name, m.about));
    let lines: String = lines.collect();
    format!(
        "Measurements:\n{lines}\nEnvironment:\n  {}  a folder with mnist-784, which is left out where this is not set\n",
        setting::DATA
    )
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Some(Hidden::Child(args)) => child::serve(args),
        None => measure_all(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn measure_all(cli: &Cli) -> Result<()> {
    let setting = Setting::find(cli.quick)?;
    if let Err(why) = &setting.quoit {
        eprintln!("note: {why}; what needs it is skipped");
    }
    let wanted =
        |m: &&Measurement| cli.only.is_empty() || cli.only.iter().any(|name| name == m.name);
    let mut sections = Vec::new();
    for measurement in ALL.iter().filter(wanted) {
        eprintln!("{}: {} …", measurement.name, measurement.about);
        let started = Instant::now();
        let section = (measurement.run)(&setting)?;
        tell(&section);
        eprintln!("  took {:.0} s", started.elapsed().as_secs_f64());
        sections.push(section);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    if cli.quick || (!cli.only.is_empty() && !cli.update) {
        for section in &sections {
            print!("\n{}", section.markdown());
        }
        return Ok(());
    }
    let machine = Machine::look();
    let document = if cli.update {
        let old = std::fs::read_to_string(&path).map_err(Error::io("read docs/benchmarks.md"))?;
        report::updated(&old, &machine, &sections)
    } else {
        report::document(&machine, &sections)
    };
    std::fs::write(&path, document).map_err(Error::io("write docs/benchmarks.md"))?;
    eprintln!("docs/benchmarks.md is written");
    Ok(())
}

/// The goals of a section as soon as they are known: the rest takes a while.
fn tell(section: &Section) {
    for goal in &section.goals {
        let verdict = if goal.met { "met" } else { "MISSED" };
        eprintln!(
            "  {}: {} (goal {}): {verdict}",
            goal.what, goal.measured, goal.promised
        );
    }
}
