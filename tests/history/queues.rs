//! Queues: lists that clients push to, move between, and wait for.
//!
//! Every value is unique, so each visit of a value to a queue has one who brought it and one who took it at most. Moves go to the
//! next queue only, so no value comes to a queue twice. What is checked:
//!
//! - nothing is taken that nobody brought, before it was brought, or twice; what is left at the end was not taken;
//! - what was brought and is neither taken nor left was taken by requests whose replies were lost, and they could take so much;
//! - a queue that gave nothing had nothing to give all the time of the request: no value was there before it and after it;
//! - nobody who waits for a queue is passed by who came later and waits for it alone (who waits for several takes the first that
//!   has something, as in Redis, also where another of them was ready first);
//! - in runs with `fifo`, all push at one end and take at the other: values leave in the order in which they came, where the order
//!   of requests is known (real time, or one connection).
//!
//! That nobody waits while there is something for it is looked at in the stores themselves, while the run goes on (`world.rs`).

use super::client::{Op, What};
use super::rng::Rng;
use super::script::{Author, Request, Topics, transaction};
use std::collections::{BTreeMap, BTreeSet};

/// The most values that one request takes.
const MOST: usize = 3;
/// No run lasts so many seconds.
const LONG_SECS: u32 = 10_000_000;

/// The values of a reply, and the queue that they were taken from.
pub fn taken(op: &Op, reply: &[u8]) -> Vec<(usize, u64)> {
    let (from, other) = match &op.what {
        What::Pop { from, .. } => (from[0], true),
        What::Move { from, .. } => (*from, false),
        _ => return vec![],
    };
    let text = String::from_utf8_lossy(reply);
    if text.starts_with('-') {
        assert!(text.starts_with("-UNBLOCKED"), "{op:?} got {text}");
        return vec![];
    }
    let mut lines =
        text.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with(['*', '$', '_'])).peekable();
    let named = lines.peek().and_then(|line| line.strip_prefix('q')).and_then(|n| n.parse().ok());
    let queue = match named {
        Some(queue) => {
            lines.next();
            queue
        }
        None => from,
    };
    assert!(other || named.is_none(), "{op:?} got {text}");
    lines.map(|line| (queue, line.parse().unwrap_or_else(|_| panic!("{op:?} got {text}")))).collect()
}

