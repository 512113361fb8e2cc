//! What keeps commands out for a while: the dataset is being loaded, or cannot be saved, or too few replicas would hear of them.
//! Looked up once a turn.

use super::Core;
use super::drive::{Stop, Work};
use crate::cmd::Command;
use crate::cmd::registry::Found;
use crate::cmd::row::flag;
use crate::resp::Mark;
use std::borrow::Cow;

const LOADING: &str = "LOADING Redis is loading the dataset in memory";
const MISCONF: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
    Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if \
    RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.";

const NO_REPLICAS: &str = "NOREPLICAS Not enough good replicas to write.";

/// See the module's text.
#[derive(Clone, Copy, Default)]
pub(super) struct Gate {
    loading: bool,
    unsaved: bool,
    /// Writes want replicas, and there are none.
    lacks_replicas: bool,
    /// A log has to catch up: writes wait.
    behind: bool,
    /// Why the log cannot be written; 0: it can.
    log_errno: i32,
}

impl Gate {
    /// Whether every command may pass.
    #[inline]
    pub fn is_open(self) -> bool {
        !self.loading && !self.unsaved && self.log_errno == 0 && !self.lacks_replicas
    }

    /// Whether writes wait until the log has caught up.
    #[inline]
    pub fn is_behind(self) -> bool {
        self.behind
    }

    /// Whether the dataset is being loaded.
    #[inline]
    pub fn is_loading(self) -> bool {
        self.loading
    }

    /// Whether writes may not pass because the log cannot be written.
    #[inline]
    pub fn bars_logged(self) -> bool {
        self.log_errno != 0
    }

    /// Why a command may not pass; `flags` are its own, and for EXEC those of its queue too.
    fn refusal(self, row: &Command, flags: u32) -> Option<Cow<'static, str>> {
        // As in Redis, PING tells of the trouble, so that who watches the server hears of it.
        if flags & flag::WRITE != 0 || row.name == "ping" {
            if self.unsaved {
                return Some(MISCONF.into());
            }
            if self.log_errno != 0 {
                let why = std::io::Error::from_raw_os_error(self.log_errno).to_string();
                let why = why.split(" (os error").next().unwrap_or_default();
                return Some(format!("MISCONF Errors writing to the AOF file: {why}").into());
            }
        }
        if self.lacks_replicas && flags & flag::WRITE != 0 {
            return Some(NO_REPLICAS.into());
        }
        (self.loading && !row.is(flag::LOADING)).then_some(LOADING.into())
    }
}

impl Core {
    /// The state of this turn.
    pub(super) fn look_at_gate(&mut self) {
        let saves = &self.shared.saves;
        let unsaved =
            saves.last_failed() && self.config.stop_writes_on_bgsave_error && !self.config.save.0.is_empty();
        self.gate = Gate {
            loading: saves.is_loading(),
            unsaved,
            lacks_replicas: self.config.min_replicas_to_write > 0 && self.config.min_replicas_max_lag > 0,
            behind: saves.log.is_behind(),
            log_errno: saves.log.errno(),
        };
    }

    /// Refuses a command that may not pass. `None`: it may.
    #[cold]
    pub(super) fn bar(
        &mut self,
        work: &mut Work<'_>,
        found: Found,
        flags: u32,
        mark: Mark,
    ) -> Option<Option<Stop>> {
        let text = self.gate.refusal(found.row, flags)?;
        let text = self.spoil(work.session, Some(found), text.as_bytes().to_vec());
        work.out.error_bytes(&text);
        work.out.take_errors();
        self.tallies.rejected(&text, Some(found.id));
        self.reply_mode(work, mark);
        Some(None)
    }
}
