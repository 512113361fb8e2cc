//! The simulation: N shards in one thread under a scheduler that draws every choice from a seed.
//!
//! The cores are the real ones; the kernel (`net.rs`), the loop (`shard.rs`), the mail, the clock and the clients (`world.rs`) are
//! models. Clients write random pipelines (`script.rs`) in pieces cut anywhere, vanish and come back; stores are away at random
//! times; every reply is checked as it comes (`client.rs`) and the whole history at the end (`check.rs`).
//!
//! A run that fails prints its seed:
//! ```text
//! KRING_SIM_SEED=123 cargo test --test sim                  runs this seed only
//! KRING_SIM_RUNS=20000 cargo test --release --test sim      the long form: so many runs of each kind
//! KRING_SIM_FROM=20001                                      the seed of the first of them
//! ```
//!
//! What it catches is shown by planting bugs in the shards (`planted.rs`): stores taken out of order, one put back in the middle of a
//! transaction, pipelined commands that run ahead of a job, a wake-up that is not sent, replies lost or doubled, a wait served twice, the
//! last in line served first. Others were tried by hand: no wake-up when a wanted store comes back, borrowers that ignore the wish, a loan
//! put back early, a job's rest behind later input or run twice, a connection that runs on while its job is away, a wait that
//! nothing lifts, an order's reply ahead of the order, letters out of order, ids of closed connections taken for new ones;
//! EXEC that does not look at its watches, or has not their stores in hand, changes that tell no watcher, watches and waits that
//! outlive their client, stores lost with a client that is gone; a wait that is served without a claim, or ended by time without
//! one, the last in line served first, nobody served after EXEC or within a run of brief commands, a move without the store that it
//! moves to, a reply lost that came before the job.
//!
//! With an append-only log the disk is a model too (`disk.rs`), and the storage plane that makes its files (`plane.rs`). At many
//! moments of a run, what a crash would leave is drawn, recovered by the real code, replayed into another server (`revival.rs`), and
//! compared with what clients have seen (`crash.rs`). Caught there: replies that wait for one participant's log only, or not for what
//! a transaction before them rests on, writes taken for durable while one before them flies, or is only on its way to be written when
//! the sync begins, parts without their transaction's id, a turn that waits for no other shard, or not for what flies, a shard whose
//! replies may leave and who is not rung; and what it found itself: a base listed with the wrong generation, sleep in front of news of
//! the log, replies that did not wait around a failure of the disk.
//!
//! What it cannot show: memory ordering between real threads (`base/cell.rs` and `store/wait.rs` are tested by threads), fairness among jobs of one owner, keys that expire, and how long
//! anything takes.

#[path = "../history/mod.rs"]
mod history;

mod crash;
mod disk;
mod net;
mod plan;
mod plane;
#[cfg(debug_assertions)]
mod planted;
mod revival;
mod scribe;
mod shard;
mod thieves;
mod world;

use history::{check, client, queues, rng, script};
use plan::Plan;
use rng::Rng;
use script::Request;
use std::time::Instant;
use world::World;

/// Runs of each kind, unless the environment says otherwise.
const RUNS: u64 = 150;
/// The same, of those with a log.
const LOG_RUNS: u64 = 12;

/// Says which seed failed.
struct Seed {
    seed: u64,
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\nKRING_SIM_SEED={} cargo test --test sim   replays this\n", self.seed);
        }
    }
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|v| v.parse().expect("a number"))
}

/// Calls `run` with every seed; it gives operations and steps.
fn seeds(name: &str, runs: u64, mut run: impl FnMut(u64) -> (usize, u64)) {
    let seeds = match env("KRING_SIM_SEED") {
        Some(seed) => seed..=seed,
        None => {
            let from = env("KRING_SIM_FROM").unwrap_or(1);
            from..=from - 1 + env("KRING_SIM_RUNS").unwrap_or(runs)
        }
    };
    let (began, count) = (Instant::now(), seeds.clone().count());
    let (mut ops, mut steps) = (0, 0);
    for seed in seeds {
        let _banner = Seed { seed };
        let (o, s) = run(seed);
        (ops, steps) = (ops + o, steps + s);
    }
    let secs = began.elapsed().as_secs_f64();
    println!("{name}: {count} runs, {ops} operations, {steps} steps, {:.0} operations/s", ops as f64 / secs);
}

