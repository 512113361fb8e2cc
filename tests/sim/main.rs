//! The simulation: N shards in one thread under a scheduler that draws every choice from a seed.
//!
//! The cores are the real ones; the kernel (`net.rs`), the loop (`shard.rs`), the mail, the clock and the clients (`world.rs`) are
//! models. Clients write random pipelines in pieces cut anywhere, vanish and come back; stores are away at random times (`thieves.rs`);
//! every reply is checked as it comes and the whole history at the end (`tests/history`, which `tests/it/histories.rs` uses on a real
//! process). Among the requests are all that outlives a command or concerns all shards: waits for lists, sorted sets and streams, keys
//! that expire, MIGRATE to servers that take all or nothing, CONFIG SET, CLIENT KILL and PAUSE, snapshots, DEBUG SLEEP, FLUSHALL and
//! SWAPDB, and SHUTDOWN, after which the last snapshot must hold all that was acknowledged.
//!
//! A run that fails prints its seed:
//! ```text
//! KRING_SIM_SEED=123 cargo test --test sim                  runs this seed only
//! KRING_SIM_OPS=10000000 cargo test --test sim               the long form: so many operations, over all kinds
//! KRING_SIM_RUNS=20000 cargo test --release --test sim      so many runs of each kind
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
//! What it cannot show: memory ordering between real threads (`base/cell.rs` and `store/wait.rs` are tested by threads), fairness
//! among jobs of one owner, and how long anything takes.

#[path = "../doubles/mod.rs"]
mod doubles;
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

use history::{check, client, ends, order, queues, rng, script, zoo};
use plan::Plan;
use rng::Rng;
use script::Request;
use std::time::Instant;
use world::World;

/// How much of a kind: so many runs, or when the environment names a number of operations, so many of a thousand of them.
#[derive(Clone, Copy)]
struct Amount {
    runs: u64,
    permille: u64,
}

const CROWD: Amount = Amount { runs: 150, permille: 500 };
const SWEEPS: Amount = Amount { runs: 150, permille: 300 };
const ALONE: Amount = Amount { runs: 75, permille: 197 };
/// Each of the three kinds with a log, whose runs are long: of their operations there are few.
const LOGGED: Amount = Amount { runs: 12, permille: 1 };
const _: () = assert!(CROWD.permille + SWEEPS.permille + ALONE.permille + 3 * LOGGED.permille == 1_000);

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

/// Whether there are enough runs to meet what is rare: nobody has asked for others.
fn in_full() -> bool {
    env("KRING_SIM_SEED").is_none() && env("KRING_SIM_RUNS").is_none()
}

/// Calls `run` with every seed; it gives operations and steps.
fn seeds(name: &str, amount: Amount, mut run: impl FnMut(u64) -> (usize, u64)) {
    let from = env("KRING_SIM_FROM").unwrap_or(1);
    let wanted = env("KRING_SIM_OPS").map_or(0, |all| (all * amount.permille).div_ceil(1_000) as usize);
    let seeds = match env("KRING_SIM_SEED") {
        Some(seed) => seed..=seed,
        None if wanted > 0 => from..=u64::MAX,
        None => from..=from - 1 + env("KRING_SIM_RUNS").unwrap_or(amount.runs),
    };
    let (began, mut count) = (Instant::now(), 0);
    let (mut ops, mut steps) = (0, 0);
    for seed in seeds {
        count += 1;
        let _banner = Seed { seed };
        let (o, s) = run(seed);
        (ops, steps) = (ops + o, steps + s);
        if wanted > 0 && ops >= wanted {
            break;
        }
    }
    let secs = began.elapsed().as_secs_f64();
    println!("{name}: {count} runs, {ops} operations, {steps} steps, {:.0} operations/s", ops as f64 / secs);
}

/// How often runs met what is rare.
#[derive(Default, Clone, Copy, Debug)]
struct Rare {
    snapshots: u64,
    shutdowns: u64,
    /// SHUTDOWN that failed, and all went on.
    refused: u64,
    /// Groups that somebody looked at within a call of a core.
    looks: u64,
    /// Keys with a time to live that were found gone, or there.
    died: u64,
    lived: u64,
    /// Listeners to streams that heard something, and waits for sorted sets and streams that were served.
    heard: u64,
    waits: u64,
}

