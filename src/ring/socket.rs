//! Sockets before and beside the ring: listening ones, options, and addresses as text.

use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, setsockopt,
    sockopt,
};
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

/// A listening TCP socket. `v6only` keeps an IPv6 one off IPv4, so that both may bind the same port.
pub fn listen_tcp(addr: SocketAddr, backlog: u32, v6only: bool) -> io::Result<OwnedFd> {
    listen_beside(addr, backlog, v6only, false)
}

/// The same; `beside`: sockets of this process may listen there already that [`share_port`] allows it.
pub fn listen_beside(addr: SocketAddr, backlog: u32, v6only: bool, beside: bool) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let fd = socket::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // A restart may bind while connections of its predecessor linger.
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if beside {
        share_port(&fd, true)?;
    }
    if addr.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &v6only)?;
    }
    socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(addr))?;
    socket::listen(&fd, backlog_of(backlog)?)?;
    Ok(fd)
}

/// Whether another socket of the same user may listen on a socket's port too.
pub fn share_port(fd: &impl AsFd, on: bool) -> io::Result<()> {
    Ok(setsockopt(fd, sockopt::ReusePort, &on)?)
}

/// A listening Unix socket at `path`, with permissions `mode`. A socket that was left there is replaced; another file
/// is not.
pub fn listen_unix(path: &Path, mode: Option<u32>, backlog: u32) -> io::Result<OwnedFd> {
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    socket::bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    if let Some(mode) = mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    socket::listen(&fd, backlog_of(backlog)?)?;
    Ok(fd)
}

/// The kernel cuts it to `net.core.somaxconn`, whose usual value is also the most that can be said here.
fn backlog_of(backlog: u32) -> io::Result<Backlog> {
    Ok(Backlog::new(backlog.min(libc::SOMAXCONN as u32) as i32)?)
}

/// Options of a connection: replies leave at once (`nodelay`); a silent peer is asked after `keepalive_secs`, then
/// three times at a third of that, and is gone after about twice the time; 0 never asks. No-op on a Unix socket.
pub fn set_conn_options(fd: &impl AsFd, nodelay: bool, keepalive_secs: u32) -> io::Result<()> {
    if family_of(fd) == Some(AddressFamily::Unix) {
        return Ok(());
    }
    setsockopt(fd, sockopt::TcpNoDelay, &nodelay)?;
    if keepalive_secs > 0 {
        setsockopt(fd, sockopt::KeepAlive, &true)?;
        setsockopt(fd, sockopt::TcpKeepIdle, &keepalive_secs)?;
        setsockopt(fd, sockopt::TcpKeepInterval, &(keepalive_secs / 3).max(1))?;
        setsockopt(fd, sockopt::TcpKeepCount, &3)?;
    }
    Ok(())
}

/// The peer as CLIENT LIST shows it: `127.0.0.1:50000`, `[::1]:50000`, or `/path/of/socket:0`; `?:0` if it is gone.
pub fn peer_name(fd: &impl AsFd) -> String {
    match family_of(fd) {
        // A client's end of a Unix socket has no name: Redis shows the server's.
        Some(AddressFamily::Unix) => local_name(fd),
        _ => name(socket::getpeername(fd.as_fd().as_raw_fd())),
    }
}

/// Our end of the connection, in the same form.
pub fn local_name(fd: &impl AsFd) -> String {
    name(socket::getsockname(fd.as_fd().as_raw_fd()))
}

/// Whether the peer is on this machine: a loopback address or a Unix socket. Protected mode asks.
pub fn is_loopback(fd: &impl AsFd) -> bool {
    let Ok(addr) = socket::getpeername::<SockaddrStorage>(fd.as_fd().as_raw_fd()) else { return false };
    match to_inet(&addr) {
        Some(addr) => addr.ip().to_canonical().is_loopback(),
        None => addr.family() == Some(AddressFamily::Unix),
    }
}

/// The address that a listening socket is bound to; tells the port that the kernel chose for port 0.
pub fn bound_to(fd: &impl AsFd) -> Option<SocketAddr> {
    to_inet(&socket::getsockname(fd.as_fd().as_raw_fd()).ok()?)
}

fn family_of(fd: &impl AsFd) -> Option<AddressFamily> {
    socket::getsockname::<SockaddrStorage>(fd.as_fd().as_raw_fd()).ok()?.family()
}

fn to_inet(addr: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = addr.as_sockaddr_in() {
        return Some(SocketAddr::new(IpAddr::V4(v4.ip()), v4.port()));
    }
    addr.as_sockaddr_in6().map(|v6| SocketAddr::new(IpAddr::V6(v6.ip()), v6.port()))
}

fn name(addr: nix::Result<SockaddrStorage>) -> String {
    let Ok(addr) = addr else { return "?:0".to_owned() };
    if let Some(addr) = to_inet(&addr) {
        return addr.to_string();
    }
    let path = addr.as_unix_addr().and_then(|unix| unix.path()).unwrap_or(Path::new(""));
    format!("{}:0", path.display())
}

/// Words of the kernel's `struct tcp_info` up to `tcpi_bytes_acked`, which begins at byte 120.
const TCP_INFO_WORDS: usize = 16;

