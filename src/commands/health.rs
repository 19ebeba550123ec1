//! `tagledger health`: asks a running server or scanner how it is. For containers, which have no other program to do it.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    process::ExitCode,
    time::Duration,
};

use crate::{cli::HealthArguments, failure::Failure, output::say};

/// For how long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(4);

/// More of an answer is not read.
const MOST_BYTES: u64 = 1 << 16;

pub(crate) fn run(arguments: &HealthArguments) -> Result<ExitCode, Failure> {
    let unhealthy = |source| Failure::Unhealthy { address: arguments.address.clone(), source };
    let answer = resolved(&arguments.address).and_then(ask).map_err(unhealthy)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    say(body.trim());
    let healthy = head.split(' ').nth(1) == Some("200");
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn resolved(address: &str) -> io::Result<SocketAddr> {
    let first = address.to_socket_addrs()?.next();
    first.map(reachable).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// A process that listens on every address is reached by its own machine's.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}
