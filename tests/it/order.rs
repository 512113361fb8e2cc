//! Program order: a pipeline takes effect in the order it was sent, also when its keys live on different shards.

use crate::client::{Client, request};
use crate::reply::Reply;
use crate::rng::{Rng, seed};
use crate::server::Server;
use std::collections::HashMap;

/// Keys of one connection, over all shards.
const KEYS: usize = 60;
const COMMANDS: usize = 6_000;
/// Commands in one write at most.
const DEPTH: usize = 300;

/// What a connection that is alone with its keys must see.
#[derive(Default)]
struct Model(HashMap<Vec<u8>, i64>);

impl Model {
    /// A random command and its reply.
    fn step(&mut self, owner: usize, rng: &mut Rng) -> (Vec<Vec<u8>>, Reply) {
        let key = |rng: &mut Rng| format!("c{owner}:{}", rng.below(KEYS)).into_bytes();
        let bulk = |v: Option<&i64>| v.map_or(Reply::Null, |n| Reply::Bulk(n.to_string().into_bytes()));
        let word = |w: &str| w.as_bytes().to_vec();
        let a = key(rng);
        match rng.below(10) {
            0..=2 => {
                let n = rng.below(1_000) as i64;
                self.0.insert(a.clone(), n);
                (vec![word("SET"), a, word(&n.to_string())], Reply::Simple(word("OK")))
            }
            3..=4 => (vec![word("GET"), a.clone()], bulk(self.0.get(&a))),
            5 => {
                let n = self.0.entry(a.clone()).or_insert(0);
                *n += 1;
                (vec![word("INCR"), a], Reply::Int(*n))
            }
            6 => {
                let (b, c) = (key(rng), key(rng));
                let replies = [&a, &b, &c].map(|k| bulk(self.0.get(k))).to_vec();
                (vec![word("MGET"), a, b, c], Reply::Array(replies))
            }
            7 => {
                let b = key(rng);
                let n = rng.below(1_000) as i64;
                self.0.insert(a.clone(), n);
                self.0.insert(b.clone(), n + 1);
                let args = vec![word("MSET"), a, word(&n.to_string()), b, word(&(n + 1).to_string())];
                (args, Reply::Simple(word("OK")))
            }
            8 => {
                let gone = i64::from(self.0.remove(&a).is_some());
                (vec![word("DEL"), a], Reply::Int(gone))
            }
            _ => {
                let b = key(rng);
                let reply = match self.0.get(&a).copied() {
                    None => Reply::Error(word("ERR no such key")),
                    Some(n) => {
                        self.0.remove(&a);
                        self.0.insert(b.clone(), n);
                        Reply::Simple(word("OK"))
                    }
                };
                (vec![word("RENAME"), a, b], reply)
            }
        }
    }
}

fn drive(mut client: Client, owner: usize) {
    let seed = seed().wrapping_add(owner as u64);
    let mut rng = Rng::new(seed);
    let mut model = Model::default();
    let mut done = 0;
    while done < COMMANDS {
        let batch: Vec<_> = (0..1 + rng.below(DEPTH)).map(|_| model.step(owner, &mut rng)).collect();
        let bytes: Vec<u8> = batch.iter().flat_map(|(args, _)| request(args)).collect();
        client.send(&bytes).unwrap();
        for (args, expected) in &batch {
            let got = client.reply();
            let told = || args.iter().map(|a| String::from_utf8_lossy(a)).collect::<Vec<_>>().join(" ");
            assert_eq!(got, *expected, "connection {owner}, command {done}, seed {seed}: {}", told());
            done += 1;
        }
    }
}

fn many_connections(shards: usize, args: &[&str]) {
    const CONNECTIONS: usize = 8;
    let server = Server::kring(shards, args);
    std::thread::scope(|scope| {
        for owner in 0..CONNECTIONS {
            let client = server.connect();
            scope.spawn(move || drive(client, owner));
        }
    });
}

#[test]
fn pipelines_keep_their_order_on_one_and_two_shards() {
    many_connections(1, &[]);
    many_connections(2, &[]);
}

#[test]
fn pipelines_keep_their_order_on_eight_shards() {
    many_connections(8, &[]);
}

/// Without borrowing every foreign command goes by mail.
#[test]
fn pipelines_keep_their_order_by_mail_alone() {
    many_connections(3, &["--borrow", "no"]);
    many_connections(8, &["--borrow", "no", "--take-spin-ns", "0"]);
}

/// With no patience, stores that are away at all send the batch by mail, and several stores go by loan.
#[test]
fn pipelines_keep_their_order_without_any_spin() {
    many_connections(8, &["--take-spin-ns", "0"]);
}

/// Another connection sees one's writes in the order they were sent.
#[test]
fn writes_to_two_shards_are_seen_in_order() {
    const ROUNDS: usize = 3_000;
    let server = Server::kring(4, &[]);
    let (mut writer, mut reader) = (server.connect(), server.connect());
    writer.ok("MSET first 0 second 0 third 0");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for i in 1..=ROUNDS {
                let sets = ["first", "second", "third"].map(|k| format!("SET {k} {i}\r\n")).concat();
                writer.send(sets.as_bytes()).unwrap();
                (0..3).for_each(|_| assert!(writer.reply().is_ok()));
            }
        });
        // Read in the other order: what is read later can only be newer.
        loop {
            reader.send(b"GET third\r\nGET second\r\nGET first\r\n").unwrap();
            let [third, second, first]: [usize; 3] =
                std::array::from_fn(|_| reader.reply().text().parse().unwrap());
            assert!(third <= second && second <= first, "first {first}, second {second}, third {third}");
            if third == ROUNDS {
                break;
            }
        }
    });
}
