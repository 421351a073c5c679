//! `quoit-router`: the router of a cluster as a process.

mod args;
mod asked;
mod catalog;
mod run;
mod shards;
mod sight;
mod troubles;

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
