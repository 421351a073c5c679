//! A router over fake shards, called without a socket.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use quoit_router::{App, CollectionLimits, ServerLimits};
use serde_json::Value;
use tower::ServiceExt;

use super::{FakeCatalog, LIMITS};

/// The ids of points that were answered.
pub fn ids(points: &Value) -> Vec<Value> {
    let points = points.as_array().unwrap();
    points.iter().map(|p| p["id"].clone()).collect()
}

/// A router over fake shards.
pub struct Server {
    /// The routes.
    pub router: axum::Router,
    /// The same by gRPC.
    pub grpc: axum::Router,
    /// The collections behind them.
    pub catalog: Arc<FakeCatalog>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The result of a call that went well.
    pub fn result(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()["result"].clone()
    }

    /// The text of the error.
    pub fn error(&self) -> String {
        let json = self.json();
        let error = json["status"]["error"].as_str();
        error
            .unwrap_or_else(|| panic!("no error: {}", self.text))
            .to_owned()
    }
}

impl Server {
    /// A router with no collections, which get so many shards.
    pub fn new(shards: u32) -> Self {
        Self::with(shards, ServerLimits::default(), LIMITS)
    }

    /// The same with other limits.
    pub fn with(shards: u32, server: ServerLimits, limits: CollectionLimits) -> Self {
        let catalog = Arc::new(FakeCatalog {
            shard_count: shards,
            limits,
            all: Mutex::default(),
            indexes: Mutex::default(),
            aliases: Mutex::default(),
        });
        let app = Arc::new(App::new(catalog.clone(), server, None));
        Self {
            router: quoit_router::router(app.clone()),
            grpc: quoit_router::grpc_routes(app),
            catalog,
        }
    }

    /// A router with the collection `docs` of three coordinates.
    pub async fn docs(shards: u32, metric: &str) -> Self {
        let server = Self::new(shards);
        server.create_docs(metric).await;
        server
    }

    /// The same, of collections that take large requests.
    pub async fn large(shards: u32, metric: &str) -> Self {
        let limits = CollectionLimits {
            max_request_bytes: 32 << 20,
            ..LIMITS
        };
        let server = Self::with(shards, ServerLimits::default(), limits);
        server.create_docs(metric).await;
        server
    }

    /// Makes the collection `docs`.
    pub async fn create_docs(&self, metric: &str) {
        let body = format!(r#"{{"vectors": {{"size": 3, "distance": "{metric}"}}}}"#);
        self.call("PUT", "/collections/docs", body).await.result();
    }

    /// Puts points into `docs`, of the form of the API.
    pub async fn put(&self, points: Value) {
        let body = serde_json::json!({ "points": points }).to_string();
        self.call("PUT", "/collections/docs/points?wait=true", body)
            .await
            .result();
    }

    /// Sends one request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Sends one request of a method, a path and a body.
    pub async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }
}
