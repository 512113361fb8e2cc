//! Queues: lists that clients push to, move between, and wait for; in mixed runs also sorted sets, of which the least is taken, and
//! streams, which one group of consumers reads. What of it is checked says `order.rs`.

use super::client::{Op, What};
use super::mortals::tokens;
use super::rng::Rng;
use super::script::{Author, Request, Topics, transaction};

/// The most values that one request takes from a list or a sorted set, and from all of its streams.
pub const MOST: usize = 3;
const MOST_KEYS: usize = 4;
/// No run lasts so many seconds.
const LONG_SECS: u32 = 10_000_000;
/// The group that reads a stream.
pub const GROUP: &str = "g";

/// What a queue is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    List,
    SortedSet,
    Stream,
}

impl Topics {
    /// What queue `at` is made of.
    pub fn kind(&self, at: usize) -> Kind {
        const KINDS: [Kind; 3] = [Kind::List, Kind::SortedSet, Kind::Stream];
        if self.mixed { KINDS[at % KINDS.len()] } else { Kind::List }
    }

    /// The key of queue `at`.
    pub fn queue_name(&self, at: usize) -> String {
        match self.kind(at) {
            Kind::List => format!("q{at}"),
            Kind::SortedSet => format!("z{at}"),
            Kind::Stream => format!("s{at}"),
        }
    }

    /// The queues of a kind.
    pub fn queues_of(&self, kind: Kind) -> Vec<usize> {
        (0..self.queues).filter(|at| self.kind(*at) == kind).collect()
    }
}

/// The number of a queue, by its key.
fn queue_of(key: &str) -> Option<usize> {
    key.strip_prefix(['q', 'z', 's'])?.parse().ok()
}

/// The values of a reply, and the queues that they were taken from.
pub fn taken(op: &Op, reply: &[u8]) -> Vec<(usize, u64)> {
    let (mut queue, named) = match &op.what {
        What::Pop { from, .. } => (from[0], true),
        What::Move { from, .. } => (*from, false),
        What::Listen { to } => (*to, true),
        _ => return vec![],
    };
    let text = || String::from_utf8_lossy(reply);
    if reply.starts_with(b"-") {
        // The group goes with its stream.
        let known = ["-UNBLOCKED", "-NOGROUP"].iter().any(|error| text().starts_with(error));
        assert!(known, "{op:?} got {}", text());
        return vec![];
    }
    let mut found: Vec<(usize, u64)> = Vec::new();
    for token in tokens(reply).into_iter().flatten() {
        if let Some(at) = queue_of(&token) {
            assert!(named, "{op:?} got {}", text());
            queue = at;
        } else if token != "v" && !token.contains('-') {
            let value = token.parse().unwrap_or_else(|_| panic!("{op:?} got {}", text()));
            // A member of a sorted set is its own score.
            if found.last() != Some(&(queue, value)) {
                found.push((queue, value));
            }
        }
    }
    found
}

impl Author {
    /// A request about queues.
    pub fn queue(&mut self, rng: &mut Rng, topics: &Topics, requests: &mut Vec<Request>) {
        let queue = rng.below(topics.queues);
        // All but those without an end can be told apart by their digits.
        let serial = self.unique() as u32;
        let timeout = match rng.below(4) {
            0 => "0".to_string(),
            1 if topics.timed => format!("0.001{serial:09}"),
            2 if topics.timed => format!("0.03{serial:09}"),
            _ => (LONG_SECS + serial).to_string(),
        };
        match topics.kind(queue) {
            Kind::List => self.list(rng, topics, queue, &timeout, requests),
            Kind::SortedSet => self.sorted_set(rng, topics, queue, &timeout, requests),
            Kind::Stream => self.stream(rng, topics, queue, serial, requests),
        }
    }

    fn list(
        &mut self,
        rng: &mut Rng,
        topics: &Topics,
        queue: usize,
        timeout: &str,
        requests: &mut Vec<Request>,
    ) {
        let name = |q: usize| topics.queue_name(q);
        let (push, left, right) = match topics.fifo || rng.permille(500) {
            true => ("RPUSH", "LEFT", "RIGHT"),
            false => ("LPUSH", "RIGHT", "LEFT"),
        };
        let lists = topics.queues_of(Kind::List);
        let some: Vec<usize> = (0..rng.between(1, MOST_KEYS)).map(|_| rng.pick(&lists)).collect();
        let names: Vec<String> = some.iter().map(|q| name(*q)).collect();
        let names = || names.iter().map(String::as_str);
        let pop = |waits| What::Pop { from: some.clone(), waits };
        match rng.below(12) {
            0..=2 => requests.push(self.push_to(rng, topics, push, queue)),
            3 => {
                let pushes: Vec<Request> = (0..rng.between(1, 3))
                    .map(|_| {
                        let queue = rng.below(topics.queues);
                        self.push_to(rng, topics, push, queue)
                    })
                    .collect();
                let all = pushes.iter().flat_map(|request| match &request.what {
                    What::Push(values) => values.clone(),
                    _ => vec![],
                });
                let all = What::Push(all.collect());
                transaction(pushes, all, requests);
            }
            4 => {
                let word = if left == "LEFT" { "LPOP" } else { "RPOP" };
                let what = What::Pop { from: vec![queue], waits: false };
                requests.push(Request::new(&[word, &name(queue)], false, what));
            }
            5..=7 => {
                let word = if left == "LEFT" { "BLPOP" } else { "BRPOP" };
                let words: Vec<&str> = [word].into_iter().chain(names()).chain([timeout]).collect();
                if rng.permille(100) {
                    // In a transaction it does not wait.
                    return transaction([Request::new(&words, false, What::Anything)], pop(false), requests);
                }
                requests.push(Request::new(&words, false, pop(true)));
            }
            8 => {
                let (numkeys, count) = (some.len().to_string(), rng.between(1, MOST).to_string());
                let head = ["BLMPOP", timeout, &numkeys].into_iter();
                let words: Vec<&str> = head.chain(names()).chain([left, "COUNT", &count]).collect();
                requests.push(Request::new(&words, false, pop(true)));
            }
            9..=11 if lists.len() > 1 => {
                let at = rng.below(lists.len() - 1);
                let (from, to) = (lists[at], lists[at + 1]);
                let waits = rng.permille(660);
                let head = [if waits { "BLMOVE" } else { "LMOVE" }, &name(from), &name(to), left, right];
                let words: Vec<&str> = head.into_iter().chain(waits.then_some(timeout)).collect();
                requests.push(Request::new(&words, false, What::Move { from, to, waits }));
            }
            _ => requests.push(self.push_to(rng, topics, push, queue)),
        }
    }

