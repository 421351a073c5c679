//! What an error is on the wire: the code tells a client what it may do, the
//! words are those of REST, and the details repeat for programs what the words
//! say to people: which field is wrong, and when to try again.

use std::time::Duration;

use prost::Message;
use prost_types::Any;
use quoit_proto::ErrorKind;
use quoit_proto::v1::ImportPointsResponse;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::aliases::BadAliases;
use crate::catalog::CatalogError;
use crate::error::Error;

/// When what was refused for a while may be tried again.
const SOON: Duration = Duration::from_secs(1);

/// The name of an import's summary among the details of a status.
const SUMMARY: &str = "type.googleapis.com/quoit.v1.ImportPointsResponse";

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let mut details = ErrorDetails::new();
        if is_brief(&error) {
            details.set_retry_info(Some(SOON));
        }
        let text = match &error {
            Error::Validate { field, message, .. } | Error::Fit { field, message } => {
                details.add_bad_request_violation(field, message);
                format!("Wrong input: {field}: {message}")
            }
            other => other.to_string(),
        };
        let mut status = Self::with_error_details(code(&error), text, details);
        if is_brief(&error) {
            let second = tonic::metadata::MetadataValue::from_static("1");
            status.metadata_mut().insert("retry-after", second);
        }
        status
    }
}

/// Whether it is expected to be over soon, and nothing was done.
fn is_brief(error: &Error) -> bool {
    match error {
        Error::Enter => true,
        Error::AskShards(error) => {
            use ErrorKind::{Behind, Busy, NotLeader, Unavailable};
            matches!(error.kind(), Busy | Unavailable | Behind | NotLeader { .. })
        }
        _ => false,
    }
}

fn code(error: &Error) -> Code {
    match error {
        Error::ReadJson(_)
        | Error::ReadBody(_)
        | Error::ReadUrl { .. }
        | Error::Validate { .. }
        | Error::Fit { .. }
        | Error::NotYet(_) => Code::InvalidArgument,
        Error::FindCollection(_) | Error::FindPoint(_) | Error::ChangePoint(_) => Code::NotFound,
        Error::MatchVersion { .. } => Code::Aborted,
        Error::FindRoute(_) | Error::MatchMethod(..) => Code::Unimplemented,
        // To try again is of no use before somebody has mended it.
        Error::OpenCollection { .. } => Code::FailedPrecondition,
        Error::FitBody { .. } | Error::FitMessage { .. } | Error::Enter => Code::ResourceExhausted,
        Error::AwaitBody { .. } | Error::Finish { .. } => Code::DeadlineExceeded,
        Error::ChangeCollection { source, .. } => match source {
            CatalogError::AlreadyExists { .. } => Code::AlreadyExists,
            CatalogError::Declared(_) | CatalogError::Unsupported(_) => Code::FailedPrecondition,
            CatalogError::Aliases(bad) => match bad {
                BadAliases::FindCollection(_) | BadAliases::FindAlias(_) => Code::NotFound,
                BadAliases::NameAlias(_) => Code::AlreadyExists,
            },
            CatalogError::Invalid { .. } => Code::InvalidArgument,
            CatalogError::DiskFull(_) => Code::ResourceExhausted,
            CatalogError::Internal(_) => Code::Internal,
        },
        Error::AskShards(error) => match error.kind() {
            ErrorKind::Invalid => Code::InvalidArgument,
            ErrorKind::Busy | ErrorKind::DiskFull => Code::ResourceExhausted,
            ErrorKind::Unavailable | ErrorKind::Behind | ErrorKind::NotLeader { .. } => {
                Code::Unavailable
            }
            ErrorKind::Unknown => Code::Unknown,
        },
        Error::AwaitWrite(_) => Code::Unknown,
        Error::ChooseHits(_) | Error::WriteAnswer(_) => Code::Internal,
    }
}

/// The error of an import that broke off, with the summary up to there.
pub(crate) fn broken_off(status: &Status, summary: &ImportPointsResponse) -> Status {
    // What is there of details is what was put in above.
    let mut rich = tonic_types::Status::decode(status.details()).unwrap_or_default();
    rich.code = status.code() as i32;
    rich.message = format!(
        "{}; of the {} points that came, all before position {} are durable or refused: go on from there",
        status.message(),
        summary.received,
        summary.next_position
    );
    rich.details.push(Any {
        type_url: SUMMARY.to_owned(),
        value: summary.encode_to_vec(),
    });
    Status::with_details_and_metadata(
        status.code(),
        rich.message.clone(),
        rich.encode_to_vec().into(),
        status.metadata().clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout;
    use quoit_proto::ShardError;
    use quoit_ring::ShardId;

    fn asked(kind: ErrorKind) -> Error {
        Error::AskShards(fanout::Error::Ask {
            shard: ShardId(0),
            source: ShardError::new(kind, "as the test says"),
        })
    }

    #[test]
    fn what_is_over_soon_says_when_to_try_again_and_nothing_else_does() {
        for (error, code, brief) in [
            (asked(ErrorKind::Busy), Code::ResourceExhausted, true),
            (asked(ErrorKind::Unavailable), Code::Unavailable, true),
            (asked(ErrorKind::Behind), Code::Unavailable, true),
            (Error::Enter, Code::ResourceExhausted, true),
            (asked(ErrorKind::DiskFull), Code::ResourceExhausted, false),
            (asked(ErrorKind::Unknown), Code::Unknown, false),
            (asked(ErrorKind::Invalid), Code::InvalidArgument, false),
            (Error::FitBody { limit: 1 }, Code::ResourceExhausted, false),
        ] {
            let status = Status::from(error);
            assert_eq!(status.code(), code, "{status}");
            let delay = status.get_details_retry_info().and_then(|i| i.retry_delay);
            assert_eq!(delay, brief.then_some(SOON), "{status}");
            assert_eq!(status.metadata().contains_key("retry-after"), brief);
        }
    }

    #[test]
    fn a_wrong_field_is_named_in_the_details() {
        let status = Status::from(Error::fit("points[3].vector", "it is too short"));
        assert_eq!(
            status.message(),
            "Wrong input: points[3].vector: it is too short"
        );
        let violations = status.get_error_details();
        let violations = &violations.bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "points[3].vector");
        assert_eq!(violations[0].description, "it is too short");
    }
}
