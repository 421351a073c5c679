//! TLS between the programs of a cluster: each shows its certificate and demands
//! the other's, signed by the cluster's own authority, so that an address that
//! came to be another's is not believed, and nobody else is let in.

use crate::flags::TlsArgs;
use quoit_store::{TlsError, TlsFiles};
use std::io;
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecureError {
    /// One of them is not what it should be.
    #[error("--tls-ca, --tls-cert, --tls-key")]
    Check(#[from] TlsError),
    /// One of them was changed while it was read.
    #[error("--tls-ca, --tls-cert, --tls-key: one of them cannot be read any more")]
    Read(#[from] io::Error),
}

/// What both ends of a connection are made with.
#[derive(Clone, Debug)]
pub struct Secure {
    ca: Certificate,
    identity: Identity,
}

impl Secure {
    /// Reads the files; `None` where none are given.
    ///
    /// # Errors
    /// One cannot be read, or is not what it should be.
    pub fn read(args: &TlsArgs) -> Result<Option<Self>, SecureError> {
        let (Some(ca), Some(cert), Some(key)) = (&args.tls_ca, &args.tls_cert, &args.tls_key)
        else {
            return Ok(None);
        };
        TlsFiles {
            ca: ca.clone(),
            identity: Some((cert.clone(), key.clone())),
        }
        .check()?;
        Ok(Some(Self {
            ca: Certificate::from_pem(std::fs::read(ca)?),
            identity: Identity::from_pem(std::fs::read(cert)?, std::fs::read(key)?),
        }))
    }

    /// For who connects.
    #[must_use]
    pub fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(self.ca.clone())
            .identity(self.identity.clone())
    }

    /// For who listens.
    #[must_use]
    pub fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .client_ca_root(self.ca.clone())
            .identity(self.identity.clone())
    }
}
