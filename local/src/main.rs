//! `quoit`: the whole system in one process.

mod cli;
mod demo;
mod grpc;
mod node;
mod serve;
mod simulate;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", node::chain(&*error));
            ExitCode::FAILURE
        }
    }
}
