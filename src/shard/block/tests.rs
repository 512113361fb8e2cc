//! The contract with commands that wait, on commands made for it: `AWAIT key n` waits until the number under a key is `n` at least,
//! so most changes of the key are not enough. No list does that, but streams do.

mod logs;

use super::*;
use crate::base::time::Now;
use crate::cmd::block::timeout_ms;
use crate::cmd::row::category;
use crate::cmd::{Command, Cx, Done, FAMILIES, KeySpec, Registry, ServerInfo};
use crate::config::Config;
use crate::ds::{Payload, View};
use crate::ring::net::{Chunk, Net};
use crate::shard::testing::Nobody;
use crate::shard::{Peer, Shared};
use crate::store::{Kind, Wake};

/// `AWAIT n timeout-ms any|kind key [key ...]` and `RAISE key n`.
const TESTS: &[Command] = &[
    Command {
        name: "await",
        full_name: "await",
        arity: -5,
        flags: flag::BLOCKING,
        categories: category::STRING,
        keys: &[KeySpec::range(4, -1, 1, key::RO)],
        plan: Plan::Keys,
        run: r#await,
        ..Command::BASE
    },
    Command {
        name: "raise",
        full_name: "raise",
        arity: 3,
        flags: flag::WRITE,
        keys: &[KeySpec::one(1, key::RW)],
        plan: Plan::Owner,
        run: raise,
        ..Command::BASE
    },
];

fn r#await(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let wanted = crate::base::number::parse_i64(args.at(1)).unwrap_or(0);
    let timeout = timeout_ms(args.at(2), cx.env.now)?;
    let (mut highest, mut gone) = (0, false);
    for name in args.from(4).iter() {
        if !cx.keys.holds(name) {
            continue;
        }
        match cx.keys.peek(name).map(|entry| entry.view()) {
            Some(View::Int(n)) => highest = highest.max(n),
            Some(_) => {}
            None => gone = true,
        }
    }
    // The second time around it wants as much as it was told, and says that it was told.
    let again = args.is(3, "again");
    if highest >= wanted || again && gone {
        cx.out.int(highest);
        return Ok(Outcome::Done);
    }
    let any = again || args.is(3, "any");
    let mode: &[u8] = if any { b"again" } else { args.at(3) };
    let words = args.iter().enumerate().map(|(i, word)| if i == 3 { mode } else { word });
    let block = Block::on(Kind::String, 4..args.len(), timeout);
    let wake = Wake { kind: Kind::String, any };
    Ok(Outcome::Block(Box::new(Block { wake, args: Some(Saved::of(words)), ..block })))
}

fn raise(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let n = crate::base::number::parse_i64(args.at(2)).unwrap_or(0);
    cx.keys.set(args.at(1), Payload::Int(n), None);
    cx.keys.changed(args.at(1));
    cx.out.ok();
    Ok(Outcome::Done)
}

/// What a core sends, by connection, and a clock that stands still.
#[derive(Default)]
struct Wire {
    sent: Vec<(ConnId, Vec<u8>)>,
    back: Vec<(ConnId, Chunk)>,
}

impl Net for Wire {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        self.sent.push((conn, chunk.bytes().into_owned()));
        self.back.push((conn, chunk));
    }
    fn pause_recv(&mut self, _conn: ConnId) {}
    fn resume_recv(&mut self, _conn: ConnId) {}
    fn close(&mut self, _conn: ConnId) {}
    fn wake(&mut self, _shard: usize) {}
}

impl World for Wire {
    fn ticks_ns(&self) -> u64 {
        0
    }
    fn sleep_us(&mut self, _us: u64) {}
}

/// Shards in one thread, each with one client for each of its connections.
struct Stage {
    cores: Vec<(Core, Wire)>,
    now: Now,
}

impl Stage {
    fn new(shards: usize) -> Stage {
        let info = ServerInfo { shards, ..ServerInfo::default() };
        let mut shared = Shared::new(info, 4, 7, Box::new(Nobody));
        let families: Vec<&[Command]> = FAMILIES.iter().copied().chain([TESTS]).collect();
        shared.registry = Arc::new(Registry::new(&families));
        let config = Config { save: crate::config::SavePoints(vec![]), ..Config::default() };
        let (shared, config) = (Arc::new(shared), Arc::new(config));
        let now = Now { wall_us: 1_700_000_000_000_000, mono_us: 1_000_000 };
        let core = |id| (Core::new(id, shared.clone(), config.clone(), now), Wire::default());
        Stage { cores: (0..shards).map(core).collect(), now }
    }

    /// Sends a line as client `id`, which lives on shard `id` modulo their number, and lets everything come to its end.
    fn send(&mut self, id: u64, line: &str) {
        let shards = self.cores.len();
        let (core, wire) = &mut self.cores[id as usize % shards];
        let conn = ConnId(id);
        if core.conn(conn).is_none() {
            let name: Arc<str> = "client".into();
            core.open(conn, Peer { addr: name.clone(), laddr: name, fd: 1, unix: false, local: true });
        }
        core.data(wire, conn, format!("{line}\r\n").as_bytes());
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..10 {
            let mut letters = vec![];
            for (core, wire) in &mut self.cores {
                core.begin_turn(self.now);
                core.work(wire);
                core.flush(wire);
                for (conn, chunk) in std::mem::take(&mut wire.back) {
                    core.sent(wire, conn, chunk, Ok(()));
                }
                letters.extend(core.drain_mail());
            }
            for (to, letter) in letters {
                let (core, wire) = &mut self.cores[to];
                core.mail(wire, letter);
            }
        }
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now.wall_us += ms as i64 * 1_000;
        self.now.mono_us += ms * 1_000;
        self.settle();
    }