impl Author {
    /// A request about queues.
    pub fn queue(&mut self, rng: &mut Rng, topics: &Topics, requests: &mut Vec<Request>) {
        let name = |q: usize| format!("q{q}");
        let queue = rng.below(topics.queues);
        let (push, left, right) = match topics.fifo || rng.permille(500) {
            true => ("RPUSH", "LEFT", "RIGHT"),
            false => ("LPUSH", "RIGHT", "LEFT"),
        };
        // All but those without an end can be told apart by their digits.
        let serial = self.unique() as u32;
        let timeout = match rng.below(4) {
            0 => "0".to_string(),
            1 if topics.timed => format!("0.001{serial:09}"),
            2 if topics.timed => format!("0.03{serial:09}"),
            _ => (LONG_SECS + serial).to_string(),
        };
        let timeout = timeout.as_str();
        let some: Vec<usize> = (0..rng.between(1, 4)).map(|_| rng.below(topics.queues)).collect();
        let names: Vec<String> = some.iter().map(|q| name(*q)).collect();
        let names = || names.iter().map(String::as_str);
        let pop = |waits| What::Pop { from: some.clone(), waits };
        match rng.below(12) {
            0..=2 => requests.push(self.push_to(rng, push, queue)),
            3 => {
                let pushes: Vec<Request> = (0..rng.between(1, 3))
                    .map(|_| {
                        let queue = rng.below(topics.queues);
                        self.push_to(rng, push, queue)
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
            9 if topics.queues > 1 => {
                let from = rng.below(topics.queues - 1);
                let words = ["LMOVE", &name(from), &name(from + 1), left, right];
                requests.push(Request::new(&words, false, What::Move { from, to: from + 1, waits: false }));
            }
            _ if topics.queues > 1 => {
                let from = rng.below(topics.queues - 1);
                let words = ["BLMOVE", &name(from), &name(from + 1), left, right, timeout];
                requests.push(Request::new(&words, false, What::Move { from, to: from + 1, waits: true }));
            }
            _ => requests.push(self.push_to(rng, push, queue)),
        }
    }

    fn push_to(&mut self, rng: &mut Rng, push: &str, queue: usize) -> Request {
        let values: Vec<u64> = (0..rng.between(1, 3)).map(|_| self.unique()).collect();
        let texts: Vec<String> = values.iter().map(u64::to_string).collect();
        let name = format!("q{queue}");
        let words: Vec<&str> = [push, &name].into_iter().chain(texts.iter().map(String::as_str)).collect();
        Request::new(&words, false, What::Push(values.into_iter().map(|v| (queue, v)).collect()))
    }
}

/// A value in a queue: who brought it and who took it, each as the number of its op and the place in it.
#[derive(Clone, Copy, Default, Debug)]
struct Visit {
    pushed: Option<(usize, usize)>,
    taken: Option<(usize, usize)>,
    /// Its place among those that were left at the end.
    left: Option<usize>,
}

/// Checks a history of queues; `finals` are their contents at the end.
pub fn check(ops: &[Op], finals: &[Vec<u64>], fifo: bool) -> Result<(), String> {
    let mut visits: BTreeMap<(usize, u64), Visit> = BTreeMap::new();
    let (mut brought, mut consumed) = (BTreeMap::new(), BTreeSet::new());
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.invoked.is_some()) {
        if let What::Push(values) = &op.what {
            for (i, (queue, value)) in values.iter().enumerate() {
                brought.insert(*value, at);
                visits.entry((*queue, *value)).or_default().pushed = Some((at, i));
            }
        }
    }
    for (at, op) in ops.iter().enumerate() {
        for (i, (queue, value)) in op.taken.iter().enumerate() {
            let origin =
                brought.get(value).ok_or_else(|| format!("a value nobody brought: {op:?} {value}"))?;
            if op.answered < ops[*origin].invoked {
                return Err(format!("taken before it was brought: {op:?} {value}"));
            }
            let visit = visits.entry((*queue, *value)).or_default();
            if let Some((other, _)) = visit.taken.replace((at, i)) {
                return Err(format!("taken twice: {value} by {op:?}\n  and {:?}", ops[other]));
            }
            match op.what {
                What::Move { to, .. } => visits.entry((to, *value)).or_default().pushed = Some((at, i)),
                _ if !consumed.insert(*value) => return Err(format!("taken twice: {op:?} {value}")),
                _ => {}
            }
        }
    }
    let mut found = consumed.clone();
    for (queue, values) in finals.iter().enumerate() {
        for (place, value) in values.iter().enumerate() {
            if !brought.contains_key(value) || !found.insert(*value) {
                return Err(format!(
                    "left in q{queue}, but taken, or there twice, or brought by nobody: {value}"
                ));
            }
            visits.entry((queue, *value)).or_default().left = Some(place);
        }
    }
    let missing = brought.iter().filter(|(v, op)| ops[**op].answered.is_some() && !found.contains(v)).count();
    let takes = |op: &&Op| matches!(op.what, What::Pop { .. } | What::Move { .. });
    let lost = ops.iter().filter(takes).filter(|op| op.invoked.is_some() && op.answered.is_none()).count();
    if missing > lost * MOST {
        return Err(format!("{missing} values are gone, {lost} requests may have taken some"));
    }
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.taken.is_empty() && op.answered.is_some()) {
        let from = match &op.what {
            What::Pop { from, .. } => &from[..],
            What::Move { from, .. } => std::slice::from_ref(from),
            _ => continue,
        };
        for (key, visit) in visits.iter().filter(|((queue, _), _)| from.contains(queue)) {
            let Some((push, _)) = visit.pushed.filter(|(push, _)| before(ops, *push, at)) else { continue };
            let stays = visit.left.is_some() || visit.taken.is_some_and(|(taker, _)| before(ops, at, taker));
            if stays {
                return Err(format!("{op:?} got nothing, but there was {key:?} of {:?}", ops[push]));
            }
        }
    }
    check_lines(ops)?;
    if fifo { check_order(ops, &visits) } else { Ok(()) }
}

/// First come, first served: who was seen in line before another asked is not in line any more when the other has been served.
fn check_lines(ops: &[Op]) -> Result<(), String> {
    let waits_for = |op: &Op, queue: usize| match &op.what {
        What::Pop { from, .. } => from.contains(&queue),
        What::Move { from, .. } => *from == queue,
        _ => false,
    };
    for late in ops.iter().filter(|op| op.waits() && !op.taken.is_empty()) {
        let queue = late.taken[0].0;
        if matches!(&late.what, What::Pop { from, .. } if from.iter().any(|other| *other != queue)) {
            continue;
        }
        let passed = |early: &&Op| {
            let Some((first, last)) = early.seen else { return false };
            waits_for(early, queue) && Some(first) < late.invoked && late.answered < Some(last)
        };
        if let Some(early) = ops.iter().find(passed) {
            return Err(format!("q{queue}: {late:?} passed {early:?}, in line {:?}", early.seen));
        }
    }
    Ok(())
}

/// Whether one op came before another for certain.
fn before(ops: &[Op], a: usize, b: usize) -> bool {
    let (one, two) = (&ops[a], &ops[b]);
    let same_link = one.client == two.client && one.link == two.link;
    one.answered.is_some() && (one.answered < two.invoked || same_link && a < b)
}

fn check_order(ops: &[Op], visits: &BTreeMap<(usize, u64), Visit>) -> Result<(), String> {
    let earlier = |a: (usize, usize), b: (usize, usize)| before(ops, a.0, b.0) || a.0 == b.0 && a.1 < b.1;
    for ((queue, one), first) in visits {
        for ((_, two), second) in visits.range((*queue, 0)..=(*queue, u64::MAX)) {
            let (Some(a), Some(b)) = (first.pushed, second.pushed) else { continue };
            if !earlier(a, b) {
                continue;
            }
            let overtaken = match (first.taken, second.taken) {
                (Some(c), Some(d)) => earlier(d, c),
                (None, Some(_)) => first.left.is_some(),
                _ => first.left.is_some() && second.left.is_some() && first.left > second.left,
            };
            if overtaken {
                return Err(format!(
                    "q{queue}: {two} overtook {one}: {first:?} {second:?}\n  {:?}\n  {:?}",
                    ops[a.0], ops[b.0]
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(what: What, (from, to): (u64, u64), taken: &[u64]) -> Op {
        let taken = taken.iter().map(|v| (0, *v)).collect();
        let (invoked, answered) = (Some(from), (to > 0).then_some(to));
        Op {
            text: String::new(),
            what,
            client: from as usize,
            link: 0,
            invoked,
            answered,
            number: None,
            taken,
            seen: None,
        }
    }

    fn push(values: &[u64], time: (u64, u64)) -> Op {
        op(What::Push(values.iter().map(|v| (0, *v)).collect()), time, &[])
    }

    fn pop(values: &[u64], time: (u64, u64)) -> Op {
        op(What::Pop { from: vec![0], waits: true }, time, values)
    }

    fn seen(op: Op, steps: (u64, u64)) -> Op {
        Op { seen: Some(steps), ..op }
    }

    #[test]
    fn what_queues_may_do() {
        for (ops, left) in [
            (vec![push(&[1, 2], (1, 2)), pop(&[1], (3, 4)), pop(&[2], (5, 6))], vec![]),
            (vec![pop(&[1], (1, 9)), push(&[1, 2], (2, 3))], vec![2]),
            (vec![push(&[1], (1, 9)), push(&[2], (2, 8)), pop(&[2], (3, 4)), pop(&[1], (5, 6))], vec![]),
            (vec![pop(&[], (1, 5)), push(&[1], (2, 3))], vec![1]),
            (vec![push(&[1], (1, 2)), pop(&[], (3, 0))], vec![]),
            (vec![push(&[1], (1, 0))], vec![]),
            (vec![push(&[1], (1, 0)), pop(&[1], (2, 3))], vec![]),
            (vec![seen(pop(&[], (1, 9)), (4, 8)), pop(&[1], (3, 5)), push(&[1], (4, 5))], vec![]),
            (vec![seen(pop(&[2], (1, 9)), (2, 5)), pop(&[1], (3, 6)), push(&[2, 1], (4, 5))], vec![]),
        ] {
            check(&ops, std::slice::from_ref(&left), true)
                .unwrap_or_else(|why| panic!("{ops:?} {left:?}: {why}"));
        }
    }

    #[test]
    fn what_queues_may_not_do() {
        for (ops, left) in [
            (vec![pop(&[1], (1, 2))], vec![]),
            (vec![pop(&[1], (1, 2)), push(&[1], (3, 4))], vec![]),
            (vec![push(&[1], (1, 2)), pop(&[1], (3, 4)), pop(&[1], (5, 6))], vec![]),
            (vec![push(&[1], (1, 2)), pop(&[1], (3, 4))], vec![1]),
            (vec![push(&[1], (1, 2))], vec![]),
            (vec![push(&[1], (1, 2))], vec![1, 1]),
            (vec![push(&[1], (1, 2)), pop(&[], (3, 4))], vec![1]),
            (vec![push(&[1], (1, 2)), pop(&[], (3, 4)), pop(&[1], (5, 6))], vec![]),
            (vec![push(&[1, 2], (1, 2)), pop(&[2], (3, 4)), pop(&[1], (5, 6))], vec![]),
            (vec![push(&[1], (1, 2)), push(&[2], (3, 4)), pop(&[2], (5, 6))], vec![1]),
            (vec![push(&[1, 2], (1, 2))], vec![2, 1]),
            (vec![seen(pop(&[], (1, 9)), (2, 8)), pop(&[1], (3, 5)), push(&[1], (4, 5))], vec![]),
        ] {
            check(&ops, std::slice::from_ref(&left), true).expect_err(&format!("{ops:?} {left:?}"));
        }
    }
}
