//! Buffers of the core's that are received into.

use super::*;
use std::io::{ErrorKind, Read};

impl Bed {
    /// Fills a buffer to its length, or until the connection ends.
    fn fill(&mut self, conn: ConnId, mut buf: Vec<u8>, until: usize) -> Vec<u8> {
        let before = buf.len();
        let mut all = 0;
        while buf.len() < until {
            self.ring.fill(conn, buf, until);
            let (back, came) = self.filled(conn);
            (buf, all) = (back, all + came);
            if came == 0 {
                break;
            }
        }
        assert_eq!(buf.len(), before + all);
        buf
    }

    /// What arrives next.
    fn piece(&mut self, conn: ConnId) -> Vec<u8> {
        let (event, _) =
            self.until("data", |e| matches!(e, Event::Data { conn: c, .. } if *c == conn).then_some(()));
        let Event::Data { buf, len, .. } = event else { unreachable!() };
        let bytes = self.pool.bytes(&buf, len).to_vec();
        self.pool.give_back(buf);
        bytes
    }

    fn filled(&mut self, conn: ConnId) -> (Vec<u8>, usize) {
        let (event, _) =
            self.until("filled", |e| matches!(e, Event::Filled { conn: c, .. } if *c == conn).then_some(()));
        let Event::Filled { buf, came, .. } = event else { unreachable!() };
        (buf, came)
    }
}

/// Writes from a thread of its own, as much as the socket does not take at once.
fn write(client: &TcpStream, bytes: Vec<u8>) -> thread::JoinHandle<()> {
    let mut client = client.try_clone().unwrap();
    thread::spawn(move || client.write_all(&bytes).unwrap())
}

#[test]
fn what_is_missing_comes_straight_and_then_pieces_again() {
    let mut bed = Bed::small(8);
    let (client, conn) = bed.connect();
    for round in 0..20 {
        // Of different lengths, so that what arrives before the buffer is there ends anywhere.
        let request = [&b"head"[..], &pattern(50_000 + round * 997), b"tail"].concat();
        let writer = write(&client, request.clone());
        let mut begun = bed.piece(conn);
        while bed.seen.iter().any(|event| matches!(event, Event::Data { .. })) {
            begun.extend(bed.piece(conn)); // told of already
        }
        let mut whole = bed.fill(conn, begun, request.len() - 4);
        writer.join().unwrap();
        // A receive that was cancelled may have brought the end too.
        let rest = request.len() - whole.len();
        whole.extend(bed.read(conn, rest));
        assert!(whole == request, "round {round}");
        write(&client, b"small".to_vec()).join().unwrap();
        assert_eq!(bed.read(conn, 5), b"small");
    }
    assert_eq!(bed.pool.lent(), 0);
    bed.ring.close(conn);
    bed.closed(conn);
}

#[test]
fn what_a_cancelled_receive_brought_stands_before_the_rest() {
    let mut bed = Bed::small(8);
    let (client, conn) = bed.connect();
    write(&client, pattern(20_000)).join().unwrap();
    while bed.seen.is_empty() {
        bed.ring.turn(TICK).unwrap();
        bed.seen.extend(bed.ring.next_event());
    }
    // One piece of it is here; others are complete and not told of.
    let Some(Event::Data { buf, len, .. }) = bed.seen.pop_front() else { panic!("{:?}", bed.seen) };
    let mut begun = Vec::with_capacity(10_000);
    begun.extend_from_slice(bed.pool.bytes(&buf, len));
    bed.pool.give_back(buf);
    let filled = bed.fill(conn, begun, len + 100);
    assert!(filled.len() >= len + 100);
    let rest = bed.read(conn, 20_000 - filled.len());
    assert!([filled, rest].concat() == pattern(20_000));
    assert_eq!(bed.pool.lent(), 0);
}

#[test]
fn the_end_is_told_behind_what_came() {
    for reset in [false, true] {
        let mut bed = Bed::small(8);
        let (client, conn) = bed.connect();
        bed.ring.fill(conn, b"begun".to_vec(), 1_000_000);
        write(&client, pattern(70_000)).join().unwrap();
        let mut all = b"begun".to_vec();
        while all.len() < 70_005 {
            let (buf, came) = bed.filled(conn);
            assert!(came > 0);
            all = buf.clone();
            bed.ring.fill(conn, buf, 1_000_000);
        }
        if reset {
            let linger = libc::linger { l_onoff: 1, l_linger: 0 };
            nix::sys::socket::setsockopt(&client, nix::sys::socket::sockopt::Linger, &linger).unwrap();
        }
        drop(client);
        let (buf, came) = bed.filled(conn);
        assert!(came == 0 && buf == all && buf[5..] == pattern(70_000));
        assert_eq!(bed.eof(conn), if reset { libc::ECONNRESET } else { 0 });
        bed.ring.close(conn);
        bed.closed(conn);
    }
}

#[test]
fn closing_drops_the_buffer_and_frees_the_index() {
    for turns in 0..4 {
        let mut bed = Bed::small(8);
        let (client, conn) = bed.connect();
        bed.ring.fill(conn, Vec::new(), 1_000_000);
        (0..turns).for_each(|_| bed.turn(Wait::No));
        write(&client, pattern(10_000)).join().unwrap();
        bed.ring.close(conn);
        bed.closed(conn);
        assert_eq!((bed.pool.lent(), bed.ring.conns_open()), (0, 0));
        let (client, next) = bed.connect();
        assert_eq!(next.index(), conn.index());
        write(&client, b"new".to_vec()).join().unwrap();
        assert_eq!(bed.read(next, 3), b"new");
    }
}

#[test]
fn a_pause_lets_the_buffer_be_filled_and_no_more_come() {
    let mut bed = Bed::small(8);
    let (client, conn) = bed.connect();
    bed.ring.fill(conn, Vec::new(), 1_000);
    bed.turn(Wait::No);
    bed.ring.pause_recv(conn);
    write(&client, pattern(3_000)).join().unwrap();
    let (buf, came) = bed.filled(conn);
    assert!(came == 1_000 && buf == pattern(3_000)[..1_000]);
    bed.no_data(conn);
    bed.ring.resume_recv(conn);
    assert!(bed.read(conn, 2_000) == pattern(3_000)[1_000..]);
}

#[test]
fn a_buffer_needs_none_of_the_shared_ones() {
    let mut bed = Bed::small(1);
    let (client, conn) = bed.connect();
    write(&client, pattern(10_000)).join().unwrap();
    while bed.pool.lent() < 1 {
        bed.turn(TICK);
    }
    bed.turn(TICK); // it is starved
    bed.ring.fill(conn, Vec::new(), 5_904);
    let (buf, came) = bed.filled(conn);
    assert!(came == buf.len() && buf == pattern(10_000)[4_096..4_096 + came]);
    assert!(bed.read(conn, 4_096) == pattern(10_000)[..4_096]);
}

#[test]
fn a_ring_that_goes_lets_no_buffer_be_written() {
    let mut bed = Bed::small(8);
    let (client, conn) = bed.connect();
    bed.ring.fill(conn, Vec::new(), 1_000_000);
    bed.turn(Wait::No);
    drop(bed);
    // Nobody is there any more who could write to it.
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let found = (&client).read(&mut [0]).map_err(|e| e.kind());
    assert!(matches!(found, Ok(0) | Err(ErrorKind::ConnectionReset)), "{found:?}");
}
