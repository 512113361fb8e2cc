//! What clients ask: random requests whose replies are known beforehand, or can be checked together afterwards.
//!
//! - *private* keys belong to one client, so a model gives every reply: program order, whatever shards the keys live on;
//! - *counters*, *groups*, *names* and *accounts* are everybody's: see `check.rs`;
//! - *queues* are what clients push to and wait for: see `queues.rs`;
//! - *mortals* are private keys that expire: see `mortals.rs`;
//! - a *sweeper* run has groups only, and perhaps queues, and FLUSHALL, FLUSHDB, SWAPDB and DBSIZE among them.

use super::client::What;
use super::queues::{GROUP, Kind};
use super::rare;
use super::rng::Rng;
use std::collections::HashMap;

/// Private keys of a client, and databases it uses.
const PRIVATE_KEYS: usize = 6;
const DATABASES: usize = 3;
/// A value that is handed to the socket without a copy (`resp::SHARE_FROM` is 8 KiB).
pub const LARGE: usize = 20_000;
/// `proto-max-bulk-len` of a run.
pub const BULK_MAX: usize = 2 * LARGE;

/// What each account holds at first.
pub const BALANCE: u64 = 1_000;

/// The lists that tokens move between, and a stream with the key that names its last entry.
pub const HOARDS: [&str; 2] = ["hoard:0", "hoard:1"];
const ENDS: [&str; 2] = ["LEFT", "RIGHT"];
pub const RIVER: &str = "river";
pub const RIVER_MARK: &str = "river:n";

/// A token of a hoard: long, so that few make a list that a snapshot takes in parts.
pub fn hoard_token(i: usize) -> String {
    format!("token {i} {}", "-".repeat(3_000))
}

/// What everybody shares, and how often the rare commands come.
#[derive(Clone, Default, Debug)]
pub struct Topics {
    pub counters: usize,
    pub groups: usize,
    /// Keys of a group.
    pub width: usize,
    /// Names that the token moves among.
    pub names: usize,
    /// Accounts that money moves between.
    pub accounts: usize,
    /// Tokens in the hoards, two lists that are large: they go from the one to the other and back; there is a stream of that size too.
    pub hoard: usize,
    /// Queues; whether there are sorted sets and streams among them; whether all use lists first in, first out; whether waits
    /// may time out.
    pub queues: usize,
    pub mixed: bool,
    pub fifo: bool,
    pub timed: bool,
    /// FLUSHALL and the like instead of private keys, counters and names.
    pub sweeps: bool,
    /// Per thousand of the requests that can be made in a transaction: are.
    pub transactions: usize,
    /// Per thousand private requests: are about keys that expire.
    pub mortals: usize,
    /// Per thousand: CLIENT PAUSE, CLIENT KILL, CONFIG SET, reports, snapshots, DEBUG SLEEP, and SHUTDOWN.
    pub pauses: usize,
    pub kills: usize,
    pub configs: usize,
    pub reports: usize,
    pub saves: usize,
    pub naps: usize,
    pub shutdowns: usize,
    /// Per thousand: BGREWRITEAOF.
    pub rewrites: usize,
    /// Per thousand: MIGRATE, to a server that takes everything (`yes`) or nothing (`no`).
    pub migrations: usize,
    /// Per thousand looks at a group: at one key of it only.
    pub peeps: usize,
    /// The longest argument, in bytes; `None`: longer than any.
    pub bulk_max: Option<usize>,
    /// There is a configuration file.
    pub has_file: bool,
    /// The disk may fail: nothing is asked whose reply depends on writes that may be refused.
    pub faulty: bool,
}

/// A request.
pub struct Request {
    pub bytes: Vec<u8>,
    pub text: String,
    pub what: What,
}

impl Request {
    /// Of these words; any reply will do.
    pub fn of(words: &[String]) -> Request {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Request::new(&words, false, What::Anything)
    }

