//! The listening sockets of a configuration, from the start and by CONFIG SET.
//!
//! The main thread keeps every socket and shard 0 accepts on a copy, so that a change can be tried beside what is there: old and new
//! share the port for a moment (`SO_REUSEPORT`), nobody is refused meanwhile, and what cannot be opened changes nothing.

use super::BootError;
use super::log::Log;
use crate::config::{Config, SetError};
use crate::ring::socket::{listen_beside, listen_tcp, listen_unix, share_port};
use crate::shard::Sockets;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// How often, and how far apart, a port that is in use is tried: one second in all.
const LISTEN_TRIES: u32 = 20;
const LISTEN_PAUSE: Duration = Duration::from_millis(50);

/// A TCP socket that listens.
struct Listener {
    addr: SocketAddr,
    /// Its number at the ring of shard 0, which accepts on a copy of it.
    number: usize,
    fd: OwnedFd,
}

/// What the process listens on, as the main thread knows it.
pub(super) struct Listeners {
    /// Where `port` and `bind` say.
    config: Config,
    tcp: Vec<Listener>,
    /// Sockets that shard 0 was ever given.
    given: usize,
}

impl Listeners {
    /// Opens them all: TCP on each bound address, and the Unix socket. They are for shard 0, in this order.
    pub fn open(config: &Config) -> Result<(Listeners, Vec<OwnedFd>), BootError> {
        let mut all = Listeners { config: config.clone(), tcp: Vec::new(), given: 0 };
        let mut open = Vec::new();
        for (addr, fd) in open_tcp(config, &[], listen_patiently)? {
            open.push(all.add(addr, fd)?);
        }
        if !config.unixsocket.is_empty() {
            let mode = (config.unixsocketperm != 0).then_some(config.unixsocketperm);
            let fd = listen_unix(Path::new(&config.unixsocket), mode, config.tcp_backlog);
            open.push(fd.map_err(|e| BootError::Listen(config.unixsocket.clone(), e))?);
            all.given += 1;
        }
        if open.is_empty() {
            return Err(BootError::NoListener);
        }
        Ok((all, open))
    }

    /// Keeps a socket and gives the copy that shard 0 gets.
    fn add(&mut self, addr: SocketAddr, fd: OwnedFd) -> Result<OwnedFd, BootError> {
        let copy = fd.try_clone().map_err(|e| BootError::Listen(addr.to_string(), e))?;
        self.tcp.push(Listener { addr, number: self.given, fd });
        self.given += 1;
        Ok(copy)
    }

    /// Listens where these pairs of CONFIG SET say: what opens and which numbers close. The reply when it cannot be, and nothing has
    /// changed.
    pub fn change(&mut self, pairs: Vec<(String, String)>, log: &Log) -> Result<Sockets, String> {
        let is_ours = |name: &str| ["port", "bind"].iter().any(|ours| name.eq_ignore_ascii_case(ours));
        let ours: Vec<(&str, &str)> = pairs
            .iter()
            .filter(|(name, _)| is_ours(name))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut config = self.config.clone();
        let refused = |name: &str| {
            let why = match name.eq_ignore_ascii_case("port") {
                true => "Unable to listen on this port. Check server logs.",
                false => "Failed to bind to specified addresses.",
            };
            format!("ERR {}", SetError::failed(name, why))
        };
        config.set_all(&ours, true).map_err(|why| format!("ERR {why}"))?;
        // As in Redis, the first that is another one now.
        let (port, bind) = (config.port != self.config.port, config.bind != self.config.bind);
        let changes = |name: &str| if name.eq_ignore_ascii_case("port") { port } else { bind };
        let blamed = ours.iter().find(|(name, _)| changes(name)).map_or("port", |(name, _)| name);
        let changed = self.change_to(config).map_err(|error| {
            log.warning(&error.to_string());
            log.warning(&format!("CONFIG SET of {blamed} failed: listening as before"));
            refused(blamed)
        });
        // Others are to find the port taken.
        for listener in &self.tcp {
            if let Err(e) = share_port(&listener.fd, false) {
                log.warning(&format!("cannot keep the port of {} to itself: {e}", listener.addr));
            }
        }
        changed.map(|(open, close)| Sockets { open, close, pairs })
    }

    fn change_to(&mut self, config: Config) -> Result<(Vec<OwnedFd>, Vec<usize>), BootError> {
        // A new socket may stand where an old one does that is about to go: on all addresses, say, instead of on one.
        for listener in &self.tcp {
            share_port(&listener.fd, true).map_err(|e| BootError::Listen(listener.addr.to_string(), e))?;
        }
        let there: Vec<SocketAddr> = self.tcp.iter().map(|listener| listener.addr).collect();
        let beside = |addr: SocketAddr, backlog| listen_beside(addr, backlog, addr.is_ipv6(), true);
        let new = open_tcp(&config, &there, beside)?;
        let wanted = addresses(&config)?;
        let copies: Result<Vec<_>, BootError> = new
            .into_iter()
            .map(|(addr, fd)| {
                let copy = fd.try_clone().map_err(|e| BootError::Listen(addr.to_string(), e))?;
                Ok((addr, fd, copy))
            })
            .collect();
        let copies = copies?;
        let mut close = Vec::new();
        self.tcp.retain(|listener| {
            let stays = wanted.iter().any(|(addr, _)| *addr == listener.addr);
            if !stays {
                close.push(listener.number);
            }
            stays
        });
        let mut open = Vec::new();
        for (addr, fd, copy) in copies {
            self.tcp.push(Listener { addr, number: self.given, fd });
            self.given += 1;
            open.push(copy);
        }
        self.config = config;
        Ok((open, close))
    }
}

/// The addresses of a configuration, each once, and whether it may be missing on this host.
fn addresses(config: &Config) -> Result<Vec<(SocketAddr, bool)>, BootError> {
    let mut all = Vec::new();
    for word in config.bind.iter().filter(|_| config.port != 0) {
        // As in Redis, a leading `-` lets an address be missing on this host.
        let (optional, name) = word.strip_prefix('-').map_or((false, word.as_str()), |rest| (true, rest));
        let addr = SocketAddr::new(address(name)?, config.port);
        if all.iter().all(|(other, _)| *other != addr) {
            all.push((addr, optional));
        }
    }
    Ok(all)
}

/// Opens the TCP sockets of a configuration but for those that are `there`.
fn open_tcp(
    config: &Config,
    there: &[SocketAddr],
    listen: impl Fn(SocketAddr, u32) -> std::io::Result<OwnedFd>,
) -> Result<Vec<(SocketAddr, OwnedFd)>, BootError> {
    let (mut open, mut missing, mut kept) = (Vec::new(), None, false);
    for (addr, optional) in addresses(config)? {
        if there.contains(&addr) {
            kept = true;
            continue;
        }
        match listen(addr, config.tcp_backlog) {
            Ok(fd) => open.push((addr, fd)),
            Err(e) if optional && is_absent(&e) => missing = Some((addr, e)),
            Err(e) => return Err(BootError::Listen(addr.to_string(), e)),
        }
    }
    match missing {
        Some((addr, e)) if open.is_empty() && !kept => Err(BootError::Listen(addr.to_string(), e)),
        _ => Ok(open),
    }
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
