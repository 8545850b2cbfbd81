//! Ports for servers, taken from below the range that the system gives to outgoing connections.
//!
//! A server that is stopped and started again must find its port free: a port of the system's own range may by then belong
//! to anybody's connection.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::ops::Range;

use crate::error::Error;

/// Linux gives ports from 32768 on to outgoing connections, other systems from 49152 on. Cluster buses are in it, too.
const RANGE: Range<u16> = 12_000..32_000;
/// How many ports are tried.
const TRIES: usize = 200;

/// A port of the loopback address that nobody listens on. Somebody else may be faster: whoever starts a server there
/// tries another port when it does not start.
pub(crate) fn free() -> Result<u16, Error> {
    for _ in 0..TRIES {
        let [low, high] = random::<2>()?;
        let port = RANGE.start + u16::from_le_bytes([low, high]) % (RANGE.end - RANGE.start);
        if TcpListener::bind(loopback(port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::failed(format!("none of {TRIES} ports of 127.0.0.1 between {} and {} is free", RANGE.start, RANGE.end)))
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into()
}

/// A password that nobody else on the machine knows; it also shows that a server is ours.
pub(crate) fn password() -> Result<String, Error> {
    Ok(random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::failed(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes)
}