    /// What clients have got since the last look, in the order in which it was sent.
    fn got(&mut self) -> Vec<(u64, String)> {
        let sent = self.cores.iter_mut().flat_map(|(_, wire)| std::mem::take(&mut wire.sent));
        let mut got: Vec<_> = sent.map(|(c, bytes)| (c.0, String::from_utf8(bytes).unwrap())).collect();
        got.sort();
        got
    }
}

fn replies(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(id, text)| (*id, text.to_string())).collect()
}

#[test]
fn who_is_not_served_keeps_its_place() {
    for shards in [1, 3] {
        let mut stage = Stage::new(shards);
        stage.send(1, "AWAIT 5 0 kind k");
        stage.send(2, "AWAIT 2 0 kind k");
        stage.send(3, "AWAIT 5 0 kind k");
        stage.send(4, "RAISE k 1");
        assert_eq!(stage.got(), replies(&[(4, "+OK\r\n")]), "nobody has enough");
        stage.send(4, "RAISE k 3");
        assert_eq!(stage.got(), replies(&[(2, ":3\r\n"), (4, "+OK\r\n")]));
        let line: Vec<u64> = (0..)
            .map_while(|at| {
                let owner = stage.cores[0].0.shared.route.owner(b"k");
                let store = stage.cores[0].0.shared.cells[owner].take().unwrap();
                let wait = store.in_line(0, b"k", at);
                let _nobody_waits = stage.cores[0].0.shared.cells[owner].put(store);
                wait.map(|wait| wait.waiter.conn)
            })
            .collect();
        assert_eq!(line, [1, 3]);
        stage.send(4, "RAISE k 7");
        assert_eq!(stage.got(), replies(&[(1, ":7\r\n"), (3, ":7\r\n"), (4, "+OK\r\n")]));
    }
}

#[test]
fn any_change_wakes_who_wants_it_with_the_arguments_it_has_left() {
    let mut stage = Stage::new(3);
    stage.send(1, "AWAIT 5 0 any k");
    stage.send(2, "AWAIT 5 0 kind k");
    for line in ["RAISE k 1", "SET k text", "LPUSH k x", "EXPIRE k 100"] {
        stage.send(3, line);
    }
    assert!(stage.got().iter().all(|(id, _)| *id == 3));
    stage.send(3, "DEL k");
    assert_eq!(stage.got(), replies(&[(1, ":0\r\n"), (3, ":1\r\n")]), "the second waits on");
    stage.send(1, "AWAIT 5 0 any k");
    stage.send(3, "FLUSHALL");
    assert_eq!(stage.got(), replies(&[(1, ":0\r\n"), (3, "+OK\r\n")]));
}

#[test]
fn a_wait_on_keys_of_many_shards_is_ended_by_one_and_leaves_all_lines() {
    let mut stage = Stage::new(8);
    let keys: Vec<String> = (0..20).map(|i| format!("k{i}")).collect();
    for round in 0..20 {
        stage.send(1, &format!("AWAIT 5 0 kind {}", keys.join(" ")));
        stage.send(2, &format!("AWAIT 9 50 kind {}", keys.join(" ")));
        stage.send(3, &format!("RAISE k{round} 4"));
        stage.send(3, &format!("RAISE k{round} 6"));
        stage.send(3, &format!("DEL k{round}"));
        assert_eq!(stage.got().iter().filter(|(id, _)| *id == 1).count(), 1, "round {round}");
        stage.pass_ms(50);
        assert_eq!(stage.got(), replies(&[(2, "*-1\r\n")]));
    }
    for cell in &stage.cores[0].0.shared.cells {
        let store = cell.take().unwrap();
        assert!(!store.is_observed());
        let _nobody_waits = cell.put(store);
    }
}

#[test]
fn chores_take_turns_with_what_else_wants_the_store() {
    use crate::shard::jobs::CHORE_KEYS_PER_HOLD;
    const WAITS: usize = CHORE_KEYS_PER_HOLD + 10;
    let mut stage = Stage::new(1);
    (0..WAITS).for_each(|id| stage.send(id as u64, "AWAIT 5 0 kind k"));
    let (core, wire) = &mut stage.cores[0];
    let store = core.shared.cells[0].take().unwrap();
    let waits: Vec<_> = (0..).map_while(|at| store.in_line(0, b"k", at)).collect();
    assert_eq!(waits.len(), WAITS);
    // The store is away: they pile up.
    waits.into_iter().for_each(|wait| core.mail(wire, Letter::Chore(Chore::Leave(wait))));
    assert_eq!(core.chores.len(), WAITS);
    core.hand.add(store);
    core.do_chores();
    assert_eq!(core.chores.len(), 10);
    let store = core.hand.remove(0).unwrap();
    assert_eq!(store.line_len(0, b"k").0, 10);
    let _nobody_waits = core.shared.cells[0].put(store);
    stage.settle();
    assert!(stage.cores[0].0.chores.is_empty());
}

#[test]
fn what_a_transaction_raises_and_lowers_again_wakes_nobody() {
    let mut stage = Stage::new(2);
    stage.send(1, "AWAIT 5 0 kind k");
    for line in ["MULTI", "RAISE k 9", "AWAIT 10 0 kind k", "RAISE k 1", "EXEC"] {
        stage.send(2, line);
    }
    let got = stage.got();
    assert_eq!(got.last().map(|(id, text)| (*id, &**text)), Some((2, "+QUEUED\r\n")));
    assert!(got.contains(&(2, "*3\r\n+OK\r\n*-1\r\n+OK\r\n".to_string())), "{got:?}");
    assert!(got.iter().all(|(id, _)| *id == 2));
}
