//! `tagledger health`: reads the health of a running server or scanner. Containers use it as their health check.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    process::ExitCode,
    time::Duration,
};

use crate::{cli::HealthArguments, failure::Failure, output::print_line};

/// Maximum duration of connecting, reading and writing.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Maximum size of a response, in bytes.
const MAX_RESPONSE_BYTES: u64 = 1 << 16;

pub(crate) fn run(arguments: &HealthArguments) -> Result<ExitCode, Failure> {
    let unhealthy = |source| Failure::Unhealthy { address: arguments.address.clone(), source };
    let response = resolve(&arguments.address).and_then(request_health).map_err(unhealthy)?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    print_line(body.trim());
    let healthy = head.split(' ').nth(1) == Some("200");
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn resolve(address: &str) -> io::Result<SocketAddr> {
    let first = address.to_socket_addrs()?.next();
    first.map(to_reachable).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host name has no address"))
}

/// Replaces an unspecified address, such as 0.0.0.0, by the loopback address.
fn to_reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn request_health(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.take(MAX_RESPONSE_BYTES).read_to_string(&mut response)?;
    Ok(response)
}
