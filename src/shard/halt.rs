//! Halts: what the server is shut down or loaded anew for while no shard runs a command, so that nothing is acknowledged that what
//! follows does not have. Shard 0 looks after them.
//!
//! ```text
//!  SHUTDOWN       halt ─ the last snapshot ─ the log's end ─ the process ends
//!  DEBUG RELOAD   halt ─ a snapshot ─ all stores are emptied ─ it is loaded ─ a base of it for the log ─ the shards go on
//!  DEBUG LOADAOF  halt ─ the log's end ─ its files are closed ─ all stores are emptied ─ it is loaded ─ the shards go on
//! ```

use super::rewrite::{End, Purpose};
use super::saves::{SAVER, Waiter, Whole, Why};
use super::{Core, Letter, LoadRequest};
use crate::cmd::save::LogState;
use crate::cmd::{Order, ReloadMode, ShutdownMode};
use crate::config::delay_us;
use crate::ring::net::World;

pub(super) const CANNOT_STOP: &str = "ERR Errors trying to SHUTDOWN. Check logs.";
const CANNOT_LOAD: &str = "ERR Error trying to load the RDB dump, check server logs.";
const NO_LOG: &str = "ERR There is no append-only log that could be loaded: nothing was logged or rewritten, or the log cannot be \
    written";
const OTHERS_FIRST: &str = "ERR The server is being shut down or reloaded already";

/// What the shards have halted for.
#[derive(Clone, Copy)]
enum Cause {
    Shutdown(ShutdownMode),
    Reload(ReloadMode),
    /// DEBUG LOADAOF. Whether the log goes on: else it is off, and what BGREWRITEAOF or an earlier log has left is read.
    ReloadLog {
        goes_on: bool,
    },
}

/// How far a halt is.
enum Step {
    /// The shards come to it; then what it is for begins.
    Halting,
    /// DEBUG LOADAOF: the shards close their files; then they are loaded.
    Closing,
    /// DEBUG RELOAD is over, with this reply. What it has loaded is not what was logged, so the shards wait for a base of it. Whether
    /// that is being made, or another one still.
    Basing(Result<&'static str, String>, bool),
}

pub(super) struct Halt {
    cause: Cause,
    waiter: Option<Waiter>,
    /// Shards that have come to the end of the step.
    halted: usize,
    step: Step,
}

impl Core {
    /// SHUTDOWN, DEBUG RELOAD, DEBUG LOADAOF.
    pub(super) fn halt_asked(&mut self, waiter: Waiter, order: Order) {
        let cause = match order {
            Order::Shutdown(mode) if mode.abort => return self.call_off(waiter),
            Order::Shutdown(mode) => {
                self.warn("User requested shutdown...");
                Cause::Shutdown(mode)
            }
            Order::Reload(mode) => Cause::Reload(mode),
            _ => {
                let log = &self.shared.saves.log;
                let (is_on, failed) = (log.state() == LogState::On, log.rewrites().2);
                if !is_on && (self.rewriter.is_busy() || self.config.appendonly && !failed) {
                    return self.do_later(waiter, order);
                }
                let can = match is_on {
                    true => log.errno() == 0 && !self.rewriter.ends(),
                    // What is written is not in a log that could not begin.
                    false => log.sizes().0 > 0 && !self.config.appendonly,
                };
                if !can {
                    return self.tell(waiter, Err(NO_LOG.into()));
                }
                Cause::ReloadLog { goes_on: is_on }
            }
        };
        self.halt(cause, Some(waiter));
    }

    /// A signal wants the process to end: SIGINT, else SIGTERM.
    pub fn terminate(&mut self, interrupt: bool) {
        let config = &self.config;
        let words = if interrupt { &config.shutdown_on_sigint } else { &config.shutdown_on_sigterm };
        let has = |word: &str| words.split(' ').any(|w| w == word);
        let mode = ShutdownMode {
            nosave: has("nosave"),
            save: has("save"),
            now: has("now"),
            force: has("force"),
            abort: false,
        };
        self.halt(Cause::Shutdown(mode), None);
    }

    /// What was under way when all shards had halted is over.
    pub(super) fn go_on_halting(&mut self, net: &mut dyn World) {
        let all = self.shared.route.shards();
        let halted = |halt: &Halt| halt.halted == all && matches!(halt.step, Step::Halting);
        if self.saver.halt.as_ref().is_some_and(halted) {
            self.all_halted(net);
        }
    }

