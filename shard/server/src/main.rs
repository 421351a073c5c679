//! `quoit-shard`: one replica of a shard as a process.

mod args;
mod data;
mod enlist;
mod picture;
mod probes;
mod run;
mod seen;
mod tend;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run::main(&args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", quoit_process::chain(&*error));
            ExitCode::FAILURE
        }
    }
}
