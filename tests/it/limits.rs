//! What one client may cost: slow readers, requests that never end, and the limits that close connections.

use crate::client::{Client, request, words};
use crate::reply::Reply;
use crate::server::{Server, wait_until};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const MB: u64 = 1 << 20;

/// Other clients go on: their commands are answered, on every shard.
fn assert_others_are_served(server: &Server) {
    let mut other = server.connect();
    for i in 0..300 {
        other.ok(&format!("SET other:{i} {i}"));
        assert_eq!(other.run(&format!("GET other:{i}")), Reply::Bulk(i.to_string().into_bytes()));
    }
}

#[test]
fn a_slow_reader_costs_bounded_memory_and_stalls_nobody() {
    const ASKED: usize = 400;
    let server = Server::kring(2, &[]);
    let mut slow = server.connect();
    assert!(slow.call(&[b"SET".to_vec(), b"big".to_vec(), vec![b'x'; MB as usize]]).is_ok());
    assert_others_are_served(&server);
    let before = server.resident_bytes();
    slow.send(&words("GET big").repeat(ASKED)).unwrap();
    for _ in 0..5 {
        assert_others_are_served(&server);
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 48 * MB, "{ASKED} MB are owed and the server grew by {} MB", grown / MB);
    }
    for i in 0..ASKED {
        assert_eq!(slow.reply().bytes().len() as u64, MB, "reply {i}");
    }
    assert_eq!(slow.run("PING"), Reply::Simple(b"PONG".to_vec()));
}

#[test]
fn clients_that_never_finish_a_request_cost_what_they_sent() {
    let server = Server::kring(2, &[]);
    assert_others_are_served(&server);
    let before = server.resident_bytes();
    let mut waiting: Vec<Client> = (0..100)
        .map(|_| {
            let mut client = server.connect();
            client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nstart").unwrap();
            client
        })
        .collect();
    let mut many = server.connect();
    many.send(b"*1048576\r\n$1\r\na\r\n").unwrap();
    assert_others_are_served(&server);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 32 * MB, "announced bytes took {} MB", grown / MB);
    // One goes on slowly; it gets its room as its bytes come.
    for _ in 0..16 {
        waiting[0].send(&vec![b'x'; MB as usize]).unwrap();
        assert_eq!(server.connect().run("PING"), Reply::Simple(b"PONG".to_vec()));
    }
    assert_others_are_served(&server);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 128 * MB, "16 MB took {} MB", grown / MB);
    drop(waiting);
    assert_eq!(server.connect().run("EXISTS k"), Reply::Int(0));
}

/// A client that only writes is not read from any more at some point.
#[test]
fn a_client_that_only_writes_is_held_back() {
    let server = Server::kring(2, &["--input-backlog", "1mb", "--output-high-water", "64kb"]);
    assert_others_are_served(&server);
    let before = server.resident_bytes();
    let client = server.connect();
    let mut writer = client.writer();
    let (done, held) = std::sync::mpsc::channel();
    let piece = request(&[b"ECHO".to_vec(), vec![b'e'; 100]]).repeat(2_000);
    let writing = std::thread::spawn(move || {
        for sent in 0..4_000 {
            if let Err(e) = writer.write_all(&piece) {
                let _ = done.send((sent, e.kind()));
                return;
            }
        }
        let _ = done.send((4_000, ErrorKind::Other));
    });
    for _ in 0..5 {
        assert_others_are_served(&server);
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 48 * MB, "the server grew by {} MB", grown / MB);
    }
    drop(client.writer());
    server_side_kill(&server);
    let (sent, _) = held.recv().unwrap();
    assert!(sent < 4_000, "a gigabyte was taken from a client that reads nothing");
    writing.join().unwrap();
}

/// Closes all other connections, so that blocked writers end.
fn server_side_kill(server: &Server) {
    let mut client = server.connect();
    let killed = client.run("CLIENT KILL TYPE normal SKIPME yes");
    assert!(killed.int() >= 1, "{killed:?}");
}

#[test]
fn a_client_over_its_hard_output_limit_is_closed() {
    let server = Server::kring(2, &["--client-output-buffer-limit", "normal", "1mb", "0", "0"]);
    let mut client = server.connect();
    assert!(client.call(&[b"SET".to_vec(), b"big".to_vec(), vec![b'x'; 100_000]]).is_ok());
    client.send(&words("GET big").repeat(1_000)).unwrap();
    wait_until("the client is closed", || server.info()["client_output_buffer_limit_disconnections"] == "1");
    assert!(client.until_closed().len() < 50_000_000);
    assert_others_are_served(&server);
}

#[test]
fn a_client_over_its_soft_output_limit_is_closed_after_a_while() {
    let server = Server::kring(2, &["--client-output-buffer-limit", "normal", "0", "1mb", "1"]);
    let mut client = server.connect();
    assert!(client.call(&[b"SET".to_vec(), b"big".to_vec(), vec![b'x'; 100_000]]).is_ok());
    client.send(&words("GET big").repeat(300)).unwrap();
    wait_until("the client is closed", || server.info()["client_output_buffer_limit_disconnections"] == "1");
    assert!(client.until_closed().len() < 30_000_000);
}

#[test]
fn a_request_over_the_query_buffer_limit_closes_its_client() {
    let server = Server::kring(2, &["--client-query-buffer-limit", "1mb"]);
    let mut client = server.connect();
    // The server closes somewhere on the way.
    let _ = client.send(b"*2\r\n$4\r\nECHO\r\n$3000000\r\n");
    let _ = client.send(&vec![b'x'; 2_500_000]);
    assert_eq!(client.until_closed(), b"");
    assert_eq!(server.info()["client_query_buffer_limit_disconnections"], "1");
    assert_others_are_served(&server);
}

