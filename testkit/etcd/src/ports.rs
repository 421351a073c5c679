//! Ports for programs that a test starts. They are below those that the system gives to
//! outgoing connections: a port that was only seen to be free is soon such a connection's, or
//! another test's, and the program that comes for it finds it taken.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::ops::Range;
use std::sync::Mutex;

/// Where nobody else looks for ports: a playground's are above.
const PORTS: Range<u16> = 10_000..20_000;

/// Whoever listens here at a port has the port of that number on the loopback interface, until
/// its process ends: programs of a test come and go.
const CLAIMS: Ipv4Addr = Ipv4Addr::new(127, 17, 0, 1);

static HELD: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());

/// Ports that nothing listens on, and that no other test is given.
///
/// # Errors
/// There are none, or it cannot be tried.
pub fn free_ports(count: usize) -> io::Result<Vec<SocketAddrV4>> {
    let mut held = HELD
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut found = Vec::with_capacity(count);
    for port in PORTS {
        if found.len() == count {
            break;
        }
        let Some(claim) = listen(CLAIMS, port)? else {
            continue;
        };
        if listen(Ipv4Addr::LOCALHOST, port)?.is_some() {
            held.push(claim);
            found.push(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        }
    }
    if found.len() < count {
        return Err(io::Error::new(
            ErrorKind::AddrInUse,
            format!("all ports from {} to {} are taken", PORTS.start, PORTS.end),
        ));
    }
    Ok(found)
}

fn listen(address: Ipv4Addr, port: u16) -> io::Result<Option<TcpListener>> {
    match TcpListener::bind((address, port)) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

#[test]
fn no_port_is_given_twice_though_nothing_listens_on_it() {
    let mut all = free_ports(5).unwrap();
    all.extend(free_ports(5).unwrap());
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 10);
}
