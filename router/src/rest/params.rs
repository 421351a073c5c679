//! The parameters in the query string that calls of the dialect share.

use std::time::Duration;

use axum::extract::Query;
use axum::http::Uri;
use serde::Deserialize;

use super::error::Error;
use crate::limits::MAX_TIMEOUT;
use crate::reading::{BadFreshness, Freshness};

/// The parameters, read and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Params {
    /// Whether a write is answered when it is visible. Quoit answers no
    /// sooner either way; the answer's `status` says what was asked for.
    pub(crate) wait: bool,
    /// Whether a search says how it went.
    pub(crate) explain: bool,
    /// How long the request may take.
    pub(crate) timeout: Option<Duration>,
    /// How fresh what it reads must be.
    pub(crate) freshness: Freshness,
    /// Whether a shard that does not answer may be left out.
    pub(crate) partial: bool,
}

#[derive(Deserialize)]
struct Raw {
    wait: Option<String>,
    explain: Option<String>,
    timeout: Option<String>,
    partial: Option<String>,
    consistency: Option<String>,
    ordering: Option<String>,
}

impl Params {
    /// Reads them from a URL; parameters of other names are ignored.
    pub(crate) fn read(uri: &Uri) -> Result<Self, Error> {
        let raw = Query::<Raw>::try_from_uri(uri).map_err(|e| Error::ReadUrl {
            place: "query parameters",
            message: e.body_text(),
        })?;
        let wait = flag("wait", raw.wait.as_deref())?;
        let explain = flag("explain", raw.explain.as_deref())?;
        let timeout = match raw.timeout.as_deref() {
            None | Some("") => None,
            Some(text) => {
                let seconds: u64 = text
                    .parse()
                    .map_err(|_| unreadable("timeout", text, "a whole number of seconds"))?;
                if seconds == 0 {
                    return Err(out_of_range("timeout"));
                }
                Some(Duration::from_secs(seconds).min(MAX_TIMEOUT))
            }
        };
        let partial = flag("partial", raw.partial.as_deref())?;
        let consistency = raw.consistency.as_deref().unwrap_or_default();
        let freshness = consistency.parse().map_err(|bad| match bad {
            BadFreshness::Zero => out_of_range("consistency"),
            BadFreshness::Unreadable => {
                unreadable("consistency", consistency, BadFreshness::EXPECTED)
            }
        })?;
        // Every write is acknowledged by a quorum in order: what may be asked for is
        // there already.
        match raw.ordering.as_deref() {
            None | Some("" | "weak" | "medium" | "strong") => {}
            Some(text) => return Err(unreadable("ordering", text, "one of weak, medium, strong")),
        }
        Ok(Self {
            wait,
            explain,
            timeout,
            freshness,
            partial,
        })
    }
}

fn flag(field: &str, value: Option<&str>) -> Result<bool, Error> {
    match value {
        None | Some("false" | "") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(unreadable(field, other, "true or false")),
    }
}

fn unreadable(field: &str, value: &str, right: &str) -> Error {
    Error::ReadUrl {
        place: "query parameters",
        message: format!("{field}: {value:?} is not {right}"),
    }
}

fn out_of_range(field: &str) -> Error {
    Error::Validate {
        place: "query parameters",
        field: field.to_owned(),
        message: "value 0 invalid, must be 1 or larger".to_owned(),
    }
}
