//! Crashes: at any moment of a run, what the disk would hold after one is recovered, replayed, and compared with what clients
//! have seen. The run itself goes on, so one run has as many crashes as are wanted.
//!
//! - *always*: the history of all replies, with one more read of everything at the end, is linear: nothing that was seen is lost.
//! - *everysec, no*: groups are whole, money is neither made nor lost: the cut is consistent. Of a generation no image has less than
//!   what is there for good.
//! - *any*: what a shard says is on the disk for good is there in the worst case; earlier generations are whole; all that is
//!   left replays, on any number of shards.
//!
//! While the disk fails, reads are let out whose state may be lost; they are not held to that.

use crate::check::{check_register, history};
use crate::client::{Op, What, show};
use crate::disk::{Crash, Disk};
use crate::ends::{Found, looks};
use crate::order;
use crate::plan::{LogPlan, Plan};
use crate::plane::{Ask, Plane};
use crate::revival::{Revived, read, stage};
use crate::rng::Rng;
use crate::script::BALANCE;
use crate::shard::Shard;
use kring::cmd::save::LogState;
use kring::ring::net::FileId;
use kring::shard::Shared;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// Images of one moment.
const IMAGES: usize = 3;
/// Images of one run in the short form.
const SHORT: u64 = 60;

/// The log's side of a world.
pub struct LogSide {
    pub plan: LogPlan,
    pub disk: Rc<RefCell<Disk>>,
    pub plane: Plane,
    rng: Rng,
    /// Positions at which files begin.
    starts: HashMap<FileId, u64>,
    /// Images that were looked at.
    pub images: u64,
}

impl LogSide {
    pub fn new(plan: LogPlan, shards: usize, seed: u64, asked: Arc<Mutex<VecDeque<Ask>>>) -> LogSide {
        let disk = Rc::new(RefCell::new(Disk::new(seed, plan.lag, plan.faults)));
        let plane = Plane::new(asked, disk.clone(), shards, seed, plan.direct);
        LogSide { plan, disk, plane, rng: Rng::new(seed ^ 0xc7a5), starts: HashMap::new(), images: 0 }
    }

    /// All shards get their first files.
    pub fn begin(&mut self, shared: &Shared, shards: &mut [Shard]) {
        for (at, shard) in shards.iter_mut().enumerate() {
            shard.net.disk = Some(self.disk.clone());
            let mut store = shared.cells[at].take().expect("nobody runs yet");
            store.log.switch(true);
            let _ = shared.cells[at].put(store);
            let Some(crate::plane::Answer::Opened(start)) = self.plane.answers[at].pop_front() else {
                continue;
            };
            let file = start.file;
            shard.core.log_opened(&mut shard.net, start);
            self.opened(shared, at, file);
        }
        shared.saves.log.set_state(LogState::On);
    }

    /// A shard has its next file.
    pub fn opened(&mut self, shared: &Shared, shard: usize, file: FileId) {
        self.starts.insert(file, shared.saves.log.of(shard).durable());
    }

    pub fn is_idle(&self) -> bool {
        self.disk.borrow().is_idle() && self.plane.is_idle()
    }

    /// Whether all that was logged is as far as it will come.
    pub fn is_settled(&self, shared: &Shared, plan: &Plan) -> bool {
        let log = &shared.saves.log;
        if log.errno() != 0 {
            return true;
        }
        let syncs = plan.config.appendfsync != "no";
        log.buffered() == 0 && (!syncs || log.all().iter().all(|line| line.durable() >= line.logged()))
    }

    /// What each shard says is there for good is there in the worst case.
    fn check_durable(&mut self, shared: &Shared) {
        let files = self.plane.current().to_vec();
        for (shard, file) in files.into_iter().enumerate() {
            let Some(start) = self.starts.get(&file) else { continue };
            let image = self.disk.borrow_mut().image(file, Crash::Worst);
            let found = read(shard, &image, true).unwrap_or_else(|why| panic!("{why}"));
            let (has, says) = (start + found.bytes.len() as u64, shared.saves.log.of(shard).durable());
            assert!(has >= says, "shard {shard} says that {says} bytes last, and {has} do");
        }
    }

