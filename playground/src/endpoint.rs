//! Where an etcd is that the playground did not start, as `--etcd` names it.

use std::fmt;
use std::str::FromStr;

/// `http://HOST:PORT`, the port 2379 if it is not said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// Why a text is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// Another scheme than http.
    #[error(
        "must be http://HOST:PORT: the playground's proxies stand between, and cannot speak TLS"
    )]
    Scheme,
    /// No host, or more than a host and a port.
    #[error("must be http://HOST:PORT, with nothing behind it")]
    Form,
}

impl Endpoint {
    /// `HOST:PORT`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let authority = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return Err(BadEndpoint::Scheme),
            None => text,
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let strange = |c: char| c == '/' || c == '@' || c == '?' || c == '#' || c.is_whitespace();
        if authority.is_empty() || authority.contains(strange) {
            return Err(BadEndpoint::Form);
        }
        // The colons of an IPv6 address are within brackets.
        let after_host = authority
            .rsplit_once(']')
            .map_or(authority, |(_, rest)| rest);
        match after_host.rsplit_once(':') {
            None => Ok(Self(format!("{authority}:2379"))),
            Some((before, port)) => {
                let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
                let has_host = !authority.starts_with(':') && !before.contains(':');
                if is_port && has_host {
                    Ok(Self(authority.to_owned()))
                } else {
                    Err(BadEndpoint::Form)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        for (text, url) in [
            ("http://127.0.0.1:2379", "http://127.0.0.1:2379"),
            ("http://127.0.0.1:2379/", "http://127.0.0.1:2379"),
            ("etcd.local:4001", "http://etcd.local:4001"),
            ("http://etcd", "http://etcd:2379"),
            ("http://[::1]:2380", "http://[::1]:2380"),
            ("[::1]", "http://[::1]:2379"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), url, "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for (text, why) in [
            ("https://127.0.0.1:2379", BadEndpoint::Scheme),
            ("", BadEndpoint::Form),
            ("http://", BadEndpoint::Form),
            ("http://:2379", BadEndpoint::Form),
            ("http://etcd:port", BadEndpoint::Form),
            ("http://etcd:0", BadEndpoint::Form),
            ("http://etcd:2379/v3", BadEndpoint::Form),
            ("http://root@etcd:2379", BadEndpoint::Form),
            ("::1:2379", BadEndpoint::Form),
            ("a:b:2379", BadEndpoint::Form),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(why), "{text}");
        }
    }
}
