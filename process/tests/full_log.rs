//! A log on a disk without room.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use quoit_process::telemetry::{self, LogFormat};
use std::fs::File;
use std::process::Command;

/// Set for the process that has the full log.
const INSIDE: &str = "QUOIT_TEST_INSIDE";

#[test]
fn a_log_that_finds_no_room_is_lost_and_what_wrote_to_it_goes_on() {
    if std::env::var_os(INSIDE).is_some() {
        telemetry::init(LogFormat::Text, "info").unwrap();
        tracing::error!("there is no room for this");
        return;
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let inside = Command::new(std::env::current_exe().unwrap())
        .arg("--nocapture")
        .env(INSIDE, "yes")
        .stderr(full)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    assert!(inside.status.success(), "{said}");
}
