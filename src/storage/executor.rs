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

/// A step that took so long has waited: for a core, most likely. Shards cede some of theirs sooner.
const LATE: Duration = Duration::from_millis(100);
/// Work that has waited for more than half of so long has no core to itself at all.
const WINDOW: Duration = Duration::from_secs(1);

/// The share of a core of work that gives way to all others. While the shards want all cores they cede some time; other processes do not,
/// and what nobody has time for would never end. So work that stands still takes its share like any other from then on,
/// where the kernel allows it (CAP_SYS_NICE).
pub(super) struct Share {
    seen: Instant,
    began: Instant,
    waited: Duration,
}

impl Share {
    /// The calling thread's.
    pub fn least() -> Share {
        cpu::give_way();
        let now = Instant::now();
        Share { seen: now, began: now, waited: Duration::ZERO }
    }

    /// Between two steps of the work, each of which is short.
    pub fn look(&mut self) {
        let now = Instant::now();
        let step = now.duration_since(std::mem::replace(&mut self.seen, now));
        if step > LATE {
            self.waited += step;
        }
        let window = now.duration_since(self.began);
        if window > WINDOW {
            if self.waited > window / 2 {
                cpu::take_share();
            }
            (self.began, self.waited) = (now, Duration::ZERO);
        }
    }
}

/// Sleeps for a while, once what is under way has gone to the kernel.
pub(super) async fn rest(time: Duration) {
    glommio::executor().yield_task_queue_now().await;
    std::thread::sleep(time);
}