    /// Has all shards hold their commands back.
    fn halt(&mut self, cause: Cause, waiter: Option<Waiter>) {
        if let Some(halt) = &self.saver.halt {
            match (waiter, cause) {
                (Some(waiter), _) => self.tell(waiter, Err(OTHERS_FIRST.into())),
                // Nobody sends a signal again: its turn comes when the shards go on.
                (None, Cause::Shutdown(mode)) if !matches!(halt.cause, Cause::Shutdown(_)) => {
                    self.saver.signalled = Some(mode);
                }
                (None, _) => {}
            }
            return;
        }
        self.saver.halt = Some(Halt { cause, waiter, halted: 0, step: Step::Halting });
        self.saver.abort.begin(matches!(cause, Cause::Shutdown(_)));
        for shard in 0..self.shared.route.shards() {
            self.post(shard, Letter::Halt { on: true });
        }
    }

    /// A shard has halted.
    pub(super) fn halted(&mut self, net: &mut dyn World) {
        let Some(halt) = &mut self.saver.halt else { return };
        halt.halted += 1;
        if halt.halted < self.shared.route.shards() {
            return;
        }
        match halt.step {
            Step::Halting => self.all_halted(net),
            Step::Closing => self.want_whole(net, Whole::Flush),
            Step::Basing(..) => {}
        }
    }

    fn all_halted(&mut self, net: &mut dyn World) {
        if self.called_off() {
            return;
        }
        if let Some(under_way) = &self.saver.under_way {
            // As in Redis, a snapshot in the background gives way, which is no failure. The writer answers, and it goes on here.
            self.shared.saves.doom();
            if let Some(line) = &under_way.line {
                line.give_up();
            }
            return;
        }
        let Some(halt) = &self.saver.halt else { return };
        let saves = match halt.cause {
            // What is loaded in part must not take the place of the whole.
            Cause::Shutdown(_) if self.shared.saves.is_loading() => false,
            Cause::Shutdown(mode) => mode.save || (!mode.nosave && !self.config.save.0.is_empty()),
            Cause::Reload(mode) => !mode.nosave,
            Cause::ReloadLog { .. } => false,
        };
        if !saves {
            return self.after_final_save(net, Ok(()));
        }
        if let Cause::Shutdown(_) = halt.cause {
            self.note("Saving the final RDB snapshot before exiting.");
        }
        self.begin_save(net, Why::Final, None);
    }

    pub(super) fn after_final_save(&mut self, net: &mut dyn World, result: Result<(), String>) {
        if self.called_off_at_last() {
            return;
        }
        let Some(halt) = &self.saver.halt else { return };
        match (halt.cause, result) {
            (Cause::Shutdown(mode), Ok(())) if self.ends_log_first(net, End::Shutdown(mode)) => {}
            (Cause::Shutdown(mode), Ok(())) => self.shared.control.shutdown(mode),
            (Cause::Shutdown(mode), Err(_)) if mode.force => {
                self.warn("Error trying to save the DB. Exit anyway.");
                self.shared.control.shutdown(mode);
            }
            (Cause::Shutdown(_), Err(_)) => {
                self.warn("Error trying to save the DB, can't exit.");
                self.resume(Err(CANNOT_STOP.into()));
            }
            (Cause::Reload(_), Err(_)) => self.resume(Err("ERR".into())),
            (Cause::Reload(mode), Ok(())) if mode.noflush || mode.merge => self.load_again(),
            (Cause::Reload(_), Ok(())) => self.want_whole(net, Whole::Flush),
            (Cause::ReloadLog { goes_on: false }, _) => self.close_logs(),
            (Cause::ReloadLog { .. }, Ok(())) if self.ends_log_first(net, End::Reload) => {}
            // It has failed meanwhile.
            (Cause::ReloadLog { .. }, _) => self.resume(Err(NO_LOG.into())),
        }
    }

    /// DEBUG LOADAOF: all that was logged is on the disk. Once no shard has a file any more, they are loaded.
    pub(super) fn close_logs(&mut self) {
        let Some(halt) = &mut self.saver.halt else { return };
        (halt.step, halt.halted) = (Step::Closing, 0);
        self.shared.saves.begin_load(self.now.secs());
        for shard in 0..self.shared.route.shards() {
            // Behind the letter that closes the log.
            self.post(shard, Letter::Halt { on: true });
        }
    }

