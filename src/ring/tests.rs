//! The ring against real sockets on loopback. Each test opens its own ring on its own thread.

use super::*;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

mod closing;
mod filling;
mod traffic;
mod waking;

/// No test waits longer.
const PATIENCE: Duration = Duration::from_secs(10);
const TICK: Wait = Wait::For(Duration::from_millis(20));

/// A ring with a listener on a free port, and what has happened so far.
struct Bed {
    ring: Ring,
    pool: Pool,
    addr: SocketAddr,
    seen: VecDeque<Event>,
}

impl Bed {
    fn new(options: &Options) -> Bed {
        let (mut ring, pool) = open(options).unwrap();
        let listener = socket::listen_tcp("127.0.0.1:0".parse().unwrap(), 511, true).unwrap();
        let addr = socket::bound_to(&listener).unwrap();
        ring.listen(listener);
        Bed { ring, pool, addr, seen: VecDeque::new() }
    }

    fn small(recv_buffers: u16) -> Bed {
        Bed::new(&Options {
            entries: 64,
            cq_entries: 256,
            recv_buffers,
            recv_buffer_bytes: 4096,
            ..Options::default()
        })
    }

    /// Turns until an event is one that `pick` takes; keeps the others for later.
    fn until<T>(&mut self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> (Event, T) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((at, picked)) = self.seen.iter().enumerate().find_map(|(i, e)| Some((i, pick(e)?))) {
                return (self.seen.remove(at).unwrap(), picked);
            }
            assert!(Instant::now() < deadline, "no {what}; seen {:?}", self.seen);
            self.turn(TICK);
        }
    }

    fn turn(&mut self, wait: Wait) {
        self.ring.turn(wait).unwrap();
        while let Some(event) = self.ring.next_event() {
            self.seen.push_back(event);
        }
    }

    /// A client's socket, and the server's end of it.
    fn connect(&mut self) -> (TcpStream, ConnId) {
        let client = TcpStream::connect(self.addr).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let (event, ()) = self.until("accept", |e| matches!(e, Event::Accepted { .. }).then_some(()));
        let Event::Accepted { fd, .. } = event else { unreachable!() };
        socket::set_conn_options(&fd, true, 0).unwrap();
        (client, self.ring.adopt(fd))
    }

    /// Exactly `count` bytes from a connection.
    fn read(&mut self, conn: ConnId, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let (event, _) =
                self.until("data", |e| matches!(e, Event::Data { conn: c, .. } if *c == conn).then_some(()));
            let Event::Data { buf, len, .. } = event else { unreachable!() };
            bytes.extend_from_slice(self.pool.bytes(&buf, len));
            self.pool.give_back(buf);
        }
        assert_eq!(bytes.len(), count);
        bytes
    }

    fn send(&mut self, conn: ConnId, bytes: Vec<u8>) {
        self.ring.send(conn, Chunk::Owned(bytes));
    }

    fn sent(&mut self, conn: ConnId) -> (Chunk, Result<(), i32>) {
        let (event, _) =
            self.until("sent", |e| matches!(e, Event::Sent { conn: c, .. } if *c == conn).then_some(()));
        let Event::Sent { chunk, result, .. } = event else { unreachable!() };
        (chunk, result)
    }

    fn eof(&mut self, conn: ConnId) -> i32 {
        self.until("eof", |e| match e {
            Event::Eof { conn: c, errno } if *c == conn => Some(*errno),
            _ => None,
        })
        .1
    }

    fn closed(&mut self, conn: ConnId) {
        self.until("closed", |e| matches!(e, Event::Closed { conn: c } if *c == conn).then_some(()));
    }

    fn no_data(&mut self, conn: ConnId) {
        for _ in 0..5 {
            self.turn(Wait::For(Duration::from_millis(10)));
        }
        assert!(!self.seen.iter().any(|e| matches!(e, Event::Data { conn: c, .. } if *c == conn)));
    }
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 31 + i / 251) as u8).collect()
}
