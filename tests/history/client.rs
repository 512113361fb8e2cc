//! A client: what it has asked on its connection, what came back, and whether that is what it must be.
//!
//! Every request becomes an [`Op`] of the history. An op is *invoked* in the step in which its last byte reaches the core and
//! *answered* in the step in which its reply is whole, so the checks in `check.rs` see the tightest interval there is.

use super::mortals::{Deed, Mortals};
use super::queues;
use kring::ring::net::ConnId;
use std::collections::VecDeque;
use std::fmt;

/// What a request is for, as the checks see it.
#[derive(Clone, Debug)]
pub enum What {
    /// The reply must be these bytes.
    Exactly(Vec<u8>),
    /// Any well-formed reply will do.
    Anything,
    /// INCR of a shared counter.
    Count(usize),
    /// MSET of all keys of a group to one value that nobody else writes.
    Put {
        group: usize,
        value: u64,
    },
    /// MGET of all keys of a group.
    Look {
        group: usize,
    },
    /// GET of a shared counter that is watched, and the EXEC of an INCR that must not run if it has changed since.
    Peek,
    Guarded(usize),
    /// GET of all accounts.
    Sum(u64),
    /// Something about a private key that may expire.
    Mortal {
        key: usize,
        deed: Deed,
    },
    /// Values put into queues, in this order.
    Push(Vec<(usize, u64)>),
    /// Values taken from one of several queues; `waits`: until there are some.
    Pop {
        from: Vec<usize>,
        waits: bool,
    },
    /// A value taken from a queue and put into another.
    Move {
        from: usize,
        to: usize,
        waits: bool,
    },
    /// What comes to a stream from now on, without taking it.
    Listen {
        to: usize,
    },
    /// SHUTDOWN: there is a reply only if it fails.
    Shutdown,
    /// CONFIG SET of a knob to a value that nobody else sets, and CONFIG GET of it.
    Tune {
        value: u64,
    },
    Tuned,
    /// A number that divides by this: DBSIZE where keys come in groups only.
    Multiple(usize),
}

/// A request and its fate.
pub struct Op {
    pub text: String,
    pub what: What,
    pub client: usize,
    /// The connections of a client are numbered.
    pub link: usize,
    pub invoked: Option<u64>,
    pub answered: Option<u64>,
    /// The integer or the unique value of the reply; `None`: nil.
    pub number: Option<u64>,
    /// What came out of which queue; for a listener, what it heard.
    pub taken: Vec<(usize, u64)>,
    /// What the slowest clock of a shard showed when it was invoked, and the time when it was answered: Unix ms.
    pub since_ms: i64,
    pub until_ms: i64,
    /// The first and the last step in which it was seen in line.
    pub seen: Option<(u64, u64)>,
}

impl Op {
    /// A request that is written.
    pub fn new(text: String, what: What, client: usize, link: usize) -> Op {
        Op {
            text,
            what,
            client,
            link,
            invoked: None,
            answered: None,
            number: None,
            taken: vec![],
            since_ms: 0,
            until_ms: 0,
            seen: None,
        }
    }

    /// Whether it may be without a reply for as long as it likes.
    pub fn waits(&self) -> bool {
        matches!(
            self.what,
            What::Pop { waits: true, .. } | What::Move { waits: true, .. } | What::Listen { .. }
        )
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Op { text, client, link, invoked, answered, number, .. } = self;
        write!(f, "`{text}` of client {client}.{link}, steps {invoked:?} to {answered:?}, number {number:?}")
    }
}

/// A connection, from the client's side.
pub struct Link {
    pub shard: usize,
    pub id: ConnId,
    pub number: usize,
    /// Ops not answered, in order, each with the offset of its request's end.
    pub waiting: VecDeque<(usize, usize)>,
    /// How many of them are invoked.
    invoked: usize,
    /// Reply bytes that do not make a whole reply yet.
    got: Vec<u8>,
    pub written: usize,
    /// It will write no more and expects the close.
    pub ended: bool,
    /// The counter that it watches, as it read it.
    peeked: Option<u64>,
    /// The disk may fail: writes may be refused.
    pub bears_refusal: bool,
    /// The log cannot be written: what is read now may be lost.
    pub in_doubt: bool,
    pub mortals: Mortals,
}

