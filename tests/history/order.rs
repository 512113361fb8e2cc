//! The checks of queues.
//!
//! Every value is unique, so each visit of a value to a queue has one who brought it and one who took it at most. Moves go to the
//! next list only, so no value comes to a queue twice. What is checked:
//!
//! - nothing is taken that nobody brought, before it was brought, or twice; what is left at the end was not taken;
//! - what was brought and is neither taken nor left was taken by requests whose replies were lost, and they could take so much;
//! - a queue that gave nothing had nothing to give all the time of the request: no value was there before it and after it;
//! - nobody who waits for a queue is passed by who came later and waits for it alone (who waits for several takes the first that
//!   has something, as in Redis, also where another of them was ready first);
//! - in runs with `fifo`, and in streams, values leave in the order in which they came, where the order of requests is known (real
//!   time, or one connection); from a sorted set none leaves while a lesser one stays;
//! - who listens to a stream (XREAD from `$`) hears entries that stand one behind the other, none of which was there before, and is
//!   not in line any more when one has come.
//!
//! Where queues are emptied and swapped ([`Topics::sweeps`]) only what no FLUSHALL explains is looked at: what was taken.
//!
//! That nobody waits while there is something for it is looked at in the stores themselves, while the run goes on (`sim/world.rs`).

use super::client::{Op, What};
use super::queues::{Kind, MOST};
use super::script::Topics;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A value in a queue: who brought it and who took it, each as the number of its op and the place in it.
#[derive(Clone, Copy, Default, Debug)]
struct Visit {
    pushed: Option<(usize, usize)>,
    taken: Option<(usize, usize)>,
    /// Its place among those that were left at the end.
    left: Option<usize>,
}

/// What is left at the end: what each queue holds, and all that each stream has had (empty for the others).
#[derive(Default, Clone, Debug)]
pub struct Left {
    pub values: Vec<Vec<u64>>,
    pub entries: Vec<Vec<u64>>,
}

/// Who brought each value, and who took it where.
struct Book {
    visits: BTreeMap<(usize, u64), Visit>,
    brought: BTreeMap<u64, usize>,
    consumed: BTreeSet<u64>,
}

/// Checks a history of queues.
pub fn check(ops: &[Op], left: &Left, topics: &Topics) -> Result<(), String> {
    let mut book = keep_books(ops)?;
    if topics.sweeps {
        return Ok(());
    }
    check_left(ops, &mut book, left, topics)?;
    check_empty(ops, &book)?;
    check_lines(ops)?;
    check_deaf(ops)?;
    check_listeners(ops, &book, left)?;
    check_order(ops, &book.visits, topics)
}

/// Nothing is taken that nobody brought, or before, or twice.
fn keep_books(ops: &[Op]) -> Result<Book, String> {
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
    let takes = |op: &Op| matches!(op.what, What::Pop { .. } | What::Move { .. });
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| takes(op)) {
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
    Ok(Book { visits, brought, consumed })
}

/// What was brought is left, was taken, or may have been taken by who got no reply.
fn check_left(ops: &[Op], book: &mut Book, left: &Left, topics: &Topics) -> Result<(), String> {
    let mut found = book.consumed.clone();
    for (queue, values) in left.values.iter().enumerate() {
        for (place, value) in values.iter().enumerate() {
            if !book.brought.contains_key(value) || !found.insert(*value) {
                let name = topics.queue_name(queue);
                return Err(format!(
                    "left in {name}, but taken, or there twice, or brought by nobody: {value}"
                ));
            }
            book.visits.entry((queue, *value)).or_default().left = Some(place);
        }
    }
    let missing =
        book.brought.iter().filter(|(v, op)| ops[**op].answered.is_some() && !found.contains(v)).count();
    let most = |op: &Op| match &op.what {
        What::Pop { from, .. } if topics.kind(from[0]) == Kind::Stream => MOST * from.len(),
        What::Pop { .. } | What::Move { .. } => MOST,
        _ => 0,
    };
    let lost = ops.iter().filter(|op| op.invoked.is_some() && op.answered.is_none()).map(most).sum();
    if missing > lost {
        return Err(format!("{missing} values are gone, requests without a reply may have taken {lost}"));
    }
    Ok(())
}

/// A queue that gave nothing had nothing to give.
fn check_empty(ops: &[Op], book: &Book) -> Result<(), String> {
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.taken.is_empty() && op.answered.is_some()) {
        let from = match &op.what {
            What::Pop { from, .. } => &from[..],
            What::Move { from, .. } => std::slice::from_ref(from),
            _ => continue,
        };
        for (key, visit) in book.visits.iter().filter(|((queue, _), _)| from.contains(queue)) {
            let Some((push, _)) = visit.pushed.filter(|(push, _)| before(ops, *push, at)) else { continue };
            let stays = visit.left.is_some() || visit.taken.is_some_and(|(taker, _)| before(ops, at, taker));
            if stays {
                return Err(format!("{op:?} got nothing, but there was {key:?} of {:?}", ops[push]));
            }
        }
    }
    Ok(())
}

