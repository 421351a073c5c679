//! Whether a process is ready: it is asked over HTTP, at its own address and with
//! no proxy between, so that a cut link makes nobody look dead.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// More of an answer than this is not read.
const MOST: u64 = 64 << 10;

/// How long after an answer it is asked again.
const BETWEEN: Duration = Duration::from_millis(50);

/// Resolves when this path answers 200.
pub async fn ready(address: SocketAddr, path: &str) {
    loop {
        let asked = tokio::time::timeout(PATIENCE, status(address, path)).await;
        if let Ok(Ok(200)) = asked {
            return;
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

async fn status(address: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    // To its end: a server that is cut short would complain. How that end comes
    // does not matter after the status.
    let mut answer = Vec::new();
    drop(stream.take(MOST).read_to_end(&mut answer).await);
    let answer = String::from_utf8_lossy(&answer);
    let code = answer
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5));
    code.and_then(|code| code.parse().ok())
        .ok_or_else(|| io::Error::other("no answer of HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn only_a_200_is_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = [
            "",
            "no HTTP at all",
            "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ];
        let server = tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    asked.push(stream.read_u8().await.unwrap());
                }
                assert!(asked.starts_with(b"GET /readyz HTTP/1"));
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let patience = Duration::from_mins(1);
        let ready = tokio::time::timeout(patience, ready(address, "/readyz"));
        ready.await.expect("the last answer is a 200");
        let asked = tokio::time::timeout(patience, server).await;
        asked.expect("it was asked so often").unwrap();
    }
}
