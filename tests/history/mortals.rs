//! Keys that die: private keys with a time to live, of which a reply tells whether they may still, or may only now, be there.
//!
//! Nobody knows at which instant a command ran; it is known that its shard's clock then showed something from `since` (what the
//! slowest clock showed when the request had arrived) to `until` (the time when its reply did). A key set to live for `ttl` thus has a
//! deadline from `since + ttl` to `until + ttl`, and every reply narrows that down:
//!
//! ```text
//!   since ──── SET PX ──── until                  since' ──── GET ──── until'
//!              lo = since + ttl .. hi = until + ttl          a value: since' < hi, and from now on lo > since'
//!                                                            nil:     until' >= lo, and it stays nil
//! ```

use super::client::{Op, show};
use super::rng::Rng;
use super::script::{Author, Request, transaction};
use std::collections::HashMap;

/// Keys of a client that may die.
const KEYS: usize = 3;
/// How long keys live, in milliseconds.
const TTLS: [u64; 6] = [1, 3, 20, 150, 700, 5_000];

/// What is asked of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// SET, with a time to live or none.
    Set {
        value: u64,
        ttl: Option<u64>,
    },
    Get,
    /// PEXPIRE.
    Limit {
        ttl: u64,
    },
    /// GETEX PX.
    GetAndLimit {
        ttl: u64,
    },
    Persist,
    /// PTTL.
    Left,
    /// GET, PTTL and GET in one transaction: one instant.
    AtOnce,
}

/// A key as its client knows it; not known: it is not there.
#[derive(Clone, Copy, Debug)]
struct Life {
    value: u64,
    /// The first and the last millisecond in which it may end. `None`: it does not end.
    end: Option<(i64, i64)>,
}

/// The keys of one connection.
#[derive(Default, Debug)]
pub struct Mortals {
    lives: HashMap<usize, Life>,
    /// Keys that were found dead of their time, and alive although they had one.
    pub died: u64,
    pub lived: u64,
}

impl Author {
    /// A request about a key that may die.
    pub fn mortal(&mut self, rng: &mut Rng, requests: &mut Vec<Request>) {
        use super::client::What::Mortal;
        let at = rng.below(KEYS);
        let name = self.private_name("m", at);
        let key = self.database() * KEYS + at;
        let (value, ttl) = (self.unique(), rng.pick(&TTLS));
        let (value_text, ttl_text) = (value.to_string(), ttl.to_string());
        let mut ask = |words: &[&str], deed| {
            requests.push(Request::new(words, false, Mortal { key, deed }));
        };
        match rng.below(14) {
            0..=2 => {
                let deed = Deed::Set { value, ttl: Some(ttl) };
                ask(&["SET", &name, &value_text, "PX", &ttl_text], deed);
            }
            3 => ask(&["SET", &name, &value_text], Deed::Set { value, ttl: None }),
            4..=7 => ask(&["GET", &name], Deed::Get),
            8 => ask(&["PEXPIRE", &name, &ttl_text], Deed::Limit { ttl }),
            9 => ask(&["GETEX", &name, "PX", &ttl_text], Deed::GetAndLimit { ttl }),
            10 => ask(&["PERSIST", &name], Deed::Persist),
            11..=12 => ask(&["PTTL", &name], Deed::Left),
            _ => {
                let any = |words: &[&str]| Request::new(words, false, super::client::What::Anything);
                let inner = [any(&["GET", &name]), any(&["PTTL", &name]), any(&["GET", &name])];
                transaction(inner, Mortal { key, deed: Deed::AtOnce }, requests);
            }
        }
    }
}

impl Mortals {
    /// Checks the reply to a deed, and learns from it.
    pub fn check(&mut self, op: &Op, key: usize, deed: Deed, reply: &[u8]) -> Result<(), String> {
        let wrong = |why: &str, life: Option<Life>| {
            let (since, until) = (op.since_ms, op.until_ms);
            Err(format!("{op:?}: {why}\n  got {} from {since} to {until} ms, known: {life:?}", show(reply)))
        };
        let life = self.lives.get(&key).copied();
        let tokens = tokens(reply);
        let numbers = || tokens.iter().map(|t| t.as_ref().and_then(|t| t.parse::<i64>().ok()));
        let first = numbers().next().flatten();
        // What the reply says: the value if it tells, and the time left if it tells that.
        let (alive, value, left) = match deed {
            Deed::Set { value, ttl } => {
                if reply != b"+OK\r\n" {
                    return wrong("no OK", life);
                }
                let end = ttl.map(|ttl| (op.since_ms + ttl as i64, op.until_ms + ttl as i64));
                self.lives.insert(key, Life { value, end });
                return Ok(());
            }
            Deed::Get | Deed::GetAndLimit { .. } => (first.is_some(), first, None),
            Deed::Limit { .. } => (first == Some(1), None, None),
            Deed::Persist => {
                // Also of a key that is there and has no time.
                let stays = life.is_some_and(|life| life.end.is_none());
                if stays && first != Some(0) {
                    return wrong("it had no time to live", life);
                }
                if stays {
                    return Ok(());
                }
                (first == Some(1), None, None)
            }
            Deed::Left => (first.is_some_and(|left| left != -2), None, first.filter(|left| *left != -2)),
            Deed::AtOnce => {
                let all: Vec<Option<i64>> = numbers().collect();
                let [one, left, two] = all[..] else { return wrong("not three replies", life) };
                if one != two || one.is_none() != (left == Some(-2)) {
                    return wrong("two instants in one transaction", life);
                }
                (one.is_some(), one, left.filter(|left| *left != -2))
            }
        };
        let Some(mut known) = life else {
            if alive {
                return wrong("it was not there", life);
            }
            return Ok(());
        };
        match (alive, known.end) {
            (false, None) => return wrong("it is gone before its time: it had none", life),
            (false, Some((lo, _))) if op.until_ms < lo => return wrong("it is gone before its time", life),
            (true, Some((_, hi))) if op.since_ms >= hi => return wrong("it is there after its time", life),
            (false, Some(_)) => {
                self.lives.remove(&key);
                self.died += 1;
                return Ok(());
            }
            (true, Some((lo, hi))) => {
                self.lived += 1;
                known.end = Some((lo.max(op.since_ms + 1), hi));
            }
            (true, None) => {}
        }
        if value.is_some_and(|value| value as u64 != known.value) {
            return wrong("another value", life);
        }
        match (left, known.end) {
            (Some(-1), None) | (None, _) => {}
            (Some(left), Some((lo, hi))) => {
                let (lo, hi) = (lo.max(op.since_ms + left), hi.min(op.until_ms + left));
                if left < 0 || lo > hi {
                    return wrong("another time left", life);
                }
                known.end = Some((lo, hi));
            }
            (Some(_), None) => return wrong("it had no time to live", life),
        }
        match deed {
            Deed::Limit { ttl } | Deed::GetAndLimit { ttl } => {
                known.end = Some((op.since_ms + ttl as i64, op.until_ms + ttl as i64));
            }
            Deed::Persist => known.end = None,
            Deed::Set { .. } | Deed::Get | Deed::Left | Deed::AtOnce => {}
        }
        self.lives.insert(key, known);
        Ok(())
    }
}

