//! As much of HTTP/1.1 as is needed to ask one server one thing after another
//! over one connection, without a library whose cost would be measured too.

use crate::error::{Error, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A connection that is kept.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let failed = || Error::io(format!("connect to {address}"));
        let stream = TcpStream::connect(address).map_err(failed())?;
        stream.set_nodelay(true).map_err(failed())?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request with a JSON body, and gives back the answer's.
    ///
    /// # Errors
    /// The connection broke, or the answer is not a success.
    pub fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        let failed = || Error::io(format!("ask {method} {path}"));
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.0.get_mut().write_all(&request).map_err(failed())?;
        let mut line = String::new();
        self.0.read_line(&mut line).map_err(failed())?;
        let success = line
            .split(' ')
            .nth(1)
            .is_some_and(|code| code.starts_with('2'));
        let status = line.trim().to_owned();
        let mut length = 0;
        loop {
            line.clear();
            if self.0.read_line(&mut line).map_err(failed())? == 0 {
                return Err(Error::unexpected(format!(
                    "{method} {path}: the server hung up"
                )));
            }
            let header = line.trim();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer).map_err(failed())?;
        if success {
            return Ok(answer);
        }
        let said = String::from_utf8_lossy(&answer);
        Err(Error::unexpected(format!(
            "{method} {path}: {status}: {said}"
        )))
    }
}
