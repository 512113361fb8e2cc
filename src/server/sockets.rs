//! The listening sockets of a configuration.

use super::BootError;
use crate::config::Config;
use crate::ring::socket::{listen_tcp, listen_unix};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// How often, and how far apart, a port that is in use is tried: one second in all.
const LISTEN_TRIES: u32 = 20;
const LISTEN_PAUSE: Duration = Duration::from_millis(50);

/// Opens them all: TCP on each bound address, and the Unix socket.
pub(super) fn open(config: &Config) -> Result<Vec<OwnedFd>, BootError> {
    let mut open = Vec::new();
    if config.port != 0 {
        let mut missing = None;
        for word in &config.bind {
            // As in Redis, a leading `-` lets an address be missing on this host.
            let (optional, name) = word.strip_prefix('-').map_or((false, word.as_str()), |rest| (true, rest));
            let addr = SocketAddr::new(address(name)?, config.port);
            match listen_patiently(addr, config.tcp_backlog) {
                Ok(fd) => open.push(fd),
                Err(e) if optional && is_absent(&e) => missing = Some((addr, e)),
                Err(e) => return Err(BootError::Listen(addr.to_string(), e)),
            }
        }
        if let (true, Some((addr, e))) = (open.is_empty(), missing) {
            return Err(BootError::Listen(addr.to_string(), e));
        }
    }
    if !config.unixsocket.is_empty() {
        let mode = (config.unixsocketperm != 0).then_some(config.unixsocketperm);
        let fd = listen_unix(Path::new(&config.unixsocket), mode, config.tcp_backlog);
        open.push(fd.map_err(|e| BootError::Listen(config.unixsocket.clone(), e))?);
    }
    if open.is_empty() {
        return Err(BootError::NoListener);
    }
    Ok(open)
}

/// Listens; a port in use is tried again for a moment. The kernel takes a killed process's ring apart after its exit, and the
/// ring holds the port until then.
fn listen_patiently(addr: SocketAddr, backlog: u32) -> std::io::Result<OwnedFd> {
    for _ in 1..LISTEN_TRIES {
        match listen_tcp(addr, backlog, addr.is_ipv6()) {
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => std::thread::sleep(LISTEN_PAUSE),
            done => return done,
        }
    }
    listen_tcp(addr, backlog, addr.is_ipv6())
}

fn address(name: &str) -> Result<IpAddr, BootError> {
    match name {
        "*" => return Ok(Ipv4Addr::UNSPECIFIED.into()),
        "::*" => return Ok(Ipv6Addr::UNSPECIFIED.into()),
        _ => {}
    }
    if let Ok(ip) = name.trim_matches(['[', ']']).parse() {
        return Ok(ip);
    }
    let resolved = std::net::ToSocketAddrs::to_socket_addrs(&(name, 0)).ok().and_then(|mut a| a.next());
    resolved.map(|a| a.ip()).ok_or_else(|| BootError::BadAddress(name.to_string()))
}

/// The host lacks the address or its whole family.
fn is_absent(e: &std::io::Error) -> bool {
    use nix::errno::Errno::*;
    let absent = [EADDRNOTAVAIL, EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EPFNOSUPPORT, ENOPROTOOPT];
    e.raw_os_error().is_some_and(|n| absent.contains(&nix::errno::Errno::from_raw(n)))
}