/// Nobody listens on to a stream to which something has come while it did.
fn check_deaf(ops: &[Op]) -> Result<(), String> {
    for listener in ops {
        let (What::Listen { to }, Some((first, last))) = (&listener.what, listener.seen) else { continue };
        let comes = |op: &&Op| {
            let there = matches!(&op.what, What::Push(values) if values.iter().any(|(queue, _)| queue == to));
            there && Some(first) < op.invoked && op.answered.is_some_and(|answered| answered < last)
        };
        if let Some(push) = ops.iter().find(comes) {
            return Err(format!("{listener:?}, in line {first} to {last}, did not hear {push:?}"));
        }
    }
    Ok(())
}

/// Who listens hears what comes, one entry behind the other.
fn check_listeners(ops: &[Op], book: &Book, left: &Left) -> Result<(), String> {
    for (queue, entries) in left.entries.iter().enumerate() {
        let places: HashMap<u64, usize> =
            entries.iter().enumerate().map(|(at, value)| (*value, at)).collect();
        let hears = |op: &&Op| matches!(op.what, What::Listen { to } if to == queue) && !op.taken.is_empty();
        for op in ops.iter().filter(hears) {
            let mut expected = None;
            for (_, value) in &op.taken {
                let place = places.get(value).copied();
                if place.is_none() || expected.is_some() && place != expected {
                    return Err(format!("{op:?} heard {:?} of {entries:?}", op.taken));
                }
                expected = place.map(|place| place + 1);
                let push = book.brought.get(value).map(|push| &ops[*push]);
                let early = |push: &Op| push.answered.is_some() && push.answered < op.invoked;
                if push.is_none_or(|push| early(push) || op.answered < push.invoked) {
                    return Err(format!("{op:?} heard {value}, which is not from its time: {push:?}"));
                }
            }
        }
    }
    Ok(())
}

