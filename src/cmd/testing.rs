//! A keyspace of several shards with every store in hand, for the tests of the command families.

use super::cx::MemoryNow;
use super::registry::Missing;
use super::{Cx, Env, FAMILIES, Outcome, Plan, Registry, Report, ServerInfo, Session, effects};
use crate::base::time::Now;
use crate::config::Config;
use crate::ds::{Ref, View};
use crate::resp::{Args, Limits, Out, Parser, Proto, Step};
use crate::store::{Hand, Keys, Policy, Route, Store, Value};

/// A world in which commands run one by one.
pub struct World {
    pub registry: Registry,
    pub config: Config,
    pub server: ServerInfo,
    /// What DEBUG QUICKLIST-PACKED-THRESHOLD has set.
    pub packed_from: u32,
    pub hand: Hand,
    pub session: Session,
    pub now: Now,
    pub reports: Vec<Report>,
    pub saves: super::save::SaveBoard,
    /// How uses of keys are noted.
    pub policy: Policy,
    /// What the last command left to do.
    pub outcome: Option<Outcome>,
    /// Commands are one unit in the logs until it is closed; else each is one.
    pub in_unit: bool,
    /// Time stands still for keys and fields: none is past its time.
    pub replays: bool,
    random: u64,
}

impl World {
    /// A world of this many shards; the time is 1,700,000,000 s.
    pub fn new(shards: usize) -> World {
        let config = Config::default();
        let mut hand = Hand::new(Route::new(shards));
        (0..shards).for_each(|s| hand.add(Box::new(Store::new(s, config.databases as usize, 7))));
        let now = Now { wall_us: 1_700_000_000_000_000, mono_us: 1 };
        let mut session = Session::new(1, now.secs());
        session.authenticated = true;
        World {
            registry: Registry::new(FAMILIES),
            config,
            server: ServerInfo { shards, clients: 20_000, ..ServerInfo::default() },
            packed_from: 0,
            hand,
            session,
            now,
            saves: super::save::SaveBoard::new(shards, now.secs()),
            reports: (0..shards).map(|shard| Report { shard, ..Report::default() }).collect(),
            policy: Policy { lfu: None, fifo: false, frozen: false, fine: false, clock: 0, now },
            outcome: None,
            in_unit: false,
            replays: false,
            random: 1,
        }
    }

    /// Lets time pass.
    pub fn advance_ms(&mut self, ms: i64) {
        self.now.wall_us += ms * 1_000;
        self.now.mono_us += ms as u64 * 1_000;
    }

    /// Runs an inline command (with quotes and escapes) and gives the raw reply, lossily as text.
    pub fn run(&mut self, line: &str) -> String {
        let (mut spans, mut words) = (Vec::new(), Vec::new());
        let request = format!("{line}\n");
        let limits = Limits { bulk_max: i64::MAX, authenticated: true };
        match Parser::default().step(request.as_bytes(), &limits, &mut spans, &mut words) {
            Step::Command { .. } => {
                String::from_utf8_lossy(&self.dispatch(Args::new(&words, &spans))).into_owned()
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    /// Runs inline commands one after the other and compares each reply.
    pub fn expect(&mut self, script: &[(&str, &str)]) {
        for (i, (line, reply)) in script.iter().enumerate() {
            assert_eq!(self.run(line), *reply, "{line} (step {i})");
        }
    }

    /// Runs a command of binary arguments.
    pub fn run_args(&mut self, args: &[&[u8]]) -> String {
        String::from_utf8_lossy(&self.run_bytes(args)).into_owned()
    }

    /// Runs a command of binary arguments and gives the raw reply.
    pub fn run_bytes(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        let (mut spans, mut words) = (Vec::new(), Vec::new());
        let limits = Limits { bulk_max: i64::MAX, authenticated: true };
        match Parser::default().step(&request, &limits, &mut spans, &mut words) {
            Step::Command { .. } => self.dispatch(Args::new(&request, &spans)),
            other => panic!("{other:?}"),
        }
    }

    /// The TTL of a key (unix ms).
    pub fn expire_at(&mut self, key: &str) -> Option<i64> {
        self.peek(key, |entry| entry.expire_at())
    }

    /// What OBJECT ENCODING says of a key that is there.
    pub fn encoding(&mut self, key: &str) -> &'static str {
        self.peek(key, |entry| crate::store::encoding(&entry))
    }

    /// The string that a key holds, shared with it when it is long.
    pub fn hold(&mut self, key: &str) -> bytes::Bytes {
        self.peek(key, |entry| super::strings::Text::of(entry.view()).expect("a string").hold())
    }

    /// Bytes that a large value takes beside its entry, by its own account.
    pub fn weight(&mut self, key: &str) -> usize {
        self.peek(key, |entry| match entry.view() {
            View::Boxed(value) => value.heap_bytes(),
            View::Int(_) | View::Bytes(_) => 0,
        })
    }

    fn peek<R>(&mut self, key: &str, f: impl FnOnce(Ref<'_, Value>) -> R) -> R {
        let table = self.hand.peek(self.hand.owner(key.as_bytes())).db(self.session.db).table();
        f(table.get(table.hash(key.as_bytes()), key.as_bytes()).expect("there"))
    }

    /// Speaks RESP3 from here on, or RESP2.
    pub fn proto(&mut self, proto: Proto) {
        self.session.proto = proto;
    }

    fn dispatch(&mut self, args: Args<'_>) -> Vec<u8> {
        let mut out = Out::with_buffer(Vec::new(), self.session.proto);
        match self.registry.find(args) {
            Err(Missing::Command) => out.error_text("ERR unknown command"),
            Err(Missing::Subcommand) => out.error_text("ERR unknown subcommand"),
            Ok(found) if !found.row.takes(args.len()) => {
                out.error(&crate::resp::Error::Arity(found.row.full_name));
            }
            Ok(found) => {
                let env = Env {
                    now: self.now,
                    config: &self.config,
                    registry: &self.registry,
                    server: &self.server,
                    memory: MemoryNow::default(),
                    saves: &self.saves,
                    shard: 0,
                    packed_from: self.packed_from,
                };
                let keys = Keys {
                    hand: &mut self.hand,
                    db: self.session.db,
                    now: if self.replays { self.now.before_all() } else { self.now },
                    policy: Policy {
                        clock: crate::store::lru::stamp(self.now, self.policy.fine),
                        now: self.now,
                        ..self.policy
                    },
                    touch: true,
                    ahead: None,
                    random: &mut self.random,
                };
                let reports = match found.row.plan {
                    Plan::Gather(_) => &self.reports[..],
                    _ => &[],
                };
                let mut cx = Cx {
                    keys,
                    out: &mut out,
                    session: &mut self.session,
                    env: &env,
                    reports,
                    row: found.row,
                };
                match effects::run(&mut cx, args) {
                    Ok(outcome) => self.outcome = Some(outcome),
                    Err(error) => out.error(&error),
                }
                if !self.in_unit && self.hand.logs() {
                    self.hand.seal_logs();
                }
            }
        }
        let (text, values) = out.take(Vec::new());
        let mut all = text.clone();
        for (at, value) in values.iter().rev() {
            all.splice(at..at, value.iter().copied());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_set_and_read() {
        let mut world = World::new(2);
        assert_eq!(world.run("SET k v"), "+OK\r\n");
        assert_eq!(world.run("get k"), "$1\r\nv\r\n");
        assert_eq!(world.run("get"), "-ERR wrong number of arguments for 'get' command\r\n");
    }
}
