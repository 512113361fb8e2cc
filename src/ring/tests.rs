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

#[test]
fn an_echo() {
    let mut bed = Bed::small(8);
    let (mut client, conn) = bed.connect();
    for round in 0..100u8 {
        client.write_all(&[round; 10]).unwrap();
        let bytes = bed.read(conn, 10);
        bed.send(conn, bytes);
        let (chunk, result) = bed.sent(conn);
        assert_eq!((chunk.as_slice(), result), (&[round; 10][..], Ok(())));
        let mut back = [0; 10];
        client.read_exact(&mut back).unwrap();
        assert_eq!(back, [round; 10]);
    }
    drop(client);
    assert_eq!(bed.eof(conn), 0);
    bed.ring.close(conn);
    bed.ring.close(conn);
    bed.closed(conn);
    assert_eq!((bed.ring.conns_open(), bed.pool.lent()), (0, 0));
}

#[test]
fn an_empty_chunk_is_sent_at_once() {
    let mut bed = Bed::small(8);
    let (_client, conn) = bed.connect();
    bed.send(conn, Vec::new());
    assert_eq!(bed.sent(conn).1, Ok(()));
}

#[test]
#[should_panic(expected = "a second chunk")]
fn a_second_chunk_breaks_the_contract() {
    let mut bed = Bed::small(8);
    let (_client, conn) = bed.connect();
    bed.send(conn, vec![1]);
    bed.send(conn, vec![2]);
}

/// A chunk far above what the socket's buffer takes, plain and zero-copy.
fn large_chunks(zero_copy_from: usize) {
    let mut bed = Bed::new(&Options { zero_copy_from, ..Options::default() });
    let (mut client, conn) = bed.connect();
    let bytes = pattern(5_000_000);
    let expected = bytes.clone();
    let reader = thread::spawn(move || {
        let mut back = vec![0; 3 * 5_000_000];
        client.read_exact(&mut back).unwrap();
        back
    });
    for round in 0..3 {
        let chunk =
            if round == 1 { Chunk::Shared(bytes.clone().into()) } else { Chunk::Owned(bytes.clone()) };
        bed.ring.send(conn, chunk);
        let (chunk, result) = bed.sent(conn);
        assert_eq!(result, Ok(()));
        assert!(chunk.as_slice() == expected);
    }
    let back = reader.join().unwrap();
    assert!(back.chunks(expected.len()).all(|part| part == expected));
}

#[test]
fn large_chunks_go_out_whole() {
    large_chunks(usize::MAX);
}

#[test]
fn large_chunks_go_out_without_a_copy() {
    large_chunks(64 * 1024);
}

#[test]
fn unix_sockets_refuse_zero_copy_and_get_a_copy() {
    let mut bed = Bed::new(&Options { zero_copy_from: 1, ..Options::default() });
    let (mut client, server) = UnixStream::pair().unwrap();
    let conn = bed.ring.adopt(server.into());
    client.write_all(b"ping").unwrap();
    assert_eq!(bed.read(conn, 4), b"ping");
    for _ in 0..2 {
        bed.send(conn, pattern(1_000_000));
        let mut back = vec![0; 1_000_000];
        let mut reader = client.try_clone().unwrap();
        let reading = thread::spawn(move || {
            reader.read_exact(&mut back).unwrap();
            back
        });
        assert_eq!(bed.sent(conn).1, Ok(()));
        assert!(reading.join().unwrap() == pattern(1_000_000));
    }
    drop(client);
    assert_eq!(bed.eof(conn), 0);
}