    /// Of these words, as an array or (when all words are plain) inline.
    pub fn new(words: &[&str], inline: bool, what: What) -> Request {
        let plain =
            |w: &&str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\'');
        let mut text = words.join(" ");
        let bytes = if inline && words.iter().all(plain) && text.len() < 1_000 {
            format!("{text}\r\n").into_bytes()
        } else {
            let args: String = words.iter().map(|w| format!("${}\r\n{w}\r\n", w.len())).collect();
            format!("*{}\r\n{args}", words.len()).into_bytes()
        };
        text.truncate(200);
        Request { bytes, text, what }
    }
}

/// A client's side of its script: what it must remember to know the replies.
pub struct Author {
    pub client: usize,
    resp3: bool,
    db: usize,
    /// Connections so far: what an earlier one left half done is never asked for again.
    epoch: usize,
    /// A transaction is being made.
    queueing: bool,
    serial: u64,
    values: HashMap<(usize, String), String>,
}

fn bulk(text: &str) -> Vec<u8> {
    format!("${}\r\n{text}\r\n", text.len()).into_bytes()
}

fn int(n: usize) -> Vec<u8> {
    format!(":{n}\r\n").into_bytes()
}

pub fn ok() -> What {
    What::Exactly(b"+OK\r\n".to_vec())
}

impl Author {
    pub fn new(client: usize) -> Author {
        Author { client, resp3: false, db: 0, epoch: 0, queueing: false, serial: 0, values: HashMap::new() }
    }

    /// A new connection: RESP2, database 0, fresh private keys.
    pub fn reconnect(&mut self) {
        self.epoch += 1;
        (self.resp3, self.db) = (false, 0);
        self.values.clear();
    }

    /// The next requests: one, or two when the first selects a database for the second.
    pub fn next(&mut self, rng: &mut Rng, topics: &Topics) -> Vec<Request> {
        let mut requests = Vec::new();
        if rng.permille(topics.rewrites) {
            return vec![Request::new(&["BGREWRITEAOF"], false, What::Anything)];
        }
        if topics.hoard > 0 && rng.permille(200) {
            self.select(0, &mut requests);
            self.hoard(rng, topics, &mut requests);
            return requests;
        }
        if rng.permille(rare::shares(topics).iter().sum()) {
            requests.push(self.rare(rng, topics));
        } else if topics.sweeps {
            self.sweeper(rng, topics, &mut requests);
        } else {
            let at = rng.below(10);
            if topics.queues > 0 && at < 4 {
                self.select(0, &mut requests);
                self.queue(rng, topics, &mut requests);
                return requests;
            }
            match rng.below(10) {
                0..=4 if topics.faulty => self.shared(rng, topics, &mut requests),
                0 => requests.push(self.connection(rng)),
                1..=4 if rng.permille(topics.mortals) => self.mortal(rng, &mut requests),
                1..=4 if rng.permille(topics.transactions) => {
                    self.private_transaction(rng, topics, &mut requests)
                }
                1..=4 => requests.push(self.private(rng, topics)),
                _ => self.shared(rng, topics, &mut requests),
            }
        }
        requests
    }

    pub fn unique(&mut self) -> u64 {
        self.serial += 1;
        (self.client as u64 + 1) << 32 | self.serial
    }

    fn select(&mut self, db: usize, requests: &mut Vec<Request>) {
        if self.db != db {
            self.db = db;
            requests.push(Request::new(&["SELECT", &db.to_string()], false, ok()));
        }
    }

    fn connection(&mut self, rng: &mut Rng) -> Request {
        let token = format!("token-{:x}", self.unique());
        let inline = rng.permille(300);
        match rng.below(8) {
            0 => Request::new(&["PING"], inline, What::Exactly(b"+PONG\r\n".to_vec())),
            1 => {
                self.db = rng.below(DATABASES);
                Request::new(&["SELECT", &self.db.to_string()], inline, ok())
            }
            2 => Request::new(
                &["SELECT", "none"],
                inline,
                error("ERR value is not an integer or out of range"),
            ),
            3 => Request::new(&["GET"], inline, error("ERR wrong number of arguments for 'get' command")),
            4 => {
                self.resp3 = rng.permille(500);
                Request::new(&["HELLO", if self.resp3 { "3" } else { "2" }], inline, What::Anything)
            }
            _ => Request::new(&["ECHO", &token], inline, What::Exactly(bulk(&token))),
        }
    }

