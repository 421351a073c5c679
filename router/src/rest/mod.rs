//! The REST API in the dialect of Qdrant's clients. A route of theirs that is
//! not served yet is known all the same, so that it can be told from a mistyped
//! one.

mod aliases;
mod body;
mod call;
mod collections;
mod digests;
mod edits;
mod envelope;
mod error;
mod explain;
mod facet;
mod filter;
mod groups;
mod ids;
mod indexes;
mod info;
mod likeness;
mod lookup;
mod matrix;
mod not_yet;
pub(crate) mod openapi;
mod order;
mod params;
mod payload;
mod plan;
mod points;
mod prefetch;
mod query;
mod run;
mod sampled;
mod strict;
mod table;
mod update;
mod upsert;
mod vectors;
mod wish;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};

use error::Error;
use openapi::HttpMethod::{self, Delete, Get, Patch, Post, Put};
use openapi::Routes;

pub use filter::filter_from_json;

/// All routes of the dialect.
pub(crate) fn routes() -> Routes {
    let served = table::of_collections()
        .and(table::of_points())
        .and(table::of_changes())
        .and(table::of_queries())
        .and(table::of_searches())
        .and(table::of_figures())
        .and(table::of_quoit());
    NOT_YET.iter().fold(served, |routes, (methods, path)| {
        methods.iter().fold(routes, |routes, method| {
            routes.refused(method, path, refuse)
        })
    })
}

/// What Qdrant has and Quoit has not yet.
const NOT_YET: &[(&[HttpMethod], &str)] = &[
    (&[Patch], "/collections/{c}"),
    (&[Get, Post], "/collections/{c}/cluster"),
    (&[Get], "/collections/{c}/optimizations"),
    (&[Get, Put], "/collections/{c}/shards"),
    (&[Post], "/collections/{c}/shards/delete"),
    (&[Get, Post], "/collections/{c}/snapshots"),
    (&[Get, Delete], "/collections/{c}/snapshots/{snapshot}"),
    (&[Put], "/collections/{c}/snapshots/recover"),
    (&[Post], "/collections/{c}/snapshots/upload"),
    (&[Put, Delete], "/collections/{c}/vectors/{vector}"),
    (&[Get, Post], "/snapshots"),
    (&[Get, Delete], "/snapshots/{snapshot}"),
    (&[Get], "/cluster"),
    (&[Get], "/telemetry"),
    (&[Get, Delete], "/issues"),
];

async fn refuse(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    body::discard(body).await;
    Error::NotYet(format!("{} {}", parts.method, parts.uri.path())).into_response()
}

/// The answer to a path that no route has.
pub(crate) async fn no_route(request: Request) -> Response {
    Error::FindRoute(request.uri().path().to_owned()).into_response()
}

/// The answer to a method that a path does not have.
pub(crate) async fn no_method(request: Request) -> Response {
    let method = request.method().clone();
    Error::MatchMethod(method, request.uri().path().to_owned()).into_response()
}