#[test]
fn a_greedy_connection_starves_nobody_of_two_buffers() {
    let mut bed = Bed::small(2);
    let (greedy_client, greedy) = bed.connect();
    let (mut polite_client, polite) = bed.connect();
    let (stop, stopped) = mpsc::channel::<()>();
    let mut writer = greedy_client.try_clone().unwrap();
    let flood =
        thread::spawn(move || while stopped.try_recv().is_err() && writer.write_all(&[7; 65_536]).is_ok() {});
    let (mut greedy_bytes, mut polite_rounds) = (0, 0);
    let deadline = Instant::now() + PATIENCE;
    polite_client.write_all(b"!").unwrap();
    while polite_rounds < 50 || greedy_bytes < 1_000_000 {
        assert!(Instant::now() < deadline, "{polite_rounds} rounds, {greedy_bytes} bytes");
        bed.turn(TICK);
        // The core is slow: it holds the buffers for the whole turn, so that the pool runs dry.
        for event in std::mem::take(&mut bed.seen) {
            let Event::Data { conn, buf, len } = event else { panic!("{event:?}") };
            if conn == greedy {
                greedy_bytes += len;
            } else {
                assert_eq!((conn, bed.pool.bytes(&buf, len)), (polite, &b"!"[..]));
                polite_rounds += 1;
                polite_client.write_all(b"!").unwrap();
            }
            bed.pool.give_back(buf);
        }
    }
    stop.send(()).unwrap();
    bed.ring.close(greedy);
    bed.closed(greedy);
    flood.join().unwrap();
}

#[test]
fn held_buffers_stop_the_receive_and_giving_back_resumes_it() {
    let mut bed = Bed::small(2);
    let (mut client, conn) = bed.connect();
    let (mut other_client, other) = bed.connect();
    client.write_all(&pattern(20_000)).unwrap();
    while bed.pool.lent() < 2 {
        bed.turn(TICK);
    }
    other_client.write_all(b"hello").unwrap();
    bed.no_data(other);
    assert_eq!(bed.read(conn, 20_000), pattern(20_000));
    assert_eq!(bed.read(other, 5), b"hello");
    assert_eq!(bed.pool.lent(), 0);
}

#[test]
fn a_pause_holds_and_a_resume_goes_on() {
    let mut bed = Bed::small(8);
    let (mut client, conn) = bed.connect();
    bed.turn(Wait::No);
    bed.ring.pause_recv(conn);
    bed.ring.pause_recv(conn);
    bed.turn(Wait::No);
    client.write_all(b"one").unwrap();
    bed.no_data(conn);
    bed.ring.resume_recv(conn);
    bed.ring.resume_recv(conn);
    assert_eq!(bed.read(conn, 3), b"one");
    // Before the cancellation's completion, in every rhythm.
    for flips in 1..6 {
        for _ in 0..flips {
            bed.ring.pause_recv(conn);
            bed.ring.resume_recv(conn);
            if flips % 2 == 0 {
                bed.ring.turn(Wait::No).unwrap();
            }
        }
        client.write_all(b"two").unwrap();
        assert_eq!(bed.read(conn, 3), b"two");
    }
    bed.ring.pause_recv(conn);
    bed.ring.close(conn);
    bed.closed(conn);
}

#[test]
fn closing_amid_traffic_hands_the_chunk_back_and_frees_the_index() {
    for zero_copy_from in [usize::MAX, 4096] {
        close_amid_traffic(zero_copy_from);
    }
}

fn close_amid_traffic(zero_copy_from: usize) {
    let mut bed = Bed::new(&Options { recv_buffers: 8, zero_copy_from, ..Options::default() });
    let (mut client, conn) = bed.connect();
    client.write_all(&pattern(10_000)).unwrap();
    bed.send(conn, pattern(50_000_000)); // nobody reads it
    bed.ring.turn(TICK).unwrap();
    thread::sleep(Duration::from_millis(20));
    bed.ring.close(conn);
    bed.ring.pause_recv(conn);
    bed.ring.resume_recv(conn);
    let (chunk, result) = bed.sent(conn);
    assert_eq!(chunk.as_slice().len(), 50_000_000);
    assert!(result.is_err());
    bed.closed(conn);
    assert!(!bed.seen.iter().any(|e| matches!(e, Event::Data { .. } | Event::Eof { .. })), "{:?}", bed.seen);
    assert_eq!((bed.pool.lent(), bed.ring.conns_open()), (0, 0));
    let (mut client, next) = bed.connect();
    assert_eq!(next.index(), conn.index());
    assert_ne!(next, conn);
    bed.ring.close(conn); // stale
    bed.ring.pause_recv(conn);
    client.write_all(b"new").unwrap();
    assert_eq!(bed.read(next, 3), b"new");
}

