//! etcd as a collection sees it. It decides how an etcd is named and reached:
//! the endpoints, the files of TLS, the deadlines.
//!
//! ```text
//! EtcdOptions ──open──▶ Etcd (endpoints, failover) ──store(uid)──▶ EtcdStore
//!                                                        Values, Election, watch
//! ```
//!
//! To open takes no etcd that is there: what serves data goes on without it.
//! Every call ends at its deadline, with an error that names the endpoints.

mod election;
mod endpoints;
mod failure;
mod tls;
mod values;
mod watch;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tonic::transport::Uri;

pub use endpoints::Etcd;
pub use failure::EtcdError;
pub use tls::{Expiry, TlsError};
pub use values::EtcdStore;

use crate::ring_value::RingValue;

/// The store of a collection's ring in etcd.
pub type EtcdRingStore = RingValue<EtcdStore>;

/// How etcd is reached.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// The URLs of members of one cluster: `https://etcd-0.etcd:2379`.
    pub endpoints: Vec<String>,
    /// For `https`.
    pub tls: Option<TlsFiles>,
    /// Where etcd has users.
    pub user: Option<User>,
    /// How long a call may take, over all endpoints.
    pub deadline: Duration,
    /// How long a leader that is not heard of still leads.
    pub lease: Duration,
}

impl EtcdOptions {
    /// These endpoints, without TLS and user, with five seconds for a call and
    /// ten for a lease.
    #[must_use]
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            tls: None,
            user: None,
            deadline: Duration::from_secs(5),
            lease: Duration::from_secs(10),
        }
    }
}

/// The files of TLS, in PEM. They are read anew for each new connection, so that
/// a certificate may be renewed in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates of those who sign the certificates of etcd's members.
    pub ca: PathBuf,
    /// The certificate of this client and its key, where etcd demands one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    /// Until when all of them can be used, if they can be now, and belong together.
    ///
    /// # Errors
    /// The first that cannot, with the remedy.
    pub fn check(&self) -> Result<Expiry, TlsError> {
        tls::load(self).map(|loaded| loaded.expiry)
    }
}

/// A user of etcd.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User {:?}", self.name)
    }
}

/// Why options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// No endpoint.
    #[error("no endpoint of etcd is given; name at least one, as http://127.0.0.1:2379")]
    NoEndpoint,
    /// An endpoint that is no URL of etcd.
    #[error("{0:?} is no endpoint of etcd; it is to be as http://127.0.0.1:2379, or https")]
    Endpoint(String),
    /// `https` without files, or the other way round.
    #[error(
        "the endpoint {0} is https, and no CA file is given; give the CA that signed its certificate"
    )]
    TlsMissing(String),
    /// The other way round.
    #[error("the endpoint {0} is http, and files for TLS are given; use https, or leave them out")]
    TlsUnused(String),
    /// A deadline or a lease of no time.
    #[error("the {0} is zero; give it some seconds")]
    Zero(&'static str),
    /// The files of TLS cannot be used.
    #[error("the files for TLS with etcd cannot be used")]
    Tls(#[source] TlsError),
}

/// An endpoint taken apart.
struct Address {
    url: String,
    host: String,
    port: u16,
}

impl EtcdOptions {
    /// The endpoints, if all of this can be used.
    fn check(&self) -> Result<Vec<Address>, OptionsError> {
        if self.endpoints.is_empty() {
            return Err(OptionsError::NoEndpoint);
        }
        let addresses: Result<Vec<_>, _> = self
            .endpoints
            .iter()
            .map(|endpoint| self.address(endpoint))
            .collect();
        for (name, time) in [("deadline", self.deadline), ("lease", self.lease)] {
            if time.is_zero() {
                return Err(OptionsError::Zero(name));
            }
        }
        let addresses = addresses?;
        if let Some(files) = &self.tls {
            tls::load(files).map_err(OptionsError::Tls)?;
        }
        Ok(addresses)
    }

    fn address(&self, endpoint: &str) -> Result<Address, OptionsError> {
        let url = endpoint.to_owned();
        let Some(parsed) = parse(endpoint) else {
            return Err(OptionsError::Endpoint(url));
        };
        match (
            parsed.scheme_str(),
            &self.tls,
            parsed.host(),
            parsed.port_u16(),
        ) {
            (Some("https"), None, ..) => Err(OptionsError::TlsMissing(url)),
            (Some("http"), Some(_), ..) => Err(OptionsError::TlsUnused(url)),
            (Some("http" | "https"), _, Some(host), Some(port)) if !host.is_empty() => {
                let host = host.to_owned();
                Ok(Address { url, host, port })
            }
            _ => Err(OptionsError::Endpoint(url)),
        }
    }
}

fn parse(endpoint: &str) -> Option<Uri> {
    let url: Uri = endpoint.parse().ok()?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none();
    bare.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut EtcdOptions)) -> String {
        let mut options = EtcdOptions::new(["http://127.0.0.1:2379"]);
        change(&mut options);
        let Err(error) = options.check() else {
            panic!("{options:?} can be used");
        };
        error.to_string()
    }

    #[test]
    fn options_that_cannot_work_are_named_with_the_remedy() {
        let tls = || {
            Some(TlsFiles {
                ca: "ca.pem".into(),
                identity: None,
            })
        };
        assert!(refused(|o| o.endpoints.clear()).contains("name at least one"));
        for bad in [
            "",
            "etcd",
            "etcd:2379",
            "ftp://etcd:2379",
            "http://etcd",
            "http://etcd:2379/path",
            "http://",
        ] {
            let text = refused(|o| o.endpoints.push(bad.to_owned()));
            assert!(text.contains("is no endpoint of etcd"), "{bad}: {text}");
        }
        let https = |o: &mut EtcdOptions| o.endpoints = vec!["https://etcd:2379".to_owned()];
        assert!(refused(https).contains("no CA file is given"));
        assert!(refused(|o| o.tls = tls()).contains("use https"));
        assert!(refused(|o| o.deadline = Duration::ZERO).contains("deadline"));
        assert!(refused(|o| o.lease = Duration::ZERO).contains("lease"));
    }

    #[test]
    fn a_password_is_not_shown() {
        let mut options = EtcdOptions::new(["http://127.0.0.1:2379"]);
        options.user = Some(User {
            name: "quoit".to_owned(),
            password: "secret".to_owned(),
        });
        let text = format!("{options:?}");
        assert!(text.contains("quoit") && !text.contains("secret"), "{text}");
    }
}