impl Link {
    pub fn new(shard: usize, id: ConnId, number: usize) -> Link {
        Link {
            shard,
            id,
            number,
            waiting: VecDeque::new(),
            invoked: 0,
            got: vec![],
            written: 0,
            ended: false,
            peeked: None,
            bears_refusal: false,
            in_doubt: false,
            mortals: Mortals::default(),
        }
    }

    /// The core has got so many bytes, in this step; the slowest clock shows `now_ms`.
    pub fn fed(&mut self, fed: usize, ops: &mut [Op], step: u64, now_ms: i64) {
        while let Some(&(op, end)) = self.waiting.get(self.invoked)
            && end <= fed
        {
            ops[op].invoked = Some(step);
            ops[op].since_ms = now_ms;
            self.invoked += 1;
        }
    }

    /// Reply bytes arrived: checks every whole reply. Gives the raw replies.
    pub fn receive(&mut self, bytes: &[u8], ops: &mut [Op], step: u64, now_ms: i64) -> Vec<Vec<u8>> {
        self.got.extend_from_slice(bytes);
        let mut replies = Vec::new();
        let mut at = 0;
        while let Some(len) = reply_len(&self.got[at..]) {
            let reply = self.got[at..at + len].to_vec();
            at += len;
            let Some((op, _)) = self.waiting.pop_front() else {
                panic!("a reply too many: {}", show(&reply))
            };
            // Half of a request may be enough to see that it is none.
            let early = reply.starts_with(b"-ERR Protocol error");
            assert!(early || ops[op].invoked.is_some(), "answered before it was asked: {:?}", ops[op]);
            self.invoked = self.invoked.saturating_sub(1);
            ops[op].answered = Some(step);
            ops[op].until_ms = now_ms;
            if self.bears_refusal && (reply.starts_with(b"-MISCONF") || reply.starts_with(b"-EXECABORT")) {
                // It has not run.
                ops[op].what = What::Anything;
            }
            if self.in_doubt && matches!(ops[op].what, What::Look { .. }) {
                ops[op].what = What::Anything;
            }
            ops[op].number = check_reply(&ops[op], &reply);
            ops[op].taken = queues::taken(&ops[op], &reply);
            self.check_guard(&ops[op]);
            if let What::Mortal { key, deed } = ops[op].what {
                self.mortals.check(&ops[op], key, deed, &reply).unwrap_or_else(|why| panic!("{why}"));
            }
            replies.push(reply);
        }
        self.got.drain(..at);
        replies
    }

    /// EXEC must run on the counter as it was read under the watch.
    fn check_guard(&mut self, op: &Op) {
        match (&op.what, op.number) {
            (What::Peek, number) => self.peeked = number,
            (What::Guarded(_), Some(n)) => {
                let peeked = self.peeked.expect("read before");
                assert_eq!(n, peeked + 1, "{op:?}: the watched counter was {peeked}");
            }
            _ => {}
        }
    }

    /// The server has closed after all its replies: whether that was the right moment.
    pub fn ended_well(&self, ops: &[Op]) -> bool {
        // Who says no more while it waits is not waited for.
        let waits = self.waiting.front().is_some_and(|(op, _)| ops[*op].waits());
        self.ended && (waits || self.waiting.is_empty()) && self.got.is_empty()
    }
}

