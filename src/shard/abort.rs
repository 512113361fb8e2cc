//! SHUTDOWN ABORT. A shutdown waits for the shards, for its last snapshot, or for a rewrite of the log to end: until it has begun to
//! end the log, all can go on as if nothing had been. Whoever asked for the shutdown hears that it failed, as in Redis.

use super::Core;
use super::halt::CANNOT_STOP;
use super::saves::Waiter;

const NO_SHUTDOWN: &str = "ERR No shutdown in progress.";
const TOO_LATE: &str = "ERR The shutdown is too far to be aborted: the append-only log is being closed";

/// What shard 0 knows of it.
#[derive(Default)]
pub(super) struct Abort {
    /// What the shards have halted for is a shutdown.
    is_possible: bool,
    is_too_late: bool,
    /// Who has called it off, and waits to hear that the shards go on.
    waiters: Vec<Waiter>,
}

impl Abort {
    /// A halt begins.
    pub fn begin(&mut self, is_shutdown: bool) {
        *self = Abort { is_possible: is_shutdown, is_too_late: false, waiters: Vec::new() };
    }
}

impl Core {
    /// SHUTDOWN ABORT. The reply comes when the shards go on.
    pub(super) fn call_off(&mut self, waiter: Waiter) {
        if self.saver.halt.is_none() || !self.saver.abort.is_possible {
            return self.tell(waiter, Err(NO_SHUTDOWN.into()));
        }
        if self.rewriter.end_after.take().is_some() {
            self.saver.abort.waiters.push(waiter);
            self.called_off();
        } else if self.saver.abort.is_too_late {
            self.tell(waiter, Err(TOO_LATE.into()));
        } else {
            // Either the last shard to halt ends it, or the writer of the last snapshot.
            self.saver.abort.waiters.push(waiter);
            self.give_up_final();
        }
    }

    /// Goes on if the shutdown was called off; whether it was.
    pub(super) fn called_off(&mut self) -> bool {
        let waiters = std::mem::take(&mut self.saver.abort.waiters);
        if waiters.is_empty() {
            return false;
        }
        self.warn("Shutdown manually aborted.");
        self.resume(Err(CANNOT_STOP.into()));
        for waiter in waiters {
            self.tell(waiter, Ok("OK"));
        }
        true
    }

    /// The same when the last snapshot is over: what comes now cannot be taken back.
    pub(super) fn called_off_at_last(&mut self) -> bool {
        self.saver.abort.is_too_late = true;
        self.called_off()
    }
}
