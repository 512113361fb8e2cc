//! Pieces of logs, run over several shards in one thread, with stores that come and go.

use super::*;
use crate::base::time::Now;
use crate::cmd::ServerInfo;
use crate::config::Config;
use crate::ring::net::{Chunk, Net};
use crate::shard::Shared;
use crate::shard::testing::Nobody;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// A world in which nobody may be spoken to.
struct Silence;

impl Net for Silence {
    fn send(&mut self, _conn: ConnId, chunk: Chunk) {
        panic!("{:?} was sent", String::from_utf8_lossy(&chunk.bytes()));
    }
    fn pause_recv(&mut self, _conn: ConnId) {
        panic!("nobody sends");
    }
    fn resume_recv(&mut self, _conn: ConnId) {
        panic!("nobody sends");
    }
    fn close(&mut self, _conn: ConnId) {
        panic!("nobody is connected");
    }
    fn wake(&mut self, _shard: usize) {}
}

impl World for Silence {
    fn ticks_ns(&self) -> u64 {
        0
    }
    fn sleep_us(&mut self, _us: u64) {}
}

/// 2023-11-14, in ms.
const NOW_MS: i64 = 1_700_000_000_000;

struct Stage {
    cores: Vec<Core>,
    back: Sender<Replayed>,
    replayed: Receiver<Replayed>,
    now: Now,
}

impl Stage {
    fn new(shards: usize, knobs: &[(&str, &str)]) -> Stage {
        let mut config = Config::default();
        config.set_all(knobs, true).expect("knobs");
        let info = ServerInfo { shards, total_memory: 1 << 30, ..ServerInfo::default() };
        let shared = Arc::new(Shared::new(info, 4, 7, Box::new(Nobody)));
        shared.saves.begin_load(0);
        let now = Now { wall_us: NOW_MS * 1_000, mono_us: 1_000_000 };
        let config = Arc::new(config);
        let cores = (0..shards).map(|id| Core::new(id, shared.clone(), config.clone(), now)).collect();
        let (back, replayed) = channel();
        Stage { cores, back, replayed, now }
    }

    fn give(&mut self, shard: usize, stream: u32, text: &[u8], last: bool) {
        let piece = Piece { stream, bytes: text.to_vec(), last, back: self.back.clone() };
        self.cores[shard].replay_piece(piece);
    }

    /// One turn of every shard.
    fn turn(&mut self) {
        self.now.mono_us += 1_000;
        self.now.wall_us += 1_000;
        for id in 0..self.cores.len() {
            let core = &mut self.cores[id];
            core.begin_turn(self.now);
            core.work(&mut Silence);
            core.flush(&mut Silence);
            let mail: Vec<_> = core.drain_mail().collect();
            for (to, letter) in mail {
                self.cores[to].mail(&mut Silence, letter);
            }
        }
    }

    /// Turns until so many pieces were answered.
    fn run(&mut self, pieces: usize) -> Vec<Option<Trouble>> {
        let mut answers = Vec::new();
        for _ in 0..10_000 {
            self.turn();
            answers.extend(self.replayed.try_iter().map(|r| r.trouble));
            if answers.len() == pieces {
                return answers;
            }
        }
        panic!("{} of {pieces} pieces came back", answers.len());
    }

    /// Runs one file, cut into these pieces, on shard 0.
    fn file(&mut self, pieces: &[&[u8]]) -> Option<Trouble> {
        for (i, piece) in pieces.iter().enumerate() {
            self.give(0, 9, piece, i + 1 == pieces.len());
        }
        self.run(pieces.len()).into_iter().find_map(|trouble| trouble)
    }

    /// Keys of a database, and when they expire.
    fn keys(&self, db: usize) -> Vec<(String, Option<i64>)> {
        let cells = &self.cores[0].shared.cells;
        let stores: Vec<_> = cells.iter().map(|cell| cell.take().expect("all stores are at home")).collect();
        let entries = stores.iter().flat_map(|store| store.db(db).table().iter());
        let mut keys: Vec<_> =
            entries.map(|e| (String::from_utf8_lossy(e.key()).into_owned(), e.expire_at())).collect();
        keys.sort();
        for store in stores {
            let shard = store.shard();
            let _ = self.cores[0].shared.cells[shard].put(store);
        }
        keys
    }
}

/// Lines as a log has them.
fn log(lines: &[&str]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        if line.starts_with('#') {
            text.extend_from_slice(format!("{line}\n").as_bytes());
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        text.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        words.iter().for_each(|w| text.extend_from_slice(format!("${}\r\n{w}\r\n", w.len()).as_bytes()));
    }
    text
}

