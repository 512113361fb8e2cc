//! Executors of glommio's, and how their work shares cores with the shards.
//!
//! glommio (0.9) wants to know every 100 ms whether somebody more urgent is there: a timer tells it. When that fires between its look at the
//! rings and its look at the timer, it runs no task, takes that for having none, and sleeps until the next completion: for good, if
//! all tasks were ready to run. A thread only has to lose its core for so long at that point; snapshots on an overloaded machine
//! stood still for 12 and 20 minutes, until a debugger's signal set them going. Our executors have one queue of tasks and nobody who is more
//! urgent, so their timer is set to a day.

use crate::base::cpu;
use glommio::LocalExecutorBuilder;
use std::future::Future;
use std::time::{Duration, Instant};

/// When an executor looks whether it should give way: never.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);
/// Runs a piece of work to its end.
pub(super) fn run<T>(builder: LocalExecutorBuilder, work: impl Future<Output = T>) -> Result<T, String> {
    let executor = builder.preempt_timer(NEVER).make().map_err(|e| e.to_string())?;
    Ok(executor.run(work))
}

/// Work that stands still for so long, so many times in a row, has not been given a core.
const LATE: Duration = Duration::from_millis(200);
const LATE_MOST: u32 = 3;

/// The share of a core of work that gives way to all others. While the shards want all cores they cede some time; other processes do not,
/// and what nobody has time for would never end. So work that stands still takes its share like any other from then on,
/// where the kernel allows it (CAP_SYS_NICE).
pub(super) struct Share {
    seen: Instant,
    late: u32,
}

impl Share {
    /// The calling thread's.
    pub fn least() -> Share {
        cpu::give_way();
        Share { seen: Instant::now(), late: 0 }
    }

    /// Between two steps of the work, each of which is short.
    pub fn look(&mut self) {
        let is_late = self.seen.elapsed() > LATE;
        self.late = if is_late { self.late + 1 } else { 0 };
        if self.late == LATE_MOST {
            cpu::take_share();
        }
        self.seen = Instant::now();
    }
}

/// Sleeps for a while, once what is under way has gone to the kernel.
pub(super) async fn rest(time: Duration) {
    glommio::executor().yield_task_queue_now().await;
    std::thread::sleep(time);
}