#[test]
fn a_zero_copy_send_to_a_peer_that_never_reads_can_be_closed() {
    let mut bed = Bed::new(&Options { zero_copy_from: 1024, ..Options::default() });
    let (client, conn) = bed.connect();
    bed.send(conn, pattern(50_000_000));
    for _ in 0..3 {
        bed.turn(TICK);
    }
    bed.ring.close(conn);
    assert!(bed.sent(conn).1.is_err());
    bed.closed(conn);
    drop(client);
}

#[test]
fn a_chunk_for_a_closing_connection_comes_back() {
    let mut bed = Bed::small(8);
    let (_client, conn) = bed.connect();
    bed.turn(Wait::No);
    bed.ring.close(conn);
    bed.send(conn, b"late".to_vec());
    assert_eq!(bed.sent(conn).1, Err(libc::ECANCELED));
    bed.closed(conn);
}

#[test]
fn a_reset_is_told() {
    let mut bed = Bed::small(8);
    let (client, conn) = bed.connect();
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(&client, nix::sys::socket::sockopt::Linger, &linger).unwrap();
    drop(client);
    assert_eq!(bed.eof(conn), libc::ECONNRESET);
    bed.send(conn, vec![1; 10]);
    assert!(bed.sent(conn).1.is_err());
    bed.ring.close(conn);
    bed.closed(conn);
}

#[test]
fn a_half_closed_peer_still_gets_its_reply() {
    let mut bed = Bed::small(8);
    let (mut client, conn) = bed.connect();
    client.write_all(b"last words").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(bed.read(conn, 10), b"last words");
    assert_eq!(bed.eof(conn), 0);
    bed.send(conn, b"reply".to_vec());
    assert_eq!(bed.sent(conn).1, Ok(()));
    bed.ring.close(conn);
    let mut reply = Vec::new();
    bed.closed(conn);
    client.read_to_end(&mut reply).unwrap();
    assert_eq!(reply, b"reply");
}

#[test]
fn a_thousand_connections_through_a_tiny_ring() {
    // 64 entries and 256 completions: the queues overflow both ways.
    let mut bed = Bed::small(16);
    let mut open = Vec::new();
    for _ in 0..1_000 {
        open.push(bed.connect());
    }
    assert_eq!(bed.ring.conns_open(), 1_000);
    for (client, _) in &mut open {
        client.write_all(b"x").unwrap();
    }
    for (_, conn) in &open {
        assert_eq!(bed.read(*conn, 1), b"x");
    }
    for (_, conn) in &open {
        bed.send(*conn, b"y".to_vec());
    }
    for (client, conn) in &mut open {
        assert_eq!(bed.sent(*conn).1, Ok(()));
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
    }
    bed.ring.close_all();
    for (_, conn) in &open {
        bed.closed(*conn);
    }
    assert_eq!((bed.ring.conns_open(), bed.pool.lent()), (0, 0));
}

