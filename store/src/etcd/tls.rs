//! The files of TLS. It decides which of them can be used, and says of one that
//! cannot which it is and what to do, since a handshake says neither.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etcd_client::{Certificate, Identity, TlsOptions};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
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
    /// The cryptography of this program cannot do what TLS takes.
    #[error("this program cannot do TLS")]
    Provider(#[source] rustls::Error),
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

/// The file that is the first that cannot be used any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The file.
    pub path: PathBuf,
    /// The first moment that is too late for it.
    pub at: SystemTime,
}

/// Files that can be used now.
pub(super) struct Loaded {
    /// For etcd's client.
    pub(super) options: TlsOptions,
    config: Arc<ClientConfig>,
    /// Until when.
    pub(super) expiry: Expiry,
}

/// What a connection is made with, if all files can be used now.
pub(super) fn load(files: &TlsFiles) -> Result<Loaded, TlsError> {
    let (ca, authorities) = certificates(CA, &files.ca)?;
    // One that has expired may lie beside its successor.
    let expiry = in_time(CA, &files.ca, &authorities)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities);
    let options = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &files.identity else {
        let config = config.with_no_client_auth();
        return Ok(Loaded::new(options, config, expiry));
    };
    let (chain_pem, chain) = certificates(CERTIFICATE, certificate)?;
    let own = in_time(CERTIFICATE, certificate, &chain[..1])?;
    let expiry = if own.at < expiry.at { own } else { expiry };
    let key_pem = read(KEY, key)?;
    let bad_key = || TlsError::Content {
        what: KEY,
        path: key.clone(),
    };
    let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| bad_key())?;
    let config = config.with_client_auth_cert(chain, private);
    let config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
            certificate: certificate.clone(),
            key: key.clone(),
        },
        _ => bad_key(),
    })?;
    let options = options.identity(Identity::from_pem(chain_pem, key_pem));
    Ok(Loaded::new(options, config, expiry))
}

impl Loaded {
    fn new(options: TlsOptions, mut config: ClientConfig, expiry: Expiry) -> Self {
        config.alpn_protocols.push(b"h2".to_vec());
        Self {
            options,
            config: Arc::new(config),
            expiry,
        }
    }

    /// Connects once, to see whether each side accepts the other. A client has
    /// done its part of a handshake before etcd has looked at its certificate,
    /// and what etcd says of that is lost between the layers of etcd's client,
    /// with whatever call was made first.
    pub(super) async fn probe(&self, host: &str, port: u16) -> io::Result<()> {
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let tcp = TcpStream::connect((host.as_str(), port)).await?;
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let mut tls = connector.connect(name, tcp).await?;
        // The beginning of HTTP/2, to which its beginning is the answer.
        tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await?;
        tls.read_u8().await?;
        Ok(())
    }
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

/// Until when the one of these is valid that is valid now, and the longest.
fn in_time(
    what: &'static str,
    path: &Path,
    certificates: &[CertificateDer<'_>],
) -> Result<Expiry, TlsError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let (mut until, mut error) = (None, None);
    for certificate in certificates {
        let parsed = X509Certificate::from_der(certificate);
        let (_, parsed) = parsed.map_err(|_| TlsError::Content {
            what,
            path: path.to_owned(),
        })?;
        let validity = parsed.validity();
        let last = validity.not_after.timestamp();
        if (validity.not_before.timestamp()..=last).contains(&now) {
            until = until.max(Some(last.unsigned_abs()));
            continue;
        }
        error = Some(TlsError::NotNow {
            what,
            path: path.to_owned(),
            from: validity.not_before.to_string(),
            to: validity.not_after.to_string(),
        });
    }
    let content = TlsError::Content {
        what,
        path: path.to_owned(),
    };
    let until = until.ok_or_else(|| error.unwrap_or(content))?;
    Ok(Expiry {
        path: path.to_owned(),
        // It is valid in its last second to the end.
        at: UNIX_EPOCH + Duration::from_secs(until + 1),
    })
}
