//! One request over HTTP, and what is known after it: that it was answered,
//! that it never left, or neither.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::error::Error;
use std::time::Duration;

/// What is known after a request.
#[derive(Debug)]
pub enum Reply {
    /// It was answered, with a status and a body.
    Answered(StatusCode, Bytes),
    /// Nobody got it.
    NotSent(String),
    /// There is no answer, and it may have come through.
    Lost(String),
}

/// Asks servers.
#[derive(Clone)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

impl Http {
    /// One that waits so long for an answer.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        // A request is written at once: waiting to fill a packet only adds to its time.
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, timeout }
    }

    /// Asks once.
    pub async fn ask(&self, method: Method, url: &str, body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Reply::NotSent(chain(&error)),
        };
        let exchange = async {
            let answer = match self.client.request(request).await {
                Ok(answer) => answer,
                Err(error) if error.is_connect() => return Reply::NotSent(chain(&error)),
                Err(error) => return Reply::Lost(chain(&error)),
            };
            let status = answer.status();
            match answer.into_body().collect().await {
                Ok(body) => Reply::Answered(status, body.to_bytes()),
                Err(error) => Reply::Lost(chain(&error)),
            }
        };
        let waited = tokio::time::timeout(self.timeout, exchange).await;
        waited.unwrap_or_else(|_| Reply::Lost(format!("no answer within {:?}", self.timeout)))
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
