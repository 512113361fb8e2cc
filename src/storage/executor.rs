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
use std::time::Duration;

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

/// Sleeps for a while, once what is under way has gone to the kernel.
pub(super) async fn rest(time: Duration) {
    glommio::executor().yield_task_queue_now().await;
    std::thread::sleep(time);
}