#[test]
fn arguments_may_be_as_long_as_proto_max_bulk_len() {
    let server = Server::kring(2, &["--proto-max-bulk-len", "1mb"]);
    let mut client = server.connect();
    let value = vec![b'v'; MB as usize];
    assert!(client.call(&[b"SET", b"k".as_slice(), &value]).is_ok());
    let longer = client.run("APPEND k x");
    let error = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    assert_eq!(longer, Reply::Error(error.into()));
    assert_eq!(client.run("SETRANGE k 1048576 x"), Reply::Error(error.into()));
    client.send(b"*2\r\n$4\r\nECHO\r\n$1048577\r\n").unwrap();
    assert_eq!(client.until_closed(), b"-ERR Protocol error: invalid bulk length\r\n");
}

#[test]
fn clients_beyond_maxclients_are_told_and_closed() {
    let server = Server::kring(2, &["--maxclients", "5"]);
    let refused = b"-ERR max number of clients reached\r\n";
    let mut inside = Vec::new();
    // The connection that saw the server start may not be gone yet.
    wait_until("five are inside", || {
        let mut client = server.connect();
        let _ = client.send(b"PING\r\n");
        match client.try_reply() {
            Ok((reply, _)) if !reply.is_error() => inside.push(client),
            _ => {}
        }
        inside.len() == 5
    });
    assert_eq!(server.connect().until_closed(), refused);
    assert_eq!(server.connect().until_closed(), refused);
    drop(inside.pop());
    wait_until("there is room again", || {
        let mut client = server.connect();
        let _ = client.send(b"PING\r\n");
        client.try_reply().is_ok_and(|(_, raw)| raw == b"+PONG\r\n")
    });
    assert!(inside.iter_mut().all(|c| c.run("PING") == Reply::Simple(b"PONG".to_vec())));
}

#[test]
fn idle_clients_are_closed_after_the_timeout_and_busy_ones_are_not() {
    let server = Server::kring(2, &["--timeout", "1"]);
    let mut busy = server.connect();
    let mut idle = server.connect();
    assert_eq!(idle.run("PING"), Reply::Simple(b"PONG".to_vec()));
    let waiting = std::thread::spawn(move || {
        assert_eq!(idle.until_closed(), b"");
    });
    while !waiting.is_finished() {
        assert_eq!(busy.run("PING"), Reply::Simple(b"PONG".to_vec()));
        std::thread::sleep(Duration::from_millis(20));
    }
    waiting.join().unwrap();
    assert_eq!(busy.run("PING"), Reply::Simple(b"PONG".to_vec()));
}

#[test]
fn who_sends_or_takes_slowly_is_not_idle() {
    const VALUE: usize = 48 << 20;
    let server = Server::kring(2, &["--timeout", "1"]);
    let mut boss = server.connect();
    boss.call(&[b"SET".as_slice(), b"large", &vec![b'v'; VALUE]]);
    let slow_reader = |mut stream: TcpStream| {
        stream.write_all(b"GET large\r\n").unwrap();
        let (mut total, mut buffer) = (0, vec![0; 800_000]);
        while total < VALUE {
            std::thread::sleep(Duration::from_millis(70));
            let got = stream.read(&mut buffer).unwrap();
            assert!(got > 0, "closed after {total} bytes");
            total += got;
        }
    };
    let slow_writer = |mut stream: TcpStream| {
        stream.write_all(b"*2\r\n$4\r\nECHO\r\n$40\r\n").unwrap();
        for _ in 0..40 {
            std::thread::sleep(Duration::from_millis(100));
            stream.write_all(b"x").unwrap();
        }
        stream.write_all(b"\r\n").unwrap();
        let mut reply = [0; 47];
        stream.read_exact(&mut reply).unwrap();
    };
    let (reader, writer, mut stuck) = (
        TcpStream::connect(server.addr()).unwrap(),
        TcpStream::connect(server.addr()).unwrap(),
        TcpStream::connect(server.addr()).unwrap(),
    );
    stuck.write_all(b"GET large\r\n").unwrap();
    std::thread::scope(|scope| {
        let busy = [scope.spawn(|| slow_reader(reader)), scope.spawn(|| slow_writer(writer))];
        while busy.iter().any(|thread| !thread.is_finished()) {
            boss.run("PING");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    // Who takes nothing at all is gone.
    wait_until("it is closed", || !boss.run("CLIENT LIST").text().contains(" cmd=get "));
}

#[test]
fn writes_that_want_replicas_are_refused_as_redis_refuses_them() {
    for server in [Server::kring(1, &[]), Server::kring(3, &[]), Server::redis(&[])] {
        let (mut client, mut other) = (server.connect(), server.connect());
        client.ok("SET a 1");
        client.ok("MULTI");
        client.run("SET a 2");
        other.ok("MULTI");
        other.run("GET a");
        let mut control = server.connect();
        control.ok("CONFIG SET min-replicas-to-write 2");
        let refused = "NOREPLICAS Not enough good replicas to write.";
        assert_eq!(control.run("SET a 3").text(), refused);
        assert_eq!(control.run("PING").text(), "PONG");
        assert_eq!(
            client.run("EXEC").text(),
            format!("EXECABORT Transaction discarded because of: {refused}")
        );
        assert_eq!(other.run("EXEC").array()[0].text(), "1");
        control.ok("CONFIG SET min-replicas-max-lag 0");
        control.ok("SET a 4");
        control.ok("CONFIG SET min-replicas-max-lag 10 min-slaves-to-write 0");
        control.ok("SET a 5");
    }
}