    pub(super) fn load_again(&mut self) {
        let mode = match &self.saver.halt {
            Some(Halt { cause: Cause::Reload(mode), .. }) => *mode,
            Some(Halt { cause: Cause::ReloadLog { goes_on }, .. }) => {
                let saves = self.shared.saves.clone();
                return self.shared.control.load_log(self.config.clone(), saves, *goes_on);
            }
            Some(Halt { cause: Cause::Shutdown(_), .. }) | None => return,
        };
        self.shared.control.load(LoadRequest {
            path: self.path(),
            check: self.config.rdbchecksum,
            databases: u64::from(self.config.databases),
            delay_us: delay_us(self.config.key_load_delay),
            replace: mode.merge,
            saves: self.shared.saves.clone(),
        });
    }

    /// DEBUG RELOAD has loaded what it saved, or could not; DEBUG LOADAOF has loaded the log.
    pub fn reloaded(&mut self, net: &mut dyn World, result: Result<(), String>) {
        let Some(halt) = &mut self.saver.halt else { return };
        if let Cause::ReloadLog { .. } = halt.cause {
            self.warn("Append Only File loaded by DEBUG LOADAOF");
            return self.resume(Ok("OK"));
        }
        if let Err(why) = &result
            && self.shared.saves.log.state() != LogState::Off
        {
            // What is in memory is empty, or a part. A base of that would replace the log, which has all there was.
            let line = format!(
                "DEBUG RELOAD: {why}. The append-only log has the dataset as it was: exiting, start again to load it"
            );
            self.warn(line);
            return self.shared.control.shutdown(ShutdownMode::default());
        }
        let (line, reply) = match result {
            Ok(()) => ("DB reloaded by DEBUG RELOAD".into(), Ok("OK")),
            Err(why) => (why, Err(CANNOT_LOAD.into())),
        };
        halt.step = Step::Basing(reply, false);
        self.warn(line);
        self.base_reloaded(net);
    }

    /// What was reloaded becomes the base of the log, if there is one.
    fn base_reloaded(&mut self, net: &mut dyn World) {
        if self.rewriter.is_busy() {
            return;
        }
        let Some(Halt { step: Step::Basing(_, begun), .. }) = &mut self.saver.halt else { return };
        if self.shared.saves.log.state() == LogState::Off {
            return self.resume_reloaded();
        }
        *begun = true;
        let fails = self.shared.saves.log.errno() != 0;
        self.begin_rewrite(net, if fails { Purpose::Mend } else { Purpose::Rewrite });
    }

    /// A rewrite is over, perhaps that which the shards have waited for.
    pub(super) fn go_on_reloading(&mut self, net: &mut dyn World, done: bool) {
        let Some(Halt { step: Step::Basing(_, begun), .. }) = &self.saver.halt else { return };
        if !begun {
            return self.base_reloaded(net);
        }
        if !done {
            self.reload_without_base();
        }
        self.resume_reloaded();
    }

    pub(super) fn resume_reloaded(&mut self) {
        let Some(Halt { step: Step::Basing(reply, _), .. }) = &mut self.saver.halt else { return };
        let reply = std::mem::replace(reply, Ok("OK"));
        self.resume(reply);
    }

    /// The shards go on.
    pub(super) fn resume(&mut self, result: Result<&'static str, String>) {
        let Some(halt) = self.saver.halt.take() else { return };
        if let Cause::Shutdown(_) = halt.cause {
            self.shared.control.goes_on();
        }
        for shard in 0..self.shared.route.shards() {
            self.post(shard, Letter::Halt { on: false });
        }
        match (halt.waiter, result) {
            (Some(waiter), result) => self.tell(waiter, result),
            (None, Err(_)) => {
                self.warn("A signal asked for a shutdown, but there were errors: see the lines before");
            }
            (None, Ok(_)) => {}
        }
        if let Some(mode) = self.saver.signalled.take() {
            self.halt(Cause::Shutdown(mode), None);
        }
    }

    /// This shard holds its commands back, or goes on.
    pub(super) fn set_halted(&mut self, on: bool) {
        self.is_halted = on;
        if on {
            self.post(SAVER, Letter::Halted);
        }
    }
}