#[test]
fn a_shard_wakes_another_and_one_that_is_gone_is_ignored() {
    let (mut bed, (fd, their_fd)) = (Bed::small(8), mpsc::channel());
    let own = bed.ring.fd();
    let other = thread::spawn(move || {
        let mut bed = Bed::small(8);
        fd.send(bed.ring.fd()).unwrap();
        bed.ring.set_peers(vec![own, bed.ring.fd()]);
        let mut woken = 0;
        // Asleep: only a wake-up ends this turn early.
        let started = Instant::now();
        bed.ring.turn(Wait::For(PATIENCE)).unwrap();
        assert!(started.elapsed() < PATIENCE);
        while let Some(event) = bed.ring.next_event() {
            woken += u32::from(matches!(event, Event::Woken));
        }
        bed.ring.wake(0);
        bed.ring.turn(Wait::No).unwrap();
        woken
    });
    bed.ring.set_peers(vec![own, their_fd.recv().unwrap()]);
    thread::sleep(Duration::from_millis(50));
    bed.ring.wake(1);
    bed.ring.wake(1);
    bed.until("wake-up", |e| matches!(e, Event::Woken).then_some(()));
    assert_eq!(other.join().unwrap(), 1);
    for _ in 0..3 {
        bed.ring.wake(1); // gone
        bed.turn(TICK);
    }
    bed.ring.wake(0); // itself
    assert!(bed.ring.peek());
    bed.turn(Wait::For(PATIENCE));
    assert!(matches!(bed.seen.pop_back(), Some(Event::Woken)));
    assert!(bed.seen.is_empty());
}

#[test]
fn a_bell_wakes_a_sleeper_each_time() {
    let mut bed = Bed::small(8);
    let bell = Bell::new().unwrap();
    bed.ring.hang(bell.clone());
    for _ in 0..20 {
        let bell = bell.clone();
        let ringer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(2));
            bell.ring();
            bell.ring();
        });
        bed.until("bell", |e| matches!(e, Event::Woken).then_some(()));
        ringer.join().unwrap();
        bed.turn(Wait::No);
        bed.seen.clear();
    }
}

#[test]
fn a_turn_waits_as_long_as_it_is_told() {
    let mut bed = Bed::small(8);
    bed.turn(Wait::No);
    let started = Instant::now();
    bed.ring.turn(Wait::For(Duration::from_millis(30))).unwrap();
    let waited = started.elapsed();
    assert!((Duration::from_millis(30)..Duration::from_millis(300)).contains(&waited), "{waited:?}");
    assert!(bed.ring.next_event().is_none() && !bed.ring.peek());
    let (mut client, conn) = bed.connect();
    bed.turn(Wait::No);
    client.write_all(b"x").unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !bed.ring.peek() {
        assert!(Instant::now() < deadline, "peek sees no data");
    }
    assert_eq!(bed.read(conn, 1), b"x");
}

#[test]
fn a_drained_ring_frees_its_port() {
    let mut bed = Bed::small(8);
    let conns: Vec<_> = (0..10).map(|_| bed.connect()).collect();
    bed.ring.stop_listening();
    bed.ring.close_all();
    let deadline = Instant::now() + PATIENCE;
    while !bed.ring.drained() {
        assert!(Instant::now() < deadline);
        bed.turn(TICK);
    }
    assert_eq!(bed.seen.iter().filter(|e| matches!(e, Event::Closed { .. })).count(), conns.len());
    drop(conns);
    socket::listen_tcp(bed.addr, 16, true).unwrap();
}

#[test]
fn a_dropped_ring_frees_its_port_too() {
    let mut bed = Bed::small(8);
    let (_client, conn) = bed.connect();
    bed.send(conn, pattern(10_000_000));
    bed.turn(TICK);
    let addr = bed.addr;
    drop(bed);
    socket::listen_tcp(addr, 16, true).unwrap();
}

#[test]
fn a_listener_that_fails_rests_and_goes_on() {
    let mut bed = Bed::small(8);
    // Accepting from a socket that does not listen fails each time.
    let deaf = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Stream,
        nix::sys::socket::SockFlag::SOCK_CLOEXEC,
        None,
    )
    .unwrap();
    assert!(deaf.as_raw_fd() >= 0);
    let number = bed.ring.listen(deaf);
    let started = Instant::now();
    let mut failures = 0;
    while started.elapsed() < Duration::from_millis(350) {
        bed.turn(Wait::For(Duration::from_secs(1)));
        for event in bed.seen.drain(..) {
            assert!(
                matches!(event, Event::AcceptFailed { listener, errno: libc::EINVAL } if listener == number)
            );
            failures += 1;
        }
    }
    assert!((3..=5).contains(&failures), "{failures} failures");
    bed.connect();
}