#[test]
fn a_file_runs_whatever_the_number_of_shards() {
    for shards in [1, 2, 3, 8] {
        for knobs in [&[][..], &[("borrow", "no")], &[("maxmemory", "1"), ("slowlog-log-slower-than", "0")]] {
            let mut stage = Stage::new(shards, knobs);
            let lines: Vec<String> = (0..3_000).map(|i| format!("SET key:{i} {i}")).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let (first, second) = lines.split_at(1_000);
            let more = ["#TS:1700000000", "SELECT 2", "MULTI", "RPUSH l a b", "MSET a 1 b 2 c 3 d 4", "EXEC"];
            let swap = ["SWAPDB 0 1", "SET in:2 x", "RENAME a e", "SELECT 0", "BLPOP none 0", "SET last 1"];
            let pieces = [log(first), log(second), log(&more), log(&swap)];
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            assert_eq!(stage.file(&pieces), None, "{shards} {knobs:?}");
            let names = |db| stage.keys(db).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
            assert_eq!(names(0), ["last"]);
            assert_eq!(names(1).len(), 3_000);
            assert_eq!(names(2), ["b", "c", "d", "e", "in:2", "l"]);
            assert!(stage.cores.iter().all(|core| core.streams.is_empty()));
            let counters = stage.cores.iter().map(|c| c.tallies.counters.commands).sum::<u64>();
            assert_eq!((counters, stage.cores[0].tallies.slowlog.len()), (0, 0), "nothing of it is counted");
        }
    }
}

#[test]
fn files_run_side_by_side() {
    let mut stage = Stage::new(3, &[]);
    for round in 0..50 {
        for stream in 0..5u32 {
            let line = format!("RPUSH list:{stream} {round}");
            stage.give(stream as usize % 3, stream, &log(&["SELECT 1", &line]), round == 49);
        }
    }
    assert!(stage.run(250).iter().all(Option::is_none));
    assert_eq!(stage.keys(1).len(), 5);
}

#[test]
fn time_stands_still() {
    let past = NOW_MS - 5_000;
    let script = [
        format!("SET a 1 PXAT {past}"),
        "APPEND a 2".into(),
        format!("PEXPIREAT a {past}"),
        "SET b 1".into(),
        format!("PEXPIREAT b {past}"),
        "PERSIST b".into(),
        "HSET h f 1 g 2".into(),
        format!("HPEXPIREAT h {past} FIELDS 1 f"),
        "HINCRBY h f 1".into(),
        "HSET h2 f 1".into(),
        format!("HPEXPIREAT h2 {past} FIELDS 1 f"),
        "SET d 1".into(),
        format!("GETEX d PXAT {past}"),
        "RENAME d e".into(),
        "SET later 1 EX 100".into(),
    ];
    let lines: Vec<&str> = script.iter().map(String::as_str).collect();
    for shards in [1, 3] {
        let mut stage = Stage::new(shards, &[]);
        assert_eq!(stage.file(&[&log(&lines)]), None);
        // Longer than active expiry would wait.
        (0..500).for_each(|_| stage.turn());
        let mut keys = stage.keys(0);
        let later = keys.pop().expect("the last");
        assert!(later.0 == "later" && later.1.is_some_and(|at| at >= NOW_MS + 100_000), "{later:?}");
        let expected = [("a", Some(past)), ("b", None), ("e", Some(past)), ("h", None), ("h2", None)];
        assert_eq!(keys, expected.map(|(key, at)| (key.to_string(), at)));
        stage.cores[0].shared.saves.end_load(0, 0, vec![]);
        (0..500).for_each(|_| stage.turn());
        let left: Vec<_> = stage.keys(0).into_iter().map(|(key, _)| key).collect();
        assert_eq!(left, ["b", "h", "later"]);
    }
}

#[test]
fn the_first_error_ends_it() {
    let trouble = |command: &str, error: &str| (command.to_string(), error.to_string());
    let cases: [(&str, (String, String)); 7] = [
        ("LPUSH s x", trouble("LPUSH", "WRONGTYPE Operation against a key holding the wrong kind of value")),
        ("NOSUCH a", trouble("NOSUCH", "ERR unknown command 'NOSUCH', with args beginning with: 'a' ")),
        ("SET s", trouble("SET", "ERR wrong number of arguments for 'set' command")),
        ("SELECT 99", trouble("SELECT", "ERR DB index is out of range")),
        ("EXEC", trouble("exec", "it is not expected here")),
        ("QUIT", trouble("", "it ends what was to follow")),
        ("INCRBY s 1", trouble("INCRBY", "ERR value is not an integer or out of range")),
    ];
    for shards in [1, 2, 8] {
        for borrow in ["yes", "no"] {
            for (line, (command, error)) in &cases {
                let mut stage = Stage::new(shards, &[("borrow", borrow)]);
                let before = log(&["SET s x", "SET t y", "#TS:1", "SET u z"]);
                let bad = [&before[..], &log(&[line]), &log(&["SET late 1"])].concat();
                let found = stage.file(&[&before, &bad, &log(&["SET later 1"])]).expect("trouble");
                assert_eq!((&found.command, &found.error), (command, error), "{line}");
                if !command.is_empty() {
                    assert_eq!(found.at, before.len(), "{line}, {shards} shards, borrow {borrow}");
                }
                assert_eq!(stage.keys(0).len(), 3, "{line}: nothing runs behind it");
            }
        }
    }
}

#[test]
fn what_is_not_whole_is_no_command() {
    for end in [&b"*2\r\n$3\r\nGET\r\n$1"[..], b"*x\r\n", b"MUL", b"*1\r\n$5\r\nMULTI\r\n"] {
        let mut stage = Stage::new(2, &[]);
        let whole = log(&["SET a 1"]);
        let found = stage.file(&[&whole, &[&whole[..], end].concat()]).expect("trouble");
        assert!(!found.error.is_empty());
    }
}
