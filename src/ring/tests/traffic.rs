//! Bytes in and out.

use super::*;

#[test]
fn an_echo() {
    let mut bed = Bed::small(8);
    let (mut client, conn) = bed.connect();
    for round in 0..100u8 {
        client.write_all(&[round; 10]).unwrap();
        let bytes = bed.read(conn, 10);
        bed.send(conn, bytes);
        let (chunk, result) = bed.sent(conn);
        assert_eq!((&*chunk.bytes(), result), (&[round; 10][..], Ok(())));
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

/// The same bytes, with values of different lengths cut in: more than one operation takes.
fn mixed(bytes: &[u8]) -> Chunk {
    let (mut text, mut values, mut at) = (Vec::new(), Vec::new(), 0);
    for i in 0.. {
        let head = (bytes.len() - at).min(i % 7);
        text.extend_from_slice(&bytes[at..at + head]);
        let value = (bytes.len() - at - head).min(i * 997 % 70_000);
        values.push((text.len(), bytes[at + head..at + head + value].to_vec().into()));
        at += head + value;
        if at == bytes.len() {
            break;
        }
    }
    assert!(values.len() > 100);
    Chunk::Mixed(Message::new(text, values))
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
        let chunk = if round == 1 { mixed(&bytes) } else { Chunk::Owned(bytes.clone()) };
        bed.ring.send(conn, chunk);
        let (chunk, result) = bed.sent(conn);
        assert_eq!(result, Ok(()));
        assert!(*chunk.bytes() == expected);
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
fn a_thousand_connections_through_a_tiny_ring() {
    probe::check(2_500, 1).unwrap(); // both ends are ours
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
