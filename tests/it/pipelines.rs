//! Pipelines of any depth, written without reading.

use crate::client::words;
use crate::reply::Reply;
use crate::server::Server;

#[test]
fn a_hundred_thousand_commands_are_written_before_the_first_reply_is_read() {
    const COMMANDS: usize = 100_000;
    const KEYS: usize = 1_000;
    for shards in [1, 3] {
        let server = Server::kring(shards, &[]);
        let mut client = server.connect();
        let mut bytes = Vec::new();
        (0..COMMANDS).for_each(|i| bytes.extend(words(&format!("INCR key:{}", i % KEYS))));
        client.send(&bytes).unwrap();
        for i in 0..COMMANDS {
            assert_eq!(client.reply(), Reply::Int((i / KEYS) as i64 + 1), "command {i}");
        }
    }
}

#[test]
fn every_depth_gets_its_replies_in_order() {
    let server = Server::kring(8, &[]);
    let mut client = server.connect();
    let mut next = 0;
    for depth in (1..40).chain([64, 100, 127, 128, 129, 1_000, 5_000]) {
        let bytes: Vec<u8> = (next..next + depth).flat_map(|i| words(&format!("ECHO {i}"))).collect();
        client.send(&bytes).unwrap();
        for i in next..next + depth {
            assert_eq!(client.reply(), Reply::Bulk(i.to_string().into_bytes()));
        }
        next += depth;
    }
}

/// Writing and reading at once, far more than any buffer holds.
#[test]
fn a_long_stream_of_large_replies_keeps_its_order() {
    const COMMANDS: usize = 3_000;
    let server = Server::kring(3, &[]);
    let mut client = server.connect();
    for i in 0..10 {
        client.ok(&format!("SET key:{i} {}", i.to_string().repeat(40_000)));
    }
    let mut writer = client.writer();
    let writing = std::thread::spawn(move || {
        for i in 0..COMMANDS {
            writer.write_all(&words(&format!("GET key:{}", i % 10))).unwrap();
        }
    });
    for i in 0..COMMANDS {
        let reply = client.reply();
        let (len, first) = (reply.bytes().len(), reply.bytes()[0]);
        assert_eq!((len, first), (40_000, b'0' + (i % 10) as u8), "reply {i}");
    }
    writing.join().unwrap();
}

#[test]
fn a_scan_takes_no_more_stores_than_it_looks_in() {
    let server = Server::kring(4, &[]);
    let mut client = server.connect();
    (0..2_000).for_each(|i| client.ok(&format!("SET key:{i} v")));
    let borrows = || server.info()["kring_borrows"].parse::<u64>().unwrap();
    let (before, mut cursor) = (borrows(), "0".to_string());
    for _ in 0..20 {
        let reply = client.run(&format!("SCAN {cursor}"));
        assert!(reply.array()[1].array().len() >= 10);
        cursor = reply.array()[0].text();
    }
    let taken = borrows() - before;
    assert!((20..50).contains(&taken), "{taken}");
    // Where a shard ends, the call goes on in the next.
    assert_eq!(client.scan("COUNT 700").len(), 2_000);
    assert_eq!(client.run("SCAN 0 COUNT 100000").array()[1].array().len(), 2_000);
    client.ok("MULTI");
    client.run("SCAN 0 COUNT 100000");
    assert_eq!(client.run("EXEC").array()[0].array()[1].array().len(), 2_000);
}

#[test]
fn a_scan_goes_over_all_shards_where_nothing_is_borrowed() {
    for args in [["--borrow", "no"], ["--take-spin-ns", "0"]] {
        let server = Server::kring(5, &args);
        let mut client = server.connect();
        (0..500).for_each(|i| client.ok(&format!("SET key:{i} v")));
        assert_eq!(client.scan("COUNT 7").len(), 500);
        assert_eq!(client.run("SCAN 0 COUNT 100000").array()[1].array().len(), 500);
    }
}
