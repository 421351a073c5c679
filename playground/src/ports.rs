//! Which ports a playground uses: the first base from which on every process has
//! its ports free on its own address. Whoever listens on 127.0.0.1 at the base
//! has it, so that two playgrounds do not get in each other's way even while one
//! of their processes is down.
//!
//! The bases are below the ports from which Linux takes those of outgoing
//! connections: no stranger takes the port of a process that is being restarted.

use crate::plan::PORTS;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

const BASES: std::ops::Range<u16> = 20_000..30_000;

/// Why no ports can be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The loopback interface has too few addresses.
    #[error(
        "this machine has no address {address}: a playground needs all of 127.0.0.0/8, as Linux has them"
    )]
    Loopback {
        /// The address.
        address: Ipv4Addr,
    },
    /// An address of the router is not free.
    #[error(
        "{flag} {address}: cannot listen there; is another server running? Give another address"
    )]
    Router {
        /// The flag that names it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// It cannot be tried.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// All are taken.
    #[error("all ports from {} to {} are taken on some address of the playground: stop other playgrounds", BASES.start, BASES.end)]
    AllTaken,
}

/// Ports that are this playground's, as long as this is kept.
#[derive(Debug)]
pub struct Claim {
    base: u16,
    _held: TcpListener,
}

impl Claim {
    /// The first of the ports.
    #[must_use]
    pub fn base(&self) -> u16 {
        self.base
    }
}

/// Finds ports that are free on all of these addresses.
///
/// # Errors
/// There are none, or not these addresses.
pub fn claim(sources: &[Ipv4Addr]) -> Result<Claim, Error> {
    for base in BASES.step_by(PORTS.into()) {
        if let Some(claim) = try_claim(base, sources)? {
            return Ok(claim);
        }
    }
    Err(Error::AllTaken)
}

fn try_claim(base: u16, sources: &[Ipv4Addr]) -> Result<Option<Claim>, Error> {
    // Its first three ports there are the playground's and the router's.
    let Some(held) = try_listen((Ipv4Addr::LOCALHOST, base).into())? else {
        return Ok(None);
    };
    for source in std::iter::once(&Ipv4Addr::LOCALHOST).chain(sources) {
        for port in base..base + PORTS {
            let claimed = *source == Ipv4Addr::LOCALHOST && port == base;
            if !claimed && try_listen((*source, port).into())?.is_none() {
                return Ok(None);
            }
        }
    }
    Ok(Some(Claim { base, _held: held }))
}

fn try_listen(address: SocketAddr) -> Result<Option<TcpListener>, Error> {
    match TcpListener::bind(address) {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => match (source.kind(), address) {
            (io::ErrorKind::AddrInUse, _) => Ok(None),
            (io::ErrorKind::AddrNotAvailable, SocketAddr::V4(address)) => Err(Error::Loopback {
                address: *address.ip(),
            }),
            _ => Err(Error::Listen { address, source }),
        },
    }
}

/// Looks whether the router will be able to listen.
///
/// # Errors
/// It will not.
pub fn check_router(flag: &'static str, address: SocketAddr) -> Result<(), Error> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Router {
            flag,
            address,
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Addresses that no playground has.
    const SOURCES: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 18, 0, 1), Ipv4Addr::new(127, 18, 0, 2)];

    #[test]
    fn two_playgrounds_have_ports_of_their_own_though_nothing_listens_on_them() {
        let first = claim(&SOURCES).unwrap();
        let second = claim(&SOURCES).unwrap();
        assert!(first.base().abs_diff(second.base()) >= PORTS);
    }

    #[test]
    fn a_base_is_passed_over_if_one_port_of_one_process_is_taken() {
        let free = claim(&SOURCES).unwrap().base();
        let taken = (SOURCES[1], free + PORTS - 1);
        let _taken = TcpListener::bind(taken).unwrap();
        assert!(try_claim(free, &SOURCES).unwrap().is_none());
        assert!(claim(&SOURCES).unwrap().base() > free);
    }

    #[test]
    fn a_routers_port_that_is_taken_is_told_with_its_flag() {
        let taken = TcpListener::bind((SOURCES[0], 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let error = check_router("--listen", address).unwrap_err().to_string();
        let expected = format!("--listen {address}: cannot listen there");
        assert!(error.starts_with(&expected), "{error}");
    }
}