    fn sorted_set(
        &mut self,
        rng: &mut Rng,
        topics: &Topics,
        queue: usize,
        timeout: &str,
        requests: &mut Vec<Request>,
    ) {
        let sets = topics.queues_of(Kind::SortedSet);
        let some: Vec<usize> = (0..rng.between(1, MOST_KEYS)).map(|_| rng.pick(&sets)).collect();
        let names: Vec<String> = some.iter().map(|q| topics.queue_name(*q)).collect();
        let names = || names.iter().map(String::as_str);
        let pop = |waits| What::Pop { from: some.clone(), waits };
        let count = rng.between(1, MOST).to_string();
        match rng.below(8) {
            0..=2 => requests.push(self.push_to(rng, topics, "ZADD", queue)),
            3 => {
                let what = What::Pop { from: vec![queue], waits: false };
                let words = ["ZPOPMIN", &topics.queue_name(queue), &count];
                requests.push(Request::new(&words[..2 + rng.below(2)], false, what));
            }
            4 => {
                let numkeys = some.len().to_string();
                let head = ["BZMPOP", timeout, &numkeys].into_iter();
                let words: Vec<&str> = head.chain(names()).chain(["MIN", "COUNT", &count]).collect();
                requests.push(Request::new(&words, false, pop(true)));
            }
            _ => {
                let words: Vec<&str> = ["BZPOPMIN"].into_iter().chain(names()).chain([timeout]).collect();
                if rng.permille(100) {
                    return transaction([Request::new(&words, false, What::Anything)], pop(false), requests);
                }
                requests.push(Request::new(&words, false, pop(true)));
            }
        }
    }

    fn stream(
        &mut self,
        rng: &mut Rng,
        topics: &Topics,
        queue: usize,
        serial: u32,
        requests: &mut Vec<Request>,
    ) {
        let streams = topics.queues_of(Kind::Stream);
        let mut some = streams.clone();
        while some.len() > 1 && rng.permille(500) {
            some.remove(rng.below(some.len()));
        }
        let names: Vec<String> = some.iter().map(|q| topics.queue_name(*q)).collect();
        let names = || names.iter().map(String::as_str);
        let (consumer, count) = (format!("c{serial}"), rng.between(1, MOST).to_string());
        let long = (u64::from(LONG_SECS) * 1_000 + u64::from(serial)).to_string();
        let timeout = match rng.below(4) {
            0 => "0",
            1 if topics.timed => "1",
            2 if topics.timed => "30",
            _ => long.as_str(),
        };
        match rng.below(9) {
            0..=2 => requests.push(self.push_to(rng, topics, "XADD", queue)),
            3..=4 => {
                // A listener cannot be told apart from another by its words: its time is its own.
                let words =
                    ["XREAD", "COUNT", &count, "BLOCK", &long, "STREAMS", &topics.queue_name(queue), "$"];
                requests.push(Request::new(&words, false, What::Listen { to: queue }));
            }
            at => {
                let waits = at > 5;
                let head = ["XREADGROUP", "GROUP", GROUP, &consumer].into_iter();
                let noack = rng.permille(300).then_some("NOACK");
                let block = if waits { &["BLOCK", timeout][..] } else { &[] };
                let words: Vec<&str> = head
                    .chain(["COUNT", &count])
                    .chain(noack)
                    .chain(block.iter().copied())
                    .chain(["STREAMS"])
                    .chain(names())
                    .chain(some.iter().map(|_| ">"))
                    .collect();
                requests.push(Request::new(&words, false, What::Pop { from: some.clone(), waits }));
            }
        }
    }

    fn push_to(&mut self, rng: &mut Rng, topics: &Topics, push: &str, queue: usize) -> Request {
        let kind = topics.kind(queue);
        let most = if kind == Kind::Stream { 1 } else { 3 };
        let values: Vec<u64> = (0..rng.between(1, most)).map(|_| self.unique()).collect();
        let texts: Vec<String> = values.iter().map(u64::to_string).collect();
        let name = topics.queue_name(queue);
        let words: Vec<&str> = match kind {
            // A transaction pushes to queues of all kinds.
            Kind::List => {
                let push = if push.ends_with("PUSH") { push } else { "RPUSH" };
                [push, &name].into_iter().chain(texts.iter().map(String::as_str)).collect()
            }
            Kind::SortedSet => {
                ["ZADD", &name].into_iter().chain(texts.iter().flat_map(|t| [t.as_str(), t])).collect()
            }
            Kind::Stream => ["XADD", &name, "*", "v", &texts[0]].to_vec(),
        };
        Request::new(&words, false, What::Push(values.into_iter().map(|v| (queue, v)).collect()))
    }
}
