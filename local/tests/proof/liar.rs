//! A proxy before a server that passes on what is asked and answered, and lies
//! now and then in one certain way.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::net::TcpListener;

use crate::support::PATIENCE;

/// In which way it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Not at all.
    Never,
    /// An upsert is acknowledged and not done.
    LosesWrites,
    /// A delete is acknowledged and not done.
    LosesDeletes,
    /// An upsert is done and refused.
    RefusesWhatItDoes,
    /// A read by id is answered as it was the first time.
    ReadsOldPoints,
    /// A point comes with another's vector.
    TearsPoints,
    /// A count is one short.
    CountsShort,
    /// A search finds a point twice.
    FindsTwice,
    /// A search does not find the nearest.
    MissesTheNearest,
    /// A page lacks a point.
    ShortensPages,
    /// A replica has something else.
    HasAnotherReplica,
}

/// A running proxy.
#[derive(Clone)]
pub struct Liar {
    state: Arc<Inner>,
}

struct Inner {
    client: Client<HttpConnector, Full<Bytes>>,
    upstream: Mutex<String>,
    lie: Lie,
    /// Requests that it could lie about.
    tempted: AtomicU64,
    lies: AtomicU64,
    /// The first answer to a read by id that had a point.
    first: Mutex<HashMap<String, Value>>,
}

impl Liar {
    /// Starts one; gives its URL.
    pub async fn start(upstream: &str, lie: Lie) -> (Self, String) {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let liar = Self {
            state: Arc::new(Inner {
                client,
                upstream: Mutex::new(upstream.to_owned()),
                lie,
                tempted: AtomicU64::new(0),
                lies: AtomicU64::new(0),
                first: Mutex::default(),
            }),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
        let app = Router::new().fallback(pass_on).with_state(liar.clone());
        tokio::spawn(axum::serve(listener, app).into_future());
        (liar, url)
    }

    /// From now on it asks another server.
    pub fn turn_to(&self, upstream: &str) {
        upstream.clone_into(&mut self.state.upstream.lock().unwrap());
    }

    /// Waits until it has lied so often.
    pub async fn until_lies(&self, count: u64) {
        let begun = Instant::now();
        while self.state.lies.load(Ordering::SeqCst) < count {
            assert!(begun.elapsed() < PATIENCE, "there is nothing to lie about");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Whether it lies this time: every third.
    fn lies(&self) -> bool {
        let lies = self.state.tempted.fetch_add(1, Ordering::SeqCst) % 3 == 2;
        self.state.lies.fetch_add(u64::from(lies), Ordering::SeqCst);
        lies
    }

    async fn ask(&self, method: &Method, path: &str, headers: &HeaderMap, body: Bytes) -> Answer {
        let upstream = self.state.upstream.lock().unwrap().clone();
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(format!("{upstream}{path}"));
        if let Some(kind) = headers.get("content-type") {
            request = request.header("content-type", kind);
        }
        let request = request.body(Full::new(body)).unwrap();
        let answer = self.state.client.request(request).await.ok()?;
        let status = answer.status();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        Some((status, serde_json::from_slice(&body).unwrap()))
    }
}

/// `None` if there was none.
type Answer = Option<(StatusCode, Value)>;

async fn pass_on(State(liar): State<Liar>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().as_str().to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let call = Call {
        liar: &liar,
        parts: &parts,
        path: &path,
        body,
        asked,
    };
    match call.answer().await {
        Some((status, body)) => (status, body.to_string()).into_response(),
        None => StatusCode::BAD_GATEWAY.into_response(),
    }
}

struct Call<'a> {
    liar: &'a Liar,
    parts: &'a Parts,
    path: &'a str,
    body: Bytes,
    asked: Value,
}

impl Call<'_> {
    async fn pass_on(&self) -> Answer {
        let Parts {
            method, headers, ..
        } = self.parts;
        let body = self.body.clone();
        self.liar.ask(method, self.path, headers, body).await
    }

    fn is(&self, method: &Method, end: &str) -> bool {
        self.parts.method == *method && self.parts.uri.path().ends_with(end)
    }

    async fn answer(&self) -> Answer {
        let done = json!({"result": {"operation_id": 1_000_000, "status": "completed"}});
        // What is loaded before the clients begin comes in larger batches.
        let is_change = self.asked["points"]
            .as_array()
            .is_some_and(|p| p.len() == 1);
        let tempts = match self.liar.state.lie {
            Lie::Never => false,
            Lie::LosesWrites | Lie::RefusesWhatItDoes => {
                self.is(&Method::PUT, "/points") && is_change
            }
            Lie::LosesDeletes => self.is(&Method::POST, "/points/delete"),
            Lie::ReadsOldPoints | Lie::TearsPoints => self.is(&Method::POST, "/points"),
            Lie::CountsShort => self.is(&Method::POST, "/count") && !self.asked["filter"].is_null(),
            Lie::FindsTwice | Lie::MissesTheNearest => {
                self.is(&Method::POST, "/query") && self.asked["filter"].is_null()
            }
            Lie::ShortensPages => {
                self.is(&Method::POST, "/scroll") && self.asked["with_payload"] == false
            }
            Lie::HasAnotherReplica => self.is(&Method::GET, "/digests"),
        };
        if !tempts {
            return self.pass_on().await;
        }
        let lies = self.liar.lies() || self.liar.state.lie == Lie::HasAnotherReplica;
        if lies && matches!(self.liar.state.lie, Lie::LosesWrites | Lie::LosesDeletes) {
            return Some((StatusCode::OK, done));
        }
        let (status, mut answer) = self.pass_on().await?;
        if status != StatusCode::OK {
            return Some((status, answer));
        }
        let key = self.asked["ids"].to_string();
        let result = &mut answer["result"];
        match self.liar.state.lie {
            Lie::ReadsOldPoints => {
                let mut first = self.liar.state.first.lock().unwrap();
                if result[0].is_object() {
                    first.entry(key.clone()).or_insert_with(|| result.clone());
                }
                if let Some(old) = first.get(&key).filter(|_| lies) {
                    result.clone_from(old);
                }
            }
            _ if !lies => {}
            Lie::RefusesWhatItDoes => {
                let refusal = json!({"status": {"error": "No space left"}});
                return Some((StatusCode::INSUFFICIENT_STORAGE, refusal));
            }
            Lie::TearsPoints if result[0].is_object() => {
                result[0]["vector"].as_array_mut().unwrap().reverse();
            }
            Lie::CountsShort => {
                result["count"] = json!(result["count"].as_u64().unwrap() - 1);
            }
            Lie::FindsTwice => result["points"][1] = result["points"][0].clone(),
            Lie::MissesTheNearest => {
                result["points"].as_array_mut().unwrap().remove(0);
            }
            Lie::ShortensPages => {
                result["points"].as_array_mut().unwrap().remove(3);
            }
            Lie::HasAnotherReplica => {
                let replicas = result["shards"][0]["replicas"].as_array_mut().unwrap();
                let mut other = replicas[0].clone();
                other["node"] = json!(1);
                other["vnodes"][0]["digest"] = json!("00");
                replicas.push(other);
            }
            _ => {}
        }
        Some((status, answer))
    }
}
