//! Everything that a request can fail with, in words. What becomes of it on the
//! wire is decided where it is answered: `rest::error` and `grpc::status`.

use std::time::Duration;

use axum::http::Method;
use quoit_proto::ErrorKind;
use quoit_ring::PointId;

use crate::catalog::{CatalogError, NoCollection};
use crate::fanout;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The body is no JSON, or not of the form that the call takes.
    #[error("Format error in JSON body: {0}")]
    ReadJson(String),
    /// The body broke off.
    #[error("The body of the request could not be read to its end: {0}")]
    ReadBody(String),
    /// The body stopped coming.
    #[error("No byte of the request's body came for {seconds} s: nothing is done; send it again")]
    AwaitBody { seconds: u64 },
    /// The path or the query string cannot be read.
    #[error("Deserialize error in {place}: {message}")]
    ReadUrl {
        place: &'static str,
        message: String,
    },
    /// A value is outside its range.
    #[error("Validation error in {place}: [{field}: {message}]")]
    Validate {
        place: &'static str,
        field: String,
        message: String,
    },
    /// A value does not fit the collection.
    #[error("Wrong input: {field}: {message}")]
    Fit { field: String, message: String },
    /// Qdrant can do it, Quoit not yet.
    #[error("{0} is not supported yet")]
    NotYet(String),
    /// No such collection.
    #[error("Not found: Collection `{0}` doesn't exist!")]
    FindCollection(String),
    /// There is one, and what is in it cannot be read.
    #[error(
        "Service internal error: Collection `{name}` could not be opened at the start: {why}. \
         Mend it and start again; the other collections are served"
    )]
    OpenCollection { name: String, why: String },
    /// No such point.
    #[error("Not found: No point with id {0} found")]
    FindPoint(PointId),
    /// A point that was to be changed is not there.
    #[error("Not found: No point with id {0} found; what the request asks of other points is done")]
    ChangePoint(PointId),
    /// A point was to be changed only in a version that it no longer has.
    #[error(
        "Conflict: the point with id {id} is not of version {version}, it was changed or deleted: read it again; \
         what the request asks of other points is done"
    )]
    MatchVersion { id: PointId, version: u64 },
    /// No such path.
    #[error("Not found: no route {0}")]
    FindRoute(String),
    /// The path has other methods.
    #[error("{0} is not a method of {1}")]
    MatchMethod(Method, String),
    /// The body is too large.
    #[error(
        "The body of the request is larger than {limit} bytes: \
         send fewer points in a request, or raise the limit of the collection"
    )]
    FitBody { limit: usize },
    /// One message of a stream or of a call is too large.
    #[error(
        "A message of the request has {length} bytes and may have {limit}: send fewer points in a message"
    )]
    FitMessage { length: usize, limit: usize },
    /// Too much is going on.
    #[error("Too many requests are waiting: try again in a second, or send fewer at once")]
    Enter,
    /// Time ran out.
    #[error(
        "The request took longer than {}{}",
        time(*limit),
        if *writes { "; whether it took effect is unknown, repeating it is safe" } else { "" }
    )]
    Finish { limit: Duration, writes: bool },
    /// The collection was not created or deleted.
    #[error("{}", change_text(.name, .source))]
    ChangeCollection { name: String, source: CatalogError },
    /// The shards did not do it.
    #[error("{}", shards_text(.0))]
    AskShards(#[from] fanout::Error),
    /// The worker that chose among candidates is gone.
    #[error("Service internal error: choosing among the candidates broke off: {0}")]
    ChooseHits(#[from] tokio::task::JoinError),
    /// The task that wrote a batch is gone.
    #[error("Service internal error, the outcome is unknown: writing a batch broke off: {0}")]
    AwaitWrite(#[source] tokio::task::JoinError),
    /// The answer could not be written.
    #[error("Service internal error: the answer could not be written: {0}")]
    WriteAnswer(#[from] serde_json::Error),
}

/// A time as people write it.
fn time(time: Duration) -> String {
    if time.subsec_nanos() == 0 {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}

fn change_text(name: &str, source: &CatalogError) -> String {
    match source {
        CatalogError::AlreadyExists { differs } => {
            let differs = differs.as_ref().map(|d| format!(" It differs: {d}"));
            let differs = differs.unwrap_or_default();
            format!("Wrong input: Collection `{name}` already exists!{differs}")
        }
        CatalogError::Invalid { field, message } => {
            format!("Validation error in JSON body: [{field}: {message}]")
        }
        other => other.to_string(),
    }
}

fn shards_text(error: &fanout::Error) -> String {
    let prefix = match error.kind() {
        ErrorKind::Invalid => "Wrong input",
        ErrorKind::Busy => "Too busy, nothing was done",
        ErrorKind::DiskFull => "No space left, writes are refused until there is room",
        ErrorKind::Unavailable | ErrorKind::Behind | ErrorKind::NotLeader { .. } => "Unavailable",
        ErrorKind::Unknown => "Service internal error, the outcome is unknown",
    };
    format!("{prefix}: {error}")
}

impl Error {
    /// A name that stands for no collection that can be served.
    pub(crate) fn no_collection(name: &str, why: NoCollection) -> Self {
        let name = name.to_owned();
        match why {
            NoCollection::Unknown => Self::FindCollection(name),
            NoCollection::Unopened(why) => Self::OpenCollection { name, why },
        }
    }

    /// A field of the body that is out of its range.
    pub(crate) fn validate(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Validate {
            place: "JSON body",
            field: field.into(),
            message: message.into(),
        }
    }

    /// A field of the body that does not fit the collection.
    pub(crate) fn fit(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Fit {
            field: field.into(),
            message: message.into(),
        }
    }
}