/// First come, first served: who was seen in line before another asked is not in line any more when the other has been served.
fn check_lines(ops: &[Op]) -> Result<(), String> {
    let waits_for = |op: &Op, queue: usize| match &op.what {
        What::Pop { from, .. } => from.contains(&queue),
        What::Move { from, .. } => *from == queue,
        _ => false,
    };
    // Who listens takes nothing from anybody.
    let takes = |op: &&Op| matches!(op.what, What::Pop { waits: true, .. } | What::Move { waits: true, .. });
    for late in ops.iter().filter(takes).filter(|op| !op.taken.is_empty()) {
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

/// Values leave in the order in which their queue gives them.
fn check_order(ops: &[Op], visits: &BTreeMap<(usize, u64), Visit>, topics: &Topics) -> Result<(), String> {
    let earlier = |a: (usize, usize), b: (usize, usize)| before(ops, a.0, b.0) || a.0 == b.0 && a.1 < b.1;
    for ((queue, one), first) in visits {
        let kind = topics.kind(*queue);
        if kind == Kind::List && !topics.fifo {
            continue;
        }
        // Of a sorted set, those behind it are the greater ones.
        let from = if kind == Kind::SortedSet { *one } else { 0 };
        for ((_, two), second) in visits.range((*queue, from)..=(*queue, u64::MAX)) {
            let (Some(a), Some(b)) = (first.pushed, second.pushed) else { continue };
            if one == two {
                continue;
            }
            let overtaken = match (kind, first.taken, second.taken) {
                // The lesser one was there, and stays for longer.
                (Kind::SortedSet, taken, Some(d)) => {
                    let stays = taken.map_or(first.left.is_some(), |c| earlier(d, c));
                    before(ops, a.0, d.0) && stays
                }
                (Kind::SortedSet, ..) => false,
                _ if !earlier(a, b) => false,
                (_, Some(c), Some(d)) => earlier(d, c),
                (_, None, Some(_)) => first.left.is_some(),
                _ => first.left.is_some() && second.left.is_some() && first.left > second.left,
            };
            if overtaken {
                return Err(format!(
                    "{}: {two} overtook {one}: {first:?} {second:?}\n  {:?}\n  {:?}",
                    topics.queue_name(*queue),
                    ops[a.0],
                    ops[b.0]
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::queues::taken;
    use super::*;

    fn op(what: What, (from, to): (u64, u64), taken: &[u64]) -> Op {
        let taken = taken.iter().map(|v| (0, *v)).collect();
        let (invoked, answered) = (Some(from), (to > 0).then_some(to));
        Op { invoked, answered, taken, ..Op::new(String::new(), what, from as usize, 0) }
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

    /// Of one queue, in whose place a sorted set or a stream may stand.
    fn check_one(ops: &[Op], left: &[u64], mixed: bool) -> Result<(), String> {
        let topics = Topics { queues: 3, fifo: true, mixed, ..Topics::default() };
        let mut all = Left { values: vec![vec![]; 3], entries: vec![vec![]; 3] };
        all.values[0] = left.to_vec();
        check(ops, &all, &topics)
    }

    /// The same history, of another queue.
    fn of_queue(queue: usize, ops: Vec<Op>) -> Vec<Op> {
        ops.into_iter()
            .map(|mut op| {
                match &mut op.what {
                    What::Push(values) => values.iter_mut().for_each(|v| v.0 = queue),
                    What::Pop { from, .. } => *from = vec![queue],
                    _ => {}
                }
                op.taken.iter_mut().for_each(|v| v.0 = queue);
                op
            })
            .collect()
    }

    #[test]
    fn the_least_leaves_a_sorted_set_first() {
        let topics = Topics { queues: 3, mixed: true, ..Topics::default() };
        let left =
            |values: &[u64]| Left { values: vec![vec![], values.to_vec(), vec![]], entries: vec![vec![]; 3] };
        let late = vec![push(&[2], (1, 2)), push(&[1], (3, 4)), pop(&[1], (5, 6)), pop(&[2], (7, 8))];
        check(&of_queue(1, late), &left(&[]), &topics).expect("the least first, though it came last");
        let open = vec![push(&[2], (1, 2)), push(&[1], (3, 6)), pop(&[2], (4, 5)), pop(&[1], (7, 8))];
        check(&of_queue(1, open), &left(&[]), &topics).expect("it need not have been there yet");
        let wrong = vec![push(&[1, 2], (1, 2)), pop(&[2], (3, 4)), pop(&[1], (5, 6))];
        check(&of_queue(1, wrong), &left(&[]), &topics).expect_err("the greater one first");
        let stays = vec![push(&[1, 2], (1, 2)), pop(&[2], (3, 4))];
        check(&of_queue(1, stays), &left(&[1]), &topics).expect_err("the greater one only");
    }

    #[test]
    fn listeners_hear_what_comes_in_a_row() {
        let topics = Topics { queues: 3, mixed: true, ..Topics::default() };
        let hear = |values: &[u64], time| {
            let mut op = op(What::Listen { to: 2 }, time, &[]);
            op.taken = values.iter().map(|v| (2, *v)).collect();
            op
        };
        let left = Left {
            values: vec![vec![], vec![], vec![1, 2, 3]],
            entries: vec![vec![], vec![], vec![1, 2, 3]],
        };
        let pushes = [push(&[1], (1, 2)), push(&[2], (4, 5)), push(&[3], (6, 7))];
        let with = |listener: Op| {
            let ops: Vec<Op> = of_queue(
                2,
                pushes
                    .iter()
                    .map(|op| Op { text: String::new(), what: op.what.clone(), taken: vec![], ..*op })
                    .collect(),
            );
            check(&ops.into_iter().chain([listener]).collect::<Vec<_>>(), &left, &topics)
        };
        with(hear(&[2], (3, 8))).expect("the next");
        with(hear(&[2, 3], (3, 8))).expect("the next two");
        with(hear(&[3], (3, 8))).expect("it may have begun late");
        with(hear(&[], (3, 8))).expect("nothing");
        with(hear(&[1], (3, 8))).expect_err("what was there before");
        with(hear(&[3, 2], (3, 8))).expect_err("out of order");
        with(hear(&[2, 2], (3, 8))).expect_err("twice");
        with(hear(&[3], (3, 5))).expect_err("what was not there yet");
        with(hear(&[9], (3, 8))).expect_err("what nobody brought");
        with(seen(hear(&[2], (1, 8)), (3, 5))).expect("it was in line until it heard");
        with(seen(hear(&[2], (1, 9)), (3, 8))).expect_err("it was in line for longer");
        with(seen(hear(&[], (1, 0)), (3, 8))).expect_err("it never heard");
    }

    #[test]
    fn what_was_taken_is_read_from_every_form_of_reply() {
        let op = |from| op(What::Pop { from: vec![from], waits: true }, (1, 2), &[]);
        let stream = "*2\r\n$2\r\ns2\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nv\r\n$1\r\n9\r\n";
        for (from, reply, values) in [
            (0, "$1\r\n7\r\n".to_string(), &[(0, 7)][..]),
            (0, "*2\r\n$2\r\nq3\r\n$1\r\n7\r\n".into(), &[(3, 7)]),
            (0, "*2\r\n$2\r\nq3\r\n*2\r\n$1\r\n7\r\n$1\r\n8\r\n".into(), &[(3, 7), (3, 8)]),
            (1, "*3\r\n$2\r\nz4\r\n$1\r\n7\r\n$1\r\n7\r\n".into(), &[(4, 7)]),
            (1, "*2\r\n*2\r\n$1\r\n7\r\n,7\r\n*2\r\n$1\r\n8\r\n,8\r\n".into(), &[(1, 7), (1, 8)]),
            (2, format!("*1\r\n{stream}"), &[(2, 9)]),
            (2, format!("%1\r\n{}", &stream[4..]), &[(2, 9)]),
            (2, "*-1\r\n".into(), &[]),
            (2, "-UNBLOCKED by somebody\r\n".into(), &[]),
        ] {
            assert_eq!(taken(&op(from), reply.as_bytes()), values, "{reply:?}");
        }
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
            check_one(&ops, &left, false).unwrap_or_else(|why| panic!("{ops:?} {left:?}: {why}"));
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
            check_one(&ops, &left, false).expect_err(&format!("{ops:?} {left:?}"));
        }
    }
}
