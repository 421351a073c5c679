//! Around every call: its id, its span, its line in the log and its place in
//! the counts, as REST's requests have them; and words for those who call what
//! is not there.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tonic::{Code, Status};
use tracing::Instrument;

use crate::metrics::{CALL_SECONDS, CALLS};
use crate::request::{REQUEST_ID, id_of};

/// Runs a call with all of that around it. Of a stream that is answered, it sees
/// how it begins.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = id_of(&request);
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
    let mut response = next.run(request).instrument(span.clone()).await;
    let mut status = Status::from_header_map(response.headers());
    if let Some(found) = &status
        && found.code() == Code::Unimplemented
        && found.message().is_empty()
    {
        let unknown = unknown(&path);
        response = unknown.clone().into_http();
        status = Some(unknown);
    }
    let seconds = started.elapsed().as_secs_f64();
    // An answer that begins has its status at its end.
    let code = status.as_ref().map_or(Code::Ok, Status::code);
    {
        let _in = span.enter();
        let error = status.as_ref().map(Status::message);
        let is_ours = matches!(
            code,
            Code::Unknown
                | Code::Internal
                | Code::Unavailable
                | Code::FailedPrecondition
                | Code::DataLoss
        );
        if is_ours {
            tracing::warn!(path, ?code, seconds, error, "call failed");
        } else {
            tracing::debug!(path, ?code, seconds, error, "call");
        }
    }
    // Clients can make up methods, series they cannot.
    let method = if code == Code::Unimplemented {
        "none".to_owned()
    } else {
        path
    };
    metrics::counter!(CALLS, "method" => method.clone(), "code" => format!("{code:?}"))
        .increment(1);
    metrics::histogram!(CALL_SECONDS, "method" => method).record(seconds);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn unknown(path: &str) -> Status {
    Status::unimplemented(format!(
        "there is no method {path}: the services are quoit.v1.Points and quoit.v1.Collections, \
         and server reflection lists their methods"
    ))
}

/// The answer to a path that no service has.
pub(crate) async fn no_service(request: Request) -> Response {
    unknown(request.uri().path()).into_http()
}
