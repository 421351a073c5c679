//! How the process tells what it does: a line a happening, for people on a
//! terminal and as JSON elsewhere, always to standard error, so that what a
//! command prints can be piped.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A filter that is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "--log: {text:?} is not a log filter; use a level (error, warn, info, debug, trace) or pairs such as quoit_shard=debug"
)]
pub struct BadFilter {
    text: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Sends log lines that pass `filter` to standard error.
///
/// # Errors
/// The filter does not parse.
pub fn init(format: LogFormat, filter: &str) -> Result<(), BadFilter> {
    let parsed = EnvFilter::builder().parse(filter);
    let filter = parsed.map_err(|source| BadFilter {
        text: filter.to_owned(),
        source,
    })?;
    let json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Where standard error is a file on a full disk, to say there that nothing can be
        // said would panic, in whichever thread had something to say.
        .log_internal_errors(false);
    if json {
        subscriber
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .init();
    } else {
        subscriber.with_target(false).init();
    }
    Ok(())
}
