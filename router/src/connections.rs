//! The connections of clients: how many there are, how long a silent one
//! is kept, and how they end when the process stops.
//!
//! Each costs a file descriptor, and the shards of a process need some of those
//! too: a flood of connections must wait, and not take the last one from a
//! checkpoint.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How long the next request's head may take, the wait for its first byte
/// included: longer than clients keep idle connections, as a rule, so that it
/// is they who close them.
const SILENCE: Duration = Duration::from_mins(2);

/// The pause after the operating system gave no connection: it lacks something,
/// and asking at once again would only burn time.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a client of HTTP/2 that says nothing is asked whether it is there,
/// and how long it may take to say so.
const ASK: Duration = Duration::from_secs(30);
const ASK_PATIENCE: Duration = Duration::from_secs(20);

/// What a client of HTTP/2 may send before it is read: on one stream, and on all
/// of a connection together. This much is kept of what nobody takes yet.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// The longest frame: long ones make large messages cheaper.
const FRAME: u32 = 256 << 10;

/// Streams of one connection at the same time.
const STREAMS: u32 = 256;

/// Serves connections of HTTP/1.1 until `stop` resolves, then lets requests in
/// flight end. No more than `most` are open at the same time; others wait to be
/// accepted.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    most: usize,
    stop: impl Future<Output = ()>,
) {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE);
    let speak = |stream| {
        let service = TowerToHyperService::new(router.clone());
        protocol.serve_connection(TokioIo::new(stream), service)
    };
    accept(listener, speak, most, stop).await;
}

/// The same of HTTP/2.
pub(crate) async fn serve_http2(
    listener: TcpListener,
    router: Router,
    most: usize,
    stop: impl Future<Output = ()>,
) {
    let mut protocol = http2::Builder::new(TokioExecutor::new());
    protocol
        .timer(TokioTimer::new())
        .keep_alive_interval(ASK)
        .keep_alive_timeout(ASK_PATIENCE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(STREAMS);
    let speak = |stream| {
        let service = TowerToHyperService::new(router.clone());
        protocol.serve_connection(TokioIo::new(stream), service)
    };
    accept(listener, speak, most, stop).await;
}

async fn accept<C>(
    listener: TcpListener,
    speak: impl Fn(TcpStream) -> C,
    most: usize,
    stop: impl Future<Output = ()>,
) where
    C: GracefulConnection<Error = hyper::Error> + Send + 'static,
{
    let open = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            // Closed is what the semaphore never is.
            let place = Arc::clone(&open).acquire_owned().await;
            let place = place.map_err(io::Error::other)?;
            let (stream, _) = listener.accept().await?;
            io::Result::Ok((place, stream))
        };
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        let (place, stream) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !is_the_clients(&error) {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
                continue;
            }
        };
        without_delay(&stream);
        let connection = graceful.watch(speak(stream));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Whether a connection was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// An answer is written at once and whole; waiting for more to send with it
/// would only cost time. Not to be had is no reason not to serve.
fn without_delay(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server of so many connections, for ever.
    async fn served(most: usize) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(serve(listener, router, most, std::future::pending()));
        address
    }

    async fn ask(stream: &mut TcpStream) {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        while !text.ends_with("here") {
            let mut part = [0; 512];
            let n = stream.read(&mut part).await.unwrap();
            assert!(n > 0, "it ended after {text:?}");
            text.push_str(std::str::from_utf8(&part[..n]).unwrap());
        }
        text
    }

    #[tokio::test]
    async fn one_connection_too_many_waits_until_another_ends() {
        let address = served(1).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        ask(&mut first).await;
        answer(&mut first).await;
        let mut second = TcpStream::connect(address).await.unwrap();
        ask(&mut second).await;
        for _ in 0..50 {
            ask(&mut first).await;
            answer(&mut first).await;
        }
        let early = second.try_read(&mut [0]).unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
        drop(first);
        assert!(answer(&mut second).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_sends_no_whole_head_is_closed() {
        let address = served(2).await;
        for sent in ["", "GET / HTTP/1.1\r\nhost:"] {
            let begun = tokio::time::Instant::now();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            assert_eq!(stream.read(&mut [0; 512]).await.unwrap(), 0, "{sent:?}");
            assert!(begun.elapsed() >= SILENCE);
        }
    }
}
