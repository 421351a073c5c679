//! What a failed call of etcd means. It decides whether the call may have had an
//! effect, whether another endpoint may do better, and what is said to people.

use std::error::Error;
use std::io;
use std::time::Duration;

use etcd_client::Error as ClientError;
use rustls::{AlertDescription, CertificateError};
use tonic::{Code, ConnectError, Status};

use super::{EtcdOptions, TlsError};

/// Why etcd did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// None of the endpoints did it in time.
    #[error("no endpoint of etcd did it within {deadline:?}: {}", said.join("; "))]
    NoEndpoint {
        /// The time there was.
        deadline: Duration,
        /// Each endpoint with what it said.
        said: Vec<String>,
    },
    /// It was asked of one, and the answer did not come.
    #[error("the answer of etcd is lost: {0}")]
    AnswerLost(String),
    /// etcd refuses it; another endpoint would too.
    #[error("etcd refuses it: {0}")]
    Refused(String),
    /// etcd answered what this version does not understand.
    #[error("etcd gave an answer that lacks {0}; is it an etcd of version 3.4 or newer?")]
    Answer(&'static str),
    /// A watch was ended by etcd.
    #[error("etcd ended the watch: {0}")]
    WatchEnded(String),
}

/// What a failed call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It had no effect, and another endpoint, or this one later, may do it.
    Elsewhere,
    /// It had no effect, and it is the same everywhere.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// What goes wrong at an endpoint.
#[derive(Debug)]
pub(super) enum Fault {
    /// A file of TLS, before anything is sent.
    Tls(TlsError),
    /// The handshake of TLS, before anything is asked.
    Handshake(io::Error),
    /// The client or etcd says so.
    Client(ClientError),
    /// Nothing comes back.
    Silence(Duration),
}

impl Fault {
    /// Whether the caller's deadline ended the try before its share of the time was
    /// up: that says nothing of the endpoint, and what it said before stays.
    pub(super) fn is_cut_short(&self, share: Duration) -> bool {
        matches!(self, Self::Silence(limit) if *limit < share)
    }

    pub(super) fn meaning(&self) -> Meaning {
        match self {
            Self::Tls(_) | Self::Handshake(_) => Meaning::Elsewhere,
            Self::Client(ClientError::GRpcStatus(status)) => of_status(status),
            Self::Client(_) | Self::Silence(_) => Meaning::Unknown,
        }
    }

    /// The same, when it happened before the call itself was sent.
    pub(super) fn before_the_call(&self) -> Meaning {
        match self.meaning() {
            Meaning::Refused => Meaning::Refused,
            Meaning::Elsewhere | Meaning::Unknown => Meaning::Elsewhere,
        }
    }

    /// What happened at this endpoint and, where that is known, what to do.
    pub(super) fn explain(&self, endpoint: &str, options: &EtcdOptions) -> String {
        let what = match self {
            Self::Tls(error) => chain(error),
            Self::Handshake(error) => explain_handshake(error, options),
            Self::Client(ClientError::GRpcStatus(status)) => explain_status(status),
            Self::Client(error) => chain(error),
            Self::Silence(limit) => format!("no answer within {limit:?}"),
        };
        format!("{endpoint}: {what}")
    }
}

/// A message of etcd itself, and not of what lies between.
fn from_etcd(status: &Status) -> Option<&str> {
    status.message().strip_prefix("etcdserver: ")
}

fn of_status(status: &Status) -> Meaning {
    if let Some(message) = from_etcd(status) {
        return match (status.code(), message) {
            // Answered before anything is proposed; the second by logging in anew.
            (Code::Unavailable, "no leader")
            | (Code::InvalidArgument, "revision of auth store is old")
            | (Code::ResourceExhausted, "too many requests") => Meaning::Elsewhere,
            (
                Code::InvalidArgument
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::FailedPrecondition
                | Code::ResourceExhausted
                | Code::NotFound,
                _,
            ) => Meaning::Refused,
            _ => Meaning::Unknown,
        };
    }
    if links(status).any(<dyn Error>::is::<ConnectError>) {
        Meaning::Elsewhere
    } else {
        Meaning::Unknown
    }
}

