//! The REST API in the dialect of Qdrant's clients: which route is served by
//! what. A route of theirs that is not served yet is known all the same, so
//! that it can be told from a mistyped one.

mod aliases;
mod body;
mod call;
mod collections;
mod edits;
mod envelope;
mod error;
mod explain;
mod facet;
mod filter;
mod groups;
mod ids;
mod indexes;
mod likeness;
mod lookup;
mod matrix;
mod not_yet;
mod order;
mod params;
mod payload;
mod plan;
mod points;
mod prefetch;
mod query;
mod run;
mod sampled;
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
use call::Effect::{Reads, Writes};
use call::route;
use error::Error;

pub use filter::filter_from_json;

type Routes = Router<Arc<App>>;

const GET: MethodFilter = MethodFilter::GET;
const POST: MethodFilter = MethodFilter::POST;
const PUT: MethodFilter = MethodFilter::PUT;
const PATCH: MethodFilter = MethodFilter::PATCH;
const DELETE: MethodFilter = MethodFilter::DELETE;

/// All routes of the dialect.
pub(crate) fn routes() -> Routes {
    let served = of_searches(of_points(of_collections(Router::new())));
    NOT_YET.iter().fold(served, |router, (methods, path)| {
        methods.iter().fold(router, |router, method| {
            router.route(path, axum::routing::on(*method, refuse))
        })
    })
}

fn of_collections(routes: Routes) -> Routes {
    routes
        .route("/collections", route(GET, Reads, collections::list))
        .route("/collections/{c}", route(GET, Reads, collections::info))
        .route("/collections/{c}", route(PUT, Writes, collections::create))
        .route(
            "/collections/{c}",
            route(DELETE, Writes, collections::delete),
        )
        .route(
            "/collections/{c}/exists",
            route(GET, Reads, collections::exists),
        )
        .route("/collections/aliases", route(POST, Writes, aliases::change))
        .route("/aliases", route(GET, Reads, aliases::list))
        .route(
            "/collections/{c}/aliases",
            route(GET, Reads, aliases::of_collection),
        )
        .route("/collections/{c}/facet", route(POST, Reads, facet::facet))
        .route(
            "/collections/{c}/index",
            route(PUT, Writes, indexes::create),
        )
        .route(
            "/collections/{c}/index/{field}",
            route(DELETE, Writes, indexes::drop),
        )
}

fn of_points(routes: Routes) -> Routes {
    routes
        .route(
            "/collections/{c}/points",
            route(PUT, Writes, upsert::upsert),
        )
        .route(
            "/collections/{c}/points",
            route(POST, Reads, points::retrieve),
        )
        .route(
            "/collections/{c}/points/{id}",
            route(GET, Reads, points::get),
        )
        .route(
            "/collections/{c}/points/scroll",
            route(POST, Reads, points::scroll),
        )
        .route(
            "/collections/{c}/points/count",
            route(POST, Reads, points::count),
        )
        .route(
            "/collections/{c}/points/delete",
            route(POST, Writes, edits::delete),
        )
        .route(
            "/collections/{c}/points/payload",
            route(POST, Writes, edits::set_payload),
        )
        .route(
            "/collections/{c}/points/payload",
            route(PUT, Writes, edits::overwrite_payload),
        )
        .route(
            "/collections/{c}/points/payload/delete",
            route(POST, Writes, edits::delete_payload),
        )
        .route(
            "/collections/{c}/points/payload/clear",
            route(POST, Writes, edits::clear_payload),
        )
        .route(
            "/collections/{c}/points/vectors",
            route(PUT, Writes, edits::update_vectors),
        )
        .route(
            "/collections/{c}/points/vectors/delete",
            route(POST, Writes, edits::delete_vectors),
        )
        .route(
            "/collections/{c}/points/batch",
            route(POST, Writes, edits::batch),
        )
}

fn of_searches(routes: Routes) -> Routes {
    routes
        .route(
            "/collections/{c}/points/query",
            route(POST, Reads, query::query),
        )
        .route(
            "/collections/{c}/points/query/batch",
            route(POST, Reads, query::query_batch),
        )
        .route(
            "/collections/{c}/points/search",
            route(POST, Reads, query::search),
        )
        .route(
            "/collections/{c}/points/search/batch",
            route(POST, Reads, query::search_batch),
        )
        .route(
            "/collections/{c}/points/query/groups",
            route(POST, Reads, groups::query_groups),
        )
        .route(
            "/collections/{c}/points/search/groups",
            route(POST, Reads, groups::search_groups),
        )
        .route(
            "/collections/{c}/points/recommend",
            route(POST, Reads, query::recommend),
        )
        .route(
            "/collections/{c}/points/recommend/batch",
            route(POST, Reads, query::recommend_batch),
        )
        .route(
            "/collections/{c}/points/recommend/groups",
            route(POST, Reads, groups::recommend_groups),
        )
        .route(
            "/collections/{c}/points/discover",
            route(POST, Reads, query::discover),
        )
        .route(
            "/collections/{c}/points/discover/batch",
            route(POST, Reads, query::discover_batch),
        )
        .route(
            "/collections/{c}/points/search/matrix/pairs",
            route(POST, Reads, matrix::pairs),
        )
        .route(
            "/collections/{c}/points/search/matrix/offsets",
            route(POST, Reads, matrix::offsets),
        )
}

/// What Qdrant has and Quoit has not yet.
const NOT_YET: &[(&[MethodFilter], &str)] = &[
    (&[PATCH], "/collections/{c}"),
    (&[GET, POST], "/collections/{c}/cluster"),
    (&[GET], "/collections/{c}/optimizations"),
    (&[GET, PUT], "/collections/{c}/shards"),
    (&[POST], "/collections/{c}/shards/delete"),
    (&[GET, POST], "/collections/{c}/snapshots"),
    (&[GET, DELETE], "/collections/{c}/snapshots/{snapshot}"),
    (&[PUT], "/collections/{c}/snapshots/recover"),
    (&[POST], "/collections/{c}/snapshots/upload"),
    (&[PUT, DELETE], "/collections/{c}/vectors/{vector}"),
    (&[GET, POST], "/snapshots"),
    (&[GET, DELETE], "/snapshots/{snapshot}"),
    (&[GET], "/cluster"),
    (&[GET], "/telemetry"),
    (&[GET, DELETE], "/issues"),
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
