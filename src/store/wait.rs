//! A blocked command, as the owners of its keys keep it: what it takes to run it again, and where its client is.
//!
//! ```text
//!  home: Conn ──┐                        waiting ──> at work ──> over        a claim: one atomic word
//!  store 0: line of key a ──> Arc<Wait>     ^───────────┘ nothing to give yet
//!  store 3: line of key b ──┘
//! ```
//! One wait stands in the lines of all its keys, in the stores of several shards perhaps. Whoever wants to end it (the holder of a
//! store in which a key is ready; its home, when time is up or the client goes; CLIENT UNBLOCK) claims it first, so it ends once.
//! A claim is held for the length of one command at most, and who holds one claims no other, so waiting for it is a spin.

use super::{Kind, ShardSet};
use crate::resp::{Args, Proto, Span};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The states of a wait.
const WAITING: u8 = 0;
const AT_WORK: u8 = 1;
const OVER: u8 = 2;

/// Which changes of a key may end a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wake {
    /// The key is there and of this type.
    pub kind: Kind,
    /// Any change: also one that removes the key or gives it another type.
    pub any: bool,
}

impl Wake {
    /// Whether the command shall be run again, now that its key is of this type.
    pub fn on(self, found: Option<Kind>) -> bool {
        self.any || found == Some(self.kind)
    }
}

/// A command's arguments, kept.
#[derive(Default, Debug)]
pub struct Saved {
    text: Vec<u8>,
    spans: Vec<Span>,
}

impl Saved {
    /// A copy of these.
    pub fn of<'a>(args: impl Iterator<Item = &'a [u8]>) -> Saved {
        let mut saved = Saved::default();
        for arg in args {
            let start = saved.text.len();
            saved.text.extend_from_slice(arg);
            saved.spans.push(Span::new(start, saved.text.len()));
        }
        saved
    }

    /// The arguments.
    pub fn args(&self) -> Args<'_> {
        Args::new(&self.text, &self.spans)
    }
}

/// Who waits: what of its session a command needs that is run again elsewhere.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// Its home, and its connection there.
    pub home: usize,
    pub conn: u64,
    /// CLIENT ID.
    pub id: u64,
    pub db: usize,
    pub proto: Proto,
    /// As CLIENT NO-TOUCH says.
    pub no_touch: bool,
    /// When its time is up, in monotonic microseconds; the highest number: never.
    pub until_us: u64,
    /// For SLOWLOG.
    pub addr: Arc<str>,
    pub name: Arc<str>,
}

/// A blocked command.
#[derive(Debug)]
pub struct Wait {
    pub waiter: Waiter,
    /// Its place in every line that it stands in: before all of higher number.
    pub ticket: u64,
    /// The number of its row.
    pub command: u32,
    pub saved: Saved,
    /// Which arguments are the keys that it waits on.
    pub keys: Vec<usize>,
    pub wake: Wake,
    /// Whose stores these keys live in.
    pub shards: ShardSet,
    /// The stores, beyond the ready key's own, without which it cannot run again.
    pub needs: ShardSet,
    state: AtomicU8,
}

impl Wait {
    /// A wait that begins.
    pub fn new(
        waiter: Waiter,
        ticket: u64,
        command: u32,
        saved: Saved,
        keys: Vec<usize>,
        wake: Wake,
        (shards, needs): (ShardSet, ShardSet),
    ) -> Wait {
        Wait { waiter, ticket, command, saved, keys, wake, shards, needs, state: AtomicU8::new(WAITING) }
    }

    /// The keys that it waits on.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        let args = self.saved.args();
        self.keys.iter().map(move |at| args.at(*at))
    }

    /// Claims it, unless it is over. [`Wait::release`] or [`Wait::end`] must follow.
    pub fn claim(&self) -> bool {
        loop {
            match self.state.compare_exchange_weak(WAITING, AT_WORK, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(OVER) => return false,
                Err(_) => std::hint::spin_loop(),
            }
        }
    }

    /// It waits on.
    pub fn release(&self) {
        self.state.store(WAITING, Ordering::Release);
    }

    /// It is over.
    pub fn end(&self) {
        self.state.store(OVER, Ordering::Release);
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.state.load(Ordering::Acquire) == OVER
    }
}

#[cfg(test)]
impl Wait {
    /// A wait of client `id`, by which it stands in line, on keys for a list, in database 0 of a single shard.
    pub(super) fn sample(id: u64, keys: &[&str], any: bool) -> Arc<Wait> {
        let name: Arc<str> = "".into();
        let (addr, proto) = (name.clone(), Proto::Resp2);
        let waiter =
            Waiter { home: 0, conn: id, id, db: 0, proto, no_touch: false, until_us: u64::MAX, addr, name };
        let saved = Saved::of(keys.iter().map(|k| k.as_bytes()));
        let shards = (ShardSet::one(0), ShardSet::EMPTY);
        Arc::new(Wait::new(
            waiter,
            id,
            0,
            saved,
            (0..keys.len()).collect(),
            Wake { kind: Kind::List, any },
            shards,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_once() {
        let wait = Wait::sample(1, &["a", "b"], false);
        assert_eq!(wait.keys().collect::<Vec<_>>(), [b"a", b"b"]);
        assert!(wait.claim() && !wait.is_over());
        wait.release();
        assert!(wait.claim());
        wait.end();
        assert!(!wait.claim() && wait.is_over());
    }

    #[test]
    fn of_many_claims_one_wins() {
        let rounds = if cfg!(miri) { 5 } else { 2_000 };
        for _ in 0..rounds {
            let wait = Wait::sample(1, &["a"], false);
            let wins: usize = std::thread::scope(|scope| {
                let claim = || {
                    let won = wait.claim();
                    if won {
                        wait.release();
                    }
                    let ended = wait.claim();
                    if ended {
                        wait.end();
                    }
                    ended as usize
                };
                let threads: Vec<_> = (0..3).map(|_| scope.spawn(claim)).collect();
                threads.into_iter().map(|t| t.join().unwrap()).sum()
            });
            assert_eq!(wins, 1);
        }
    }

    #[test]
    fn types_wake() {
        let lists = Wake { kind: Kind::List, any: false };
        assert!(lists.on(Some(Kind::List)) && !lists.on(Some(Kind::String)) && !lists.on(None));
        let any = Wake { any: true, ..lists };
        assert!(any.on(None) && any.on(Some(Kind::Set)));
    }
}
