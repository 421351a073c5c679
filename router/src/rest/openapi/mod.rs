//! The description of the API that `/openapi.json` serves. A route comes into
//! the router and into the description by the same call, so that none is served
//! that is not described, and none described that is not served.

pub(crate) mod answers;
mod operation;
pub(crate) mod shape;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder,
};

use super::call::{Call, Effect, route};
use super::envelope::{self, Reply};
use super::error::Error;
use crate::server::App;
pub(crate) use operation::{Operation, Tag, a, many, yes};
pub(crate) use utoipa::openapi::HttpMethod;

/// Routes, and what is told of each.
pub(crate) struct Routes {
    router: Router<Arc<App>>,
    told: Vec<Told>,
}

struct Told {
    method: HttpMethod,
    path: &'static str,
    operation: Operation,
}

impl Routes {
    /// None so far.
    pub(crate) fn new() -> Self {
        Self {
            router: Router::new(),
            told: Vec::new(),
        }
    }

    /// One more call of the dialect.
    pub(crate) fn call<H, F>(
        self,
        method: HttpMethod,
        path: &'static str,
        effect: Effect,
        handler: H,
        operation: Operation,
    ) -> Self
    where
        H: Fn(Call) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Reply, Error>> + Send + 'static,
    {
        let served = route(filter(&method), effect, handler);
        self.with(method, path, served, operation.with_params(effect))
    }

    /// One more page that people and machines read by a GET.
    pub(crate) fn page<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let served = on(MethodFilter::GET, handler);
        self.with(HttpMethod::Get, path, served, operation)
    }

    fn with(
        mut self,
        method: HttpMethod,
        path: &'static str,
        served: MethodRouter<Arc<App>>,
        operation: Operation,
    ) -> Self {
        self.router = self.router.route(path, served);
        self.told.push(Told {
            method,
            path,
            operation,
        });
        self
    }

    /// A path that is known and not served: there is nothing to tell of it.
    pub(crate) fn refused<H, T>(mut self, method: &HttpMethod, path: &str, refuse: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        self.router = self.router.route(path, on(filter(method), refuse));
        self
    }

    /// The routes of both.
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.router = self.router.merge(others.router);
        self.told.extend(others.told);
        self
    }

    /// What serves them.
    pub(crate) fn into_router(self) -> Router<Arc<App>> {
        self.router
    }

    fn document(&self) -> OpenApi {
        let mut parts = operation::Parts::new();
        let mut paths = PathsBuilder::new();
        for told in &self.told {
            let path = public(told.path);
            let item = told.operation.item(told.method.clone(), &path, &mut parts);
            paths = paths.path(path, item);
        }
        let failed = operation::failed(&mut parts);
        let components = parts.into_iter().fold(
            ComponentsBuilder::new().response(operation::FAILED, failed),
            |components, (name, shape)| components.schema(name, shape),
        );
        OpenApiBuilder::new()
            .info(
                InfoBuilder::new()
                    .title("Quoit")
                    .description(Some(
                        "A vector database whose API speaks the dialect of Qdrant's clients.",
                    ))
                    .version(env!("CARGO_PKG_VERSION"))
                    .license(Some(
                        LicenseBuilder::new()
                            .name("Apache-2.0")
                            .identifier(Some("Apache-2.0"))
                            .build(),
                    ))
                    .build(),
            )
            .tags(Some(Tag::ALL.map(Tag::described)))
            .paths(paths)
            .components(Some(components.build()))
            .build()
    }
}

/// The path as it is told: variables have the names that Qdrant's description
/// gives them, since generated clients have them as names of arguments.
fn public(path: &str) -> String {
    path.replace("{c}", "{collection_name}")
        .replace("{field}", "{field_name}")
}

fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
}

/// The document's text. It changes with the program alone.
static DOCUMENT: LazyLock<Result<String, serde_json::Error>> = LazyLock::new(|| {
    let document = crate::server::routes().document();
    let text = document.to_pretty_json()? + "\n";
    // The registry of formats has no hyphen in them.
    Ok(text.replace("\"format\": \"u-int", "\"format\": \"uint"))
});

/// The description of the REST API as `/openapi.json` serves it: JSON with a
/// line end after it. `None` if it cannot be written as JSON.
#[must_use]
pub fn openapi() -> Option<&'static str> {
    DOCUMENT.as_deref().ok()
}

/// The document, in the document.
pub(crate) fn any_document(_: &mut shape::Parts) -> shape::Shape {
    shape::any_object()
}

/// `GET /openapi.json`.
pub(crate) async fn serve() -> Response {
    match &*DOCUMENT {
        Ok(text) => envelope::json(StatusCode::OK, text.clone().into_bytes()),
        Err(error) => {
            let text = format!("the description of the API cannot be written: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}
