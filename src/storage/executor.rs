//! Executors of glommio's, and how their work shares cores with the shards.
//!
//! glommio (0.9) wants to know every 100 ms whether somebody more urgent is there: a timer tells it. When that fires between its look at the
//! rings and its look at the timer, it runs no task, takes that for having none, and sleeps until the next completion: for good, if
//! all tasks were ready to run. A thread only has to lose its core for so long at that point; snapshots on an overloaded machine
//! stood still for 12 and 20 minutes, until a debugger's signal set them going. Our executors have one queue of tasks and nobody who is more
//! urgent, so their timer is set to a day.

use glommio::LocalExecutorBuilder;
use std::future::Future;
use std::time::{Duration, Instant};

/// When an executor looks whether it should give way: never.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a rest takes; the kernel makes some 100 us of it.
const NAP: Duration = Duration::from_micros(50);

/// Runs a piece of work to its end.
pub(super) fn run<T>(builder: LocalExecutorBuilder, work: impl Future<Output = T>) -> Result<T, String> {
    let executor = builder.preempt_timer(NEVER).make().map_err(|e| e.to_string())?;
    Ok(executor.run(work))
}

/// How long a [`Pace`] lets its thread work at a time: this, and longer where the rest before took longer than it should, up to so long.
const STRETCH: Duration = Duration::from_micros(50);
const STRETCH_MOST: Duration = Duration::from_millis(2);
/// A stretch is this part of the rest before it, or longer.
const PART: u32 = 4;

/// Work that shares cores with those who must not wait: a rest after each short stretch. A thread that wakes does not get its core back
/// before the one that runs there has had a slice of some milliseconds, however low that one's priority is; at the lowest of all (SCHED_IDLE),
/// where it does, a snapshot stands still while others want all cores. Who comes back late from a rest has been kept waiting by
/// more than our own threads, and works longer.
pub(super) struct Pace {
    began: Instant,
    stretch: Duration,
}

impl Pace {
    pub fn new() -> Pace {
        Pace { began: Instant::now(), stretch: STRETCH }
    }

    /// Rests when it is time to.
    pub async fn keep(&mut self) {
        if self.began.elapsed() >= self.stretch {
            self.rest(NAP).await;
        }
    }

    /// Rests for a while.
    pub async fn rest(&mut self, time: Duration) {
        let from = Instant::now();
        rest(time).await;
        self.began = Instant::now();
        self.stretch = (self.began.duration_since(from) / PART).clamp(STRETCH, STRETCH_MOST);
    }
}

/// Sleeps for a while, once what is under way has gone to the kernel.
pub(super) async fn rest(time: Duration) {
    glommio::executor().yield_task_queue_now().await;
    std::thread::sleep(time);
}
