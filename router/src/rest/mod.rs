//! The REST API in the dialect of Qdrant's clients: which route is served by
//! what. A route of theirs that is not served yet is known all the same, so
//! that it can be told from a mistyped one.

mod body;
mod call;
mod collections;
mod edits;
mod envelope;
mod error;
mod filter;
mod groups;
mod ids;
mod not_yet;
mod params;
mod payload;
mod plan;
mod points;
mod prefetch;
mod query;
mod run;
mod sampled;
mod select;
mod update;
mod upsert;
mod vectors;
mod wish;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodFilter;

use crate::server::App;
use call::{Effect, route};
use error::Error;

/// The routes of collections and points.
pub(crate) fn routes() -> Router<Arc<App>> {
    let (get, post) = (MethodFilter::GET, MethodFilter::POST);
    let (put, delete) = (MethodFilter::PUT, MethodFilter::DELETE);
    let (reads, writes) = (Effect::Reads, Effect::Writes);
    let served = Router::new()
        .route("/collections", route(get, reads, collections::list))
        .route("/collections/{c}", route(get, reads, collections::info))
        .route("/collections/{c}", route(put, writes, collections::create))
        .route(
            "/collections/{c}",
            route(delete, writes, collections::delete),
        )
        .route(
            "/collections/{c}/exists",
            route(get, reads, collections::exists),
        )
        .route(
            "/collections/{c}/points",
            route(put, writes, upsert::upsert),
        )
        .route(
            "/collections/{c}/points",
            route(post, reads, points::retrieve),
        )
        .route(
            "/collections/{c}/points/{id}",
            route(get, reads, points::get),
        )
        .route(
            "/collections/{c}/points/scroll",
            route(post, reads, points::scroll),
        )
        .route(
            "/collections/{c}/points/count",
            route(post, reads, points::count),
        )
        .route(
            "/collections/{c}/points/delete",
            route(post, writes, edits::delete),
        )
        .route(
            "/collections/{c}/points/payload",
            route(post, writes, edits::set_payload),
        )
        .route(
            "/collections/{c}/points/payload",
            route(put, writes, edits::overwrite_payload),
        )
        .route(
            "/collections/{c}/points/payload/delete",
            route(post, writes, edits::delete_payload),
        )
        .route(
            "/collections/{c}/points/payload/clear",
            route(post, writes, edits::clear_payload),
        )
        .route(
            "/collections/{c}/points/vectors",
            route(put, writes, edits::update_vectors),
        )
        .route(
            "/collections/{c}/points/batch",
            route(post, writes, edits::batch),
        )
        .route(
            "/collections/{c}/points/query",
            route(post, reads, query::query),
        )
        .route(
            "/collections/{c}/points/query/batch",
            route(post, reads, query::query_batch),
        )
        .route(
            "/collections/{c}/points/search",
            route(post, reads, query::search),
        )
        .route(
            "/collections/{c}/points/search/batch",
            route(post, reads, query::search_batch),
        )
        .route(
            "/collections/{c}/points/query/groups",
            route(post, reads, groups::query_groups),
        )
        .route(
            "/collections/{c}/points/search/groups",
            route(post, reads, groups::search_groups),
        )
        .route(
            "/collections/{c}/points/recommend",
            route(post, reads, query::recommend),
        )
        .route(
            "/collections/{c}/points/recommend/batch",
            route(post, reads, query::recommend_batch),
        );
    NOT_YET.iter().fold(served, |router, (methods, path)| {
        methods.iter().fold(router, |router, method| {
            router.route(path, axum::routing::on(*method, refuse))
        })
    })
}

/// What Qdrant has and Quoit has not yet.
const NOT_YET: &[(&[MethodFilter], &str)] = {
    const GET: MethodFilter = MethodFilter::GET;
    const POST: MethodFilter = MethodFilter::POST;
    const PUT: MethodFilter = MethodFilter::PUT;
    const PATCH: MethodFilter = MethodFilter::PATCH;
    const DELETE: MethodFilter = MethodFilter::DELETE;
    &[
        (&[PATCH], "/collections/{c}"),
        (&[POST], "/collections/aliases"),
        (&[GET], "/aliases"),
        (&[GET], "/collections/{c}/aliases"),
        (&[GET, POST], "/collections/{c}/cluster"),
        (&[GET], "/collections/{c}/optimizations"),
        (&[POST], "/collections/{c}/facet"),
        (&[PUT], "/collections/{c}/index"),
        (&[DELETE], "/collections/{c}/index/{field}"),
        (&[GET, PUT], "/collections/{c}/shards"),
        (&[POST], "/collections/{c}/shards/delete"),
        (&[GET, POST], "/collections/{c}/snapshots"),
        (&[GET, DELETE], "/collections/{c}/snapshots/{snapshot}"),
        (&[PUT], "/collections/{c}/snapshots/recover"),
        (&[POST], "/collections/{c}/snapshots/upload"),
        (&[PUT, DELETE], "/collections/{c}/vectors/{vector}"),
        (&[POST], "/collections/{c}/points/vectors/delete"),
        (&[POST], "/collections/{c}/points/search/matrix/pairs"),
        (&[POST], "/collections/{c}/points/search/matrix/offsets"),
        (&[POST], "/collections/{c}/points/recommend/groups"),
        (&[POST], "/collections/{c}/points/discover"),
        (&[POST], "/collections/{c}/points/discover/batch"),
        (&[GET, POST], "/snapshots"),
        (&[GET, DELETE], "/snapshots/{snapshot}"),
        (&[GET], "/cluster"),
        (&[GET], "/telemetry"),
        (&[GET, DELETE], "/issues"),
    ]
};

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