fn explain_status(status: &Status) -> String {
    if let Some(message) = from_etcd(status) {
        let remedy = match (status.code(), message) {
            (Code::PermissionDenied, _) => {
                "; grant the user read and write on the keys under /quoit/"
            }
            (Code::FailedPrecondition, "authentication is not enabled") => {
                "; leave the user out, or enable authentication in etcd"
            }
            (Code::InvalidArgument, m) if m.starts_with("authentication failed") => {
                "; check the user and the password"
            }
            (Code::InvalidArgument, m) if m.starts_with("user name is empty") => {
                "; etcd demands a user and a password, and none is given"
            }
            (Code::ResourceExhausted, m) if m.contains("space exceeded") => {
                "; compact and defragment etcd, or raise its quota, then disarm the alarm"
            }
            _ => "",
        };
        return format!("{message}{remedy}");
    }
    let connecting = links(status).find(|link| link.is::<ConnectError>());
    match connecting {
        Some(error) => format!("cannot connect: {}", chain(error)),
        // A status shows all that is below it as a programmer sees it.
        None => match status.source() {
            Some(cause) => format!("{}: {}", status.message(), chain(cause)),
            None => status.message().to_owned(),
        },
    }
}

fn explain_handshake(error: &io::Error, options: &EtcdOptions) -> String {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    // An I/O error hides what it is made of.
    let hidden = error.get_ref().and_then(|hidden| hidden.downcast_ref());
    let Some(error) = hidden else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "it ended the handshake of TLS without a word; if it does not speak TLS, use http"
                    .to_owned()
            }
            _ => format!("cannot connect: {}", chain(error)),
        };
    };
    let ca = options.tls.as_ref().map(|tls| tls.ca.display().to_string());
    let ca = ca.unwrap_or_default();
    match error {
        InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            format!("its certificate is not signed by the CA in {ca}; give the CA that signed it")
        }
        InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired; renew the certificate of etcd".to_owned()
        }
        InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            format!("{error}; use a name that its certificate is for, or give it one for this name")
        }
        InvalidMessage(_) => format!("it does not speak TLS ({error}); use http"),
        AlertReceived(alert) => refused_certificate(*alert, options),
        error => error.to_string(),
    }
}

fn refused_certificate(alert: AlertDescription, options: &EtcdOptions) -> String {
    let identity = options.tls.as_ref().and_then(|tls| tls.identity.as_ref());
    match identity {
        Some((certificate, _)) => format!(
            "it does not accept the client certificate {} ({alert:?}); \
             use one that its CA for clients signed, and that has not expired",
            certificate.display()
        ),
        None => format!(
            "it demands a client certificate ({alert:?}); give one that its CA for clients signed"
        ),
    }
}

/// This error and all its causes.
fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let link = next?;
        next = link.source();
        Some(link)
    })
}

/// What an error and its causes say, each thing once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    for link in links(error) {
        let text = link.to_string();
        if !said.iter().any(|said| said.contains(&text)) {
            said.push(text);
        }
    }
    said.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: Status) -> Meaning {
        Fault::Client(ClientError::GRpcStatus(status)).meaning()
    }

    #[test]
    fn only_what_surely_had_no_effect_is_said_to_have_had_none() {
        use Meaning::{Elsewhere, Refused, Unknown};
        let cases = [
            (Code::Unavailable, "etcdserver: no leader", Elsewhere),
            (
                Code::ResourceExhausted,
                "etcdserver: too many requests",
                Elsewhere,
            ),
            (
                Code::PermissionDenied,
                "etcdserver: permission denied",
                Refused,
            ),
            (
                Code::ResourceExhausted,
                "etcdserver: mvcc: database space exceeded",
                Refused,
            ),
            (
                Code::InvalidArgument,
                "etcdserver: request is too large",
                Refused,
            ),
            (Code::Unavailable, "etcdserver: request timed out", Unknown),
            (Code::Unavailable, "etcdserver: leader changed", Unknown),
            (Code::Unavailable, "etcdserver: server stopped", Unknown),
            (Code::Unknown, "etcdserver: anything else", Unknown),
            // By a proxy, or by the client that could not read the answer.
            (
                Code::PermissionDenied,
                "grpc-status header missing",
                Unknown,
            ),
            (Code::ResourceExhausted, "message too large", Unknown),
            (Code::Unavailable, "connection reset", Unknown),
        ];
        for (code, message, expected) in cases {
            assert_eq!(meaning(Status::new(code, message)), expected, "{message}");
        }
        assert_eq!(Fault::Silence(Duration::ZERO).meaning(), Unknown);
        let share = Duration::from_secs(1);
        assert!(Fault::Silence(Duration::from_millis(2)).is_cut_short(share));
        assert!(!Fault::Silence(share).is_cut_short(share));
    }

    #[test]
    fn what_happens_while_logging_in_changes_nothing() {
        let lost = Fault::Silence(Duration::ZERO);
        assert_eq!(lost.before_the_call(), Meaning::Elsewhere);
    }
}
