//! The REST client of the commands: one connection, one request at a time, as small
//! as such a client can be. An answer that says "later" is asked again later,
//! which is what the push-back on writes expects of a client.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// For how long a request is asked again before its refusal is an error.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why a request got no good answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers there.
    #[error("cannot connect to http://{address}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection broke in {call}")]
    Talk {
        /// The request.
        call: String,
        /// How.
        source: hyper::Error,
    },
    /// The request cannot be written.
    #[error("{call} cannot be asked")]
    Ask {
        /// The request.
        call: String,
        /// Why.
        source: hyper::http::Error,
    },
    /// The server refused.
    #[error("{call} was answered with {status}: {message}")]
    Refused {
        /// The request.
        call: String,
        /// The answer's status.
        status: StatusCode,
        /// What the answer says.
        message: String,
    },
    /// The answer is not what such a request gets.
    #[error("the answer to {call} is not understood")]
    Answer {
        /// The request.
        call: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// One connection to the server.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    /// Moves the bytes; ends with the connection.
    driver: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    result: T,
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Connect { address, source };
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        // A request is written at once: waiting to fill a packet only adds to its time.
        stream.set_nodelay(true).map_err(failed)?;
        let talk = |source| Error::Talk {
            call: "the first words".to_owned(),
            source,
        };
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(talk)?;
        let driver = tokio::spawn(async move {
            // What breaks a connection is told to the request that is on it.
            drop(connection.await);
        });
        Ok(Self {
            sender,
            host: address.to_string(),
            driver,
        })
    }

    /// Asks, and reads the `result` of the answer.
    pub async fn call<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Error> {
        let Envelope { result } = self.whole(method, path, body).await?;
        Ok(result)
    }

    /// Asks, and reads the whole answer.
    pub async fn whole<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Error> {
        let call = || format!("{method} {path}");
        let since = Instant::now();
        loop {
            let (status, later, answer) = self.once(&method, path, body.clone()).await?;
            if status.is_success() {
                return serde_json::from_slice(&answer).map_err(|source| Error::Answer {
                    call: call(),
                    source,
                });
            }
            match later {
                Some(wait) if since.elapsed() < PATIENCE => tokio::time::sleep(wait).await,
                _ => {
                    return Err(Error::Refused {
                        call: call(),
                        status,
                        message: message(&answer),
                    });
                }
            }
        }
    }

    /// Asks once: the status, when to ask again if that is wished, and the body.
    async fn once(
        &mut self,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Option<Duration>, Bytes), Error> {
        let call = || format!("{method} {path}");
        let talk = |source| Error::Talk {
            call: call(),
            source,
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json");
        let request = request.body(Full::new(body)).map_err(|source| Error::Ask {
            call: call(),
            source,
        })?;
        self.sender.ready().await.map_err(talk)?;
        let answer = self.sender.send_request(request).await.map_err(talk)?;
        let status = answer.status();
        let later = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.parse().ok());
        let answer = answer.into_body().collect().await.map_err(talk)?.to_bytes();
        Ok((status, later.map(Duration::from_secs), answer))
    }
}

/// What an answer that is no success says, in words.
fn message(answer: &[u8]) -> String {
    let told: Option<Value> = serde_json::from_slice(answer).ok();
    let told = told
        .as_ref()
        .and_then(|v| v.pointer("/status/error"))
        .and_then(Value::as_str);
    told.map_or_else(
        || String::from_utf8_lossy(answer).into_owned(),
        str::to_owned,
    )
}
