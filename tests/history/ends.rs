//! What is there before the first request of a history, and how what is left after the last fits it.

use super::check;
use super::client::Op;
use super::mortals::tokens;
use super::order::{self, Left};
use super::queues::{GROUP, Kind};
use super::script::{BALANCE, HOARDS, RIVER, Topics, group_keys, hoard_token};

/// More than any queue holds.
const ALL: &str = "1000000";

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().map(str::to_string).collect()
}

fn names(letter: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{letter}{i}")).collect()
}

/// Requests for what has to be there before the first client comes.
pub fn setup(topics: &Topics) -> Vec<Vec<String>> {
    if topics.sweeps {
        // There nothing is but groups and queues.
        return vec![];
    }
    let balance = BALANCE.to_string();
    let mut all = vec![words(["SET", "t0", "token"])];
    all.extend(names("a", topics.accounts).iter().map(|name| words(["SET", name, &balance])));
    if topics.hoard > 0 {
        let tokens: Vec<String> = (0..topics.hoard).map(hoard_token).collect();
        all.push(words(["RPUSH", HOARDS[0]].into_iter().chain(tokens.iter().map(String::as_str))));
        all.push(words(["XGROUP", "CREATE", RIVER, "g", "$", "MKSTREAM"]));
    }
    all.extend(streams(topics).iter().map(|name| words(["XGROUP", "CREATE", name, GROUP, "0", "MKSTREAM"])));
    all
}

fn streams(topics: &Topics) -> Vec<String> {
    topics.queues_of(Kind::Stream).into_iter().map(|at| topics.queue_name(at)).collect()
}

/// Requests for all that is shared, last of them what is in the queues: streams give what no consumer has got.
pub fn looks(topics: &Topics) -> Vec<Vec<String>> {
    let many = |word: &'static str, names: &[String]| {
        words([word].into_iter().chain(names.iter().map(String::as_str)))
    };
    // As an array each, like the others.
    let mut all: Vec<Vec<String>> = names("c", topics.counters).iter().map(|c| words(["MGET", c])).collect();
    all.extend((0..topics.groups).map(|group| many("MGET", &group_keys(group, topics.width))));
    all.push(many("MGET", &names("a", topics.accounts)));
    all.push(many("EXISTS", &names("t", topics.names)));
    for at in 0..topics.queues {
        let name = topics.queue_name(at);
        let (first, second) = match topics.kind(at) {
            Kind::List => (words(["LRANGE", &name, "0", "-1"]), None),
            Kind::SortedSet => (words(["ZRANGE", &name, "0", "-1"]), None),
            Kind::Stream => {
                let rest = ["XREADGROUP", "GROUP", GROUP, "last", "COUNT", ALL, "STREAMS", &name, ">"];
                (words(rest), Some(words(["XRANGE", &name, "-", "+"])))
            }
        };
        all.push(first);
        all.extend(second);
    }
    all
}

/// What the replies to [`looks`] say.
pub struct Found {
    pub counters: Vec<u64>,
    pub groups: Vec<Vec<Option<u64>>>,
    pub accounts: Vec<Option<i64>>,
    pub names: u64,
    pub queues: Left,
}

impl Found {
    pub fn read(topics: &Topics, replies: &[Vec<u8>]) -> Found {
        let numbers = |reply: &Vec<u8>| -> Vec<Option<i64>> {
            tokens(reply).into_iter().map(|token| token.and_then(|token| token.parse().ok())).collect()
        };
        let (counters, rest) = replies.split_at(topics.counters);
        let (groups, rest) = rest.split_at(topics.groups);
        let counters = counters.iter().map(|reply| numbers(reply)[0].unwrap_or(0) as u64).collect();
        let values = |reply| numbers(reply).into_iter().map(|n| n.map(|n| n as u64)).collect();
        let mut queues = Left::default();
        let mut replies = rest[2..].iter();
        // Names of keys and fields, and ids, are no numbers.
        let mut next =
            || numbers(replies.next().expect("asked")).into_iter().flatten().map(|n| n as u64).collect();
        for at in 0..topics.queues {
            queues.values.push(next());
            queues.entries.push(if topics.kind(at) == Kind::Stream { next() } else { vec![] });
        }
        Found {
            counters,
            groups: groups.iter().map(values).collect(),
            accounts: numbers(&rest[0]),
            names: numbers(&rest[1])[0].unwrap_or(0) as u64,
            queues,
        }
    }
}

/// Checks a whole history, at whose end all has come to rest and this is left.
pub fn check_all(ops: &[Op], topics: &Topics, found: &Found) {
    // What a FLUSHALL has emptied no register explains: there each reply is looked at by itself only.
    check::history(ops, &found.counters, if topics.sweeps { 0 } else { topics.groups });
    if let Err(why) = order::check(ops, &found.queues, topics) {
        panic!("queues: {why}");
    }
    if !topics.sweeps {
        let sum: i64 = found.accounts.iter().map(|balance| balance.expect("each was set")).sum();
        assert_eq!(sum, topics.accounts as i64 * BALANCE as i64, "money: {:?}", found.accounts);
        assert_eq!(found.names, 1, "the token is lost, or there twice");
    }
}
