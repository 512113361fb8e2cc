//! What a run is like: everything that is chosen once, from its seed. Runs differ widely on purpose: a fault that needs one
//! shard, or no time passing, or a tiny buffer is met by the runs that have it.

use crate::rng::Rng;
use crate::script::{BULK_MAX, Topics};
use kring::config::{Config, EnableCommand, SavePoints};
use kring::shard::Planted;

/// The choices of one run.
pub struct Plan {
    pub seed: u64,
    pub shards: usize,
    pub config: Config,
    pub topics: Topics,
    pub clients: usize,
    /// Requests that each client writes, about.
    pub budget: usize,
    /// Requests written at once, and left unanswered, at most.
    pub burst: usize,
    pub depth: usize,
    /// Time stands still: nothing but wake-ups ends a sleep.
    pub frozen: bool,
    /// Per thousand steps: another core takes a store, time passes, a client goes away.
    pub thefts: usize,
    pub ticks: usize,
    pub drops: usize,
    /// How many steps a theft lasts at most.
    pub hold: usize,
    /// Pieces that still arrive after reading was paused.
    pub late_pieces: usize,
    /// Requests of which so many bytes are missing are received straight.
    pub fill_from: usize,
    /// Percent of the steps that are a client's.
    pub client_share: usize,
    /// An MSET is sent as two: to see that the checks notice.
    pub torn: bool,
    /// For the same reason: a bug that all shards have.
    pub planted: Planted,
    /// And: so much the clock of the first shard is slow, in milliseconds.
    pub slow_ms: i64,
    /// There is an append-only log.
    pub log: Option<LogPlan>,
}

/// What the log and its disk are like.
#[derive(Clone, Copy)]
pub struct LogPlan {
    /// Whether the files are written around the page cache, and so filled ahead.
    pub direct: bool,
    /// Moments that a write or a sync takes at most.
    pub lag: usize,
    /// Per thousand of them: fail.
    pub faults: usize,
    /// Per ten thousand steps: what a crash would leave is looked at.
    pub crashes: usize,
}

impl Plan {
    /// The plan of a seed.
    pub fn random(seed: u64, sweeps: bool) -> Plan {
        let mut rng = Rng::new(seed);
        let shards = rng.pick(&[1, 2, 2, 3, 3, 4, 5, 7, 8, 12, 16]);
        let frozen = rng.permille(400);
        let mut config = Config { databases: 3, protected_mode: false, ..Config::default() };
        // What a failing disk does to writes is not for these checks.
        config.stop_writes_on_bgsave_error = false;
        config.save = SavePoints(if !frozen && rng.permille(300) { vec![(1, 1)] } else { vec![] });
        config.proto_max_bulk_len = BULK_MAX as u64;
        config.enable_debug_command = EnableCommand::Yes;
        config.prefetch_depth = rng.between(1, 16);
        config.borrow = rng.permille(700);
        config.take_spin_ns = rng.pick(&[0, 0, 0, 1_000, 10_000]);
        config.output_high_water = rng.pick(&[1, 60, 1_000, 100_000, 1 << 20]);
        config.input_backlog = rng.pick(&[1, 40, 500, 10_000, 1 << 20]);
        let sometimes = |rng: &mut Rng, permille: usize| if rng.permille(300) { permille } else { 0 };
        let topics = Topics {
            counters: rng.between(1, 3),
            groups: rng.between(1, 3),
            width: rng.between(2, 6),
            names: rng.between(2, 5),
            accounts: rng.between(2, 6),
            transactions: rng.pick(&[0, 200, 500]),
            queues: rng.pick(&[0, 0, 1, 2, 5, 6]),
            mixed: rng.permille(500),
            fifo: rng.permille(500),
            timed: !frozen,
            sweeps,
            pauses: if frozen { 0 } else { sometimes(&mut rng, 15) },
            kills: sometimes(&mut rng, 10),
            configs: sometimes(&mut rng, 30),
            reports: sometimes(&mut rng, 30),
            mortals: if frozen { 0 } else { rng.pick(&[0, 300, 600]) },
            naps: if frozen { 0 } else { sometimes(&mut rng, 5) },
            // The last snapshot is what is looked at.
            shutdowns: if frozen || sweeps || !rng.permille(150) { 0 } else { rng.pick(&[2, 10]) },
            // A walk waits by the clock.
            saves: if frozen { 0 } else { sometimes(&mut rng, 20) },
            rewrites: 0,
            // Drawn apart, so that seeds go on meaning what they did.
            migrations: Rng::new(seed ^ 0x316).pick(&[0, 0, 20, 150]),
            peeps: 0,
            hoard: 0,
            bulk_max: Some(BULK_MAX),
            has_file: true,
            faulty: false,
        };
        let mut topics = topics;
        if !sweeps && (topics.saves > 0 || !config.save.0.is_empty()) {
            topics.hoard = Rng::new(seed ^ 0x40a).pick(&[0, 30, 60]);
        }
        Plan {
            seed,
            shards,
            config,
            topics,
            clients: rng.between(1, 10),
            budget: rng.between(20, 400),
            burst: rng.pick(&[1, 4, 20, 60]),
            depth: rng.pick(&[1, 8, 40, 200]),
            frozen,
            thefts: rng.pick(&[0, 5, 20, 100]),
            ticks: if frozen { 0 } else { rng.pick(&[2, 20, 100]) },
            drops: rng.pick(&[0, 0, 1, 5]),
            hold: rng.pick(&[5, 50, 500]),
            late_pieces: rng.below(3),
            fill_from: Rng::new(seed ^ 0xf11).pick(&[usize::MAX, usize::MAX, 1, 30, 5_000]),
            client_share: rng.pick(&[2, 10, 30]),
            torn: false,
            planted: Planted::Nothing,
            slow_ms: 0,
            log: None,
        }
    }

