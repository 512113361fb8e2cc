//! Commands that wait, on several connections: kring and redis-server see the same requests in the same order.
//!
//! ```text
//! a: BLPOP k 0 ...     connection a sends this and waits; the script goes on when the server says that it does
//! b: RPUSH k 1         b sends and gets its reply
//! a<                   the reply that a has waited for
//! ---                  afresh: new connections, no keys
//! ```

use super::compare::{How, differ, same};
use crate::client::{Client, words};
use crate::server::{Server, wait_until};
use std::collections::BTreeMap;

const SCRIPT: &str = include_str!("cases/blocking.txt");

#[test]
fn waits_end_like_redis_on_one_shard() {
    compare(1);
}

#[test]
fn waits_end_like_redis_on_five_shards() {
    compare(5);
}

/// One server and its connections by name.
struct Side {
    server: Server,
    boss: Client,
    clients: BTreeMap<String, Client>,
    resp3: bool,
}

impl Side {
    fn new(server: Server) -> Side {
        let boss = server.connect();
        Side { server, boss, clients: BTreeMap::new(), resp3: false }
    }

    fn client(&mut self, name: &str) -> &mut Client {
        if !self.clients.contains_key(name) {
            let mut client = self.server.connect();
            if self.resp3 {
                client.run("HELLO 3");
            }
            client.ok(&format!("CLIENT SETNAME {name}"));
            self.clients.insert(name.into(), client);
        }
        self.clients.get_mut(name).expect("just made")
    }

    /// How many clients wait.
    fn blocked(&mut self) -> usize {
        let info = self.boss.run("INFO clients").text();
        let line = info.lines().find_map(|l| l.strip_prefix("blocked_clients:")).expect("a field");
        line.trim().parse().expect("a number")
    }

    /// The id of a client by its name.
    fn id(&mut self, name: &str) -> String {
        self.boss
            .run("CLIENT LIST")
            .text()
            .lines()
            .find(|l| l.contains(&format!(" name={name} ")))
            .map_or_else(
                || panic!("no client {name}"),
                |line| line.split([' ', '=']).nth(1).expect("an id").to_string(),
            )
    }

    fn afresh(&mut self) {
        self.clients.clear();
        wait_until("nobody waits", || self.blocked() == 0);
        self.boss.ok("FLUSHALL");
    }
}

fn compare(shards: usize) {
    let args = ["--enable-debug-command", "yes"];
    let (mut kring, mut redis) = (Side::new(Server::kring(shards, &args)), Side::new(Server::redis(&args)));
    let mut differences = vec![];
    for resp3 in [false, true] {
        (kring.resp3, redis.resp3) = (resp3, resp3);
        let mut blocked = 0;
        for line in SCRIPT.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            if line == "---" {
                blocked = 0;
                [&mut kring, &mut redis].into_iter().for_each(Side::afresh);
            } else if let Some(name) = line.strip_suffix('<') {
                let replies = [&mut kring, &mut redis].map(|side| side.client(name).raw());
                judge(line, &replies, &mut differences);
                blocked -= 1;
            } else {
                let (name, request) = line.split_once(": ").unwrap_or_else(|| panic!("cannot read {line}"));
                let waits = request.strip_suffix(" ...");
                let replies = [&mut kring, &mut redis].map(|side| {
                    let request = expand(side, waits.unwrap_or(request));
                    side.client(name).send(&words(&request)).expect("a server takes a request");
                    waits.is_none().then(|| side.client(name).raw())
                });
                if let [Some(k), Some(r)] = replies {
                    judge(line, &[k, r], &mut differences);
                } else {
                    blocked += 1;
                    for side in [&mut kring, &mut redis] {
                        wait_until(line, || side.blocked() == blocked);
                    }
                }
            }
        }
        [&mut kring, &mut redis].into_iter().for_each(Side::afresh);
    }
    assert!(differences.is_empty(), "{shards} shards:\n{}", differences.join("\n"));
}

/// `@name` is the id of that client.
fn expand(side: &mut Side, request: &str) -> String {
    let word = |word: &str| match word.strip_prefix('@') {
        Some(name) => side.id(name),
        None => word.to_string(),
    };
    request.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn judge(line: &str, [kring, redis]: &[Vec<u8>; 2], differences: &mut Vec<String>) {
    if !same(How::Bytes, redis, kring) {
        differences.push(differ(&[line.as_bytes().to_vec()], redis, kring));
    }
}
