//! Around every request: its id, its span, its line in the log and its place
//! in the counts.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use crate::metrics::{REQUESTS, SECONDS};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An id that a client made is kept up to this length: it goes into the log.
const MAX_ID: usize = 128;

/// The text of an error, left in the response for the log.
#[derive(Clone)]
pub(crate) struct Said(pub(crate) String);

/// Runs a request with all of that around it.
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = id_of(&request);
    let method = request.method().clone();
    // A template and not the path: one series a route, not one a collection.
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| "none".to_owned(), |m| m.as_str().to_owned());
    let path = request.uri().path().to_owned();
    request.extensions_mut().insert(started);

    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
    let mut response = next.run(request).instrument(span.clone()).await;

    let seconds = started.elapsed().as_secs_f64();
    let status = response.status();
    let method = method.as_str();
    {
        let _in = span.enter();
        let said = response.extensions().get::<Said>();
        let error = said.map(|s| s.0.as_str());
        if status.is_server_error() {
            tracing::warn!(
                method,
                path,
                status = status.as_u16(),
                seconds,
                error,
                "request failed"
            );
        } else {
            tracing::debug!(
                method,
                path,
                status = status.as_u16(),
                seconds,
                error,
                "request"
            );
        }
    }
    let (method, status) = (known(method), status.as_str().to_owned());
    metrics::counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!(SECONDS, "method" => method, "route" => route).record(seconds);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The client's id of the request if it is fit for a log, else a new one.
pub(crate) fn id_of(request: &Request) -> HeaderValue {
    let theirs = request.headers().get(REQUEST_ID);
    let fit = |id: &&HeaderValue| {
        (1..=MAX_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if let Some(id) = theirs.filter(fit) {
        return id.clone();
    }
    let id = uuid::Uuid::new_v4().to_string();
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"))
}

/// The method as a label: clients can make up methods, series they cannot.
fn known(method: &str) -> &'static str {
    match method {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
