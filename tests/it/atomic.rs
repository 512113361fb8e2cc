//! Commands of several keys are atomic, also when the keys live on different shards and other clients are at them.

use crate::client::{Client, words};
use crate::reply::Reply;
use crate::rng::{Rng, seed};
use crate::server::Server;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Rounds of each thread.
const ROUNDS: usize = 800;

/// The servers that a test runs on: fewer shards than cores and more, with borrowing and without, with loans at once.
const SERVERS: &[(usize, &[&str])] =
    &[(2, &[]), (8, &[]), (8, &["--take-spin-ns", "0"]), (5, &["--borrow", "no"])];

fn on_each(test: impl Fn(&Server)) {
    for (shards, args) in SERVERS {
        let server = Server::kring(*shards, args);
        test(&server);
        assert_eq!(server.connect().run("PING"), Reply::Simple(b"PONG".to_vec()), "{shards} shards {args:?}");
    }
}

/// Runs `count` threads with a client each.
fn threads(server: &Server, count: usize, run: impl Fn(usize, Client) + Sync) {
    std::thread::scope(|scope| {
        for i in 0..count {
            let client = server.connect();
            let run = &run;
            scope.spawn(move || run(i, client));
        }
    });
}

#[test]
fn mset_is_seen_whole_by_mget() {
    on_each(|server| {
        server.connect().ok("MSET a 0 b 0 c 0 d 0 e 0 f 0");
        threads(server, 6, |i, mut client| {
            for round in 0..ROUNDS {
                if i < 3 {
                    let v = format!("{i}-{round}");
                    client.ok(&format!("MSET a {v} b {v} c {v} d {v} e {v} f {v}"));
                    continue;
                }
                let all = client.run("MGET f e d c b a");
                let values = all.array();
                assert!(values.iter().all(|v| *v == values[0]), "torn: {all:?}");
            }
        });
    });
}

#[test]
fn one_of_many_msetnx_wins() {
    on_each(|server| {
        let wins = AtomicI64::new(0);
        threads(server, 6, |i, mut client| {
            for round in 0..ROUNDS / 4 {
                // Neighbours overlap in one key of three.
                let keys = [i, i + 1, i + 2].map(|k| format!("r{round}:{} {i}", k % 6)).join(" ");
                wins.fetch_add(client.run(&format!("MSETNX {keys}")).int(), Ordering::Relaxed);
            }
        });
        let mut client = server.connect();
        let mut found = 0;
        for round in 0..ROUNDS / 4 {
            let keys: Vec<String> = (0..6).map(|k| format!("r{round}:{k}")).collect();
            let values = client.run(&format!("MGET {}", keys.join(" ")));
            for i in 0..6 {
                let of_i =
                    values.array().iter().filter(|v| **v == Reply::Bulk(i.to_string().into_bytes())).count();
                assert!(of_i == 0 || of_i == 3, "round {round}: writer {i} has {of_i} keys: {values:?}");
                found += i64::from(of_i == 3);
            }
        }
        assert_eq!(found, wins.load(Ordering::Relaxed));
    });
}

#[test]
fn a_renamed_key_is_always_somewhere() {
    on_each(|server| {
        server.connect().ok("SET here value");
        threads(server, 4, |i, mut client| {
            for round in 0..ROUNDS {
                match i {
                    0 => drop(client.run("RENAME here there")),
                    1 => drop(client.run("RENAME there here")),
                    2 => assert_eq!(client.run("EXISTS here there"), Reply::Int(1), "round {round}"),
                    _ => {
                        let both = client.run("MGET here there");
                        let present = both.array().iter().filter(|v| **v != Reply::Null).count();
                        assert_eq!(present, 1, "{both:?}");
                    }
                }
            }
        });
    });
}

#[test]
fn increments_from_many_clients_sum_up() {
    const CLIENTS: usize = 8;
    const EACH: usize = 2_000;
    on_each(|server| {
        threads(server, CLIENTS, |i, mut client| {
            let mut rng = Rng::new(seed().wrapping_add(i as u64));
            for _ in 0..EACH / 50 {
                let batch: Vec<u8> =
                    (0..50).flat_map(|_| words(&format!("INCR n:{}", rng.below(20)))).collect();
                client.send(&batch).unwrap();
                (0..50).for_each(|_| assert!(client.reply().int() > 0));
            }
        });
        let mut client = server.connect();
        let sum: i64 =
            (0..20).map(|k| client.run(&format!("GET n:{k}")).text().parse::<i64>().unwrap()).sum();
        assert_eq!(sum, (CLIENTS * EACH) as i64);
    });
}

#[test]
fn swapdb_and_flushall_amid_traffic_are_seen_whole() {
    on_each(|server| {
        let done = AtomicBool::new(false);
        threads(server, 5, |i, mut client| {
            for round in 0..ROUNDS / 2 {
                match i {
                    0 => client.ok("SWAPDB 0 1"),
                    1 if round % 10 == 0 => client.ok("FLUSHALL"),
                    1 => client.ok("MSET a 9 b 9 c 9 d 9"),
                    2 => client.ok(&format!("MSET a {round} b {round} c {round} d {round}")),
                    _ => {
                        let all = client.run("MGET a b c d");
                        let values = all.array();
                        assert!(values.iter().all(|v| *v == values[0]), "torn: {all:?}");
                        let size = client.run("DBSIZE").int();
                        assert!(size == 0 || size == 4, "DBSIZE {size}");
                    }
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

/// KEYS, DBSIZE and RANDOMKEY span all shards and see a MSET whole or not at all.
#[test]
fn what_spans_all_shards_sees_no_half_of_a_command() {
    on_each(|server| {
        threads(server, 4, |i, mut client| {
            for _ in 0..ROUNDS / 2 {
                match i {
                    0 => client.ok("MSET a 1 b 1 c 1 d 1 e 1"),
                    1 => drop(client.run("DEL a b c d e")),
                    2 => {
                        let size = client.run("DBSIZE").int();
                        assert!(size == 0 || size == 5, "DBSIZE {size}");
                    }
                    _ => {
                        let keys = client.run("KEYS *").array().len();
                        assert!(keys == 0 || keys == 5, "KEYS found {keys}");
                    }
                }
            }
        });
    });
}

/// Clients that vanish while their jobs are away leave nothing half done and no store behind.
#[test]
fn clients_that_vanish_take_nothing_with_them() {
    on_each(|server| {
        server.connect().ok("MSET a 0 b 0 c 0 d 0");
        threads(server, 4, |i, mut steady| {
            let mut rng = Rng::new(seed().wrapping_add(i as u64));
            for round in 0..60 {
                let mut client = server.connect();
                let batch: Vec<u8> = (0..1 + rng.below(400))
                    .flat_map(|n| {
                        words(&format!(
                            "MSET a {i}.{round}.{n} b {i}.{round}.{n} c {i}.{round}.{n} d {i}.{round}.{n}"
                        ))
                    })
                    .collect();
                // Somewhere in a command.
                client.send(&batch[..rng.below(batch.len())]).unwrap();
                drop(client);
                let all = steady.run("MGET a b c d");
                let values = all.array();
                assert!(values.iter().all(|v| *v == values[0]), "torn: {all:?}");
            }
        });
        let mut client = server.connect();
        (0..200).for_each(|i| client.ok(&format!("SET after:{i} {i}")));
    });
}
