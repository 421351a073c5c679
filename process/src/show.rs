//! What a program says of itself: an error with its causes, and the configuration
//! that it would run with.

use serde::Serialize;
use std::io::{self, Write};

/// An error with its causes, on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Prints the configuration that flags, environment and defaults come to, as YAML.
///
/// # Errors
/// It cannot be written.
pub fn print_config(config: &impl Serialize) -> io::Result<()> {
    let text = serde_yaml::to_string(config).map_err(io::Error::other)?;
    io::stdout().lock().write_all(text.as_bytes())
}
