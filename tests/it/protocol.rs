//! How bytes arrive makes no difference: cut anywhere, in one piece, large, ended by a half-close.

use crate::client::{Client, request, words};
use crate::reply::Reply;
use crate::rng::{Rng, seed};
use crate::server::Server;

/// A script that touches what can be cut: arrays, bulk strings with CR LF inside, empty ones, inline commands, an error.
fn script() -> (Vec<u8>, Vec<u8>) {
    let mut bytes = Vec::new();
    bytes.extend(request(&[b"SET".as_slice(), b"k\r\n", b"a\r\n$3\r\nb"]));
    bytes.extend(request(&[b"GET".as_slice(), b"k\r\n"]));
    bytes.extend_from_slice(b"ECHO \"in line\"\r\n\r\nPING\n");
    bytes.extend(request(&["ECHO", ""]));
    bytes.extend(request(&["GET"]));
    bytes.extend(words("MSET {a}1 x other y third z"));
    bytes.extend(words("MGET {a}1 other third nosuch"));
    bytes.extend(request(&[b"ECHO".to_vec(), vec![b'v'; 300]]));
    bytes.extend(words("DEL k {a}1 other third"));
    let mut replies = b"+OK\r\n$8\r\na\r\n$3\r\nb\r\n$7\r\nin line\r\n+PONG\r\n$0\r\n\r\n".to_vec();
    replies.extend_from_slice(b"-ERR wrong number of arguments for 'get' command\r\n+OK\r\n");
    replies.extend_from_slice(b"*4\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n$-1\r\n$300\r\n");
    replies.extend(vec![b'v'; 300]);
    replies.extend_from_slice(b"\r\n:3\r\n");
    (bytes, replies)
}

#[test]
fn a_script_cut_at_every_byte_gets_the_same_replies() {
    let server = Server::kring(3, &[]);
    let (bytes, replies) = script();
    let mut client = server.connect();
    for cut in 0..=bytes.len() {
        client.send(&bytes[..cut]).unwrap();
        // An answer on another connection: the first piece is surely there before the second leaves.
        if cut % 7 == 0 {
            assert_eq!(server.connect().run("PING"), Reply::Simple(b"PONG".to_vec()));
        }
        client.send(&bytes[cut..]).unwrap();
        assert_replies(&mut client, &replies, cut);
    }
}

#[test]
fn a_script_byte_by_byte_and_in_random_pieces_gets_the_same_replies() {
    let server = Server::kring(3, &["--recv-buffer-bytes", "1024"]);
    let (bytes, replies) = script();
    let mut client = server.connect();
    for byte in &bytes {
        client.send(&[*byte]).unwrap();
    }
    assert_replies(&mut client, &replies, 0);
    let mut rng = Rng::new(seed());
    for round in 0..50 {
        let many = bytes.repeat(20);
        let mut rest = many.as_slice();
        while !rest.is_empty() {
            let n = (1 + rng.below(2_000)).min(rest.len());
            client.send(&rest[..n]).unwrap();
            rest = &rest[n..];
        }
        (0..20).for_each(|_| assert_replies(&mut client, &replies, round));
    }
}

fn assert_replies(client: &mut Client, replies: &[u8], at: usize) {
    let mut got = Vec::new();
    while got.len() < replies.len() {
        got.extend(client.raw());
    }
    assert_eq!(got.escape_ascii().to_string(), replies.escape_ascii().to_string(), "at {at}");
}

#[test]
fn a_value_of_ten_megabytes_comes_back_whole() {
    let server = Server::kring(2, &[]);
    let mut client = server.connect();
    let mut rng = Rng::new(seed());
    let value: Vec<u8> = (0..10 << 20).map(|_| rng.next() as u8).collect();
    for key in ["big", "{t}big", "bigger"] {
        assert!(client.call(&[b"SET", key.as_bytes(), &value]).is_ok());
        assert!(client.run(&format!("GET {key}")) == Reply::Bulk(value.clone()), "{key} differs");
    }
    let both = client.run("MGET big bigger");
    assert!(both.array().iter().all(|v| v.bytes() == value), "MGET differs");
    let cut = client.run("GETRANGE big 1048576 1048585");
    assert_eq!(cut.bytes(), &value[1 << 20..(1 << 20) + 10]);
}

