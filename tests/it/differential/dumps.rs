//! DUMP on one server, RESTORE on the other.

use super::compare::{differ, same};
use super::pair::Pair;
use crate::client::Client;
use crate::reply::Reply;
use crate::server::Server;

fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        "",
        "a",
        "0",
        "-1",
        "127",
        "128",
        "-128",
        "-129",
        "32767",
        "-32769",
        "65536",
        "2147483647",
        "2147483648",
        "-2147483649",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "01",
        "1.5",
    ]
    .iter()
    .map(|t| t.as_bytes().to_vec())
    .collect();
    for length in [1, 20, 21, 44, 45, 63, 64, 100, 16_383, 16_384, 70_000] {
        values.push(vec![b'a'; length]);
        values.push((0..length).map(|i| (i * 7919 % 251) as u8).collect());
        values.push((0..length).map(|i| b"abcdefgh"[i / 5 % 8]).collect());
    }
    values
}

#[test]
fn dumps_are_restored_across_the_servers() {
    let (kring, redis) = (Server::kring(3, &[]), Server::redis(&[]));
    let (mut k, mut r) = (kring.connect(), redis.connect());
    for (i, value) in values().iter().enumerate() {
        let key = format!("key:{i}");
        carry(&mut k, &mut r, &key, value);
        carry(&mut r, &mut k, &key, value);
    }
}

fn carry(from: &mut Client, to: &mut Client, key: &str, value: &[u8]) {
    assert!(from.call(&[b"SET", key.as_bytes(), value]).is_ok());
    let payload = from.run(&format!("DUMP {key}"));
    let restored = to.call(&[b"RESTORE", key.as_bytes(), b"0", payload.bytes(), b"REPLACE"]);
    assert!(restored.is_ok(), "{restored:?} for a value of {} bytes: {payload:?}", value.len());
    assert_eq!(to.run(&format!("GET {key}")), Reply::Bulk(value.to_vec()));
    let encoding = [from.run(&format!("OBJECT ENCODING {key}")), to.run(&format!("OBJECT ENCODING {key}"))];
    assert_eq!(encoding[0], encoding[1]);
}

/// RESTORE's options and refusals, with payloads that Redis made.
#[test]
fn restore_answers_like_redis() {
    let mut pair = Pair::start(2, 1);
    let (_, redis) = pair.first();
    redis.ok("SET source 12345");
    let whole = redis.run("DUMP source").bytes().to_vec();
    redis.ok("FLUSHALL");
    let mut flipped = whole.clone();
    flipped[0] ^= 1;
    let mut newer = whole.clone();
    let version = newer.len() - 10;
    newer[version] = 99;
    let payloads: Vec<Vec<u8>> = vec![
        whole.clone(),
        flipped,
        newer,
        whole[..whole.len() - 1].to_vec(),
        whole[1..].to_vec(),
        vec![],
        b"x".repeat(10),
        b"x".repeat(9),
    ];
    const TAILS: &[&str] = &[
        "",
        "REPLACE",
        "replace",
        "ABSTTL",
        "IDLETIME 10",
        "IDLETIME -1",
        "IDLETIME x",
        "IDLETIME",
        "FREQ 10",
        "FREQ 256",
        "FREQ -1",
        "FREQ",
        "REPLACE ABSTTL",
        "REPLACE IDLETIME 5 FREQ 6",
        "REPLACE FREQ 6 IDLETIME 5",
        "NOSUCH",
        "REPLACE REPLACE",
    ];
    for ttl in ["0", "-1", "x", "", "1000000", "1", "9223372036854775807", "9999999999999"] {
        for payload in &payloads {
            for tail in TAILS {
                // As moments only: one is long past, the other is not to overflow (see `known`).
                if matches!(ttl, "1" | "9223372036854775807") && !tail.contains("ABSTTL") {
                    continue;
                }
                let mut args =
                    vec![b"RESTORE".to_vec(), b"k".to_vec(), ttl.as_bytes().to_vec(), payload.clone()];
                args.extend(tail.split_whitespace().map(|w| w.as_bytes().to_vec()));
                look(&mut pair, &args);
                look(&mut pair, &[b"GET".to_vec(), b"k".to_vec()]);
                look(&mut pair, &[b"EXISTS".to_vec(), b"k".to_vec()]);
            }
            look(&mut pair, &[b"DEL".to_vec(), b"k".to_vec()]);
        }
    }
    for args in ["RESTORE", "RESTORE k", "RESTORE k 0", "DUMP", "DUMP a b", "DUMP nosuch"] {
        look(&mut pair, &args.split(' ').map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>());
    }
    pair.assert_alike("RESTORE");
}

fn look(pair: &mut Pair, args: &[Vec<u8>]) {
    let (kring, redis) = pair.both(args);
    if !same(super::compare::How::Bytes, &redis, &kring) {
        // Told once per reply of each: the payloads are many.
        pair.note(&format!("{kring:?} {redis:?}"), differ(args, &redis, &kring));
    }
}
