//! TLS between the programs of a cluster: each shows its certificate and demands
//! the other's, signed by the cluster's own authority, so that an address that
//! came to be another's is not believed, and nobody else is let in.
//!
//! The files are read once, at the start: one that was renewed counts after a restart.
//! A connection is looked at when it is made. So nothing is seen of a certificate that
//! has expired until connections are lost, one after the other, maybe days later: it is
//! said before, and when it happens.

use crate::flags::TlsArgs;
use quoit_store::{Expiry, TlsError, TlsFiles};
use std::io;
use std::time::{Duration, Instant, SystemTime};
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

/// A certificate that expires within this time is spoken of, and again after each day.
const SOON: Duration = Duration::from_hours(14 * 24);
const AGAIN: Duration = Duration::from_hours(24);

/// How often it is looked whether it has expired, at least: the clock may be set.
const LOOK: Duration = Duration::from_mins(1);

/// What both ends of a connection are made with.
#[derive(Clone, Debug)]
pub struct Secure {
    ca: Certificate,
    identity: Identity,
    expiry: Expiry,
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
        let files = TlsFiles {
            ca: ca.clone(),
            identity: Some((cert.clone(), key.clone())),
        };
        Ok(Some(Self {
            expiry: files.check()?,
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

    /// Says that a certificate expires, as long as it is run.
    pub async fn remind(self) {
        let Expiry { path, at } = &self.expiry;
        let file = path.display();
        let mut told: Option<(bool, Instant)> = None;
        loop {
            let left = at.duration_since(SystemTime::now()).unwrap_or_default();
            let has_expired = left.is_zero();
            if is_due(left, told.map(|(expired, when)| (expired, when.elapsed()))) {
                told = Some((has_expired, Instant::now()));
                if has_expired {
                    tracing::error!(
                        "{file} has expired: open connections go on, and new ones are refused; renew it, and restart this program"
                    );
                } else {
                    tracing::warn!(
                        days = left.as_secs() / (24 * 60 * 60),
                        "{file} expires soon: renew it, and restart this program before"
                    );
                }
            }
            let next = if has_expired { LOOK } else { left.min(LOOK) };
            tokio::time::sleep(next + Duration::from_millis(1)).await;
        }
    }
}

/// Whether it is to be said that so much time is left, by what was said last and how
/// long ago.
fn is_due(left: Duration, told: Option<(bool, Duration)>) -> bool {
    left < SOON && told.is_none_or(|(expired, ago)| expired != left.is_zero() || ago >= AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_certificate_expires_is_said_in_time_once_a_day_and_when_it_has() {
        let (day, zero) = (AGAIN, Duration::ZERO);
        assert!(!is_due(30 * day, None));
        assert!(is_due(13 * day, None));
        assert!(!is_due(13 * day, Some((false, day / 2))));
        assert!(is_due(12 * day, Some((false, day))));
        assert!(is_due(zero, Some((false, zero))), "it has just expired");
        assert!(!is_due(zero, Some((true, day / 2))));
        assert!(is_due(zero, Some((true, day))));
    }
}
