//! Checks over a whole history: what no single reply can show.
//!
//! *Counter*: replies are 1, 2, 3 ... without gap or repeat, in an order that agrees with real time and with each connection. Some
//! increments are made by EXEC under a watch of the counter: each follows what its client has read, and one that was refused
//! had a reason.
//!
//! *Knob*: the configuration is applied shard by shard, but for all before the reply to CONFIG SET: a regular register (Lamport
//! 1986), which may show the old or the new value while it is being set.
//!
//! *Register*: a group of keys that only MSET writes, each time to a value never used before. With unique values
//! every read names its write, so a write and its reads form a cluster, and clusters cannot interleave: the history is
//! linearizable if and only if "some op of u came before some op of v" has no cycle among clusters, and no read
//! comes before its own write (Gibbons and Korach 1997; *before* is real time or program order here). Cost: clusters squared.

use super::client::{Op, What};
use std::collections::HashMap;

/// Checks what was set and read of the knob: a read may see any value that a shard may have then, none that was over.
pub fn check_knob(ops: &[Op]) -> Result<(), String> {
    let writes: Vec<&Op> = ops.iter().filter(|o| matches!(o.what, What::Tune { .. })).collect();
    for read in ops.iter().filter(|o| matches!(o.what, What::Tuned) && o.answered.is_some()) {
        let seen =
            writes.iter().find(|w| matches!(w.what, What::Tune { value } if Some(value) == read.number));
        let seen_answer = seen.map_or(Some(0), |w| w.answered);
        let between = |w: &&&Op| {
            seen_answer.is_some()
                && seen_answer < w.invoked
                && w.answered.is_some()
                && w.answered < read.invoked
        };
        if let Some(newer) = writes.iter().find(between) {
            return Err(format!("{read:?}\n  missed {newer:?}"));
        }
    }
    Ok(())
}

/// Checks every counter and every register of a history. `finals` are the counters' values at the end.
pub fn history(ops: &[Op], finals: &[u64], groups: usize) {
    for (counter, value) in finals.iter().enumerate() {
        // An EXEC that did not run is none.
        let of = |o: &&Op| match o.what {
            What::Count(c) => c == counter,
            What::Guarded(c) => c == counter && (o.number.is_some() || o.answered.is_none()),
            _ => false,
        };
        let increments: Vec<&Op> = ops.iter().filter(of).collect();
        if let Err(why) = check_counter(&increments, *value) {
            panic!("counter c{counter}: {why}");
        }
        if let Err(why) = check_refused(ops, counter, &increments) {
            panic!("counter c{counter}: {why}");
        }
    }
    if let Err(why) = check_knob(ops) {
        panic!("the knob: {why}");
    }
    for group in 0..groups {
        let of =
            |o: &&Op| matches!(o.what, What::Put { group: g, .. } | What::Look { group: g } if g == group);
        if let Err(why) = check_register(&ops.iter().filter(of).collect::<Vec<_>>()) {
            panic!("group g{group}: {why}");
        }
    }
}

/// An EXEC did not run only if somebody else has incremented its counter since the watch, or may have.
fn check_refused(ops: &[Op], counter: usize, increments: &[&Op]) -> Result<(), String> {
    let refused = |o: &&Op| matches!(o.what, What::Guarded(c) if c == counter) && o.number.is_none();
    for exec in ops.iter().filter(refused).filter(|o| o.answered.is_some()) {
        let at = ops.iter().position(|o| std::ptr::eq(o, exec)).unwrap_or(0);
        let since = ops[..at].iter().rev().find(|o| o.client == exec.client && o.text.starts_with("WATCH"));
        let since = since.and_then(|watch| watch.invoked).ok_or("no watch")?;
        let meets = |o: &&&Op| o.invoked < exec.answered && o.answered.is_none_or(|end| end > since);
        if !increments.iter().any(|o| meets(&o)) {
            return Err(format!("{exec:?} was refused for nothing since step {since}"));
        }
    }
    Ok(())
}