    /// The selected database.
    pub fn database(&self) -> usize {
        self.db
    }

    fn key(&self, i: usize) -> String {
        self.private_name("p", i)
    }

    /// The name of a private key.
    pub fn private_name(&self, letter: &str, i: usize) -> String {
        format!("{letter}{}.{}.{i}", self.client, self.epoch)
    }

    fn get(&self, key: &str) -> Option<&String> {
        self.values.get(&(self.db, key.to_string()))
    }

    fn set(&mut self, key: &str, value: String) {
        self.values.insert((self.db, key.to_string()), value);
    }

    fn remove(&mut self, key: &str) -> Option<String> {
        self.values.remove(&(self.db, key.to_string()))
    }

    fn or_nil(&self, value: Option<&String>) -> Vec<u8> {
        match (value, self.resp3) {
            (Some(text), _) => bulk(text),
            (None, true) => b"_\r\n".to_vec(),
            (None, false) => b"$-1\r\n".to_vec(),
        }
    }

    fn private(&mut self, rng: &mut Rng, topics: &Topics) -> Request {
        let (a, b) = (rng.below(PRIVATE_KEYS), rng.below(PRIVATE_KEYS));
        let (key, other) = (self.key(a), self.key(b));
        let mut value = format!("{:x}", self.unique());
        if rng.permille(10) {
            value = value.repeat(LARGE / value.len());
        }
        if rng.permille(30) && !self.queueing {
            return self.unanswered(&key, value);
        }
        if topics.migrations > 0 && rng.permille(topics.migrations) {
            return self.migrate(rng, &key, &other);
        }
        let inline = rng.permille(100);
        let (words, reply): (Vec<&str>, Vec<u8>) = match rng.below(12) {
            0..=2 => {
                self.set(&key, value.clone());
                (vec!["SET", &key, &value], b"+OK\r\n".to_vec())
            }
            3..=5 => (vec!["GET", &key], self.or_nil(self.get(&key))),
            6 if topics
                .bulk_max
                .is_some_and(|max| self.get(&key).map_or(0, String::len) + value.len() > max) =>
            {
                let refused = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
                (vec!["APPEND", &key, &value], refused.into())
            }
            6 => {
                let mut all = self.remove(&key).unwrap_or_default();
                all.push_str(&value);
                let len = all.len();
                self.set(&key, all);
                (vec!["APPEND", &key, &value], int(len))
            }
            7 => {
                let reply = self.or_nil(self.get(&key));
                self.set(&key, value.clone());
                (vec!["GETSET", &key, &value], reply)
            }
            8 => {
                self.set(&key, value.clone());
                self.set(&other, value.clone());
                (vec!["MSET", &key, &value, &other, &value], b"+OK\r\n".to_vec())
            }
            9 => {
                let items = [self.or_nil(self.get(&key)), self.or_nil(self.get(&other))].concat();
                (vec!["MGET", &key, &other], [b"*2\r\n".to_vec(), items].concat())
            }
            10 => match self.remove(&key) {
                None => (vec!["RENAME", &key, &other], b"-ERR no such key\r\n".to_vec()),
                Some(value) => {
                    self.set(&other, value);
                    (vec!["RENAME", &key, &other], b"+OK\r\n".to_vec())
                }
            },
            _ => {
                let gone = self.remove(&key).is_some() as usize + self.remove(&other).is_some() as usize;
                (vec!["DEL", &key, &other], int(gone))
            }
        };
        Request::new(&words, inline, What::Exactly(reply))
    }

