//! Connections to other programs of the cluster: how they are made, and when one
//! that says nothing is taken for lost.

use std::net::IpAddr;
use std::time::Duration;
use tonic::codegen::http::uri::Authority;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

/// How long it may take to connect. One that does not answer the knock must not
/// hold up what the others decide.
const CONNECT: Duration = Duration::from_secs(1);

/// A connection on which nothing comes is asked for a sign of life this often, and
/// given up when there is none: packets that are lost on the way are not told of.
const ASK: Duration = Duration::from_secs(2);
const ASK_PATIENCE: Duration = Duration::from_secs(3);

/// How other programs are reached.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// For connections that are secured.
    pub tls: Option<ClientTlsConfig>,
    /// The local address that connections are made from; any if unset.
    pub from: Option<IpAddr>,
}

/// An address that nobody can be at.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{address} is no HOST:PORT: {why}")]
pub struct BadAddress {
    address: String,
    why: String,
}

/// Whether this is HOST:PORT, and somebody could be there.
#[must_use]
pub fn is_host_port(text: &str) -> bool {
    let authority = text.parse::<Authority>().ok();
    authority.is_some_and(|it| {
        !it.host().is_empty() && it.port_u16().is_some_and(|p| p > 0) && !text.contains('@')
    })
}

impl Reach {
    /// A connection to HOST:PORT, which is made when it is first needed, and anew
    /// when it was lost.
    ///
    /// # Errors
    /// The address is none.
    pub fn channel(&self, address: &str) -> Result<Channel, BadAddress> {
        let wrong = |e: tonic::transport::Error| BadAddress {
            address: address.to_owned(),
            why: e.to_string(),
        };
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).map_err(wrong)?;
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(ASK)
            .keep_alive_timeout(ASK_PATIENCE)
            .keep_alive_while_idle(true)
            .local_address(self.from)
            .tcp_nodelay(true);
        let endpoint = match &self.tls {
            Some(tls) => endpoint.tls_config(tls.clone()).map_err(wrong)?,
            None => endpoint,
        };
        Ok(endpoint.connect_lazy())
    }
}