/// What a reply holds, without what frames it; nil is `None`.
pub fn tokens(reply: &[u8]) -> Vec<Option<String>> {
    let text = String::from_utf8_lossy(reply);
    let mut lines = text.split("\r\n");
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        match line.as_bytes() {
            b"" | [b'*' | b'%' | b'~', ..] => {}
            b"$-1" | b"_" => found.push(None),
            [b'$', ..] => found.push(lines.next().map(str::to_string)),
            _ => found.push(Some(line[1..].to_string())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::client::What;
    use super::*;

    const SET: Deed = Deed::Set { value: 7, ttl: Some(10) };
    const SEVEN: &str = "$1\r\n7\r\n";
    const NIL: &str = "$-1\r\n";

    /// Deeds, each with its time and its reply.
    fn passes(deeds: &[(Deed, (i64, i64), &str)]) -> bool {
        let mut mortals = Mortals::default();
        deeds.iter().all(|(deed, (since_ms, until_ms), reply)| {
            let op = Op::new(String::new(), What::Anything, 0, 0);
            let op = Op { since_ms: *since_ms, until_ms: *until_ms, ..op };
            mortals.check(&op, 0, *deed, reply.as_bytes()).is_ok()
        })
    }

    #[test]
    fn what_a_key_with_a_time_may_do() {
        let set = (SET, (100, 105), "+OK\r\n");
        for rest in [
            vec![(Deed::Get, (105, 108), SEVEN), (Deed::Get, (110, 112), NIL)],
            vec![(Deed::Get, (114, 120), SEVEN), (Deed::Get, (114, 115), NIL)],
            vec![(Deed::Left, (106, 107), ":5\r\n"), (Deed::Get, (111, 111), NIL)],
            vec![(Deed::Persist, (106, 107), ":1\r\n"), (Deed::Get, (900, 900), SEVEN)],
            vec![(Deed::Persist, (106, 116), ":0\r\n"), (Deed::Get, (900, 900), NIL)],
            vec![(Deed::Limit { ttl: 50 }, (106, 106), ":1\r\n"), (Deed::Get, (155, 155), SEVEN)],
            vec![(Deed::AtOnce, (106, 106), "*3\r\n$1\r\n7\r\n:8\r\n$1\r\n7\r\n")],
            vec![(Deed::AtOnce, (116, 116), "*3\r\n_\r\n:-2\r\n_\r\n")],
            vec![
                (Deed::Set { value: 7, ttl: None }, (106, 106), "+OK\r\n"),
                (Deed::Left, (1, 999), ":-1\r\n"),
            ],
        ] {
            assert!(passes(&[&[set], &rest[..]].concat()), "{rest:?}");
        }
    }

    #[test]
    fn what_a_key_with_a_time_may_not_do() {
        let set = (SET, (100, 105), "+OK\r\n");
        for rest in [
            vec![(Deed::Get, (115, 116), SEVEN)],
            vec![(Deed::Get, (105, 109), NIL)],
            vec![(Deed::Get, (110, 112), NIL), (Deed::Get, (110, 112), SEVEN)],
            vec![(Deed::Get, (112, 114), SEVEN), (Deed::Get, (110, 112), NIL)],
            vec![(Deed::Left, (106, 107), ":10\r\n")],
            vec![(Deed::Left, (106, 107), ":-1\r\n")],
            vec![(Deed::Limit { ttl: 50 }, (106, 106), ":1\r\n"), (Deed::Get, (155, 155), NIL)],
            vec![(Deed::Persist, (106, 107), ":1\r\n"), (Deed::Get, (900, 900), NIL)],
            vec![(Deed::AtOnce, (106, 120), "*3\r\n$1\r\n7\r\n:-2\r\n$-1\r\n")],
            vec![(Deed::Get, (106, 107), "$1\r\n8\r\n")],
        ] {
            assert!(!passes(&[&[set], &rest[..]].concat()), "{rest:?}");
        }
    }
}
