//! The status, headers and envelope that a client of the dialect gets for an
//! error. The codes are Qdrant's: 400 for what cannot be read or done, 422 for
//! a value out of its range, 408 when time runs out.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use quoit_proto::ErrorKind;

use super::envelope;
use crate::aliases::BadAliases;
use crate::catalog::CatalogError;
pub(crate) use crate::error::Error;
use crate::request::Said;

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::ReadJson(_)
            | Self::ReadBody(_)
            | Self::ReadUrl { .. }
            | Self::Fit { .. }
            | Self::NotYet(_) => StatusCode::BAD_REQUEST,
            Self::Validate { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::FindCollection(_)
            | Self::FindPoint(_)
            | Self::ChangePoint(_)
            | Self::FindRoute(_) => StatusCode::NOT_FOUND,
            Self::MatchVersion { .. } => StatusCode::CONFLICT,
            Self::MatchMethod(..) => StatusCode::METHOD_NOT_ALLOWED,
            Self::FitBody { .. } | Self::FitMessage { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Enter => StatusCode::TOO_MANY_REQUESTS,
            Self::AwaitBody { .. } | Self::Finish { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::OpenCollection { .. }
            | Self::ChooseHits(_)
            | Self::AwaitWrite(_)
            | Self::WriteAnswer(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ChangeCollection { source, .. } => match source {
                CatalogError::AlreadyExists { .. } | CatalogError::Declared(_) => {
                    StatusCode::CONFLICT
                }
                CatalogError::Aliases(bad) => match bad {
                    BadAliases::FindCollection(_) | BadAliases::FindAlias(_) => {
                        StatusCode::NOT_FOUND
                    }
                    BadAliases::NameAlias(_) => StatusCode::CONFLICT,
                },
                CatalogError::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
                CatalogError::Unsupported(_) => StatusCode::BAD_REQUEST,
                CatalogError::DiskFull(_) => StatusCode::INSUFFICIENT_STORAGE,
                CatalogError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::AskShards(error) => match error.kind() {
                ErrorKind::Invalid => StatusCode::BAD_REQUEST,
                ErrorKind::Busy => StatusCode::TOO_MANY_REQUESTS,
                ErrorKind::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
                ErrorKind::Unavailable | ErrorKind::Behind | ErrorKind::NotLeader { .. } => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                ErrorKind::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    /// The answer, with the time that the request took.
    pub(crate) fn answer(&self, seconds: f64) -> Response {
        let status = self.status();
        let text = self.to_string();
        let mut response = envelope::json(status, envelope::failed(&text, seconds));
        let soon = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if soon.contains(&status) {
            let second = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, second);
        }
        response.extensions_mut().insert(Said(text));
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.answer(0.0)
    }
}