/// Whether a socket is a Unix one.
pub fn is_unix(fd: &impl AsFd) -> bool {
    family_of(fd) == Some(AddressFamily::Unix)
}

/// A number that changes while a peer takes what was sent to it. Of TCP the bytes that it has acknowledged, of a Unix socket only
/// how many wait in the socket, which is the same now and then though they are others.
pub fn progress(fd: &OwnedFd) -> u64 {
    // The kernel's `struct tcp_info`, whose fields never move.
    let mut info = [0u64; TCP_INFO_WORDS];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes `len` bytes at most, which `info` has, and any bytes are numbers.
    let asked = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if asked == 0 && len as usize == size_of_val(&info) {
        return info[TCP_INFO_WORDS - 1];
    }
    let mut waiting: libc::c_int = 0;
    // SAFETY: the kernel writes one int, which is there.
    let asked = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut waiting) };
    if asked == 0 { waiting.max(0) as u64 } else { 0 }
}

/// Tells a peer why it is not served, as far as its socket takes the text at once, and closes it.
pub fn refuse(fd: OwnedFd, text: &str) {
    // Nobody waits for the outcome: the peer sees the close either way.
    let flags = socket::MsgFlags::MSG_DONTWAIT | socket::MsgFlags::MSG_NOSIGNAL;
    let _ = socket::send(fd.as_raw_fd(), text.as_bytes(), flags);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;

    fn accept(listener: &OwnedFd) -> OwnedFd {
        use std::os::fd::FromRawFd;
        let fd = socket::accept(listener.as_raw_fd()).unwrap();
        // SAFETY: a new descriptor, which nobody else owns.
        unsafe { OwnedFd::from_raw_fd(fd) }
    }

    #[test]
    fn tcp_names_and_options() {
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            let listener = listen_tcp(ip.parse().unwrap(), 511, true).unwrap();
            let addr = bound_to(&listener).unwrap();
            let client = TcpStream::connect(addr).unwrap();
            let fd = accept(&listener);
            set_conn_options(&fd, true, 300).unwrap();
            assert_eq!(socket::getsockopt(&fd, sockopt::TcpKeepInterval).unwrap(), 100);
            assert!(socket::getsockopt(&fd, sockopt::TcpNoDelay).unwrap());
            assert_eq!(peer_name(&fd), client.local_addr().unwrap().to_string());
            assert_eq!(local_name(&fd), addr.to_string());
            assert!(is_loopback(&fd));
        }
        assert_eq!("[::1]:80".parse::<SocketAddr>().unwrap().to_string(), "[::1]:80");
    }

    #[test]
    fn a_peer_that_reads_is_seen_to() {
        use std::io::Read;
        let dir = std::env::temp_dir().join(format!("kring-progress-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("kring.sock");
        let (tcp, unix) = (
            listen_tcp("127.0.0.1:0".parse().unwrap(), 16, true).unwrap(),
            listen_unix(&path, None, 16).unwrap(),
        );
        let at = bound_to(&tcp).unwrap();
        let peers: [Box<dyn Read>; 2] =
            [Box::new(TcpStream::connect(at).unwrap()), Box::new(UnixStream::connect(&path).unwrap())];
        for (mut peer, listener) in peers.into_iter().zip([&tcp, &unix]) {
            let fd = accept(listener);
            // More than both sockets hold.
            let flags = socket::MsgFlags::MSG_DONTWAIT;
            while socket::send(fd.as_raw_fd(), &[0; 65_536], flags).is_ok() {}
            std::thread::sleep(std::time::Duration::from_millis(100));
            let before = progress(&fd);
            assert_eq!(progress(&fd), before);
            peer.read_exact(&mut [0; 100_000]).unwrap();
            let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
            while progress(&fd) == before {
                assert!(std::time::Instant::now() < until, "the peer has read");
                peer.read_exact(&mut [0; 1]).unwrap();
            }
        }
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn both_families_share_a_port_and_a_taken_one_is_an_error() {
        let four = listen_tcp("127.0.0.1:0".parse().unwrap(), 16, true).unwrap();
        let port = bound_to(&four).unwrap().port();
        let six = listen_tcp(format!("[::]:{port}").parse().unwrap(), 16, true);
        assert!(six.is_ok());
        let again = listen_tcp(format!("127.0.0.1:{port}").parse().unwrap(), 16, true);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn unix_sockets_replace_their_predecessor_only() {
        let dir = std::env::temp_dir().join(format!("kring-socket-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("kring.sock");
        drop(listen_unix(&path, None, 16).unwrap());
        let listener = listen_unix(&path, Some(0o700), 16).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let _client = UnixStream::connect(&path).unwrap();
        let fd = accept(&listener);
        set_conn_options(&fd, true, 300).unwrap();
        assert_eq!(peer_name(&fd), format!("{}:0", path.display()));
        assert!(is_loopback(&fd));
        let file = dir.join("precious");
        fs::write(&file, "data").unwrap();
        assert!(listen_unix(&file, None, 16).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"data");
        fs::remove_dir_all(&dir).unwrap();
    }
}
