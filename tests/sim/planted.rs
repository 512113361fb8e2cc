//! The checks, checked: bugs are planted in the shards (`kring::shard::Planted`), one at a time, and each must be caught.
//!
//! The same seeds without a bug are clean: the tests of `main.rs` run them. Only builds with debug assertions have the bugs.

use super::{Plan, crowd};
use kring::shard::Planted;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// A run that is cut short: what a bug does, it does soon. Stores are away often, and little goes by borrowing alone.
fn plan(seed: u64, bug: Planted) -> Plan {
    let mut plan = Plan::random(seed, false);
    plan.planted = bug;
    plan.shards = plan.shards.clamp(2, 5);
    plan.thefts = plan.thefts.max(20);
    plan.budget = plan.budget.min(100);
    plan.topics.transactions = 500;
    plan
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}

/// Plants a bug in one run after the other, until a check fails: within so many runs, and in one of these words.
fn is_caught(bug: Planted, most: u64, words: &[&str], change: impl Fn(&mut Plan)) {
    let began = Instant::now();
    for seed in 1..=most {
        let run = || {
            let mut plan = plan(seed, bug);
            change(&mut plan);
            crowd(plan);
        };
        let Err(payload) = catch_unwind(AssertUnwindSafe(run)) else { continue };
        let why = text(&*payload);
        let known = words.iter().any(|words| why.contains(words));
        assert!(known, "{bug:?} was caught by seed {seed}, but otherwise: {why}");
        let first = why.lines().next().unwrap_or_default();
        println!("{bug:?}: caught by seed {seed} after {:.1} s: {first:.160}", began.elapsed().as_secs_f64());
        return;
    }
    panic!("{bug:?} was not caught in {most} runs");
}

/// Two jobs wait for each other.
#[test]
fn stores_taken_out_of_order_are_caught() {
    is_caught(Planted::TakenOutOfOrder, 60, &["stuck"], |plan| {
        plan.config.borrow = false;
        plan.thefts = 100;
        plan.drops = 0;
    });
}

#[test]
fn a_store_put_back_early_is_caught() {
    let words = ["who passed by saw a torn group", "saw a torn group", "no order of these is linear"];
    is_caught(Planted::PutBackEarly, 60, &words, |plan| {
        plan.topics.groups = 1;
        plan.topics.queues = 0;
    });
}

#[test]
fn a_pipelined_command_that_runs_ahead_is_caught() {
    let words = [" got ", "program order", "answered before", "a reply too many", "no order of these"];
    is_caught(Planted::RunAhead, 30, &words, |plan| plan.config.borrow = false);
}

#[test]
fn a_lost_wake_up_is_caught() {
    is_caught(Planted::NotCalled, 30, &["slept while", "slept through", "stuck"], |plan| plan.drops = 0);
}

#[test]
fn a_lost_reply_is_caught() {
    let words = [" got ", "stuck", "was cut off", "a reply too many"];
    is_caught(Planted::ReplyDropped, 30, &words, |plan| plan.config.borrow = false);
}

#[test]
fn a_reply_that_comes_twice_is_caught() {
    let words = [" got ", "a reply too many", "answered before it was asked"];
    is_caught(Planted::ReplyDoubled, 30, &words, |plan| plan.config.borrow = false);
}

#[test]
fn a_wait_that_is_served_twice_is_caught() {
    let words = ["queues: ", "a reply too many", " got ", "somebody waits"];
    is_caught(Planted::ServedTwice, 400, &words, |plan| plan.topics.queues = 3);
}

#[test]
fn who_is_served_before_others_in_line_is_caught() {
    is_caught(Planted::LastComeFirstServed, 400, &["queues: "], |plan| {
        plan.topics.queues = 1;
        (plan.topics.mortals, plan.topics.naps, plan.topics.transactions) = (0, 0, 0);
        (plan.clients, plan.depth, plan.burst) = (plan.clients.max(5), 8, 4);
    });
}

/// A list that is taken as it is when its turn comes has tokens that the other had at the cut too, or lacks some.
#[test]
fn a_large_value_that_is_not_guarded_is_caught() {
    let words =
        ["torn hoard", "torn river", "torn value", "a value ends with a part", "no element comes twice"];
    is_caught(Planted::Unguarded, 60, &words, |plan| {
        (plan.topics.hoard, plan.topics.saves, plan.frozen) = (60, 20, false);
        plan.ticks = plan.ticks.max(20);
    });
}

/// Keys live on after their time, for commands that run on the shard whose clock is slow; those that it gives a time go too early elsewhere.
#[test]
fn a_clock_that_is_slow_is_caught() {
    let words = ["it is there after its time", "it is gone before its time", "another time left"];
    is_caught(Planted::Nothing, 30, &words, |plan| {
        plan.slow_ms = 500;
        plan.topics.mortals = 600;
    });
}