impl Rare {
    fn add(&mut self, world: &World) {
        self.snapshots += world.scribe.files;
        self.shutdowns += u64::from(world.is_down());
        self.looks += world.looks();
        self.died += world.died;
        self.lived += world.lived;
        let refused = |op: &&client::Op| matches!(op.what, client::What::Shutdown) && op.answered.is_some();
        self.refused += world.ops.iter().filter(refused).count() as u64;
        for op in world.ops.iter().filter(|op| !op.taken.is_empty()) {
            match &op.what {
                client::What::Listen { .. } => self.heard += 1,
                client::What::Pop { from, waits: true } => {
                    let kind = world.plan.topics.kind(from[0]);
                    self.waits += u64::from(kind != queues::Kind::List);
                }
                _ => {}
            }
        }
    }
}

/// Many clients on shared keys: the whole history is linear, every private reply is right, nothing is lost or stuck.
fn crowd(plan: Plan) -> World {
    let mut world = World::new(plan);
    // The disk does not fail before there is something to lose.
    world.fail_writes(false);
    world.prepare();
    world.fail_writes(true);
    world.run();
    if world.is_down() {
        world.check_shutdown();
    } else {
        let found = world.found();
        ends::check_all(&world.ops, &world.plan.topics, &found);
    }
    world
}

#[test]
fn a_crowd_sees_one_linear_history() {
    let (mut met, mut rare) = ([0; 4], Rare::default());
    let fields = ["kring_hops", "kring_loans", "kring_borrows", "kring_borrow_misses"];
    seeds("crowd", CROWD, |seed| {
        let mut world = crowd(Plan::random(seed, false));
        if !world.is_down() {
            for (sum, field) in met.iter_mut().zip(fields) {
                *sum += world.counter(field);
            }
        }
        rare.add(&world);
        (world.ops.len(), world.steps())
    });
    println!("crowd met {fields:?} {met:?} times; {rare:?}");
    if in_full() {
        // A simulation in which nothing collides shows nothing.
        assert!(met.iter().all(|n| *n > 1_000), "{met:?}");
        let Rare { snapshots, shutdowns, refused, looks, died, lived, heard, waits } = rare;
        let all = [snapshots, shutdowns * 10, refused * 30, looks, died, lived, heard, waits];
        assert!(all.iter().all(|n| *n > 20), "{rare:?}");
    }
}

#[test]
fn sweeps_over_all_shards_are_atomic() {
    let mut served = 0;
    seeds("sweeps", SWEEPS, |seed| {
        let world = swept(Plan::random(seed, true));
        served += world.ops.iter().filter(|op| op.waits() && !op.taken.is_empty()).count();
        (world.ops.len(), world.steps())
    });
    println!("sweeps: {served} waits were served");
    assert!(!in_full() || served > 200, "{served} waits were served");
}

/// The same, on groups and queues that are emptied and swapped meanwhile.
fn swept(plan: Plan) -> World {
    let mut world = World::new(plan);
    world.run();
    if let Err(why) = order::check(&world.ops, &Default::default(), &world.plan.topics) {
        panic!("queues: {why}");
    }
    world
}

#[test]
fn one_client_cannot_count_the_shards() {
    seeds("alone", ALONE, |seed| {
        let mut rng = Rng::new(seed);
        let script = zoo::zoo(&mut rng, 400);
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
    let mut world = if plan.topics.sweeps { swept(plan) } else { crowd(plan) };
    world.settle_log();
    world.compare_log();
    world
}

fn crashes(name: &str, sweeps: bool, faulty: bool) {
    let mut met = [0; 3];
    seeds(name, LOGGED, |seed| {
        let world = logged(Plan::logged(seed, sweeps, faulty));
        let log = world.log.as_ref().expect("planned");
        for (sum, n) in met.iter_mut().zip([log.images, log.plane.turns, log.plane.bases]) {
            *sum += n;
        }
        (world.ops.len(), world.steps())
    });
    println!("{name}: {} crashes, {} generations, {} bases", met[0], met[1], met[2]);
    // Crashes at which nothing happens show nothing.
    assert!(!in_full() || met[0] > 200 && met[1] > 15, "{met:?}");
}

#[test]
fn a_crash_loses_nothing_that_was_promised() {
    crashes("crashes", false, false);
}

#[test]
fn a_crash_between_sweeps_leaves_what_one_moment_had() {
    crashes("crashed sweeps", true, false);
}

#[test]
fn a_disk_that_fails_loses_nothing_that_was_promised() {
    crashes("failing disks", false, true);
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
