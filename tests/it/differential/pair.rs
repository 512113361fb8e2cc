//! Two servers, and connections to both that are used alike.

use super::compare::{How, differ, items, quote, same};
use super::known;
use crate::client::{Client, request};
use crate::server::Server;
use std::collections::{BTreeMap, VecDeque};

/// Requests that a failure shows.
const SHOWN: usize = 25;
/// Kinds of difference after which a run gives up.
const KINDS: usize = 30;

/// One request of a batch.
#[derive(Clone)]
pub struct Step {
    pub args: Vec<Vec<u8>>,
    pub how: How,
}

impl Step {
    pub fn words(line: &str) -> Step {
        Step { args: line.split_whitespace().map(Into::into).collect(), how: How::Bytes }
    }
}

pub struct Pair {
    pub kring: Server,
    pub redis: Server,
    /// Connections, to kring and to Redis.
    links: Vec<(Client, Client)>,
    /// What each connection has queued since MULTI.
    queues: Vec<Vec<Step>>,
    history: VecDeque<String>,
    differences: BTreeMap<String, String>,
    /// Tells every request that differs, not one of each kind.
    pub tell_all: bool,
}

impl Pair {
    /// Both servers, fresh, with `links` connections to each; every second one speaks RESP3.
    pub fn start(shards: usize, links: usize) -> Pair {
        Pair::start_with(shards, links, &[])
    }

    /// The same with more settings of kring's, which Redis 7.0 would not know.
    pub fn start_with(shards: usize, links: usize, settings: &[&str]) -> Pair {
        let args = ["--enable-debug-command", "yes"];
        let kring = Server::kring(shards, &[&args[..], settings].concat());
        let redis = Server::redis(&args);
        let mut pair = Pair {
            kring,
            redis,
            links: vec![],
            queues: (0..links).map(|_| vec![]).collect(),
            history: VecDeque::new(),
            differences: BTreeMap::new(),
            tell_all: false,
        };
        for i in 0..links {
            let mut link = (pair.kring.connect(), pair.redis.connect());
            if i % 2 == 1 {
                for client in [&mut link.0, &mut link.1] {
                    let hello = client.run("HELLO 3");
                    assert!(!hello.is_error(), "HELLO 3: {hello:?}");
                }
            }
            pair.links.push(link);
        }
        pair
    }

    /// Sends a batch to both in one write each and compares the replies. True when all were the same.
    pub fn exchange(&mut self, link: usize, batch: &[Step]) -> bool {
        let bytes: Vec<u8> = batch.iter().flat_map(|s| request(&s.args)).collect();
        let (kring, redis) = &mut self.links[link];
        let queue = &mut self.queues[link];
        kring.send(&bytes).expect("kring takes the batch");
        redis.send(&bytes).expect("redis takes the batch");
        let mut alike = true;
        for step in batch {
            if self.history.len() == SHOWN {
                self.history.pop_front();
            }
            self.history.push_back(format!("[{link}] {}", quote(&step.args)));
            let redis_raw = redis.raw();
            let kring_raw = match kring.try_reply() {
                Ok((_, raw)) => raw,
                Err(e) => panic!("kring gives no reply to {}: {e}\n{}", quote(&step.args), self.tail()),
            };
            let alike_one = |step: &Step, redis_raw: &[u8], kring_raw: &[u8]| {
                same(step.how, redis_raw, kring_raw) || known::is_known(&step.args, redis_raw, kring_raw)
            };
            if redis_raw == b"+QUEUED\r\n" {
                queue.push(step.clone());
            } else if !redis_raw.starts_with(b"-ERR ") && is_end(&step.args) {
                // The replies of a transaction compare as those of its commands.
                let queued = std::mem::take(queue);
                let (r, k) = (items(&redis_raw), items(&kring_raw));
                let all = || queued.iter().zip(r.iter().zip(&k)).all(|(step, (r, k))| alike_one(step, r, k));
                if r.len() == queued.len() && k.len() == queued.len() && !r.is_empty() && all() {
                    continue;
                }
            }
            if alike_one(step, &redis_raw, &kring_raw) {
                continue;
            }
            alike = false;
            let text = differ(&step.args, &redis_raw, &kring_raw);
            let kind = match self.tell_all {
                true => quote(&step.args),
                false => kind_of(&step.args, &redis_raw, &kring_raw),
            };
            let tail: Vec<_> = self.history.iter().cloned().collect();
            self.differences.entry(kind).or_insert_with(|| match std::env::var_os("KRING_HISTORY") {
                Some(_) => format!("{text}\n    after:\n      {}", tail.join("\n      ")),
                None => text,
            });
        }
        alike
    }

    /// One request on the first link; the raw replies of kring and of Redis.
    pub fn both(&mut self, args: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
        let (kring, redis) = &mut self.links[0];
        let bytes = request(args);
        kring.send(&bytes).expect("kring takes a request");
        redis.send(&bytes).expect("redis takes a request");
        (kring.raw(), redis.raw())
    }

    /// The first connection to each: kring's, Redis's.
    pub fn first(&mut self) -> (&mut Client, &mut Client) {
        let (kring, redis) = &mut self.links[0];
        (kring, redis)
    }

    /// Notes a difference that `exchange` cannot see.
    pub fn note(&mut self, kind: &str, text: String) {
        self.differences.entry(kind.into()).or_insert(text);
    }

    /// Brings both back to the same state: empty, database 0 on every connection.
    pub fn reset(&mut self) {
        for i in 0..self.links.len() {
            self.exchange(i, &[Step::words("SELECT 0"), Step::words("FLUSHALL")]);
        }
        self.history.clear();
    }

    pub fn has_enough(&self) -> bool {
        self.differences.len() >= KINDS
    }

    fn tail(&self) -> String {
        self.history.iter().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Panics with all that was found.
    pub fn assert_alike(&self, what: &str) {
        let found: Vec<_> = self.differences.values().map(String::as_str).collect();
        assert!(found.is_empty(), "{what}: {} kinds of difference\n{}", found.len(), found.join("\n"));
    }
}

/// Whether a request may end a transaction.
fn is_end(args: &[Vec<u8>]) -> bool {
    ["exec", "discard", "reset"].iter().any(|end| args[0].eq_ignore_ascii_case(end.as_bytes()))
}

/// Differences of one kind are told once: same command, same start of both replies.
fn kind_of(args: &[Vec<u8>], redis: &[u8], kring: &[u8]) -> String {
    let start = |raw: &[u8]| match raw.first() {
        Some(b'-') => String::from_utf8_lossy(&raw[..raw.len().min(40)]).into_owned(),
        Some(b) => (*b as char).to_string(),
        None => String::new(),
    };
    let name = args.first().map(|n| n.to_ascii_uppercase()).unwrap_or_default();
    format!("{} {} {}", String::from_utf8_lossy(&name), start(redis), start(kring))
}
