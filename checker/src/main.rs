//! `quoit-checker`: clients that record, and the proof over their records.

use std::process::ExitCode;

fn main() -> ExitCode {
    quoit_checker::cli::run()
}