    /// Some of that in a transaction, which is run or discarded.
    fn private_transaction(&mut self, rng: &mut Rng, topics: &Topics, requests: &mut Vec<Request>) {
        let (before, discard) = (self.values.clone(), rng.permille(100));
        if rng.permille(300) {
            // Nobody else changes it, so the watch hinders nothing.
            requests.push(Request::new(&["WATCH", &self.key(0), &self.key(1)], false, ok()));
        }
        requests.push(Request::new(&["MULTI"], false, ok()));
        self.queueing = true;
        let mut replies = Vec::new();
        for _ in 0..rng.below(6) {
            let request = self.private(rng, topics);
            if let What::Exactly(reply) = &request.what {
                replies.push(reply.clone());
            }
            requests.push(Request { what: queued(), ..request });
        }
        self.queueing = false;
        if discard {
            self.values = before;
            return requests.push(Request::new(&["DISCARD"], false, ok()));
        }
        let all = [format!("*{}\r\n", replies.len()).into_bytes(), replies.concat()].concat();
        requests.push(Request::new(&["EXEC"], false, What::Exactly(all)));
    }

    /// Two private keys go to another server, or do not.
    fn migrate(&mut self, rng: &mut Rng, key: &str, other: &str) -> Request {
        let (takes, copies) = (rng.permille(600), rng.permille(200));
        let there = self.get(key).is_some() || self.get(other).is_some();
        let reply = match (there, takes) {
            (false, _) => "+NOKEY\r\n",
            (true, false) => "-ERR Target instance replied with error: ERR no\r\n",
            (true, true) => "+OK\r\n",
        };
        if takes && !copies {
            self.remove(key);
            self.remove(other);
        }
        let host = if takes { "yes" } else { "no" };
        let mut words = vec!["MIGRATE", host, "1", "", "0", "1000"];
        words.extend(copies.then_some("COPY"));
        words.extend(["KEYS", key, other]);
        Request::new(&words, false, What::Exactly(reply.into()))
    }

    /// Keys that everybody uses go to another server, which does not take them: nothing has changed, but others had to wait.
    fn migrate_in_vain(rng: &mut Rng, topics: &Topics) -> Request {
        let mut words: Vec<String> = ["MIGRATE", "no", "1", "", "0", "1000", "KEYS"].map(String::from).into();
        for _ in 0..rng.between(1, 4) {
            words.push(match rng.below(5) {
                0 => format!("c{}", rng.below(topics.counters)),
                1 => format!("t{}", rng.below(topics.names)),
                2 => format!("a{}", rng.below(topics.accounts)),
                3 if topics.queues > 0 => topics.queue_name(rng.below(topics.queues)),
                _ => group_keys(rng.below(topics.groups), topics.width).swap_remove(rng.below(topics.width)),
            });
        }
        Request::of(&words)
    }

    /// A SET whose reply is skipped, then a GET that tells.
    fn unanswered(&mut self, key: &str, value: String) -> Request {
        let skip = Request::new(&["CLIENT", "REPLY", "SKIP"], false, What::Anything);
        let set = Request::new(&["SET", key, &value], false, What::Anything);
        let get = Request::new(&["GET", key], false, What::Exactly(bulk(&value)));
        self.set(key, value);
        Request {
            bytes: [skip.bytes, set.bytes, get.bytes].concat(),
            text: format!("skip; {}", get.text),
            ..get
        }
    }

    fn shared(&mut self, rng: &mut Rng, topics: &Topics, requests: &mut Vec<Request>) {
        self.select(0, requests);
        if topics.migrations > 0 && rng.permille(topics.migrations) {
            return requests.push(Author::migrate_in_vain(rng, topics));
        }
        match rng.below(10) {
            0..=1 => {
                let counter = rng.below(topics.counters);
                let name = format!("c{counter}");
                let incr = Request::new(&["INCR", &name], false, What::Count(counter));
                if !rng.permille(topics.transactions) {
                    return requests.push(incr);
                }
                requests.push(Request::new(&["WATCH", &name, "nobody's"], false, ok()));
                requests.push(Request::new(&["GET", &name], false, What::Peek));
                transaction([incr], What::Guarded(counter), requests);
            }
            2..=6 => self.group(rng, topics, requests),
            7 => self.account(rng, topics, requests),
            8 => {
                let (from, to) = (rng.below(topics.names), rng.below(topics.names));
                let words = ["RENAME", &format!("t{from}"), &format!("t{to}")];
                requests.push(Request::new(&words, false, What::Anything));
            }
            _ => {
                let names: Vec<String> = (0..topics.names).map(|i| format!("t{i}")).collect();
                let words: Vec<&str> =
                    ["EXISTS"].into_iter().chain(names.iter().map(String::as_str)).collect();
                requests.push(Request::new(&words, false, What::Exactly(int(1))));
            }
        }
    }

