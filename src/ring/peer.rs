//! A connection to another server, for a thread that may wait. No shard holds one.
//!
//! Each step has the same time, however many bytes it takes: to connect to one of the host's addresses, to send a piece, to hear a line.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Longer than anybody waits, and short enough to be added to any time.
const TIMEOUT_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);
/// The longest line that is read.
const LINE_MAX: usize = 64 * 1024;
/// How much is read, and written, at once.
const PIECE: usize = 64 * 1024;

/// See the module's text.
pub struct Peer {
    stream: TcpStream,
    timeout: Duration,
    /// What has arrived, and how much of it has been read.
    arrived: Vec<u8>,
    at: usize,
}

impl Peer {
    /// Connects to the first address of a host that answers.
    pub fn connect(host: &str, port: u16, timeout: Duration) -> io::Result<Peer> {
        let timeout = bounded(timeout);
        let mut failed = io::Error::from(ErrorKind::AddrNotAvailable);
        for addr in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&addr, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Peer { stream, timeout, arrived: Vec::new(), at: 0 });
                }
                Err(why) => failed = why,
            }
        }
        Err(failed)
    }

    /// The time of each step from now on.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = bounded(timeout);
    }

    /// Whether nothing is under way: the other server has neither closed nor said what nobody has asked for.
    pub fn is_at_rest(&self) -> bool {
        let peeked = self.stream.set_nonblocking(true).and_then(|()| self.stream.peek(&mut [0]));
        let is_quiet = peeked.is_err_and(|why| why.kind() == ErrorKind::WouldBlock);
        self.at == self.arrived.len() && is_quiet && self.stream.set_nonblocking(false).is_ok()
    }

    /// Sends all of it.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.chunks(PIECE).try_for_each(|piece| self.send_piece(piece))
    }

    fn send_piece(&mut self, mut piece: &[u8]) -> io::Result<()> {
        let until = Instant::now() + self.timeout;
        while !piece.is_empty() {
            self.stream.set_write_timeout(Some(left_until(until)?))?;
            match self.stream.write(piece) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => piece = &piece[sent..],
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    /// The next line, without its end. A peer that closes instead is an error.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        let until = Instant::now() + self.timeout;
        let mut searched = 0;
        loop {
            let rest = &self.arrived[self.at..];
            if let Some(end) = memchr::memchr(b'\n', &rest[searched..]).map(|found| searched + found) {
                let line = &rest[..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.at += end + 1;
                return Ok(line);
            }
            searched = rest.len();
            if searched > LINE_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
            self.arrived.drain(..self.at);
            self.at = 0;
            self.read_more(until)?;
        }
    }

    fn read_more(&mut self, until: Instant) -> io::Result<()> {
        self.stream.set_read_timeout(Some(left_until(until)?))?;
        let len = self.arrived.len();
        self.arrived.resize(len + PIECE, 0);
        let read = self.stream.read(&mut self.arrived[len..]);
        self.arrived.truncate(len + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(why) if why.kind() == ErrorKind::Interrupted => Ok(()),
            Err(why) => Err(why),
        }
    }
}

fn bounded(timeout: Duration) -> Duration {
    timeout.clamp(Duration::from_millis(1), TIMEOUT_MAX)
}

/// How much of a step's time is left, if any is.
fn left_until(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    fn with_peer(serve: impl FnOnce(TcpStream) + Send + 'static, test: impl FnOnce(Peer)) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let served = std::thread::spawn(move || serve(listener.accept().expect("somebody comes").0));
        test(Peer::connect("localhost", port, Duration::from_millis(300)).expect("it listens"));
        served.join().expect("it ends");
    }

    #[test]
    fn lines_are_read_however_they_come() {
        let serve = |mut stream: TcpStream| {
            for piece in [&b"+OK\r\n-ER"[..], b"R no\r", b"\n\n", b"bare\nend"] {
                stream.write_all(piece).expect("it is read");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        with_peer(serve, |mut peer| {
            for line in [&b"+OK"[..], b"-ERR no", b"", b"bare"] {
                assert_eq!(peer.line().expect("a line"), line);
            }
            assert_eq!(peer.line().expect_err("it was closed").kind(), ErrorKind::UnexpectedEof);
        });
    }

    #[test]
    fn a_line_has_its_time_however_many_bytes_come() {
        let serve = |mut stream: TcpStream| {
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        with_peer(serve, |mut peer| {
            let began = Instant::now();
            let kind = peer.line().expect_err("no line ends").kind();
            assert!(matches!(kind, ErrorKind::TimedOut | ErrorKind::WouldBlock), "{kind}");
            assert!(began.elapsed() < Duration::from_secs(5));
        });
    }

    #[test]
    fn a_piece_has_its_time_however_slowly_it_is_taken() {
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let serve = move |mut stream: TcpStream| {
            let mut taken = vec![0; 2_000];
            while is_done.try_recv().is_err() {
                stream.read_exact(&mut taken).expect("there is more");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        with_peer(serve, |mut peer| {
            let began = Instant::now();
            let kind = peer.send(&vec![b'x'; 64 << 20]).expect_err("it is too slow").kind();
            assert!(matches!(kind, ErrorKind::TimedOut | ErrorKind::WouldBlock), "{kind}");
            assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
            done.send(()).expect("it still takes");
        });
    }

    #[test]
    fn who_has_closed_or_said_too_much_is_not_at_rest() {
        for (said, closes, at_rest) in
            [(&b"+OK\r\n"[..], false, true), (b"+OK\r\n+", false, false), (b"+OK\r\n", true, false)]
        {
            let (done, is_done) = std::sync::mpsc::channel::<()>();
            let serve = move |mut stream: TcpStream| {
                stream.write_all(said).expect("it is read");
                if !closes {
                    is_done.recv().expect("the test ends");
                }
            };
            with_peer(serve, |mut peer| {
                assert_eq!(peer.line().expect("a line"), b"+OK");
                std::thread::sleep(Duration::from_millis(50));
                assert_eq!(peer.is_at_rest(), at_rest, "{said:?} {closes}");
                let _nobody_waits = done.send(());
            });
        }
    }

    #[test]
    fn what_cannot_be_reached_is_an_error() {
        let port = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            listener.local_addr().expect("it is bound").port()
        };
        assert!(Peer::connect("127.0.0.1", port, Duration::ZERO).is_err());
        assert!(Peer::connect("no such host", 1, Duration::MAX).is_err());
    }
}