/// Checks one reply by itself. Gives the number in it.
fn check_reply(op: &Op, reply: &[u8]) -> Option<u64> {
    match &op.what {
        What::Exactly(expected) => {
            assert!(reply == expected, "{op:?}\n  got {}\n  not {}", show(reply), show(expected));
            None
        }
        What::Anything | What::Pop { .. } | What::Move { .. } | What::Listen { .. } | What::Mortal { .. } => {
            None
        }
        What::Shutdown => {
            assert!(reply.starts_with(b"-ERR "), "{op:?} got {}", show(reply));
            None
        }
        What::Push(_) => {
            assert!(matches!(reply[0], b':' | b'*' | b'$'), "{op:?} got {}", show(reply));
            None
        }
        What::Count(_) => Some(number(op, reply)),
        What::Multiple(of) => {
            let n = number(op, reply);
            assert!(n.is_multiple_of(*of as u64), "{op:?} saw part of a group: {n} keys");
            Some(n)
        }
        What::Tuned => strings(op, reply)[1].as_ref().and_then(|v| v.parse().ok()),
        What::Put { value, .. } | What::Tune { value } => {
            // By EXEC: an array of what each command says.
            let ok = reply == b"+OK\r\n" || reply.starts_with(b"*") && !reply.contains(&b'-');
            assert!(ok, "{op:?} got {}", show(reply));
            Some(*value)
        }
        What::Peek if matches!(reply, b"$-1\r\n" | b"_\r\n") => Some(0),
        What::Peek => String::from_utf8_lossy(reply).lines().nth(1).and_then(|n| n.parse().ok()),
        What::Guarded(_) if matches!(reply, b"*-1\r\n" | b"_\r\n") => None,
        What::Guarded(_) => Some(number(op, reply.strip_prefix(b"*1\r\n").unwrap_or_default())),
        What::Sum(total) => {
            let sum: i64 =
                strings(op, reply).iter().flatten().map(|n| n.parse::<i64>().expect("a balance")).sum();
            assert_eq!(sum, *total as i64, "{op:?} got {}", show(reply));
            None
        }
        What::Look { .. } => {
            let items = strings(op, reply);
            assert!(items.windows(2).all(|w| w[0] == w[1]), "{op:?} saw a torn group: {}", show(reply));
            items[0].as_ref().and_then(|v| v.parse().ok())
        }
    }
}

fn number(op: &Op, reply: &[u8]) -> u64 {
    let text = reply.strip_prefix(b":").and_then(|r| r.strip_suffix(b"\r\n"));
    let number = text.and_then(|t| std::str::from_utf8(t).ok()).and_then(|t| t.parse().ok());
    number.unwrap_or_else(|| panic!("{op:?} got {}", show(reply)))
}

/// The items of an array (or map) of short strings, two at least; `None`: nil.
fn strings(op: &Op, reply: &[u8]) -> Vec<Option<String>> {
    let text = String::from_utf8_lossy(reply);
    let mut lines = text.split_terminator("\r\n").skip(1);
    let mut items = Vec::new();
    while let Some(head) = lines.next() {
        items.push(if matches!(head, "$-1" | "_") { None } else { lines.next().map(str::to_string) });
    }
    assert!(reply.starts_with(b"*") || reply.starts_with(b"%"), "{op:?} got {}", show(reply));
    assert!(items.len() > 1, "{op:?} got {}", show(reply));
    items
}

/// The length of the whole reply at the head of `bytes`, once it is all there. Panics when it is not well-formed.
pub fn reply_len(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|w| w == b"\r\n")?;
    let text = &bytes[1..line];
    let head = line + 2;
    let count = || -> i64 {
        let n = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
        n.filter(|n| *n >= -1).unwrap_or_else(|| panic!("a length that is none: {}", show(bytes)))
    };
    let items = match bytes[0] {
        b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => return Some(head),
        b'$' | b'=' | b'!' if count() < 0 => return Some(head),
        b'$' | b'=' | b'!' => {
            let end = head + count() as usize;
            let ends = bytes.get(end..end + 2)?;
            assert!(ends == b"\r\n", "a bulk string of a wrong length: {}", show(bytes));
            return Some(end + 2);
        }
        b'*' | b'~' | b'>' => count().max(0),
        b'%' | b'|' => 2 * count().max(0),
        _ => panic!("not a reply: {}", show(bytes)),
    };
    let mut len = head;
    for _ in 0..items {
        len += reply_len(bytes.get(len..).filter(|b| !b.is_empty())?)?;
    }
    Some(len)
}

/// Bytes for a person, cut where they get long.
pub fn show(bytes: &[u8]) -> String {
    const SHOWN: usize = 300;
    let tail = if bytes.len() > SHOWN { format!(" ... {} bytes", bytes.len()) } else { String::new() };
    format!("\"{}\"{tail}", bytes[..bytes.len().min(SHOWN)].escape_ascii())
}