    /// Moves money, or looks at all of it.
    fn account(&mut self, rng: &mut Rng, topics: &Topics, requests: &mut Vec<Request>) {
        let name = |i: usize| format!("a{i}");
        let names: Vec<String> = (0..topics.accounts).map(name).collect();
        let any = |words: &[&str]| Request::new(words, false, What::Anything);
        let total = What::Sum(topics.accounts as u64 * BALANCE);
        match rng.below(4) {
            0 => {
                let words: Vec<&str> = ["MGET"].into_iter().chain(names.iter().map(String::as_str)).collect();
                requests.push(Request::new(&words, false, total));
            }
            1 => transaction(names.iter().map(|n| any(&["GET", n])), total, requests),
            _ => {
                let (from, to) = (name(rng.below(topics.accounts)), name(rng.below(topics.accounts)));
                let amount = rng.below(100).to_string();
                let moves = [any(&["DECRBY", &from, &amount]), any(&["INCRBY", &to, &amount])];
                transaction(moves, What::Anything, requests);
            }
        }
    }

    /// Moves tokens between the hoards, or rows down the river: of its entries the last is the one that a counter names.
    fn hoard(&mut self, rng: &mut Rng, topics: &Topics, requests: &mut Vec<Request>) {
        let any = |words: &[&str]| Request::new(words, false, What::Anything);
        let (from, to) = (HOARDS[rng.below(2)], HOARDS[rng.below(2)]);
        let (out, into) = (ENDS[rng.below(2)], ENDS[rng.below(2)]);
        let serial = self.unique().to_string();
        match rng.below(8) {
            0..=3 => requests.push(any(&["LMOVE", from, to, out, into])),
            4 => {
                // The same token, marked by who has seen it.
                let token = hoard_token(rng.below(topics.hoard));
                let back = [any(&["LREM", from, "1", &token]), any(&["LREM", to, "1", &token])];
                let all = back.into_iter().chain([any(&["RPUSH", to, &token])]);
                if from != to {
                    transaction(all, What::Anything, requests);
                }
            }
            5 => requests.push(any(&["XREADGROUP", "GROUP", "g", "c", "COUNT", "3", "STREAMS", RIVER, ">"])),
            6 => requests.push(any(&["XAUTOCLAIM", RIVER, "g", "d", "0", "0", "COUNT", "2"])),
            _ => {
                let (most, value) = (topics.hoard.to_string(), hoard_token(topics.hoard));
                let adds = any(&["XADD", RIVER, "MAXLEN", &most, "*", "n", &serial, "v", &value]);
                transaction([adds, any(&["SET", RIVER_MARK, &serial])], What::Anything, requests);
            }
        }
    }

    fn group(&mut self, rng: &mut Rng, topics: &Topics, requests: &mut Vec<Request>) {
        let group = rng.below(topics.groups);
        let keys = group_keys(group, topics.width);
        let any = |words: &[&str]| Request::new(words, false, What::Anything);
        let by_exec = rng.permille(topics.transactions);
        if rng.permille(600) {
            let look = What::Look { group };
            if rng.permille(topics.peeps) {
                let key = &keys[rng.below(keys.len())];
                return requests.push(Request::new(&["MGET", key, key], false, look));
            }
            if by_exec {
                return transaction(keys.iter().map(|k| any(&["GET", k])), look, requests);
            }
            let words: Vec<&str> = ["MGET"].into_iter().chain(keys.iter().map(String::as_str)).collect();
            return requests.push(Request::new(&words, false, look));
        }
        let value = self.unique();
        let text = value.to_string();
        if by_exec {
            let mut sets: Vec<Request> = keys.iter().map(|k| any(&["SET", k, &text])).collect();
            if rng.permille(200) {
                // Something that can run at home only.
                let at = rng.below(sets.len() + 1);
                let all = [&["CLIENT", "UNPAUSE"][..], &["SLOWLOG", "LEN"], &["CONFIG", "REWRITE"]];
                sets.insert(at, any(rng.pick(&all[..if topics.has_file { 3 } else { 2 }])));
            }
            return transaction(sets, What::Put { group, value }, requests);
        }
        let pairs = keys.iter().flat_map(|k| [k.as_str(), text.as_str()]);
        let words: Vec<&str> = ["MSET"].into_iter().chain(pairs).collect();
        requests.push(Request::new(&words, false, What::Put { group, value }));
    }

