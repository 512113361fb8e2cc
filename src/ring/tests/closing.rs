//! How connections and rings end.

use super::*;

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
    assert_eq!(chunk.len(), 50_000_000);
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
fn what_was_sent_before_a_close_arrives() {
    let mut bed = Bed::small(8);
    let (mut client, conn) = bed.connect();
    bed.send(conn, pattern(100_000));
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).unwrap();
        bytes
    });
    assert_eq!(bed.sent(conn).1, Ok(()));
    bed.ring.close(conn); // while the receive is armed
    bed.closed(conn);
    assert!(reader.join().unwrap() == pattern(100_000));
}