/// A large value may stay in the request that brought it: whatever follows that, or changes the value, concerns only one of them.
#[test]
fn large_values_and_what_follows_them_in_one_write_stay_apart() {
    for shards in [1, 3] {
        let server = Server::kring(shards, &[]);
        let (mut client, mut other) = (server.connect(), server.connect());
        let mut rng = Rng::new(seed());
        for round in 0..60 {
            let near = [16_000, 32_768, 65_536, 98_304, 100_000, 300_000, 524_288, 1_000_000][round % 8];
            let value: Vec<u8> =
                (0..near - 40 + rng.next() as usize % 80).map(|_| rng.next() as u8).collect();
            let key = format!("key:{}", round % 7).into_bytes();
            let set: &[&[u8]] = match round % 3 {
                0 => &[b"SET", &key, &value],
                1 => &[b"SETEX", &key, b"1000", &value],
                _ => &[b"SET", &key, &value, b"EX", b"1000"],
            };
            let mut bytes = request(set);
            match round % 4 {
                0 => {}
                1 => bytes.extend(request(&[b"PING".as_slice()])),
                2 => bytes.extend(request(&[b"SETRANGE".as_slice(), &key, b"100", b"changed"])),
                _ => bytes.extend(request(&[b"SET".as_slice(), b"next", &value])),
            }
            client.send(&bytes).unwrap();
            assert!(client.reply().is_ok());
            let mut expected = value.clone();
            match round % 4 {
                0 => {}
                1 => assert_eq!(client.reply(), Reply::Simple(b"PONG".to_vec())),
                2 => {
                    expected[100..107].copy_from_slice(b"changed");
                    assert_eq!(client.reply(), Reply::Int(value.len() as i64));
                }
                _ => assert!(client.reply().is_ok()),
            }
            let found = other.call(&[b"GET".as_slice(), &key]);
            assert!(found == Reply::Bulk(expected.clone()), "round {round}, {} bytes", value.len());
            assert_eq!(
                client.call(&[b"APPEND".as_slice(), &key, b"tail"]),
                Reply::Int(value.len() as i64 + 4)
            );
            expected.extend(b"tail");
            assert!(
                other.call(&[b"GET".as_slice(), &key]) == Reply::Bulk(expected),
                "round {round}, appended"
            );
            if round % 4 == 3 {
                assert!(other.run("GET next") == Reply::Bulk(value), "round {round}, the next");
            }
        }
    }
}

#[test]
fn a_key_may_be_large_and_of_any_bytes() {
    let server = Server::kring(3, &[]);
    let mut client = server.connect();
    let key: Vec<u8> = (0..1 << 20).map(|i| (i * 31 % 256) as u8).collect();
    assert!(client.call(&[b"SET".as_slice(), &key, b"v"]).is_ok());
    assert_eq!(client.call(&[b"GET".as_slice(), &key]), Reply::Bulk(b"v".to_vec()));
    assert_eq!(client.run("KEYS *").array()[0].bytes(), key);
    assert_eq!(client.call(&[b"RENAME".as_slice(), &key, b"short"]), Reply::Simple(b"OK".to_vec()));
    assert_eq!(client.call(&[b"EXISTS".as_slice(), &key, b"short"]), Reply::Int(1));
}

#[test]
fn after_a_half_close_all_replies_still_come() {
    let server = Server::kring(3, &[]);
    for count in [1, 100, 20_000] {
        let mut client = server.connect();
        let mut bytes = Vec::new();
        (0..count).for_each(|i| bytes.extend(words(&format!("SET key:{i} {i}"))));
        (0..count).for_each(|i| bytes.extend(words(&format!("GET key:{i}"))));
        client.send(&bytes).unwrap();
        client.half_close();
        (0..count).for_each(|i| assert!(client.reply().is_ok(), "SET {i}"));
        (0..count).for_each(|i| assert_eq!(client.reply(), Reply::Bulk(i.to_string().into_bytes())));
        assert_eq!(client.until_closed(), b"");
    }
}

#[test]
fn quit_answers_and_closes_and_what_follows_it_is_dropped() {
    let server = Server::kring(2, &[]);
    let mut client = server.connect();
    client.send(b"SET a 1\r\nQUIT\r\nSET a 2\r\n").unwrap();
    assert_eq!(client.until_closed(), b"+OK\r\n+OK\r\n");
    assert_eq!(server.connect().run("GET a"), Reply::Bulk(b"1".to_vec()));
}

#[test]
fn a_protocol_error_answers_what_came_before_and_closes() {
    let server = Server::kring(3, &[]);
    let mut client = server.connect();
    client.send(b"SET a 1\r\nGET a\r\nSET b 2\r\nGET b\r\n*1\r\nPING\r\nSET a 3\r\n").unwrap();
    let all = client.until_closed();
    let expected = b"+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n-ERR Protocol error: expected '$', got 'P'\r\n";
    assert_eq!(all.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert_eq!(server.connect().run("GET a"), Reply::Bulk(b"1".to_vec()));
}

#[test]
fn resp3_and_back_within_a_pipeline() {
    let server = Server::kring(2, &[]);
    let mut client = server.connect();
    client.send(b"GET nosuch\r\nHELLO 3\r\nGET nosuch\r\nHELLO 2\r\nGET nosuch\r\n").unwrap();
    assert_eq!(client.raw(), b"$-1\r\n");
    let hello = client.reply();
    assert!(matches!(&hello, Reply::Map(_)), "{hello:?}");
    assert_eq!(client.raw(), b"_\r\n");
    assert!(matches!(client.reply(), Reply::Array(_)));
    assert_eq!(client.raw(), b"$-1\r\n");
}
