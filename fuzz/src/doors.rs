//! The router's two doors as clients see them, over two shards in memory. Each
//! input finds the same collections: `docs` with one vector without a name, and
//! `two` with vectors of two names.

use std::cell::OnceCell;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Uri};
use quoit_proto::v1::points_client::PointsClient;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::support::catalog::Saved;
use crate::support::{Answer, Server};

/// The router and what runs it.
pub struct Doors {
    runtime: Runtime,
    server: Server,
    /// What each input finds.
    filled: Option<Saved>,
}

thread_local! {
    static DOORS: OnceCell<Doors> = const { OnceCell::new() };
}

/// Runs something with the doors, as if nothing had come through them before.
///
/// # Panics
/// They do not open.
pub fn fresh<T>(work: impl FnOnce(&Doors) -> T) -> T {
    DOORS.with(|doors| {
        let doors = doors.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                // A deadline is reached when nothing else is left to do.
                .start_paused(true)
                .build();
            let mut doors = Doors {
                runtime: runtime.expect("a runtime starts"),
                server: Server::new(2),
                filled: None,
            };
            doors.fill();
            doors.filled = Some(doors.server.catalog.save());
            doors
        });
        if let Some(filled) = &doors.filled {
            doors.server.catalog.restore(filled);
        }
        work(doors)
    })
}

impl Doors {
    fn fill(&self) {
        let two = json!({"vectors": {
            "text": {"size": 3, "distance": "Euclid"}, "image": {"size": 2, "distance": "Dot"},
        }});
        let docs = json!({"vectors": {"size": 3, "distance": "Cosine"}});
        let points = json!({"points": [
            {"id": 1, "vector": [1, 2, 3], "payload": {
                "a": {"b": [1, 2.5, "x", null]}, "t": "2024-02-29T12:00:00Z", "text": "one two three", "n": 3,
            }},
            {"id": 2, "vector": [3, 2, 1], "payload": {
                "a": [{"b": 1}, {"b": "2", "c": true}], "place": {"lat": 52.5, "lon": 13.4}, "n": -1.5,
            }},
            {"id": "5c56c793-69f3-4fbf-87e6-c4bf54c28c26", "vector": [0, 1, 0]},
        ]});
        let named = json!({"points": [
            {"id": 1, "vector": {"text": [1, 2, 3], "image": [1, 2]}, "payload": {"a": "x"}},
            {"id": 3, "vector": {"image": [2, 1]}},
        ]});
        for (path, body) in [
            ("/collections/docs", docs),
            ("/collections/two", two),
            ("/collections/docs/points", points),
            ("/collections/two/points", named),
        ] {
            let answer = self.rest("PUT", path, body.to_string().into_bytes());
            assert!(answer.status.is_success(), "{path}: {}", answer.text);
        }
    }

    /// The answer of the REST door to a call.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn rest(&self, method: &str, path: &str, body: Vec<u8>) -> Answer {
        self.runtime.block_on(self.server.call(method, path, body))
    }

    /// Holds the answer to a call to what clients may rely on: an envelope,
    /// which says what was wrong, and no failure of the server's own. Says
    /// whether it went well.
    ///
    /// # Panics
    /// It is not as it should be.
    pub fn rest_answers(&self, method: &str, path: &str, body: Vec<u8>) -> bool {
        let answer = self.rest(method, path, body);
        let what = || format!("{method} {path}: {} {}", answer.status, answer.text);
        assert!(answer.status.as_u16() < 500, "{}", what());
        if path.starts_with("/collections") {
            let json: Value = serde_json::from_str(&answer.text).unwrap_or_default();
            let status = &json["status"];
            if answer.status.is_success() {
                assert_eq!(status, "ok", "{}", what());
            } else {
                let error = status["error"].as_str();
                assert!(error.is_some_and(|error| !error.is_empty()), "{}", what());
            }
        }
        answer.status.is_success()
    }

    /// Reads everything that is there in several ways.
    ///
    /// # Panics
    /// Something cannot be read.
    pub fn all_can_be_read(&self) {
        for collection in ["docs", "two"] {
            for (call, body) in [
                (
                    "scroll",
                    json!({"limit": 50, "with_payload": {"exclude": ["x.y"]}, "with_vector": true}),
                ),
                (
                    "count",
                    json!({"filter": {"must_not": {"key": "a[].b", "range": {"gt": 1}}}}),
                ),
            ] {
                let path = format!("/collections/{collection}/points/{call}");
                self.rest_answers("POST", &path, body.to_string().into_bytes());
            }
        }
    }

    /// A client of the gRPC door.
    #[must_use]
    pub fn grpc(&self) -> PointsClient<axum::Router> {
        PointsClient::new(self.server.grpc.clone())
    }

    /// Bytes as a call's body to the gRPC door, without a client's care.
    ///
    /// # Panics
    /// There is no answer.
    pub fn grpc_bytes(&self, path: &str, body: Vec<u8>) {
        let request = Request::post(path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::from(body));
        let request = request.expect("the path is one of ours");
        self.run(async {
            let response = self.server.grpc.clone().oneshot(request).await;
            let Ok(response) = response;
            assert!(response.status().is_success(), "{}", response.status());
            // A stream that ends with an error has one in its trailers.
            let _ = to_bytes(response.into_body(), usize::MAX).await;
        });
    }

    /// Waits for something.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// Whether the server takes a path at all: what no HTTP request can carry is
/// nobody's input.
#[must_use]
pub fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.parse::<Uri>().is_ok()
}
