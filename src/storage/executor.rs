//! Executors of glommio's that do not fall asleep over their work.
//!
//! Left to itself an executor that waits for its disk sleeps in the kernel until a ring has a completion. On a machine with several times
//! more work than cores one slept for twenty minutes with a timer that was due, and one for twelve with blocks of a snapshot under way,
//! until a signal to its thread, of a debugger, set it going: somewhere below us a wake-up can be lost. So a task beside the work keeps it
//! from sleeping there: the thread naps by itself, and looks at its rings after each nap.
//!
//! Cost: some microseconds of processor time in each [`NAP`] while there is work, and up to a nap until a completion is seen. Blocks under
//! way get on meanwhile.

use glommio::LocalExecutorBuilder;
use std::future::Future;
use std::time::{Duration, Instant};

/// The kernel makes some 100 us of it.
const NAP: Duration = Duration::from_micros(50);

/// Runs a piece of work to its end.
pub(super) fn run<T>(builder: LocalExecutorBuilder, work: impl Future<Output = T>) -> Result<T, String> {
    let executor = builder.make().map_err(|e| e.to_string())?;
    Ok(executor.run(async {
        let napper = glommio::spawn_local(async {
            loop {
                rest(NAP).await;
            }
        });
        let done = work.await;
        napper.cancel().await;
        done
    }))
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
        let now = Instant::now();
        if now.duration_since(self.began) >= self.stretch {
            rest(NAP).await;
            self.began = Instant::now();
            self.stretch = (self.began.duration_since(now) / PART).clamp(STRETCH, STRETCH_MOST);
        }
    }
}

/// Sleeps for a while, once what is under way has gone to the kernel.
pub(super) async fn rest(time: Duration) {
    glommio::executor().yield_task_queue_now().await;
    std::thread::sleep(time);
}
