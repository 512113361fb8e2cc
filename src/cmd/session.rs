//! What a client has said about itself. It travels with the client's commands, so that any shard can run them.

use super::migration::Migration;
use super::transaction::Transaction;
use crate::persist::replay::Trouble;
use crate::resp::{Error, Proto};
use crate::store::Lent;
use std::sync::Arc;

/// How CLIENT REPLY wants replies handled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// Skip the next command's reply, then go on.
    SkipNext,
    /// This is the command whose reply is skipped.
    Skipping,
}

/// A word that CLIENT LIST can show: printable ASCII without spaces.
pub fn shown_word(text: &[u8]) -> Option<Arc<str>> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes().all(|b| b.is_ascii_graphic()).then(|| Arc::from(text))
}

/// A client's name, as HELLO and CLIENT SETNAME take it; empty: none.
pub fn client_name(text: &[u8]) -> Result<Arc<str>, Error> {
    const BAD: &str = "ERR Client names cannot contain spaces, newlines or special characters.";
    shown_word(text).ok_or(Error::text_of(BAD))
}

/// What the session of a log that is replayed knows beside the rest.
#[derive(Clone, Debug, Default)]
pub struct Replaying {
    /// Where the requests at hand begin in their piece of the log.
    pub base: usize,
    /// MULTI came, and EXEC did not yet. Nobody looks on, so what is between them runs at once.
    pub in_multi: bool,
    /// The first command that failed: none runs behind it.
    pub trouble: Option<Trouble>,
}

/// A client's own state.
#[derive(Clone, Debug)]
pub struct Session {
    /// CLIENT ID: unique, rising with time.
    pub id: u64,
    /// The selected database.
    pub db: usize,
    pub proto: Proto,
    pub authenticated: bool,
    pub reply: ReplyMode,
    /// CLIENT NO-EVICT and NO-TOUCH.
    pub no_evict: bool,
    pub no_touch: bool,
    /// CLIENT SETNAME; empty when unset.
    pub name: Arc<str>,
    /// CLIENT SETINFO.
    pub lib_name: Arc<str>,
    pub lib_ver: Arc<str>,
    /// The peer's address and ours, as CLIENT LIST shows them.
    pub addr: Arc<str>,
    pub laddr: Arc<str>,
    pub fd: i32,
    pub unix: bool,
    /// The peer is on this machine (protected mode).
    pub local: bool,
    /// Seconds since the Unix epoch, when it connected.
    pub since_secs: i64,
    /// The number of its last command (`Registry::row`), and when it ran.
    pub last_command: Option<u32>,
    pub last_secs: i64,
    /// Bytes it has sent and got, commands it has run.
    pub net_in: u64,
    pub net_out: u64,
    pub commands: u64,
    /// MULTI or WATCH came.
    pub transaction: Option<Box<Transaction>>,
    /// It is no client, but a log that is replayed.
    pub replay: Option<Box<Replaying>>,
    /// Its next command has asked another server, and is to run again.
    pub migration: Option<Box<Migration>>,
    /// The buffer that its requests lie in, while they run and when they are large: a command may keep what it stores there.
    pub lent: Option<Box<Lent>>,
}

impl Session {
    /// A client that has just connected.
    pub fn new(id: u64, since_secs: i64) -> Session {
        let empty: Arc<str> = Arc::from("");
        Session {
            id,
            db: 0,
            proto: Proto::Resp2,
            authenticated: false,
            reply: ReplyMode::On,
            no_evict: false,
            no_touch: false,
            name: empty.clone(),
            lib_name: empty.clone(),
            lib_ver: empty.clone(),
            addr: empty.clone(),
            laddr: empty,
            fd: -1,
            unix: false,
            local: true,
            since_secs,
            last_command: None,
            last_secs: since_secs,
            net_in: 0,
            net_out: 0,
            commands: 0,
            transaction: None,
            replay: None,
            migration: None,
            lent: None,
        }
    }

    /// Whether commands wait for EXEC.
    #[inline]
    pub fn is_queueing(&self) -> bool {
        self.transaction.as_ref().is_some_and(|t| t.queueing)
    }

    /// Whether it replays a log.
    #[inline]
    pub fn is_replay(&self) -> bool {
        self.replay.is_some()
    }

    /// Whether it replays a log that cannot go on.
    #[inline]
    pub fn is_stuck(&self) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.trouble.is_some())
    }

    /// A command of a log failed; `at` counts from where the requests at hand begin.
    #[cold]
    pub fn note_trouble(&mut self, at: usize, command: &[u8], error: &[u8]) {
        let Some(replay) = &mut self.replay else { return };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let at = replay.base + at;
        replay.trouble.get_or_insert_with(|| Trouble { at, command: text(command), error: text(error) });
    }

    /// Back to how it was when it connected (RESET); identity and counters stay. It watches nothing any more.
    pub fn reset(&mut self, authenticated: bool) {
        self.db = 0;
        self.proto = Proto::Resp2;
        self.authenticated = authenticated;
        // As in Redis, CLIENT REPLY SKIP right before has its way.
        if self.reply != ReplyMode::Skipping {
            self.reply = ReplyMode::On;
        }
        self.no_evict = false;
        self.no_touch = false;
        self.name = Arc::from("");
        self.transaction = None;
    }
}