/// Many clients on shared keys: the whole history is linear, every private reply is right, nothing is lost or stuck.
fn crowd(plan: Plan) -> World {
    let mut world = World::new(plan);
    // The disk does not fail before there is something to lose.
    world.fail_writes(false);
    world.look(&[&["SET", "t0", "token"]]);
    let (balance, accounts) = (script::BALANCE.to_string(), 0..world.plan.topics.accounts);
    let names: Vec<String> = accounts.map(|i| format!("a{i}")).collect();
    let deposits: Vec<[&str; 3]> = names.iter().map(|name| ["SET", name, &balance]).collect();
    let deposits: Vec<&[&str]> = deposits.iter().map(|words| &words[..]).collect();
    world.look(&deposits);
    world.fail_writes(true);
    world.run();
    let counters: Vec<String> = (0..world.plan.topics.counters).map(|c| format!("c{c}")).collect();
    let gets: Vec<[&str; 2]> = counters.iter().map(|c| ["GET", c]).collect();
    let gets: Vec<&[&str]> = gets.iter().map(|words| &words[..]).collect();
    let finals: Vec<u64> = world.look(&gets).iter().map(|reply| number(reply)).collect();
    check::history(&world.ops, &finals, world.plan.topics.groups);
    let queues: Vec<String> = (0..world.plan.topics.queues).map(|q| format!("q{q}")).collect();
    let ranges: Vec<[&str; 4]> = queues.iter().map(|q| ["LRANGE", q, "0", "-1"]).collect();
    let ranges: Vec<&[&str]> = ranges.iter().map(|words| &words[..]).collect();
    let left: Vec<Vec<u64>> = world.values(&ranges);
    if let Err(why) = queues::check(&world.ops, &left, world.plan.topics.fifo) {
        panic!("queues: {why}");
    }
    world
}

/// The number in a bulk reply as `show` gives it; nil is 0.
fn number(shown: &str) -> u64 {
    shown.split("\\r\\n").nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn a_crowd_sees_one_linear_history() {
    let (mut met, mut files) = ([0; 4], 0);
    let fields = ["kring_hops", "kring_loans", "kring_borrows", "kring_borrow_misses"];
    seeds("crowd", RUNS, |seed| {
        let mut world = crowd(Plan::random(seed, false));
        for (sum, field) in met.iter_mut().zip(fields) {
            *sum += world.counter(field);
        }
        files += world.scribe.files;
        (world.ops.len(), world.steps())
    });
    println!("crowd met {fields:?} {met:?} times, and wrote {files} snapshots");
    assert!(env("KRING_SIM_SEED").is_some() || files > 20, "{files} snapshots");
    // A simulation in which nothing collides shows nothing.
    assert!(env("KRING_SIM_SEED").is_some() || met.iter().all(|n| *n > 1_000), "{met:?}");
}

#[test]
fn sweeps_over_all_shards_are_atomic() {
    seeds("sweeps", RUNS, |seed| {
        let mut world = World::new(Plan::random(seed, true));
        world.run();
        (world.ops.len(), world.steps())
    });
}

#[test]
fn one_client_cannot_count_the_shards() {
    seeds("alone", RUNS / 2, |seed| {
        let mut rng = Rng::new(seed);
        let script = script::zoo(&mut rng, 400);
        let replies = |shards: usize| {
            let mut world = World::new(Plan::quiet(seed, shards));
            let requests = script.iter().map(|words| Request::of(words)).collect();
            (world.ask(requests), world.steps())
        };
        let (one, _) = replies(1);
        let (many, steps) = replies(2 + seed as usize % 15);
        assert_eq!(one.len(), script.len());
        for (i, words) in script.iter().enumerate() {
            let (one, many) = (client::show(&one[i]), client::show(&many[i]));
            assert_eq!(one, many, "request {i}: {}", words.join(" "));
        }
        (script.len(), steps)
    });
}

#[test]
#[should_panic(expected = "torn group")]
fn an_mset_in_two_parts_is_noticed() {
    for seed in 1..20 {
        let mut plan = Plan::random(seed, false);
        plan.torn = true;
        crowd(plan);
    }
}

/// A run with a log: crashes at many moments, and at the end the disk holds what the server does.
fn logged(plan: Plan) -> World {
    let sweeps = plan.topics.sweeps;
    let mut world = if sweeps {
        let mut world = World::new(plan);
        world.run();
        world
    } else {
        crowd(plan)
    };
    world.settle_log();
    world.compare_log();
    world
}

fn crashes(name: &str, runs: u64, sweeps: bool, faulty: bool) {
    let mut met = [0; 3];
    seeds(name, runs, |seed| {
        let world = logged(Plan::logged(seed, sweeps, faulty));
        let log = world.log.as_ref().expect("planned");
        for (sum, n) in met.iter_mut().zip([log.images, log.plane.turns, log.plane.bases]) {
            *sum += n;
        }
        (world.ops.len(), world.steps())
    });
    println!("{name}: {} crashes, {} generations, {} bases", met[0], met[1], met[2]);
    // Crashes at which nothing happens show nothing.
    assert!(env("KRING_SIM_SEED").is_some() || met[0] > 200 && met[1] > 20, "{met:?}");
}

#[test]
fn a_crash_loses_nothing_that_was_promised() {
    crashes("crashes", LOG_RUNS, false, false);
}

#[test]
fn a_crash_between_sweeps_leaves_what_one_moment_had() {
    crashes("crashed sweeps", LOG_RUNS, true, false);
}

#[test]
fn a_disk_that_fails_loses_nothing_that_was_promised() {
    crashes("failing disks", LOG_RUNS, false, true);
}

#[test]
fn a_seed_replays_its_run() {
    let history = |seed| {
        let world = crowd(Plan::random(seed, false));
        format!("{:?} {}", world.ops, world.steps())
    };
    for seed in 1..4 {
        assert!(history(seed) == history(seed), "seed {seed} gives two histories");
    }
}