    /// Looks at what crashes at this moment would leave.
    pub fn crash(&mut self, shared: &Shared, ops: &[Op], plan: &Plan, step: u64) {
        let long = ["KRING_SIM_RUNS", "KRING_SIM_SEED", "KRING_SIM_OPS"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        if !long && self.images >= SHORT {
            return;
        }
        self.check_durable(shared);
        let worst = self.plane.image(Crash::Worst);
        let least = worst.stages.last().map(|files| stage(files, true).unwrap_or_else(|why| panic!("{why}")));
        for _ in 0..IMAGES {
            let crash = self.rng.pick(&[Crash::PowerLost, Crash::PowerLost, Crash::Killed, Crash::Worst]);
            self.images += 1;
            let image = self.plane.image(crash);
            if let (Some(files), Some((_, least))) = (image.stages.last(), &least) {
                let (_, cuts) = stage(files, true).unwrap_or_else(|why| panic!("{crash:?}: {why}"));
                let less = cuts.iter().zip(least).find(|(cut, least)| cut.frames < least.frames);
                assert!(less.is_none(), "{crash:?} left less than the worst case: {less:?}");
            }
            let shards = self.rng.between(1, 4);
            let mut revived = Revived::new(&image, shards).unwrap_or_else(|why| panic!("{crash:?}: {why}"));
            let strict = plan.config.appendfsync == "always";
            if let Err(why) = check(&mut revived, ops, plan, strict, step) {
                panic!("after {crash:?} in step {step}: {why}");
            }
        }
    }

    /// What the disk holds once everything has come to rest, or `None` if it could not be written.
    pub fn last(&mut self, shared: &Shared, plan: &Plan) -> Option<Revived> {
        if shared.saves.log.errno() != 0 || !self.plane.is_listed() {
            return None;
        }
        let crash = if plan.config.appendfsync == "no" { Crash::Killed } else { Crash::Worst };
        Some(Revived::new(&self.plane.image(crash), 2).unwrap_or_else(|why| panic!("{why}")))
    }
}

/// Whether what a crash, or the end, has left fits what clients have seen; `strict`: nothing that was acknowledged may be lost.
pub fn check(revived: &mut Revived, ops: &[Op], plan: &Plan, strict: bool, step: u64) -> Result<(), String> {
    let topics = &plan.topics;
    let Found { counters, groups, accounts, names, queues } =
        Found::read(topics, &revived.ask(&looks(topics)));
    for (group, values) in groups.iter().enumerate() {
        if values.iter().any(|value| *value != values[0]) {
            return Err(format!("torn group g{group}: {values:?}"));
        }
        let write = |op: &&Op| matches!(op.what, What::Put { group: g, value } if g == group && Some(value) == values[0]);
        if values[0].is_some() && !ops.iter().any(|op| write(&op)) {
            return Err(format!("a value of g{group} that nobody wrote: {:?}", values[0]));
        }
    }
    if topics.sweeps {
        return Ok(());
    }
    if let Some(balances) = accounts.iter().copied().collect::<Option<Vec<i64>>>() {
        let sum: i64 = balances.iter().sum();
        if sum != topics.accounts as i64 * BALANCE as i64 {
            return Err(format!("money: {balances:?}"));
        }
    }
    if names > 1 {
        return Err(format!("{names} tokens"));
    }
    for (counter, value) in counters.iter().enumerate() {
        let adds = |op: &&Op| matches!(op.what, What::Count(c) | What::Guarded(c) if c == counter);
        let most = ops.iter().filter(adds).filter(|op| op.invoked.is_some()).count() as u64;
        if *value > most {
            return Err(format!("c{counter} is {value} after {most} increments"));
        }
    }
    if !strict {
        return Ok(());
    }
    history(ops, &counters, 0);
    for (group, values) in groups.iter().enumerate() {
        let text = "what a crash left".into();
        let look = Op {
            invoked: Some(step + 1),
            answered: Some(step + 2),
            number: values[0],
            ..Op::new(text, What::Look { group }, usize::MAX, 0)
        };
        let of =
            |o: &&Op| matches!(o.what, What::Put { group: g, .. } | What::Look { group: g } if g == group);
        let ops: Vec<&Op> = ops.iter().filter(of).chain([&look]).collect();
        check_register(&ops).map_err(|why| format!("group g{group}: {why}"))?;
    }
    order::check(ops, &queues, topics).map_err(|why| format!("queues: {why}"))?;
    // What was put there before the clients came, and seen to be.
    let begun =
        ops.iter().any(|op| op.answered.is_some() && matches!(op.what, What::Put { .. } | What::Count(_)));
    if begun && names == 0 {
        return Err("the token is lost".into());
    }
    Ok(())
}

/// Compares what the disk holds with what the server does.
pub fn same(revived: &mut Revived, requests: &[Vec<String>], here: &[String]) {
    for ((request, reply), here) in requests.iter().zip(revived.ask(requests)).zip(here) {
        let there = show(&reply);
        assert!(there == *here, "{}: {here} here, and {there} on the disk", request.join(" "));
    }
}
