//! Executors of glommio's, and how their work shares cores with the shards.
//!
//! glommio (0.9) wants to know every 100 ms whether somebody more urgent is there: a timer tells it. When that fires between its look at the
//! rings and its look at the timer, it runs no task, takes that for having none, and sleeps until the next completion: for good, if
//! all tasks were ready to run. A thread only has to lose its core for so long at that point; snapshots on an overloaded machine
//! stood still for 6, 12 and 20 minutes, one of them until a debugger's signal set it going. Our executors have one queue of tasks and nobody who is more
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
    /// The calling thread's, which gives way.
    pub fn least() -> Share {
        cpu::give_way();
        Share::now()
    }

    /// The calling thread's, which has its turn like any other: for what somebody waits for.
    pub fn common() -> Share {
        cpu::take_share();
        Share::now()
    }

    fn now() -> Share {
        let now = Instant::now();
        Share { seen: now, began: now, waited: Duration::ZERO }
    }

    /// Between two steps of the work, each of which is short.
    pub fn look(&mut self) {
        if self.starves(Instant::now()) {
            cpu::take_share();
        }
    }

    /// Notes a step that ends now; whether most of a whole window was spent waiting.
    fn starves(&mut self, now: Instant) -> bool {
        let step = now.duration_since(std::mem::replace(&mut self.seen, now));
        if step > LATE {
            self.waited += step;
        }
        let window = now.duration_since(self.began);
        if window <= WINDOW {
            return false;
        }
        self.began = now;
        std::mem::take(&mut self.waited) > window / 2
    }
}

/// Sleeps for a while, once what is under way has gone to the kernel.
pub(super) async fn rest(time: Duration) {
    glommio::executor().yield_task_queue_now().await;
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a second and a half of such steps, in milliseconds and in turn, is starving.
    fn starves(steps: &[u64]) -> bool {
        let mut now = Instant::now();
        let mut share = Share { seen: now, began: now, waited: Duration::ZERO };
        let until = now + WINDOW * 3 / 2;
        let mut steps = steps.iter().cycle();
        let mut found = false;
        while now < until {
            now += Duration::from_millis(*steps.next().expect("there are some"));
            found |= share.starves(now);
        }
        found
    }

    #[test]
    fn who_waits_most_of_the_time_starves() {
        assert!(!starves(&[1]), "work");
        assert!(!starves(&[50, 1, 1]), "shards that cede some time");
        assert!(!starves(&[150, 60, 60, 60, 60]), "a disk that is slow now and then");
        assert!(starves(&[400, 1, 1, 1]), "a few steps between long waits");
        assert!(starves(&[2_000]), "nothing else");
    }
}