/// Increments of one counter, in the order in which they were written; `last` is its value at the end.
pub fn check_counter(ops: &[&Op], last: u64) -> Result<(), String> {
    let mut done: Vec<&Op> = ops.iter().copied().filter(|o| o.answered.is_some()).collect();
    let lost = ops.iter().filter(|o| o.answered.is_none() && o.invoked.is_some()).count() as u64;
    let known = done.len() as u64;
    if last < known || last > known + lost {
        return Err(format!("is {last} after {known} increments and {lost} of unknown fate"));
    }
    let mut by_link: HashMap<(usize, usize), &Op> = HashMap::new();
    for op in &done {
        if let Some(before) = by_link.insert((op.client, op.link), op)
            && before.number >= op.number
        {
            return Err(format!("program order: {before:?}\n  then {op:?}"));
        }
    }
    done.sort_by_key(|o| o.number);
    let mut latest: Option<&Op> = None;
    let mut number = None;
    for op in done {
        if op.number == number || op.number > Some(last) {
            return Err(format!("a number twice, or above {last}: {op:?}"));
        }
        number = op.number;
        if let Some(before) = latest
            && op.answered < before.invoked
        {
            return Err(format!("real time: {op:?}\n  was over before {before:?} began"));
        }
        if latest.is_none_or(|l| l.invoked < op.invoked) {
            latest = Some(op);
        }
    }
    Ok(())
}

/// A write and the reads that saw it.
struct Cluster<'a> {
    value: Option<u64>,
    write: Option<&'a Op>,
    /// The earliest end and the latest beginning among its ops.
    first_answer: u64,
    last_invoke: u64,
}

