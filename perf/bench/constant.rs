//! The physical limit: a server that answers without parsing, hashing or storing anything.
//!
//! It looks for '*' at the start of a line and at the byte behind it: a request of two words (GET) gets a fixed
//! bulk, any other `+OK`. Ring and turn are kring's: multishot accept and recv over provided buffers, one send per
//! connection and turn, one system call per turn. So what kring costs beyond it is the price of being a data server.
//! Wrong for values that hold a line which starts with '*'; those of kring-bench never do.

use crate::client_ring::{ClientRing, Conns, Event, Wait};
use crate::drive::STOP;
use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Provided buffers of this size, as many as for this many connections.
const BUFFER_SIZE: usize = 16 * 1024;
const CONNECTIONS: usize = 256;
/// How late the end of time is seen at most.
const NAP: Duration = Duration::from_millis(100);

/// Serves on `address` ("127.0.0.1:0" takes a free port) and says so on stdout; ends after `limit` or at SIGTERM.
pub fn serve(address: &str, value_size: usize, limit: Duration) -> Result<(), String> {
    let listener = TcpListener::bind(address).map_err(|e| format!("cannot listen on {address}: {e}"))?;
    let bound = listener.local_addr().map_err(|e| format!("cannot listen on {address}: {e}"))?;
    let mut ring = ClientRing::new(CONNECTIONS, BUFFER_SIZE).map_err(|e| {
        format!("cannot set up io_uring ({e}): it needs Linux 6.1 and kernel.io_uring_disabled = 0")
    })?;
    ring.listen(listener.into());
    let mut out = std::io::stdout();
    writeln!(out, "constant server on {bound}").and_then(|()| out.flush()).map_err(|e| e.to_string())?;

    let mut bulk = format!("${value_size}\r\n").into_bytes();
    bulk.resize(bulk.len() + value_size, b'x');
    bulk.extend_from_slice(b"\r\n");
    let mut counters: Vec<Counter> = Vec::new();
    let until = Instant::now() + limit;
    while Instant::now() < until && !STOP.load(Ordering::Relaxed) {
        ring.submit(Wait::AtMost(NAP)).map_err(|e| format!("io_uring_enter failed: {e}"))?;
        ring.drain(|conns: &mut Conns, id, event| {
            let at = id as usize;
            match event {
                Event::Accepted => {
                    counters.resize_with(counters.len().max(at + 1), Counter::default);
                    counters[at] = Counter::default();
                }
                Event::Data(bytes) => {
                    let out = conns.out(id);
                    let answer =
                        |words| out.extend_from_slice(if words == b'2' { &bulk } else { b"+OK\r\n" });
                    counters[at].feed(bytes, answer);
                }
                Event::Closed(_) => {}
            }
        });
    }
    Ok(())
}

/// Finds requests in the stream of a connection.
#[derive(Default)]
struct Counter {
    /// The last piece ended behind the '*' of a request.
    star: bool,
}

impl Counter {
    /// Calls `found` with the first digit of the number of words, for every request that begins here.
    fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(u8)) {
        if let (true, Some(&words)) = (self.star, bytes.first()) {
            self.star = false;
            found(words);
        }
        for at in memchr::memchr_iter(b'*', bytes) {
            if at > 0 && bytes[at - 1] != b'\n' {
                continue;
            }
            match bytes.get(at + 1) {
                Some(&words) => found(words),
                None => self.star = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_requests_however_they_are_cut() {
        let stream =
            b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$2\r\n1*\r\n$1\r\nv\r\n*1\r\n$4\r\nPING\r\n";
        for cut in 0..=stream.len() {
            // A piece that starts with the star inside a word is the one case that a counter cannot tell.
            if stream.get(cut) == Some(&b'*') && cut > 0 && stream[cut - 1] != b'\n' {
                continue;
            }
            let (mut counter, mut found) = (Counter::default(), Vec::new());
            counter.feed(&stream[..cut], |w| found.push(w));
            counter.feed(&stream[cut..], |w| found.push(w));
            assert_eq!(found, b"231", "cut at {cut}");
        }
    }
}