    /// A plan with a log: of a disk that may fail, if it is `faulty`.
    pub fn logged(seed: u64, sweeps: bool, faulty: bool) -> Plan {
        let mut plan = Plan::random(seed, sweeps);
        let mut rng = Rng::new(seed ^ 0x109);
        let always = faulty || rng.permille(700);
        plan.frozen &= always && !faulty;
        if !plan.frozen {
            plan.ticks = rng.pick(&[20, 100]);
        }
        plan.config.appendonly = true;
        plan.config.appendfsync = if always { "always" } else { rng.pick(&["everysec", "everysec", "no"]) };
        // Drawn apart, so that seeds go on meaning what they did.
        plan.config.log_commit = Rng::new(seed ^ 0xc0).pick(&["auto", "dsync", "fdatasync"]);
        plan.config.save = SavePoints(vec![]);
        plan.shards = plan.shards.min(8);
        plan.clients = rng.between(1, 6);
        plan.budget = rng.between(10, 80);
        let topics = &mut plan.topics;
        topics.hoard = 0;
        topics.saves = 0;
        topics.shutdowns = 0;
        topics.pauses = 0;
        topics.rewrites = if plan.frozen { 0 } else { rng.pick(&[0, 10, 40]) };
        topics.faulty = faulty;
        topics.peeps = 400;
        if faulty {
            topics.queues = 0;
        }
        plan.log = Some(LogPlan {
            direct: rng.permille(200),
            lag: rng.pick(&[3, 30, 300, 3_000]),
            faults: if faulty { rng.pick(&[2, 10, 50]) } else { 0 },
            crashes: rng.pick(&[5, 20, 100]),
        });
        plan
    }

    /// A plan in which nobody disturbs a single client, on so many shards.
    pub fn quiet(seed: u64, shards: usize) -> Plan {
        let mut plan = Plan::random(seed, false);
        (plan.shards, plan.frozen, plan.ticks, plan.drops) = (shards, true, 0, 0);
        (plan.config.save, plan.topics.saves, plan.topics.hoard) = (SavePoints(vec![]), 0, 0);
        plan
    }
}