/// Reads and writes of one register, in the order in which they were written.
pub fn check_register(ops: &[&Op]) -> Result<(), String> {
    let nobody = |value| Cluster { value, write: None, first_answer: u64::MAX, last_invoke: 0 };
    // Before all others: the value nil, written before time began.
    let mut clusters = vec![Cluster { first_answer: 0, ..nobody(None) }];
    let mut of_value: HashMap<Option<u64>, usize> = HashMap::from([(None, 0)]);
    for op in ops.iter().filter(|o| o.invoked.is_some()) {
        if let What::Put { value, .. } = op.what {
            of_value.insert(Some(value), clusters.len());
            clusters.push(Cluster { write: Some(op), ..nobody(Some(value)) });
        }
    }
    let mut by_link: HashMap<(usize, usize), usize> = HashMap::new();
    let mut edges: Vec<(usize, usize)> = Vec::new();
    for op in ops.iter().filter(|o| o.answered.is_some()) {
        let Some(&c) = of_value.get(&op.number) else { return Err(format!("a value nobody wrote: {op:?}")) };
        let cluster = &mut clusters[c];
        if let Some(write) = cluster.write
            && matches!(op.what, What::Look { .. })
            && op.answered < write.invoked
        {
            return Err(format!("read before it was written: {op:?}\n  {write:?}"));
        }
        cluster.first_answer = cluster.first_answer.min(op.answered.unwrap_or(u64::MAX));
        cluster.last_invoke = cluster.last_invoke.max(op.invoked.unwrap_or(0));
        if let Some(before) = by_link.insert((op.client, op.link), c)
            && before != c
        {
            edges.push((before, c));
        }
    }
    for cluster in &mut clusters {
        // A write is part of its cluster also when its own answer was lost, if somebody read it.
        if let Some(write) = cluster.write
            && cluster.first_answer < u64::MAX
        {
            cluster.last_invoke = cluster.last_invoke.max(write.invoked.unwrap_or(0));
        }
    }
    for (u, a) in clusters.iter().enumerate() {
        let after = |(v, b): &(usize, &Cluster<'_>)| *v != u && a.first_answer < b.last_invoke;
        edges.extend(clusters.iter().enumerate().filter(after).map(|(v, _)| (u, v)));
    }
    match cycle(clusters.len(), &edges) {
        None => Ok(()),
        Some(members) => {
            let values: Vec<_> = members.iter().map(|c| clusters[*c].value).collect();
            let seen: Vec<_> = ops.iter().filter(|o| values.contains(&o.number)).collect();
            Err(format!("no order of these is linear: {seen:#?}"))
        }
    }
}

/// The nodes that are on a cycle or behind one, if there are any.
fn cycle(nodes: usize, edges: &[(usize, usize)]) -> Option<Vec<usize>> {
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    let mut before = vec![0usize; nodes];
    for &(u, v) in edges {
        next[u].push(v);
        before[v] += 1;
    }
    let mut free: Vec<usize> = (0..nodes).filter(|n| before[*n] == 0).collect();
    let mut sorted = 0;
    while let Some(u) = free.pop() {
        sorted += 1;
        for &v in &next[u] {
            before[v] -= 1;
            if before[v] == 0 {
                free.push(v);
            }
        }
    }
    (sorted < nodes).then(|| (0..nodes).filter(|n| before[*n] > 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(what: What, link: usize, invoked: u64, answered: Option<u64>, number: Option<u64>) -> Op {
        Op { invoked: Some(invoked), answered, number, ..Op::new(String::new(), what, link, 0) }
    }

    fn put(link: usize, from: u64, to: u64, value: u64) -> Op {
        op(What::Put { group: 0, value }, link, from, Some(to), Some(value))
    }

    fn look(link: usize, from: u64, to: u64, value: u64) -> Op {
        op(What::Look { group: 0 }, link, from, Some(to), (value > 0).then_some(value))
    }

    fn register(ops: &[Op]) -> Result<(), String> {
        check_register(&ops.iter().collect::<Vec<_>>())
    }

    fn counter(ops: &[(usize, u64, u64, u64)], last: u64) -> Result<(), String> {
        let ops: Vec<Op> =
            ops.iter().map(|&(l, from, to, n)| op(What::Count(0), l, from, Some(to), Some(n))).collect();
        check_counter(&ops.iter().collect::<Vec<_>>(), last)
    }

    #[test]
    fn a_register_may_be_read_in_any_order_that_is_linear() {
        register(&[]).expect("empty");
        register(&[look(0, 1, 2, 0), put(1, 3, 9, 7), look(2, 4, 5, 7), look(3, 6, 7, 7)])
            .expect("read early");
        register(&[put(0, 1, 9, 1), put(1, 2, 8, 2), look(2, 3, 4, 2), look(2, 5, 6, 1)]).expect("both open");
        let lost = op(What::Put { group: 0, value: 3 }, 0, 1, None, None);
        register(&[lost, look(1, 5, 6, 0), look(1, 7, 8, 3)]).expect("took effect late");
    }

    #[test]
    fn a_register_that_is_not_linear_is_caught() {
        let stale = [put(0, 1, 2, 1), put(0, 3, 4, 2), look(1, 5, 6, 1)];
        let nil = [put(0, 1, 2, 1), look(1, 3, 4, 0)];
        let back = [put(0, 1, 9, 1), look(1, 2, 3, 1), look(2, 4, 5, 0)];
        let ahead = [look(1, 1, 2, 1), put(0, 3, 4, 1)];
        let between =
            [put(0, 1, 20, 1), put(1, 1, 20, 2), look(2, 2, 3, 1), look(2, 4, 5, 2), look(3, 6, 7, 1)];
        // Each of two connections sees the other's write after its own.
        let program = [put(0, 1, 9, 1), put(1, 2, 8, 2), look(0, 1, 9, 2), look(1, 2, 9, 1)];
        let unknown = [look(0, 1, 2, 99)];
        for bad in [&stale[..], &nil, &back, &ahead, &between, &program, &unknown] {
            register(bad).expect_err(&format!("{bad:?}"));
        }
        register(&program[..3]).expect("one of them may");
    }

    #[test]
    fn a_counter_counts_one_by_one() {
        counter(&[(0, 1, 5, 2), (1, 2, 4, 1)], 2).expect("both open");
        counter(&[(0, 1, 2, 2), (1, 3, 4, 1)], 2).expect_err("real time");
        counter(&[(0, 1, 9, 2), (0, 2, 9, 1)], 2).expect_err("program order");
        counter(&[(0, 1, 9, 1), (1, 2, 9, 1)], 2).expect_err("a repeat");
        counter(&[(0, 1, 9, 1), (1, 2, 9, 3)], 3).expect_err("a gap");
    }
}