    fn sweeper(&mut self, rng: &mut Rng, topics: &Topics, requests: &mut Vec<Request>) {
        if topics.queues > 0 && rng.permille(400) {
            return self.swept_queue(rng, topics, requests);
        }
        match rng.below(20) {
            0 => requests.push(Request::new(&["FLUSHALL"], false, ok())),
            1 => requests.push(Request::new(&["FLUSHDB"], false, ok())),
            2 => requests.push(Request::new(&["SWAPDB", "0", "1"], false, ok())),
            3..=5 => {
                let whole = What::Multiple(topics.width);
                let what = if topics.queues == 0 { whole } else { What::Anything };
                requests.push(Request::new(&["DBSIZE"], false, what));
            }
            6..=8 => self.select(rng.below(2), requests),
            9 => requests.push(self.connection_in(rng, 2)),
            _ => self.group(rng, topics, requests),
        }
        if requests.is_empty() {
            self.group(rng, topics, requests);
        }
    }

    /// Something about a queue, which may be swept away or swapped meanwhile.
    fn swept_queue(&mut self, rng: &mut Rng, topics: &Topics, requests: &mut Vec<Request>) {
        let streams = topics.queues_of(Kind::Stream);
        if !streams.is_empty() && rng.permille(150) {
            // A group goes with its stream.
            let name = topics.queue_name(rng.pick(&streams));
            let words = ["XGROUP", "CREATE", &name, GROUP, "0", "MKSTREAM"];
            return requests.push(Request::new(&words, false, What::Anything));
        }
        self.queue(rng, topics, requests);
    }

    /// As `connection`, with databases below `dbs` only.
    fn connection_in(&mut self, rng: &mut Rng, dbs: usize) -> Request {
        let before = self.db;
        let request = self.connection(rng);
        if self.db < dbs {
            return request;
        }
        self.db = before;
        Request::new(&["PING"], false, What::Exactly(b"+PONG\r\n".to_vec()))
    }
}

/// The last request of a connection, after which the server closes; `None`: the client closes its half.
pub fn goodbye(rng: &mut Rng, topics: &Topics) -> Option<Request> {
    let raw = |text: &str, reply: &str| {
        let what = What::Exactly(format!("-ERR Protocol error: {reply}\r\n").into_bytes());
        Request { bytes: text.as_bytes().to_vec(), text: text.escape_default().take(50).collect(), what }
    };
    match rng.below(6) {
        0..=2 => None,
        3 => Some(Request::new(&["QUIT"], rng.permille(500), ok())),
        4 if let Some(max) = topics.bulk_max => {
            let large = "x".repeat(max + 1);
            Some(raw(&format!("*2\r\n$4\r\nECHO\r\n${}\r\n{large}\r\n", large.len()), "invalid bulk length"))
        }
        _ => Some(raw("*2\r\n$3\r\nGET\r\n:1\r\n", "expected '$', got ':'")),
    }
}

/// The keys of a group.
pub fn group_keys(group: usize, width: usize) -> Vec<String> {
    (0..width).map(|i| format!("g{group}:{i}")).collect()
}

fn queued() -> What {
    What::Exactly(b"+QUEUED\r\n".to_vec())
}

/// These requests between MULTI and EXEC.
pub fn transaction(inner: impl IntoIterator<Item = Request>, exec: What, requests: &mut Vec<Request>) {
    requests.push(Request::new(&["MULTI"], false, ok()));
    requests.extend(inner.into_iter().map(|request| Request { what: queued(), ..request }));
    requests.push(Request::new(&["EXEC"], false, exec));
}

fn error(text: &str) -> What {
    What::Exactly(format!("-{text}\r\n").into_bytes())
}
