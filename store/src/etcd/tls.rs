//! The files of TLS. It decides which of them can be used, and says of one that
//! cannot which it is and what to do, since a handshake says neither.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use etcd_client::{Certificate, Identity, TlsOptions};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TlsFiles;

/// What is wrong with a file of TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It is not there, or must not be read.
    #[error("{what} {} cannot be read; put it there, readable for this process", path.display())]
    Read {
        /// What it should be.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is not {what}; it must have one in PEM", path.display())]
    Content {
        /// What it should be.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// It is too late for it, or too early.
    #[error("{what} {} is valid from {from} to {to}, and that is not now; renew it, or set the clock", path.display())]
    NotNow {
        /// What it is.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The first moment.
        from: String,
        /// The last moment.
        to: String,
    },
    /// A certificate and another's key.
    #[error(
        "the key {} is not that of the client certificate {}; put a pair there that was made together",
        key.display(), certificate.display()
    )]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

const CA: &str = "the CA certificate";
const CERTIFICATE: &str = "the client certificate";
const KEY: &str = "the key of the client certificate";

/// What a connection is made with, if all files can be used now.
pub(super) fn load(files: &TlsFiles) -> Result<TlsOptions, TlsError> {
    let (ca, authorities) = certificates(CA, &files.ca)?;
    // One that has expired may lie beside its successor.
    in_time(CA, &files.ca, &authorities)?;
    let options = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
    let Some((certificate, key)) = &files.identity else {
        return Ok(options);
    };
    let (chain_pem, chain) = certificates(CERTIFICATE, certificate)?;
    in_time(CERTIFICATE, certificate, &chain[..1])?;
    let key_pem = read(KEY, key)?;
    let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| TlsError::Content {
        what: KEY,
        path: key.clone(),
    })?;
    match CertifiedKey::from_der(chain, private, &default_provider()) {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(TlsError::Mismatch {
                certificate: certificate.clone(),
                key: key.clone(),
            });
        }
        Err(_) => {
            return Err(TlsError::Content {
                what: KEY,
                path: key.clone(),
            });
        }
    }
    Ok(options.identity(Identity::from_pem(chain_pem, key_pem)))
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        what,
        path: path.to_owned(),
        source,
    })
}

/// The file, and the certificates in it: at least one.
fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<(Vec<u8>, Vec<CertificateDer<'static>>), TlsError> {
    let pem = read(what, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok((pem, found)),
        Ok(_) | Err(_) => Err(TlsError::Content {
            what,
            path: path.to_owned(),
        }),
    }
}

/// Whether one of these is valid now.
fn in_time(
    what: &'static str,
    path: &Path,
    certificates: &[CertificateDer<'_>],
) -> Result<(), TlsError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let mut error = None;
    for certificate in certificates {
        let parsed = X509Certificate::from_der(certificate);
        let (_, parsed) = parsed.map_err(|_| TlsError::Content {
            what,
            path: path.to_owned(),
        })?;
        let validity = parsed.validity();
        if (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now) {
            return Ok(());
        }
        error = Some(TlsError::NotNow {
            what,
            path: path.to_owned(),
            from: validity.not_before.to_string(),
            to: validity.not_after.to_string(),
        });
    }
    error.map_or(Ok(()), Err)
}
